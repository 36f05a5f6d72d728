// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bytes"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/redis/go-redis/v9"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const hash = "mlgame-daemon-pod"

// server is a redis-server of the test's own.
type server struct {
	t       *testing.T
	dir     string
	port    int
	options []string
	process *exec.Cmd
	output  bytes.Buffer
	client  *redis.Client
}

// redisServer starts one. What it saves is in a directory of its own, and there again when it is started again.
func redisServer(t *testing.T, options ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server is needed for this test: install Debian's package redis-server (apt-get install redis-server), "+
			"as `make test` does: %v", err)
	}
	s := &server{t: t, dir: t.TempDir(), port: int(closedPort(t)), options: options}
	password := ""
	for i, option := range options {
		if option == "--requirepass" {
			password = options[i+1]
		}
	}
	s.client = redis.NewClient(&redis.Options{Addr: s.address(), Password: password, Protocol: 2, PoolSize: 100})
	t.Cleanup(func() {
		_ = s.client.Close()
		s.kill()
	})
	s.start()
	return s
}

func (s *server) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *server) start() {
	s.t.Helper()
	arguments := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--loglevel", "warning",
	}, s.options...)
	s.process = exec.CommandContext(s.t.Context(), "redis-server", arguments...)
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for s.client.Ping(s.t.Context()).Err() != nil {
		if time.Now().After(deadline) {
			s.kill()
			s.t.Fatalf("redis-server doesn't answer: %s", s.output.String())
		}
	}
}

// kill is SIGKILL: nothing is saved, nobody is told.
func (s *server) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

func (s *server) signal(number syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(number); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) do(arguments ...any) any {
	s.t.Helper()
	result, err := s.client.Do(s.t.Context(), arguments...).Result()
	if err != nil {
		s.t.Fatalf("redis %v: %v", arguments[0], err)
	}
	return result
}

// say does what a pod does.
func (s *server) say(pod, status string) {
	s.t.Helper()
	s.do("HSET", hash, pod, entryOf(status, time.Now()))
}

func entryOf(status string, at time.Time) string {
	return fmt.Sprintf(`{"status": %q, "updated_at": %d}`, status, at.Unix())
}

// reads is how often the hash was read.
func (s *server) reads() int {
	s.t.Helper()
	info := fmt.Sprint(s.do("INFO", "commandstats"))
	_, rest, found := strings.Cut(info, "cmdstat_hgetall:calls=")
	if !found {
		return 0
	}
	text, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatalf("read INFO commandstats: %v", err)
	}
	return n
}

// pool is a pool that reads the server's hash.
func (s *server) pool(pool string, targets ...Target) Pool {
	return Pool{
		Name:    poolName(pool),
		Probe:   v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis, Redis: &v1alpha1.RedisProbe{Address: s.address()}},
		Targets: targets,
	}
}

// eventually waits until the pod's reading is this one.
func eventually(t *testing.T, p *Prober, pool string, uid types.UID, want Reading) {
	t.Helper()
	gomega.NewWithT(t).Eventually(func() Reading { return p.Readings(poolName(pool))[uid] }, "30s", "2ms").
		Should(gomega.Equal(want))
}

// eventuallyUnknown waits until the reading of pod a-0 is Unknown for a reason with this text.
func eventuallyUnknown(t *testing.T, p *Prober, reason string) Reading {
	t.Helper()
	gomega.NewWithT(t).Eventually(func() string {
		return p.Readings(poolName("a"))["a-0"].Reason
	}, "30s", "2ms").Should(gomega.ContainSubstring(reason))
	return p.Readings(poolName("a"))["a-0"]
}

func usable(s Signal) Reading { return Reading{Signal: s, Last: s} }
