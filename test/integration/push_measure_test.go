// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/drive"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// measureVariable is the environment variable that asks for measurements. They want the machine for themselves and no
// race detector, and assert no times:
//
//	HSJ_MEASURE=1 go test ./test/integration -run TestMeasure -v
const measureVariable = "HSJ_MEASURE"

// measureEnv is a namespace with an operator and nothing else going on, and what the operator sends.
func measureEnv(t *testing.T) (*kit.Env, *kit.Requests) {
	t.Helper()
	if os.Getenv(measureVariable) == "" {
		t.Skipf("a measurement: set %s=1", measureVariable)
	}
	e := kit.New(t)
	e.NeedEntrypoint()
	sent := &kit.Requests{}
	e.Through(sent.Wrap).PushOperator()
	return e, sent
}

// times are durations that are summed up by their percentiles.
type times []time.Duration

func (d times) String() string {
	if len(d) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(d))
	at := func(percent int) string {
		return fmt.Sprintf("%.1f", float64(sorted[max(0, (len(sorted)*percent+99)/100-1)].Microseconds())/1000)
	}
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, max %s ms (%d)", at(50), at(90), at(99), at(100), len(d))
}

// One launch after the other: POST of the Job → first instruction of its command, beside what the API server takes for
// one Job and one patch, and beside cold Jobs of the cluster's own controller.
func TestMeasureLaunchesOneByOne(t *testing.T) {
	const launches, others = 200, 20
	e, _ := measureEnv(t)
	w := e.Witness()
	h := filledPool(e, kit.PushPool("game").Idle(3))
	var warm, cold, posts, patches times
	for i := range launches {
		// All of them, so that no pod is being started beside the launch; and what is over goes, or the node has ever more to do.
		e.Await("all are idle", func(g gomega.Gomega) { g.Expect(readyPods(e, "game")).To(gomega.Equal(h.Spec.IdleTarget)) })
		name := fmt.Sprintf("warm-%03d", i)
		goes := func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = new(int32(1)) }
		warm = append(warm, timed(e, w, kit.Launch(name, h).Args("-to", w.Address, name).Spec(goes).Obj()))
		if got := startsOf(e, name); !slices.Equal(got, []string{v1alpha1.StartWarm}) {
			t.Errorf("Job %s started %v, want one pod, warm", name, got)
		}
		if i%(launches/others) == 0 {
			post, patch := raw(e, h, i)
			posts, patches = append(posts, post), append(patches, patch)
		}
	}
	t.Logf("POST of the Job → first instruction, warm: %s", warm)
	t.Logf("one Job POST: %s", posts)
	t.Logf("one pod patch: %s", patches)
	for i := range others {
		name := fmt.Sprintf("cold-%03d", i)
		j := kit.Launch(name, h).Args("-to", w.Address, name).Spec(func(s *batchv1.JobSpec) { s.ManagedBy = nil }).Obj()
		j.Labels = nil
		cold = append(cold, timed(e, w, j))
		awaitJob(e, name, batchv1.JobComplete)
	}
	onceEach(t, w, launches+others)
	t.Logf("the same, cold, by the cluster's own controller: %s", cold)
}

// readyPods counts a pool's pods that are ready. Its status may be a second behind.
func readyPods(e *kit.Env, pool string) (n int32) {
	e.T.Helper()
	for _, p := range e.Pods(pool) {
		ready := func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue }
		if p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodIdle) && slices.ContainsFunc(p.Status.Conditions, ready) {
			n++
		}
	}
	return n
}

// timed makes a Job and returns how long it took until its command ran, as that says itself.
func timed(e *kit.Env, w *kit.Witness, j *batchv1.Job) time.Duration {
	e.T.Helper()
	name := j.Name
	posted := time.Now()
	e.Create(j)
	var stamps []kit.Stamp
	e.Await("its command runs", func(g gomega.Gomega) {
		stamps = w.Stamps(name)
		g.Expect(stamps).NotTo(gomega.BeEmpty())
	})
	return stamps[0].At().Sub(posted)
}

// raw is how long the API server takes for a Job that nobody runs, and for a patch of a pod as large as a claim's.
func raw(e *kit.Env, h *v1alpha1.HotStandbyJob, i int) (post, patch time.Duration) {
	e.T.Helper()
	j := kit.Launch(fmt.Sprintf("raw-%03d", i), h).Spec(func(s *batchv1.JobSpec) { s.Suspend, s.ManagedBy = new(true), new("example.com/nobody") }).Obj()
	started := time.Now()
	e.Create(j)
	post = time.Since(started)
	p := &e.Pods(h.Name)[0]
	started = time.Now()
	text := fmt.Sprintf(`[{"op":"test","path":"/metadata/uid","value":%q},{"op":"add","path":"/metadata/annotations/example.com~1raw","value":%q}]`,
		p.UID, strings.Repeat("x", 1000)+strconv.Itoa(i))
	if err := e.Client.Patch(e.T.Context(), p, client.RawPatch(types.JSONPatchType, []byte(text))); err != nil {
		e.T.Fatal(err)
	}
	return post, time.Since(started)
}

