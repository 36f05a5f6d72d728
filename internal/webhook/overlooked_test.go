// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestOverlookedJobsAreToldWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		pool string
		age  time.Duration
		want string // empty: nothing is said
	}{
		"no such pool":             {"gone", 0, "Warning NotLaunched pool gone not found in namespace games: the Job runs as an ordinary Job"},
		"a pool that pulls":        {"pull", time.Minute, "Warning NotLaunched pool pull in namespace games has spec.assignment: Pull"},
		"the webhook wasn't asked": {"game", time.Second, "the webhook gave no answer in time"},
		"one from before":          {"gone", time.Minute + time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pull := poolOf(v1alpha1.AssignmentPull)
				pull.Name = "pull"
				reader := pools(t, poolOf(v1alpha1.AssignmentPush), pull)
				recorder := events.NewFakeRecorder(1)
				o := NewOverlooked(&Handler{Cache: reader, Live: reader}, recorder, clock.RealClock{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { _ = o.Start(ctx) }()
				o.Observe(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{
					Namespace: "games", Labels: map[string]string{v1alpha1.LabelPool: tc.pool}, CreationTimestamp: metav1.NewTime(time.Now().Add(-tc.age)),
				}})
				synctest.Wait()
				select {
				case got := <-recorder.Events:
					if tc.want == "" || !strings.Contains(got, tc.want) {
						t.Errorf("the Event is %q, want %q", got, tc.want)
					}
				default:
					if tc.want != "" {
						t.Errorf("there is no Event; want %q", tc.want)
					}
				}
			})
		})
	}
}
