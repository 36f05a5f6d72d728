// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
)

// situation is one combination of all that a running pod's state depends on.
type situation struct {
	mode  string // who says whether the pod is busy
	label v1alpha1.PodState
	ready string // warm, or not
	node  string
	says  string // what the mode's source says
}

// says is what each mode's source may say.
var says = map[string][]string{
	"annotation":                  {"idle", "busy"},
	"http":                        asked,
	"redis":                       asked,
	"exec, API server":            asked,
	"exec, kubelet":               {"idle", "busy"},
	"exec, kubelet, inverted":     {"idle", "busy"},
	"exec, kubelet, new":          {"idle", "busy"},
	"exec, kubelet, inverted new": {"idle", "nothing yet"},
}

var asked = []string{"idle", "busy", "error", "starting", "nothing yet", "unreadable", "unreadable, was busy", "unreadable, was idle"}

var readingOf = map[string]signal.Reading{
	"idle":                 {Signal: signal.Idle, Last: signal.Idle},
	"busy":                 {Signal: signal.Busy, Last: signal.Busy},
	"error":                {Signal: signal.Failed, Last: signal.Failed},
	"starting":             {Signal: signal.Starting, Last: signal.Starting},
	"unreadable":           {Reason: "no answer"},
	"unreadable, was busy": {Last: signal.Busy, Reason: "no answer"},
	"unreadable, was idle": {Last: signal.Idle, Reason: "no answer"},
}

// build is a situation's pod, and how it is looked at.
func (s situation) build() (View, *corev1.Pod) {
	p := runningPod("p", s.label)
	v := viewOf(v1alpha1.BusyProbe{}, map[string]signal.Reading{})
	switch s.mode {
	case "annotation":
		v.Probe.Mode = v1alpha1.BusyByAnnotation
		if s.says == "busy" {
			annotate(p)
		}
		setReady(p, s.ready == "ready")
	case "http", "redis", "exec, API server":
		v.Probe.Mode = map[string]v1alpha1.BusyProbeMode{
			"http": v1alpha1.BusyByHTTP, "redis": v1alpha1.BusyByRedis, "exec, API server": v1alpha1.BusyByExec,
		}[s.mode]
		if r, ok := readingOf[s.says]; ok {
			v.Readings["p"] = r
		}
		setReady(p, s.ready == "ready")
	default:
		s.buildKubelet(&v, p)
	}
	switch s.node {
	case "works":
	case "cordoned":
		v.Nodes["n"] = Node{Ready: true, Cordoned: true}
	case "does not report":
		v.Nodes["n"] = Node{}
	case "not known":
		v.Nodes = nil
	}
	return v, p
}

// buildKubelet has the kubelet run the command: that the container is ready says that it succeeded.
func (s situation) buildKubelet(v *View, p *corev1.Pod) {
	inverted := s.mode == "exec, kubelet, inverted" || s.mode == "exec, kubelet, inverted new"
	v.Probe = v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{SuccessIsBusy: new(!inverted), PeriodSeconds: 5}}
	p.Annotations[v1alpha1.AnnotationKubeletProbe] = "worker"
	setReady(p, (s.says == "busy") != inverted && s.says != "nothing yet")
	if s.mode == "exec, kubelet, new" || s.mode == "exec, kubelet, inverted new" {
		p.Status.ContainerStatuses[0].State.Running.StartedAt = ago(0)
	}
	if s.ready != "ready" { // the container has not started
		p.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
		p.Status.ContainerStatuses[0].Started = new(false)
	}
}

// rule says what pods are in the situations that it matches.
type rule struct {
	name    string
	matches func(situation) bool
	phase   pool.Phase
	wasBusy func(situation) bool // nil: never
}

func warmBefore(s situation) bool { return s.label != v1alpha1.PodStarting && s.label != "" }
func labelledBusy(s situation) bool {
	return s.label == v1alpha1.PodBusy
}

