// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// model plays with a cluster whose events arrive late, twice, or never, and whose answers get lost.
type model struct {
	*cluster
	names        []string                 // of all pods that there ever were
	history      map[string][]*corev1.Pod // what has been, of each pod
	reservations []*Reservation
	winners      map[types.UID]types.UID // pod → Job
	jobs         int
	created      int
	streams      map[types.UID]*Stream
	delivered    map[types.UID]string
}

var podResource = corev1.SchemeGroupVersion.WithResource("pods")

// remember keeps what a pod is now, as an event that may be delivered at any time.
func (m *model) remember(name string) {
	p, err := m.client.CoreV1().Pods("games").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return
	}
	p.ResourceVersion = fmt.Sprint(len(m.history[name]) + 1)
	m.history[name] = append(m.history[name], p)
}

func (m *model) someName(t *rapid.T) string {
	if len(m.names) == 0 {
		t.Skip("no pods")
	}
	return rapid.SampledFrom(m.names).Draw(t, "pod")
}

func (m *model) Create(t *rapid.T) {
	p := idlePod(fmt.Sprint("p", m.created))
	if err := m.client.Tracker().Add(p); err != nil {
		t.Fatal(err)
	}
	m.created++
	m.names = append(m.names, p.Name)
	m.remember(p.Name)
}

// Event delivers anything that a pod has ever been.
func (m *model) Event(t *rapid.T) {
	name := m.someName(t)
	m.remember(name)
	m.see(rapid.SampledFrom(m.history[name]).Draw(t, "event"))
}

// Catch lets the registry see what is.
func (m *model) Catch(*rapid.T) {
	for _, name := range m.names {
		m.remember(name)
		m.see(m.history[name][len(m.history[name])-1])
	}
}

// Retire is another writer's.
func (m *model) Retire(t *rapid.T) {
	name := m.someName(t)
	p, err := m.client.CoreV1().Pods("games").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil || p.Labels[v1alpha1.LabelState] != "idle" {
		t.Skip("not idle")
	}
	p.Labels[v1alpha1.LabelState] = "retiring"
	if err := m.client.Tracker().Update(podResource, p, "games"); err != nil {
		t.Fatal(err)
	}
}

func (m *model) Delete(t *rapid.T) {
	_ = m.client.Tracker().Delete(podResource, "games", m.someName(t)) // it may be gone already
}

func (m *model) Forget(t *rapid.T) {
	name := m.someName(t)
	if _, err := m.client.CoreV1().Pods("games").Get(context.Background(), name, metav1.GetOptions{}); err == nil {
		t.Skip("it still is")
	}
	uid := m.history[name][0].UID
	m.Registry.Forget(uid)
	delete(m.streams, uid)
	m.names = slices.DeleteFunc(m.names, func(n string) bool { return n == name })
}

func (m *model) Cordon(t *rapid.T) { m.SetCordoned("n1", rapid.Bool().Draw(t, "cordoned")) }

func (m *model) Attach(t *rapid.T) {
	id := idOf(m.history[m.someName(t)][0])
	s, err := m.Registry.Attach(id, netip.Addr{}, Activity{LaunchID: m.delivered[id.UID]})
	if err != nil {
		t.Fatal(err)
	}
	m.streams[id.UID] = s
}

func (m *model) Detach(t *rapid.T) {
	if len(m.streams) == 0 {
		t.Skip("no streams")
	}
	uid := rapid.SampledFrom(slices.Sorted(maps.Keys(m.streams))).Draw(t, "pod")
	m.streams[uid].Close()
	delete(m.streams, uid)
}

func (m *model) Reserve(t *rapid.T) {
	n := rapid.IntRange(1, 4).Draw(t, "n")
	before := m.Idle(game)
	r, err := m.Registry.Reserve(game, n)
	if (err == nil) != (before >= n) {
		t.Fatalf("reserved %d of %d: %v", n, before, err)
	}
	if err == nil {
		m.reservations = append(m.reservations, r)
		if after := m.Idle(game); after != before-n {
			t.Fatalf("%d were idle, %d are reserved, %d are left", before, n, after)
		}
	}
}

func (m *model) Release(t *rapid.T) {
	if len(m.reservations) == 0 {
		t.Skip("no reservations")
	}
	i := rapid.IntRange(0, len(m.reservations)-1).Draw(t, "reservation")
	m.reservations[i].Release()
	m.reservations = slices.Delete(m.reservations, i, i+1)
}

