// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
)

const (
	stopped   = syscall.SIGSTOP
	continued = syscall.SIGCONT
)

func TestRedisKeyspaceNotifications(t *testing.T) {
	t.Parallel()
	s := redisServer(t, "--notify-keyspace-events", "Kh")
	s.say("a-0", "idle")
	p := New(Options{Period: time.Hour}) // what changes, changes by notification
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	eventually(t, p, "a", "a-0", usable(Idle))
	s.subscribed(1)
	s.say("a-0", "busy")
	eventually(t, p, "a", "a-0", usable(Busy))

	// A subscription that is lost comes back, and what changed meanwhile is seen.
	s.do("CLIENT", "KILL", "TYPE", "pubsub")
	s.say("a-0", "idle")
	eventually(t, p, "a", "a-0", usable(Idle))
	s.subscribed(1)
	s.say("a-0", "busy")
	eventually(t, p, "a", "a-0", usable(Busy))

	p.Forget(poolName("a"))
	s.subscribed(0)
}

// subscribed waits until as many are subscribed to changes of the hash.
func (s *server) subscribed(n int) {
	s.t.Helper()
	channel := "__keyspace@0__:" + hash
	gomega.NewWithT(s.t).Eventually(func() string {
		return fmt.Sprint(s.do("PUBSUB", "NUMSUB", channel))
	}, "30s", "2ms").Should(gomega.Equal(fmt.Sprintf("[%s %d]", channel, n)))
}

func TestRedisWithoutNotificationsIsPolled(t *testing.T) {
	t.Parallel()
	s := redisServer(t, "--notify-keyspace-events", "")
	s.say("a-0", "idle")
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	eventually(t, p, "a", "a-0", usable(Idle))
	s.say("a-0", "busy")
	eventually(t, p, "a", "a-0", usable(Busy))
}

// A user that may read the hash and nothing else.
func TestRedisThatLetsNobodySubscribe(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.say("a-0", "idle")
	s.do("ACL", "SETUSER", "default", "-subscribe")
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	eventually(t, p, "a", "a-0", usable(Idle))
	s.say("a-0", "busy")
	eventually(t, p, "a", "a-0", usable(Busy))
}

func TestRedisNotificationsAreCoalesced(t *testing.T) {
	t.Parallel()
	s := redisServer(t, "--notify-keyspace-events", "Kh")
	p := New(Options{Period: time.Hour})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	eventually(t, p, "a", "a-0", usable(Starting))
	s.subscribed(1)
	before, began := s.reads(), time.Now()
	for range 5000 {
		s.say("a-0", "idle")
	}
	s.say("a-0", "busy")
	eventually(t, p, "a", "a-0", usable(Busy))
	most := int(time.Since(began)/leastGap) + 3
	if n := s.reads() - before; n > most {
		t.Errorf("%d reads for 5,001 changes in %v; want at most %d", n, time.Since(began), most)
	}
}

// Defect 19: each pool read all of the hash, each time.
func TestPoolsShareTheReaderOfAHash(t *testing.T) {
	t.Parallel()
	const period = 100 * time.Millisecond
	s := redisServer(t)
	s.say("a-0", "busy")
	s.say("b-0", "idle")
	p := New(Options{Period: period})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	p.Set(s.pool("b", pods("b", 1)...))
	eventually(t, p, "a", "a-0", usable(Busy))
	eventually(t, p, "b", "b-0", usable(Idle))
	s.subscribed(1)
	before, began := s.reads(), time.Now()
	gomega.NewWithT(t).Eventually(func() int { return s.reads() - before }, "30s", "20ms").
		Should(gomega.BeNumerically(">=", 20))
	got := s.reads() - before
	if most := int(1.2*float64(time.Since(began)/period)) + 3; got > most {
		t.Errorf("%d reads in %v; want one per %v", got, time.Since(began), period)
	}
	p.Forget(poolName("a"))
	s.say("b-0", "busy")
	eventually(t, p, "b", "b-0", usable(Busy)) // the other pool's reader goes on
	p.Forget(poolName("b"))
	s.subscribed(0)
	ended := s.reads()
	gomega.NewWithT(t).Consistently(func() int { return s.reads() }, 3*period, period).
		Should(gomega.BeNumerically("<=", ended+1)) // one may have been under way
}

func TestAThousandPodsInOneHash(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	arguments := []any{"HSET", hash}
	for i := range 10_000 { // nine tenths are long gone
		status := []string{"idle", "busy"}[i%2]
		arguments = append(arguments, fmt.Sprintf("a-%d", i), entryOf(status, time.Now()))
	}
	s.do(arguments...)
	p := New(Options{Period: time.Hour})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1000)...))
	eventually(t, p, "a", "a-0", usable(Idle))
	count := map[Signal]int{}
	for _, r := range p.Readings(poolName("a")) {
		count[r.Signal]++
	}
	if count[Idle] != 500 || count[Busy] != 500 {
		t.Errorf("signals %v; want 500 idle and 500 busy", count)
	}
	for n := 1002; n < 1012; n += 2 { // new targets are asked at once, and not with the next period
		p.Set(s.pool("a", pods("a", n)...))
		eventually(t, p, "a", types.UID(fmt.Sprintf("a-%d", n-1)), usable(Busy))
	}
}

func BenchmarkEvaluate(b *testing.B) {
	now := time.Now()
	p := New(Options{})
	targets := pods("a", 10_000)
	p.Set(Pool{Name: poolName("a"), Probe: (&server{}).pool("a").Probe, Targets: targets})
	raw := map[string]string{}
	for _, t := range targets {
		raw[t.Name] = entryOf("idle", now)
	}
	o := p.pools[poolName("a")]
	o.source.read = true
	for b.Loop() {
		o.source.entries = parseAll(raw, o.source.entries)
		o.evaluate(now)
	}
}
