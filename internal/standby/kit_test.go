// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var game = types.NamespacedName{Namespace: "games", Name: "game"}

var poolOwner = metav1.OwnerReference{
	APIVersion: "apps.paia.tech/v1alpha1", Kind: "HotStandbyJob", Name: "game", UID: "pool", Controller: new(true), BlockOwnerDeletion: new(true),
}

// fault is what becomes of a patch.
type fault int

const (
	none      fault = iota
	unapplied       // the server fails before it has written
	unheard         // it has written, and the answer gets lost
)

// cluster is an API server with pods, and a registry in front of it.
type cluster struct {
	*Registry
	client *fake.Clientset

	mu      sync.Mutex
	faults  []fault // of the next patches
	patches int
	idle    int // how often OnIdle was called
	stuck   []Pod
	started []Pod
}

func newCluster() *cluster {
	c := &cluster{client: fake.NewClientset()}
	c.Registry = New(Deps{Client: c.client, Clock: clock.RealClock{}, Log: logr.Discard()})
	c.SetPool(game, PoolSettings{UID: "pool", Revision: "r1", ManagesEviction: true})
	c.OnIdle(func(types.NamespacedName) { c.mu.Lock(); defer c.mu.Unlock(); c.idle++ })
	c.OnStuck(func(p Pod) { c.mu.Lock(); defer c.mu.Unlock(); c.stuck = append(c.stuck, p) })
	c.OnStarted(func(p Pod) { c.mu.Lock(); defer c.mu.Unlock(); c.started = append(c.started, p) })
	c.client.PrependReactor("patch", "pods", c.patch)
	return c
}

// patch answers as an API server does where client-go's fake doesn't, and fails when it is told to.
func (c *cluster) patch(action clienttesting.Action) (bool, runtime.Object, error) {
	c.mu.Lock()
	c.patches++
	next := none
	if len(c.faults) > 0 {
		next, c.faults = c.faults[0], c.faults[1:]
	}
	c.mu.Unlock()
	if next == unapplied {
		return true, nil, apierrors.NewInternalError(fmt.Errorf("etcd has no leader"))
	}
	handled, o, err := clienttesting.ObjectReaction(c.client.Tracker())(action)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return true, nil, apierrors.NewGenericServerResponse(422, "", schema.GroupResource{}, "", err.Error(), 0, false)
	case err == nil && next == unheard:
		return true, nil, context.DeadlineExceeded
	}
	return handled, o, err
}

// idlePod is an idle pod of the pool.
func idlePod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "games", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1",
			Labels:          map[string]string{v1alpha1.LabelName: "game", v1alpha1.LabelState: "idle", v1alpha1.LabelRevision: "r1", "app": "x"},
			Annotations:     map[string]string{v1alpha1.AnnotationPayload: ""},
			OwnerReferences: []metav1.OwnerReference{poolOwner},
		},
		Spec: corev1.PodSpec{NodeName: "n1"},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1",
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
}

// add makes a pod, and lets the registry see it.
func (c *cluster) add(t testing.TB, p *corev1.Pod) PodID {
	t.Helper()
	if err := c.client.Tracker().Add(p); err != nil {
		t.Fatal(err)
	}
	c.see(p)
	return idOf(p)
}

// see lets the registry observe a pod as the manager's cache has it.
func (c *cluster) see(p *corev1.Pod) {
	slim := p.DeepCopy()
	slim.Annotations[v1alpha1.AnnotationPayload] = launchID(p.Annotations[v1alpha1.AnnotationPayload])
	c.Observe(slim)
}

func (c *cluster) get(t testing.TB, name string) *corev1.Pod {
	t.Helper()
	p, err := c.client.CoreV1().Pods("games").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// retire has the pool retire a pod, which the registry doesn't know yet.
func (c *cluster) retire(t testing.TB, name string) {
	t.Helper()
	p := c.get(t, name)
	p.Labels[v1alpha1.LabelState] = string(v1alpha1.PodRetiring)
	if err := c.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), p, p.Namespace); err != nil {
		t.Fatal(err)
	}
}

// claimOf is the claim of a Job.
func claimOf(job string) Claim {
	return Claim{
		Pool:        game,
		Owner:       metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: job, UID: types.UID(job), Controller: new(true), BlockOwnerDeletion: new(true)},
		Labels:      map[string]string{v1alpha1.LabelLaunch: "game", "job-name": job},
		Annotations: map[string]string{v1alpha1.AnnotationStart: v1alpha1.StartWarm, "a~b/c": "d"},
		Finalizers:  []string{"batch.kubernetes.io/job-tracking"},
		Payload:     protocol.Payload{Command: []string{"play", job}},
	}
}

// commandOf is the command of a payload.
func commandOf(t testing.TB, text string) string {
	t.Helper()
	var p protocol.Payload
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("payload %q: %v", text, err)
	}
	return strings.Join(p.Command, " ")
}

// received is what a stream has got; "" if nothing.
func received(s *Stream) string {
	select {
	case text := <-s.Payloads():
		return text
	default:
		return ""
	}
}

func attach(t testing.TB, c *cluster, id PodID, a Activity) *Stream {
	t.Helper()
	s, err := c.Attach(id, netip.Addr{}, a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
