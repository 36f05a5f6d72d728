// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/top"
	"github.com/paia-tech/hotstandbyjob/internal/ui"
)

// account is the service account as which kubectl hsj reads the page: a lab's kubeconfig has no token.
const account = "viewer"

// mustRun launches a command with kubectl hsj run, which must show its line and end with its code, and start warm: as in
// mustStartWarm, not always at once. It returns the Job's name.
func (r *installed) mustRun(p plugin) (name string) {
	r.T.Helper()
	r.Await("kubectl hsj run starts warm, and by the webhook", func(g gomega.Gomega) {
		name = fmt.Sprintf("run-%03d", r.made)
		r.made++
		code, out, said := p.run("run", "push", "--timings", "--name", name, "--command", "--", "/stamp", "-exit", "3", name)
		if code != 3 || !strings.HasSuffix(out, fmt.Sprintf("\"words\":[%q]}\n", name)) || strings.Count(out, "\n") != 1 {
			r.T.Errorf("kubectl hsj run ends with %d, and writes %q and %q", code, out, said)
		}
		for _, mark := range []string{"the pool is read", "the Job is made", "it has a pod", "its logs are open", "its first line is there", "its end is known"} {
			if !strings.Contains(said, " ms  "+mark+"\n") {
				r.T.Errorf("--timings doesn't say when %s:\n%s", mark, said)
			}
		}
		j := &batchv1.Job{}
		g.Expect(r.Client.Get(r.T.Context(), client.ObjectKey{Namespace: r.Namespace, Name: name}, j)).To(gomega.Succeed())
		g.Expect(j.Spec.ManagedBy).To(gomega.HaveValue(gomega.Equal(v1alpha1.ManagedByLauncher)))
		g.Expect(startsOf(r.Env, name)).To(gomega.Equal([]string{v1alpha1.StartWarm}))
		r.T.Logf("kubectl hsj run, through the webhook:\n%s", said)
	})
	return name
}

// mustTell checks what kubectl hsj top and explain have from the page about the pools and a launch.
func (r *installed) mustTell(p plugin, job string) {
	r.T.Helper()
	r.AwaitStatus("push", 2, 2)
	code, out, said := p.run("top", "--once", "-o", "json", "--service-account", account)
	var rows []top.Row
	if err := json.Unmarshal([]byte(out), &rows); err != nil || code != 0 || said != "" || len(rows) != 2 {
		r.T.Fatalf("kubectl hsj top ends with %d, and writes %v\n%s%s", code, err, out, said)
	}
	pull, push := rows[0], rows[1]
	if pull.Name != "pull" || pull.Idle != 2 || pull.Busy != 2 || pull.Rate == nil || pull.P50 != nil || pull.HitRatio != nil {
		r.T.Errorf("kubectl hsj top shows of the pool without launches:\n%s", out)
	}
	if push.Name != "push" || push.Idle != 2 || push.Busy != 2 || push.Waiting != 0 ||
		push.Rate == nil || *push.Rate <= 0 || push.P50 == nil || push.P99 == nil || *push.P99 < *push.P50 || push.HitRatio == nil || *push.HitRatio <= 0 {
		r.T.Errorf("kubectl hsj top shows of the pool with launches:\n%s", out)
	}

	code, out, said = p.run("explain", "job/"+job, "--service-account", account)
	for _, words := range []string{
		"it asks for pool push, and the operator runs it", "Job " + job + " started warm in pod " + podsOf(r.Env, job)[0].Name + ", after ",
		": queue ", ", claim ", ", deliver ", ", start ", "1 of 1 pods started warm",
	} {
		if code != 0 || said != "" || !strings.Contains(out, words) {
			r.T.Errorf("kubectl hsj explain ends with %d, and doesn't say %q:\n%s%s", code, words, out, said)
		}
	}
}

// shown is kubectl hsj ui at work.
type shown struct {
	r       *installed
	command *exec.Cmd
	address *url.URL
	errOut  *strings.Builder
}

