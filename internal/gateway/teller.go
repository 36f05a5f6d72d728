// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
)

// quiet is how long nothing may be sent.
const quiet = 15 * time.Second

// errUnwatched is for a watch that ends while somebody still listens.
var errUnwatched error = connect.NewError(connect.CodeUnavailable, errors.New("the Job can't be watched any more: try again"))

// teller tells one client what becomes of one Job.
type teller struct {
	*launcher
	stream *connect.ServerStream[launcherv1.LaunchResponse]
	job    types.NamespacedName
	story  *story
	over   bool // the Job has ended
}

// tell sends what happens until the Job has ended.
func (t *teller) tell(ctx context.Context, created *launcherv1.Created) error {
	if err := t.send(&launcherv1.LaunchResponse{Event: &launcherv1.LaunchResponse_Created{Created: created}}); err != nil {
		return err
	}
	watched, stop := context.WithCancel(ctx)
	changes := t.Watcher.Watch(watched, t.job)
	defer func() {
		stop()
		for range changes { // until it is closed, which says that nothing is left running
		}
	}()
	wake := t.starts.subscribe(t.story.uid)
	defer t.starts.unsubscribe(t.story.uid, wake)
	ticker := t.Clock.NewTicker(quiet)
	defer ticker.Stop()
	for {
		var events []*launcherv1.LaunchResponse
		select {
		case <-ctx.Done():
			return ended(ctx)
		case c, open := <-changes:
			if !open {
				return cmp.Or(ended(ctx), errUnwatched)
			}
			events = t.change(ctx, c)
		case <-wake:
		case <-ticker.C():
			events = t.waiting()
		}
		if err := t.send(t.withBegun(events)...); err != nil || t.over {
			return err
		}
	}
}

// withBegun adds the pods that have begun, unless all is over.
func (t *teller) withBegun(events []*launcherv1.LaunchResponse) []*launcherv1.LaunchResponse {
	if t.over {
		return events
	}
	return append(events, t.begun()...)
}

// change is what a change means.
func (t *teller) change(ctx context.Context, c Change) []*launcherv1.LaunchResponse {
	if c.Pod != nil {
		return t.story.pod(c.Pod, c.Gone)
	}
	if c.Job == nil || c.Job.UID != t.story.uid || t.story.finished(c.Job, c.Gone) == nil {
		return nil
	}
	// The Job has ended because its pods have, which may not have been heard yet.
	var events []*launcherv1.LaunchResponse
	pods, err := t.Watcher.Pods(ctx, t.job)
	if err != nil {
		t.Log.Debug("list the pods of a Job that has ended", "namespace", t.job.Namespace, "job", t.job.Name, "err", err)
	}
	for _, p := range inOrder(pods) {
		events = append(events, t.story.pod(p, false)...)
	}
	t.over = true
	finished := t.story.finished(c.Job, c.Gone)
	return append(events, &launcherv1.LaunchResponse{Event: &launcherv1.LaunchResponse_Finished{Finished: finished}})
}

// inOrder are pods in the order in which they have ended.
func inOrder(pods []*corev1.Pod) []*corev1.Pod {
	return slices.SortedStableFunc(slices.Values(pods), func(a, b *corev1.Pod) int {
		if n := endOf(a).Compare(endOf(b)); n != 0 {
			return n
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// endOf is when the last of a pod's containers has ended.
func endOf(p *corev1.Pod) time.Time {
	var last time.Time
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil && t.FinishedAt.After(last) {
			last = t.FinishedAt.Time
		}
	}
	return last
}

// begun is what the pods themselves have said.
func (t *teller) begun() []*launcherv1.LaunchResponse {
	var events []*launcherv1.LaunchResponse
	for _, uid := range t.story.awaited() {
		p, ok := t.Registry.Pod(uid)
		if !ok || p.Started.IsZero() {
			continue
		}
		for _, e := range t.story.started(uid) {
			e.Time = timestamppb.New(p.Started)
			events = append(events, e)
		}
	}
	return events
}

// waiting keeps the stream alive.
func (t *teller) waiting() []*launcherv1.LaunchResponse {
	before := min(max(t.Before(t.job), 0), 1<<30)
	return []*launcherv1.LaunchResponse{{Event: &launcherv1.LaunchResponse_Waiting{Waiting: &launcherv1.Waiting{Before: int32(before)}}}}
}

func (t *teller) send(events ...*launcherv1.LaunchResponse) error {
	for _, e := range events {
		if e.Time == nil {
			e.Time = timestamppb.New(t.Clock.Now())
		}
		if err := t.stream.Send(e); err != nil {
			return err
		}
	}
	return nil
}
