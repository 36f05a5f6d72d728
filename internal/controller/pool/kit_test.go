// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/kube"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// cluster is a server with one pool, and the reconciler under test. Nothing happens in it by itself.
type cluster struct {
	t        *testing.T
	server   client.WithWatch // what is stored, without faults
	clock    *clocktesting.FakePassiveClock
	recorder *recorder
	prober   *prober
	registry *registry
	r        *Reconciler
	request  ctrl.Request

	mu     sync.Mutex
	hidden map[string]bool // names of Jobs and plain pods that the cache doesn't have yet
	writes []string        // what the reconciler asked for, such as "create Job demo-w-00001"

	// Faults of the server. What they return instead of nil is the reconciler's answer; those that are nil do nothing.
	onCreate func(o client.Object) error // before a Job is made
	onMade   func(o client.Object) error // after it was made: the answer gets lost
	onDryRun func(o client.Object) error
	onPatch  func(o client.Object) error // before a Job or pod is patched
	onDelete func(o client.Object) error // before one is deleted
	onList   func(list client.ObjectList) error
}

// newCluster is a cluster with a pool, whose spec is demo's as changed.
func newCluster(t *testing.T, change func(*v1alpha1.HotStandbyJobSpec)) *cluster {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	h := demo(change)
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n"},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	c := &cluster{
		t:        t,
		clock:    clocktesting.NewFakePassiveClock(noon),
		recorder: &recorder{},
		prober:   &prober{},
		registry: &registry{},
		request:  ctrl.Request{NamespacedName: client.ObjectKeyFromObject(h)},
		hidden:   map[string]bool{},
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(h, node).
		WithStatusSubresource(h, &batchv1.Job{}, &corev1.Pod{}).
		WithInterceptorFuncs(stricter(c.clock))
	if err := kube.Index(t.Context(), indexer{builder}); err != nil {
		t.Fatal(err)
	}
	c.server = builder.Build()
	c.restart()
	return c
}

// demo is a pool of mode annotation with two idle units and without a delay.
func demo(change func(*v1alpha1.HotStandbyJobSpec)) *v1alpha1.HotStandbyJob {
	h := &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "games", UID: "pool", Generation: 1},
		Spec: v1alpha1.HotStandbyJobSpec{
			IdleTarget:            2,
			ScaleDownDelaySeconds: new(int32(0)),
			JobTemplate:           v1alpha1.JobTemplate{Image: "busybox", BackoffLimit: new(int32(0))},
			BusyProbe:             v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation},
		},
	}
	if change != nil {
		change(&h.Spec)
	}
	return h
}

// indexer adds indexes to a fake client's builder.
type indexer struct{ builder *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, o client.Object, field string, f client.IndexerFunc) error {
	i.builder.WithIndex(o, field, f)
	return nil
}

// restart replaces the reconciler by one that remembers nothing.
func (c *cluster) restart() {
	var suffixes atomic.Int32
	if c.r != nil {
		suffixes.Store(50_000)
	}
	faulty := interceptor.NewClient(c.server, c.faults())
	c.r = &Reconciler{
		Client: faulty, Reader: c.server, Direct: faulty, Recorder: c.recorder, Prober: c.prober, Clock: c.clock,
		Suffix:  func() string { return fmt.Sprintf("%05d", suffixes.Add(1)) },
		Indexes: 1000,
		Standby: c.registry,
		Entrypoint: func() object.Entrypoint {
			return object.Entrypoint{Image: "operator/standby", GatewayURL: "https://gateway:8443", CA: "PEM"}
		},
	}
}

// reconcile reconciles once, and logs nothing.
func (c *cluster) reconcile() (ctrl.Result, error) {
	return c.r.Reconcile(ctrl.LoggerInto(c.t.Context(), logr.Discard()), c.request)
}

// pass reconciles once, and expects it to go well.
func (c *cluster) pass() ctrl.Result {
	c.t.Helper()
	result, err := c.reconcile()
	if err != nil {
		c.t.Fatalf("Reconcile: %v", err)
	}
	return result
}

// fails reconciles once, and expects it to end in an error.
func (c *cluster) fails() error {
	c.t.Helper()
	_, err := c.reconcile()
	if err == nil {
		c.t.Fatal("Reconcile: no error")
	}
	return err
}

// asked are the requests since it was called last.
func (c *cluster) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes := c.writes
	c.writes = nil
	slices.Sort(writes)
	return writes
}

func (c *cluster) pool() *v1alpha1.HotStandbyJob {
	c.t.Helper()
	h := &v1alpha1.HotStandbyJob{}
	if err := c.server.Get(c.t.Context(), c.request.NamespacedName, h); err != nil {
		c.t.Fatal(err)
	}
	return h
}

// respec changes the pool's spec, as a user does.
func (c *cluster) respec(change func(*v1alpha1.HotStandbyJobSpec)) {
	c.t.Helper()
	h := c.pool()
	change(&h.Spec)
	h.Generation++
	c.must(c.server.Update(c.t.Context(), h))
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) jobs() []batchv1.Job {
	c.t.Helper()
	var list batchv1.JobList
	c.must(c.server.List(c.t.Context(), &list, client.InNamespace("games")))
	return list.Items
}

func (c *cluster) pods() []corev1.Pod {
	c.t.Helper()
	var list corev1.PodList
	c.must(c.server.List(c.t.Context(), &list, client.InNamespace("games")))
	return list.Items
}

// podNames are the pods that there are.
func (c *cluster) podNames() []string {
	c.t.Helper()
	names := []string{}
	for _, p := range c.pods() {
		names = append(names, p.Name)
	}
	return names
}

// pod is a pod as it is stored.
func (c *cluster) pod(name string) *corev1.Pod {
	c.t.Helper()
	p := &corev1.Pod{}
	c.must(c.server.Get(c.t.Context(), types.NamespacedName{Namespace: "games", Name: name}, p))
	return p
}

// change changes a pod's metadata, as a dispatcher does.
func (c *cluster) change(name string, change func(*corev1.Pod)) {
	c.t.Helper()
	p := c.pod(name)
	change(p)
	c.must(c.server.Update(c.t.Context(), p))
}

func busy(p *corev1.Pod) { p.Annotations[v1alpha1.AnnotationBusy] = "true" }

// condition is a condition in words: its status and its reason.
func (c *cluster) condition(kind string) string {
	c.t.Helper()
	for _, got := range c.pool().Status.Conditions {
		if got.Type == kind {
			return string(got.Status) + " " + got.Reason
		}
	}
	return ""
}

// prober is a Prober that knows what it is told.
type prober struct {
	readings map[types.UID]probe.Reading
	recheck  func(probe.Target) probe.Reading // nil: as the reading is
	set      []probe.Pool
	forgot   int
}

func (p *prober) Set(declared probe.Pool)     { p.set = append(p.set, declared) }
func (p *prober) Forget(types.NamespacedName) { p.forgot++ }

func (p *prober) Readings(types.NamespacedName) map[types.UID]probe.Reading { return p.readings }

func (p *prober) Recheck(_ context.Context, _ types.NamespacedName, targets []probe.Target) map[types.UID]probe.Reading {
	readings := map[types.UID]probe.Reading{}
	for _, t := range targets {
		readings[t.UID] = p.readings[t.UID]
		if p.recheck != nil {
			readings[t.UID] = p.recheck(t)
		}
	}
	return readings
}

// recorder keeps events in words.
type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf("%s %s: %s", kind, reason, fmt.Sprintf(note, args...)))
}

// sent are the events since it was called last.
func (r *recorder) sent() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}
