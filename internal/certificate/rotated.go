// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// authority is the common name of the authority that signs the certificate.
const authority = "hotstandbyjob-ca"

// Options are what Rotated needs to know.
type Options struct {
	// Secret is where the certificate is kept.
	Secret types.NamespacedName
	// Names are the DNS names that it is for; at least one.
	Names []string
	// Webhook is the name of the MutatingWebhookConfiguration that is told the authority.
	Webhook string
	// Controller is the rotating controller's name in metrics and logs.
	Controller string
}

// Rotated adds to a manager what keeps the certificate: every replica follows the Secret itself, of which a mounted copy
// would be up to a minute late, and the leader fills it, renews the certificate long before it expires, and tells the API
// server whom to trust.
func Rotated(ctx context.Context, mgr ctrl.Manager, o Options) (*Serving, error) {
	if len(o.Names) == 0 {
		return nil, errors.New("rotate certificates: they need a name")
	}
	m, err := narrowed(mgr, o)
	if err != nil {
		return nil, err
	}
	if err := ensure(ctx, m.direct, o.Secret); err != nil {
		return nil, err
	}
	serving := &Serving{told: (&telling{client: m.direct, webhook: o.Webhook}).check}
	f, err := newFollower(m, serving, o)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		mgr.Add(f),
		rotator.AddRotator(m, &rotator.CertRotator{
			SecretKey:             o.Secret,
			CAName:                authority,
			CAOrganization:        "hotstandbyjob",
			DNSName:               o.Names[0],
			ExtraDNSNames:         o.Names[1:],
			Webhooks:              []rotator.WebhookInfo{{Name: o.Webhook, Type: rotator.Mutating}},
			FieldOwner:            "hotstandbyjob-certificate",
			RequireLeaderElection: true,
			ControllerName:        o.Controller,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("rotate certificates: %w", err)
	}
	return serving, nil
}

// telling is whether the API server was told whom to trust.
type telling struct {
	client  client.Reader
	webhook string
	done    atomic.Bool
}

// check asks the API server until it was told. Without a configuration of the webhook there is nothing to tell.
func (t *telling) check(ctx context.Context) error {
	if t.done.Load() {
		return nil
	}
	var c admissionregistrationv1.MutatingWebhookConfiguration
	err := t.client.Get(ctx, types.NamespacedName{Name: t.webhook}, &c)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the webhook's configuration: %w", err)
	}
	for _, w := range c.Webhooks {
		if len(w.ClientConfig.CABundle) == 0 {
			return fmt.Errorf("MutatingWebhookConfiguration %s has no caBundle yet: the leader is about to write it", t.webhook)
		}
	}
	t.done.Store(true)
	return nil
}

// ensure makes the Secret if there is none. It is empty: the rotator, which fills it, can't do without.
func ensure(ctx context.Context, c client.Client, name types.NamespacedName) error {
	err := c.Get(ctx, name, &corev1.Secret{})
	if !apierrors.IsNotFound(err) {
		if err != nil {
			return fmt.Errorf("read the Secret of certificates: %w", err)
		}
		return nil
	}
	err = c.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("make the Secret of certificates: %w", err)
	}
	return nil
}
