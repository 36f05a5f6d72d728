// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"errors"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	batchinformers "k8s.io/client-go/informers/batch/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/controller"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// The managedBy by which the embedded controller knows Jobs that it must skip: those of others, and those that the cluster's
// own controller runs since nobody was named.
const (
	notOurs = "hsj.paia.tech/not-the-launcher"
	nobodys = "hsj.paia.tech/nobody"
)

// Unmanaged tells whether a Job of the informer names nobody in spec.managedBy: the cluster's own controller runs it.
func Unmanaged(job *batchv1.Job) bool {
	return transformed(job) && ptr.Deref(job.Spec.ManagedBy, "") == nobodys
}

// inform makes the informers. The server selects what they see.
func (l *Launcher) inform() {
	factory := func(label string, transform cache.TransformFunc) informers.SharedInformerFactory {
		f := informers.NewSharedInformerFactoryWithOptions(l.deps.Client, 0, informers.WithNamespace(l.deps.Namespace),
			informers.WithTransform(transform),
			informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = label }))
		l.factories = append(l.factories, f)
		return f
	}
	l.jobs = factory(v1alpha1.LabelPool, transformJob).Batch().V1().Jobs()
	l.pods = factory(v1alpha1.LabelLaunch, transformPod).Core().V1().Pods()
}

// Informers are those of the Jobs with the label of a pool, and of the pods of launches, for who wants to hear of them,
// too. They have what is read of them: of a pod's spec little, and of a Job's managedBy that it is ours, another's or nobody's.
func (l *Launcher) Informers() (jobs, pods cache.SharedIndexInformer) {
	return l.jobs.Informer(), l.pods.Informer()
}

// transformJob turns spec.managedBy round: the embedded controller is made for Jobs without one, and skips Jobs that
// have a foreign one. An informer may transform what it begins with twice, and turned round again a Job of ours would be
// somebody else's, and the other way about: therefore what was transformed has a mark.
func transformJob(in any) (any, error) {
	job, ok := in.(*batchv1.Job)
	if !ok || transformed(job) {
		return in, nil
	}
	switch ptr.Deref(job.Spec.ManagedBy, "") {
	case v1alpha1.ManagedByLauncher:
		job.Spec.ManagedBy = nil
	case "":
		job.Spec.ManagedBy = new(nobodys)
	default:
		job.Spec.ManagedBy = new(notOurs)
	}
	job.ManagedFields = []metav1.ManagedFieldsEntry{} // the mark: a server sends some, or none at all
	return job, nil
}

// transformed tells whether a Job has been transformed.
func transformed(job *batchv1.Job) bool {
	return job.ManagedFields != nil && len(job.ManagedFields) == 0
}

// transformPod leaves out what isn't read: nothing is ever written back from here as a whole.
func transformPod(in any) (any, error) {
	if pod, ok := in.(*corev1.Pod); ok {
		pod.ManagedFields = nil
		pod.Spec = corev1.PodSpec{NodeName: pod.Spec.NodeName, RestartPolicy: pod.Spec.RestartPolicy}
		delete(pod.Annotations, v1alpha1.AnnotationPayload)
	}
	return in, nil
}

// listen adds the launcher's own event handlers.
func (l *Launcher) listen() error {
	_, jobs := l.jobs.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.arrive(o.(*batchv1.Job)) },
		UpdateFunc: func(_, o any) { l.arrive(o.(*batchv1.Job)); l.observeJob(o.(*batchv1.Job)) },
		DeleteFunc: func(o any) {
			if job, ok := lastKnown[*batchv1.Job](o); ok {
				l.drop(job.UID)
			}
		},
	})
	_, pods := l.pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { l.observePod(o.(*corev1.Pod)); l.observeBegin(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { l.observeBegin(o.(*corev1.Pod)) },
		DeleteFunc: func(o any) {
			if pod, ok := lastKnown[*corev1.Pod](o); ok {
				l.observePod(pod)
				l.suspectLost(pod)
			}
		},
	})
	// The embedded controller adds the same index, unless it is there.
	return errors.Join(jobs, pods, controller.AddPodControllerIndexer(l.pods.Informer()))
}

// lastKnown is the object of a deletion's event, as it was last seen.
func lastKnown[T any](o any) (T, bool) {
	if tombstone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = tombstone.Obj
	}
	t, ok := o.(T)
	return t, ok
}

// wake lets the embedded controller look at a Job: an update that changes nothing puts it into its queue, which isn't
// exported.
func (l *Launcher) wake(job *batchv1.Job) {
	if job != nil {
		l.handler.update(job)
	}
}

// handlerSlot holds the event handler that the embedded controller has added.
type handlerSlot struct {
	mu      sync.Mutex
	handler cache.ResourceEventHandler
}

func (s *handlerSlot) set(h cache.ResourceEventHandler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

func (s *handlerSlot) update(job *batchv1.Job) {
	s.mu.Lock()
	h := s.handler
	s.mu.Unlock()
	if h != nil {
		h.OnUpdate(job, job)
	}
}

// capturingJobs is the informer of Jobs as the embedded controller gets it.
type capturingJobs struct {
	batchinformers.JobInformer
	slot *handlerSlot
}

func (c capturingJobs) Informer() cache.SharedIndexInformer {
	return capturing{c.JobInformer.Informer(), c.slot}
}

type capturing struct {
	cache.SharedIndexInformer
	slot *handlerSlot
}

func (c capturing) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	c.slot.set(h)
	return c.SharedIndexInformer.AddEventHandler(h)
}
