// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/condition"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/unit"
)

// failedUnit ended so long after noon.
func failedUnit(name, reason string, after time.Duration) unit.Unit {
	return unit.Unit{Unit: pool.Unit{Name: name, Phase: pool.Failed, Current: true, Ended: noon.Add(after)}, Reason: reason}
}

func TestBecause(t *testing.T) {
	lost := func(reason string) unit.Unit { return unit.Unit{Unit: pool.Unit{Phase: pool.Unknown}, Reason: reason} }
	for name, tc := range map[string]struct {
		units []unit.Unit
		n     int
		why   string
	}{
		"nobody says why": {[]unit.Unit{lost("")}, 0, ""},
		"the first in the alphabet, so that it stays the same": {[]unit.Unit{lost("node n2"), lost("node n1"), lost(""), lost("node n3")}, 3, "node n1"},
		"other phases don't count":                             {[]unit.Unit{failedUnit("a", "exit code 3", 0), lost("node n")}, 1, "node n"},
	} {
		t.Run(name, func(t *testing.T) {
			if n, why := (&snapshot{units: tc.units}).because(pool.Unknown); n != tc.n || why != tc.why {
				t.Errorf("%d, %q; want %d, %q", n, why, tc.n, tc.why)
			}
		})
	}
}

func TestLastFailure(t *testing.T) {
	old := failedUnit("old", "exit code 9", time.Hour)
	old.Current = false
	for name, tc := range map[string]struct {
		units []unit.Unit
		want  string
	}{
		"the newest": {
			[]unit.Unit{failedUnit("a", "exit code 1", 0), failedUnit("b", "exit code 2", time.Second), failedUnit("c", "exit code 3", 0)},
			"unit b failed before it got work: exit code 2",
		},
		"not of an old revision":  {[]unit.Unit{old, failedUnit("a", "exit code 1", 0)}, "unit a failed before it got work: exit code 1"},
		"without a reason":        {[]unit.Unit{failedUnit("a", "", 0)}, "unit a failed before it got work"},
		"none is left to look at": {nil, "standby units fail before they get work"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&snapshot{units: tc.units}).lastFailure(); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestTrouble is about what is said first.
func TestTrouble(t *testing.T) {
	stuck := unit.Unit{Unit: pool.Unit{Phase: pool.Starting}, Reason: "no image"}
	lost := unit.Unit{Unit: pool.Unit{Phase: pool.Unknown}, Reason: "no answer"}
	refusal := condition.Trouble{Reason: condition.ReasonRefused, Message: "by policy"}
	quota := condition.Trouble{Reason: condition.ReasonPodsRefused, Message: "exceeded quota"}
	failing := pool.Plan{Memory: pool.Memory{Failures: pool.Failures{Rounds: 1}}}
	for name, tc := range map[string]struct {
		memory memory
		plan   pool.Plan
		units  []unit.Unit
		want   string
	}{
		"none": {want: ": "},
		"a refusal first": {
			memory: memory{admission: admission{refusal: refusal, trouble: quota}}, plan: failing, units: []unit.Unit{stuck, lost},
			want: "Refused: by policy",
		},
		"then what is refused for now": {
			memory: memory{admission: admission{trouble: quota}}, plan: failing, units: []unit.Unit{stuck, lost}, want: "PodsRefused: exceeded quota",
		},
		"then failures": {
			memory: memory{password: password{trouble: "no Secret"}}, plan: failing, units: []unit.Unit{stuck, lost},
			want: "UnitsFailing: standby units fail before they get work",
		},
		"then a password":    {memory: memory{password: password{trouble: "no Secret"}}, units: []unit.Unit{stuck, lost}, want: "SignalUnknown: no Secret"},
		"then what is stuck": {units: []unit.Unit{lost, stuck}, want: "UnitsStuck: 1 units can't start: no image"},
		"then what can't be read (defect 18)": {
			units: []unit.Unit{lost, lost},
			want:  "SignalUnknown: it can't be told whether 2 units are busy: no answer; they are neither replaced nor retired",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&snapshot{memory: &tc.memory, units: tc.units}).trouble(tc.plan)
			if text := got.Reason + ": " + got.Message; text != tc.want {
				t.Errorf("got  %q\nwant %q", text, tc.want)
			}
		})
	}
}

