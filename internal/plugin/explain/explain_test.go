// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/launch"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func before(d time.Duration) metav1.Time { return metav1.NewTime(now().Add(-d)) }

func aPool(change ...func(*v1alpha1.HotStandbyJob)) *v1alpha1.HotStandbyJob {
	h := &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: "match", Annotations: map[string]string{}},
		Spec:       v1alpha1.HotStandbyJobSpec{Assignment: v1alpha1.AssignmentPush, IdleTarget: 3, Standby: &v1alpha1.StandbySpec{}},
		Status: v1alpha1.HotStandbyJobStatus{IdleCount: 3, CurrentRevision: "r2", Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: condition.ReasonIdleTargetMet, Message: "3 of 3 promised units are idle"},
		}},
	}
	for _, c := range change {
		c(h)
	}
	return h
}

func says(t string, status metav1.ConditionStatus, reason, message string) func(*v1alpha1.HotStandbyJob) {
	return func(h *v1alpha1.HotStandbyJob) {
		h.Status.Conditions = slices.DeleteFunc(h.Status.Conditions, func(c metav1.Condition) bool { return c.Type == t })
		h.Status.Conditions = append(h.Status.Conditions, metav1.Condition{Type: t, Status: status, Reason: reason, Message: message})
	}
}

func aJob(name string, change ...func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name), CreationTimestamp: before(time.Minute),
			Labels: map[string]string{v1alpha1.LabelPool: "match"}, Annotations: map[string]string{},
		},
		Spec:   batchv1.JobSpec{ManagedBy: new(v1alpha1.ManagedByLauncher)},
		Status: batchv1.JobStatus{StartTime: new(before(time.Minute))},
	}
	for _, c := range change {
		c(j)
	}
	return j
}

// began is a Job that has its pods, and a condition.
func began(c batchv1.JobCondition) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.Status.Active, j.Status.Conditions = 1, append(j.Status.Conditions, c) }
}

func aPod(name, start, reason string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, CreationTimestamp: before(2 * time.Minute),
			Labels:          map[string]string{v1alpha1.LabelLaunch: "match"},
			Annotations:     map[string]string{v1alpha1.AnnotationStart: start, v1alpha1.AnnotationColdReason: reason},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "j", UID: "j", Controller: new(true)}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
}

func standby(name string, state v1alpha1.PodState, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: before(time.Minute), Labels: map[string]string{
			v1alpha1.LabelName: "match", v1alpha1.LabelState: string(state), v1alpha1.LabelRevision: "r2",
		}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func pulls(p *corev1.Pod) {
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}},
	}}}
}

func exits(code int32, restarts int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		end := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error"}}
		status := corev1.ContainerStatus{Name: "worker", State: end}
		if restarts > 0 {
			status = corev1.ContainerStatus{Name: "worker", RestartCount: restarts, LastTerminationState: end}
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{status}
	}
}

func changed(p corev1.Pod, change func(*corev1.Pod)) corev1.Pod {
	change(&p)
	return p
}

func event(reason, message string) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: "Job", Name: "j", UID: "j"},
		Reason:         reason, Message: message, EventTime: metav1.NewMicroTime(now().Add(-50 * time.Second)),
	}
}

