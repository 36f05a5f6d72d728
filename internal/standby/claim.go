// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// errLost says that a pod isn't idle any more: another writer was first, or it is gone.
var errLost = errors.New("the pod isn't idle")

// Claim claims one of the reserved pods, and sends it its launch. It returns ErrNoneIdle if there is none any more. ctx
// should last as long as the process: a claim that is given up may have been made, and the pod then belongs to the Job.
func (s *Reservation) Claim(ctx context.Context, c Claim) (*corev1.Pod, error) {
	c.Payload.ID = string(uuid.NewUUID())
	text, err := c.Payload.Encode()
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		e, err := s.take(again)
		if err != nil {
			return nil, err
		}
		p, err := s.registry.bind(ctx, e, &c, text)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, errLost):
			s.registry.lose(e)
		default:
			s.giveBack(e)
			return nil, fmt.Errorf("claim pod %s: %w", e.id.Name, err)
		}
	}
}

// bind makes the one write that makes a pod a Job's, and sends it its launch. An answer that leaves open whether it was made is
// resolved by reading the pod: it is ours if it has this launch's ID, and if it is still idle the same patch is sent again,
// which can't succeed twice.
func (r *Registry) bind(ctx context.Context, e *entry, c *Claim, text string) (*corev1.Pod, error) {
	patch, err := r.patchFor(e, c, text)
	if err != nil {
		return nil, err
	}
	won := false
	win := func() { won = true; r.win(e, c, text) }
	for pause := newPause(); ; {
		p, err := attempt(ctx, func(ctx context.Context) (*corev1.Pod, error) { return r.send(ctx, e, patch, win) })
		if err == nil {
			return p, nil
		}
		if won {
			return r.reread(ctx, e, c), nil
		}
		if refused(err) {
			return nil, err
		}
		p, outcome := r.resolve(ctx, e, c.Payload.ID)
		switch {
		case outcome == ours:
			win()
			return p, nil
		case outcome == others:
			return nil, errLost
		case outcome == unknown:
			return nil, errors.Join(err, ctx.Err())
		case apierrors.IsInvalid(err):
			return nil, err // idle, so it wasn't the test that failed
		}
		r.deps.Log.V(1).Info("claim a pod again", "pod", e.id.Name, "namespace", e.id.Namespace, "err", err)
		if !pause.wait(ctx, r.deps.Clock) {
			return nil, errors.Join(err, ctx.Err())
		}
	}
}

// send sends the patch of a claim. Taken is called when the server has taken it, of which the rest of its answer, the pod as it
// is now, is no condition: a launch need not wait for that to come and to be decoded. An error after that is about the rest.
func (r *Registry) send(ctx context.Context, e *entry, patch []byte, taken func()) (*corev1.Pod, error) {
	if r.deps.Answers == nil {
		p, err := r.deps.Client.CoreV1().Pods(e.id.Namespace).Patch(ctx, e.id.Name, types.JSONPatchType, patch, metav1.PatchOptions{})
		if err == nil {
			taken()
		}
		return p, err
	}
	answer, err := r.deps.Answers.Patch(types.JSONPatchType).Namespace(e.id.Namespace).Resource("pods").Name(e.id.Name).Body(patch).Stream(ctx)
	if err != nil {
		return nil, err
	}
	taken()
	defer func() { _ = answer.Close() }()
	text, err := io.ReadAll(answer)
	if err != nil {
		return nil, fmt.Errorf("read the claimed pod: %w", err)
	}
	p := &corev1.Pod{}
	if err := runtime.DecodeInto(scheme.Codecs.UniversalDeserializer(), text, p); err != nil {
		return nil, fmt.Errorf("read the claimed pod: %w", err)
	}
	if p.UID != e.id.UID {
		return nil, fmt.Errorf("read the claimed pod: the answer of %d bytes isn't it", len(text))
	}
	return p, nil
}

// reread reads a pod whose claim the server has taken without saying what it has become. One that can't be read, or is gone
// already, is the Job's nevertheless: what is known of it will do.
func (r *Registry) reread(ctx context.Context, e *entry, c *Claim) *corev1.Pod {
	if p, outcome := r.resolve(ctx, e, c.Payload.ID); outcome == ours {
		return p
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: e.id.Namespace, Name: e.id.Name, UID: e.id.UID, ResourceVersion: e.version,
		Labels: c.Labels, Annotations: c.Annotations, OwnerReferences: []metav1.OwnerReference{c.Owner},
	}}
}

// GiveBack makes a claimed pod its pool's again, without a finalizer of the Job's and only to be deleted: what it runs isn't
// known. An error of which apierrors.IsNotFound is true says that the pod is gone.
func (r *Registry) GiveBack(ctx context.Context, p *corev1.Pod, pool types.NamespacedName, finalizer string) error {
	patch, err := r.retirement(p, pool, finalizer)
	if err == nil {
		_, err = r.deps.Client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.JSONPatchType, patch, metav1.PatchOptions{})
	}
	if err != nil {
		return fmt.Errorf("give back pod %s: %w", p.Name, err)
	}
	return nil
}

// outcome is what reading a pod says about a claim.
type outcome int

const (
	unknown outcome = iota // it couldn't be read
	idle                   // it is still to be claimed
	ours                   // it is claimed, by this claim
	others                 // it isn't idle any more, or is gone
)

// resolve reads a pod until there is an answer, or ctx is done.
func (r *Registry) resolve(ctx context.Context, e *entry, id string) (*corev1.Pod, outcome) {
	for pause := newPause(); ; {
		p, err := attempt(ctx, func(ctx context.Context) (*corev1.Pod, error) {
			return r.deps.Client.CoreV1().Pods(e.id.Namespace).Get(ctx, e.id.Name, metav1.GetOptions{})
		})
		switch {
		case apierrors.IsNotFound(err):
			return nil, others
		case err == nil:
			return p, outcomeOf(p, e.id.UID, id)
		}
		if !pause.wait(ctx, r.deps.Clock) {
			return nil, unknown
		}
	}
}

// outcomeOf says what a pod tells about a claim of it.
func outcomeOf(p *corev1.Pod, uid types.UID, id string) outcome {
	switch {
	case p.UID != uid:
		return others
	case launchID(p.Annotations[v1alpha1.AnnotationPayload]) == id:
		return ours
	case p.Labels[v1alpha1.LabelState] == string(v1alpha1.PodIdle) && p.DeletionTimestamp == nil:
		return idle
	default:
		return others
	}
}

// refused says whether the server has said no for a reason that another attempt, or another pod, doesn't change.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsMethodNotSupported(err)
}

// attempt makes one request, which may not take for ever.
func attempt(ctx context.Context, do func(context.Context) (*corev1.Pod, error)) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return do(ctx)
}
