// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/rand"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/controller/pool"
	"github.com/paia-tech/hotstandbyjob/internal/kube"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
)

// Stepper is the pool controller with nobody who calls it but the test, and with a clock that the test sets: minutes
// pass in seconds, on a real Kubernetes whose own clock goes on as ever.
type Stepper struct {
	env        *Env
	cache      client.Client
	reconciler *pool.Reconciler
	clock      *clocktesting.FakePassiveClock
	time       *bentTime
}

// Stepper makes one. No other operator may serve the namespace.
func (e *Env) Stepper() *Stepper {
	e.T.Helper()
	cache, err := kube.CacheOptions(e.Namespace)
	if err != nil {
		e.T.Fatal(err)
	}
	mgr, err := ctrl.NewManager(e.Config, ctrl.Options{
		Scheme:  e.Client.Scheme(),
		Cache:   cache,
		Client:  client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: new(true)}},
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		e.T.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.T.Context()))
	if err := kube.Index(ctx, mgr.GetFieldIndexer()); err != nil {
		cancel()
		e.T.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	e.T.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			e.T.Errorf("the manager ended: %v", err)
		}
	})
	s := &Stepper{env: e, cache: mgr.GetClient(), time: &bentTime{}, clock: clocktesting.NewFakePassiveClock(time.Now())}
	s.reconciler = &pool.Reconciler{
		Client:   &bentClient{Client: mgr.GetClient(), time: s.time},
		Reader:   e.Client,
		Direct:   e.Client,
		Recorder: mgr.GetEventRecorder("hotstandbyjob"),
		Prober:   probe.New(probe.Options{Period: time.Second}),
		Clock:    s.clock,
		Suffix:   func() string { return rand.String(5) },
		Indexes:  90_000,
	}
	return s
}

// Settle makes passes over a pool until one changes nothing, each after the cluster has done what done says.
func (s *Stepper) Settle(pool string, done func(g gomega.Gomega)) ctrl.Result {
	s.env.T.Helper()
	const most = 50
	for range most {
		s.env.Await("the cluster has reacted, and the cache has seen it", func(g gomega.Gomega) {
			done(g)
			g.Expect(s.versions(s.cache)).To(gomega.Equal(s.versions(s.env.Client)))
		})
		before := s.versions(s.env.Client)
		result, err := s.pass(pool)
		if err == nil && s.versions(s.env.Client) == before {
			return result
		}
		if err != nil {
			s.env.T.Logf("pass: %v", err)
		}
	}
	s.env.T.Fatalf("pool %s does not come to rest in %d passes", pool, most)
	return ctrl.Result{}
}

// pass reconciles once.
func (s *Stepper) pass(pool string) (ctrl.Result, error) {
	s.clock.SetTime(s.time.now())
	ctx, cancel := context.WithTimeout(log.IntoContext(s.env.T.Context(), logr.Discard()), time.Minute)
	defer cancel()
	request := ctrl.Request{NamespacedName: client.ObjectKey{Namespace: s.env.Namespace, Name: pool}}
	return s.reconciler.Reconcile(ctx, request)
}

// Elapse lets time pass: the pool is looked at when it asked to be, and at least every 30 seconds.
func (s *Stepper) Elapse(pool string, duration time.Duration, done func(g gomega.Gomega)) {
	s.env.T.Helper()
	for until := s.time.now().Add(duration); ; {
		wake := s.Settle(pool, done).RequeueAfter
		left := until.Sub(s.time.now())
		if left <= 0 {
			return
		}
		step := min(left, 30*time.Second)
		if wake > 0 {
			step = min(step, wake)
		}
		s.bend(max(step, time.Millisecond))
	}
}

// bend moves the clock forward. The server's times have whole seconds: a new one is waited for, so that it is clear of
// each of them whether it was before or after.
func (s *Stepper) bend(d time.Duration) {
	s.env.T.Helper()
	border := time.Now().Truncate(time.Second).Add(time.Second)
	s.env.Await("the second is over", func(g gomega.Gomega) { g.Expect(time.Now().After(border)).To(gomega.BeTrue()) })
	s.time.bends = append(s.time.bends, bend{at: border, by: d})
}

// versions are the versions of the namespace's pools, Jobs and pods.
func (s *Stepper) versions(reader client.Reader) string {
	var all []string
	for _, list := range []client.ObjectList{&v1alpha1.HotStandbyJobList{}, &batchv1.JobList{}, &corev1.PodList{}} {
		options := []client.ListOption{client.InNamespace(s.env.Namespace)}
		if _, pools := list.(*v1alpha1.HotStandbyJobList); !pools {
			options = append(options, client.HasLabels{v1alpha1.LabelName})
		}
		if err := reader.List(s.env.T.Context(), list, options...); err != nil {
			s.env.T.Fatalf("list: %v", err)
		}
		all = append(all, names(list)...)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func names(list apiruntime.Object) []string {
	var all []string
	add := func(o client.Object) {
		all = append(all, fmt.Sprintf("%T/%s@%s", o, o.GetName(), o.GetResourceVersion()))
	}
	switch l := list.(type) {
	case *v1alpha1.HotStandbyJobList:
		for i := range l.Items {
			add(&l.Items[i])
		}
	case *batchv1.JobList:
		for i := range l.Items {
			add(&l.Items[i])
		}
	case *corev1.PodList:
		for i := range l.Items {
			add(&l.Items[i])
		}
	}
	return all
}
