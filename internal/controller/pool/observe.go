// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"math"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/kube"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// snapshot is a pool as it was when it was looked at.
type snapshot struct {
	pool   *v1alpha1.HotStandbyJob
	name   types.NamespacedName
	memory *memory
	state  pool.State

	jobs  []*batchv1.Job              // all of the pool's
	pods  map[types.UID][]*corev1.Pod // by Job; plain pods, also those that were claimed, by the pool
	units []unit.Unit
	view  unit.View
}

// observe looks at a pool. It writes nothing but what makes the pool's own objects visible as such.
func (r *Reconciler) observe(ctx context.Context, h *v1alpha1.HotStandbyJob, m *memory) (*snapshot, error) {
	s := &snapshot{pool: h, name: client.ObjectKeyFromObject(h), memory: m}
	list := r.listUnits
	if push(h) {
		list = r.listStandbys
	}
	if err := list(ctx, s); err != nil {
		return nil, err
	}
	nodes, err := r.nodesOf(ctx, s.pods)
	if err != nil {
		return nil, err
	}
	s.view = unit.View{
		Now:      r.Clock.Now(),
		Probe:    h.Spec.BusyProbe,
		Readings: r.readings(ctx, s),
		Nodes:    nodes,
		Revision: object.Revision(h),

		ManagesEviction: object.ManagesEviction(h),
	}
	s.readUnits()
	r.consult(ctx, s)
	s.state = pool.State{Now: s.view.Now, Spec: s.spec(), Memory: m.decided}
	for _, u := range s.units {
		s.state.Units = append(s.state.Units, u.Unit)
	}
	return s, nil
}

// listUnits lists the Jobs of a pool and their pods.
func (r *Reconciler) listUnits(ctx context.Context, s *snapshot) error {
	jobs, err := r.listJobs(ctx, s.pool)
	if err != nil {
		return err
	}
	s.jobs = jobs
	return r.listPods(ctx, s)
}

// listJobs are the Jobs that the pool owns. Jobs without an owner that carry its label are adopted: a HotStandbyJob
// that was deleted without its Jobs left them. Those of another owner, such as one of the same name that is being
// deleted, are not touched.
func (r *Reconciler) listJobs(ctx context.Context, h *v1alpha1.HotStandbyJob) ([]*batchv1.Job, error) {
	var list batchv1.JobList
	if err := r.listCached(ctx, h, &list); err != nil {
		return nil, fmt.Errorf("list Jobs: %w", err)
	}
	var owned []*batchv1.Job
	for i := range list.Items {
		job := &list.Items[i]
		owner := metav1.GetControllerOfNoCopy(job)
		if owner == nil && job.DeletionTimestamp == nil {
			job = job.DeepCopy() // it is told what it has become
			if err := r.adopt(ctx, h, job); err != nil {
				return nil, err
			}
		} else if owner == nil || owner.UID != h.UID {
			continue
		}
		owned = append(owned, job)
	}
	return owned, nil
}

// listCached lists the Jobs or pods that are labelled as a pool's. They are those of the cache and not copies of them, of which
// each pass would make as many as the pool has units: they must not be changed.
func (r *Reconciler) listCached(ctx context.Context, h *v1alpha1.HotStandbyJob, list client.ObjectList) error {
	return r.Client.List(ctx, list, client.InNamespace(h.Namespace), client.MatchingFields{kube.PoolIndex: h.Name}, client.UnsafeDisableDeepCopy)
}

// listPods are the pods of the pool's Jobs, by Job. Pods that aren't labelled as the pool's, which an older operator
// made, are not in the cache: they are looked up at the API server and labelled.
func (r *Reconciler) listPods(ctx context.Context, s *snapshot) error {
	var list corev1.PodList
	if err := r.listCached(ctx, s.pool, &list); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	s.pods = map[types.UID][]*corev1.Pod{}
	for i := range list.Items {
		if owner := metav1.GetControllerOfNoCopy(&list.Items[i]); owner != nil {
			s.pods[owner.UID] = append(s.pods[owner.UID], &list.Items[i])
		}
	}
	for _, job := range s.jobs {
		if job.Spec.Template.Labels[v1alpha1.LabelName] == "" {
			if err := r.labelPods(ctx, s, job); err != nil {
				return err
			}
		}
	}
	return nil
}

