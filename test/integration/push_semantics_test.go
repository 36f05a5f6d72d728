// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/launch"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/drive"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// scriptPool is a pool of busybox, whose Jobs run shell scripts.
func scriptPool(name string) *kit.PoolBuilder {
	return kit.PushPool(name).With(func(s *v1alpha1.HotStandbyJobSpec) {
		s.JobTemplate.Template.Spec.Containers[0] = corev1.Container{Name: "worker", Image: busybox, Command: []string{"sh", "-c", "exit 9"}}
	})
}

// What is documented for Jobs holds for Jobs in warm pods. The pool has fewer idle pods than most Jobs need, so that warm
// and cold ones are mixed.
func pushJobSemanticsHold(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, scriptPool("sh").Idle(2).Max(8))
	indexed := func(n int32) func(*batchv1.JobSpec) {
		return func(s *batchv1.JobSpec) {
			s.CompletionMode, s.Completions, s.Parallelism = new(batchv1.IndexedCompletion), new(n), new(n)
		}
	}
	for _, tc := range []struct {
		name   string
		script string
		change func(*batchv1.JobSpec)
		ends   batchv1.JobConditionType
		reason string
		check  func(t *testing.T, j *batchv1.Job)
	}{
		{
			name: "completions-and-parallelism", script: "exit 0", ends: batchv1.JobComplete,
			change: func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = new(int32(4)), new(int32(2)) },
			check: func(t *testing.T, j *batchv1.Job) {
				if j.Status.Succeeded != 4 {
					t.Errorf("%d pods succeeded, want 4", j.Status.Succeeded)
				}
			},
		},
		{
			name: "indexed", script: `test -n "$JOB_COMPLETION_INDEX" && exit 0`, ends: batchv1.JobComplete, change: indexed(3),
			check: func(t *testing.T, j *batchv1.Job) {
				if j.Status.CompletedIndexes != "0-2" {
					t.Errorf("indexes %q completed, want 0-2", j.Status.CompletedIndexes)
				}
				var labels []string
				for _, p := range podsOf(e, j.Name) {
					labels = append(labels, p.Labels[batchv1.JobCompletionIndexAnnotation]+p.Annotations[batchv1.JobCompletionIndexAnnotation])
				}
				slices.Sort(labels)
				if !slices.Equal(labels, []string{"00", "11", "22"}) {
					t.Errorf("the pods' labels and annotations name the indexes %v", labels)
				}
			},
		},
		{
			name: "backoff-limit", script: "exit 3", ends: batchv1.JobFailed, reason: batchv1.JobReasonBackoffLimitExceeded,
			change: func(s *batchv1.JobSpec) { s.BackoffLimit = new(int32(1)) },
			check: func(t *testing.T, j *batchv1.Job) {
				if j.Status.Failed != 2 {
					t.Errorf("%d pods failed, want 2", j.Status.Failed)
				}
			},
		},
		{
			name: "backoff-limit-per-index", script: `exit $JOB_COMPLETION_INDEX`, ends: batchv1.JobFailed, reason: batchv1.JobReasonFailedIndexes,
			change: func(s *batchv1.JobSpec) {
				indexed(2)(s)
				s.BackoffLimit, s.BackoffLimitPerIndex = nil, new(int32(0))
			},
			check: func(t *testing.T, j *batchv1.Job) {
				if j.Status.CompletedIndexes != "0" || *j.Status.FailedIndexes != "1" {
					t.Errorf("indexes %q completed and %q failed, want 0 and 1", j.Status.CompletedIndexes, *j.Status.FailedIndexes)
				}
			},
		},
		{
			name: "pod-failure-policy", script: "exit 42", ends: batchv1.JobFailed, reason: batchv1.JobReasonPodFailurePolicy,
			change: func(s *batchv1.JobSpec) {
				s.BackoffLimit = new(int32(5))
				s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
					Action: batchv1.PodFailurePolicyActionFailJob,
					OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
						Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{42},
					},
				}}}
			},
		},
		{
			name: "success-policy", script: `test $JOB_COMPLETION_INDEX = 0 || sleep 300`, ends: batchv1.JobComplete,
			change: func(s *batchv1.JobSpec) {
				indexed(2)(s)
				s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: new("0")}}}
			},
		},
		{
			name: "deadline", script: "sleep 300", ends: batchv1.JobFailed, reason: batchv1.JobReasonDeadlineExceeded,
			change: func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = new(int64(3)) },
			check: func(t *testing.T, j *batchv1.Job) {
				c := jobCondition(j, batchv1.JobFailureTarget)
				if c == nil || c.LastTransitionTime.Sub(j.Status.StartTime.Time) < 2*time.Second {
					t.Errorf("the deadline is counted from %s and was met by %+v, want 3 s from the launch", j.Status.StartTime, c)
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e.AwaitStatus("sh", 2, 0)
			e.Create(kit.Launch(tc.name, h).Shell(tc.script).Spec(tc.change).Obj())
			j := awaitJob(e, tc.name, tc.ends)
			if c := jobCondition(j, tc.ends); tc.reason != "" && c.Reason != tc.reason {
				t.Errorf("the reason is %s, want %s", c.Reason, tc.reason)
			}
			// Of some Jobs no pod is left by now.
			if c := conditionOfJob(j, launch.ConditionWarm); c == nil || strings.HasPrefix(c.Message, "0 of ") {
				t.Errorf("its condition is %+v, want one that says that a pod was warm", c)
			}
			if tc.check != nil {
				tc.check(t, j)
			}
		})
	}
}