// Three hundred at once on a pool of three hundred simulated pods: all warm, and what it costs the API server.
func TestMeasureABurst(t *testing.T) {
	const burst = 300
	e, sent := measureEnv(t)
	h := filledPool(e, kit.PushPool("burst").Simulated().Idle(burst))
	before, begun := quiet(e), sent.Count()
	g := gomega.NewWithT(t)
	earlier := len(eventsAbout(e, g, "HotStandbyJob", h.Name))
	started := time.Now()
	var wait sync.WaitGroup
	limit := make(chan struct{}, 16)
	for i := range burst {
		wait.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			e.Create(kit.Launch(fmt.Sprintf("burst-%03d", i), h).Obj())
		})
	}
	wait.Wait()
	posted := time.Since(started)
	e.Await("all have a pod", func(g gomega.Gomega) { g.Expect(boundPods(e, g)).To(gomega.HaveLen(burst)) })
	bound := time.Since(started)
	e.AwaitStatus("burst", burst, burst)
	refilled := quiet(e)
	report(t, "bound and refilled, by all", burst, before, refilled)
	perJob := map[string]int{}
	for _, p := range boundPods(e, g) {
		perJob[p.Labels[batchv1.JobNameLabel]]++
		if p.Annotations[v1alpha1.AnnotationStart] != v1alpha1.StartWarm {
			t.Errorf("pod %s of Job %s started cold: %s", p.Name, p.Labels[batchv1.JobNameLabel], p.Annotations[v1alpha1.AnnotationColdReason])
		}
		e.Finish(&p, 0)
	}
	for name, n := range perJob {
		if n != 1 {
			t.Errorf("Job %s has %d pods", name, n)
		}
	}
	e.Await("all are complete", func(g gomega.Gomega) {
		var list batchv1.JobList
		g.Expect(e.Client.List(t.Context(), &list, client.InNamespace(e.Namespace))).To(gomega.Succeed())
		for i := range list.Items {
			g.Expect(jobCondition(&list.Items[i], batchv1.JobComplete)).NotTo(gomega.BeNil(), list.Items[i].Name)
		}
	})
	ended := quiet(e)
	report(t, "from there to the end, by all", burst, refilled, ended)
	if err := e.Client.DeleteAllOf(t.Context(), &batchv1.Job{}, client.InNamespace(e.Namespace), client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	e.Await("the pods are gone", func(g gomega.Gomega) { g.Expect(boundPods(e, g)).To(gomega.BeEmpty()) })
	quiet(e)
	written := sent.Seen(begun)
	pool := ofPool(h, len(eventsAbout(e, g, "HotStandbyJob", h.Name))-earlier, written)
	report(t, "over a launch's whole life, removal included, by the operator", burst, pool, writesOf(written))
	t.Logf("besides, for the pool itself, by time and not by launch: %v", pool)
	t.Logf("%d Jobs posted after %s, all bound after %s", burst, posted.Round(time.Millisecond), bound.Round(time.Millisecond))
}

func boundPods(e *kit.Env, g gomega.Gomega) []corev1.Pod {
	var list corev1.PodList
	g.Expect(e.Client.List(e.T.Context(), &list, client.InNamespace(e.Namespace), client.HasLabels{v1alpha1.LabelLaunch})).To(gomega.Succeed())
	return list.Items
}

// quiet waits until nothing was written for a while, and returns what has been.
func quiet(e *kit.Env) map[string]int {
	e.T.Helper()
	const long = 2 * time.Second
	last, since := requests(e), time.Now()
	e.Await("it is quiet", func(g gomega.Gomega) {
		if now := requests(e); !maps.Equal(now, last) {
			last, since = now, time.Now()
		}
		g.Expect(time.Since(since)).To(gomega.BeNumerically(">", long))
	})
	return last
}

// writesOf counts the writes among requests as Requests has them, by resource and verb.
func writesOf(requests []string) map[string]int {
	counts := map[string]int{}
	for _, r := range requests {
		verb, uri, _ := strings.Cut(r, " ")
		path, query, _ := strings.Cut(uri, "?")
		parts := strings.Split(path, "/")
		i := slices.Index(parts, "namespaces")
		if verb == http.MethodGet || i < 0 || len(parts) < i+3 || strings.Contains(query, "dryRun") || slices.Contains(drive.Besides(), parts[i+2]) {
			continue
		}
		name := verb + " " + parts[i+2]
		if len(parts) > i+4 {
			name += "/" + parts[i+4]
		}
		counts[name]++
	}
	return counts
}

// ofPool are those of the writes that are about the pool itself and not about a launch: its status, and its Events, given how
// many of them are new. An Event's name begins with that of what it is about.
func ofPool(h *v1alpha1.HotStandbyJob, events int, requests []string) map[string]int {
	patched := slices.DeleteFunc(slices.Clone(requests), func(r string) bool { return !strings.Contains(r, "/events/"+h.Name+".") })
	pool := writesOf(patched)
	if events > 0 {
		pool["POST events"] = events
	}
	for name, n := range writesOf(requests) {
		if strings.Contains(name, " hotstandbyjobs") {
			pool[name] = n
		}
	}
	return pool
}

// requests counts the writes that the API server has carried out.
func requests(e *kit.Env) map[string]int {
	e.T.Helper()
	counts, err := drive.Writes(e.T.Context(), e.Config)
	if err != nil {
		e.T.Fatal(err)
	}
	return counts
}

// report prints what was written in between, for each launch.
func report(t *testing.T, what string, launches int, before, after map[string]int) {
	t.Helper()
	all := 0
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if n := after[name] - before[name]; n > 0 {
			all += n
			t.Logf("%s: %-28s %5d, %.2f for each launch", what, name, n, float64(n)/float64(launches))
		}
	}
	t.Logf("%s: %-28s %5d, %.2f for each launch", what, "all writes", all, float64(all)/float64(launches))
}
