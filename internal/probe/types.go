// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
)

// Signal is internal/signal's: what decides by signals must not import what reads them.
type Signal = signal.Signal

// Reading is internal/signal's. Last is the last usable signal: Signal itself, or while that is Unknown the one before.
type Reading = signal.Reading

// The signals. A Starting pod of mode redis has said so, or has not registered yet; a Failed one says "error".
const (
	Unknown  = signal.Unknown
	Starting = signal.Starting
	Idle     = signal.Idle
	Busy     = signal.Busy
	Failed   = signal.Failed
)

// Target is a pod to ask.
type Target struct {
	UID       types.UID
	Name      string
	Namespace string
	IP        string
	Container string // exec: where the command is run; empty means the one that the probe names
}

// Pool says which pods are probed and how.
type Pool struct {
	Name     types.NamespacedName
	Probe    v1alpha1.BusyProbe // mode http, exec or redis; there is nothing to do for others
	Password string             // redis: from the pool's Secret, sent only to the address that the probe itself names
	Targets  []Target           // the pods that run and are ready
}

// Executor runs a command in a pod.
type Executor interface {
	// Exec returns the command's exit code, or an error if it can't be known. It must return soon after ctx is done:
	// the pod isn't asked again before.
	Exec(ctx context.Context, target Target, command []string) (exitCode int, err error)
}

// RedisDefaults is what a probe of mode redis that doesn't say otherwise uses: the operator's environment.
type RedisDefaults struct {
	Address     string // default localhost:6379
	DB          int
	Key         string // default mlgame-daemon-pod
	Password    string // for Address only: it isn't sent to a server that a pool names
	DialTimeout time.Duration
}

// Options configure a Prober. The zero value works, but for exec.
type Options struct {
	// Exec runs the commands of mode exec. Without it their result is unknown, with a reason that says so.
	Exec Executor
	// Redis is for probes that leave something out.
	Redis RedisDefaults
	// Period is how often a Redis hash is read. Default 10 s.
	Period time.Duration
	// Workers bounds the HTTP requests and commands under way at once, of all pools together; a pool that has none under
	// way may exceed it by one. Default 64.
	Workers int
	// Clock says when a probe is due and whether an entry is stale. Default the real one.
	Clock clock.Clock
	// Rand is the jitter's source, in [0, 1). It may be called from several goroutines at once.
	Rand func() float64
	// Notify is called after a reading of the pool has changed, possibly from several goroutines at once and never
	// while a lock is held. It must not block.
	Notify func(types.NamespacedName)
	// Observe is told how long each question took, or each reading of a hash, and whether there was no usable answer.
	// It is called as Notify is.
	Observe func(mode v1alpha1.BusyProbeMode, took time.Duration, failed bool)
}

const (
	defaultPeriod      = 10 * time.Second
	defaultTimeout     = time.Second
	defaultWorkers     = 64
	defaultHTTPPort    = 8080
	defaultHTTPPath    = "/busy"
	defaultAddress     = "localhost:6379"
	defaultKey         = "mlgame-daemon-pod"
	defaultDialTimeout = 5 * time.Second
	defaultStale       = 600 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Period <= 0 {
		o.Period = defaultPeriod
	}
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Notify == nil {
		o.Notify = func(types.NamespacedName) {}
	}
	if o.Observe == nil {
		o.Observe = func(v1alpha1.BusyProbeMode, time.Duration, bool) {}
	}
	if o.Redis.Address == "" {
		o.Redis.Address = defaultAddress
	}
	if o.Redis.Key == "" {
		o.Redis.Key = defaultKey
	}
	if o.Redis.DialTimeout <= 0 {
		o.Redis.DialTimeout = defaultDialTimeout
	}
	return o
}