// TestExplain looks for texts and remedies, in this order.
func TestExplain(t *testing.T) {
	waits := func(h *v1alpha1.HotStandbyJob) { h.Spec.Standby.WhenEmpty = v1alpha1.WhenEmptyWait }
	for name, tc := range map[string]struct {
		s    Snapshot
		want []string // "text" or "text → remedy"
	}{
		"a full pool":        {Snapshot{Pool: aPool()}, []string{"shall have 3 idle units; it has 3 idle", "it is full"}},
		"a paused pool":      {Snapshot{Pool: aPool(func(h *v1alpha1.HotStandbyJob) { h.Spec.Paused = true })}, []string{"is paused → kubectl hsj resume match"}},
		"no idle target":     {Snapshot{Pool: aPool(func(h *v1alpha1.HotStandbyJob) { h.Spec.IdleTarget = 0 })}, []string{"idleTarget is 0 → kubectl scale hsj/match"}},
		"a drained pool":     {Snapshot{Pool: aPool(func(h *v1alpha1.HotStandbyJob) { h.Annotations[v1alpha1.AnnotationDrained] = "{}" })}, []string{"drained → kubectl hsj resume"}},
		"no operator":        {Snapshot{Pool: aPool(func(h *v1alpha1.HotStandbyJob) { h.Generation = 2 })}, []string{"hasn't seen the last change → kubectl -n"}},
		"never looked at":    {Snapshot{Pool: aPool(func(h *v1alpha1.HotStandbyJob) { h.Status.Conditions = nil })}, []string{"never looked → see whether it runs"}},
		"a full quota":       {Snapshot{Pool: aPool(says(v1alpha1.ConditionDegraded, metav1.ConditionTrue, condition.ReasonPodsRefused, "exceeded quota"))}, []string{"PodsRefused: exceeded quota → raise the quota"}},
		"an upper bound":     {Snapshot{Pool: aPool(says(v1alpha1.ConditionAtCapacity, metav1.ConditionTrue, condition.ReasonMaxReplicas, "no room"))}, []string{"MaxReplicas: no room → raise spec.maxReplicas"}},
		"units are starting": {Snapshot{Pool: aPool(says(v1alpha1.ConditionReady, metav1.ConditionFalse, condition.ReasonIdleTargetNotMet, "1 of 3"))}, []string{"IdleTargetNotMet: 1 of 3 → wait"}},
		"units fail": {
			Snapshot{
				Pool: aPool(func(h *v1alpha1.HotStandbyJob) {
					h.Status.ConsecutiveFailures, h.Status.LastFailureTime = 4, new(before(time.Minute))
				}),
				Pods: []corev1.Pod{standby("bad", v1alpha1.PodIdle, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })},
			},
			[]string{"failed 4 times in a row, last 1m0s ago → kubectl logs bad"},
		},
		"pods that can't start": {
			Snapshot{Pool: aPool(), Pods: []corev1.Pod{standby("a", v1alpha1.PodIdle, pulls), standby("b", v1alpha1.PodIdle, pulls)}},
			[]string{"pod a and 1 more have been starting for 1m0s: ErrImagePull: no such image → kubectl describe pod a"},
		},
		"launches wait": {
			Snapshot{Pool: aPool(), Jobs: []batchv1.Job{*aJob("late"), *aJob("urgent", func(j *batchv1.Job) { j.Annotations[v1alpha1.AnnotationPriority] = "5" })}},
			[]string{"launches that wait for pods: 2 (urgent, late) → raise spec.idleTarget"},
		},
		"a launch whose status isn't written yet doesn't wait": {
			Snapshot{Pool: aPool(), Jobs: []batchv1.Job{*aJob("late"), *aJob("new", func(j *batchv1.Job) {
				j.CreationTimestamp, j.Status = before(time.Second), batchv1.JobStatus{}
			})}},
			[]string{"launches that wait for pods: 1 (late)"},
		},
		"launches started cold": {
			Snapshot{Pool: aPool(), Jobs: []batchv1.Job{
				*aJob("newest", began(batchv1.JobCondition{Type: launch.ConditionWarm, Status: corev1.ConditionTrue})),
				*aJob("newer", began(batchv1.JobCondition{Type: launch.ConditionWarm, Status: corev1.ConditionFalse})),
				*aJob("old", began(batchv1.JobCondition{Type: launch.ConditionWarm, Status: corev1.ConditionFalse}), func(j *batchv1.Job) { j.CreationTimestamp = before(time.Hour) }),
			}},
			[]string{"had pods that started cold: 2 of 3, the last of them made 1m0s ago → kubectl hsj explain job/newer"},
		},
		"the last launches": {
			Snapshot{Pool: aPool(), Launches: []page.Launch{{Job: "j", Pod: "p", Start: "warm", Seen: now().Add(-5 * time.Second), Total: 0.0215, Queue: 0.0005, Claim: 0.012, Deliver: 0.001, Begin: 0.008}}},
			[]string{"5s ago: Job j started warm in pod p, after 22ms: queue 500µs, claim 12ms, deliver 1ms, start 8ms"},
		},

		"a Job without the label":   {Snapshot{Target: "job", Job: aJob("j", func(j *batchv1.Job) { j.Labels = nil })}, []string{"doesn't ask for a pool → label the Job"}},
		"a Job that no webhook saw": {Snapshot{Target: "job", Job: aJob("j", func(j *batchv1.Job) { j.Spec.ManagedBy = nil })}, []string{"no webhook → see whether the operator runs"}},
		"somebody else's Job":       {Snapshot{Target: "job", Job: aJob("j", func(j *batchv1.Job) { j.Spec.ManagedBy = new("example.com/x") })}, []string{"example.com/x runs it → leave spec.managedBy out"}},
		"a pool that isn't there":   {Snapshot{Target: "job", PoolName: "match", Job: aJob("j")}, []string{"there is no pool match → make one"}},
		"a pool that is Pull": {
			Snapshot{Target: "job", Job: aJob("j"), Pool: aPool(func(h *v1alpha1.HotStandbyJob) { h.Spec.Assignment = v1alpha1.AssignmentPull })},
			[]string{"hands out no work → make a pool with assignment: Push"},
		},
		"a Job that nobody looked at": {Snapshot{Target: "job", Pool: aPool(), Job: aJob("j", func(j *batchv1.Job) { j.Status.StartTime = nil })}, []string{"hasn't looked at it → see whether it runs"}},
		"a Job that was made just now": {
			Snapshot{Target: "job", Pool: aPool(), Job: aJob("j", func(j *batchv1.Job) { j.Status.StartTime, j.CreationTimestamp = nil, before(time.Second) })},
			[]string{"it has no status yet → ask again"},
		},
		"a Job that is suspended": {
			Snapshot{Target: "job", Pool: aPool(), Job: aJob("j", func(j *batchv1.Job) { j.Status.StartTime, j.Spec.Suspend = nil, new(true) })},
			[]string{"it is suspended → to start it: kubectl patch job j"},
		},
		"a warm launch": {Snapshot{Target: "job", Pool: aPool(), Job: aJob("j"), Pods: []corev1.Pod{aPod("p", "warm", "")}}, []string{"claimed pod p, which was made 2m0s ago, before the Job"}},
		"a cold launch: none was idle": {
			Snapshot{
				Target: "job", PoolName: "match", Pool: aPool(), Job: aJob("j"), Pods: []corev1.Pod{aPod("p", "cold", "no pod was idle")},
				Events: []corev1.Event{event(launch.ReasonStartedCold, "starts cold: no pod of pool match is idle")},
			},
			[]string{"50s ago: it starts cold: no pod of pool match is idle → kubectl scale hsj/match", "pod p was made for it 2m0s ago, cold: no pod was idle"},
		},
		"a cold launch: a field differs": {
			Snapshot{Target: "job", PoolName: "match", Pool: aPool(), Job: aJob("j"), Pods: []corev1.Pod{aPod("p", "cold", "spec.template.spec.containers[worker].image differs from the pool's")}},
			[]string{"image differs → give the field the same value"},
		},
		"a cold launch: a gang too large": {
			Snapshot{Target: "job", PoolName: "match", Pool: aPool(), Job: aJob("j"), Events: []corev1.Event{event(launch.ReasonStartedCold, "starts cold: pool match has never more than 2 idle pods, and the gang wants more at once")}},
			[]string{"the gang wants more → raise spec.maxReplicas"},
		},
		"a launch that waits": {
			Snapshot{Target: "job", PoolName: "match", Pool: aPool(waits), Job: aJob("j"), Jobs: []batchv1.Job{
				*aJob("j"), *aJob("first", func(j *batchv1.Job) { j.Status.StartTime = new(before(time.Hour)) }),
				*aJob("runs", func(j *batchv1.Job) { j.Status.Active, j.Status.StartTime = 1, new(before(time.Hour)) }),
			}},
			[]string{"it waits for a pod: 1 before it → priority"},
		},
		"a launch in the phases that the operator remembers": {
			Snapshot{
				Target: "job", Pool: aPool(), Job: aJob("j"), Pods: []corev1.Pod{aPod("p", "warm", "")},
				Launches: []page.Launch{{Job: "j", Pod: "p", Start: "waited", Seen: now().Add(-time.Minute), Total: 2, Queue: 1.98}},
			},
			[]string{"1m0s ago: Job j started waited in pod p, after 2s: queue 1.98s"},
		},
		"a pod that was replaced": {
			Snapshot{Target: "job", Pool: aPool(), Job: aJob("j"), Events: []corev1.Event{event(launch.ReasonPodReplaced, "pod p didn't start its command in time")}},
			[]string{"didn't start its command in time → startTimeoutSeconds"},
		},
		"a rejected launch": {
			Snapshot{Target: "job", PoolName: "match", Pool: aPool(), Job: aJob("j", func(j *batchv1.Job) {
				j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: launch.ReasonPoolEmpty, Message: "none idle", LastTransitionTime: before(time.Second)}}
			})},
			[]string{"it failed 1s ago: PoolEmpty: none idle → kubectl scale hsj/match"},
		},

		"a launch whose command failed": {
			Snapshot{Target: "job", Pool: aPool(), Pods: []corev1.Pod{changed(aPod("p", "warm", ""), exits(3, 0))}, Job: aJob("j", func(j *batchv1.Job) {
				j.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: "BackoffLimitExceeded"}}
			})},
			[]string{"claimed pod p", "container worker of pod p ended with exit code 3 (Error) → kubectl logs p -c worker", "it failed some time ago: BackoffLimitExceeded"},
		},
		"a launch whose status isn't written yet": {
			Snapshot{Target: "job", Pool: aPool(), Pods: []corev1.Pod{aPod("p", "warm", ""), aPod("q", "cold", "none")}, Job: aJob("j", func(j *batchv1.Job) { j.Status = batchv1.JobStatus{} })},
			[]string{"the operator runs it", "claimed pod p", "1 of 2 pods started warm"},
		},
		"a command that is run again": {
			Snapshot{Target: "pod", Pool: aPool(), Pod: new(changed(aPod("p", "warm", ""), exits(137, 2))), Job: aJob("j")},
			[]string{"ended with exit code 137 (Error); restarts: 2 → kubectl logs p -c worker --previous"},
		},
		"a pod that was evicted": {
			Snapshot{Target: "job", Pool: aPool(), Job: aJob("j"), Pods: []corev1.Pod{changed(aPod("p", "warm", ""), func(p *corev1.Pod) {
				p.Status.Reason, p.Status.Message = "Evicted", "no memory"
			})}},
			[]string{"pod p was ended: Evicted: no memory → kubectl describe pod p"},
		},

		"a stranger's pod": {Snapshot{Target: "pod", Pod: &corev1.Pod{}}, []string{"of no pool and of no launch"}},
		"an idle pod":      {Snapshot{Target: "pod", Pool: aPool(), Pod: new(standby("p", v1alpha1.PodIdle))}, []string{"pod of pool match: idle"}},
		"a pod that isn't warm": {
			Snapshot{Target: "pod", Pool: aPool(), Pod: new(standby("p", v1alpha1.PodIdle, pulls))},
			[]string{"isn't warm yet", "can't start: ErrImagePull → kubectl describe pod p"},
		},
		"a pod that retires":     {Snapshot{Target: "pod", Pool: aPool(), Pod: new(standby("p", v1alpha1.PodRetiring))}, []string{"being retired"}},
		"a pod of an old kind":   {Snapshot{Target: "pod", Pool: aPool(), Pod: new(standby("p", v1alpha1.PodIdle, func(p *corev1.Pod) { p.Labels[v1alpha1.LabelRevision] = "r1" }))}, []string{"old revision"}},
		"a claimed pod":          {Snapshot{Target: "pod", Pool: aPool(), Pod: new(aPod("p", "warm", "")), Job: aJob("j")}, []string{"Job j claimed it from pool match; the Job was made 1m0s ago"}},
		"a pod that began cold":  {Snapshot{Target: "pod", PoolName: "match", Pool: aPool(), Pod: new(aPod("p", "cold", "no pod was idle"))}, []string{"made for Job j, cold: no pod was idle → kubectl scale"}},
		"a claim that was timed": {Snapshot{Target: "pod", Pool: aPool(), Pod: new(aPod("p", "warm", "")), Launches: []page.Launch{{Job: "j", Pod: "p", Start: "warm", Seen: now()}}}, []string{"0s ago: Job j started warm in pod p"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.s.Now = now()
			steps := Explain(tc.s)
			if len(tc.s.Pods) > 0 && slices.ContainsFunc(steps, func(s Step) bool { return strings.Contains(s.Text, "hasn't looked at it") }) {
				t.Errorf("it has pods, and nobody made them: %v", steps)
			}
			i := 0
			for _, want := range tc.want {
				text, remedy, _ := strings.Cut(want, " → ")
				for ; i < len(steps) && !contains(steps[i], text, remedy); i++ {
				}
				if i == len(steps) {
					t.Fatalf("%q isn't said, or not in this order: %s", want, cmp.Diff(nil, steps))
				}
			}
		})
	}
}