// Claim makes some claims at once, of reservations and without, while answers get lost.
func (m *model) Claim(t *rapid.T) {
	m.faults = rapid.SliceOfN(rapid.SampledFrom([]fault{none, unapplied, unheard}), 0, 4).Draw(t, "faults")
	var all sync.WaitGroup
	results := make([]*corev1.Pod, rapid.IntRange(1, 4).Draw(t, "claims"))
	jobs := make([]Claim, len(results))
	for i := range results {
		m.jobs++
		jobs[i] = claimOf(fmt.Sprint("job", m.jobs))
		claim := m.Registry.Claim
		if len(m.reservations) > 0 && rapid.Bool().Draw(t, "reserved") {
			claim = rapid.SampledFrom(m.reservations).Draw(t, "reservation").Claim
		}
		all.Go(func() {
			p, err := claim(context.Background(), jobs[i])
			if err != nil && !errors.Is(err, ErrNoneIdle) {
				t.Errorf("claim: %v", err)
			}
			results[i] = p
		})
	}
	all.Wait()
	m.faults = nil
	for i, p := range results {
		if p == nil {
			continue
		}
		if earlier, ok := m.winners[p.UID]; ok {
			t.Fatalf("pod %s was claimed by %s, and again by %s", p.Name, earlier, jobs[i].Owner.UID)
		}
		m.winners[p.UID] = jobs[i].Owner.UID
	}
}

// Check compares what the registry knows with what it should.
func (m *model) Check(t *rapid.T) {
	synctest.Wait()
	for uid, s := range m.streams {
		if text := received(s); text != "" {
			if m.delivered[uid] != "" {
				t.Fatalf("%s was told that it has started, and got a launch", uid)
			}
			m.delivered[uid] = launchID(text)
			if err := m.Report(s.entry.id, netip.Addr{}, Activity{LaunchID: launchID(text)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range m.names {
		p, err := m.client.CoreV1().Pods("games").Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			continue
		}
		// All claims have had an answer: what isn't a winner's is nobody's.
		if job, ok := m.winners[p.UID]; ok != (p.Labels[v1alpha1.LabelState] == "busy") || ok && p.OwnerReferences[0].UID != job {
			t.Fatalf("pod %s: claimed by %q, and it is %v of %v", name, job, p.Labels, p.OwnerReferences)
		}
		if got := m.delivered[p.UID]; got != "" && got != launchID(p.Annotations[v1alpha1.AnnotationPayload]) {
			t.Fatalf("pod %s got launch %s, and has %v", name, got, p.Annotations)
		}
	}
	m.checkLists(t)
}

// checkLists compares the queues with what each pod should be in.
func (m *model) checkLists(t *rapid.T) {
	m.Registry.mu.Lock()
	defer m.Registry.mu.Unlock()
	p := m.pools[game]
	var alone, attached, reserved int
	for uid, e := range m.pods {
		if _, won := m.winners[uid]; won && e.place.in != nil {
			t.Fatalf("%s is claimed and listed", uid)
		}
		switch {
		case !m.claimable(e):
			if e.place.in != nil {
				t.Fatalf("%s is listed", uid)
			}
		case e.stream != nil:
			attached++
		default:
			alone++
		}
	}
	for _, r := range m.reservations {
		reserved += r.left
	}
	if p.alone.Len() != alone || p.attached.Len() != attached || p.reserved != reserved {
		t.Fatalf("listed %d and %d, reserved %d; want %d and %d, %d", p.alone.Len(), p.attached.Len(), p.reserved, alone, attached, reserved)
	}
}

// timeless has no deadline, which rapid asks for, and which is not to be had with a fake clock.
type timeless struct{ testing.TB }

func TestNoPodIsClaimedTwiceWhateverHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(timeless{t}, func(t *rapid.T) {
			m := &model{
				cluster: newCluster(), history: map[string][]*corev1.Pod{}, winners: map[types.UID]types.UID{},
				streams: map[types.UID]*Stream{}, delivered: map[types.UID]string{},
			}
			defer func() {
				for _, s := range m.streams {
					s.Close()
				}
			}()
			t.Repeat(rapid.StateMachineActions(m))
			for _, r := range m.reservations {
				r.Release()
			}
			m.reservations = nil
			m.SetCordoned("n1", false)
			m.Catch(t)
			m.Check(t)
			want := 0
			for _, name := range m.names {
				if p, err := m.client.CoreV1().Pods("games").Get(context.Background(), name, metav1.GetOptions{}); err == nil && p.Labels[v1alpha1.LabelState] == "idle" {
					want++
				}
			}
			stale := 0 // those that are gone, and weren't forgotten yet
			for _, name := range m.names {
				last := m.history[name][len(m.history[name])-1]
				if _, err := m.client.CoreV1().Pods("games").Get(context.Background(), name, metav1.GetOptions{}); err != nil && last.Labels[v1alpha1.LabelState] == "idle" {
					stale++
				}
			}
			if got := m.Idle(game); got < want || got > want+stale {
				t.Fatalf("in the end %d are idle, want %d and at most %d that are gone", got, want, stale)
			}
		})
	})
}