func pushASuspendedJobGivesUpItsPodAndResumes(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, scriptPool("sh").Idle(1))
	e.Create(kit.Launch("later", h).Shell("sleep 300").Obj())
	running := func(g gomega.Gomega) { g.Expect(job(e, "later").Status.Active).To(gomega.Equal(int32(1))) }
	e.Await("it runs", running)
	first := podsOf(e, "later")[0].UID
	suspend := func(on bool) {
		before := job(e, "later")
		after := before.DeepCopy()
		after.Spec.Suspend = new(on)
		if err := e.Client.Patch(t.Context(), after, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	suspend(true)
	e.Await("its pod is gone", func(g gomega.Gomega) {
		j := job(e, "later")
		g.Expect(jobCondition(j, batchv1.JobSuspended)).NotTo(gomega.BeNil())
		g.Expect(podsOf(e, "later")).To(gomega.BeEmpty())
	})
	e.AwaitStatus("sh", 1, 0)
	suspend(false)
	e.Await("it runs again", running)
	if again := podsOf(e, "later")[0]; again.UID == first || again.Annotations[v1alpha1.AnnotationStart] != v1alpha1.StartWarm {
		t.Errorf("it was resumed in pod %s (%s), want another warm one", again.Name, again.Annotations[v1alpha1.AnnotationStart])
	}
}

// A container that is started again runs the launch of its pod again.
func pushARestartedContainerRunsItsLaunchAgain(t *testing.T) {
	e := pushEnv(t)
	onFailure := func(s *v1alpha1.HotStandbyJobSpec) {
		s.JobTemplate.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		s.JobTemplate.Template.Spec.Volumes = []corev1.Volume{{Name: "state", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		s.JobTemplate.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "state", MountPath: "/state"}}
	}
	h := filledPool(e, scriptPool("again").Idle(1).With(onFailure))
	e.Create(kit.Launch("twice", h).Shell("test -e /state/been && exit 0; touch /state/been; exit 1").
		Spec(func(s *batchv1.JobSpec) { s.BackoffLimit = new(int32(3)) }).Obj())
	awaitJob(e, "twice", batchv1.JobComplete)
	p := podsOf(e, "twice")[0]
	if n := p.Status.ContainerStatuses[0].RestartCount; n != 1 || p.Annotations[v1alpha1.AnnotationStart] != v1alpha1.StartWarm {
		t.Errorf("the pod (%s) was restarted %d times, want a warm one, once", p.Annotations[v1alpha1.AnnotationStart], n)
	}
}

func pushDeletingAJobDoesWithItsPodsAsItSays(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, scriptPool("sh").Idle(1))
	for _, policy := range []metav1.DeletionPropagation{
		metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan,
	} {
		e.AwaitStatus("sh", 1, 0)
		name := map[metav1.DeletionPropagation]string{"Background": "background", "Foreground": "foreground", "Orphan": "orphan"}[policy]
		e.Create(kit.Launch(name, h).Shell("sleep 300").Obj())
		e.Await("it runs", func(g gomega.Gomega) { g.Expect(job(e, name).Status.Active).To(gomega.Equal(int32(1))) })
		j := job(e, name)
		if err := e.Client.Delete(t.Context(), j, client.PropagationPolicy(policy)); err != nil {
			t.Fatal(err)
		}
		e.Await(name+": the Job is gone", func(g gomega.Gomega) {
			err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(j), &batchv1.Job{})
			g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue())
		})
		if policy != metav1.DeletePropagationOrphan {
			e.Await(name+": its pod is gone", func(g gomega.Gomega) { g.Expect(podsOf(e, name)).To(gomega.BeEmpty()) })
			continue
		}
		e.Await(name+": its pod has no owner and no finalizer, and goes on", func(g gomega.Gomega) {
			pods := podsOf(e, name)
			g.Expect(pods).To(gomega.HaveLen(1))
			g.Expect(pods[0].OwnerReferences).To(gomega.BeEmpty())
			g.Expect(pods[0].Finalizers).To(gomega.BeEmpty())
			g.Expect(pods[0].Status.Phase).To(gomega.Equal(corev1.PodRunning))
		})
		if err := e.Client.Delete(t.Context(), &podsOf(e, name)[0]); err != nil {
			t.Fatal(err)
		}
	}
}

