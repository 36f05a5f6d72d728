// SPDX-License-Identifier: Apache-2.0

package run

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func aJob(pods int32) *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "match-1", UID: "job", Labels: map[string]string{v1alpha1.LabelPool: "match"}},
		Spec:       batchv1.JobSpec{Parallelism: &pods, ManagedBy: new(v1alpha1.ManagedByLauncher)},
	}
}

func aPod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name), Annotations: map[string]string{v1alpha1.AnnotationStart: v1alpha1.StartWarm},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Job", Name: "match-1", UID: "job", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, NodeName: "n"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "worker", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func exits(code int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
	}
}

func waitsBecause(reason string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodPending
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "why"}}
	}
}

func restarted(code int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		s := &p.Status.ContainerStatuses[0]
		s.RestartCount, s.LastTerminationState.Terminated = 1, &corev1.ContainerStateTerminated{ExitCode: code}
	}
}

func with(j *batchv1.Job, t batchv1.JobConditionType, reason string) *batchv1.Job {
	j.Status.Conditions = []batchv1.JobCondition{{Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: "said"}}
	return j
}

func TestLaunchesEndAsTheirCommandsDo(t *testing.T) {
	evicted := func(p *corev1.Pod) {
		p.Status.ContainerStatuses, p.Status.Phase, p.Status.Reason, p.Status.Message = nil, corev1.PodFailed, "Evicted", "no memory"
	}
	for name, tc := range map[string]struct {
		want    int32
		pods    []*corev1.Pod
		job     *batchv1.Job
		ends    bool
		code    int
		because string
	}{
		"it runs":                           {1, []*corev1.Pod{aPod("a")}, nil, false, 0, ""},
		"nothing has begun":                 {1, nil, nil, false, 0, ""},
		"it ended well":                     {1, []*corev1.Pod{aPod("a", exits(0))}, nil, true, 0, ""},
		"it ended with a code":              {1, []*corev1.Pod{aPod("a", exits(3))}, nil, true, 3, ""},
		"one of a gang goes on":             {2, []*corev1.Pod{aPod("a", exits(3)), aPod("b")}, nil, false, 0, ""},
		"all of a gang have ended":          {2, []*corev1.Pod{aPod("a", exits(0)), aPod("b", exits(4))}, nil, true, 4, ""},
		"the first that failed counts":      {2, []*corev1.Pod{aPod("a", exits(3)), aPod("b", exits(143))}, nil, true, 3, ""},
		"the Job ended before all had":      {2, []*corev1.Pod{aPod("a", exits(3)), aPod("b")}, with(aJob(2), batchv1.JobFailed, "BackoffLimitExceeded"), true, 3, ""},
		"it was started again":              {1, []*corev1.Pod{aPod("a", restarted(5))}, nil, false, 0, ""},
		"it was started again, to no avail": {1, []*corev1.Pod{aPod("a", restarted(5))}, with(aJob(1), batchv1.JobFailed, "BackoffLimitExceeded"), true, 5, ""},
		"another Job's pod":                 {1, []*corev1.Pod{aPod("a", exits(3), func(p *corev1.Pod) { p.OwnerReferences[0].UID = "other" })}, nil, false, 0, ""},
		"its pod was evicted":               {1, []*corev1.Pod{aPod("a", evicted)}, with(aJob(1), batchv1.JobFailed, "BackoffLimitExceeded"), true, 1, "Evicted: no memory"},
		"it was rejected":                   {1, nil, with(aJob(1), batchv1.JobFailed, reasonPoolEmpty), true, 1, "kubectl scale hsj/match"},
		"it was too late":                   {1, nil, with(aJob(1), batchv1.JobFailed, "DeadlineExceeded"), true, 1, "DeadlineExceeded: said"},
		"only the Job is known":             {1, nil, with(aJob(1), batchv1.JobComplete, ""), true, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProgress(aJob(tc.want), pushPool(shorthand()), "worker")
			for _, pod := range tc.pods {
				p.observePod(pod, false)
			}
			if tc.job != nil {
				p.observeJob(tc.job, false)
			}
			end := p.finished()
			if (end != nil) != tc.ends {
				t.Fatalf("it has ended: %+v, want %v", end, tc.ends)
			}
			if end == nil {
				return
			}
			if end.code != tc.code || (end.why == nil) != (tc.because == "") || end.why != nil && !strings.Contains(end.why.Error(), tc.because) {
				t.Errorf("it ended with %d, %v; want %d, %q", end.code, end.why, tc.code, tc.because)
			}
		})
	}
}

func TestAJobThatIsDeletedEndsTheLaunch(t *testing.T) {
	p := newProgress(aJob(1), pushPool(shorthand()), "worker")
	p.observePod(aPod("a"), false)
	p.observeJob(aJob(1), true)
	if end := p.finished(); end == nil || end.why == nil || end.code != 1 {
		t.Errorf("it ended with %+v", end)
	}
}

func TestEachRunOfAContainerIsFollowedOnce(t *testing.T) {
	h := pushPool(shorthand())
	h.Spec.Standby = &v1alpha1.StandbySpec{Warmup: &v1alpha1.Warmup{Command: []string{"warm"}}}
	warmed := metav1.NewTime(time.Unix(1000, 0))
	ready := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: warmed}}
	}
	p := newProgress(aJob(1), h, "worker")
	if s := p.observePod(aPod("a", waitsBecause("ContainerCreating")), false); s != nil {
		t.Errorf("a container that waits is followed: %+v", s)
	}
	if p.started() {
		t.Error("it has started")
	}
	s := p.observePod(aPod("a", ready), false)
	if s == nil || s.pod != "a" || s.since == nil || !s.since.Equal(&warmed) {
		t.Errorf("followed is %+v, want what came after the warm-up", s)
	}
	if s := p.observePod(aPod("a", ready), false); s != nil || !p.started() {
		t.Errorf("it is followed again: %+v", s)
	}
	if s := p.observePod(aPod("a", ready, restarted(1)), false); s == nil || s.since != nil {
		t.Errorf("of its second run %+v is followed, want all", s)
	}
}

func TestWhatKeepsALaunchFromStarting(t *testing.T) {
	begun := aJob(1)
	begun.Status.StartTime = &metav1.Time{Time: time.Unix(1, 0)}
	plain := aJob(1)
	plain.Spec.ManagedBy = nil
	for name, tc := range map[string]struct {
		job  *batchv1.Job
		pod  *corev1.Pod
		want string
	}{
		"no operator": {aJob(1), nil, "hotstandbyjob-system"},
		"no pod":      {begun, nil, "kubectl hsj explain match"},
		"no webhook":  {plain, nil, "kubectl describe job"},
		"the image":   {begun, aPod("a", waitsBecause("ErrImagePull")), "ErrImagePull: why"},
		"the schedule": {begun, aPod("a", func(p *corev1.Pod) {
			p.Spec.NodeName, p.Status.ContainerStatuses = "", nil
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "no node"}}
		}), "Unschedulable: no node"},
	} {
		p := newProgress(tc.job, pushPool(shorthand()), "worker")
		if tc.pod != nil {
			p.observePod(tc.pod, false)
		}
		if got := p.stuck(); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q in it", name, got, tc.want)
		}
	}
}
