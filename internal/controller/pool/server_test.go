// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// stricter makes the fake client do what a server does and it does not: give UIDs and times, and mind the conditions
// under which a request shall be carried out.
func stricter(now clock.PassiveClock) interceptor.Funcs {
	return interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			o.SetCreationTimestamp(metav1.NewTime(now.Now()))
			if o.GetUID() == "" {
				o.SetUID(types.UID(o.GetNamespace() + "/" + o.GetName()))
			}
			return c.Create(ctx, o, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if err := sameUID(ctx, c, o, p); err != nil {
				return err
			}
			err := c.Patch(ctx, o, p, options...)
			if status := apierrors.APIStatus(nil); err != nil && !errors.As(err, &status) && p.Type() == types.JSONPatchType {
				return apierrors.NewInvalid(schema.GroupKind{}, o.GetName(), nil) // a test of the patch failed
			}
			return err
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			asked := (&client.DeleteOptions{}).ApplyOptions(options)
			if asked.Preconditions != nil && asked.Preconditions.UID != nil {
				if err := uidIs(ctx, c, o, *asked.Preconditions.UID); err != nil {
					return err
				}
			}
			if err := c.Delete(ctx, o, options...); err != nil {
				return err
			}
			return deletePodsOf(ctx, c, o)
		},
	}
}

// sameUID refuses a merge patch for an object that was made anew.
func sameUID(ctx context.Context, c client.Client, o client.Object, p client.Patch) error {
	data, err := p.Data(o)
	if err != nil || p.Type() == types.JSONPatchType {
		return err
	}
	var given struct{ Metadata struct{ UID types.UID } }
	if err := json.Unmarshal(data, &given); err != nil || given.Metadata.UID == "" {
		return err
	}
	return uidIs(ctx, c, o, given.Metadata.UID)
}

func uidIs(ctx context.Context, c client.Client, o client.Object, want types.UID) error {
	stored, _ := o.DeepCopyObject().(client.Object)
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), stored); err != nil {
		return err
	}
	if stored.GetUID() != want {
		return apierrors.NewConflict(schema.GroupResource{}, o.GetName(), fmt.Errorf("the UID is %s, not %s", stored.GetUID(), want))
	}
	return nil
}

// deletePodsOf is the garbage collector.
func deletePodsOf(ctx context.Context, c client.Client, o client.Object) error {
	if _, ok := o.(*batchv1.Job); !ok {
		return nil
	}
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(o.GetNamespace())); err != nil {
		return err
	}
	for i := range pods.Items {
		if owner := metav1.GetControllerOf(&pods.Items[i]); owner != nil && owner.UID == o.GetUID() {
			if err := c.Delete(ctx, &pods.Items[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// faults are what the reconciler's client does beside what the server does.
func (c *cluster) faults() interceptor.Funcs {
	return interceptor.Funcs{
		List:   c.list,
		Create: c.create,
		Patch: func(ctx context.Context, s client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if err := c.attempt("patch", o, &c.onPatch); err != nil {
				return err
			}
			return s.Patch(ctx, o, p, options...)
		},
		Delete: func(ctx context.Context, s client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			if err := c.attempt("delete", o, &c.onDelete); err != nil {
				return err
			}
			return s.Delete(ctx, o, options...)
		},
		SubResourcePatch: func(ctx context.Context, s client.Client, name string, o client.Object, p client.Patch, options ...client.SubResourcePatchOption) error {
			if err := c.attempt("patch "+name+" of", o, nil); err != nil {
				return err
			}
			return s.SubResource(name).Patch(ctx, o, p, options...)
		},
	}
}

func (c *cluster) list(ctx context.Context, s client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
	if c.onList != nil {
		if err := c.onList(list); err != nil {
			return err
		}
	}
	err := s.List(ctx, list, options...)
	if jobs, ok := list.(*batchv1.JobList); ok {
		jobs.Items = slices.DeleteFunc(jobs.Items, func(j batchv1.Job) bool { return c.hidden[j.Name] })
	}
	if pods, ok := list.(*corev1.PodList); ok {
		pods.Items = slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return c.hidden[p.Name] })
	}
	return err
}

func (c *cluster) create(ctx context.Context, s client.WithWatch, o client.Object, options ...client.CreateOption) error {
	if asked := (&client.CreateOptions{}).ApplyOptions(options); len(asked.DryRun) > 0 {
		return c.attempt("try", o, &c.onDryRun)
	}
	if err := c.attempt("create", o, &c.onCreate); err != nil {
		return err
	}
	if err := s.Create(ctx, o, options...); err != nil || c.onMade == nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.onMade(o)
}

// attempt notes a request, and fails it if the fault does, which may replace itself.
func (c *cluster) attempt(verb string, o client.Object, fault *func(client.Object) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(fmt.Sprintf("%T", o), "*v1alpha1."), "*v1."), "*")
	c.writes = append(c.writes, verb+" "+kind+" "+o.GetName())
	if fault == nil || *fault == nil {
		return nil
	}
	return (*fault)(o)
}

// startPods is the Job controller and the kubelet: each Job gets the pods that it lacks, running and ready.
func (c *cluster) startPods() {
	c.t.Helper()
	for _, job := range c.jobs() {
		for i := range int(*job.Spec.Completions) {
			name := job.Name + "-" + fmt.Sprint(i)
			if !slices.Contains(c.podNames(), name) {
				c.startPod(&job, name, i)
			}
		}
		job.Status.Active = *job.Spec.Completions
		c.must(c.server.Status().Update(c.t.Context(), &job))
	}
}

func (c *cluster) startPod(job *batchv1.Job, name string, index int) {
	c.t.Helper()
	p := &corev1.Pod{ObjectMeta: *job.Spec.Template.ObjectMeta.DeepCopy(), Spec: *job.Spec.Template.Spec.DeepCopy()}
	p.Name, p.Namespace = name, job.Namespace
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))}
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[batchv1.JobCompletionIndexAnnotation] = fmt.Sprint(index)
	metav1.SetMetaDataLabel(&p.ObjectMeta, batchv1.JobNameLabel, job.Name)
	p.Spec.NodeName = "n"
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: "10.0.0.1",
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(c.clock.Now())}},
	}
	status := p.Status
	c.must(c.server.Create(c.t.Context(), p))
	p.Status = status
	c.must(c.server.Status().Update(c.t.Context(), p))
}

// fill brings the pool to where all of its units are idle and labelled so.
func (c *cluster) fill() {
	c.t.Helper()
	c.pass()
	c.startPods()
	c.pass()
	c.pass()
	for _, p := range c.pods() {
		if got := p.Labels[v1alpha1.LabelState]; got != string(v1alpha1.PodIdle) {
			c.t.Fatalf("pod %s is %s", p.Name, got)
		}
	}
	c.asked()
	c.recorder.sent()
}
