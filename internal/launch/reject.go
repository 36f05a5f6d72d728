// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"encoding/json"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ReasonPoolEmpty is the reason for which a Job fails when no pod is idle and its pool says Reject.
const ReasonPoolEmpty = "PoolEmpty"

// reject makes a Job fail, the way in which the embedded controller makes one fail: a condition FailureTarget, upon which
// it ends what runs of the Job, and turns it into Failed.
func (l *Launcher) reject(ctx context.Context, r request) error {
	job := r.job
	l.mu.Lock()
	s := l.stateOf(job)
	done := s.rejected
	l.mu.Unlock()
	if done {
		return errRejected
	}
	now := metav1.NewTime(l.deps.Clock.Now())
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": job.UID},
		"status": map[string]any{"conditions": []batchv1.JobCondition{{
			Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: ReasonPoolEmpty, LastProbeTime: now, LastTransitionTime: now,
			Message: rejected(poolOf(job).Name).note,
		}}},
	})
	if err != nil {
		return fmt.Errorf("reject Job %s: %w", job.Name, err)
	}
	// Merged by type: other conditions stay.
	_, err = l.deps.Client.BatchV1().Jobs(job.Namespace).Patch(ctx, job.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // it is gone, or another has its name
		return errRejected
	}
	if err != nil {
		return fmt.Errorf("reject Job %s: %w", job.Name, err)
	}
	l.mu.Lock()
	s.rejected = true
	l.mu.Unlock()
	l.deps.Observer.Rejected(r.launch)
	l.tell(job, rejected(poolOf(job).Name))
	return errRejected
}
