// SPDX-License-Identifier: Apache-2.0

package track

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// reorder is how much later than its replacement's event a pod's busy event may arrive: they come by two watches.
const reorder = 250 * time.Millisecond

// Pool is a pool at a moment, and what was measured of it until then.
type Pool struct {
	Name   types.NamespacedName
	Target int
	Delay  time.Duration // before a surplus is retired

	Starting, Idle, Busy int

	FilledAfter time.Duration // from its creation until as many pods were idle as asked for; 0: not yet
	MostJobs    int           // most Jobs that existed at a time until it was filled
	Surplus     int           // Jobs made until then for which there was no reason
	Replaced    int           // Jobs made beyond the first ones
	FewestIdle  int           // while measured
	Waits       []time.Duration
	LastWait    time.Duration // the latest of Waits
	Waiting     int           // busy pods that have no replacement yet
	BusyEnded   []string      // pods that were deleted while they were busy and ran
	Free        []string      // idle pods that may be given work, those that idle longest first

	Lowered *Lowered // nil: its target was not
}

// Lowered is what happened after a pool's target was lowered.
type Lowered struct {
	From, To     int           // the target
	Surplus      int           // idle pods too many when it was lowered
	Busy         int           // pods that were busy then
	BusyFinished int           // of them, those that finished their work
	BusyLost     int           // of them, those that did not
	Retired      int           // idle pods that were retired
	First, Last  time.Duration // when, from the lowering on
}

type pod struct {
	name  string
	state State
	label v1alpha1.PodState // the operator's, by which a dispatcher makes sure that a pod may be given work
	since time.Time
}

type pool struct {
	name types.NamespacedName
	spec v1alpha1.HotStandbyJobSpec
	seen Pool // counts aside

	pods      map[types.UID]*pod
	jobs      map[types.UID]bool
	made      int
	turned    int // pods that turned busy
	ended     int // pods that ended by themselves
	applied   time.Time
	measuring bool

	flips []time.Time // busy pods that wait for their replacement, oldest first
	early []time.Time // replacements whose busy pod is still to be heard of

	loweredAt  time.Time
	busyBefore map[types.UID]bool
}

func newPool(h *v1alpha1.HotStandbyJob) *pool {
	name := types.NamespacedName{Namespace: h.Namespace, Name: h.Name}
	return &pool{
		name: name, spec: h.Spec, pods: map[types.UID]*pod{}, jobs: map[types.UID]bool{},
		seen: Pool{
			Name: name, Target: int(h.Spec.IdleTarget),
			Delay: time.Duration(ptr.Deref(h.Spec.ScaleDownDelaySeconds, 0)) * time.Second,
		},
	}
}

func (p *pool) view() Pool {
	v := p.seen
	v.Waits, v.BusyEnded, v.Waiting = slices.Clone(v.Waits), slices.Clone(v.BusyEnded), len(p.flips)
	var free []*pod
	for _, o := range p.pods {
		switch o.state {
		case Starting:
			v.Starting++
		case Idle:
			v.Idle++
			if o.label == v1alpha1.PodIdle {
				free = append(free, o)
			}
		case Busy:
			v.Busy++
		case Retiring, Gone:
		}
	}
	slices.SortFunc(free, func(a, b *pod) int { return a.since.Compare(b.since) })
	for _, o := range free {
		v.Free = append(v.Free, o.name)
	}
	if v.Lowered != nil {
		v.Lowered = new(*v.Lowered)
	}
	return v
}

func (p *pool) pod(o *corev1.Pod, now State, at time.Time) {
	known := p.pods[o.UID]
	if known == nil {
		known = &pod{name: o.Name, state: Starting, since: at}
		p.pods[o.UID] = known
	}
	before := known.state
	known.label = v1alpha1.PodState(o.Labels[v1alpha1.LabelState])
	if before == Gone || before == now {
		return
	}
	known.state, known.since = now, at
	switch now {
	case Busy:
		p.turned++
		p.flipped(at)
	case Gone:
		p.gone(o, before, at)
	case Starting, Idle, Retiring:
	}
	p.counted(at)
}

// gone notes how a pod ended: by itself, or by us.
func (p *pool) gone(o *corev1.Pod, before State, at time.Time) {
	if finished(o) {
		p.ended++
	}
	switch {
	case before == Busy:
		p.busyGone(o)
	case before == Idle && !finished(o), before == Retiring && !finished(o):
		p.idleGone(at)
	}
}

// counted takes note of what the counts have come to.
func (p *pool) counted(at time.Time) {
	idle := p.view().Idle
	if p.seen.FilledAfter == 0 && idle >= p.seen.Target {
		p.seen.FilledAfter = at.Sub(p.applied)
		p.seen.Surplus = p.made - p.seen.Target - p.turned - p.ended
	}
	if p.measuring {
		p.seen.FewestIdle = min(p.seen.FewestIdle, idle)
	}
}

func (p *pool) measure(on bool) {
	if on && !p.measuring {
		p.seen.FewestIdle = p.view().Idle
	}
	p.measuring = on
}

func (p *pool) job(o *batchv1.Job, at time.Time) {
	if p.jobs[o.UID] {
		return
	}
	p.jobs[o.UID] = true
	p.made++
	if p.seen.FilledAfter == 0 {
		p.seen.MostJobs = max(p.seen.MostJobs, len(p.jobs))
	}
	if p.made > int(p.spec.IdleTarget) {
		p.seen.Replaced++
		p.replaced(at)
	}
}

// flipped notes that a pod turned busy. After the target was lowered, it isn't said that it will be replaced.
func (p *pool) flipped(at time.Time) {
	if !p.loweredAt.IsZero() {
		return
	}
	p.early = slices.DeleteFunc(p.early, func(t time.Time) bool { return at.Sub(t) > reorder })
	if len(p.early) > 0 {
		p.early = p.early[1:]
		p.waited(0)
		return
	}
	p.flips = append(p.flips, at)
}

// replaced matches a new Job with the busy pod that has waited longest: any replacement is as good as another.
func (p *pool) replaced(at time.Time) {
	if len(p.flips) == 0 {
		p.early = append(p.early, at)
		return
	}
	p.waited(at.Sub(p.flips[0]))
	p.flips = p.flips[1:]
}

func (p *pool) waited(d time.Duration) {
	p.seen.Waits = append(p.seen.Waits, d)
	p.seen.LastWait = d
}

func (p *pool) busyGone(o *corev1.Pod) {
	done := finished(o)
	if !done {
		p.seen.BusyEnded = append(p.seen.BusyEnded, o.Name)
	}
	if !p.busyBefore[o.UID] {
		return
	}
	if succeeded(o) {
		p.seen.Lowered.BusyFinished++
	} else {
		p.seen.Lowered.BusyLost++
	}
}

func (p *pool) idleGone(at time.Time) {
	if l := p.seen.Lowered; l != nil {
		l.Retired++
		l.Last = at.Sub(p.loweredAt)
		if l.Retired == 1 {
			l.First = l.Last
		}
	}
}

func (p *pool) lower(target int, at time.Time) {
	v := p.view()
	p.seen.Lowered = &Lowered{From: p.seen.Target, To: target, Surplus: v.Idle - target, Busy: v.Busy}
	p.seen.Target, p.loweredAt, p.measuring = target, at, false
	// Pods that turned busy a moment ago may not be replaced any more.
	p.flips, p.early = nil, nil
	p.busyBefore = map[types.UID]bool{}
	for uid, o := range p.pods {
		if o.state == Busy {
			p.busyBefore[uid] = true
		}
	}
}
