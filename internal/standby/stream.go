// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Stream is an open stream of a pod.
type Stream struct {
	registry *Registry
	entry    *entry
	from     netip.Addr
	payloads chan string
	ctx      context.Context // done when the stream has ended
	cancel   context.CancelFunc
	err      error // why it has ended
	given    bool  // the launch was sent
	fetching bool  // the launch is being read from the API server
}

// launch is what a pod was given.
type launch struct {
	id       string
	text     string // the payload, while it may have to be sent
	reported string // the launch that the pod says it has started
	told     bool   // OnStarted was
	started  time.Time
	timing   Timing
	starting
}

// Attach opens a stream to a pod, and ends the one before. It must be closed. ErrElsewhere is returned, and later ends the
// stream, if the pod turns out not to have the address that its connection comes from; the zero Addr is any.
func (r *Registry) Attach(id PodID, from netip.Addr, a Activity) (*Stream, error) {
	r.mu.Lock()
	defer r.unlock()
	e := r.entryOf(id)
	if e.id != id {
		return nil, fmt.Errorf("pod %s/%s has the UID of %s/%s", id.Namespace, id.Name, e.id.Namespace, e.id.Name)
	}
	if !e.mayBeAt(from) {
		return nil, elsewhere(id, from)
	}
	r.end(e, ErrReplaced)
	s := &Stream{registry: r, entry: e, from: from, payloads: make(chan string, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	e.stream = s
	if a.LaunchID == "" { // nothing was started in this container; in one before it something may have been
		e.launch.reported, e.launch.told, e.launch.started = "", false, time.Time{}
	}
	r.note(e, a)
	r.settle(e)
	return s, nil
}

// mayBeAt says whether a pod may have an address, as far as is known; r.mu is held.
func (e *entry) mayBeAt(from netip.Addr) bool {
	return !from.IsValid() || len(e.ips) == 0 || slices.Contains(e.ips, from)
}

func elsewhere(id PodID, from netip.Addr) error {
	return fmt.Errorf("pod %s/%s isn't at %s: %w", id.Namespace, id.Name, from, ErrElsewhere)
}

// Payloads gets the launch, at most once; it is closed when the stream ends.
func (s *Stream) Payloads() <-chan string { return s.payloads }

// Sending takes note that what came from Payloads is being sent.
func (s *Stream) Sending() {
	r := s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := &s.entry.launch.timing; s.entry.stream == s && !t.Claimed.IsZero() {
		t.Sent = r.deps.Clock.Now()
	}
}

// Err says why the stream has ended: ErrReplaced, ErrForgotten, ErrElsewhere, or nil if it was closed, or hasn't ended.
func (s *Stream) Err() error {
	s.registry.mu.Lock()
	defer s.registry.mu.Unlock()
	return s.err
}

// Close ends the stream.
func (s *Stream) Close() {
	r, e := s.registry, s.entry
	r.mu.Lock()
	defer r.unlock()
	if e.stream != s {
		return
	}
	r.end(e, nil)
	r.settle(e)
	if e.pool == nil && r.pods[e.id.UID] == e { // a pod that was never observed, and may be none of ours
		delete(r.pods, e.id.UID)
	}
}

// end ends the pod's stream, if it has one; r.mu is held.
func (r *Registry) end(e *entry, why error) {
	s := e.stream
	if s == nil {
		return
	}
	e.stream = nil
	s.err = why
	s.cancel()
	close(s.payloads)
	r.pause(e)
	r.setWork(e, WorkUnknown) // what it would say now isn't known
}

// Report takes note of what a pod says that it is doing, from an address as with Attach. ErrDetached says that the pod must
// attach first: its workload counts only while a stream is open, and an Attach that is under way may not have it yet.
func (r *Registry) Report(id PodID, from netip.Addr, a Activity) error {
	r.mu.Lock()
	defer r.unlock()
	e, ok := r.pods[id.UID]
	if !ok {
		return ErrDetached
	}
	if e.id != id {
		return fmt.Errorf("pod %s/%s has the UID of %s/%s", id.Namespace, id.Name, e.id.Namespace, e.id.Name)
	}
	if !e.mayBeAt(from) {
		return elsewhere(id, from)
	}
	if a.Work != WorkUnknown && e.stream == nil {
		return ErrDetached
	}
	r.note(e, a)
	r.settle(e)
	return nil
}

// note records what a pod says; r.mu is held.
func (r *Registry) note(e *entry, a Activity) {
	if a.LaunchID != "" && e.launch.reported == "" {
		e.launch.reported, e.launch.started = a.LaunchID, a.Started
		if a.Started.IsZero() {
			e.launch.started = r.deps.Clock.Now()
		}
	}
	if a.Work != WorkUnknown && e.stream != nil {
		r.setWork(e, a.Work)
	}
}

// setWork records what a workload says about itself; r.mu is held.
func (r *Registry) setWork(e *entry, w Work) {
	if e.work == w {
		return
	}
	e.work = w
	if e.pool != nil {
		tell(r, r.onWork, e.pool.name)
	}
}

// Works returns what the workloads of a pool say about themselves. One whose pod has no open stream isn't among them: it
// couldn't say if it were otherwise by now.
func (r *Registry) Works(name types.NamespacedName) map[types.UID]Work {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.pools[name]
	if !ok {
		return nil
	}
	works := map[types.UID]Work{}
	for uid, e := range p.pods {
		if e.stream != nil && e.work != WorkUnknown {
			works[uid] = e.work
		}
	}
	return works
}

// deliver sends a claimed pod its launch over its open stream, unless it has started it; r.mu is held.
func (r *Registry) deliver(e *entry) {
	if !e.claimed || e.held {
		return
	}
	if e.launch.reported != "" {
		r.begun(e)
		return
	}
	s := e.stream
	switch {
	case s == nil || s.given:
	case e.launch.text != "":
		s.given = true
		s.payloads <- e.launch.text // buffered: a stream gets no more than this
		r.await(e)
	case !s.fetching:
		// Claimed by an earlier process, or started before in a container that has ended since.
		s.fetching = true
		go r.fetch(s)
	}
}

// begun takes note that a pod has started its launch; r.mu is held.
func (r *Registry) begun(e *entry) {
	if e.launch.told {
		return
	}
	e.launch.told = true
	e.launch.text = ""
	r.pause(e)
	e.launch.starting = starting{}
	if e.launch.id != "" && e.launch.id != e.launch.reported {
		r.deps.Log.Info("a pod runs another launch than it was given", "pod", e.id.Name, "namespace", e.id.Namespace,
			"given", e.launch.id, "reported", e.launch.reported)
	}
	if !e.launch.timing.Claimed.IsZero() {
		e.launch.timing.Begun = r.deps.Clock.Now()
	}
	tell(r, r.onStarted, e.pod())
	e.launch.timing = Timing{} // a container that is started again isn't another launch
}

// fetch reads a pod's launch from the API server, however long that takes while the stream is open.
func (r *Registry) fetch(s *Stream) {
	id := s.entry.id
	for pause := newPause(); ; {
		ctx, cancel := context.WithTimeout(s.ctx, attemptTimeout)
		p, err := r.deps.Client.CoreV1().Pods(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		cancel()
		switch {
		case err == nil && p.UID == id.UID:
			r.fetched(s, p.Annotations[v1alpha1.AnnotationPayload])
			return
		case err == nil || apierrors.IsNotFound(err):
			return // the pod is gone, which will be observed
		}
		r.deps.Log.V(1).Info("read a claimed pod", "pod", id.Name, "namespace", id.Namespace, "err", err)
		if !pause.wait(s.ctx, r.deps.Clock) {
			return
		}
	}
}

// fetched sends a launch that was read.
func (r *Registry) fetched(s *Stream, text string) {
	r.mu.Lock()
	defer r.unlock()
	e := s.entry
	if e.stream != s {
		return
	}
	if text == "" {
		r.deps.Log.Info("a claimed pod has no payload", "pod", e.id.Name, "namespace", e.id.Namespace)
		return
	}
	e.launch.id, e.launch.text = launchID(text), text
	r.deliver(e)
}
