// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

func claim(p *corev1.Pod) {
	p.Labels[v1alpha1.LabelState], p.Labels[v1alpha1.LabelLaunch] = string(v1alpha1.PodBusy), "demo"
}

func leave(p *corev1.Pod) { p.DeletionTimestamp = new(ago(-time.Second)) }

func label(state v1alpha1.PodState) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels[v1alpha1.LabelState] = string(state) }
}

func TestPlainPods(t *testing.T) {
	starting, idle, retiring := label(v1alpha1.PodStarting), label(v1alpha1.PodIdle), label(v1alpha1.PodRetiring)
	unready := func(p *corev1.Pod) { setReady(p, false) }
	succeed := func(p *corev1.Pod) { endPod(p, corev1.PodSucceeded, 0) }
	fail := func(p *corev1.Pod) { endPod(p, corev1.PodFailed, 3) }
	for name, tc := range map[string]struct {
		pod     []func(*corev1.Pod)
		none    bool
		phase   pool.Phase
		wasBusy bool
		label   v1alpha1.PodState // that it is given; empty: it keeps what it has
		reason  string
	}{
		"not running yet":                              {pod: with(kinds["pending"], idle), phase: pool.Starting},
		"in its warm-up":                               {pod: with(idle, unready), phase: pool.Starting},
		"that an older operator labelled":              {pod: with(starting), phase: pool.Idle, label: v1alpha1.PodIdle},
		"idle":                                         {pod: with(idle), phase: pool.Idle},
		"that lost its label":                          {pod: with(), phase: pool.Idle, label: v1alpha1.PodIdle},
		"whose container starts again":                 {pod: with(idle, unready), phase: pool.Starting},
		"fenced":                                       {pod: with(retiring), phase: pool.Retiring},
		"fenced before it was warm":                    {pod: with(retiring, unready), phase: pool.Retiring},
		"on a node that is gone":                       {pod: with(idle, func(p *corev1.Pod) { p.Spec.NodeName = "dead" }), phase: pool.Starting, reason: "node dead does not report"},
		"being deleted":                                {pod: with(idle, leave), phase: pool.Terminating},
		"that ends well before it is claimed":          {pod: with(idle, succeed), phase: pool.Failed, reason: "it ended with exit code 0 while it waited for work"},
		"that fails":                                   {pod: with(starting, fail), phase: pool.Failed, reason: "container worker: Error, exit code 3"},
		"that is evicted":                              {pod: with(idle, fail, disrupt), phase: pool.Failed, wasBusy: true, reason: "container worker: Error, exit code 3"},
		"claimed":                                      {pod: with(claim), phase: pool.Busy, wasBusy: true},
		"claimed, and not ready":                       {pod: with(claim, unready), phase: pool.Busy, wasBusy: true},
		"claimed, on a node that is gone":              {pod: with(claim, func(p *corev1.Pod) { p.Spec.NodeName = "dead" }), phase: pool.Busy, wasBusy: true},
		"claimed, and being deleted":                   {pod: with(claim, leave), phase: pool.Terminating, wasBusy: true},
		"whose launch ended well":                      {pod: with(claim, succeed), none: true},
		"whose launch failed":                          {pod: with(claim, fail), none: true},
		"that somebody labelled busy, without a claim": {pod: with(label(v1alpha1.PodBusy)), phase: pool.Busy, wasBusy: true},
		"with the busy annotation, which means nothing with assignment Push": {pod: with(idle, annotate), phase: pool.Idle},
	} {
		t.Run("a pod "+name, func(t *testing.T) {
			p := runningPod("p", "")
			p.Labels[v1alpha1.LabelRevision] = "r1"
			for _, change := range tc.pod {
				change(p)
			}
			view := annotationView()
			view.ManagesEviction = true
			view.Nodes["dead"] = Node{}
			u, ok := view.OfPod(p)
			if ok == tc.none {
				t.Fatalf("a unit: %v, %+v", ok, u)
			}
			if tc.none {
				return
			}
			if u.Name != "p" || u.Phase != tc.phase || u.WasBusy != tc.wasBusy || !u.Current || u.Reason != tc.reason {
				t.Errorf("the unit is %+v", u)
			}
			if ended := tc.phase == pool.Failed; ended == u.Ended.IsZero() {
				t.Errorf("it ended at %v", u.Ended)
			}
			var labels []v1alpha1.PodState
			for _, l := range u.Labels {
				labels = append(labels, l.State)
			}
			var want []v1alpha1.PodState
			if tc.label != "" {
				want = append(want, tc.label)
			}
			if diff := cmp.Diff(want, labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

func with(changes ...func(*corev1.Pod)) []func(*corev1.Pod) { return changes }

func disrupt(p *corev1.Pod) {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
}

func TestPlainPodsAreToldByWhatTheyWereMadeFrom(t *testing.T) {
	view := annotationView()
	view.Nodes["n"] = Node{Ready: true, Cordoned: true}
	p := runningPod("p", v1alpha1.PodIdle)
	p.Labels[v1alpha1.LabelRevision] = "r0"
	u, _ := view.OfPod(p)
	if u.Current || !u.Cordoned || !u.Running || !u.Created.Equal(noon.Add(made)) || !u.Warm.Equal(noon.Add(happened)) {
		t.Errorf("the unit is %+v", u)
	}
}
