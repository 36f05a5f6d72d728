// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

// launcher is for clients. Jobs are made with the operator's rights, after the API server has said that the client has
// the right to.
type launcher struct {
	*Deps
	gate     *gate
	launches *limiter
	starts   starts
}

func newLauncher(d *Deps, g *gate) *launcher {
	l := &launcher{Deps: d, gate: g, launches: newLimiter(d.Limits.Launches, d.Limits.LaunchesPerClient)}
	d.Registry.OnStarted(l.starts.tell)
	return l
}

// Start makes a Job.
func (l *launcher) Start(ctx context.Context, r *launcherv1.LaunchRequest) (*launcherv1.StartResponse, error) {
	leave, err := l.launches.enter(callerOf(ctx).User.Username, "launches")
	if err != nil {
		return nil, err
	}
	defer leave()
	j, repeated, err := l.create(ctx, r)
	if err != nil {
		return nil, err
	}
	return &launcherv1.StartResponse{Job: j.Name, Uid: string(j.UID), RepeatedRequest: repeated}, nil
}

// Launch makes a Job and tells what becomes of it.
func (l *launcher) Launch(ctx context.Context, r *launcherv1.LaunchRequest, stream *connect.ServerStream[launcherv1.LaunchResponse]) error {
	unhurried(ctx)
	leave, err := l.launches.enter(callerOf(ctx).User.Username, "launches")
	if err != nil {
		return err
	}
	defer leave()
	j, repeated, err := l.create(ctx, r)
	if err != nil {
		return err
	}
	t := &teller{launcher: l, stream: stream, job: types.NamespacedName{Namespace: j.Namespace, Name: j.Name}, story: newStory(j.UID)}
	return t.tell(ctx, &launcherv1.Created{Job: j.Name, Uid: string(j.UID), RepeatedRequest: repeated})
}

// create makes the Job of a request, or finds the one that was made for the same request before.
func (l *launcher) create(ctx context.Context, r *launcherv1.LaunchRequest) (*batchv1.Job, bool, error) {
	if err := check(r); err != nil {
		return nil, false, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if err := l.gate.allow(ctx, "create", r.GetNamespace(), ""); err != nil {
		return nil, false, err
	}
	template, container, err := l.Pools.Template(ctx, types.NamespacedName{Namespace: r.GetNamespace(), Name: r.GetPool()})
	if err != nil {
		return nil, false, answer(fmt.Errorf("pool: %w", err))
	}
	user := callerOf(ctx).User.Username
	j, err := jobFor(r, user, &template, container)
	if err != nil {
		return nil, false, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	created, err := l.Client.BatchV1().Jobs(j.Namespace).Create(ctx, j, metav1.CreateOptions{})
	if err == nil {
		l.Log.Info("job created", "namespace", created.Namespace, "job", created.Name, "pool", r.GetPool(), "user", user)
		return created, false, nil
	}
	if !apierrors.IsAlreadyExists(err) || j.Name == "" {
		return nil, false, answer(fmt.Errorf("create the Job: %w", err))
	}
	earlier, err := l.earlier(ctx, j)
	return earlier, true, err
}

// earlier is the Job that was made for the same request before.
func (l *launcher) earlier(ctx context.Context, j *batchv1.Job) (*batchv1.Job, error) {
	found, err := l.Client.BatchV1().Jobs(j.Namespace).Get(ctx, j.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err): // deleted in between: the client may try again
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("request_key: the earlier Job is being deleted: %w", err))
	case err != nil:
		return nil, answer(fmt.Errorf("read the Job: %w", err))
	case found.Annotations[annotationRequest] != j.Annotations[annotationRequest]:
		return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("request_key: Job %s exists, and isn't of this request: use another key", j.Name))
	}
	return found, nil
}

// Get tells what has become of a Job.
func (l *launcher) Get(ctx context.Context, r *launcherv1.GetRequest) (*launcherv1.GetResponse, error) {
	j, err := l.find(ctx, "get", r.GetNamespace(), r.GetJob())
	if err != nil {
		return nil, err
	}
	pods, err := l.Watcher.Pods(ctx, types.NamespacedName{Namespace: j.Namespace, Name: j.Name})
	if err != nil {
		return nil, answer(fmt.Errorf("list the Job's pods: %w", err))
	}
	response := &launcherv1.GetResponse{Job: j.Name, Uid: string(j.UID)}
	s := newStory(j.UID)
	for _, p := range inOrder(pods) {
		if owned(p, j.UID) {
			s.pod(p, false)
			response.Pods = append(response.Pods, boundOf(p))
		}
	}
	response.Finished = s.finished(j, false)
	return response, nil
}

// Cancel deletes a Job; the garbage collector takes its pods.
func (l *launcher) Cancel(ctx context.Context, r *launcherv1.CancelRequest) (*launcherv1.CancelResponse, error) {
	j, err := l.find(ctx, "delete", r.GetNamespace(), r.GetJob())
	if err != nil {
		return nil, err
	}
	err = l.Client.BatchV1().Jobs(j.Namespace).Delete(ctx, j.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &j.UID}, PropagationPolicy: new(metav1.DeletePropagationBackground),
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, answer(fmt.Errorf("delete the Job: %w", err))
	}
	return &launcherv1.CancelResponse{}, nil
}

// find returns a Job of a pool, if the caller may do with it what the verb says. Other Jobs aren't the gateway's to show.
func (l *launcher) find(ctx context.Context, verb, namespace, job string) (*batchv1.Job, error) {
	if namespace == "" || job == "" {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("namespace and job: both must be given"))
	}
	if err := l.gate.allow(ctx, verb, namespace, job); err != nil {
		return nil, err
	}
	j, err := l.Client.BatchV1().Jobs(namespace).Get(ctx, job, metav1.GetOptions{})
	if err != nil {
		return nil, answer(fmt.Errorf("read the Job: %w", err))
	}
	if j.Labels[v1alpha1.LabelPool] == "" {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("job: %s has no label %s", job, v1alpha1.LabelPool))
	}
	return j, nil
}

// answer is what a client is told about an error of the API server. What isn't the client's fault may be tried again.
func answer(err error) error {
	code := connect.CodeUnavailable
	switch {
	case errors.Is(err, context.Canceled):
		code = connect.CodeCanceled
	case errors.Is(err, ErrNotPush):
		code = connect.CodeFailedPrecondition
	case apierrors.IsNotFound(err):
		code = connect.CodeNotFound
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		code = connect.CodeInvalidArgument
	case apierrors.IsForbidden(err): // a quota, or an admission policy
		code = connect.CodePermissionDenied
	case apierrors.IsAlreadyExists(err):
		code = connect.CodeAlreadyExists
	case apierrors.IsConflict(err):
		code = connect.CodeAborted
	}
	return connect.NewError(code, err)
}
