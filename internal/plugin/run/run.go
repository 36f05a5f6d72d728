// SPDX-License-Identifier: Apache-2.0

package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

const (
	answerTime = 5 * time.Second // for the server's answer to what is cancelled
	logsTime   = 5 * time.Second // for the last lines after the end
	quietTime  = 2 * time.Second // without a pod, until something is said
)

// Exit is the end of a command whose exit code is the plugin's own. There is nothing more to say.
type Exit struct{ Code int }

func (e Exit) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// Deps are what a launch needs.
type Deps struct {
	genericiooptions.IOStreams

	Cluster *cluster.Cluster
	Clock   clock.WithTicker
	Signals <-chan os.Signal
	Random  string // the end of the Job's name
	Made    func(*batchv1.Job) error
}

// launch is one run of the command.
type launch struct {
	Deps

	o        Options
	name     string
	pods     chan watch.Event
	jobs     chan watch.Event
	progress *progress
	logs     *logs
	timings  *timings
	told     bool // that it started cold, or waits
}

// Launch makes the Job, shows what its pods write, and returns an Exit with its command's code unless that is 0.
func Launch(ctx context.Context, d Deps, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	l := &launch{Deps: d, o: o, name: o.name(d.Random), pods: make(chan watch.Event), jobs: make(chan watch.Event), timings: newTimings(d.Clock)}
	if o.Timings {
		defer l.timings.print(d.ErrOut)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	made, signal, err := l.start(ctx)
	if signal != nil {
		return l.cancel(ctx, made.job, signal)
	}
	if err != nil {
		return err
	}
	if !o.Wait {
		return l.Made(made.job)
	}
	l.progress = newProgress(made.job, made.pool, object.StandbyContainer(made.pool))
	l.logs = newLogs(d.Cluster.Logs, l.progress.container, d.Out, o.Gang > 1)
	l.logs.mark = l.timings.mark
	return l.follow(ctx)
}

// made is what was made, if it was.
type made struct {
	pool *v1alpha1.HotStandbyJob
	job  *batchv1.Job
	err  error
}

// start makes the Job. A signal meanwhile ends it, when it is known whether there is a Job.
func (l *launch) start(ctx context.Context) (made, os.Signal, error) {
	watched := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	result := make(chan made, 1)
	go func() { result <- l.make(watched, ctx) }()
	select {
	case m := <-result:
		return m, nil, m.err
	case s := <-l.Signals:
		select {
		case m := <-result:
			return m, s, m.err
		case <-l.Clock.After(answerTime):
			return made{}, s, nil
		}
	}
}

// make reads the pool and makes the Job. The watches are opened meanwhile, over the connection that is there then: before,
// each would open one of its own.
func (l *launch) make(watched, ctx context.Context) (m made) {
	if m.pool, m.err = l.Cluster.Pool(ctx, l.o.Pool); m.err != nil {
		return m
	}
	l.timings.mark("the pool is read")
	job, err := Job(m.pool, l.name, l.o)
	if err != nil {
		m.err = err
		return m
	}
	if l.o.Wait {
		l.watch(watched)
	}
	job, err = l.Cluster.Jobs(l.Cluster.Namespace).Create(ctx, job)
	if err != nil {
		m.err = fmt.Errorf("make Job %s: %w", l.name, err)
		if apierrors.IsAlreadyExists(err) {
			m.err = fmt.Errorf("there is a Job %s already: give another --name, or none", l.name)
		}
		return m
	}
	m.job = job
	l.timings.mark("the Job is made")
	return m
}

// follow shows the launch until it has ended.
func (l *launch) follow(ctx context.Context) error {
	quiet, late := l.Clock.After(quietTime), l.late()
	for {
		if end := l.progress.finished(); end != nil {
			return l.end(ctx, end)
		}
		select {
		case e := <-l.pods:
			l.seePod(ctx, e)
		case e := <-l.jobs:
			l.seeJob(e)
		case <-l.logs.broken:
			return l.cancel(ctx, l.progress.job, syscall.SIGPIPE)
		case s := <-l.Signals:
			return l.cancel(ctx, l.progress.job, s)
		case <-quiet:
			l.sayWhatItWaitsFor(ctx)
		case <-late:
			if !l.progress.started() {
				return l.giveUp(ctx)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// late tells when the command should have started; never, if the user waits for ever.
func (l *launch) late() <-chan time.Time {
	if l.o.Timeout == 0 {
		return nil
	}
	return l.Clock.After(l.o.Timeout)
}

func (l *launch) seeJob(e watch.Event) {
	if job, ok := e.Object.(*batchv1.Job); ok {
		l.progress.observeJob(job, e.Type == watch.Deleted)
	}
}

func (l *launch) seePod(ctx context.Context, e watch.Event) {
	pod, ok := e.Object.(*corev1.Pod)
	if !ok {
		return
	}
	l.timings.mark("it has a pod")
	if s := l.progress.observePod(pod, e.Type == watch.Deleted); s != nil {
		l.logs.follow(ctx, *s)
	}
	if pod.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartCold && !l.told {
		l.told = true
		l.note("starts cold: %s", pod.Annotations[v1alpha1.AnnotationColdReason])
	}
}

// sayWhatItWaitsFor tells what the operator said about a Job that has no pod yet.
func (l *launch) sayWhatItWaitsFor(ctx context.Context) {
	if len(l.progress.pods) > 0 || l.told {
		return
	}
	l.told = true
	selector := "involvedObject.kind=Job,involvedObject.name=" + l.name
	list, err := l.Cluster.Events(l.Cluster.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err == nil && len(list.Items) > 0 {
		l.note("%s", list.Items[len(list.Items)-1].Message)
		return
	}
	l.note("%s", l.progress.stuck())
}

func (l *launch) note(format string, args ...any) {
	_, _ = fmt.Fprintf(l.ErrOut, "note: "+format+"\n", args...)
}

// end shows the last lines and returns the exit code.
func (l *launch) end(ctx context.Context, end *ending) error {
	l.timings.mark("its end is known")
	select {
	case <-l.logs.shown(ctx):
	case <-l.Clock.After(logsTime):
		l.note("the last lines may be missing: `kubectl logs job/%s` has all", l.name)
	}
	if l.o.Remove {
		if err := l.remove(ctx, l.progress.job); err != nil {
			l.note("%v", err)
		}
	}
	switch {
	case end.why != nil:
		return end.why
	case end.code != 0:
		return Exit{end.code}
	}
	return nil
}

// cancel deletes the Job because of a signal.
func (l *launch) cancel(ctx context.Context, job *batchv1.Job, s os.Signal) error {
	if job == nil && l.o.Name != "" { // it may be somebody else's
		l.note("it isn't known whether Job %s was made", l.name)
	} else if err := l.remove(ctx, job); err != nil {
		return err
	} else if job != nil {
		l.note("deleted Job %s", l.name)
	}
	number, _ := s.(syscall.Signal)
	return Exit{128 + int(number)}
}

// giveUp deletes a Job that hasn't started in time.
func (l *launch) giveUp(ctx context.Context) error {
	why := l.progress.stuck()
	return errors.Join(fmt.Errorf("the command hasn't started within %s: %s", l.o.Timeout, why), l.remove(ctx, l.progress.job))
}

// remove deletes the Job with its pods; one that isn't known it deletes by its name, which nobody else uses.
func (l *launch) remove(ctx context.Context, job *batchv1.Job) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer stop()
	options := metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}
	if job != nil {
		options.Preconditions = &metav1.Preconditions{UID: &job.UID}
	}
	err := l.Cluster.Jobs(l.Cluster.Namespace).Delete(ctx, l.name, options)
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("delete Job %s: %w (it goes on: kubectl delete job %s)", l.name, err, l.name)
}

// watch begins to watch the Job and its pods.
func (l *launch) watch(ctx context.Context) {
	ns := l.Cluster.Namespace
	// Any version does: nothing of this Job is older than this process.
	pods := metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + l.name, ResourceVersion: "0"}
	jobs := metav1.ListOptions{FieldSelector: "metadata.name=" + l.name, ResourceVersion: "0"}
	go l.relay(ctx, l.pods, func() (watch.Interface, error) { return l.Cluster.Pods(ns).Watch(ctx, pods) })
	go l.relay(ctx, l.jobs, func() (watch.Interface, error) { return l.Cluster.Jobs(ns).Watch(ctx, jobs) })
}

// relay hands on what a watch tells, and watches again when the server ends it.
func (l *launch) relay(ctx context.Context, to chan<- watch.Event, open func() (watch.Interface, error)) {
	warned := false
	for ctx.Err() == nil {
		w, err := open()
		if err != nil {
			if apierrors.IsForbidden(err) && !warned {
				warned = true
				l.note("%v", err)
			}
			select {
			case <-l.Clock.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		for e := range w.ResultChan() {
			select {
			case to <- e:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
		}
		w.Stop()
	}
}
