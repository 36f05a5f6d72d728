// SPDX-License-Identifier: Apache-2.0

// Program page serves the operator's page on this machine with pools that are made up, for those who work on it:
//
//	go run ./test/page
package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/access"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
	"github.com/paia-tech/hotstandbyjob/internal/ui"
)

const address = "127.0.0.1:7480"

func main() {
	if err := run(); err != nil {
		slog.Error("serve", "err", err)
		os.Exit(1)
	}
}

func run() error {
	now := time.Now()
	past := clocktesting.NewFakePassiveClock(now.Add(-time.Hour))
	made := &world{journal: journal.New(past), pools: []v1alpha1.HotStandbyJob{
		pool("games", "arena", 20), pool("games", "lobby", 5), pool("ci", "runners", 8),
	}}
	for ; past.Now().Before(now); past.SetTime(past.Now().Add(journal.Period)) {
		made.step(past.Now(), 30)
	}
	go func() {
		for at := range time.Tick(time.Second) {
			past.SetTime(at)
			made.step(at, 3)
		}
	}()
	handler := ui.New(ui.Deps{
		Pools: made, Journal: made.journal, Clock: clock.RealClock{}, Log: slog.Default(), PricePerPodHour: 0.04,
		Waiting: func(types.NamespacedName) int { return 0 },
		Reviewer: access.New(access.Deps{
			Client: everybody(), Clock: clock.RealClock{}, Log: slog.Default(), Reviews: 1,
		}),
	})
	slog.Info("serving http://" + address + "; any token will do, but `bad`")
	return (&http.Server{Addr: address, ReadHeaderTimeout: time.Second, Handler: handler}).ListenAndServe()
}

// everybody is an API server that lets everybody in.
func everybody() *fake.Clientset {
	api := fake.NewClientset()
	api.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		create, _ := a.(clienttesting.CreateAction)
		switch o := create.GetObject().(type) {
		case *authenticationv1.TokenReview:
			o.Status.Authenticated, o.Status.User.Username = o.Spec.Token != "bad", "you"
			return true, o, nil
		case *authorizationv1.SubjectAccessReview:
			o.Status.Allowed = true
			return true, o, nil
		}
		return false, nil, nil
	})
	return api
}

func pool(namespace, name string, idle int32) v1alpha1.HotStandbyJob {
	h := v1alpha1.HotStandbyJob{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	h.Spec.Assignment, h.Spec.IdleTarget = v1alpha1.AssignmentPush, idle
	h.Status.IdleCount = idle
	h.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Filled", Message: "as many units are idle as the pool promises"}}
	return h
}

// world makes pools up.
type world struct {
	journal *journal.Journal
	pools   []v1alpha1.HotStandbyJob
	n       int
}

// List has all of them, whatever the namespace.
func (w *world) List(_ context.Context, namespace string) ([]v1alpha1.HotStandbyJob, error) {
	var out []v1alpha1.HotStandbyJob
	for _, h := range w.pools {
		if namespace == "" || namespace == h.Namespace {
			out = append(out, h)
		}
	}
	return out, nil
}

// step has some launches begin and end.
func (w *world) step(now time.Time, most int) {
	for i := range w.pools {
		h := &w.pools[i]
		s, target := &h.Status, h.Spec.IdleTarget
		s.BusyCount -= int32(rand.IntN(int(s.BusyCount)/4 + 2))
		s.BusyCount = max(0, s.BusyCount)
		s.IdleCount, s.StartingCount = min(target, s.IdleCount+s.StartingCount), 0
		for range rand.IntN(most + 1) {
			w.launch(types.NamespacedName{Namespace: h.Namespace, Name: h.Name}, s, now)
		}
		s.StartingCount = max(0, target-s.IdleCount)
		s.DesiredActive = s.BusyCount + target
		w.journal.Take(types.NamespacedName{Namespace: h.Namespace, Name: h.Name}, journal.Sample{Idle: s.IdleCount, Busy: s.BusyCount, Starting: s.StartingCount})
	}
}

func (w *world) launch(name types.NamespacedName, s *v1alpha1.HotStandbyJobStatus, now time.Time) {
	w.n++
	part := func(most float64) time.Duration {
		return time.Duration(rand.ExpFloat64() * most * float64(time.Millisecond))
	}
	l := journal.Launch{
		Pool: name, Job: fmt.Sprintf("match-%05d", w.n), Pod: fmt.Sprintf("%s-%05x", name.Name, rand.IntN(1<<20)), Start: journal.Warm,
		Queue: part(1), Claim: part(6), Deliver: part(1), Begin: part(3),
	}
	if s.IdleCount == 0 {
		l.Start, l.Reason, l.Claim, l.Deliver, l.Begin = journal.Cold, "no pod was idle", 0, 0, part(900)
	} else {
		s.IdleCount--
	}
	s.BusyCount++
	total := l.Queue + l.Claim + l.Deliver + l.Begin
	l.Seen, l.Started = now.Add(-total), now
	w.journal.Record(l)
}
