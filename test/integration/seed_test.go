// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// seed is a manifest of the Python operator's users, unchanged but for the namespace.
func seed(t *testing.T, file string) *v1alpha1.HotStandbyJob {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, file))
	if err != nil {
		t.Fatal(err)
	}
	h := &v1alpha1.HotStandbyJob{}
	if err := yaml.UnmarshalStrict(text, h); err != nil {
		t.Fatal(err)
	}
	return h
}

// Its pods run for 30 seconds and are replaced then.
func TestSeedExampleGivesTwentyIdlePods(t *testing.T) {
	t.Parallel()
	e := realEnv(t)
	history := e.History("game-worker3")
	e.Operator()
	e.Create(seed(t, "seed-example.yaml"))
	e.Await("twenty pods are idle", func(g gomega.Gomega) {
		g.Expect(e.Get("game-worker3").Status.IdleCount).To(gomega.Equal(int32(20)))
		expectColumns(e, g, "game-worker3")
	})
	if most := history.Most(); most != 20 {
		t.Errorf("on the way there were %d units at a time, want 20", most)
	}
	for _, p := range e.Pods("game-worker3") {
		if p.Labels["app"] != "game-worker" {
			t.Errorf("pod %s has the labels %v, want the selector's", p.Name, p.Labels)
		}
	}
}

// The README's manifest, as it is, on nodes that start pods in no time: twenty of them are idle at a time. On a real node
// its pods run for 5 seconds, less than a small machine takes to start twenty: see TestSeedReadmeKeepsTwentyUnits.
func TestSeedReadmeGivesTwentyIdlePods(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.Simulate(map[string]string{lab.ReadyAnnotation: "false"}) // as its busy command is not successful
	history := e.History("demo-hsj")
	e.Operator()
	e.Create(seed(t, "seed-readme.yaml"))
	full := func() {
		e.Await("twenty pods are idle", func(g gomega.Gomega) {
			g.Expect(e.Get("demo-hsj").Status.IdleCount).To(gomega.Equal(int32(20)))
			expectColumns(e, g, "demo-hsj")
		})
	}
	full()
	pods := e.Pods("demo-hsj")
	if len(pods) != 20 || len(e.Jobs("demo-hsj")) != 20 {
		t.Errorf("there are %d pods and %d Jobs, want 20 of each", len(pods), len(e.Jobs("demo-hsj")))
	}
	gomega.NewWithT(t).Eventually(func() bool { // as long as the command runs: one that ends sooner counts as failed
		return time.Since(pods[len(pods)-1].CreationTimestamp.Time) > 5*time.Second
	}).WithTimeout(kit.Patience).Should(gomega.BeTrue())
	for _, p := range pods {
		e.Finish(&p, 0)
	}
	e.Await("others have taken their place", func(g gomega.Gomega) { g.Expect(history.Made()).To(gomega.BeNumerically(">=", 40)) })
	full()
	if most := history.Most(); most != 20 {
		t.Errorf("there were %d units at a time, want 20", most)
	}
}

// Its pods run for 5 seconds, less than it may take to start twenty of them: they need not all be idle at one moment.
// What holds is that there are twenty units again and again, never more, and that their end is no failure.
func TestSeedReadmeKeepsTwentyUnits(t *testing.T) {
	t.Parallel()
	e := realEnv(t)
	history := e.History("demo-hsj")
	e.Operator()
	e.Create(seed(t, "seed-readme.yaml"))
	idle := int32(0)
	// Its pods come and go all the time, which takes a loaded machine several minutes.
	gomega.NewWithT(t).Eventually(func(g gomega.Gomega) {
		h := e.Get("demo-hsj")
		idle = max(idle, h.Status.IdleCount)
		g.Expect(history.Made()).To(gomega.BeNumerically(">=", 60))
		g.Expect(filled(history.Live(), 20)).To(gomega.BeNumerically(">=", 3))
		expectColumns(e, g, "demo-hsj")
		if h.Status.FailedJobs > 0 || h.Status.ConsecutiveFailures > 0 || kit.ConditionStatus(h, v1alpha1.ConditionDegraded) == "True" {
			gomega.StopTrying("pods that end well count as failures").Now()
		}
	}).WithTimeout(3*kit.Patience).WithPolling(100*time.Millisecond).Should(gomega.Succeed(), "it was filled three times")
	if idle == 0 {
		t.Error("no pod was ever idle")
	}
	if most := history.Most(); most != 20 {
		t.Errorf("there were %d units at a time, want 20", most)
	}
	e.Update("demo-hsj", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	e.Await("the last have ended", func(g gomega.Gomega) { g.Expect(e.Pods("demo-hsj")).To(gomega.BeEmpty()) })
}

// filled counts how often there were n units after there had been fewer.
func filled(live []int, n int) int {
	times, before := 0, 0
	for _, now := range live {
		if now == n && before < n {
			times++
		}
		before = now
	}
	return times
}

// expectColumns checks that the server has something to show in every column.
func expectColumns(e *kit.Env, g gomega.Gomega, pool string) {
	table, err := tableOf(e, pool)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(table.Rows).To(gomega.HaveLen(1))
	var names []string
	for i, column := range table.ColumnDefinitions {
		names = append(names, column.Name)
		cell := table.Rows[0].Cells[i]
		g.Expect(cell).NotTo(gomega.BeNil(), column.Name)
		g.Expect(fmt.Sprint(cell)).NotTo(gomega.BeElementOf("", "<none>", "<unknown>", "<invalid>"), column.Name)
	}
	contract := []string{
		"Name", "Mode", "IdleTarget", "Min", "Max", "Busy", "Idle", "ActivePods", "DesiredActive", "ChildJobs", "ActiveJobs",
		"CompletedJobs", "FailedJobs", "LastSync", "Age",
	}
	g.Expect(slices.Equal(names[:len(contract)], contract)).To(gomega.BeTrue(), "columns: %q", names)
}

// tableOf is a pool as the server shows it to `kubectl get`.
func tableOf(e *kit.Env, pool string) (*metav1.Table, error) {
	c, err := rest.HTTPClientFor(e.Config)
	if err != nil {
		return nil, err
	}
	url := e.Config.Host + "/apis/apps.paia.tech/v1alpha1/namespaces/" + e.Namespace + "/hotstandbyjobs/" + pool
	request, err := http.NewRequestWithContext(e.T.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	table := &metav1.Table{}
	return table, json.Unmarshal(text, table)
}
