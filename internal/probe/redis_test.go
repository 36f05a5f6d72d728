// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const often = 50 * time.Millisecond

func TestRedisReadings(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	for i, status := range []string{"starting", "idle", "busy", "error", "resting"} {
		s.say(fmt.Sprintf("a-%d", i), status)
	}
	for i, value := range []string{`"busy"`, `["busy"]`, `42`, `null`, `{"status":{"status":"idle"}}`, strings.Repeat("x", 1<<20)} {
		s.do("HSET", hash, fmt.Sprintf("a-%d", i+5), value)
	}
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 12)...))
	eventually(t, p, "a", "a-1", usable(Idle))
	want := map[string]Signal{
		"a-0": Starting, "a-1": Idle, "a-2": Busy, "a-3": Failed, "a-4": Idle,
		// Defect 20: one of these made the sync of all pods fail.
		"a-5": Unknown, "a-6": Unknown, "a-7": Unknown, "a-8": Unknown, "a-9": Unknown, "a-10": Unknown,
		"a-11": Starting, // not registered yet
	}
	if diff := cmp.Diff(want, signals(p)); diff != "" {
		t.Errorf("readings (-want +got):\n%s", diff)
	}
	s.do("HDEL", hash, "a-2")
	eventually(t, p, "a", "a-2", Reading{Last: Busy, Reason: "redis: the pod's entry is gone"})
	s.say("a-2", "idle")
	eventually(t, p, "a", "a-2", usable(Idle))
}

// Defect 19: an entry goes stale by itself, with nothing new in the hash and no read of it.
func TestRedisEntriesGoStale(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	seen := &notices{}
	p := New(Options{Period: time.Hour, Notify: seen.notify})
	run(t, p)
	s.do("HSET", hash, "a-0", entryOf("busy", time.Now().Add(-7*time.Second)))
	pool := s.pool("a", pods("a", 1)...)
	pool.Probe.Redis.StaleSeconds = new(int32(10))
	p.Set(pool)
	eventually(t, p, "a", "a-0", usable(Busy))
	told := seen.of("a")
	got := eventuallyUnknown(t, p, "older than 10s")
	if got.Last != Busy || got.SourceDown {
		t.Errorf("stale: %+v; want Last busy, and the source not down", got)
	}
	gomega.NewWithT(t).Eventually(func() int { return seen.of("a") }, "10s", "2ms").Should(gomega.Equal(told + 1))
	pool.Probe.Redis = &v1alpha1.RedisProbe{Address: s.address(), StaleSeconds: new(int32(0))}
	p.Set(pool)
	eventually(t, p, "a", "a-0", usable(Busy))
}

// Defect 18: an outage isn't "nobody is busy". The server comes back with its data.
func TestRedisDiesAndReturns(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.say("a-0", "busy")
	s.say("a-1", "idle")
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 3)...))
	eventually(t, p, "a", "a-0", usable(Busy))
	s.do("SAVE")
	s.kill()
	down := "redis " + s.address() + ": connection refused"
	for uid, last := range map[types.UID]Signal{"a-0": Busy, "a-1": Idle, "a-2": Starting} {
		eventually(t, p, "a", uid, Reading{Last: last, Reason: down, SourceDown: true})
	}
	if got := p.Recheck(t.Context(), poolName("a"), pods("a", 2))["a-1"]; got.Signal != Unknown || !got.SourceDown {
		t.Errorf("rechecked during the outage: %+v", got)
	}
	s.start()
	for uid, signal := range map[types.UID]Signal{"a-0": Busy, "a-1": Idle, "a-2": Starting} {
		eventually(t, p, "a", uid, usable(signal))
	}
}

func TestRedisReturnsWithoutItsData(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.say("a-0", "busy")
	s.say("a-1", "idle")
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 2)...))
	eventually(t, p, "a", "a-0", usable(Busy))
	s.kill()
	eventuallyUnknown(t, p, "connection refused")
	s.start()
	gone := "redis: the pod's entry is gone"
	eventually(t, p, "a", "a-0", Reading{Last: Busy, Reason: gone})
	eventually(t, p, "a", "a-1", Reading{Last: Idle, Reason: gone})
	p.Set(s.pool("a", pods("a", 3)...))
	eventually(t, p, "a", "a-2", usable(Starting)) // it is new, and has lost nothing
	s.say("a-0", "busy")
	eventually(t, p, "a", "a-0", usable(Busy))
	eventually(t, p, "a", "a-1", Reading{Last: Idle, Reason: gone})
}

// Defect 18: a server that is there later is used later, with no restart.
func TestRedisIsThereLater(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.kill()
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	if got := eventuallyUnknown(t, p, "connection refused"); got.Last != Unknown || !got.SourceDown {
		t.Errorf("reading %+v", got)
	}
	s.start()
	eventually(t, p, "a", "a-0", usable(Starting))
}

// Defect 20: no read timeout.
func TestRedisThatHangsIsDown(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.say("a-0", "busy")
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	eventually(t, p, "a", "a-0", usable(Busy))
	s.signal(stopped)
	want := Reading{Last: Busy, Reason: "redis " + s.address() + ": no answer in time", SourceDown: true}
	eventually(t, p, "a", "a-0", want)
	s.signal(continued)
	eventually(t, p, "a", "a-0", usable(Busy))
}

func TestRedisKeyThatIsNoHash(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.do("SET", hash, "busy")
	p := New(Options{Period: often})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	if got := eventuallyUnknown(t, p, `key "mlgame-daemon-pod" isn't a hash`); !got.SourceDown {
		t.Errorf("reading %+v; want the source down", got)
	}
	s.do("DEL", hash)
	s.say("a-0", "idle")
	eventually(t, p, "a", "a-0", usable(Idle))
}

func TestRedisPasswords(t *testing.T) {
	t.Parallel()
	s := redisServer(t, "--requirepass", "right")
	s.say("a-0", "busy")
	p := New(Options{Period: often})
	run(t, p)
	pool := s.pool("a", pods("a", 1)...)
	for _, password := range []string{"", "a wrong one"} {
		pool.Password = password
		p.Set(pool)
		got := eventuallyUnknown(t, p, "the password is missing or wrong")
		if !got.SourceDown || strings.Contains(got.Reason, "a wrong one") {
			t.Errorf("reading %+v; want the source down, and no password in the reason", got)
		}
		p.Forget(pool.Name)
	}
	pool.Password = "right"
	p.Set(pool)
	eventually(t, p, "a", "a-0", usable(Busy))
	pool.Password = "changed too soon"
	p.Set(pool)
	if got := eventuallyUnknown(t, p, "the password is missing or wrong"); got.Last != Busy {
		t.Errorf("reading %+v; want that it was busy", got)
	}
}

func TestRedisRecheck(t *testing.T) {
	t.Parallel()
	s := redisServer(t)
	s.say("a-0", "idle")
	p := New(Options{Period: time.Hour})
	run(t, p)
	p.Set(s.pool("a", pods("a", 1)...))
	eventually(t, p, "a", "a-0", usable(Idle))
	for i := range 20 {
		signal := []Signal{Busy, Idle}[i%2]
		s.say("a-0", map[Signal]string{Busy: "busy", Idle: "idle"}[signal])
		if got := p.Recheck(t.Context(), poolName("a"), pods("a", 1))["a-0"]; got != usable(signal) {
			t.Fatalf("rechecked: %+v; want %v", got, signal)
		}
	}
}
