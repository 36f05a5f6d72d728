// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
)

// ReasonNotLaunched is the reason of the Event on a Job that asks for a pool and that no launcher runs.
const ReasonNotLaunched = "NotLaunched"

// newest is how old a Job may be that is told about: whoever leads from now on sees all that there are.
const newest = time.Minute

// Overlooked tells by an Event why a Job that asks for a pool runs as an ordinary Job: the warnings that the webhook answers
// with don't reach those whose Jobs are made by a controller, and there are none when it wasn't asked.
type Overlooked struct {
	handler  *Handler
	recorder events.EventRecorder
	clock    clock.PassiveClock
	jobs     workqueue.TypedInterface[*batchv1.Job]
}

// NewOverlooked is an Overlooked that decides as a handler does.
func NewOverlooked(h *Handler, recorder events.EventRecorder, c clock.PassiveClock) *Overlooked {
	return &Overlooked{handler: h, recorder: recorder, clock: c, jobs: workqueue.NewTyped[*batchv1.Job]()}
}

// Observe hears of a Job with the label of a pool that names nobody in spec.managedBy.
func (o *Overlooked) Observe(job *batchv1.Job) {
	if o.clock.Since(job.CreationTimestamp.Time) <= newest {
		o.jobs.Add(job)
	}
}

// NeedLeaderElection says that one replica alone tells.
func (o *Overlooked) NeedLeaderElection() bool { return true }

// Start tells until ctx is done.
func (o *Overlooked) Start(ctx context.Context) error {
	context.AfterFunc(ctx, o.jobs.ShutDown)
	for {
		job, done := o.jobs.Get()
		if done {
			return nil
		}
		o.recorder.Eventf(job, nil, corev1.EventTypeWarning, ReasonNotLaunched, "Start", "%s", o.why(ctx, job))
		o.jobs.Done(job)
	}
}

// why says why a Job was left alone.
func (o *Overlooked) why(ctx context.Context, of *batchv1.Job) string {
	j := &job{ObjectMeta: of.ObjectMeta}
	if d := o.handler.decide(ctx, j, of.Namespace); !d.launch {
		return strings.Join(d.warnings, "; ")
	}
	pool, _ := j.pool()
	return fmt.Sprintf("when it was created, the webhook gave no answer in time, or there was no pool %s yet: the Job runs as an "+
		"ordinary Job; create it again", pool)
}
