// SPDX-License-Identifier: Apache-2.0

package top

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

func aState() state {
	pool := func(name string, idle, target, busy int32) v1alpha1.HotStandbyJob {
		return v1alpha1.HotStandbyJob{
			ObjectMeta: metav1.ObjectMeta{Namespace: "games", Name: name},
			Spec:       v1alpha1.HotStandbyJobSpec{IdleTarget: target},
			Status: v1alpha1.HotStandbyJobStatus{IdleCount: idle, BusyCount: busy, Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "PodsRefused"},
			}},
		}
	}
	job := func(pool string, active int32) batchv1.Job {
		return batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: "games", Labels: map[string]string{v1alpha1.LabelPool: pool}},
			Spec:       batchv1.JobSpec{Parallelism: new(int32(3)), ManagedBy: new(v1alpha1.ManagedByLauncher)}, Status: batchv1.JobStatus{Active: active, StartTime: new(metav1.Now())},
		}
	}
	others, begun := job("match", 0), job("match", 0)
	others.Spec.ManagedBy = nil
	begun.Status = batchv1.JobStatus{} // it isn't written yet
	return state{
		pools: []v1alpha1.HotStandbyJob{pool("match", 3, 20, 7), pool("a-pool-with-a-name-that-is-far-too-long-for-any-terminal", 1, 1, 900)},
		jobs:  []batchv1.Job{job("match", 1), job("match", 3), others, begun},
	}
}

func known() *page.Pools {
	return &page.Pools{PricePerPodHour: new(0.5), Pools: []page.Pool{{
		Namespace: "games", Name: "match", LaunchesPerSecond: 12.34, HitRatio: new(0.987), P50: new(0.0213), P99: new(1.5), IdleSeconds: 7200,
	}}}
}

func TestTheTable(t *testing.T) {
	lines := render(sorted(aState().rows(known()), "busy"), view{width: 80, by: "busy"})
	want := []string{
		"POOL                         IDLE BUSY START WAIT RATE/S   P50   P99 HITS   COST",
		"a-pool-with-a-name-that-…     1/1  900     0    0      -     -     -    -      -",
		"match                        3/20    7     0    2   12.3  21ms  1.5s  99%   1.00",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("the table is\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	for _, v := range []view{{width: 80, namespaces: true}, {width: 80, namespaces: true, by: "waiting"}, {width: 72}} {
		for _, line := range render(aState().rows(nil), v) {
			if n := utf8.RuneCountInString(line); n > v.width {
				t.Errorf("%d columns, want at most %d: %s", n, v.width, line)
			}
		}
	}
	if text := strings.Join(render(aState().rows(nil), view{wide: true}), "\n"); !strings.Contains(text, "False PodsRefused") || !strings.Contains(text, "for-any-terminal") {
		t.Errorf("the wide table is\n%s", text)
	}
}

func TestEveryColumnSorts(t *testing.T) {
	list := aState().rows(known())
	for by, first := range map[string]string{
		"pool": "a-pool", "idle": "match", "busy": "a-pool", "start": "a-pool", "wait": "match", "rate": "match", "p50": "match", "p99": "match",
		"hits": "match", "cost": "match", "namespace": "a-pool",
	} {
		if got := sorted(list, by)[0].Name; !strings.HasPrefix(got, first) {
			t.Errorf("by %s the first is %s, want %s", by, got, first)
		}
	}
	if n := len(sortNames()); n != 11 {
		t.Errorf("there are %d columns to sort by, and not all are tried", n)
	}
}

func TestKeys(t *testing.T) {
	for sent, want := range map[string]key{"q": quit, "\x03": quit, "s": 1, "\x1b[C": 1, "\x1b[D": -1} {
		if got, ok := keyOf(sent); !ok || got != want {
			t.Errorf("%q is %v, want %v", sent, got, want)
		}
	}
	if _, ok := keyOf("x"); ok {
		t.Error("x is a key")
	}
	if got := beside("cost", 1, false); got != "pool" {
		t.Errorf("after the last comes %s", got)
	}
	if got := beside("pool", -1, false); got != "cost" {
		t.Errorf("before the first comes %s", got)
	}
}

func TestTheScreenFits(t *testing.T) {
	p := picture{o: options{by: "pool"}, why: errors.New("the kubeconfig has no token:\nadd " + strings.Repeat("a flag ", 30))}
	text := p.text(aState(), 80, 6)
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, home), below), "\r\n")
	if len(lines) > 6 {
		t.Errorf("%d lines, want at most 6:\n%s", len(lines), text)
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, eraseEnd)); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(text, "without launches") || !strings.Contains(text, "q: quit") {
		t.Errorf("the screen is\n%s", text)
	}
}