// nodesOf are the nodes of the pods. One that isn't in the cache, or can't be read, isn't known.
func (r *Reconciler) nodesOf(ctx context.Context, pods map[types.UID][]*corev1.Pod) (map[string]unit.Node, error) {
	nodes := map[string]unit.Node{}
	for _, list := range pods {
		for _, p := range list {
			name := p.Spec.NodeName
			if _, known := nodes[name]; known || name == "" {
				continue
			}
			node := &corev1.Node{}
			if err := r.Client.Get(ctx, types.NamespacedName{Name: name}, node); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("get node %s: %w", name, err)
			} else if err != nil {
				nodes[name] = unit.Node{} // gone: what its pods do can't be known
				continue
			}
			nodes[name] = unit.Node{Ready: kube.NodeReady(node), Cordoned: node.Spec.Unschedulable}
		}
	}
	return nodes, nil
}

// readings tells the prober which pods to ask, and takes what it knows of them.
func (r *Reconciler) readings(ctx context.Context, s *snapshot) map[string]signal.Reading {
	if s.pool.Spec.BusyProbe.Mode == v1alpha1.BusyByReport {
		r.Prober.Forget(s.name)
		return r.reports(s.name)
	}
	targets := s.targets(unit.Ready)
	if targets == nil {
		r.Prober.Forget(s.name)
		s.memory.password = password{}
		return nil
	}
	r.Prober.Set(r.probePool(ctx, s, targets))
	readings := map[string]signal.Reading{}
	for uid, reading := range r.Prober.Readings(s.name) {
		readings[string(uid)] = reading
	}
	return readings
}

// readUnits turns Jobs and pods into units.
func (s *snapshot) readUnits() {
	for _, job := range s.jobs {
		if shared(job) {
			s.units = append(s.units, s.view.OfShared(job, s.pods[job.UID], unitSize(job))...)
			continue
		}
		s.units = append(s.units, s.view.OfJob(job, s.pods[job.UID], unitSize(job)))
	}
	if !push(s.pool) {
		return
	}
	for _, p := range s.pods[s.pool.UID] {
		if u, ok := s.view.OfPod(p); ok {
			s.units = append(s.units, u)
		}
	}
}

// spec is what the decision needs of the pool's spec.
func (s *snapshot) spec() pool.Spec {
	h := s.pool
	spec := pool.Spec{
		Revision:       s.view.Revision,
		IdleTarget:     int(h.Spec.IdleTarget),
		Min:            int(ptr.Deref(h.Spec.MinReplicas, 0)),
		Max:            math.MaxInt,
		ScaleDownDelay: time.Duration(ptr.Deref(h.Spec.ScaleDownDelaySeconds, 30)) * time.Second,
		MaxUnavailable: maxUnavailable(h),
		KeepFailed:     int(ptr.Deref(h.Spec.FailedUnitsHistoryLimit, 1)),
		KeepSucceeded:  int(ptr.Deref(h.Spec.SucceededUnitsHistoryLimit, 3)),
		Paused:         h.Spec.Paused,
		Refused:        s.memory.admission.refusal.Reason != "",
	}
	if h.Spec.MaxReplicas != nil {
		spec.Max = int(*h.Spec.MaxReplicas)
	}
	if push(h) {
		spec.MaxIdle = time.Duration(ptr.Deref(object.Standby(h).MaxIdleSeconds, 0)) * time.Second
	}
	if h.Spec.JobTemplate.TTLSecondsAfterFinished != nil && h.Spec.Layout != v1alpha1.LayoutSharedJob {
		spec.KeepSucceeded = math.MaxInt
	}
	return spec
}

// maxUnavailable is how many of the promised idle units may be missing in a rollout; 0 where there is none.
func maxUnavailable(h *v1alpha1.HotStandbyJob) int {
	if h.Spec.UpdateStrategy.Type == v1alpha1.UpdateOnDelete {
		return 0
	}
	value := intstr.FromString("25%")
	if ru := h.Spec.UpdateStrategy.RollingUpdate; ru != nil && ru.MaxUnavailable != nil {
		value = *ru.MaxUnavailable
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(&value, int(h.Spec.IdleTarget), false)
	if err != nil {
		n = 1 // the schema refuses what can't be read
	}
	return max(1, n)
}
