// SPDX-License-Identifier: Apache-2.0

package run

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// progress is what is known of a launch. It does no I/O.
type progress struct {
	container string
	warmup    bool // what the warm-up wrote stands before what the command writes
	want      int  // pods
	job       *batchv1.Job
	deleted   bool // the Job was
	pods      map[types.UID]*podProgress
	order     []types.UID // as they came
}

// podProgress is what is known of one of its pods.
type podProgress struct {
	pod      *corev1.Pod
	streamed int32  // how many of its container's runs were followed
	code     *int32 // of the run that ended last
	ended    bool
	gone     bool // it was deleted
}

// stream is a run of a container that is to be followed.
type stream struct {
	pod   string
	since *metav1.Time // what was written before isn't the command's
}

func newProgress(job *batchv1.Job, h *v1alpha1.HotStandbyJob, container string) *progress {
	want := 1
	if job.Spec.Parallelism != nil {
		want = int(*job.Spec.Parallelism)
	}
	warmup := h.Spec.Standby != nil && h.Spec.Standby.Warmup != nil
	return &progress{container: container, warmup: warmup, want: want, job: job, pods: map[types.UID]*podProgress{}}
}

// observePod takes note of a pod, and returns the stream that is to be opened now, if any.
func (p *progress) observePod(pod *corev1.Pod, deleted bool) *stream {
	if owner := metav1.GetControllerOf(pod); owner == nil || owner.UID != p.job.UID {
		return nil // of another Job of that name
	}
	known, ok := p.pods[pod.UID]
	if !ok {
		known = &podProgress{}
		p.pods[pod.UID] = known
		p.order = append(p.order, pod.UID)
	}
	known.pod, known.gone = pod, deleted
	status := p.statusOf(pod)
	known.note(status)
	if status == nil || status.State.Waiting != nil || known.streamed > status.RestartCount {
		return nil
	}
	known.streamed = status.RestartCount + 1
	s := &stream{pod: pod.Name}
	if p.warmup && status.RestartCount == 0 && pod.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartWarm {
		s.since = readySince(pod)
	}
	return s
}

func (p *progress) statusOf(pod *corev1.Pod) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if s := &pod.Status.ContainerStatuses[i]; s.Name == p.container {
			return s
		}
	}
	return nil
}

// note reads how the container's last run has ended.
func (k *podProgress) note(s *corev1.ContainerStatus) {
	over := k.pod.Status.Phase == corev1.PodSucceeded || k.pod.Status.Phase == corev1.PodFailed
	if s != nil {
		last := s.State.Terminated
		if last != nil && k.pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
			over = true // the phase is told later
		}
		if last == nil {
			last = s.LastTerminationState.Terminated
		}
		if last != nil {
			k.code = &last.ExitCode
		}
	}
	k.ended = over
}

// readySince is when a pod became ready by its node's clock: its warm-up was over, and it had no command yet.
func readySince(pod *corev1.Pod) *metav1.Time {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && !c.LastTransitionTime.IsZero() {
			return &c.LastTransitionTime
		}
	}
	return nil
}

// observeJob takes note of the Job.
func (p *progress) observeJob(job *batchv1.Job, deleted bool) {
	if job.UID == p.job.UID {
		p.job, p.deleted = job, deleted
	}
}

// started says whether all pods run their command, or have.
func (p *progress) started() bool {
	n := 0
	for _, k := range p.pods {
		if k.streamed > 0 && !k.gone {
			n++
		}
	}
	return n >= p.want
}

// ending is how a launch has ended. With an exit code of its own, the code is all there is to say.
type ending struct {
	code int
	why  error // the command never ended by itself
}

// finished is how the launch has ended; nil if it hasn't.
func (p *progress) finished() *ending {
	ended, failed := p.endedPods()
	verdict := jobEnded(p.job)
	all := ended >= p.want
	switch {
	case failed != nil && failed.code != nil && (all || verdict != nil):
		return &ending{code: int(*failed.code)}
	case all && failed == nil, verdict != nil && verdict.Type == batchv1.JobComplete:
		return &ending{}
	case verdict != nil:
		return p.failedBy(verdict)
	case p.deleted:
		return &ending{code: 1, why: fmt.Errorf("Job %s was deleted by somebody else", p.job.Name)}
	}
	return nil
}

// endedPods counts the pods that have ended, and finds the first that failed.
func (p *progress) endedPods() (ended int, failed *podProgress) {
	for _, uid := range p.order {
		k := p.pods[uid]
		if !k.ended {
			continue
		}
		ended++
		if failed == nil && (k.code == nil || *k.code != 0) {
			failed = k
		}
	}
	return ended, failed
}

// failedBy is a failure that the Job's condition tells of.
func (p *progress) failedBy(c *batchv1.JobCondition) *ending {
	for _, uid := range p.order { // a container that was restarted has a code, though its pod was deleted
		if code := p.pods[uid].code; code != nil && *code != 0 {
			return &ending{code: int(*code)}
		}
	}
	for _, uid := range p.order {
		if s := p.pods[uid].pod.Status; s.Reason != "" {
			return &ending{code: 1, why: fmt.Errorf("pod %s was ended: %s: %s", p.pods[uid].pod.Name, s.Reason, s.Message)}
		}
	}
	if c.Reason == reasonPoolEmpty {
		pool := p.job.Labels[v1alpha1.LabelPool]
		return &ending{code: 1, why: fmt.Errorf("the launch was rejected: %s; raise the pool's spec.idleTarget (`kubectl scale hsj/%s --replicas=N`), "+
			"or set spec.standby.whenEmpty to Wait or ColdStart", c.Message, pool)}
	}
	return &ending{code: 1, why: fmt.Errorf("Job %s failed: %s: %s", p.job.Name, c.Reason, c.Message)}
}

// reasonPoolEmpty is the launcher's: see the reasons of Events in docs/push.md.
const reasonPoolEmpty = "PoolEmpty"

func jobEnded(j *batchv1.Job) *batchv1.JobCondition {
	for i, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return &j.Status.Conditions[i]
		}
	}
	return nil
}

// stuck says why the command hasn't started, and what to do.
func (p *progress) stuck() string {
	for _, uid := range p.order {
		if k := p.pods[uid]; k.streamed == 0 && !k.gone {
			return fmt.Sprintf("pod %s doesn't start: %s", k.pod.Name, p.pending(k.pod))
		}
	}
	pool := p.job.Labels[v1alpha1.LabelPool]
	switch {
	case p.job.Spec.ManagedBy == nil:
		return "Kubernetes has made no pod for it: `kubectl describe job " + p.job.Name + "` says why"
	case p.job.Status.StartTime == nil:
		return "the operator hasn't taken the Job up: see whether it runs (kubectl -n hotstandbyjob-system get pods)"
	default:
		return fmt.Sprintf("no pod of pool %s became free: `kubectl hsj explain %s` says why", pool, pool)
	}
}

// pending says why a pod's container waits.
func (p *progress) pending(pod *corev1.Pod) string {
	if s := p.statusOf(pod); s != nil && s.State.Waiting != nil && s.State.Waiting.Reason != "" && pod.Spec.NodeName != "" {
		return s.State.Waiting.Reason + ": " + s.State.Waiting.Message
	}
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" {
			return c.Reason + ": " + c.Message
		}
	}
	return "`kubectl describe pod " + pod.Name + "` says why"
}
