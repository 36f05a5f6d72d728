// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
	"github.com/paia-tech/hotstandbyjob/internal/signal"
)

// labelled says in words what pods should be labelled.
func labelled(u Unit) string {
	var words []string
	for _, l := range u.Labels {
		word := l.Pod.Name + "=" + string(l.State)
		if !l.Movable {
			word += "!"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestOfJob(t *testing.T) {
	for name, tc := range map[string]struct {
		size   int
		retry  bool
		pods   string
		job    []batchv1.JobCondition
		want   string
		labels string // what its pods should be labelled; with "!", they must not be moved
	}{
		"a Job without pods is starting (defect 3: whatever its status says)": {size: 1, want: "starting"},
		"a pending pod":                                             {size: 1, pods: "pending", want: "starting"},
		"a pod that became warm":                                    {size: 1, pods: "warm", want: "idle", labels: "p0=idle"},
		"a pod that is idle":                                        {size: 1, pods: "idle", want: "idle"},
		"a pod that turned busy must not be moved":                  {size: 1, pods: "turned", want: "busy, was busy", labels: "p0=busy!"},
		"a pod that is busy":                                        {size: 1, pods: "busy", want: "busy, was busy"},
		"a pod that was released":                                   {size: 1, pods: "released", want: "idle", labels: "p0=idle"},
		"a fenced pod keeps its label":                              {size: 1, pods: "fenced", want: "retiring"},
		"a fenced pod that turned busy loses it":                    {size: 1, pods: "caught", want: "busy, was busy", labels: "p0=busy!"},
		"of a lost pod nothing is known, nor labelled":              {size: 1, pods: "lost", want: "unknown"},
		"a retired pod on its way out":                              {size: 1, pods: "leaving fenced", want: "retiring"},
		"a pod that somebody else deletes is replaced by its Job":   {size: 1, retry: true, pods: "leaving idle", want: "starting"},
		"a pod and its predecessor":                                 {size: 1, retry: true, pods: "leaving idle, idle", want: "idle"},
		"a pod that failed will be tried again":                     {size: 1, retry: true, pods: "failed", want: "starting"},
		"and is":                                                    {size: 1, retry: true, pods: "failed, idle", want: "idle"},
		"with backoffLimit 0 it has failed, before its Job says so": {size: 1, pods: "failed", want: "failed"},
		"it failed at work, which is no standby unit's failure":     {size: 1, pods: "fell", want: "failed, was busy"},
		"a pod that succeeded":                                      {size: 1, pods: "succeeded", want: "succeeded"},

		"a pod that ended well at once has failed: it would be started again for ever": {size: 1, pods: "hasty", want: "failed"},
		"also by its Job's word": {size: 1, pods: "hasty", job: []batchv1.JobCondition{done(batchv1.JobComplete)}, want: "failed"},
		"its pods were deleted, by whomever: no standby unit's failure": {size: 1, job: []batchv1.JobCondition{outOfTries()}, want: "failed, was busy"},
		"one is on its way out, as an operator left it that was killed": {size: 1, pods: "leaving fenced", job: []batchv1.JobCondition{outOfTries()}, want: "failed, was busy"},
		"its pod failed by itself":                                      {size: 1, pods: "failed", job: []batchv1.JobCondition{outOfTries()}, want: "failed"},
		"its pods were deleted when its time was up":                    {size: 1, job: []batchv1.JobCondition{done(batchv1.JobFailed)}, want: "failed"},
		"it was busy: then it may be quick":                             {size: 1, pods: "quick", want: "succeeded"},
		"also where only its annotation says so":                        {size: 1, pods: "sudden", want: "succeeded"},
		"its Job has tries left, but will make none after a success":    {size: 1, retry: true, pods: "hasty", want: "failed"},

		"three idle pods":                                        {size: 3, pods: "idle, idle, idle", want: "idle"},
		"three pods of which one is busy":                        {size: 3, pods: "idle, turned, idle", want: "busy, was busy", labels: "p1=busy!"},
		"three pods of which one starts":                         {size: 3, pods: "idle, pending, idle", want: "starting"},
		"three pods of which one isn't there yet":                {size: 3, pods: "idle, idle", want: "starting"},
		"busy wins over lost":                                    {size: 3, pods: "lost, busy, idle", want: "busy, was busy"},
		"lost wins over idle":                                    {size: 3, pods: "lost, idle, idle", want: "unknown"},
		"lost wins over starting":                                {size: 3, pods: "lost, pending, idle", want: "unknown"},
		"one fenced pod fences the unit":                         {size: 3, pods: "fenced, idle, idle", want: "retiring"},
		"one that turned busy behind the fence frees the others": {size: 3, pods: "fenced, caught, idle", want: "busy, was busy", labels: "p0=idle! p1=busy!"},
		"one that can't be read keeps the fence":                 {size: 3, pods: "fenced, lost, idle", want: "unknown"},
		"what is left of a unit that worked goes":                {size: 3, pods: "succeeded, idle, idle", want: "retiring"},
		"but not while one works":                                {size: 3, pods: "succeeded, busy, idle", want: "busy, was busy"},
		"all have succeeded":                                     {size: 3, pods: "succeeded, succeeded, succeeded", want: "succeeded"},
		"two have succeeded, one isn't there yet":                {size: 3, pods: "succeeded, succeeded", want: "starting"},
		"one failed of three that are tried once":                {size: 3, pods: "failed, idle, idle", want: "starting"},
		"one failed and was tried again":                         {size: 3, retry: true, pods: "failed, idle, idle, idle", want: "idle"},
		"all three failed":                                       {size: 3, pods: "failed, fell, failed", want: "failed, was busy"},

		"a Job that is complete":                         {size: 1, pods: "succeeded", job: []batchv1.JobCondition{done(batchv1.JobComplete)}, want: "succeeded"},
		"a Job that is about to be":                      {size: 1, job: []batchv1.JobCondition{done(batchv1.JobSuccessCriteriaMet)}, want: "succeeded"},
		"a Job that failed":                              {size: 1, retry: true, pods: "failed", job: []batchv1.JobCondition{done(batchv1.JobFailed)}, want: "failed"},
		"a Job that is about to":                         {size: 1, pods: "leaving idle", job: []batchv1.JobCondition{done(batchv1.JobFailureTarget)}, want: "failed"},
		"a Job that fails since its busy pod is deleted": {size: 1, pods: "leaving busy", job: []batchv1.JobCondition{done(batchv1.JobFailureTarget)}, want: "failed, was busy"},
		"a Job that is suspended has no pods":            {size: 1, job: []batchv1.JobCondition{done(batchv1.JobSuspended)}, want: "starting"},
	} {
		t.Run(name, func(t *testing.T) {
			job := jobOf(tc.job...)
			if tc.retry {
				job.Spec.BackoffLimit = nil // 6
			}
			u := annotationView().OfJob(job, podsOf(t, tc.pods), tc.size)
			if got := describe(u.Phase, u.WasBusy); got != tc.want {
				t.Errorf("it is %s, want %s", got, tc.want)
			}
			if got := labelled(u); got != tc.labels {
				t.Errorf("labels: got %q, want %q", got, tc.labels)
			}
			if ends := u.Phase == pool.Failed || u.Phase == pool.Succeeded; ends == u.Ended.IsZero() {
				t.Errorf("it ended at %v", u.Ended)
			}
			if u.NoPods != (tc.pods == "") {
				t.Errorf("NoPods is %v", u.NoPods)
			}
		})
	}
}

func TestOfJobTellsWhatMatters(t *testing.T) {
	job := jobOf()
	u := annotationView().OfJob(job, podsOf(t, "idle"), 1)
	want := pool.Unit{
		Name: "demo-w-a", Phase: pool.Idle, Created: noon.Add(made), Warm: noon.Add(happened), Running: true, Current: true,
	}
	if diff := cmp.Diff(want, u.Unit); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOfJobSaysWhyItFailed(t *testing.T) {
	u := annotationView().OfJob(jobOf(done(batchv1.JobFailed)), podsOf(t, "failed"), 1)
	if u.Reason != "container worker: Error, exit code 3" {
		t.Errorf("the reason is %q, not what its pod says", u.Reason)
	}
	if u = annotationView().OfJob(jobOf(done(batchv1.JobFailed)), nil, 1); u.Reason != "says the Job" {
		t.Errorf("the reason is %q, not what the Job says where there is no pod", u.Reason)
	}
	if want := noon.Add(-time.Minute); !u.Ended.Equal(want) {
		t.Errorf("it ended at %s, want %s", u.Ended, want)
	}
}

func TestDeletedJobIsTerminatingWhateverItsPodsDo(t *testing.T) {
	job := jobOf(done(batchv1.JobComplete))
	job.DeletionTimestamp = new(ago(-time.Second))
	if u := annotationView().OfJob(job, podsOf(t, "busy"), 1); u.Phase != pool.Terminating {
		t.Errorf("it is %s (defect 22)", describe(u.Phase, u.WasBusy))
	}
}

func TestRevisions(t *testing.T) {
	for name, tc := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"this one":    {map[string]string{v1alpha1.LabelRevision: "r1"}, true},
		"another one": {map[string]string{v1alpha1.LabelRevision: "r0"}, false},
		"a Job of the Python operator, which has none, is left alone": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			job := jobOf()
			job.Labels = tc.labels
			if u := annotationView().OfJob(job, nil, 1); u.Current != tc.want {
				t.Errorf("current: %v", u.Current)
			}
		})
	}
}

func TestCordonedNodes(t *testing.T) {
	v := annotationView()
	v.Nodes["n"] = Node{Ready: true, Cordoned: true}
	if u := v.OfJob(jobOf(), podsOf(t, "idle"), 1); !u.Cordoned || u.Phase != pool.Idle {
		t.Errorf("cordoned: %v, and it is %s", u.Cordoned, describe(u.Phase, u.WasBusy))
	}
}

// TestErrorReported is about defect 20: a pod that says error keeps its place no longer than it must, which is until the
// pods that it shares a unit with have done their work.
func TestErrorReported(t *testing.T) {
	for name, tc := range map[string]struct {
		other signal.Signal
		want  pool.Phase
	}{
		"beside an idle pod, the unit has failed":  {signal.Idle, pool.Failed},
		"beside a busy pod, the unit is busy":      {signal.Busy, pool.Busy},
		"beside an unreadable pod, it may be busy": {signal.Unknown, pool.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			v := viewOf(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis}, map[string]signal.Reading{
				"p0": {Signal: signal.Failed, Last: signal.Failed}, "p1": {Signal: tc.other, Last: tc.other},
			})
			u := v.OfJob(jobOf(), podsOf(t, "idle, idle"), 2)
			if u.Phase != tc.want || !u.Ended.IsZero() || u.Reason != "it reports an error" {
				t.Errorf("it is %s, ended at %s, since %q", describe(u.Phase, u.WasBusy), u.Ended, u.Reason)
			}
		})
	}
}

