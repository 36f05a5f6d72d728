// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/lab"
)

// signal is a way in which pods say whether they are busy, done in their place.
type signal interface {
	// prepare makes ready what pods and operator need, and has the pool ask for it. end takes it away again.
	prepare(ctx context.Context, s *stage, h *v1alpha1.HotStandbyJob) (end func() error, err error)
	// idle has a pod that is new say that it is idle, and busy that one is busy.
	idle(ctx context.Context, p *corev1.Pod) error
	busy(ctx context.Context, p *corev1.Pod) error
}

// nothing is to be taken away.
func nothing() error { return nil }

// byAnnotation patches the pod.
type byAnnotation struct{ client client.Client }

func (a *byAnnotation) prepare(_ context.Context, s *stage, h *v1alpha1.HotStandbyJob) (func() error, error) {
	a.client = s.Client
	h.Spec.BusyProbe.Mode = v1alpha1.BusyByAnnotation
	return nothing, nil
}

func (a *byAnnotation) idle(context.Context, *corev1.Pod) error { return nil }

func (a *byAnnotation) busy(ctx context.Context, p *corev1.Pod) error {
	return annotate(ctx, a.client, p, v1alpha1.AnnotationBusy, "true")
}

func annotate(ctx context.Context, c client.Client, p *corev1.Pod, key, value string) error {
	text := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, key, value)
	if err := c.Patch(ctx, p.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(text))); err != nil {
		return fmt.Errorf("patch pod %s: %w", p.Name, err)
	}
	return nil
}

// byReport tells the gateway, as the entrypoint does when the workload tells it.
type byReport struct{ stage *stage }

func (r *byReport) prepare(_ context.Context, s *stage, h *v1alpha1.HotStandbyJob) (func() error, error) {
	r.stage = s
	h.Spec.BusyProbe.Mode = v1alpha1.BusyByReport
	return nothing, nil
}

func (r *byReport) idle(context.Context, *corev1.Pod) error { return nil } // as it attaches

func (r *byReport) busy(ctx context.Context, p *corev1.Pod) error {
	return r.stage.streams.Busy(ctx, p.UID)
}

// byRedis writes to a Redis server, which notifies the operator.
type byRedis struct {
	client *redis.Client
	clock  clock.PassiveClock
}

// redisHash is the hash that the pool's probe reads.
const redisHash = "bench"

// errNoRedis is why a case isn't measured.
var errNoRedis = errors.New("there is no redis-server on the PATH (Debian's package redis-server)")

func (r *byRedis) prepare(ctx context.Context, s *stage, h *v1alpha1.HotStandbyJob) (func() error, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if err := s.Ensure(ctx, "redis-server"); err != nil {
			return nothing, fmt.Errorf("%w: %w", errNoRedis, err)
		}
		program, err = exec.LookPath("redis-server")
	}
	if err != nil {
		return nothing, errNoRedis
	}
	address, err := cluster.FreeAddress(ctx, "127.0.0.1")
	if err != nil {
		return nothing, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nothing, fmt.Errorf("start redis-server: %w", err)
	}
	server := exec.CommandContext(context.WithoutCancel(ctx), program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--notify-keyspace-events", "Kh") //nolint:gosec // as it is installed
	if err := server.Start(); err != nil {
		return nothing, fmt.Errorf("start redis-server: %w", err)
	}
	r.clock, r.client = s.bench.Clock, redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	end := func() error {
		err := r.client.Close()
		_ = server.Process.Kill()
		_ = server.Wait() // by that signal
		return err
	}
	h.Spec.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis, Redis: &v1alpha1.RedisProbe{Address: address, Key: redisHash}}
	return end, cluster.Await(ctx, "redis-server answers", func(ctx context.Context) bool { return r.client.Ping(ctx).Err() == nil })
}

func (r *byRedis) idle(ctx context.Context, p *corev1.Pod) error { return r.write(ctx, p, "idle") }
func (r *byRedis) busy(ctx context.Context, p *corev1.Pod) error { return r.write(ctx, p, "busy") }

func (r *byRedis) write(ctx context.Context, p *corev1.Pod, status string) error {
	entry := fmt.Sprintf(`{"status": %q, "updated_at": %d}`, status, r.clock.Now().Unix())
	if err := r.client.HSet(ctx, redisHash, p.Name, entry).Err(); err != nil {
		return fmt.Errorf("write the entry of pod %s: %w", p.Name, err)
	}
	return nil
}

// byAsking has workers on the real node that answer differently when they are asked.
type byAsking struct {
	worker string // its flag: how it tells
	probe  v1alpha1.BusyProbe
}

// How often workers are asked, in seconds, the shortest that a pool can have, and how long they may take, since the node is busy.
const (
	askPeriod  = 1
	askTimeout = 5
)

// errNoNode is why a case isn't measured.
var errNoNode = errors.New("the lab has no real node")

func askingHTTP() *byAsking {
	return &byAsking{"-busy-by=http", v1alpha1.BusyProbe{
		Mode: v1alpha1.BusyByHTTP, HTTP: &v1alpha1.HTTPProbe{Path: "/busy", PeriodSeconds: askPeriod, TimeoutSeconds: askTimeout},
	}}
}

// askingExec has a command look for the file that a worker keeps while it is busy.
func askingExec(runner v1alpha1.ExecRunner) *byAsking {
	return &byAsking{"-busy-by=file", v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{
		Command: []string{"/worker", "cat", "/tmp/busy_state"}, Runner: runner, PeriodSeconds: askPeriod, TimeoutSeconds: askTimeout,
	}}}
}

func (a *byAsking) prepare(_ context.Context, s *stage, h *v1alpha1.HotStandbyJob) (func() error, error) {
	if !s.Lab.HasNode() {
		return nothing, errNoNode
	}
	pod := &h.Spec.JobTemplate.Template.Spec
	pod.NodeSelector, pod.Tolerations = nil, nil
	pod.Containers[0] = corev1.Container{
		Name: "worker", Image: lab.WorkerImage, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{"run", a.worker},
	}
	h.Spec.BusyProbe = a.probe
	return nothing, nil
}

func (a *byAsking) idle(context.Context, *corev1.Pod) error { return nil }

func (a *byAsking) busy(ctx context.Context, p *corev1.Pod) error {
	url := "http://" + net.JoinHostPort(p.Status.PodIP, "8080") + "/busy"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("have pod %s be busy: %w", p.Name, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("have pod %s be busy: %w", p.Name, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("have pod %s be busy: %s", p.Name, response.Status)
	}
	return nil
}
