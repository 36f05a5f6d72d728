// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/informers"
	batchinformers "k8s.io/client-go/informers/batch/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	upstream "k8s.io/kubernetes/pkg/controller/job"
	"k8s.io/utils/clock"
)

// defaultWorkers is how many Jobs are worked on at once. They wait for the server most of the time.
const defaultWorkers = 64

// Deps are what a launcher works with.
type Deps struct {
	Client    kubernetes.Interface
	Namespace string // whose Jobs it runs; empty: of all
	Pools     Pools
	Registry  Registry
	Recorder  events.EventRecorder
	Clock     clock.WithDelayedExecution
	Log       logr.Logger
	Workers   int      // 0: a default
	Observer  Observer // may be nil
	// Synced waits until Pools and Registry know what there is, so that no launch is cold for lack of that. It returns
	// false if the context ended first. May be nil.
	Synced func(context.Context) bool
}

// Launcher runs Jobs. It is a manager.Runnable, for the leading replica.
type Launcher struct {
	deps   Deps
	client kubernetes.Interface // what the embedded controller writes with

	factories []informers.SharedInformerFactory
	jobs      batchinformers.JobInformer
	pods      coreinformers.PodInformer
	handler   handlerSlot // the embedded controller's, for Jobs
	lost      workqueue.TypedRateLimitingInterface[podRef]
	patches   patches
	running   chan struct{} // closed when Jobs are run

	mu      sync.Mutex
	states  map[types.UID]*state
	arrived map[types.UID]time.Time           // when Jobs came that haven't started yet
	queues  map[types.NamespacedName][]waiter // who waits for a pool, in order
	seq     uint64

	statuses statusPace
}

// New prepares a launcher. It sets variables of the embedded controller that all launchers of a process share, so it
// should be called before anything runs.
func New(d Deps) (*Launcher, error) {
	tune()
	if d.Workers == 0 {
		d.Workers = defaultWorkers
	}
	if d.Observer == nil {
		d.Observer = nobody{}
	}
	l := &Launcher{
		deps:    d,
		states:  map[types.UID]*state{},
		arrived: map[types.UID]time.Time{},
		queues:  map[types.NamespacedName][]waiter{},
		lost:    workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[podRef]()),
		patches: patches{utilcache.NewExpiringWithClock(d.Clock)},
		running: make(chan struct{}),
	}
	l.client = client{Interface: d.Client, launcher: l}
	l.inform()
	if err := l.listen(); err != nil {
		return nil, fmt.Errorf("prepare the launcher: %w", err)
	}
	d.Registry.OnIdle(l.wakeNext)
	return l, nil
}

// NeedLeaderElection says that one replica alone runs Jobs.
func (l *Launcher) NeedLeaderElection() bool { return true }

// Running is closed when the launcher knows of all Jobs and pods that there are, and runs Jobs.
func (l *Launcher) Running() <-chan struct{} { return l.running }

// Start runs Jobs until ctx is done. It may be called once.
func (l *Launcher) Start(ctx context.Context) error {
	log := l.deps.Log.WithName("launcher")
	ctx = klog.NewContext(ctx, log)
	controller, err := upstream.NewController(ctx, l.client, l.pods, capturingJobs{l.jobs, &l.handler}, nil, nil)
	if err != nil {
		return fmt.Errorf("embed the Job controller: %w", err)
	}
	if l.deps.Synced != nil && !l.deps.Synced(ctx) {
		return errors.Join(ctx.Err(), errors.New("pools and standby pods aren't known yet"))
	}
	for _, f := range l.factories {
		f.Start(ctx.Done())
		defer f.Shutdown()
	}
	if !cache.WaitForCacheSync(ctx.Done(), l.jobs.Informer().HasSynced, l.pods.Informer().HasSynced) {
		return nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.lost.ShutDown()
	wg.Go(func() { l.releaseLost(ctx) })
	close(l.running)
	controller.Run(ctx, l.deps.Workers)
	return nil
}
