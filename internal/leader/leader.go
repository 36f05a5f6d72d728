// SPDX-License-Identifier: Apache-2.0

// Package leader knows the operator's own pod: it labels the pod whose operator leads, so that a Service can lead there
// and nowhere else, and it reads the pod's image.
package leader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Label is on the pod whose operator leads, with the value "true". Written by the operator; read by the gateway's
// Service.
const Label = "hsj.paia.tech/leader"

const (
	again     = time.Second     // when something that failed is tried again
	lastWords = 2 * time.Second // what the label's removal may take when the operator ends
)

// Marker labels the leader's pod.
type Marker struct {
	// Client writes to the API server, and reads from it rather than from a cache.
	Client client.Client
	// Pod is the operator's own.
	Pod types.NamespacedName
	// Elected is closed when the operator leads.
	Elected <-chan struct{}
	Log     logr.Logger
}

// NeedLeaderElection says that the marker runs in every replica: a container that was started anew in a pod that led
// takes the label off first.
func (*Marker) NeedLeaderElection() bool { return false }

// Start labels until ctx is done, and then takes the label off. It comes off before the Lease is released: the manager
// ends what needs no election first.
func (m *Marker) Start(ctx context.Context) error {
	select {
	case <-m.Elected: // at once, if there is no election
	default:
		m.retry(ctx, "take the leader's label off this pod", func() error { return m.unmark(ctx, m.Pod.Name) })
	}
	select {
	case <-ctx.Done():
		return nil
	case <-m.Elected:
	}
	m.retry(ctx, "label this pod as the leader's", func() error { return errors.Join(m.mark(ctx), m.unmarkOthers(ctx)) })
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := m.unmark(ctx, m.Pod.Name); err != nil {
		// Whoever leads next does it.
		m.Log.Error(err, "take the leader's label off this pod")
	}
	return nil
}

// retry does something until it works or ctx is done, or the operator leads, in which case the label is due.
func (m *Marker) retry(ctx context.Context, what string, f func() error) {
	elected := m.Elected
	select {
	case <-elected:
		elected = nil
	default:
	}
	for {
		err := f()
		if err == nil || ctx.Err() != nil {
			return
		}
		m.Log.Error(err, what)
		select {
		case <-ctx.Done():
			return
		case <-elected:
			return
		case <-time.After(again):
		}
	}
}

func (m *Marker) mark(ctx context.Context) error {
	if err := m.patch(ctx, m.Pod.Name, `"true"`); err != nil {
		return fmt.Errorf("label pod %s: %w", m.Pod.Name, err)
	}
	return nil
}

// unmark takes the label off a pod, which may be gone.
func (m *Marker) unmark(ctx context.Context, name string) error {
	if err := client.IgnoreNotFound(m.patch(ctx, name, "null")); err != nil {
		return fmt.Errorf("take the label off pod %s: %w", name, err)
	}
	return nil
}

// unmarkOthers takes the label off pods of operators that ended without doing it themselves.
func (m *Marker) unmarkOthers(ctx context.Context) error {
	var pods metav1.PartialObjectMetadataList
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := m.Client.List(ctx, &pods, client.InNamespace(m.Pod.Namespace), client.HasLabels{Label}); err != nil {
		return fmt.Errorf("list pods with the leader's label: %w", err)
	}
	var faults []error
	for i := range pods.Items {
		if name := pods.Items[i].Name; name != m.Pod.Name {
			faults = append(faults, m.unmark(ctx, name))
		}
	}
	return errors.Join(faults...)
}

// patch sets the label to a JSON value.
func (m *Marker) patch(ctx context.Context, name, value string) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: m.Pod.Namespace, Name: name}}
	return m.Client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+Label+`":`+value+`}}}`)))
}

// Image returns the image of a container of the operator's own pod, or of its only one. It has the entrypoint of
// standby pods, too.
func Image(ctx context.Context, r client.Reader, pod types.NamespacedName, container string) (string, error) {
	p := &corev1.Pod{}
	if err := r.Get(ctx, pod, p); err != nil {
		return "", fmt.Errorf("read the operator's own pod: %w", err)
	}
	for _, c := range p.Spec.Containers {
		if c.Name == container || len(p.Spec.Containers) == 1 {
			return c.Image, nil
		}
	}
	return "", fmt.Errorf("the operator's own pod %s has no container %s", pod, container)
}