func pushAFinishedJobGoesAfterItsTTL(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, scriptPool("sh").Idle(1))
	e.Create(kit.Launch("short", h).Shell("exit 0").Spec(func(s *batchv1.JobSpec) { s.TTLSecondsAfterFinished = new(int32(0)) }).Obj())
	e.Await("Job and pod are gone", func(g gomega.Gomega) {
		err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "short"}, &batchv1.Job{})
		g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue())
		g.Expect(podsOf(e, "short")).To(gomega.BeEmpty())
	})
	e.AwaitStatus("sh", 1, 0)
}

// What isn't ours stays as it is: Jobs with the label that others manage, or nobody but Kubernetes, and pods.
func pushWhatIsNotOursIsNotTouched(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, kit.PushPool("game").Idle(1))
	others := []*batchv1.Job{
		kit.Launch("foreign", h).Spec(func(s *batchv1.JobSpec) { s.ManagedBy = new("example.com/somebody") }).Obj(),
		kit.Launch("kubernetes", h).Spec(func(s *batchv1.JobSpec) { s.ManagedBy = nil }).Obj(),
	}
	for _, j := range others {
		e.Create(j)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "lonely", Labels: map[string]string{v1alpha1.LabelLaunch: "game", "app": "other"}, Finalizers: []string{batchv1.JobTrackingFinalizer}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{drive.Stamped("-work", "1h")}},
	}
	lab.OnSimulatedNode(&pod.Spec)
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(others[0], batchv1.SchemeGroupVersion.WithKind("Job"))}
	e.Create(pod)
	awaitJob(e, "kubernetes", batchv1.JobComplete)
	if got := startsOf(e, "kubernetes"); !slices.Equal(got, []string{""}) {
		t.Errorf("the pod of a Job that Kubernetes runs says that it started %q", got)
	}

	e.Create(kit.Launch("ours", h).Obj()) // so much later that the others would have been seen to
	awaitJob(e, "ours", batchv1.JobComplete)
	if j := job(e, "foreign"); len(j.Status.Conditions) > 0 || j.Status.StartTime != nil || *j.Spec.ManagedBy != "example.com/somebody" {
		t.Errorf("somebody else's Job was changed: %+v", j.Status)
	}
	var p corev1.Pod
	if err := e.Client.Get(t.Context(), client.ObjectKeyFromObject(pod), &p); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.Finalizers, pod.Finalizers) || !metav1.IsControlledBy(&p, others[0]) || p.DeletionTimestamp != nil {
		t.Errorf("somebody else's pod was changed: %+v", p.ObjectMeta)
	}
	p.Finalizers = nil
	if err := e.Client.Update(t.Context(), &p); err != nil {
		t.Fatal(err)
	}
}