// TestAnnounce guards against defect 26: events are for what happens, once, and not for what is.
func TestAnnounce(t *testing.T) {
	recorded := &recorder{}
	r := &Reconciler{Recorder: recorded}
	var m memories
	h := demo(func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.Completions = new(int32(5)) })
	s := &snapshot{pool: h, memory: m.of(h), view: unit.View{Revision: "r1"}}
	var plan pool.Plan
	said := func(what string, trouble condition.Trouble, want ...string) {
		t.Helper()
		r.announce(s, plan, trouble)
		if diff := cmp.Diff(want, recorded.sent()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	none, quota := condition.Trouble{}, condition.Trouble{Reason: "PodsRefused", Message: "exceeded quota"}
	failing := condition.Trouble{Reason: condition.ReasonUnitsFailing, Message: "exit code 3"}

	said("a field is overridden", none, "Warning FieldOverridden: jobTemplate.completions is always equal to parallelism")
	said("it still is", none)
	s.view.Revision = "r2"
	said("another template has it too", none, "Warning FieldOverridden: jobTemplate.completions is always equal to parallelism")

	s.units = []unit.Unit{failedUnit("a", "exit code 3", 0)}
	said("a unit failed, which the trouble says too", failing, "Warning UnitFailed: unit a failed: exit code 3")
	s.units = append(s.units, failedUnit("b", "", 0))
	said("another failed, of which nothing is known", failing, "Warning UnitFailed: unit b failed")
	said("both still are there", failing)
	s.units = nil
	said("both are gone", none)

	said("a trouble begins", quota, "Warning PodsRefused: exceeded quota")
	quota.Message = "exceeded quota by more"
	said("it goes on", quota)
	said("another one takes its place", condition.Trouble{Reason: "SignalUnknown", Message: "no answer"}, "Warning SignalUnknown: no answer")
	said("it ends", none)
	said("it begins again", quota, "Warning PodsRefused: exceeded quota by more")

	s.state.Spec, plan.Limited = pool.Spec{Max: 3, IdleTarget: 2}, true
	said("there is no room for the idle target", quota, "Warning MaxReplicas: maxReplicas 3 leaves no room for 2 idle units beside 0 busy ones; raise it or lower idleTarget")
	said("there still is none", quota)
	plan.Limited = false
	said("there is room", quota)
}

func TestWhyGone(t *testing.T) {
	unitOf := func(current bool, warm time.Time) unit.Unit {
		return unit.Unit{Unit: pool.Unit{Phase: pool.Idle, Current: current, Warm: warm}}
	}
	s := &snapshot{state: pool.State{Now: noon, Spec: pool.Spec{MaxIdle: time.Hour}}}
	old, young := noon.Add(-time.Hour), noon.Add(-time.Minute)
	got := s.whyGone([]unit.Unit{unitOf(true, young), unitOf(false, old), unitOf(true, old), unitOf(true, young)})
	want := "1 units: idle for longer than maxIdleSeconds; 2 units: more than are wanted; 1 units: of an old revision"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEventsAreShort(t *testing.T) {
	recorded := &recorder{}
	r := &Reconciler{Recorder: recorded}
	r.event(demo(nil), corev1.EventTypeWarning, "Refused", "Observe", "a"+strings.Repeat("ä", 2000)+" 100%")
	note := strings.TrimPrefix(recorded.sent()[0], "Warning Refused: ")
	if len(note) > 1024 || !utf8.ValidString(note) || !strings.HasSuffix(note, "ä…") {
		t.Errorf("the note has %d bytes, valid: %v, and ends with %q; the server takes 1024", len(note), utf8.ValidString(note), note[len(note)-10:])
	}
	r.event(demo(nil), corev1.EventTypeWarning, "Refused", "Observe", "100% of %d")
	if got := recorded.sent()[0]; got != "Warning Refused: 100% of %d" {
		t.Errorf("a message with percent signs becomes %q", got)
	}
}

// TestCounts holds the meaning of the columns that the Python operator had.
func TestCounts(t *testing.T) {
	job := func(uid string, active, succeeded, failed int32) *batchv1.Job {
		return &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{UID: types.UID(uid)}, Status: batchv1.JobStatus{Active: active, Succeeded: succeeded, Failed: failed},
		}
	}
	pod := func(phase corev1.PodPhase, leaving bool) *corev1.Pod {
		p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
		if leaving {
			p.DeletionTimestamp = new(metav1.NewTime(noon))
		}
		return p
	}
	s := &snapshot{
		jobs: []*batchv1.Job{job("new", 0, 0, 0), job("a", 3, 1, 1), job("b", 0, 3, 0), job("c", 0, 1, 2)},
		pods: map[types.UID][]*corev1.Pod{
			"a":      {pod(corev1.PodRunning, false), pod(corev1.PodPending, false), pod(corev1.PodRunning, true)},
			"b":      {pod(corev1.PodSucceeded, false)},
			"others": {pod(corev1.PodRunning, false)},
		},
	}
	got := v1alpha1.HotStandbyJobStatus{ChildJobs: 99}
	s.countJobs(&got)
	want := v1alpha1.HotStandbyJobStatus{ActiveCount: 1, ChildJobs: 4, ActiveJobs: 1, CompletedJobs: 2, FailedJobs: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnitsThatAreMadeAgainAndAgainAreOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := fake.NewClientset()
		broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: server.EventsV1()})
		if err := broadcaster.StartRecordingToSinkWithContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer broadcaster.Shutdown()
		scheme := runtime.NewScheme()
		if err := v1alpha1.AddToScheme(scheme); err != nil {
			t.Fatal(err)
		}
		r := &Reconciler{Recorder: broadcaster.NewRecorder(scheme, "hotstandbyjob")}
		for i := range 20 {
			h := demo(nil)
			h.ResourceVersion = strconv.Itoa(i + 1) // its status was written
			r.event(anyVersion(h), corev1.EventTypeNormal, ReasonUnitsCreated, "Create", "created 1 units")
			synctest.Wait()
		}
		writes := map[string]int{}
		for _, action := range server.Actions() {
			writes[action.GetVerb()]++
		}
		if diff := cmp.Diff(map[string]int{"create": 1, "patch": 1}, writes); diff != "" {
			t.Errorf("writes of 20 Events (-want +got):\n%s", diff)
		}
	})
}
