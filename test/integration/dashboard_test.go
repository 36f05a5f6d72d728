// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/test/kit"
	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// unasked are panels on which there is nothing to see where nothing goes wrong.
func unasked() map[string]bool {
	return map[string]bool{"Launches: Claims lost": true, "Operator: Probe errors": true, "Operator: API requests that failed": true}
}

// The dashboard's queries, asked of a Prometheus that reads an operator at work.
func TestTheDashboardShowsAnOperatorAtWork(t *testing.T) {
	t.Parallel()
	e := kit.New(t)
	e.NeedEntrypoint()
	address := e.FreeAddress()
	e.Start(kit.BuildOperator(t), append(e.PushFlags(), "--metrics-address="+address, "--metrics-insecure",
		"--leader-elect", "--leader-election-namespace="+e.Namespace, "--price-per-pod-hour=0.1")...)
	p := tool.StartPrometheus(t, address)
	h := filledPool(e, kit.PushPool("game").Idle(2))
	e.Create(kit.Pool("asked").Real("run", "-busy-by=http").Idle(1).Probe(byHTTP("/busy")).Obj())
	e.AwaitStatus("asked", 1, 0)

	// A counter that begins with its first launch has grown after the second.
	launched := 0
	launch := func() {
		for _, change := range []func(*corev1.PodTemplateSpec){
			func(*corev1.PodTemplateSpec) {}, func(p *corev1.PodTemplateSpec) { p.Spec.AutomountServiceAccountToken = new(false) },
		} {
			launched++
			j := kit.Launch(fmt.Sprintf("launch-%03d", launched), h).Obj()
			change(&j.Spec.Template) // the second starts cold
			e.Create(j)
			awaitJob(e, j.Name, batchv1.JobComplete)
		}
	}
	// All that has happened in this test, however slow the machine is.
	d := tool.ReadDashboard(t, "30m")
	for title, queries := range d.Panels {
		for _, query := range queries {
			if unasked()[title] {
				if _, err := p.Query(t.Context(), query); err != nil {
					t.Errorf("%s: %v", title, err)
				}
				continue
			}
			e.Await(title+" has something to show", func(g gomega.Gomega) {
				found, err := p.Query(t.Context(), query)
				g.Expect(err).NotTo(gomega.HaveOccurred(), query)
				said := slices.ContainsFunc(found, func(s tool.Sample) bool { return s.Value[1] != "NaN" })
				if !said {
					launch()
				}
				g.Expect(said).To(gomega.BeTrue(), "%s: %v", query, found)
			})
		}
	}
	for name, v := range d.Variables {
		values, err := p.Values(t.Context(), v[0], v[1])
		want := map[string][]string{"namespace": {e.Namespace}, "pool": {"asked", "game"}}[name]
		gomega.NewWithT(t).Expect(values, err).To(gomega.ConsistOf(want), name)
	}
}