// show has kubectl hsj ui show the page to somebody who may see the pools of this namespace alone.
func (r *installed) show(p plugin) *shown {
	r.T.Helper()
	s := &shown{r: r, command: p.command("ui", "--no-browser", "--service-account", account), errOut: &strings.Builder{}}
	s.command.Stderr = s.errOut
	out, err := s.command.StdoutPipe()
	if err != nil {
		r.T.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		r.T.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		r.T.Fatalf("kubectl hsj ui ends with %v: %s", s.command.Wait(), s.errOut)
	}
	if s.address, err = url.Parse(strings.TrimSuffix(line, " (Ctrl-C ends it)\n")); err != nil || s.address.Hostname() != "127.0.0.1" {
		r.T.Fatalf("kubectl hsj ui says %q: %v", line, err)
	}
	// What the page reads out of its address.
	if view, err := url.ParseQuery(s.address.Fragment); err != nil || view.Get("namespace") != r.Namespace {
		r.T.Errorf("kubectl hsj ui opens %s, which asks for what the account may not see", s.address)
	}
	return s
}

// get is what the page answers, as a browser without a token would see it.
func (s *shown) get(g gomega.Gomega, path string, query url.Values) []byte {
	u := url.URL{Scheme: "http", Host: s.address.Host, Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(s.r.T.Context(), http.MethodGet, u.String(), http.NoBody)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(response.StatusCode).To(gomega.Equal(http.StatusOK), "%s: %s", u.String(), body)
	return body
}

// mustShow checks that the page comes from the operator that leads now: it has the pools as they are, and a launch that is made
// now with its phases. A pod that can't reach the gateway yet says of none that it has begun.
func (s *shown) mustShow(p plugin) (job string) {
	s.r.T.Helper()
	s.r.AwaitStatus("push", 2, 2)
	s.r.Await("the page shows the pools", func(g gomega.Gomega) {
		g.Expect(string(s.get(g, "/", nil))).To(gomega.ContainSubstring("<title>HotStandbyJob pools</title>"))
		pools := ui.Pools{}
		g.Expect(json.Unmarshal(s.get(g, "/api/v1/pools", url.Values{"namespace": {s.r.Namespace}}), &pools)).To(gomega.Succeed())
		got := map[string][3]int32{}
		for _, p := range pools.Pools {
			got[p.Namespace+"/"+p.Name] = [3]int32{p.Idle, p.IdleTarget, p.Busy}
		}
		g.Expect(got).To(gomega.Equal(map[string][3]int32{s.r.Namespace + "/pull": {2, 2, 2}, s.r.Namespace + "/push": {2, 2, 2}}), "idle, idleTarget and busy")
	})
	s.r.Await("the page shows a launch", func(g gomega.Gomega) {
		job = s.r.mustRun(p)
		launches := ui.Launches{}
		g.Expect(json.Unmarshal(s.get(g, "/api/v1/launches", url.Values{"namespace": {s.r.Namespace}}), &launches)).To(gomega.Succeed())
		i := slices.IndexFunc(launches.Launches, func(l ui.Launch) bool { return l.Job == job })
		if i < 0 {
			s.r.T.Logf("the page doesn't know of %s", job)
		}
		g.Expect(i).NotTo(gomega.BeNumerically("<", 0), "%s isn't among %+v", job, launches.Launches)
		l := launches.Launches[i]
		g.Expect([]string{l.Namespace, l.Pool, l.Pod}).To(gomega.Equal([]string{s.r.Namespace, "push", podsOf(s.r.Env, job)[0].Name}))
		g.Expect(l.Start).To(gomega.Equal(journal.Warm))
		g.Expect(min(l.Queue, l.Claim, l.Deliver+l.Begin)).To(gomega.BeNumerically(">", 0), "%+v", l)
		g.Expect(l.Queue+l.Claim+l.Deliver+l.Begin).To(gomega.BeNumerically("~", l.Total, 1e-6), "%+v", l)
	})
	return job
}

// end ends it as people do.
func (s *shown) end() {
	s.r.T.Helper()
	if err := s.command.Process.Signal(syscall.SIGINT); err != nil {
		s.r.T.Fatal(err)
	}
	if err := s.command.Wait(); err != nil {
		s.r.T.Errorf("kubectl hsj ui ends with %v: %s", err, s.errOut)
	}
	s.r.T.(*testing.T).Logf("kubectl hsj ui said: %s", s.errOut)
}
