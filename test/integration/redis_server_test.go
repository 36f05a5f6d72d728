// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// defaultHash is the hash that the operator reads if nobody names another.
const defaultHash = "mlgame-daemon-pod"

// redisServer is a redis-server of a test's own, on this machine. It saves nothing.
type redisServer struct {
	t       *testing.T
	port    int
	options []string
	process *exec.Cmd
	output  bytes.Buffer
	client  *redis.Client
}

func newRedis(t *testing.T, options ...string) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("redis-server is needed for this test: install Debian's package redis-server (apt-get install redis-server), "+
			"as `make test` does: %v", err)
	}
	password := ""
	if i := slices.Index(options, "--requirepass"); i >= 0 {
		password = options[i+1]
	}
	s := &redisServer{t: t, port: freePort(t), options: options}
	s.client = redis.NewClient(&redis.Options{Addr: s.address(), Password: password, Protocol: 2})
	t.Cleanup(func() {
		_ = s.client.Close()
		s.kill()
	})
	s.start()
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("find a free port: %v isn't a TCP address", listener.Addr())
	}
	return address.Port
}

func (s *redisServer) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// start starts the server, empty, and waits until it answers.
func (s *redisServer) start() {
	s.t.Helper()
	arguments := append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"}, s.options...)
	s.process = exec.CommandContext(s.t.Context(), "redis-server", arguments...)
	s.process.Dir = s.t.TempDir()
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	gomega.NewWithT(s.t).Eventually(func() error { return s.client.Ping(s.t.Context()).Err() }).
		WithTimeout(kit.Patience).WithPolling(20*time.Millisecond).Should(gomega.Succeed(), "redis-server answers")
}

// kill is SIGKILL: nothing is saved, nobody is told.
func (s *redisServer) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

// say does what a pod does.
func (s *redisServer) say(p *corev1.Pod, status string) {
	s.t.Helper()
	s.write(p, entryAt(status, time.Now()))
}

func entryAt(status string, at time.Time) string {
	return fmt.Sprintf(`{"status": %q, "updated_at": %d}`, status, at.Unix())
}

// write writes a pod's entry as it is.
func (s *redisServer) write(p *corev1.Pod, entry string) {
	s.t.Helper()
	if err := s.client.HSet(s.t.Context(), defaultHash, p.Name, entry).Err(); err != nil {
		s.t.Fatalf("write the entry of pod %s: %v", p.Name, err)
	}
}

// register says for pods that have said nothing yet that they are idle.
func (s *redisServer) register(g gomega.Gomega, pods []corev1.Pod) {
	for i := range pods {
		if kit.Running(&pods[i]) {
			err := s.client.HSetNX(s.t.Context(), defaultHash, pods[i].Name, entryAt("idle", time.Now())).Err()
			g.Expect(err).NotTo(gomega.HaveOccurred())
		}
	}
}

// awaitStatus waits until a pool whose new pods register as idle has so many idle and busy units.
func (s *redisServer) awaitStatus(e *kit.Env, pool string, idle, busy int) {
	e.T.Helper()
	e.Await("idle and busy units", func(g gomega.Gomega) {
		s.register(g, e.Pods(pool))
		expectStatus(g, e.Get(pool), idle, busy)
	})
}

func expectStatus(g gomega.Gomega, h *v1alpha1.HotStandbyJob, idle, busy int) {
	g.Expect(h.Status.ObservedGeneration).To(gomega.Equal(h.Generation))
	g.Expect([]int32{h.Status.IdleCount, h.Status.BusyCount}).To(gomega.Equal([]int32{int32(idle), int32(busy)}), "idle and busy")
}

// probe is a busyProbe that reads the server.
func (s *redisServer) probe() v1alpha1.BusyProbe {
	return v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis, Redis: &v1alpha1.RedisProbe{Address: s.address()}}
}

// pool begins a pool on simulated nodes whose pods' entries the test writes.
func (s *redisServer) pool(name string, layout v1alpha1.Layout) *kit.PoolBuilder {
	return kit.Pool(name).Layout(layout).Probe(s.probe()).Delay(0)
}
