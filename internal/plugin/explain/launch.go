// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// explainJob says how a launch came to its pods, or why it has none.
func explainJob(s Snapshot) []Step {
	j := s.Job
	steps := []Step{step(fmt.Sprintf("Job %s was made %s", j.Name, ago(s.Now, j.CreationTimestamp.Time)), "")}
	whose, goOn := taken(s)
	if steps = append(steps, whose...); !goOn {
		return steps
	}
	steps = append(steps, fromEvents(s)...)
	for i := range s.Pods {
		steps = append(steps, startOf(s, &s.Pods[i])...)
	}
	var failed []Step
	for i := range s.Pods {
		failed = append(failed, failures(&s.Pods[i])...)
	}
	steps = append(steps, failed[:min(len(failed), maxShown)]...)
	if Missing(s.Now, j) > 0 && len(s.Pods) == 0 {
		steps = append(steps, waits(s)...)
	}
	if text := warmth(s); text != "" {
		steps = append(steps, step(text, ""))
	}
	if end := ended(j); end != nil {
		steps = append(steps, verdict(s, end))
	}
	return steps
}

// warmth says how many of the Job's pods started warm: what the operator wrote, or what its pods say before it has.
func warmth(s Snapshot) string {
	for _, c := range s.Job.Status.Conditions {
		if string(c.Type) == warmCondition {
			return c.Message
		}
	}
	warm, all := 0, 0
	for i := range s.Pods {
		start := s.Pods[i].Annotations[v1alpha1.AnnotationStart]
		if start != "" {
			all++
		}
		if start == v1alpha1.StartWarm {
			warm++
		}
	}
	if all == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d pods started warm", warm, all)
}

// taken says which pool the Job asks for, and whether the operator runs it.
func taken(s Snapshot) (steps []Step, goOn bool) {
	j := s.Job
	pool, labelled := j.Labels[v1alpha1.LabelPool]
	switch {
	case !labelled:
		return []Step{step("it doesn't ask for a pool: Kubernetes makes its pods", "label the Job when it is made: "+v1alpha1.LabelPool+": <pool>")}, false
	case j.Spec.ManagedBy == nil:
		return []Step{step("it asks for pool "+pool+", but no webhook handed it to the operator when it was made: it is an ordinary, cold Job",
			"see whether the operator runs, and its MutatingWebhookConfiguration hotstandbyjob-launcher is there; then make the Job again")}, false
	case *j.Spec.ManagedBy != v1alpha1.ManagedByLauncher:
		return []Step{step(fmt.Sprintf("it asks for pool %s, but %s runs it", pool, *j.Spec.ManagedBy), "leave spec.managedBy out")}, false
	}
	steps = []Step{step("it asks for pool "+pool+", and the operator runs it", "")}
	switch {
	case s.Pool == nil:
		steps = append(steps, step("there is no pool "+pool+" in its namespace now", "make one (kubectl hsj create-pool --from job/"+j.Name+"), or correct the label "+v1alpha1.LabelPool))
	case s.Pool.Spec.Assignment != v1alpha1.AssignmentPush:
		steps = append(steps, step("pool "+pool+" hands out no work: its assignment is Pull", "make a pool with assignment: Push"))
	}
	switch {
	case suspended(j):
		steps = append(steps, step("it is suspended", "to start it: kubectl patch job "+j.Name+` -p '{"spec":{"suspend":false}}'`))
	case j.Status.StartTime != nil || ended(j) != nil || len(s.Pods) > 0:
	case young(s.Now, j):
		steps = append(steps, step("it has no status yet", "ask again in a few seconds"))
	default:
		steps = append(steps, step("the operator hasn't looked at it", "see whether it runs: kubectl -n hotstandbyjob-system get pods"))
	}
	return steps, true
}

// fromEvents says what the operator said of the Job, oldest first.
func fromEvents(s Snapshot) (steps []Step) {
	events := slices.Clone(s.Events)
	slices.SortStableFunc(events, func(a, b corev1.Event) int { return timeOf(&a).Compare(timeOf(&b).Time) })
	for i := range events {
		e := &events[i]
		if e.InvolvedObject.Kind != "Job" || e.InvolvedObject.Name != s.Job.Name || (e.InvolvedObject.UID != "" && e.InvolvedObject.UID != s.Job.UID) {
			continue
		}
		if remedy, ours := eventRemedy(s, e); ours {
			steps = append(steps, step(fmt.Sprintf("%s: it %s", ago(s.Now, timeOf(e).Time), strings.TrimPrefix(e.Message, "it ")), remedy))
		}
	}
	return steps
}

