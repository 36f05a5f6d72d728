// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// client-go's, which notices only at its next ping, within 5 s, that its connection is closed.
		goleak.IgnoreAnyFunction("k8s.io/client-go/tools/remotecommand.(*heartbeat).start"))
}

// run runs the prober until the test ends.
func run(t *testing.T, p *Prober) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
}

func poolName(pool string) types.NamespacedName {
	return types.NamespacedName{Namespace: "games", Name: pool}
}

// pods are n targets whose names begin with the prefix.
func pods(prefix string, n int) []Target {
	targets := make([]Target, n)
	for i := range targets {
		id := fmt.Sprintf("%s-%d", prefix, i)
		targets[i] = Target{UID: types.UID(id), Name: id, Namespace: "games", IP: "127.0.0.1"}
	}
	return targets
}

func execPool(pool string, probe v1alpha1.ExecProbe, targets ...Target) Pool {
	return Pool{
		Name:    poolName(pool),
		Probe:   v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &probe},
		Targets: targets,
	}
}

// notices counts the calls of Notify by pool.
type notices struct {
	mu    sync.Mutex
	pools []types.NamespacedName
}

func (n *notices) notify(pool types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pools = append(n.pools, pool)
}

func (n *notices) of(pool string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, p := range n.pools {
		if p == poolName(pool) {
			count++
		}
	}
	return count
}

// commands is an Executor that answers by a function and keeps count.
type commands struct {
	answer func(ctx context.Context, target Target, command []string) (int, error)

	mu       sync.Mutex
	calls    []call
	under    map[types.UID]int
	total    int
	most     int // under way at once
	mostSame int // under way at once in one pod
}

func (c *commands) Exec(ctx context.Context, target Target, command []string) (int, error) {
	c.begin(target, command)
	defer c.end(target)
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	return answer(ctx, target, command)
}

func (c *commands) answerBy(f func(ctx context.Context, target Target, command []string) (int, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

func (c *commands) begin(target Target, command []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under == nil {
		c.under = map[types.UID]int{}
	}
	c.calls = append(c.calls, newCall(target, command))
	c.under[target.UID]++
	c.total++
	c.most = max(c.most, c.total)
	c.mostSame = max(c.mostSame, c.under[target.UID])
}

func (c *commands) end(target Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.under[target.UID]--
	c.total--
}

// of returns the calls for one pod, in order.
func (c *commands) of(uid types.UID) []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.calls), func(o call) bool { return o.target.UID != uid })
}

func (c *commands) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.calls)
}
