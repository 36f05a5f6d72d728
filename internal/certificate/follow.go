// SPDX-License-Identifier: Apache-2.0

package certificate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Keys of the Secret, as the rotator writes it.
const (
	chainKey        = corev1.TLSCertKey
	keyKey          = corev1.TLSPrivateKeyKey
	authorityKey    = "ca.crt"
	authorityKeyKey = "ca.key"
)

// again is when something that failed is tried again.
const again = 2 * time.Second

// follower serves with what the Secret holds. While its operator leads it also sees to it that there is a Secret, and
// that the certificate has all names.
type follower struct {
	cache   cache.Cache // of the one Secret
	client  client.Client
	serving *Serving
	elected <-chan struct{}
	options Options
	log     logr.Logger
	wake    chan struct{}
}

func newFollower(m *narrow, serving *Serving, o Options) (*follower, error) {
	one, err := cache.New(m.GetConfig(), cache.Options{
		HTTPClient: m.GetHTTPClient(), Scheme: m.GetScheme(), Mapper: m.GetRESTMapper(),
		ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: {
			Namespaces: map[string]cache.Config{o.Secret.Namespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", o.Secret.Name)}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("watch the Secret of certificates: %w", err)
	}
	return &follower{
		cache: one, client: m.direct, serving: serving, elected: m.Elected(), options: o,
		log: m.GetLogger().WithName("certificate").WithValues("secret", o.Secret.String()), wake: make(chan struct{}, 1),
	}, nil
}

// NeedLeaderElection says that every replica follows: every one serves the webhook.
func (*follower) NeedLeaderElection() bool { return false }

// Start follows until ctx is done.
func (f *follower) Start(ctx context.Context) error {
	informer, err := f.cache.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch the Secret of certificates: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { f.look() },
		UpdateFunc: func(any, any) { f.look() },
		DeleteFunc: func(any) { f.look() },
	})
	if err != nil {
		return fmt.Errorf("watch the Secret of certificates: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.cache.Start(ctx) })
	group.Go(func() error {
		if f.cache.WaitForCacheSync(ctx) {
			f.follow(ctx)
		}
		return nil
	})
	return group.Wait()
}

// look has the Secret looked at.
func (f *follower) look() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// follow looks at the Secret whenever it changes, when the operator begins to lead, and again after an error.
func (f *follower) follow(ctx context.Context) {
	f.look()
	elected, leads := f.elected, false
	retry := time.NewTimer(again)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-elected:
			elected, leads = nil, true
		case <-f.wake:
		case <-retry.C:
		}
		retry.Stop()
		if err := f.sync(ctx, leads); err != nil && ctx.Err() == nil {
			f.log.Error(err, "follow the certificate")
			retry.Reset(again)
		}
	}
}

// sync takes what the Secret holds, and mends it if the operator leads.
func (f *follower) sync(ctx context.Context, leads bool) error {
	secret := &corev1.Secret{}
	err := f.cache.Get(ctx, f.options.Secret, secret)
	if apierrors.IsNotFound(err) && leads {
		f.log.Info("the Secret of certificates is gone: making a new one")
		return ensure(ctx, f.client, f.options.Secret)
	}
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if len(secret.Data[chainKey]) == 0 {
		return nil // the rotator is about to make one
	}
	fresh, err := f.serving.take(keys{
		chain: secret.Data[chainKey], key: secret.Data[keyKey], ca: secret.Data[authorityKey], caKey: secret.Data[authorityKeyKey],
	})
	if err != nil {
		return fmt.Errorf("read Secret %s: %w", f.options.Secret, err)
	}
	if fresh {
		f.log.Info("serving with a new certificate")
	}
	if !leads {
		return nil
	}
	return f.renew(ctx, secret)
}

// renew drops a certificate that lacks a name, as one made by an earlier version may: the rotator, which checks the
// first name only, then makes another, by the same authority.
func (f *follower) renew(ctx context.Context, secret *corev1.Secret) error {
	certificate, err := parse(secret.Data[chainKey])
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	for _, name := range f.options.Names {
		if slices.Contains(certificate.DNSNames, name) {
			continue
		}
		f.log.Info("the certificate lacks a name: having it made again", "name", name)
		secret = secret.DeepCopy()
		delete(secret.Data, chainKey)
		delete(secret.Data, keyKey)
		if err := f.client.Update(ctx, secret); err != nil {
			return fmt.Errorf("have the certificate made again: %w", err)
		}
		return nil
	}
	return nil
}
