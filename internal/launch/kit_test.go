// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/fit"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

var game = types.NamespacedName{Namespace: "ns", Name: "game"}

// TestMain takes out of the handlers of errors the one that delays them by the time since the last one: in a bubble, that
// was decades ago.
func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	os.Exit(m.Run())
}

type pools map[types.NamespacedName]Pool

func (p pools) Pool(name types.NamespacedName) (Pool, bool) {
	pool, ok := p[name]
	return pool, ok
}

func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "worker", Image: "busybox", Command: []string{"run"}}},
	}}
}

func pushPool(when v1alpha1.WhenEmpty) Pool {
	return Pool{Push: true, WhenEmpty: when, Fit: fit.Pool{Template: template(), Container: "worker"}}
}

// fakeRegistry has so many idle pods, and no API server.
type fakeRegistry struct {
	mu      sync.Mutex
	idle    int
	claimed []standby.Claim
	fail    error // of claims
	onIdle  func(types.NamespacedName)
}

func (f *fakeRegistry) Reserve(_ types.NamespacedName, n int) (Reservation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle < n {
		return nil, fmt.Errorf("reserve: %w", standby.ErrNoneIdle)
	}
	f.idle -= n
	return &fakeReservation{f, n}, nil
}

func (f *fakeRegistry) Idle(types.NamespacedName) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.idle
}

func (f *fakeRegistry) GiveBack(context.Context, *corev1.Pod, types.NamespacedName, string) error {
	return errors.New("there is no API server")
}

func (f *fakeRegistry) OnIdle(g func(types.NamespacedName)) { f.onIdle = g }

func (f *fakeRegistry) add(n int) {
	f.mu.Lock()
	f.idle += n
	f.mu.Unlock()
	f.onIdle(game)
}

type fakeReservation struct {
	registry *fakeRegistry
	left     int
}

func (r *fakeReservation) Claim(_ context.Context, c standby.Claim) (*corev1.Pod, error) {
	f := r.registry
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if errors.Is(f.fail, standby.ErrNoneIdle) {
			r.left--
		}
		return nil, f.fail
	}
	r.left--
	f.claimed = append(f.claimed, c)
	name := fmt.Sprintf("warm-%d", len(f.claimed))
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.Pool.Namespace, Name: name, UID: types.UID(name), Labels: c.Labels, Annotations: c.Annotations,
		Finalizers: c.Finalizers, OwnerReferences: []metav1.OwnerReference{c.Owner},
	}}, nil
}

func (r *fakeReservation) Release() {
	r.registry.mu.Lock()
	n := r.left
	r.registry.idle += n
	r.left = 0
	r.registry.mu.Unlock()
	if n > 0 {
		r.registry.onIdle(game)
	}
}

// newClient is a fake one that names pods as the server does, and gives them UIDs.
func newClient(objects ...runtime.Object) *fake.Clientset {
	c := fake.NewClientset(objects...)
	var n atomic.Int32
	c.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		pod := a.(clienttesting.CreateAction).GetObject().(*corev1.Pod)
		if pod.Name == "" {
			pod.Name = fmt.Sprintf("%s%d", pod.GenerateName, n.Add(1))
			pod.UID = types.UID(pod.Name)
		}
		return false, nil, nil
	})
	versionJobs(c, &n)
	c.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := c.Tracker().Watch(a.GetResource(), a.GetNamespace())
		if err != nil {
			return false, nil, err
		}
		return true, watch.Filter(w, selected(a.(clienttesting.WatchAction).GetWatchRestrictions().Labels)), nil
	})
	return c
}

// versionJobs gives Jobs resource versions, and refuses an update of a version that isn't the last.
func versionJobs(c *fake.Clientset, n *atomic.Int32) {
	store := func(a clienttesting.Action, job *batchv1.Job) (bool, runtime.Object, error) {
		job.ResourceVersion = strconv.Itoa(int(n.Add(1)))
		return true, job, c.Tracker().Update(a.GetResource(), job, job.Namespace)
	}
	c.PrependReactor("create", "jobs", func(a clienttesting.Action) (bool, runtime.Object, error) {
		a.(clienttesting.CreateAction).GetObject().(*batchv1.Job).ResourceVersion = strconv.Itoa(int(n.Add(1)))
		return false, nil, nil
	})
	c.PrependReactor("patch", "jobs", func(a clienttesting.Action) (bool, runtime.Object, error) {
		_, o, err := clienttesting.ObjectReaction(c.Tracker())(a)
		if err != nil {
			return true, nil, err
		}
		return store(a, o.(*batchv1.Job).DeepCopy())
	})
	c.PrependReactor("update", "jobs", func(a clienttesting.Action) (bool, runtime.Object, error) {
		job := a.(clienttesting.UpdateAction).GetObject().(*batchv1.Job) // of its status: the rest isn't taken from it
		old, err := c.Tracker().Get(a.GetResource(), job.Namespace, job.Name)
		if err != nil {
			return true, nil, err
		}
		updated := old.(*batchv1.Job).DeepCopy()
		if updated.ResourceVersion != job.ResourceVersion {
			return true, nil, apierrors.NewConflict(batchv1.Resource("jobs"), job.Name, errors.New("it has changed"))
		}
		updated.Status = job.Status
		return store(a, updated)
	})
}

