// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"errors"
	"fmt"
	"maps"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/fit"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// Values of AnnotationColdReason; a difference is named by its field.
const (
	coldNoPool   = "there is no such pool"
	coldNotPush  = "the pool's assignment isn't Push"
	coldNoneIdle = "no pod was idle"
	coldGang     = "the gang is greater than the pool"
)

// request is a pod that the embedded controller wants.
type request struct {
	job   *batchv1.Job
	owner metav1.OwnerReference
	pod   *corev1.Pod
	pool  Pool

	launch Launch
}

// create gives the embedded controller the pod that it wants: an idle one where that is possible.
func (l *Launcher) create(ctx context.Context, namespace string, pod *corev1.Pod) (*corev1.Pod, error) {
	r, err := l.requestFor(namespace, pod)
	if err != nil {
		return nil, err
	}
	name, known := poolOf(r.job), false
	if r.pool, known = l.deps.Pools.Pool(name); !known {
		l.tell(r.job, noPool(name.Name))
		return l.cold(ctx, r, coldNoPool)
	}
	if !r.pool.Push {
		l.tell(r.job, notPush(name.Name))
		return l.cold(ctx, r, coldNotPush)
	}
	payload, mismatch := fit.Check(r.pool.Fit, pod)
	if mismatch != nil {
		l.tell(r.job, differs(name.Name, *mismatch))
		return l.cold(ctx, r, mismatch.Field+" differs from the pool's")
	}
	if gang, ok := r.job.Annotations[v1alpha1.AnnotationGang]; ok && gang != "true" && gang != "false" {
		l.tell(r.job, badGang(gang))
	}
	claim := standby.Claim{
		Pool: name, Owner: r.owner, Finalizers: pod.Finalizers, Payload: payload,
		Labels:      withLaunch(pod.Labels, name.Name),
		Annotations: withStart(pod.Annotations, v1alpha1.StartWarm, ""),
	}
	return l.warm(ctx, r, claim)
}

// maxDecisions is how often a launch is decided upon anew whose promised pod was lost, until that is an error.
const maxDecisions = 5

// warm claims an idle pod, or does what is to be done without one.
func (l *Launcher) warm(ctx context.Context, r request, claim standby.Claim) (*corev1.Pod, error) {
	var lost error
	for range maxDecisions {
		d := l.decide(r)
		r.launch.Waited = r.launch.Waited || d.waited
		if d.outcome != claims {
			return l.otherwise(ctx, r, d)
		}
		r.launch.Found = l.deps.Clock.Now()
		claim.Timing = standby.Timing{Seen: r.launch.Seen, Found: r.launch.Found, Waited: r.launch.Waited, Trace: r.launch.Trace}
		claimed, err := d.reservation.Claim(ctx, claim)
		l.settle(d, claimed, err)
		if err == nil {
			r.launch.Pod = claimed.Name
			l.deps.Observer.Claimed(r.launch)
			return claimed, nil
		}
		if !errors.Is(err, standby.ErrNoneIdle) {
			return nil, err
		}
		lost = err
	}
	return nil, lost
}

// otherwise does what becomes of a launch that gets no idle pod.
func (l *Launcher) otherwise(ctx context.Context, r request, d decision) (*corev1.Pod, error) {
	pool := poolOf(r.job).Name
	switch d.outcome {
	case waits:
		if _, ok := parsePriority(r.job.Annotations[v1alpha1.AnnotationPriority]); !ok {
			l.tell(r.job, badPriority(r.job.Annotations[v1alpha1.AnnotationPriority]))
		}
		l.tell(r.job, waiting(pool, d.before))
		return nil, errWaits
	case rejects:
		return nil, l.reject(ctx, r)
	default:
		if d.cold == coldGang {
			l.tell(r.job, gangTooLarge(pool, r.pool.Capacity))
		} else {
			l.tell(r.job, noneIdle(pool))
		}
		return l.cold(ctx, r, d.cold)
	}
}

func (l *Launcher) requestFor(namespace string, pod *corev1.Pod) (request, error) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return request{}, errors.New("create a pod: it has no Job")
	}
	r := request{owner: *owner, pod: pod}
	job, err := l.jobs.Lister().Jobs(namespace).Get(owner.Name)
	if err != nil {
		return request{}, fmt.Errorf("create a pod: %w", err)
	}
	if job.UID != owner.UID {
		return request{}, fmt.Errorf("create a pod: Job %s is another by now", owner.Name)
	}
	r.job = job
	r.launch = Launch{Pool: poolOf(job), Job: job.Name, Seen: l.seen(job), Trace: job.Annotations[v1alpha1.AnnotationTraceparent]}
	return r, nil
}

// cold creates the pod as the Job describes it.
func (l *Launcher) cold(ctx context.Context, r request, reason string) (*corev1.Pod, error) {
	r.launch.Found, r.launch.Cold, r.launch.Why = l.deps.Clock.Now(), coldOf(reason), reason
	pod := r.pod.DeepCopy()
	pod.Labels = withLaunch(pod.Labels, poolOf(r.job).Name)
	pod.Annotations = withStart(pod.Annotations, v1alpha1.StartCold, reason)
	l.mu.Lock()
	s := l.stateOf(r.job)
	s.inFlight++
	if l.need(r.job, s) == 0 {
		l.dequeue(s)
	}
	l.mu.Unlock()
	defer l.wakeNext(s.pool)

	created, err := l.deps.Client.CoreV1().Pods(r.job.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	l.mu.Lock()
	l.landed(s, created, v1alpha1.StartCold, err)
	l.mu.Unlock()
	if err == nil {
		l.created(s, created, r.launch)
	}
	return created, err // as the server said it: the embedded controller reads it
}

// withLaunch are the labels of a Job's pod without those that are the pool's own to give, and with the one by which
// launches are found.
func withLaunch(labels map[string]string, pool string) map[string]string {
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]string{}
	}
	for _, own := range []string{v1alpha1.LabelName, v1alpha1.LabelRevision, v1alpha1.LabelState} {
		delete(out, own)
	}
	out[v1alpha1.LabelLaunch] = pool
	return out
}

// withStart are the annotations of a Job's pod, likewise.
func withStart(annotations map[string]string, start, reason string) map[string]string {
	out := maps.Clone(annotations)
	if out == nil {
		out = map[string]string{}
	}
	for _, own := range []string{v1alpha1.AnnotationPayload, v1alpha1.AnnotationGatewayCA, v1alpha1.AnnotationColdReason} {
		delete(out, own)
	}
	out[v1alpha1.AnnotationStart] = start
	if reason != "" {
		out[v1alpha1.AnnotationColdReason] = reason
	}
	return out
}