func TestOfShared(t *testing.T) {
	for name, tc := range map[string]struct {
		size              int
		completions       int32
		pods              string
		completed, failed string
		job               []batchv1.JobCondition
		want              []string
		runs              bool // though it can't work
	}{
		"indexes without pods are starting":                         {size: 1, completions: 2, want: []string{"0 starting", "1 starting"}},
		"an index is a unit":                                        {size: 1, completions: 3, pods: "0 idle, 1 busy, 2 pending", want: []string{"0 idle", "1 busy, was busy", "2 starting"}},
		"three indexes are a unit":                                  {size: 3, completions: 6, pods: "0 idle, 1 idle, 2 idle, 3 idle, 4 busy, 5 idle", want: []string{"0 idle", "1 busy, was busy"}},
		"what is left over is no unit":                              {size: 3, completions: 5, pods: "0 idle, 1 idle, 2 idle, 3 idle, 4 idle", want: []string{"0 idle"}},
		"a completed index whose pod is kept":                       {size: 1, completions: 2, pods: "0 succeeded, 1 idle", completed: "0", want: []string{"0 succeeded", "1 idle"}},
		"a completed index without a pod is gone":                   {size: 1, completions: 2, pods: "1 idle", completed: "0", want: []string{"1 idle"}},
		"a completed index whose pod ended at once":                 {size: 1, completions: 1, pods: "0 hasty", completed: "0", want: []string{"0 failed"}},
		"a failed index whose pod is kept":                          {size: 1, completions: 2, pods: "0 failed, 1 idle", failed: "0", want: []string{"0 failed", "1 idle"}},
		"a retired index is gone with its pod":                      {size: 1, completions: 2, pods: "1 idle", failed: "0", want: []string{"1 idle"}},
		"a fenced pod":                                              {size: 1, completions: 1, pods: "0 fenced", want: []string{"0 retiring"}},
		"a retired pod on its way out":                              {size: 1, completions: 1, pods: "0 leaving fenced", want: []string{"0 retiring"}},
		"its index counts as failed, and its pod is on its way out": {size: 1, completions: 1, pods: "0 leaving fenced", failed: "0"},
		"a pod that failed, which its Job hasn't counted yet":       {size: 1, completions: 1, pods: "0 failed", want: []string{"0 failed"}},
		"of three indexes one has failed":                           {size: 3, completions: 3, pods: "0 failed, 1 idle, 2 idle", failed: "0", want: []string{"0 failed"}, runs: true},
		"of three indexes one has failed, and another works":        {size: 3, completions: 3, pods: "0 failed, 1 idle, 2 busy", failed: "0", want: []string{"0 busy, was busy"}},
		"all three have ended, one badly":                           {size: 3, completions: 3, pods: "0 failed, 1 succeeded, 2 succeeded", failed: "0", completed: "1,2", want: []string{"0 failed"}},
		"all three have ended well":                                 {size: 3, completions: 3, pods: "0 succeeded, 1 succeeded, 2 succeeded", completed: "0-2", want: []string{"0 succeeded"}},
		"a pod that still works on an index that counts as failed":  {size: 1, completions: 1, pods: "0 busy", failed: "0", want: []string{"0 busy, was busy"}},
		"a Job that has ended is one unit":                          {size: 1, completions: 3, pods: "0 succeeded", job: []batchv1.JobCondition{done(batchv1.JobComplete)}, want: []string{"- succeeded"}},
		"a Job that has failed by a standby unit":                   {size: 1, completions: 3, pods: "0 succeeded, 1 fell, 2 failed", job: []batchv1.JobCondition{done(batchv1.JobFailed)}, want: []string{"- failed"}},
		"a Job that has failed by a unit at work":                   {size: 1, completions: 2, pods: "0 succeeded, 1 fell", job: []batchv1.JobCondition{done(batchv1.JobFailed)}, want: []string{"- failed, was busy"}},
		"a Job that has failed by retired indexes only":             {size: 1, completions: 3, pods: "0 leaving fenced, 1 succeeded", failed: "0,2", completed: "1", job: []batchv1.JobCondition{done(batchv1.JobFailed)}, want: []string{"- succeeded"}},
		"a Job that was retired whole isn't kept":                   {size: 1, completions: 2, pods: "0 leaving fenced", failed: "0,1", job: []batchv1.JobCondition{done(batchv1.JobFailed)}, want: []string{"- retiring"}},
		"no room, no units":                                         {size: 1},
	} {
		t.Run(name, func(t *testing.T) {
			job := jobOf(tc.job...)
			job.Spec.BackoffLimit, job.Spec.BackoffLimitPerIndex = nil, new(int32(0))
			job.Spec.Completions, job.Spec.Parallelism = &tc.completions, &tc.completions
			job.Status.CompletedIndexes, job.Status.FailedIndexes = tc.completed, &tc.failed
			var got []string
			for _, u := range annotationView().OfShared(job, podsOf(t, tc.pods), tc.size) {
				index := strings.TrimPrefix(u.Name, "demo-w-a/")
				if index == u.Name {
					index = "-"
				} else if index != fmt.Sprint(u.Index) {
					t.Errorf("the unit %s has the index %d", u.Name, u.Index)
				}
				got = append(got, index+" "+describe(u.Phase, u.WasBusy))
				if ends := u.Phase == pool.Failed || u.Phase == pool.Succeeded; (ends && !tc.runs) == u.Ended.IsZero() {
					t.Errorf("the unit %s, which is %s, ended at %v", u.Name, describe(u.Phase, u.WasBusy), u.Ended)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSharedUnitsEndWithTheirLastPod(t *testing.T) {
	job := jobOf()
	job.Spec.Completions, job.Status.FailedIndexes = new(int32(1)), new("0")
	pods := podsOf(t, "0 failed, 0 failed")
	pods[1].Status.ContainerStatuses[0].State.Terminated.FinishedAt = ago(-time.Minute)
	units := annotationView().OfShared(job, pods, 1)
	if got := units[0].Ended; !got.Equal(noon.Add(-time.Minute)) {
		t.Errorf("it ended at %s: creation would not slow down after it", got)
	}
}

func TestSharedUnitsAreAsOldAsTheirFirstPod(t *testing.T) {
	job := jobOf()
	job.Spec.Completions = new(int32(2))
	pods := podsOf(t, "0 idle, 0 failed")
	pods[0].CreationTimestamp = ago(-time.Minute)
	units := annotationView().OfShared(job, pods, 1)
	if got := []time.Time{units[0].Created, units[1].Created}; !got[0].Equal(noon.Add(made)) || !got[1].Equal(noon.Add(made)) {
		t.Errorf("made at %v", got)
	}
}

func TestIndexes(t *testing.T) {
	for text, want := range map[string]map[int]bool{
		"":          {},
		"0":         {0: true},
		"1,3-5,7":   {1: true, 3: true, 4: true, 5: true, 7: true},
		"2-2":       {2: true},
		"a,1,2-b,3": {1: true, 3: true},
		"5-3":       {},
	} {
		t.Run(text, func(t *testing.T) {
			if diff := cmp.Diff(want, indexes(text)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
