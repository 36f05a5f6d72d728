// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// TestPush tries launches on the real node, one test after the other beside all others: each needs several pods to be
// started, which small machines do one after the other anyway.
func TestPush(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		test func(*testing.T)
	}{
		{"A job starts in a warm pod and is a real job", pushAJobStartsInAWarmPodAndIsARealJob},
		{"A job starts cold and says why", pushAJobStartsColdAndSaysWhy},
		{"No pod idle", pushNoPodIdle},
		{"Waiting jobs start by priority then age", pushWaitingJobsStartByPriorityThenAge},
		{"A gang takes all its pods or none", pushAGangTakesAllItsPodsOrNone},
		{"Job semantics hold", pushJobSemanticsHold},
		{"A suspended job gives up its pod and resumes", pushASuspendedJobGivesUpItsPodAndResumes},
		{"A restarted container runs its launch again", pushARestartedContainerRunsItsLaunchAgain},
		{"Deleting a job does with its pods as it says", pushDeletingAJobDoesWithItsPodsAsItSays},
		{"A finished job goes after its TTL", pushAFinishedJobGoesAfterItsTTL},
		{"What is not ours is not touched", pushWhatIsNotOursIsNotTouched},
		{"Launches by the gateway", pushLaunchesByTheGateway},
		{"The gateway refuses strangers", pushTheGatewayRefusesStrangers},
		{"A pod attaches only as itself", pushAPodAttachesOnlyAsItself},
		{"Launches reach pods without the gateway", pushLaunchesReachPodsWithoutTheGateway},
		{"Launches go on while the gateway is away", pushLaunchesGoOnWhileTheGatewayIsAway},
		{"Pods of many kinds take launches", pushPodsOfManyKindsTakeLaunches},
		{"A workload reports that it is busy", pushAWorkloadReportsThatItIsBusy},
		{"A pod that does not start is replaced", pushAPodThatDoesNotStartIsReplaced},
		{"Jobs made by others start warm or as ordinary ones", pushJobsMadeByOthersStartWarmOrAsOrdinaryOnes},
		{"No launch is lost or doubled by killed operators", pushNoLaunchIsLostOrDoubledByKilledOperators},
	} {
		t.Run(tc.name, tc.test)
	}
}

// pushEnv is a namespace with an operator that serves launches on the real node.
func pushEnv(t *testing.T) *kit.Env {
	t.Helper()
	e := kit.New(t)
	e.NeedEntrypoint()
	e.PushOperator()
	return e
}

// filledPool makes a pool and waits until it has its idle pods.
func filledPool(e *kit.Env, b *kit.PoolBuilder) *v1alpha1.HotStandbyJob {
	e.T.Helper()
	h := b.Obj()
	e.Create(h)
	e.AwaitStatus(h.Name, int(h.Spec.IdleTarget), 0)
	return h
}

// job is a Job as it is.
func job(e *kit.Env, name string) *batchv1.Job {
	e.T.Helper()
	j := &batchv1.Job{}
	if err := e.Client.Get(e.T.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, j); err != nil {
		e.T.Fatalf("get Job %s: %v", name, err)
	}
	return j
}

// awaitJob waits until a Job has a condition, and returns it as it is then.
func awaitJob(e *kit.Env, name string, condition batchv1.JobConditionType) *batchv1.Job {
	e.T.Helper()
	var j *batchv1.Job
	e.Await(fmt.Sprintf("Job %s is %s", name, condition), func(g gomega.Gomega) {
		j = job(e, name)
		for _, other := range []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed} {
			if other != condition && jobCondition(j, other) != nil {
				gomega.StopTrying(fmt.Sprintf("Job %s is %s: %+v", name, other, j.Status)).Now()
			}
		}
		g.Expect(jobCondition(j, condition)).NotTo(gomega.BeNil(), "%+v", j.Status)
	})
	return j
}

// jobCondition is a condition of a Job that is True.
func jobCondition(j *batchv1.Job, t batchv1.JobConditionType) *batchv1.JobCondition {
	if c := conditionOfJob(j, t); c != nil && c.Status == corev1.ConditionTrue {
		return c
	}
	return nil
}

