// SPDX-License-Identifier: Apache-2.0

package kit

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/lab"
)

// PoolBuilder builds a HotStandbyJob; what a test doesn't say is valid and doesn't matter.
type PoolBuilder struct{ h v1alpha1.HotStandbyJob }

// Pool begins a pool on the simulated nodes whose pods stay until they are told to end: no container runs.
func Pool(name string) *PoolBuilder {
	b := &PoolBuilder{h: v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.HotStandbyJobSpec{
			ScaleDownDelaySeconds: new(int32(1)),
			JobTemplate: v1alpha1.JobTemplate{
				BackoffLimit: new(int32(0)),
				Template: &corev1.PodTemplateSpec{Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: new(int64(1)),
					Containers: []corev1.Container{{
						Name: "worker", Image: "hotstandbyjob-worker:dev", ImagePullPolicy: corev1.PullIfNotPresent,
					}},
				}},
			},
		},
	}}
	lab.OnSimulatedNode(&b.h.Spec.JobTemplate.Template.Spec)
	return b
}

// Real has the pods run for real, in the lab's worker, with these arguments.
func (b *PoolBuilder) Real(args ...string) *PoolBuilder {
	spec := &b.h.Spec.JobTemplate.Template.Spec
	spec.NodeSelector, spec.Tolerations = nil, nil
	spec.Containers[0].Args = args
	return b
}

// Idle sets idleTarget.
func (b *PoolBuilder) Idle(n int) *PoolBuilder { b.h.Spec.IdleTarget = int32(n); return b }

// Min sets minReplicas.
func (b *PoolBuilder) Min(n int) *PoolBuilder { b.h.Spec.MinReplicas = new(int32(n)); return b }

// Max sets maxReplicas.
func (b *PoolBuilder) Max(n int) *PoolBuilder { b.h.Spec.MaxReplicas = new(int32(n)); return b }

// Delay sets scaleDownDelaySeconds.
func (b *PoolBuilder) Delay(seconds int) *PoolBuilder {
	b.h.Spec.ScaleDownDelaySeconds = new(int32(seconds))
	return b
}

// Layout sets layout.
func (b *PoolBuilder) Layout(l v1alpha1.Layout) *PoolBuilder { b.h.Spec.Layout = l; return b }

// Parallelism sets the number of pods of a unit.
func (b *PoolBuilder) Parallelism(n int) *PoolBuilder {
	b.h.Spec.JobTemplate.Parallelism = new(int32(n))
	return b
}

// Probe sets busyProbe.
func (b *PoolBuilder) Probe(p v1alpha1.BusyProbe) *PoolBuilder { b.h.Spec.BusyProbe = p; return b }

// With changes anything else.
func (b *PoolBuilder) With(change func(*v1alpha1.HotStandbyJobSpec)) *PoolBuilder {
	change(&b.h.Spec)
	return b
}

// Obj is the pool.
func (b *PoolBuilder) Obj() *v1alpha1.HotStandbyJob { return b.h.DeepCopy() }
