// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

// say writes events in short.
func say(events []*launcherv1.LaunchResponse) []string {
	said := []string{}
	for _, e := range events {
		switch of := e.GetEvent().(type) {
		case *launcherv1.LaunchResponse_Bound:
			said = append(said, fmt.Sprintf("bound warm=%v ip=%s", of.Bound.GetWarm(), of.Bound.GetPodIp()))
		case *launcherv1.LaunchResponse_Started:
			said = append(said, "started")
		case *launcherv1.LaunchResponse_PodFinished:
			said = append(said, fmt.Sprintf("finished %d %s", of.PodFinished.GetExitCode(), of.PodFinished.GetReason()))
		}
	}
	return said
}

func podOfJob(start string, changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "p", UID: "p", Annotations: map[string]string{v1alpha1.AnnotationStart: start},
		OwnerReferences: []metav1.OwnerReference{{UID: "job", Controller: new(true)}},
	}}
	for _, change := range changes {
		change(p)
	}
	return p
}

func running(p *corev1.Pod) {
	placed(p)
	p.Status.Phase = corev1.PodRunning
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
}

func placed(p *corev1.Pod) { p.Spec.NodeName, p.Status.PodIP = "n", "10.0.0.1" }

func evicted(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" }

func TestStoryOfAPod(t *testing.T) {
	cold, warm := v1alpha1.StartCold, v1alpha1.StartWarm
	type step struct {
		pod  *corev1.Pod
		gone bool
		want []string
	}
	for name, steps := range map[string][]step{
		"a cold pod": {
			{podOfJob(cold), false, []string{}},
			{podOfJob(cold, placed), false, []string{"bound warm=false ip=10.0.0.1"}},
			{podOfJob(cold, running), false, []string{"started"}},
			{podOfJob(cold, running), false, []string{}},
			{podOfJob(cold, running, exited(3)), false, []string{"finished 3 Error"}},
			{podOfJob(cold, running, exited(3)), true, []string{}},
		},
		"a warm pod runs before it has started the command": {
			{podOfJob(warm, running), false, []string{"bound warm=true ip=10.0.0.1"}},
			{podOfJob(warm, running, exited(0)), false, []string{"started", "finished 0 Error"}},
		},
		"a pod that is seen when all is over": {
			{podOfJob(cold, running, exited(0)), false, []string{"bound warm=false ip=10.0.0.1", "started", "finished 0 Error"}},
		},
		"a pod that was evicted before it ran": {
			{podOfJob(cold, evicted), false, []string{"bound warm=false ip=", "finished -1 Evicted"}},
		},
		"a pod that was deleted while it ran": {
			{podOfJob(cold, running), false, []string{"bound warm=false ip=10.0.0.1", "started"}},
			{podOfJob(cold, running), true, []string{"finished -1 Deleted"}},
		},
		"a pod of another Job": {
			{podOfJob(cold, running, func(p *corev1.Pod) { p.OwnerReferences[0].UID = "other" }), false, []string{}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory("job")
			for i, step := range steps {
				if diff := cmp.Diff(step.want, say(s.pod(step.pod, step.gone))); diff != "" {
					t.Errorf("step %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestAWarmPodSaysItselfThatItHasStarted(t *testing.T) {
	s := newStory("job")
	s.pod(podOfJob(v1alpha1.StartWarm, running), false)
	if diff := cmp.Diff(1, len(s.awaited())); diff != "" {
		t.Error(diff)
	}
	for _, want := range [][]string{{"started"}, {}} {
		if diff := cmp.Diff(want, say(s.started("p"))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if n := len(s.awaited()); n != 0 {
		t.Errorf("%d are awaited", n)
	}
}

func TestStoryOfAJob(t *testing.T) {
	ended := func(c batchv1.JobConditionType) *batchv1.Job {
		return &batchv1.Job{Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}, {Type: c, Status: corev1.ConditionTrue, Reason: "R", Message: "M"},
		}}}
	}
	for name, tc := range map[string]struct {
		codes []int32
		job   *batchv1.Job
		gone  bool
		want  *launcherv1.Finished
	}{
		"it runs":                              {nil, &batchv1.Job{}, false, nil},
		"it is complete":                       {[]int32{0}, ended(batchv1.JobComplete), false, &launcherv1.Finished{Succeeded: true, Reason: "R", Message: "M"}},
		"it is complete at the second attempt": {[]int32{3, 0}, ended(batchv1.JobComplete), false, &launcherv1.Finished{Succeeded: true, Reason: "R", Message: "M"}},
		"it has failed":                        {[]int32{0, 3, 4}, ended(batchv1.JobFailed), false, &launcherv1.Finished{Reason: "R", Message: "M", ExitCode: 3}},
		"it has failed before it began":        {nil, ended(batchv1.JobFailed), false, &launcherv1.Finished{Reason: "R", Message: "M", ExitCode: -1}},
		"it was deleted":                       {nil, &batchv1.Job{}, true, &launcherv1.Finished{Reason: "Deleted", Message: "the Job was deleted before it had ended", ExitCode: -1}},
		"it was deleted when it had ended":     {[]int32{0}, ended(batchv1.JobComplete), true, &launcherv1.Finished{Succeeded: true, Reason: "R", Message: "M"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory("job")
			for i, code := range tc.codes {
				p := podOfJob(v1alpha1.StartCold, running, exited(code))
				p.UID = types.UID(fmt.Sprint(i))
				s.pod(p, false)
			}
			got := s.finished(tc.job, tc.gone)
			if got.String() != tc.want.String() {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
