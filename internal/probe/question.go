// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// question is what a pool's pods are asked. Answers to another question say nothing about this one.
type question struct {
	mode          v1alpha1.BusyProbeMode
	port          int32
	path          string
	command       []string
	container     string
	successIsBusy bool
	source        sourceKey
}

// pace is how often a pod is asked, how long it may take, and how old an answer may be. It changes no answer's meaning.
type pace struct {
	period, timeout time.Duration
	stale           time.Duration // 0: age doesn't matter
}

func (q *question) equal(other *question) bool { return reflect.DeepEqual(q, other) }

// questionOf fills in the API's defaults: a pool may have been stored before they were, or not come from a server at all.
// The last result is false for modes that aren't probed.
func questionOf(declared *Pool, defaults RedisDefaults) (question, pace, bool) {
	switch declared.Probe.Mode {
	case v1alpha1.BusyByHTTP:
		q, p := httpQuestion(declared.Probe.HTTP)
		return q, p, true
	case v1alpha1.BusyByExec:
		q, p := execQuestion(declared.Probe.Exec)
		return q, p, true
	case v1alpha1.BusyByRedis:
		q, p := redisQuestion(declared.Probe.Redis, declared.Password, defaults)
		return q, p, true
	default:
		return question{}, pace{}, false
	}
}

func httpQuestion(h *v1alpha1.HTTPProbe) (question, pace) {
	if h == nil {
		h = &v1alpha1.HTTPProbe{}
	}
	path := cmp.Or(h.Path, defaultHTTPPath)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // else "@elsewhere" would make the pod's address a user name
	}
	return question{
		mode: v1alpha1.BusyByHTTP, port: cmp.Or(h.Port, defaultHTTPPort), path: path,
		successIsBusy: orTrue(h.SuccessIsBusy),
	}, pace{period: seconds(h.PeriodSeconds, defaultPeriod), timeout: seconds(h.TimeoutSeconds, defaultTimeout)}
}

func execQuestion(e *v1alpha1.ExecProbe) (question, pace) {
	if e == nil {
		e = &v1alpha1.ExecProbe{}
	}
	q := question{mode: v1alpha1.BusyByExec, command: slices.Clone(e.Command), successIsBusy: orTrue(e.SuccessIsBusy)}
	if len(q.command) == 0 {
		q.command = []string{"cat", "/tmp/healthy"}
	}
	if e.Container != nil {
		q.container = *e.Container
	}
	return q, pace{period: seconds(e.PeriodSeconds, defaultPeriod), timeout: seconds(e.TimeoutSeconds, defaultTimeout)}
}

func redisQuestion(r *v1alpha1.RedisProbe, password string, defaults RedisDefaults) (question, pace) {
	if r == nil {
		r = &v1alpha1.RedisProbe{}
	}
	key := sourceKey{
		address: cmp.Or(r.Address, defaults.Address), db: defaults.DB,
		key: cmp.Or(r.Key, defaults.Key), password: password,
	}
	if r.Address == "" {
		// A namespace's Secret isn't sent to the operator's own server, nor the operator's password anywhere else.
		key.password = defaults.Password
	}
	if r.DB != nil {
		key.db = int(*r.DB)
	}
	stale := defaultStale
	if r.StaleSeconds != nil {
		stale = time.Duration(*r.StaleSeconds) * time.Second
	}
	return question{mode: v1alpha1.BusyByRedis, source: key}, pace{stale: stale}
}

func seconds(n int32, otherwise time.Duration) time.Duration {
	if n <= 0 {
		return otherwise
	}
	return time.Duration(n) * time.Second
}

func orTrue(b *bool) bool { return b == nil || *b }

// signal is what success or failure of a request or command means.
func (q *question) signal(success bool) Signal {
	if success == q.successIsBusy {
		return Busy
	}
	return Idle
}
