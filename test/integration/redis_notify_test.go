// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// Defect 6: nothing happened between two looks. Here there is an hour between them.
func TestRedisNotificationsAreHeardAtOnce(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t, "--notify-keyspace-events", "Kh")
		e.Operator(rarely)
		e.Create(s.pool("notified", layout).Idle(2).Obj())
		s.awaitStatus(e, "notified", 2, 0)
		pods := inOrder(e, "notified")
		s.say(&pods[0], "busy")
		s.awaitStatus(e, "notified", 2, 1)
		s.say(&pods[1], "busy")
		s.awaitStatus(e, "notified", 2, 2)
		s.say(&pods[0], "idle")
		s.awaitStatus(e, "notified", 2, 1)
		awaitPods(e, "notified", 3)
		mustLive(e, "notified", pods[1])
	})
}

// withSecret makes a pool whose password is in a key of a Secret.
func (s *redisServer) withSecret(e *kit.Env, layout v1alpha1.Layout, key, password string) *corev1.Secret {
	e.T.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "redis"}, StringData: map[string]string{key: password}}
	e.Create(secret)
	e.Guard("secret", 2)
	e.Create(s.pool("secret", layout).Idle(2).With(func(spec *v1alpha1.HotStandbyJobSpec) {
		spec.BusyProbe.Redis.PasswordSecretRef = &v1alpha1.SecretKeyReference{Name: "redis"}
	}).Obj())
	return secret
}

func secretsEnabled(c *config.Operator) { c.RedisPasswordSecrets = true }

func TestRedisPasswordOfASecret(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t, "--requirepass", "open sesame")
		e.Operator(secretsEnabled)
		s.withSecret(e, layout, "password", "open sesame")
		s.awaitStatus(e, "secret", 2, 0)
	})
}

func TestWrongRedisPasswordIsReadAgainWhenItIsCorrected(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t, "--requirepass", "open sesame")
		e.Operator(secretsEnabled)
		secret := s.withSecret(e, layout, "password", "open barley")
		awaitDegraded(e, "secret", condition.ReasonSignalUnknown, "the password is missing or wrong")
		awaitUnknown(e, "secret", 2)
		mustStay(e, "secret")
		secret.StringData = map[string]string{"password": "open sesame"}
		if err := e.Client.Update(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		s.awaitStatus(e, "secret", 2, 0)
	})
}

func TestRedisPasswordThatIsntThere(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t, "--requirepass", "open sesame")
		e.Operator(secretsEnabled)
		secret := s.withSecret(e, layout, "pass", "open sesame")
		awaitDegraded(e, "secret", condition.ReasonSignalUnknown, `Secret redis has no key "password"`)
		awaitUnknown(e, "secret", 2)
		mustStay(e, "secret")
		if err := e.Client.Delete(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		passes(e, "secret", 1)
		awaitDegraded(e, "secret", condition.ReasonSignalUnknown, `"redis" not found`)
		e.Update("secret", func(spec *v1alpha1.HotStandbyJobSpec) { spec.BusyProbe.Redis.PasswordSecretRef = nil })
		awaitDegraded(e, "secret", condition.ReasonSignalUnknown, "the password is missing or wrong")
		awaitUnknown(e, "secret", 2)
		mustStay(e, "secret")
	})
}

func TestRedisPasswordSecretsNeedTheOperatorsPermission(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e, s := kit.New(t), newRedis(t, "--requirepass", "open sesame")
		e.Operator()
		s.withSecret(e, layout, "password", "open sesame")
		awaitDegraded(e, "secret", condition.ReasonSignalUnknown, "install config/components/redis-secrets")
		awaitUnknown(e, "secret", 2)
		mustStay(e, "secret")
		e.Await("it says so in Ready, too", func(g gomega.Gomega) {
			g.Expect(kit.ConditionStatus(e.Get("secret"), v1alpha1.ConditionReady)).To(gomega.Equal("False"))
		})

		e.Update("secret", func(spec *v1alpha1.HotStandbyJobSpec) {
			spec.BusyProbe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByAnnotation} // which needs no password
		})
		e.AwaitStatus("secret", 2, 0)
		if got := kit.ConditionStatus(e.Get("secret"), v1alpha1.ConditionDegraded); got != "False" {
			t.Errorf("Degraded is %s in a mode without passwords", got)
		}
	})
}
