// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
)

// sent is the password that the prober was given last.
func (c *cluster) sent() string {
	c.t.Helper()
	if len(c.prober.set) == 0 {
		c.t.Fatal("the prober was told nothing")
	}
	return c.prober.set[len(c.prober.set)-1].Password
}

// TestPassword: it comes from the pool's Secret, which is read as seldom as can be, and what is wrong is said in a
// condition (defect 20: no password in a ConfigMap).
func TestPassword(t *testing.T) {
	c := newCluster(t, func(s *v1alpha1.HotStandbyJobSpec) {
		s.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis, Redis: &v1alpha1.RedisProbe{
			Address: "redis:6379", PasswordSecretRef: &v1alpha1.SecretKeyReference{Name: "redis"},
		}}
	})
	later := func(d time.Duration) { c.clock.SetTime(c.clock.Now().Add(d)) }
	expect := func(when, password, trouble string) {
		t.Helper()
		c.pass()
		if got := c.sent(); got != password {
			t.Errorf("%s: the password is %q, want %q", when, got, password)
		}
		var message string
		for _, condition := range c.pool().Status.Conditions {
			if condition.Type == v1alpha1.ConditionDegraded && condition.Status == metav1.ConditionTrue {
				message = condition.Reason + ": " + condition.Message
			}
		}
		if !strings.Contains(message, trouble) || trouble == "" && message != "" {
			t.Errorf("%s: the trouble is %q, want %q", when, message, trouble)
		}
	}

	expect("the operator may not read Secrets", "", "install config/components/redis-secrets")
	c.r.Secrets = true
	later(time.Minute)
	expect("there is no Secret", "", `SignalUnknown: busyProbe.redis.passwordSecretRef: secrets "redis" not found`)

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "redis", Namespace: "games"}, Data: map[string][]byte{"other": []byte("x")}}
	c.must(c.server.Create(t.Context(), secret))
	expect("it was looked for just now", "", "not found")
	later(time.Minute)
	expect("it has another key", "", `Secret redis has no key "password"`)

	secret.Data["password"] = []byte("first")
	c.must(c.server.Update(t.Context(), secret))
	later(time.Minute)
	expect("it has the key", "first", "")

	secret.Data["password"] = []byte("second")
	c.must(c.server.Update(t.Context(), secret))
	later(time.Hour)
	expect("it changed, and nothing says that the first is wrong", "first", "")
	c.prober.readings = map[types.UID]probe.Reading{"p": {SourceDown: true}}
	expect("the server can't be read", "second", "")

	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Redis.PasswordSecretRef.Key = "other" })
	expect("another key is asked for", "x", "")
	c.respec(func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Redis.PasswordSecretRef = nil })
	expect("no password is asked for", "", "")
}