// timeOf is when an Event was; there are several fields for it.
func timeOf(e *corev1.Event) metav1.Time {
	if !e.EventTime.IsZero() {
		return metav1.NewTime(e.EventTime.Time)
	}
	if !e.LastTimestamp.IsZero() {
		return e.LastTimestamp
	}
	return e.CreationTimestamp
}

// eventRemedy is what to do about an Event, and whether it is the launcher's.
func eventRemedy(s Snapshot, e *corev1.Event) (remedy string, ours bool) {
	switch e.Reason {
	case startedCold:
		return coldRemedy(s, e.Message), true
	case waitingFor:
		return "", true // waits says more
	case badPriority:
		return "write an integer into the annotation " + v1alpha1.AnnotationPriority, true
	case podReplaced:
		return "if it comes again: raise spec.standby.startTimeoutSeconds, or see why the pod's node is slow", true
	}
	return "", false
}

// coldRemedy is what to do about a cold start, told from what the operator wrote about it.
func coldRemedy(s Snapshot, why string) string {
	pool := s.PoolName
	switch {
	case strings.Contains(why, "no pod was idle"), strings.Contains(why, "is idle"):
		return fmt.Sprintf("keep more idle: kubectl scale hsj/%s --replicas=N; or let launches wait: spec.standby.whenEmpty: Wait", pool)
	case strings.Contains(why, "gang"):
		return "raise spec.maxReplicas and spec.idleTarget to the gang's size, or launch a smaller gang"
	case strings.Contains(why, "there is no"):
		return "make the pool, or correct the label " + v1alpha1.LabelPool
	case strings.Contains(why, "Push"):
		return "make a pool with assignment: Push"
	case strings.Contains(why, "differs"):
		return "give the field the same value in the Job's template and in the pool's (kubectl edit hsj " + pool + ")"
	}
	return ""
}

// startOf says how a pod of the Job started, and when.
func startOf(s Snapshot, p *corev1.Pod) []Step {
	for _, l := range s.Launches {
		if l.Pod == p.Name && l.Job == s.Job.Name {
			remedy := ""
			if l.Start == "cold" {
				remedy = coldRemedy(s, cmp.Or(l.Reason, p.Annotations[v1alpha1.AnnotationColdReason]))
			}
			return []Step{step(launchText(s.Now, l), remedy)}
		}
	}
	switch p.Annotations[v1alpha1.AnnotationStart] {
	case v1alpha1.StartWarm:
		return []Step{step(fmt.Sprintf("it claimed pod %s, which was made %s, before the Job", p.Name, ago(s.Now, p.CreationTimestamp.Time)), "")}
	case v1alpha1.StartCold:
		why := p.Annotations[v1alpha1.AnnotationColdReason]
		steps := []Step{step(fmt.Sprintf("pod %s was made for it %s, cold: %s", p.Name, ago(s.Now, p.CreationTimestamp.Time), why), coldRemedy(s, why))}
		if w := waitsFor(p); w != "" {
			steps = append(steps, step("pod "+p.Name+" can't start: "+w, "kubectl describe pod "+p.Name))
		}
		return steps
	}
	return []Step{step("pod "+p.Name+" was made by Kubernetes", "")}
}

// failures says how a pod was ended, and its containers, where that was no success.
func failures(p *corev1.Pod) (steps []Step) {
	if p.Status.Reason != "" {
		steps = append(steps, step(fmt.Sprintf("pod %s was ended: %s: %s", p.Name, p.Status.Reason, p.Status.Message), "kubectl describe pod "+p.Name))
	}
	for _, c := range p.Status.ContainerStatuses {
		end, logs := c.State.Terminated, fmt.Sprintf("kubectl logs %s -c %s", p.Name, c.Name)
		if end == nil {
			end, logs = c.LastTerminationState.Terminated, logs+" --previous"
		}
		if end == nil || end.ExitCode == 0 {
			continue
		}
		text := fmt.Sprintf("container %s of pod %s ended with exit code %d (%s)", c.Name, p.Name, end.ExitCode, end.Reason)
		if c.RestartCount > 0 {
			text += fmt.Sprintf("; restarts: %d", c.RestartCount)
		}
		steps = append(steps, step(text, logs))
	}
	return steps
}