// selected makes of a watch of all objects that of those with certain labels, as the server does: one that gets the labels
// is added, one that loses them is deleted, and shown as it was before. Pods get resource versions.
func selected(selector labels.Selector) watch.FilterFunc {
	seen := map[types.UID]runtime.Object{}
	version := 0
	return func(e watch.Event) (watch.Event, bool) {
		o, err := meta.Accessor(e.Object)
		if err != nil || selector == nil {
			return e, true
		}
		version++
		if _, pod := e.Object.(*corev1.Pod); pod {
			o.SetResourceVersion(strconv.Itoa(version))
		}
		before, was := seen[o.GetUID()]
		switch is := selector.Matches(labels.Set(o.GetLabels())); {
		case !was && !is:
			return e, false
		case e.Type == watch.Deleted || !is:
			delete(seen, o.GetUID())
			return watch.Event{Type: watch.Deleted, Object: before}, true
		case !was:
			e.Type = watch.Added
		}
		seen[o.GetUID()] = e.Object.DeepCopyObject()
		return e, true
	}
}

// rig is a launcher whose embedded controller doesn't run.
type rig struct {
	*Launcher
	t        *testing.T
	client   *fake.Clientset
	registry *fakeRegistry
	events   *events.FakeRecorder
	pools    pools
	woken    []string
	clock    *clocktesting.FakeClock
}

func newRig(t *testing.T, pool Pool, idle int) *rig {
	t.Helper()
	r := &rig{
		t: t, client: newClient(), registry: &fakeRegistry{idle: idle}, events: events.NewFakeRecorder(100),
		pools: pools{game: pool}, clock: clocktesting.NewFakeClock(time.Unix(1_000_000, 0)),
	}
	r.Launcher = newLauncher(t, r.client, r.registry, r.pools, r.events, r.clock)
	r.handler.set(cache.ResourceEventHandlerFuncs{UpdateFunc: func(_, o any) { r.woken = append(r.woken, o.(*batchv1.Job).Name) }})
	return r
}

func newLauncher(
	t *testing.T, c *fake.Clientset, registry Registry, pools Pools, recorder events.EventRecorder, clock clock.WithDelayedExecution,
) *Launcher {
	t.Helper()
	l, err := New(Deps{
		Client: c, Pools: pools, Registry: registry, Recorder: recorder, Clock: clock, Log: logr.Discard(), Workers: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// job is in the informer's store, of so many pods at once and in all.
func (r *rig) job(name string, pods int32, change ...func(*batchv1.Job)) *batchv1.Job {
	r.t.Helper()
	job := newJob(name, pods, change...)
	job.Spec.ManagedBy = nil // as transformed
	if err := r.jobs.Informer().GetStore().Add(job); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.client.BatchV1().Jobs(job.Namespace).Create(r.t.Context(), job, metav1.CreateOptions{}); err != nil {
		r.t.Fatal(err)
	}
	return job
}

func newJob(name string, pods int32, change ...func(*batchv1.Job)) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: name, UID: types.UID(name), Labels: map[string]string{v1alpha1.LabelPool: "game"}, Annotations: map[string]string{},
		},
		Spec: batchv1.JobSpec{
			Parallelism: &pods, Completions: &pods, BackoffLimit: new(int32(6)), ManagedBy: new(v1alpha1.ManagedByLauncher),
			CompletionMode: new(batchv1.NonIndexedCompletion), Template: template(),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: name}},
		},
	}
	job.Spec.Template.Labels = map[string]string{batchv1.ControllerUidLabel: name}
	for _, c := range change {
		c(job)
	}
	return job
}

func annotated(key, value string) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.Annotations[key] = value }
}

// want asks for a pod of a Job as the embedded controller does.
func (r *rig) want(job *batchv1.Job) (*corev1.Pod, error) {
	r.t.Helper()
	template := job.Spec.Template.DeepCopy()
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.GenerateName = job.Name + "-"
	pod.Finalizers = []string{batchv1.JobTrackingFinalizer}
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	return r.Launcher.client.CoreV1().Pods(job.Namespace).Create(r.t.Context(), pod, metav1.CreateOptions{})
}

// said is what was said on Jobs since it was last called.
func (r *rig) said() (out []string) {
	for {
		select {
		case e := <-r.events.Events:
			out = append(out, e)
		default:
			return out
		}
	}
}
