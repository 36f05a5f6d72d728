// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"

	"github.com/redis/go-redis/v9"
	"k8s.io/utils/clock"
)

// NewReporter returns the reporter that the options ask for.
func NewReporter(o Options, c clock.PassiveClock, env Environment) (Reporter, error) {
	switch o.BusyBy {
	case ByFile:
		return fileReporter{path: o.File}, nil
	case ByAnnotation:
		return newAnnotationReporter(o, env, serviceAccountDir)
	case ByRedis:
		return newRedisReporter(o, c), nil
	case ByReport:
		return newSocketReporter(o.Socket), nil
	default:
		return silent{}, nil // The HTTP server answers from the state itself.
	}
}

type silent struct{}

func (silent) Report(context.Context, State) error { return nil }
func (silent) Withdraw(context.Context) error      { return nil }

// fileReporter has a file while the worker is busy, for probes that look for it.
type fileReporter struct{ path string }

func (f fileReporter) Report(ctx context.Context, state State) error {
	if state != Busy {
		return f.Withdraw(ctx)
	}
	if err := os.WriteFile(f.path, []byte("busy\n"), 0o644); err != nil {
		return fmt.Errorf("write busy file: %w", err)
	}
	return nil
}

func (f fileReporter) Withdraw(context.Context) error {
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove busy file: %w", err)
	}
	return nil
}

// redisReporter keeps the pod's entry in the hash that the operator reads.
type redisReporter struct {
	client *redis.Client
	clock  clock.PassiveClock
	key    string
	pod    string
}

func newRedisReporter(o Options, c clock.PassiveClock) redisReporter {
	return redisReporter{
		client: redis.NewClient(&redis.Options{Addr: o.Redis.Address, Password: o.Redis.Password, DB: o.Redis.DB}),
		clock:  c,
		key:    o.Redis.Key,
		pod:    o.Pod.Name,
	}
}

// entry is the value of a pod's field in the hash.
type entry struct {
	Status    State `json:"status"`
	UpdatedAt int64 `json:"updated_at"`
}

func (r redisReporter) Report(ctx context.Context, state State) error {
	value, err := json.Marshal(entry{Status: state, UpdatedAt: r.clock.Now().Unix()})
	if err != nil {
		return fmt.Errorf("describe state: %w", err)
	}
	if err := r.client.HSet(ctx, r.key, r.pod, value).Err(); err != nil {
		return fmt.Errorf("write Redis entry: %w", err)
	}
	return nil
}

func (r redisReporter) Withdraw(ctx context.Context) error {
	err := r.client.HDel(ctx, r.key, r.pod).Err()
	if err := errors.Join(err, r.client.Close()); err != nil {
		return fmt.Errorf("remove Redis entry: %w", err)
	}
	return nil
}

// socketReporter tells the entrypoint that it was started by.
type socketReporter struct{ client *http.Client }

func newSocketReporter(socket string) socketReporter {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return socketReporter{&http.Client{Transport: &http.Transport{DialContext: dial}}}
}

func (s socketReporter) Report(ctx context.Context, state State) error {
	if state == Starting {
		return nil // Nothing was said yet.
	}
	path := "/" + string(state)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+path, nil)
	if err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("report %s: %w", path, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusNoContent && response.StatusCode != http.StatusAccepted {
		return fmt.Errorf("report %s: %s", path, response.Status)
	}
	return nil
}

func (s socketReporter) Withdraw(context.Context) error {
	s.client.CloseIdleConnections()
	return nil
}
