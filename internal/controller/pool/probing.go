// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
)

// password is what was read from a pool's Secret.
type password struct {
	generation int64
	read       time.Time
	again      time.Time // when to read it again; zero: no need
	value      string
	trouble    string
}

// rereadPassword is how often a Secret is read again while it, or the server, doesn't answer as it should.
const rereadPassword = time.Minute

// targets are the pods that have to be asked, of those that which chooses; nil in modes that ask none.
func (s *snapshot) targets(which func(*corev1.Pod) bool) []probe.Target {
	mode := s.pool.Spec.BusyProbe.Mode
	if mode != v1alpha1.BusyByHTTP && mode != v1alpha1.BusyByExec && mode != v1alpha1.BusyByRedis {
		return nil
	}
	targets := []probe.Target{}
	for _, job := range s.jobs {
		for _, p := range s.pods[job.UID] {
			if p.Annotations[v1alpha1.AnnotationKubeletProbe] == "" && which(p) {
				targets = append(targets, s.target(p))
			}
		}
	}
	return targets
}

func (s *snapshot) target(p *corev1.Pod) probe.Target {
	t := probe.Target{UID: p.UID, Name: p.Name, Namespace: p.Namespace, IP: p.Status.PodIP}
	if e := object.Exec(s.pool); e != nil {
		t.Container = object.ExecContainer(e, p.Annotations, &p.Spec)
	}
	return t
}

// probePool is what the prober is told of a pool.
func (r *Reconciler) probePool(ctx context.Context, s *snapshot, targets []probe.Target) probe.Pool {
	return probe.Pool{
		Name:     s.name,
		Probe:    s.pool.Spec.BusyProbe,
		Password: r.password(ctx, s),
		Targets:  targets,
	}
}

// password is the Redis password that the pool names, read when the spec changed and, while there is trouble, now and
// then.
func (r *Reconciler) password(ctx context.Context, s *snapshot) string {
	redis, m := s.pool.Spec.BusyProbe.Redis, &s.memory.password
	if redis == nil || redis.PasswordSecretRef == nil {
		*m = password{}
		return ""
	}
	now, down := r.Clock.Now(), r.sourceDown(s.name)
	if known := m.generation == s.pool.Generation; known {
		m.again = time.Time{}
		if m.trouble != "" || down {
			m.again = m.read.Add(rereadPassword)
		}
		if m.again.IsZero() || now.Before(m.again) {
			return m.value
		}
	}
	*m = password{generation: s.pool.Generation, read: now}
	r.readPassword(ctx, s)
	if m.trouble != "" || down {
		m.again = now.Add(rereadPassword)
	}
	return m.value
}

// readPassword reads the Secret that the pool names, or notes why it can't.
func (r *Reconciler) readPassword(ctx context.Context, s *snapshot) {
	ref, m := s.pool.Spec.BusyProbe.Redis.PasswordSecretRef, &s.memory.password
	if !r.Secrets {
		m.trouble = "busyProbe.redis.passwordSecretRef: the operator may not read Secrets; install config/components/redis-secrets"
		return
	}
	secret := &corev1.Secret{}
	if err := r.Reader.Get(ctx, types.NamespacedName{Namespace: s.pool.Namespace, Name: ref.Name}, secret); err != nil {
		m.trouble = fmt.Sprintf("busyProbe.redis.passwordSecretRef: %v", err)
		return
	}
	key := ref.Key
	if key == "" {
		key = "password"
	}
	value, ok := secret.Data[key]
	if !ok {
		m.trouble = fmt.Sprintf("busyProbe.redis.passwordSecretRef: Secret %s has no key %q", ref.Name, key)
		return
	}
	m.value = string(value)
}

// sourceDown says whether no reading of a pool could be had.
func (r *Reconciler) sourceDown(name types.NamespacedName) bool {
	for _, reading := range r.Prober.Readings(name) {
		if reading.SourceDown {
			return true
		}
	}
	return false
}