// contains tells whether a step says all words, in this order.
func contains(s Step, text, remedy string) bool {
	at := s.Text
	for word := range strings.FieldsSeq(text) {
		_, after, ok := strings.Cut(at, word)
		if !ok {
			return false
		}
		at = after
	}
	return strings.Contains(s.Remedy, remedy)
}

func TestTheReasonsAreTheOperatorsOwn(t *testing.T) {
	for ours, theirs := range map[string]string{
		startedCold: launch.ReasonStartedCold, waitingFor: launch.ReasonWaiting, podReplaced: launch.ReasonPodReplaced,
		poolEmpty: launch.ReasonPoolEmpty, badPriority: launch.ReasonInvalidPriority, warmCondition: string(launch.ConditionWarm),
	} {
		if ours != theirs {
			t.Errorf("%q is looked for, the operator says %q", ours, theirs)
		}
	}
	for _, reason := range []string{
		condition.ReasonInvalidTemplate, condition.ReasonUnsupported, condition.ReasonRefused, condition.ReasonPodsRefused, condition.ReasonUnitsFailing,
		condition.ReasonUnitsStuck, condition.ReasonSignalUnknown, condition.ReasonMaxReplicas, condition.ReasonIdleTargetNotMet, condition.ReasonScaling,
	} {
		if remedies()[reason] == "" {
			t.Errorf("nothing is said of what to do about %s", reason)
		}
	}
}

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"match": "pool match", "hsj/match": "pool match", "job/a": "job a", "jobs/a": "job a", "pod/b": "pod b", "po/b": "pod b", "node/c": " ",
	} {
		kind, name, err := target(text)
		if got := kind + " " + name; got != want || (err != nil) != (want == " ") {
			t.Errorf("%s is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestPrint(t *testing.T) {
	steps := []Step{{"it is so", ""}, {"it is not full", "wait"}}
	for format, want := range map[string]string{
		"":     "- it is so\n- it is not full\n    → wait\n",
		"yaml": "- text: it is so\n- remedy: wait\n  text: it is not full\n",
		"json": "[\n    {\n        \"text\": \"it is so\"\n    },\n    {\n        \"text\": \"it is not full\",\n        \"remedy\": \"wait\"\n    }\n]\n",
	} {
		var out bytes.Buffer
		if err := Print(&out, format, steps); err != nil || out.String() != want {
			t.Errorf("%s: %v\n%s", format, err, out.String())
		}
	}
	if err := Print(nil, "xml", nil); err == nil {
		t.Error("a format that isn't there is no error")
	}
}