// conditionOfJob is a condition of a Job, whatever it says; nil if it has none.
func conditionOfJob(j *batchv1.Job, t batchv1.JobConditionType) *batchv1.JobCondition {
	for i, c := range j.Status.Conditions {
		if c.Type == t {
			return &j.Status.Conditions[i]
		}
	}
	return nil
}

// podsOf are a Job's pods, in whatever state.
func podsOf(e *kit.Env, name string) []corev1.Pod {
	e.T.Helper()
	var list corev1.PodList
	err := e.Client.List(e.T.Context(), &list, client.InNamespace(e.Namespace), client.MatchingLabels{batchv1.JobNameLabel: name})
	if err != nil {
		e.T.Fatalf("list pods of Job %s: %v", name, err)
	}
	return list.Items
}

// startsOf is how the pods of a Job started.
func startsOf(e *kit.Env, name string) (starts []string) {
	e.T.Helper()
	for _, p := range podsOf(e, name) {
		starts = append(starts, p.Annotations[v1alpha1.AnnotationStart])
	}
	slices.Sort(starts)
	return starts
}

func pushAJobStartsInAWarmPodAndIsARealJob(t *testing.T) {
	e := pushEnv(t)
	w := e.Witness()
	h := filledPool(e, kit.PushPool("game").Idle(2))
	standby := map[types.UID]bool{}
	for _, p := range e.Pods("game") {
		standby[p.UID] = true
	}

	launch := kit.Launch("match", h).Args("-to", w.Address, "match", "$(MAP)", "$$(MAP)").Obj()
	launch.Spec.Template.Spec.Containers[0].Env = append(launch.Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "MAP", Value: "desert"})
	launch.Spec.Template.Labels = map[string]string{"team": "red"}
	e.Create(launch)
	j := awaitJob(e, "match", batchv1.JobComplete)
	if j.Status.Succeeded != 1 || j.Status.StartTime == nil || j.Status.CompletionTime == nil {
		t.Errorf("the Job's status is %+v, want one that has succeeded", j.Status)
	}

	pods := podsOf(e, "match")
	if len(pods) != 1 || !standby[pods[0].UID] {
		t.Fatalf("the Job has the pods %v, want one of the pool's", names(pods))
	}
	p := pods[0]
	if p.Annotations[v1alpha1.AnnotationStart] != v1alpha1.StartWarm || p.Labels["team"] != "red" || !metav1.IsControlledBy(&p, j) {
		t.Errorf("the pod's metadata is %+v, want that of the Job's warm pod", p.ObjectMeta)
	}
	stamps := w.Stamps("match")
	if len(stamps) != 1 || stamps[0].Pod != p.UID || !slices.Equal(stamps[0].Words, []string{"match", "desert", "$(MAP)"}) {
		t.Errorf("what ran was %+v, want once, in pod %s, with its own arguments and environment", stamps, p.UID)
	}
	e.AwaitStatus("game", 2, 0) // the pod was replaced, and counts no more
}

func names(pods []corev1.Pod) (names []string) {
	for _, p := range pods {
		names = append(names, p.Name)
	}
	return names
}

func pushAJobStartsColdAndSaysWhy(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, kit.PushPool("game").Idle(1))
	for name, tc := range map[string]struct {
		change func(*corev1.PodTemplateSpec)
		field  string
	}{
		"image":   {func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "lab.hsj.paia.tech/worker:dev" }, "image"},
		"secrets": {func(p *corev1.PodTemplateSpec) { p.Spec.AutomountServiceAccountToken = new(false) }, "automountServiceAccountToken"},
	} {
		launch := kit.Launch(name, h).Obj()
		tc.change(&launch.Spec.Template)
		e.Create(launch)
		awaitJob(e, name, batchv1.JobComplete)
		if got := startsOf(e, name); !slices.Equal(got, []string{v1alpha1.StartCold}) {
			t.Errorf("pods of Job %s started %v, want one cold", name, got)
		}
		e.Await("an Event names the field", func(g gomega.Gomega) {
			g.Expect(eventsAbout(e, g, "Job", name)).To(gomega.ContainElement(gomega.ContainSubstring(tc.field)))
		})
	}
	e.AwaitStatus("game", 1, 0)
}

