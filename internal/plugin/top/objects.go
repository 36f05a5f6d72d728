// SPDX-License-Identifier: Apache-2.0

package top

import (
	"context"
	"errors"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/explain"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

// state is what the objects say.
type state struct {
	now   time.Time // when they are looked at
	pools []v1alpha1.HotStandbyJob
	jobs  []batchv1.Job // launches
}

func (s state) rows(known *page.Pools) []Row {
	waiting := map[string]int32{}
	for i := range s.jobs {
		j := &s.jobs[i]
		if j.Spec.ManagedBy != nil && *j.Spec.ManagedBy == v1alpha1.ManagedByLauncher {
			waiting[j.Namespace+"/"+j.Labels[v1alpha1.LabelPool]] += explain.Missing(s.now, j)
		}
	}
	return rows(s.pools, waiting, known)
}

// list reads the objects once.
func list(ctx context.Context, k *cluster.Cluster, o options) (state, error) {
	s := state{}
	if o.pool != "" {
		h, err := k.Pool(ctx, o.pool)
		if err != nil {
			return s, err
		}
		s.pools = []v1alpha1.HotStandbyJob{*h}
	} else {
		list, err := k.Pools(ctx, o.namespace(k))
		if err != nil {
			return s, err
		}
		s.pools = list.Items
	}
	selector := v1alpha1.LabelPool
	if o.pool != "" {
		selector += "=" + o.pool
	}
	jobs, err := k.Jobs(o.namespace(k)).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return s, err
	}
	s.jobs = jobs.Items
	return s, nil
}

// watcher keeps the objects current.
type watcher struct {
	pools, jobs cache.SharedIndexInformer
	changed     chan struct{} // something is different
}

const syncTime = 30 * time.Second

// watch begins to watch the objects, and returns when they have been read once.
func watch(ctx context.Context, k *cluster.Cluster, o options) (*watcher, error) {
	poolFields, jobLabels := fields.Everything(), v1alpha1.LabelPool
	if o.pool != "" {
		poolFields, jobLabels = fields.OneTermEqualSelector(metav1.ObjectNameField, o.pool), jobLabels+"="+o.pool
	}
	ns := o.namespace(k)
	pools := cache.NewListWatchFromClient(k.PoolClient(), "hotstandbyjobs", ns, poolFields)
	jobs := cache.NewFilteredListWatchFromClient(k.Batch, "jobs", ns, func(o *metav1.ListOptions) { o.LabelSelector = jobLabels })
	w := &watcher{
		pools:   cache.NewSharedIndexInformer(pools, &v1alpha1.HotStandbyJob{}, 0, nil),
		jobs:    cache.NewSharedIndexInformer(jobs, &batchv1.Job{}, 0, nil),
		changed: make(chan struct{}, 1),
	}
	tell := func() {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range []cache.SharedIndexInformer{w.pools, w.jobs} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
		})
		if err != nil {
			return nil, err
		}
		go informer.RunWithContext(ctx)
	}
	waiting, stop := context.WithTimeout(ctx, syncTime)
	defer stop()
	if !cache.WaitForCacheSync(waiting.Done(), w.pools.HasSynced, w.jobs.HasSynced) {
		return nil, errors.New("the API server doesn't answer, or refuses to list hotstandbyjobs and jobs: `kubectl hsj top --once` says why")
	}
	return w, nil
}

func (w *watcher) state() (s state) {
	for _, o := range w.pools.GetStore().List() {
		if h, ok := o.(*v1alpha1.HotStandbyJob); ok {
			s.pools = append(s.pools, *h)
		}
	}
	for _, o := range w.jobs.GetStore().List() {
		if j, ok := o.(*batchv1.Job); ok {
			s.jobs = append(s.jobs, *j)
		}
	}
	return s
}