// rules say what a running pod is; the first that matches decides.
var rules = []rule{
	{"the busy annotation is the user's own word, and outdoes all else", func(s situation) bool {
		return s.mode == "annotation" && s.says == "busy"
	}, pool.Busy, nil},
	{"a pod on a node that doesn't report may be at work", func(s situation) bool {
		return s.node == "does not report"
	}, pool.Unknown, labelledBusy},
	{"a pod that isn't ready, and was warm or is somebody else's, may be at work (defect 16: readiness is looked at)", func(s situation) bool {
		return s.ready != "ready" && (warmBefore(s) || s.label == "")
	}, pool.Unknown, labelledBusy},
	{"a pod that isn't ready and never was is starting", func(s situation) bool {
		return s.ready != "ready"
	}, pool.Starting, nil},
	{"a fenced pod that is idle is retiring", func(s situation) bool {
		return s.says == "idle" && s.label == v1alpha1.PodRetiring
	}, pool.Retiring, nil},
	{"idle", func(s situation) bool { return s.says == "idle" }, pool.Idle, nil},
	{"busy, also when it is fenced (defect 5)", func(s situation) bool { return s.says == "busy" }, pool.Busy, nil},
	{"a pod that reports an error can't work (defect 20)", func(s situation) bool { return s.says == "error" }, pool.Failed, labelledBusy},
	{"a new pod whose command has not run yet isn't busy for that (defect 13: successIsBusy: false)", func(s situation) bool {
		return s.says == "nothing yet" && s.mode == "exec, kubelet, inverted new" && s.label == v1alpha1.PodStarting
	}, pool.Starting, nil},
	{"where the kubelet runs the command, that it fails is all that is ever known", func(s situation) bool {
		return s.says == "nothing yet" && s.mode == "exec, kubelet, inverted new"
	}, pool.Busy, nil},
	{"a new pod that has not been asked yet is starting", func(s situation) bool {
		return s.says == "nothing yet" && s.label == v1alpha1.PodStarting
	}, pool.Starting, nil},
	{"a pod that has not been asked yet by this operator may be at work (defect 18)", func(s situation) bool {
		return s.says == "nothing yet"
	}, pool.Unknown, labelledBusy},
	{"a pod that was warm and says that it starts may be at work", func(s situation) bool {
		return s.says == "starting" && warmBefore(s)
	}, pool.Unknown, labelledBusy},
	{"starting", func(s situation) bool { return s.says == "starting" }, pool.Starting, nil},
	{"an unreadable signal is what it last was (defects 16 and 18)", func(s situation) bool {
		return s.says == "unreadable, was busy"
	}, pool.Unknown, func(situation) bool { return true }},
	{"an unreadable signal is what it last was, whatever the label says", func(s situation) bool {
		return s.says == "unreadable, was idle"
	}, pool.Unknown, nil},
	{"an unreadable signal that never was read is what the label says", func(s situation) bool {
		return s.says == "unreadable"
	}, pool.Unknown, labelledBusy},
}

// situations are all that there are.
func situations() []situation {
	var all []situation
	for mode, words := range says {
		for _, said := range words {
			for _, label := range []v1alpha1.PodState{"", v1alpha1.PodStarting, v1alpha1.PodIdle, v1alpha1.PodBusy, v1alpha1.PodRetiring} {
				for _, ready := range []string{"ready", "not ready"} {
					for _, node := range []string{"works", "cordoned", "does not report", "not known"} {
						all = append(all, situation{mode, label, ready, node, said})
					}
				}
			}
		}
	}
	return all
}

// TestRunningPods holds every situation against the rules, and every rule against a situation.
func TestRunningPods(t *testing.T) {
	used := map[string]int{}
	for _, s := range situations() {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.matches(s) })
		if i < 0 {
			t.Errorf("%+v: no rule matches", s)
			continue
		}
		r := rules[i]
		used[r.name]++
		v, p := s.build()
		got := v.pod(p)
		wantWasBusy := r.wasBusy != nil && r.wasBusy(s)
		if got.phase != r.phase || got.wasBusy != wantWasBusy {
			t.Errorf("%+v: got %s, want %s by the rule %q", s,
				describe(got.phase, got.wasBusy), describe(r.phase, wantWasBusy), r.name)
		}
		if got.phase == pool.Unknown && got.reason == "" {
			t.Errorf("%+v: it is unknown without a reason", s)
		}
		if !got.running {
			if s.ready == "ready" {
				t.Errorf("%+v: it doesn't run", s)
			}
		}
	}
	for _, r := range rules {
		if used[r.name] == 0 {
			t.Errorf("the rule %q matches nothing", r.name)
		}
	}
	t.Logf("%d situations", len(situations()))
}

// TestBusyIsNeverTakenForIdle is the promise that matters most, without any of the rules: nothing but a clear word makes
// a pod that was busy one that may be retired.
func TestBusyIsNeverTakenForIdle(t *testing.T) {
	for _, s := range situations() {
		v, p := s.build()
		got := v.pod(p)
		retirable := got.phase == pool.Idle || got.phase == pool.Retiring || got.phase == pool.Starting
		clear := s.says == "idle" && s.ready == "ready" && s.node != "does not report"
		if retirable && labelledBusy(s) && !clear {
			t.Errorf("%+v: it is %s", s, describe(got.phase, false))
		}
		if retirable && s.says == "busy" && s.ready == "ready" {
			t.Errorf("%+v: it is %s", s, describe(got.phase, false))
		}
	}
}

func describe(p pool.Phase, wasBusy bool) string {
	name := map[pool.Phase]string{
		pool.Starting: "starting", pool.Idle: "idle", pool.Busy: "busy", pool.Unknown: "unknown", pool.Retiring: "retiring",
		pool.Terminating: "terminating", pool.Failed: "failed", pool.Succeeded: "succeeded",
	}[p]
	if wasBusy {
		name = fmt.Sprintf("%s, was busy", name)
	}
	return name
}
