// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	reasonNotAsked   = "not asked yet"
	reasonNotTarget  = "the pod isn't probed: it doesn't run, or isn't ready"
	reasonNotRunning = "the operator doesn't probe yet"
	reasonNoAnswer   = "the pod wasn't asked again in time"
)

// Prober asks pods for their busy signals. Its methods may be called from any goroutine.
type Prober struct {
	options Options

	http *http.Client
	wake chan struct{} // capacity 1: something may be due

	mu      sync.Mutex
	running bool
	pools   map[types.NamespacedName]*pool
	order   []*pool // the same pools, for taking turns
	turn    int
	flights map[flightKey]struct{}
	sources map[sourceKey]*source
}

// flightKey is a pod of a pool. It outlives the entry, so that a pod whose question has changed isn't asked while the
// earlier question is still under way.
type flightKey struct {
	pool types.NamespacedName
	uid  types.UID
}

// New returns a prober that does nothing until it is started.
func New(o Options) *Prober {
	quietRedis()
	return &Prober{
		options: o.withDefaults(),
		http:    newHTTPClient(),
		wake:    make(chan struct{}, 1),
		pools:   map[types.NamespacedName]*pool{},
		flights: map[flightKey]struct{}{},
		sources: map[sourceKey]*source{},
	}
}

// NeedLeaderElection says that only the leader asks pods: two replicas would ask each twice.
func (p *Prober) NeedLeaderElection() bool { return true }

// Set declares what to probe, in place of what was declared for the pool before. It is cheap when nothing changed. A new
// target is asked at once; what was read of pods that aren't targets any more is forgotten.
func (p *Prober) Set(declared Pool) {
	asked, pace, probed := questionOf(&declared, p.options.Redis)
	if !probed {
		p.Forget(declared.Name)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.pools[declared.Name]
	current := before
	if before == nil || !before.question.equal(&asked) {
		current = newPool(declared.Name, asked)
		p.replace(before, current)
	}
	fresh := current.retarget(declared.Targets, before, p.options.Clock.Now())
	repaced := current.setPace(pace, p.options.Clock.Now(), p.options.Rand)
	if current.source != nil && fresh {
		current.source.kick()
	}
	if fresh || repaced || current != before {
		p.wakeUp()
	}
}

// replace puts one pool in place of another; p.mu is held. Either may be nil.
func (p *Prober) replace(before, after *pool) {
	var unused *source
	if before != nil {
		before.dismiss()
		p.order = slices.DeleteFunc(p.order, func(o *pool) bool { return o == before })
		delete(p.pools, before.name)
		if before.source != nil {
			before.source.users--
			unused = before.source
		}
	}
	if after != nil {
		p.order = append(p.order, after)
		p.pools[after.name] = after
		if after.question.source != (sourceKey{}) {
			after.source = p.sourceOf(after.question.source)
			after.source.users++
		}
	}
	if unused != nil && unused.users == 0 {
		unused.stop()
		delete(p.sources, unused.key)
	}
}

// sourceOf returns the one reader of a hash; p.mu is held.
func (p *Prober) sourceOf(key sourceKey) *source {
	if s, ok := p.sources[key]; ok {
		return s
	}
	s := newSource(p, key)
	p.sources[key] = s
	return s
}

// Readings returns what is known of the pool's targets; nil if the pool isn't probed.
func (p *Prober) Readings(name types.NamespacedName) map[types.UID]Reading {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.pools[name]
	if !ok {
		return nil
	}
	readings := make(map[types.UID]Reading, len(found.entries))
	for uid, e := range found.entries {
		readings[uid] = e.reading
	}
	return readings
}

// Forget ends the probing of a pool that is gone, or whose mode needs none.
func (p *Prober) Forget(name types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found, ok := p.pools[name]; ok {
		p.replace(found, nil)
	}
}

// Start asks what is due until ctx is done. All its goroutines have ended when it returns.
func (p *Prober) Start(ctx context.Context) error {
	p.mu.Lock()
	if p.running {
		p.mu.Unlock()
		return errors.New("start the prober: it runs already")
	}
	p.running = true
	p.mu.Unlock()
	defer p.http.CloseIdleConnections()

	var group sync.WaitGroup
	for ctx.Err() == nil {
		timer := p.options.Clock.NewTimer(p.step(ctx, &group))
		select {
		case <-ctx.Done():
		case <-p.wake:
		case <-timer.C():
		}
		timer.Stop()
	}
	p.stop()
	group.Wait()
	return nil
}

// step starts what is due and returns how long nothing else will be.
func (p *Prober) step(ctx context.Context, group *sync.WaitGroup) time.Duration {
	p.mu.Lock()
	now := p.options.Clock.Now()
	for _, s := range p.sources {
		s.start(ctx, group)
	}
	changed := p.review(now)
	for _, f := range p.takeOff(now) {
		group.Go(func() { p.fly(ctx, f) })
	}
	wait := p.nothingBefore(now).Sub(now)
	p.mu.Unlock()
	p.notify(changed)
	return wait
}

// stop lets go of everybody who waits for an answer: none will come.
func (p *Prober) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	for _, s := range p.sources {
		s.stop()
	}
	for _, o := range p.order {
		for _, e := range o.entries {
			answer(&e.waiters, false)
		}
	}
}

func (p *Prober) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (p *Prober) notify(pools []*pool) {
	for _, o := range pools {
		p.options.Notify(o.name)
	}
}
