// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Deps are what a registry works with.
type Deps struct {
	Client kubernetes.Interface
	// Answers is Client's own for pods: by it a launch is sent as soon as the answer to its claim begins. nil: when all of the
	// answer is there and decoded.
	Answers rest.Interface
	Clock   clock.WithDelayedExecution
	Log     logr.Logger
}

// Registry knows the standby pods. Its methods may be called from any goroutine, and but for Claim none waits for
// anything. One mutex guards all of it: what is done under it takes no longer than a few map look-ups.
type Registry struct {
	deps Deps

	mu    sync.Mutex
	pods  map[types.UID]*entry
	pools map[types.NamespacedName]*pool
	nodes map[string]*node
	calls []func() // what is called as soon as the mutex is free

	onIdle, onWork []func(types.NamespacedName)
	onStuck        []func(Pod)
	onStarted      []func(Pod)
	onLost         []func(types.NamespacedName)
}

// entry is a pod.
type entry struct {
	id       PodID
	pool     *pool        // nil before the pod was observed
	node     *node        // nil before it was bound
	ips      []netip.Addr // all of them; none before it has any
	revision string
	owner    metav1.OwnerReference // its controller

	version    string   // the resource version that was observed last
	warm       bool     // observed: idle by its label, ready, not being deleted
	finalizers []string // observed

	held    bool   // a claim of it is under way
	lost    string // the resource version by which a claim took it for idle, and it wasn't
	claimed bool

	place place
	launch
	stream *Stream
	work   Work
}

// New returns a registry that knows no pods and no pools.
func New(d Deps) *Registry {
	return &Registry{
		deps:  d,
		pods:  map[types.UID]*entry{},
		pools: map[types.NamespacedName]*pool{},
		nodes: map[string]*node{},
	}
}

// OnIdle adds a function that is called when there may be one more idle pod to claim. Like the other functions of this
// kind it is called without the registry's mutex, must not wait for anything, and is added before pods are observed.
func (r *Registry) OnIdle(f func(pool types.NamespacedName)) { r.onIdle = append(r.onIdle, f) }

// OnWork adds a function that is called when a workload of the pool says something new about itself.
func (r *Registry) OnWork(f func(pool types.NamespacedName)) { r.onWork = append(r.onWork, f) }

// OnStuck adds a function that is called once for each pod that was given a launch, and didn't start it in time.
func (r *Registry) OnStuck(f func(Pod)) { r.onStuck = append(r.onStuck, f) }

// OnStarted adds a function that is called when a pod says that it has started its launch.
func (r *Registry) OnStarted(f func(Pod)) { r.onStarted = append(r.onStarted, f) }

// OnLost adds a function that is called when a claim finds that a pod of the pool isn't idle any more.
func (r *Registry) OnLost(f func(pool types.NamespacedName)) { r.onLost = append(r.onLost, f) }

