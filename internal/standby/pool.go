// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"container/list"

	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// ownerKind is the kind of what owns standby pods; what owns claimed ones is a Job.
const ownerKind = "HotStandbyJob"

var ownerVersion = v1alpha1.SchemeGroupVersion.String()

// pool is the pods of a HotStandbyJob. Those that may be claimed are in one of two queues, oldest first: a pod with an
// open stream starts its launch sooner than one without.
type pool struct {
	name     types.NamespacedName
	known    bool // SetPool was called, so that its settings are known
	settings PoolSettings
	pods     map[types.UID]*entry

	attached, alone list.List // of *entry
	reserved        int
}

// place is where an entry is listed.
type place struct {
	in   *list.List // nil: nowhere
	item *list.Element
}

// node is what is known of a node.
type node struct {
	name     string
	cordoned bool
	pods     map[types.UID]*entry
}

// SetPool declares a pool, in place of what was declared before. Pods of pools that weren't declared aren't claimed.
func (r *Registry) SetPool(name types.NamespacedName, s PoolSettings) {
	r.mu.Lock()
	defer r.unlock()
	p := r.poolOf(name)
	same := p.known && p.settings.Revision == s.Revision && p.settings.UID == s.UID
	p.known, p.settings = true, s
	if same {
		return
	}
	for _, e := range p.pods {
		r.settle(e)
	}
}

// DropPool takes a declaration back.
func (r *Registry) DropPool(name types.NamespacedName) {
	r.mu.Lock()
	defer r.unlock()
	p, ok := r.pools[name]
	if !ok {
		return
	}
	p.known, p.settings = false, PoolSettings{}
	for _, e := range p.pods {
		r.settle(e)
	}
	r.tidyPool(p)
}

// SetCordoned says whether a node takes new work.
func (r *Registry) SetCordoned(name string, cordoned bool) {
	r.mu.Lock()
	defer r.unlock()
	n := r.nodeOf(name)
	if n.cordoned != cordoned {
		n.cordoned = cordoned
		for _, e := range n.pods {
			r.settle(e)
		}
	}
	r.tidyNode(n)
}

// Idle says how many pods of a pool could be claimed: idle, and not reserved.
func (r *Registry) Idle(name types.NamespacedName) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pools[name]
	if !ok {
		return 0
	}
	return max(p.free(), 0)
}

// free is how many more may be promised. It is negative where pods have gone that were promised.
func (p *pool) free() int { return p.attached.Len() + p.alone.Len() - p.reserved }

// poolOf returns the pool, which is made known if it isn't; r.mu is held.
func (r *Registry) poolOf(name types.NamespacedName) *pool {
	p, ok := r.pools[name]
	if !ok {
		p = &pool{name: name, pods: map[types.UID]*entry{}}
		r.pools[name] = p
	}
	return p
}

// nodeOf returns the node, which is made known if it isn't; r.mu is held.
func (r *Registry) nodeOf(name string) *node {
	n, ok := r.nodes[name]
	if !ok {
		n = &node{name: name, pods: map[types.UID]*entry{}}
		r.nodes[name] = n
	}
	return n
}

// leave takes a pod out of its pool; r.mu is held.
func (r *Registry) leave(e *entry) {
	if e.pool != nil {
		delete(e.pool.pods, e.id.UID)
		r.tidyPool(e.pool)
	}
}

// tidyPool forgets a pool of which nothing is known; r.mu is held.
func (r *Registry) tidyPool(p *pool) {
	if !p.known && len(p.pods) == 0 && p.reserved == 0 {
		delete(r.pools, p.name)
	}
}

// tidyNode forgets a node of which nothing is known; r.mu is held.
func (r *Registry) tidyNode(n *node) {
	if !n.cordoned && len(n.pods) == 0 {
		delete(r.nodes, n.name)
	}
}

// claimable says whether a pod may be claimed now; r.mu is held.
func (r *Registry) claimable(e *entry) bool {
	if !e.warm || e.claimed || e.held || e.lost != "" && e.lost == e.version {
		return false
	}
	if r.pods[e.id.UID] != e { // forgotten while it was held
		return false
	}
	if e.node != nil && e.node.cordoned {
		return false
	}
	return e.pool != nil && e.pool.known && e.pool.wants(e)
}

// wants says whether a pod is one that the pool has made, and would make again.
func (p *pool) wants(e *entry) bool {
	if p.settings.UID != "" && e.owner.UID != p.settings.UID {
		return false
	}
	return e.owner.Kind == ownerKind && e.owner.APIVersion == ownerVersion && e.owner.Name == p.name.Name && e.revision == p.settings.Revision
}

// list puts a pod last in the queue where it belongs, unless it is there; r.mu is held.
func (r *Registry) list(e *entry) {
	queue := &e.pool.alone
	if e.stream != nil {
		queue = &e.pool.attached
	}
	if e.place.in == queue {
		return
	}
	fresh := e.place.in == nil
	r.unlist(e)
	e.place = place{in: queue, item: queue.PushBack(e)}
	if fresh && e.pool.free() > 0 {
		tell(r, r.onIdle, e.pool.name)
	}
}

// unlist takes a pod out of its queue; r.mu is held.
func (r *Registry) unlist(e *entry) {
	if e.place.in != nil {
		e.place.in.Remove(e.place.item)
		e.place = place{}
	}
}

// pop takes the pod that shall be claimed next out of its queue; nil if there is none; r.mu is held.
func (r *Registry) pop(p *pool) *entry {
	for _, queue := range []*list.List{&p.attached, &p.alone} {
		if item := queue.Front(); item != nil {
			e, _ := item.Value.(*entry)
			r.unlist(e)
			return e
		}
	}
	return nil
}
