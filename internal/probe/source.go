// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const (
	redisIOTimeout = 3 * time.Second
	// retryFirst is how soon a server that can't be read is tried again; the pause doubles up to the period.
	retryFirst = 500 * time.Millisecond
	// leastGap is the least pause between two reads that were asked for, so that a thousand heartbeats a second cost
	// tens of reads. A read that takes long makes it longer, by gapFactor.
	leastGap  = 20 * time.Millisecond
	gapFactor = 5
)

// quietRedis silences go-redis, whose logger is one for the process: what it says is in the readings.
var quietRedis = sync.OnceFunc(func() { redis.SetLogger(&logging.VoidLogger{}) })

// sourceKey is a Redis hash and how it is reached. Pools that agree in it share its reader.
type sourceKey struct {
	address       string
	db            int
	key, password string
}

// source is the reader of a Redis hash. Prober.mu guards what isn't set at its making.
type source struct {
	prober *Prober
	key    sourceKey
	again  chan struct{} // capacity 1: read now

	users   int // pools
	cancel  context.CancelFunc
	waiters []chan<- bool // told when a read that began from now on is done

	read    bool             // the hash has been read, or the attempt failed
	down    string           // why it can't be read; empty while it can
	entries map[string]field // as of the last read that succeeded
}

func newSource(p *Prober, key sourceKey) *source {
	return &source{prober: p, key: key, again: make(chan struct{}, 1)}
}

// start starts the reader, unless it runs. Prober.mu is held.
func (s *source) start(ctx context.Context, group *sync.WaitGroup) {
	if s.cancel != nil {
		return
	}
	ctx, s.cancel = context.WithCancel(ctx)
	group.Go(func() { s.run(ctx) })
}

// stop ends the reader soon, and lets go of those who wait for it. Prober.mu is held.
func (s *source) stop() {
	answer(&s.waiters, false)
	if s.cancel != nil {
		s.cancel()
		s.cancel = nil
	}
}

func (s *source) kick() {
	select {
	case s.again <- struct{}{}:
	default: // a read is about to begin
	}
}

// run reads the hash once per period, and whenever somebody asks for it.
func (s *source) run(ctx context.Context) {
	var listener sync.WaitGroup
	listener.Go(func() { s.listen(ctx) })
	defer listener.Wait()
	c := &connection{}
	defer c.close()
	o := &s.prober.options
	for failures := 0; ; {
		began, gap := o.Clock.Now(), leastGap
		if s.readOnce(ctx, c) {
			failures = 0
			gap = min(max(gap, gapFactor*o.Clock.Since(began)), o.Period)
		} else {
			failures++
		}
		if !s.pause(ctx, s.untilNext(failures), gap) {
			return
		}
	}
}

func (s *source) untilNext(failures int) time.Duration {
	o := &s.prober.options
	next := o.Period
	if failures > 0 {
		next = min(next, retryFirst<<min(failures-1, 10))
	}
	return time.Duration((0.95 + 0.1*o.Rand()) * float64(next))
}

// pause waits for the time to be over or somebody to ask for a read, which they get after the gap. It returns false when
// there will be no other read.
func (s *source) pause(ctx context.Context, wait, gap time.Duration) bool {
	began := s.prober.options.Clock.Now()
	timer := s.prober.options.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	case <-s.again:
		return s.sleep(ctx, gap-s.prober.options.Clock.Since(began))
	}
}

// sleep returns false if ctx was done before.
func (s *source) sleep(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := s.prober.options.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// readOnce reads the hash and hands on what it says, or that it says nothing.
func (s *source) readOnce(ctx context.Context, c *connection) bool {
	p := s.prober
	p.mu.Lock()
	waiters, before := s.waiters, s.entries
	s.waiters = nil
	p.mu.Unlock()
	began := p.options.Clock.Now()
	raw, err := s.fetch(ctx, c)
	if ctx.Err() == nil {
		p.options.Observe(v1alpha1.BusyByRedis, p.options.Clock.Since(began), err != nil)
	}
	var entries map[string]field
	if err == nil {
		entries = parseAll(raw, before)
	}
	p.notify(s.keep(ctx, entries, err, waiters))
	return err == nil
}

// keep holds on to what was read, and returns the pools of which a reading has changed.
func (s *source) keep(ctx context.Context, entries map[string]field, err error, waiters []chan<- bool) (changed []*pool) {
	p := s.prober
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		answer(&waiters, false)
		return nil
	}
	s.read, s.down = true, ""
	if err != nil {
		s.down = "redis " + s.key.address + ": " + redisCause(err, &s.key)
	} else {
		s.entries = entries
	}
	now := p.options.Clock.Now()
	for _, o := range p.order {
		if o.source == s && o.evaluate(now) {
			changed = append(changed, o)
		}
	}
	answer(&waiters, true)
	p.wakeUp() // an entry may go stale sooner than the loop expects
	return changed
}

// connection is a client that is made when it is needed, and made anew after an error. go-redis would otherwise keep
// dialling a dead server on its own account, also after it was closed.
type connection struct {
	client *redis.Client
}

func (c *connection) close() {
	if c.client != nil {
		_ = c.client.Close() // there is nothing in it to lose
		c.client = nil
	}
}

// fetch reads the hash. A connection from before that was lost meanwhile is no news about the server: it is tried again.
func (s *source) fetch(ctx context.Context, c *connection) (map[string]string, error) {
	for {
		used := c.client != nil
		if !used {
			c.client = s.newClient()
		}
		raw, err := s.hgetall(ctx, c.client)
		if err == nil {
			return raw, nil
		}
		c.close()
		lost := errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
		if !used || !lost {
			return nil, err
		}
	}
}

func (s *source) hgetall(ctx context.Context, client *redis.Client) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.prober.options.Redis.DialTimeout+redisIOTimeout)
	defer cancel()
	// go-redis minds a context's deadline, but not that it is cancelled.
	defer context.AfterFunc(ctx, func() { _ = client.Close() })()
	return client.HGetAll(ctx, s.key.key).Result()
}

func (s *source) newClient() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.key.address, DB: s.key.db, Password: s.key.password,
		Protocol:              2, // all that is needed, and what every server and proxy speaks
		DisableIdentity:       true,
		DialTimeout:           s.prober.options.Redis.DialTimeout,
		DialerRetries:         1,
		MaxRetries:            -1,
		ReadTimeout:           redisIOTimeout,
		WriteTimeout:          redisIOTimeout,
		ContextTimeoutEnabled: true,
	})
}

// channel is where the server tells of changes of the hash, if it is configured to (notify-keyspace-events Kh).
func (s *source) channel() string {
	return "__keyspace@" + strconv.Itoa(s.key.db) + "__:" + s.key.key
}
