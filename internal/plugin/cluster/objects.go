// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// The plugin has clients of its own for the few kinds that it reads. client-go's are made for all kinds: what they set up
// when a process starts takes longer than a launch.

// Scheme has the kinds that the plugin knows.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, batchv1.AddToScheme, authenticationv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// Objects are those of one kind in a namespace, or in all where it is empty.
type Objects[O, L runtime.Object] struct {
	client              rest.Interface
	codec               runtime.ParameterCodec
	namespace, resource string
	one                 func() O
	many                func() L
}

// Get reads one.
func (c Objects[O, L]) Get(ctx context.Context, name string) (O, error) {
	out := c.one()
	return out, c.of(c.client.Get()).Name(name).Do(ctx).Into(out)
}

// List reads those that are selected.
func (c Objects[O, L]) List(ctx context.Context, o metav1.ListOptions) (L, error) {
	out := c.many()
	return out, c.of(c.client.Get()).VersionedParams(&o, c.codec).Do(ctx).Into(out)
}

// Watch tells what becomes of those that are selected.
func (c Objects[O, L]) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	return c.of(c.client.Get()).VersionedParams(&o, c.codec).Watch(ctx)
}

// Create makes one.
func (c Objects[O, L]) Create(ctx context.Context, object O) (O, error) {
	out := c.one()
	return out, c.of(c.client.Post()).Param("fieldManager", userAgent).Body(object).Do(ctx).Into(out)
}

// Delete deletes one.
func (c Objects[O, L]) Delete(ctx context.Context, name string, o metav1.DeleteOptions) error {
	return c.of(c.client.Delete()).Name(name).Body(&o).Do(ctx).Error()
}

func (c Objects[O, L]) of(r *rest.Request) *rest.Request {
	return r.NamespaceIfScoped(c.namespace, c.namespace != "").Resource(c.resource)
}

// Jobs are those of a namespace.
func (c *Cluster) Jobs(namespace string) Objects[*batchv1.Job, *batchv1.JobList] {
	return Objects[*batchv1.Job, *batchv1.JobList]{
		c.Batch, c.codec, namespace, "jobs", func() *batchv1.Job { return &batchv1.Job{} }, func() *batchv1.JobList { return &batchv1.JobList{} },
	}
}

// CronJobs are those of a namespace.
func (c *Cluster) CronJobs(namespace string) Objects[*batchv1.CronJob, *batchv1.CronJobList] {
	return Objects[*batchv1.CronJob, *batchv1.CronJobList]{
		c.Batch, c.codec, namespace, "cronjobs", func() *batchv1.CronJob { return &batchv1.CronJob{} }, func() *batchv1.CronJobList { return &batchv1.CronJobList{} },
	}
}

// Pods are those of a namespace.
func (c *Cluster) Pods(namespace string) Objects[*corev1.Pod, *corev1.PodList] {
	return Objects[*corev1.Pod, *corev1.PodList]{
		c.Core, c.codec, namespace, "pods", func() *corev1.Pod { return &corev1.Pod{} }, func() *corev1.PodList { return &corev1.PodList{} },
	}
}

// Events are those of a namespace.
func (c *Cluster) Events(namespace string) Objects[*corev1.Event, *corev1.EventList] {
	return Objects[*corev1.Event, *corev1.EventList]{
		c.Core, c.codec, namespace, "events", func() *corev1.Event { return &corev1.Event{} }, func() *corev1.EventList { return &corev1.EventList{} },
	}
}

// Logs asks for what a container of a pod of the namespace writes.
func (c *Cluster) Logs(pod string, o *corev1.PodLogOptions) *rest.Request {
	return c.Core.Get().Namespace(c.Namespace).Resource("pods").Name(pod).SubResource("log").VersionedParams(o, c.codec)
}

// Token asks for a token of a service account of the namespace.
func (c *Cluster) Token(ctx context.Context, account string, seconds int64) (authenticationv1.TokenRequestStatus, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	out := &authenticationv1.TokenRequest{}
	err := c.Core.Post().Namespace(c.Namespace).Resource("serviceaccounts").Name(account).SubResource("token").Body(request).Do(ctx).Into(out)
	return out.Status, err
}