// waits says what a Job without pods waits for, and how many are before it.
func waits(s Snapshot) []Step {
	if s.Pool == nil {
		return nil
	}
	before := 0
	for i, other := range lacking(s.Now, s.Jobs) {
		if other.UID == s.Job.UID {
			before = i
		}
	}
	idle := idlePods(s.Pods)
	text := fmt.Sprintf("it waits for a pod: %d before it; pool %s has %d idle, %d busy, %d starting of at most %s", before, s.Pool.Name,
		max(int32(idle), s.Pool.Status.IdleCount), s.Pool.Status.BusyCount, s.Pool.Status.StartingCount, most(s.Pool))
	steps := []Step{step(text, waitRemedy(s.Pool))}
	if s.Pool.Spec.Paused {
		steps = append(steps, step("pool "+s.Pool.Name+" is paused: it makes no pods", "kubectl hsj resume "+s.Pool.Name))
	}
	return append(steps, fromConditions(s.Pool)...)
}

func most(h *v1alpha1.HotStandbyJob) string {
	if h.Spec.MaxReplicas == nil {
		return "any number"
	}
	return fmt.Sprint(*h.Spec.MaxReplicas)
}

func waitRemedy(h *v1alpha1.HotStandbyJob) string {
	if whenEmpty(h) == v1alpha1.WhenEmptyWait {
		return "raise spec.idleTarget or spec.maxReplicas, give the Job a priority (annotation " + v1alpha1.AnnotationPriority +
			"), or set spec.standby.whenEmpty to ColdStart"
	}
	return ""
}

// verdict says how the Job has ended.
func verdict(s Snapshot, c *batchv1.JobCondition) Step {
	if c.Type == batchv1.JobComplete {
		return step("it completed "+ago(s.Now, c.LastTransitionTime.Time), "")
	}
	remedy := "kubectl logs job/" + s.Job.Name
	if c.Reason == poolEmpty {
		remedy = fmt.Sprintf("keep more idle: kubectl scale hsj/%s --replicas=N; or set spec.standby.whenEmpty to Wait or ColdStart", s.PoolName)
	}
	return step(fmt.Sprintf("it failed %s: %s: %s", ago(s.Now, c.LastTransitionTime.Time), c.Reason, c.Message), remedy)
}

// explainPod says whose a pod is, and since when.
func explainPod(s Snapshot) []Step {
	p := s.Pod
	steps := []Step{step(fmt.Sprintf("pod %s was made %s; it is %s", p.Name, ago(s.Now, p.CreationTimestamp.Time), p.Status.Phase), "")}
	pool, launched := p.Labels[v1alpha1.LabelName], p.Labels[v1alpha1.LabelLaunch]
	if pool == "" && launched == "" {
		return append(steps, step("it is of no pool and of no launch", ""))
	}
	if launched != "" {
		steps = append(steps, claimedBy(s)...)
	} else {
		steps = append(steps, step(standbyText(p, pool), ""))
	}
	if w := waitsFor(p); w != "" {
		steps = append(steps, step("it can't start: "+w, "kubectl describe pod "+p.Name))
	}
	steps = append(steps, failures(p)...)
	if s.Pool != nil && pool != "" && p.Labels[v1alpha1.LabelRevision] != s.Pool.Status.CurrentRevision && s.Pool.Status.CurrentRevision != "" {
		steps = append(steps, step("it is of an old revision of the pool's template", "none is needed: idle ones are replaced step by step, busy ones finish"))
	}
	return steps
}

// standbyText is what a pod without work is to its pool.
func standbyText(p *corev1.Pod, pool string) string {
	state := v1alpha1.PodState(p.Labels[v1alpha1.LabelState])
	switch {
	case state == v1alpha1.PodIdle && !ready(p):
		return "it is a standby pod of pool " + pool + " that isn't warm yet"
	case state == v1alpha1.PodRetiring:
		return "it is being retired from pool " + pool + ": there were too many for scaleDownDelaySeconds, or its template is old"
	default:
		return fmt.Sprintf("it is a pod of pool %s: %s", pool, state)
	}
}

// claimedBy says which Job a pod is of, and how it came to it.
func claimedBy(s Snapshot) []Step {
	p := s.Pod
	job := "a Job that is gone"
	if owner := metav1.GetControllerOf(p); owner != nil {
		job = "Job " + owner.Name
	}
	for _, l := range s.Launches {
		if l.Pod == p.Name {
			return []Step{step(launchText(s.Now, l), "")}
		}
	}
	if p.Annotations[v1alpha1.AnnotationStart] == v1alpha1.StartCold {
		why := p.Annotations[v1alpha1.AnnotationColdReason]
		return []Step{step(fmt.Sprintf("it was made for %s, cold: %s", job, why), coldRemedy(s, why))}
	}
	text := fmt.Sprintf("%s claimed it from pool %s", job, p.Labels[v1alpha1.LabelLaunch])
	if s.Job != nil {
		text += "; the Job was made " + ago(s.Now, s.Job.CreationTimestamp.Time)
	}
	return []Step{step(text, "")}
}
