// SPDX-License-Identifier: Apache-2.0

// Package explain says why a pool, a launch or a pod is as it is, step by step, each with what to do. What is read is
// gathered first; what is said of it is a pure function.
package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/object"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

// Snapshot is all that is known of what is to be explained.
type Snapshot struct {
	Now      time.Time
	Target   string // pool, job or pod
	Pool     *v1alpha1.HotStandbyJob
	PoolName string
	Job      *batchv1.Job
	Pod      *corev1.Pod
	Pods     []corev1.Pod   // of the pool, or of the Job
	Jobs     []batchv1.Job  // the pool's launches that are still there, with the Job itself
	Events   []corev1.Event // about all of them
	Launches []page.Launch  // as the operator remembers them
}

// Step is one thing that is so, with what to do about it, if there is anything.
type Step struct {
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// Reasons of Events and conditions that are looked for: see docs/push.md and docs/pools.md.
const (
	startedCold   = "StartedCold"
	waitingFor    = "WaitingForPod"
	podReplaced   = "PodReplaced"
	poolEmpty     = "PoolEmpty"
	badPriority   = "InvalidPriority"
	maxShown      = 5
	warmCondition = "hsj.paia.tech/Warm"
)

// Explain explains. What is to be done is said once.
func Explain(s Snapshot) []Step {
	var steps []Step
	switch s.Target {
	case "job":
		steps = explainJob(s)
	case "pod":
		steps = explainPod(s)
	default:
		steps = explainPool(s)
	}
	said := map[string]bool{}
	for i := range steps {
		if said[steps[i].Remedy] {
			steps[i].Remedy = ""
		}
		said[steps[i].Remedy] = true
	}
	return steps
}

func step(text, remedy string) Step { return Step{Text: text, Remedy: remedy} }

// explainPool says why a pool has as many idle units as it has.
func explainPool(s Snapshot) []Step {
	h := s.Pool
	st := h.Status
	steps := []Step{step(fmt.Sprintf("pool %s (%s) shall have %d idle units%s; it has %d idle, %d busy, %d starting, %d unknown",
		h.Name, cmp.Or(h.Spec.Assignment, v1alpha1.AssignmentPull), h.Spec.IdleTarget, bounds(h), st.IdleCount, st.BusyCount, st.StartingCount, st.UnknownCount), "")}
	if st.ObservedGeneration < h.Generation {
		steps = append(steps, step("the operator hasn't seen the last change of its spec", "see whether it runs: kubectl -n hotstandbyjob-system get pods"))
	}
	if h.Spec.Paused {
		steps = append(steps, step("it is paused: nothing is made, replaced or retired", "kubectl hsj resume "+h.Name))
	}
	if _, drained := h.Annotations[v1alpha1.AnnotationDrained]; drained {
		steps = append(steps, step("it was drained by kubectl hsj drain", "kubectl hsj resume "+h.Name+" puts its idle target back"))
	} else if h.Spec.IdleTarget == 0 {
		steps = append(steps, step("its idleTarget is 0: no unit is kept idle, and launches find none", "kubectl scale hsj/"+h.Name+" --replicas=N"))
	}
	steps = append(steps, fromConditions(h)...)
	if st.ConsecutiveFailures > 0 {
		text := fmt.Sprintf("its units failed %d times in a row", st.ConsecutiveFailures)
		if st.LastFailureTime != nil {
			text += ", last " + ago(s.Now, st.LastFailureTime.Time)
		}
		steps = append(steps, step(text+": each further attempt waits longer, up to 5 minutes", failedPod(s.Pods)))
	}
	steps = append(steps, stuckPods(s)...)
	steps = append(steps, queue(s)...)
	steps = append(steps, cold(s)...)
	return append(steps, recently(s)...)
}

func bounds(h *v1alpha1.HotStandbyJob) string {
	text := ""
	if h.Spec.MinReplicas != nil {
		text += fmt.Sprintf(", at least %d units in all", *h.Spec.MinReplicas)
	}
	if h.Spec.MaxReplicas != nil {
		text += fmt.Sprintf(", at most %d in all", *h.Spec.MaxReplicas)
	}
	return text
}

// fromConditions says what the operator says. Degraded and not Ready often have the same reason: it is told once. What
// goes on isn't told of a pool in which nothing can.
func fromConditions(h *v1alpha1.HotStandbyJob) (steps []Step) {
	if len(h.Status.Conditions) == 0 {
		return []Step{step("the operator has never looked at it", "see whether it runs, and in which namespaces: kubectl -n hotstandbyjob-system get pods")}
	}
	told := map[string]bool{}
	for _, t := range []struct {
		name string
		tell metav1.ConditionStatus
	}{
		{v1alpha1.ConditionDegraded, metav1.ConditionTrue},
		{v1alpha1.ConditionAtCapacity, metav1.ConditionTrue},
		{v1alpha1.ConditionReady, metav1.ConditionFalse},
		{v1alpha1.ConditionProgressing, metav1.ConditionTrue},
	} {
		c := meta.FindStatusCondition(h.Status.Conditions, t.name)
		if c == nil || c.Status != t.tell || told[c.Reason] || t.name == v1alpha1.ConditionProgressing && is(h, v1alpha1.ConditionDegraded) {
			continue
		}
		told[c.Reason] = true
		steps = append(steps, step(fmt.Sprintf("%s: %s", c.Reason, c.Message), remedies()[c.Reason]))
	}
	if is(h, v1alpha1.ConditionReady) && !h.Spec.Paused && h.Spec.IdleTarget > 0 {
		steps = append(steps, step("it is full: "+meta.FindStatusCondition(h.Status.Conditions, v1alpha1.ConditionReady).Message, ""))
	}
	return steps
}

func is(h *v1alpha1.HotStandbyJob, condition string) bool {
	return meta.IsStatusConditionTrue(h.Status.Conditions, condition)
}

// remedies are what to do about the reasons of conditions.
func remedies() map[string]string {
	return map[string]string{
		"InvalidTemplate":     "change the field that the message names",
		"LaunchesUnsupported": "this cluster's Jobs have no managedBy (before Kubernetes 1.32): use assignment: Pull",
		"Refused":             "change what the API server refuses",
		"PodsRefused":         "raise the quota, or lower spec.idleTarget",
		"UnitsFailing":        "look at the failed unit that the message names: kubectl logs",
		"NoCertificate":       "see the operator's log, and whether it may write its Secret",
		"UnitsStuck":          "see what the message quotes: image, node, volume",
		"SignalUnknown":       "see which busy signal can't be read",
		"MaxReplicas":         "raise spec.maxReplicas, or lower spec.idleTarget",
		"IdleTargetNotMet":    "wait: units are starting",
		"Scaling":             "wait: units are starting, or are being retired",
	}
}

// failedPod is how to look at a unit that failed.
func failedPod(pods []corev1.Pod) string {
	for i := range pods {
		if pods[i].Status.Phase == corev1.PodFailed {
			return "kubectl logs " + pods[i].Name
		}
	}
	return "kubectl describe hsj shows what failed"
}

// stuckPods are standby pods that can't start, by what keeps them.
func stuckPods(s Snapshot) (steps []Step) {
	count, first := map[string]int{}, map[string]*corev1.Pod{}
	var order []string
	for i := range s.Pods {
		p := &s.Pods[i]
		why := waitsFor(p)
		if p.Status.Phase != corev1.PodPending || why == "" {
			continue
		}
		if count[why]++; count[why] == 1 {
			first[why] = p
			order = append(order, why)
		}
	}
	for _, why := range order[:min(len(order), maxShown)] {
		p := first[why]
		who := "pod " + p.Name + " has"
		if n := count[why] - 1; n > 0 {
			who = fmt.Sprintf("pod %s and %d more have", p.Name, n)
		}
		steps = append(steps, step(fmt.Sprintf("%s been starting for %s: %s", who, age(s.Now, p.CreationTimestamp.Time), why), "kubectl describe pod "+p.Name))
	}
	return steps
}

// waitsFor is what keeps a pod from running.
func waitsFor(p *corev1.Pod) string {
	for _, list := range [][]corev1.ContainerStatus{p.Status.InitContainerStatuses, p.Status.ContainerStatuses} {
		for _, c := range list {
			if w := c.State.Waiting; w != nil && w.Message != "" {
				return w.Reason + ": " + w.Message
			}
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason + ": " + c.Message
		}
	}
	return ""
}

// queue says which launches wait for pods of the pool.
func queue(s Snapshot) []Step {
	lacking := lacking(s.Now, s.Jobs)
	if len(lacking) == 0 {
		return nil
	}
	var names []string
	for _, j := range lacking[:min(len(lacking), maxShown)] {
		names = append(names, j.Name)
	}
	if len(lacking) > maxShown {
		names = append(names, "…")
	}
	return []Step{step(fmt.Sprintf("launches that wait for pods: %d (%s)", len(lacking), strings.Join(names, ", ")), "raise spec.idleTarget or spec.maxReplicas, or set spec.standby.whenEmpty to ColdStart")}
}

// lacking are the Jobs that have fewer pods than they want, in the order in which they get them.
func lacking(now time.Time, jobs []batchv1.Job) (out []batchv1.Job) {
	for i := range jobs {
		if Missing(now, &jobs[i]) > 0 {
			out = append(out, jobs[i])
		}
	}
	slices.SortFunc(out, func(a, b batchv1.Job) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// rank is a Job's place among those that wait: as the launcher has it, a minute counts as one step of priority.
func rank(j *batchv1.Job) int64 {
	since := j.CreationTimestamp.Time
	if j.Status.StartTime != nil {
		since = j.Status.StartTime.Time
	}
	priority, _ := strconv.ParseInt(j.Annotations[v1alpha1.AnnotationPriority], 10, 32) // 0 where it can't be read
	return since.UnixMilli() - priority*time.Minute.Milliseconds()
}

// unwritten is for how long a launch's status may be missing though all is well: the first is written a second after its pods,
// in a burst three, and the creation's time has no fractions.
const unwritten = 5 * time.Second

// young tells whether nothing follows from a launch's status: it isn't written yet, and needn't be.
func young(now time.Time, j *batchv1.Job) bool {
	return j.Status.StartTime == nil && now.Sub(j.CreationTimestamp.Time) < unwritten
}

// Missing is how many pods a launch lacks, as far as that is known.
func Missing(now time.Time, j *batchv1.Job) int32 {
	if ended(j) != nil || j.DeletionTimestamp != nil || suspended(j) || young(now, j) {
		return 0
	}
	want := int32(1)
	if j.Spec.Parallelism != nil {
		want = *j.Spec.Parallelism
	}
	if j.Spec.Completions != nil {
		want = min(want, *j.Spec.Completions-j.Status.Succeeded)
	}
	return max(0, want-j.Status.Active)
}

func suspended(j *batchv1.Job) bool { return ptr.Deref(j.Spec.Suspend, false) }

func ended(j *batchv1.Job) *batchv1.JobCondition {
	for i, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return &j.Status.Conditions[i]
		}
	}
	return nil
}

// cold says how many of the pool's launches that are still there had pods that started cold, and where to read why.
func cold(s Snapshot) []Step {
	var n int
	var last *batchv1.Job
	for i := range s.Jobs {
		j := &s.Jobs[i]
		someCold := func(c batchv1.JobCondition) bool { return c.Type == warmCondition && c.Status == corev1.ConditionFalse }
		if !slices.ContainsFunc(j.Status.Conditions, someCold) {
			continue
		}
		n++
		if last == nil || last.CreationTimestamp.Before(&j.CreationTimestamp) {
			last = j
		}
	}
	if n == 0 {
		return nil
	}
	text := fmt.Sprintf("launches that are still there and had pods that started cold: %d of %d, the last of them made %s", n, len(s.Jobs), ago(s.Now, last.CreationTimestamp.Time))
	return []Step{step(text, "kubectl hsj explain job/"+last.Name)}
}

// recently says how the newest launches started.
func recently(s Snapshot) (steps []Step) {
	for i, l := range s.Launches {
		if i == maxShown {
			break
		}
		steps = append(steps, step(launchText(s.Now, l), ""))
	}
	return steps
}

// launchText is a launch with its phases.
func launchText(now time.Time, l page.Launch) string {
	text := fmt.Sprintf("%s: Job %s started %s", ago(now, l.Seen), l.Job, l.Start)
	if l.Pod != "" {
		text += " in pod " + l.Pod
	}
	if l.Reason != "" {
		text += " (" + l.Reason + ")"
	}
	if l.Start == "rejected" {
		return text
	}
	return text + fmt.Sprintf(", after %s: queue %s, claim %s, deliver %s, start %s",
		seconds(l.Total), seconds(l.Queue), seconds(l.Claim), seconds(l.Deliver), seconds(l.Begin))
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

func ago(now, then time.Time) string {
	if then.IsZero() {
		return "some time ago"
	}
	return age(now, then) + " ago"
}

func age(now, then time.Time) string { return max(0, now.Sub(then)).Round(time.Second).String() }

// idlePods counts the pods that could be given to a launch.
func idlePods(pods []corev1.Pod) (n int) {
	for i := range pods {
		if pods[i].Labels[v1alpha1.LabelState] == string(v1alpha1.PodIdle) && ready(&pods[i]) {
			n++
		}
	}
	return n
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// whenEmpty is what the pool does without an idle pod.
func whenEmpty(h *v1alpha1.HotStandbyJob) v1alpha1.WhenEmpty { return object.Standby(h).WhenEmpty }
