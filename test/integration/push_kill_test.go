// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// The operator is killed again and again while Jobs are launched: each ends Complete, and its command ran once. The
// commands themselves are the witnesses. One pool's Jobs wait for idle pods, so that all of them are warm, and the other's start
// cold where there is none. With HSJ_MEASURE set it is 1,000 launches and 50 kills, which takes many minutes.
func pushNoLaunchIsLostOrDoubledByKilledOperators(t *testing.T) {
	e := kit.New(t)
	e.NeedEntrypoint()
	launches, deaths := 30, 5
	if os.Getenv(measureVariable) != "" {
		launches, deaths = 1000, 50
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // a test
	w := e.Witness()
	program := kit.BuildOperator(t)
	args := e.PushFlags()
	pools := []*v1alpha1.HotStandbyJob{
		kit.PushPool("waits").Idle(4).Max(8).Standby(func(s *v1alpha1.StandbySpec) { s.WhenEmpty = v1alpha1.WhenEmptyWait }).Obj(),
		kit.PushPool("game").Idle(2).Max(4).Obj(),
	}
	for _, h := range pools {
		e.Create(h)
	}

	operator := e.Start(program, args...)
	e.AwaitStatus("waits", 4, 0)
	made, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Duration(100+random.IntN(100)) * time.Millisecond)
		defer tick.Stop()
		for made < launches {
			name := fmt.Sprintf("launch-%04d", made)
			j := kit.Launch(name, pools[made%len(pools)]).Args("-to", w.Address, "-work", "100ms", name).Obj()
			j.Namespace = e.Namespace
			if err := e.Client.Create(t.Context(), j); err != nil {
				t.Errorf("create Job %s: %v", name, err)
				return
			}
			made++
			<-tick.C
			for made-len(w.Stamps("")) >= mostUnderWay && t.Context().Err() == nil {
				<-tick.C
			}
		}
	}()
	killer := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
	for n := range deaths {
		e.Await("so many have run", func(g gomega.Gomega) {
			g.Expect(len(w.Stamps(""))).To(gomega.BeNumerically(">=", n*launches/deaths))
		})
		alive := time.NewTimer(time.Duration(500+killer.IntN(2000)) * time.Millisecond)
		<-alive.C
		operator.Kill()
		t.Logf("kill %d, after %d stamps", n+1, len(w.Stamps("")))
		operator = e.Start(program, args...)
	}
	<-done
	gomega.NewWithT(t).Eventually(func(g gomega.Gomega) {
		var list batchv1.JobList
		g.Expect(e.Client.List(t.Context(), &list, client.InNamespace(e.Namespace))).To(gomega.Succeed())
		g.Expect(list.Items).To(gomega.HaveLen(launches))
		for i := range list.Items {
			if c := jobCondition(&list.Items[i], batchv1.JobFailed); c != nil {
				gomega.StopTrying(fmt.Sprintf("Job %s has failed: %s: %s", list.Items[i].Name, c.Reason, c.Message)).Now()
			}
			g.Expect(jobCondition(&list.Items[i], batchv1.JobComplete)).NotTo(gomega.BeNil(), list.Items[i].Name)
			g.Expect(list.Items[i].Status.Succeeded).To(gomega.Equal(int32(1)), list.Items[i].Name)
		}
	}).WithTimeout(10*kit.Patience).WithPolling(time.Second).Should(gomega.Succeed(), "all are complete")
	onceEach(t, w, launches)
	e.AwaitStatus("waits", 4, 0)
	e.AwaitStatus("game", 2, 0)
	warm := nothingLeft(t, e)
	t.Logf("warm launches: %v", warm)
	if warm["waits"] != launches/2 {
		t.Errorf("%d launches of the pool whose Jobs wait were warm, want all %d", warm["waits"], launches/2)
	}
}

// mostUnderWay is how many Jobs are made whose command hasn't run.
const mostUnderWay = 6

// onceEach checks that each command ran, and none of them twice.
func onceEach(t *testing.T, w *kit.Witness, launches int) {
	t.Helper()
	byJob, byPod := map[string]int{}, map[types.UID]int{}
	for _, s := range w.Stamps("") {
		byJob[s.Words[0]]++
		byPod[s.Pod]++
	}
	if len(byJob) != launches {
		t.Errorf("the commands of %d Jobs ran, of %d", len(byJob), launches)
	}
	for name, n := range byJob {
		if n != 1 {
			t.Errorf("the command of Job %s ran %d times", name, n)
		}
	}
	for pod, n := range byPod {
		if n != 1 {
			t.Errorf("%d commands ran in pod %s", n, pod)
		}
	}
}

// nothingLeft checks that each pod belongs to a pool or to a Job that is there, and counts by pool those that started warm.
func nothingLeft(t *testing.T, e *kit.Env) (warm map[string]int) {
	t.Helper()
	var list corev1.PodList
	if err := e.Client.List(t.Context(), &list, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	warm = map[string]int{}
	for _, p := range list.Items {
		owner := metav1.GetControllerOf(&p)
		switch {
		case owner == nil:
			t.Errorf("pod %s belongs to nobody", p.Name)
		case owner.Kind == "Job" && len(p.Finalizers) > 0:
			t.Errorf("pod %s of a Job that has ended still has the finalizers %v", p.Name, p.Finalizers)
		}
		if p.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartWarm {
			warm[p.Labels[v1alpha1.LabelLaunch]]++
		}
	}
	return warm
}