// unlock frees the mutex, then makes the calls that were put off until then.
func (r *Registry) unlock() {
	calls := r.calls
	r.calls = nil
	r.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// tell puts off calls of all functions; r.mu is held.
func tell[T any](r *Registry, functions []func(T), about T) {
	for _, f := range functions {
		r.calls = append(r.calls, func() { f(about) })
	}
}

// entryOf returns the pod, which is made known if it isn't; r.mu is held.
func (r *Registry) entryOf(id PodID) *entry {
	e, ok := r.pods[id.UID]
	if !ok {
		e = &entry{id: id}
		r.pods[id.UID] = e
	}
	return e
}

// Observe takes note of a pod as the cache has it: without its payload, of which only the ID is kept.
func (r *Registry) Observe(p *corev1.Pod) {
	r.mu.Lock()
	defer r.unlock()
	e := r.entryOf(idOf(p))
	r.join(e, p)
	e.ips, e.version = addressesOf(p), p.ResourceVersion
	e.revision, e.finalizers = p.Labels[v1alpha1.LabelRevision], p.Finalizers
	e.warm = isWarm(p)
	launched := p.Labels[v1alpha1.LabelLaunch] != ""
	if launched || !e.claimed {
		e.owner = metav1.OwnerReference{}
		if owner := metav1.GetControllerOf(p); owner != nil {
			e.owner = *owner
		}
	}
	// What this process claimed stays claimed, whatever an older event says.
	if launched {
		e.claimed = true
		if id := launchID(p.Annotations[v1alpha1.AnnotationPayload]); id != "" && e.launch.id == "" {
			e.launch.id = id
		}
	}
	r.settle(e)
}

// join notes which pool and which node a pod is of; r.mu is held.
func (r *Registry) join(e *entry, p *corev1.Pod) {
	name := types.NamespacedName{Namespace: p.Namespace, Name: p.Labels[v1alpha1.LabelName]}
	if e.pool == nil || e.pool.name != name {
		r.unlist(e)
		r.leave(e)
		e.pool = r.poolOf(name)
		e.pool.pods[e.id.UID] = e
		if e.work != WorkUnknown { // it has attached before it was observed
			tell(r, r.onWork, name)
		}
	}
	if e.node == nil && p.Spec.NodeName != "" {
		e.node = r.nodeOf(p.Spec.NodeName)
		e.node.pods[e.id.UID] = e
	}
}

// addressesOf are a pod's addresses.
func addressesOf(p *corev1.Pod) (ips []netip.Addr) {
	for _, ip := range p.Status.PodIPs {
		if a, err := netip.ParseAddr(ip.IP); err == nil {
			ips = append(ips, a.Unmap())
		}
	}
	return ips
}

// isWarm says whether a pod waits for work, as far as it tells itself.
func isWarm(p *corev1.Pod) bool {
	if p.Labels[v1alpha1.LabelState] != string(v1alpha1.PodIdle) || p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// launchID is the ID of a payload, from the payload or from what the cache keeps of it: the ID alone.
func launchID(annotation string) string {
	if !strings.HasPrefix(strings.TrimSpace(annotation), "{") {
		return annotation
	}
	var p struct {
		ID string `json:"id"`
	}
	if json.Unmarshal([]byte(annotation), &p) != nil {
		return ""
	}
	return p.ID
}

// Forget drops a pod that is gone, and ends its stream.
func (r *Registry) Forget(uid types.UID) {
	r.mu.Lock()
	defer r.unlock()
	e, ok := r.pods[uid]
	if !ok {
		return
	}
	r.unlist(e)
	r.end(e, ErrForgotten)
	delete(r.pods, uid)
	if e.node != nil {
		delete(e.node.pods, uid)
		r.tidyNode(e.node)
	}
	r.leave(e)
}

// Pod returns what is known of a pod.
func (r *Registry) Pod(uid types.UID) (Pod, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.pods[uid]
	if !ok {
		return Pod{}, false
	}
	return e.pod(), true
}

// pod is the entry as others see it; r.mu is held.
func (e *entry) pod() Pod {
	p := Pod{PodID: e.id, Owner: e.owner.UID, Attached: e.stream != nil, Claimed: e.claimed, LaunchID: e.launch.id}
	if e.pool != nil {
		p.Pool = e.pool.name
	}
	if e.node != nil {
		p.Node = e.node.name
	}
	if e.claimed {
		p.Started, p.Job, p.Timing = e.launch.started, e.owner.Name, e.launch.timing
	}
	return p
}

// settle does what follows from a change of a pod: it is listed or not, and gets its launch if it still needs it; r.mu
// is held.
func (r *Registry) settle(e *entry) {
	if e.stream != nil && !e.mayBeAt(e.stream.from) {
		r.end(e, ErrElsewhere) // it attached before its addresses were known
	}
	if r.claimable(e) {
		r.list(e)
	} else {
		r.unlist(e)
	}
	r.deliver(e)
}

const defaultStartTimeout = 30 * time.Second
