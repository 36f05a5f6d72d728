// SPDX-License-Identifier: Apache-2.0

// Package kit is what tests against a real Kubernetes share: a namespace in the lab with an operator that serves it
// alone, builders of pools, and a guard that watches whether a promise is broken on the way.
package kit

import (
	"context"
	"testing"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/operator"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
	"github.com/paia-tech/hotstandbyjob/test/drive"
	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// Patience is how long Await waits: far longer than anything takes, since machines that test are loaded.
const Patience = 5 * time.Minute

// polling is how often Await looks: often enough not to slow tests down, and not so often that looking is what the
// machine is busy with.
const polling = 150 * time.Millisecond

// Env is a namespace in the lab.
type Env struct {
	T         testing.TB
	Lab       *lab.Lab
	Namespace string
	Config    *rest.Config
	Client    client.WithWatch // reads from the API server, not from a cache
}

// New is a new namespace in the shared lab, whose API server knows HotStandbyJobs.
func New(t testing.TB) *Env {
	t.Helper()
	e := In(t, labtest.Shared(t))
	e.installCRD()
	return e
}

// In is a new namespace in a lab, which need not know HotStandbyJobs.
func In(t testing.TB, l *lab.Lab) *Env {
	t.Helper()
	rc, err := l.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := drive.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewWithWatch(rc, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return &Env{T: t, Lab: l, Config: rc, Client: c, Namespace: labtest.Namespace(t, l)}
}

// Root is the folder of the source tree.
func Root() string { return tool.Root() }

// installCRD applies the definition of this source tree and waits until it is served.
func (e *Env) installCRD() {
	e.T.Helper()
	if err := drive.Define(e.T.Context(), e.Client, Root()); err != nil {
		e.T.Fatal(err)
	}
	e.Await("the API is served", func(g gomega.Gomega) {
		g.Expect(e.Client.List(e.T.Context(), &v1alpha1.HotStandbyJobList{})).To(gomega.Succeed())
	})
}

// Operator runs an operator that serves the namespace alone, in this process, until the test ends or stop is called.
func (e *Env) Operator(change ...func(*config.Operator)) (stop func()) {
	e.T.Helper()
	c := config.DefaultOperator()
	c.Namespace = e.Namespace
	c.LeaderElection = false
	c.HealthAddress, c.MetricsAddress, c.UIAddress = config.Off, config.Off, config.Off
	c.SyncInterval = time.Second
	c.Push.Enabled = false
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.T.Context()))
	mgr, err := operator.New(ctx, e.Config, c)
	if err != nil {
		cancel()
		e.T.Fatalf("make an operator: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			e.T.Errorf("the operator ended: %v", err)
		}
	}
	e.T.Cleanup(stop)
	return stop
}

// Await waits until f holds.
func (e *Env) Await(what string, f func(g gomega.Gomega)) {
	e.T.Helper()
	gomega.NewWithT(e.T).Eventually(f).WithContext(e.T.Context()).WithTimeout(Patience).WithPolling(polling).
		Should(gomega.Succeed(), what)
}

// Create makes an object in the namespace.
func (e *Env) Create(o client.Object) {
	e.T.Helper()
	o.SetNamespace(e.Namespace)
	if err := e.Client.Create(e.T.Context(), o); err != nil {
		e.T.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
}

// Update changes a pool's spec.
func (e *Env) Update(name string, change func(*v1alpha1.HotStandbyJobSpec)) {
	e.T.Helper()
	h := e.Get(name)
	before := h.DeepCopy()
	change(&h.Spec)
	if err := e.Client.Patch(e.T.Context(), h, client.MergeFrom(before)); err != nil {
		e.T.Fatalf("change pool %s: %v", name, err)
	}
}

// Get is a pool as it is.
func (e *Env) Get(name string) *v1alpha1.HotStandbyJob {
	e.T.Helper()
	h := &v1alpha1.HotStandbyJob{}
	if err := e.Client.Get(e.T.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, h); err != nil {
		e.T.Fatalf("get pool %s: %v", name, err)
	}
	return h
}

// Jobs are a pool's Jobs that aren't being deleted.
func (e *Env) Jobs(pool string) []batchv1.Job {
	e.T.Helper()
	var list batchv1.JobList
	err := e.Client.List(e.T.Context(), &list, client.InNamespace(e.Namespace), client.MatchingLabels{v1alpha1.LabelName: pool})
	if err != nil {
		e.T.Fatalf("list Jobs: %v", err)
	}
	var jobs []batchv1.Job
	for _, j := range list.Items {
		if j.DeletionTimestamp == nil {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// Pods are a pool's pods that live: not ended, not being deleted.
func (e *Env) Pods(pool string) []corev1.Pod {
	e.T.Helper()
	var list corev1.PodList
	err := e.Client.List(e.T.Context(), &list, client.InNamespace(e.Namespace), client.MatchingLabels{v1alpha1.LabelName: pool})
	if err != nil {
		e.T.Fatalf("list pods: %v", err)
	}
	var pods []corev1.Pod
	for _, p := range list.Items {
		if Live(&p) {
			pods = append(pods, p)
		}
	}
	return pods
}

// Live says whether a pod has not ended and isn't being deleted. One has ended when all its containers have, which the
// kubelet reports before it reports the pod's phase.
func Live(p *corev1.Pod) bool {
	over := len(p.Status.ContainerStatuses) > 0
	for _, c := range p.Status.ContainerStatuses {
		over = over && c.State.Terminated != nil
	}
	return p.DeletionTimestamp == nil && !over && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// AwaitStatus waits until a pool has so many idle and busy units, for this generation of its spec.
func (e *Env) AwaitStatus(pool string, idle, busy int) {
	e.T.Helper()
	e.Await("idle and busy units", func(g gomega.Gomega) {
		h := e.Get(pool)
		g.Expect(h.Status.ObservedGeneration).To(gomega.Equal(h.Generation))
		g.Expect([]int32{h.Status.IdleCount, h.Status.BusyCount}).To(gomega.Equal([]int32{int32(idle), int32(busy)}), "idle and busy")
	})
}

// Annotate sets the busy annotation of a pod.
func (e *Env) Annotate(p *corev1.Pod, value string) {
	e.T.Helper()
	before := p.DeepCopy()
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[v1alpha1.AnnotationBusy] = value
	if err := e.Client.Patch(e.T.Context(), p, client.MergeFrom(before)); err != nil {
		e.T.Fatalf("annotate pod %s: %v", p.Name, err)
	}
}

// ConditionStatus is the status of a pool's condition, or nothing if it has none.
func ConditionStatus(h *v1alpha1.HotStandbyJob, conditionType string) string {
	if c := meta.FindStatusCondition(h.Status.Conditions, conditionType); c != nil {
		return string(c.Status)
	}
	return ""
}
