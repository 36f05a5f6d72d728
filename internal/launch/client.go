// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/kubernetes"
	typedbatchv1 "k8s.io/client-go/kubernetes/typed/batch/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/kubernetes/pkg/controller"
	"k8s.io/kubernetes/pkg/controller/job/util"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// client is what the embedded controller works with: a client like any other, but for the creation of pods, the status of
// Jobs and some Events.
type client struct {
	kubernetes.Interface
	launcher *Launcher
}

func (c client) CoreV1() typedcorev1.CoreV1Interface { return core{c.Interface.CoreV1(), c.launcher} }

func (c client) BatchV1() typedbatchv1.BatchV1Interface {
	return batch{c.Interface.BatchV1(), c.launcher}
}

type core struct {
	typedcorev1.CoreV1Interface
	launcher *Launcher
}

func (c core) Pods(namespace string) typedcorev1.PodInterface {
	return pods{c.CoreV1Interface.Pods(namespace), namespace, c.launcher}
}

func (c core) Events(namespace string) typedcorev1.EventInterface {
	return eventSink{c.CoreV1Interface.Events(namespace), c.launcher}
}

type batch struct {
	typedbatchv1.BatchV1Interface
	launcher *Launcher
}

func (b batch) Jobs(namespace string) typedbatchv1.JobInterface {
	return jobs{b.BatchV1Interface.Jobs(namespace), b.launcher}
}

type pods struct {
	typedcorev1.PodInterface
	namespace string
	launcher  *Launcher
}

// Create claims a pod, or creates it.
func (p pods) Create(ctx context.Context, pod *corev1.Pod, _ metav1.CreateOptions) (*corev1.Pod, error) {
	return p.launcher.create(ctx, p.namespace, pod)
}

// Patch leaves alone the pods of Jobs that the launcher doesn't run. The embedded controller takes a pod whose Job isn't
// in its cache for one whose Job is gone, and would take off the finalizer by which another controller counts it. Nor does
// it repeat what the cache doesn't show yet.
//
//nolint:revive // the interface's own arguments
func (p pods) Patch(
	ctx context.Context, name string, pt types.PatchType, data []byte, o metav1.PatchOptions, sub ...string,
) (*corev1.Pod, error) {
	pod, err := p.launcher.pods.Lister().Pods(p.namespace).Get(name)
	if err == nil {
		if p.launcher.patches.has(pod, data) {
			return pod, nil
		}
		foreign, err := p.launcher.foreign(ctx, pod)
		if err != nil {
			return nil, err
		}
		if foreign {
			return pod, nil
		}
	}
	patched, err := p.PodInterface.Patch(ctx, name, pt, data, o, sub...)
	if err == nil {
		p.launcher.patches.add(patched, data)
	}
	return patched, err
}

// patchMemory is for how long a patch is remembered: longer than informers lag behind. What is forgotten before is a write
// too many and nothing else.
const patchMemory = time.Minute

// patches are those that the server took and that a cache may not show yet. The embedded controller takes the finalizer off
// a pod in two places, of which the second goes by the cache: it would repeat one in fifteen.
type patches struct{ versions *utilcache.Expiring }

// patchKey is a pod's UID, and what was sent.
type patchKey struct {
	pod   types.UID
	patch string
}

// has tells whether a pod got this patch after the version of it that is given.
func (p patches) has(pod *corev1.Pod, data []byte) bool {
	found, _ := p.versions.Get(patchKey{pod.UID, string(data)})
	version, _ := found.(string)
	order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, version)
	return err == nil && order < 0
}

// add remembers a patch, given the pod as the server returned it.
func (p patches) add(pod *corev1.Pod, data []byte) {
	p.versions.Set(patchKey{pod.UID, string(data)}, pod.ResourceVersion, patchMemory)
}

// foreign tells whether a pod belongs to a Job that exists and that the launcher doesn't see, or mustn't touch.
func (l *Launcher) foreign(ctx context.Context, pod *corev1.Pod) (bool, error) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.Kind != "Job" {
		return false, nil
	}
	if job := l.jobOf(types.NamespacedName{Namespace: pod.Namespace, Name: owner.Name}, owner.UID); job != nil {
		return !ours(job), nil
	}
	job, err := l.deps.Client.BatchV1().Jobs(pod.Namespace).Get(ctx, owner.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the Job of pod %s: %w", pod.Name, err)
	}
	managed := job.Spec.ManagedBy != nil && *job.Spec.ManagedBy == v1alpha1.ManagedByLauncher
	over := managed && (util.IsJobFinished(job) || job.DeletionTimestamp != nil)
	return job.UID == owner.UID && !over, nil
}

type jobs struct {
	typedbatchv1.JobInterface
	launcher *Launcher
}

// UpdateStatus adds what the launcher has to say, and may put the write off.
func (j jobs) UpdateStatus(ctx context.Context, job *batchv1.Job, o metav1.UpdateOptions) (*batchv1.Job, error) {
	return j.launcher.updateStatus(ctx, j.JobInterface, job, o)
}

// eventSink drops Events that aren't so: that a pod was created which was claimed, which would also be a write for each
// launch, and that one couldn't be created where it just isn't its turn. The launcher has Events of its own for that.
type eventSink struct {
	typedcorev1.EventInterface
	launcher *Launcher
}

func (s eventSink) drops(e *corev1.Event) bool {
	switch e.Reason {
	case controller.FailedCreatePodReason:
		return strings.HasSuffix(e.Message, errWaits.Error()) || strings.HasSuffix(e.Message, errRejected.Error())
	case controller.SuccessfulCreatePodReason:
		return s.launcher.hasClaimed(e.InvolvedObject.UID, e.Message[strings.LastIndexByte(e.Message, ' ')+1:])
	default:
		return false
	}
}

// hasClaimed tells whether a Job that isn't finished has claimed a pod.
func (l *Launcher) hasClaimed(job types.UID, pod string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.states[job]
	return ok && s.claimed.Has(pod)
}

// CreateWithEventNamespace is what the recorder calls.
func (s eventSink) CreateWithEventNamespace(e *corev1.Event) (*corev1.Event, error) {
	return s.CreateWithEventNamespaceWithContext(context.Background(), e)
}

// CreateWithEventNamespaceWithContext is what the recorder calls in its place where it can.
func (s eventSink) CreateWithEventNamespaceWithContext(ctx context.Context, e *corev1.Event) (*corev1.Event, error) {
	if s.drops(e) {
		return e, nil
	}
	return s.EventInterface.CreateWithEventNamespaceWithContext(ctx, e)
}

// PatchWithEventNamespace is what the recorder calls for an Event that comes again.
func (s eventSink) PatchWithEventNamespace(e *corev1.Event, data []byte) (*corev1.Event, error) {
	return s.PatchWithEventNamespaceWithContext(context.Background(), e, data)
}

// PatchWithEventNamespaceWithContext is what the recorder calls in its place where it can.
func (s eventSink) PatchWithEventNamespaceWithContext(ctx context.Context, e *corev1.Event, data []byte) (*corev1.Event, error) {
	if s.drops(e) {
		return e, nil
	}
	return s.EventInterface.PatchWithEventNamespaceWithContext(ctx, e, data)
}