// eventsAbout are the notes of the Events about an object.
func eventsAbout(e *kit.Env, g gomega.Gomega, kind, name string) (notes []string) {
	var list corev1.EventList
	g.Expect(e.Client.List(e.T.Context(), &list, client.InNamespace(e.Namespace))).To(gomega.Succeed())
	for _, event := range list.Items {
		if event.InvolvedObject.Kind == kind && event.InvolvedObject.Name == name {
			notes = append(notes, event.Reason+": "+event.Message)
		}
	}
	return notes
}

func pushNoPodIdle(t *testing.T) {
	e := pushEnv(t)
	for _, tc := range []struct {
		when v1alpha1.WhenEmpty
		ends batchv1.JobConditionType
		want []string
	}{
		{v1alpha1.WhenEmptyColdStart, batchv1.JobComplete, []string{v1alpha1.StartCold}},
		{v1alpha1.WhenEmptyReject, batchv1.JobFailed, nil},
	} {
		name := map[v1alpha1.WhenEmpty]string{v1alpha1.WhenEmptyColdStart: "cold", v1alpha1.WhenEmptyReject: "reject"}[tc.when]
		h := filledPool(e, kit.PushPool(name).Idle(0).Standby(func(s *v1alpha1.StandbySpec) { s.WhenEmpty = tc.when }))
		e.Create(kit.Launch(name, h).Obj())
		j := awaitJob(e, name, tc.ends)
		if got := startsOf(e, name); !slices.Equal(got, tc.want) {
			t.Errorf("whenEmpty %s: pods started %v, want %v", tc.when, got, tc.want)
		}
		if c := jobCondition(j, batchv1.JobFailed); c != nil && c.Message == "" {
			t.Errorf("whenEmpty %s: the condition %+v says nothing", tc.when, c)
		}
	}
}

func pushWaitingJobsStartByPriorityThenAge(t *testing.T) {
	e := pushEnv(t)
	w := e.Witness()
	h := filledPool(e, kit.PushPool("queue").Idle(0).Max(1).Standby(func(s *v1alpha1.StandbySpec) { s.WhenEmpty = v1alpha1.WhenEmptyWait }))
	for _, l := range []struct{ name, priority string }{{"first", ""}, {"second", ""}, {"urgent", "5"}} {
		launch := kit.Launch(l.name, h).Args("-to", w.Address, l.name)
		if l.priority != "" {
			launch.Annotate(map[string]string{v1alpha1.AnnotationPriority: l.priority})
		}
		e.Create(launch.Obj())
		e.Await(l.name+" waits, and says so", func(g gomega.Gomega) {
			g.Expect(eventsAbout(e, g, "Job", l.name)).To(gomega.ContainElement(gomega.ContainSubstring("wait")))
		})
	}
	e.Update("queue", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 1 })
	for _, name := range []string{"first", "second", "urgent"} {
		awaitJob(e, name, batchv1.JobComplete)
	}
	var order []string
	for _, s := range w.Stamps("") {
		order = append(order, s.Words[0])
	}
	if want := []string{"urgent", "first", "second"}; !slices.Equal(order, want) {
		t.Errorf("they started as %v, want %v", order, want)
	}
}

func pushAGangTakesAllItsPodsOrNone(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, kit.PushPool("gang").Idle(2).Max(2))
	gang := func(name string, pods int32) *batchv1.Job {
		return kit.Launch(name, h).Args("-work", "1s", name).Annotate(map[string]string{v1alpha1.AnnotationGang: "true"}).
			Spec(func(s *batchv1.JobSpec) { s.Parallelism, s.Completions = new(pods), new(pods) }).Obj()
	}
	e.Create(gang("three", 3)) // more than there are: all of it starts cold
	awaitJob(e, "three", batchv1.JobComplete)
	if got := startsOf(e, "three"); !slices.Equal(got, []string{"cold", "cold", "cold"}) {
		t.Errorf("the gang of three started %v, want all cold", got)
	}
	e.Create(gang("two", 2))
	awaitJob(e, "two", batchv1.JobComplete)
	if got := startsOf(e, "two"); !slices.Equal(got, []string{"warm", "warm"}) {
		t.Errorf("the gang of two started %v, want all warm", got)
	}
}
