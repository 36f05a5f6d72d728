// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/internal/fit"
	"github.com/paia-tech/hotstandbyjob/internal/object"
)

// aCronJob is one as the server gives it back.
func aCronJob(change ...func(*corev1.PodSpec)) *batchv1.CronJob {
	spec := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, DNSPolicy: corev1.DNSClusterFirst, SchedulerName: corev1.DefaultSchedulerName,
		SecurityContext: &corev1.PodSecurityContext{}, TerminationGracePeriodSeconds: new(int64(30)),
		Containers: []corev1.Container{{
			Name: "report", Image: "report:1", Command: []string{"/report"}, TerminationMessagePath: "/dev/termination-log",
			TerminationMessagePolicy: corev1.TerminationMessageReadFile, ImagePullPolicy: corev1.PullIfNotPresent,
		}},
	}
	for _, c := range change {
		c(&spec)
	}
	return &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{
			Name: "report", Namespace: "games", UID: "u", ResourceVersion: "5", Generation: 2, CreationTimestamp: metav1.NewTime(time.Unix(1, 0)),
			Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: batchv1.CronJobSpec{Schedule: "* * * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "report"}}, Spec: spec},
		}}},
		Status: batchv1.CronJobStatus{LastScheduleTime: &metav1.Time{Time: time.Unix(2, 0)}},
	}
}

const wantPool = `apiVersion: apps.paia.tech/v1alpha1
kind: HotStandbyJob
metadata:
  name: report
spec:
  assignment: Push
  idleTarget: 2
  jobTemplate:
    template:
      metadata:
        labels:
          app: report
      spec:
        containers:
        - command:
          - /report
          image: report:1
          imagePullPolicy: IfNotPresent
          name: report
        restartPolicy: Never
  maxReplicas: 10
`

const wantChange = `--- cronjob/report
+++ cronjob/report
@@ -5,6 +5,9 @@
   namespace: games
 spec:
   jobTemplate:
+    metadata:
+      labels:
+        hsj.paia.tech/pool: report
     spec:
       template:
         metadata:
`

func TestAPoolFromACronJob(t *testing.T) {
	original := aCronJob()
	s := ofCronJob(original)
	h, notes, err := Pool(Options{Name: "report", Idle: 2, Max: 10, Template: s.spec.Template})
	if err != nil || len(notes) != 0 {
		t.Fatal(notes, err)
	}
	got, err := text(h)
	if err != nil || got != wantPool {
		t.Errorf("%v; the pool is\n%s\nwant\n%s", err, got, wantPool)
	}
	change, err := s.change("report")
	if err != nil || change != wantChange {
		t.Errorf("%v; the change is\n%s\nwant\n%s", err, change, wantChange)
	}
	if again, _ := s.change("report"); again != "" {
		t.Errorf("with the label there is still to be changed\n%s", again)
	}
	template := original.Spec.JobTemplate.Spec.Template
	_, mismatch := fit.Check(fit.Pool{Template: *object.Template(h), Container: object.StandbyContainer(h)},
		&corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec})
	if mismatch != nil {
		t.Errorf("the CronJob's Jobs would start cold: %+v", *mismatch)
	}
}

func TestAPoolFromAJobThatRan(t *testing.T) {
	tracked := map[string]string{"app": "x", batchv1.JobNameLabel: "j", batchv1.ControllerUidLabel: "u", "job-name": "j", "controller-uid": "u"}
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "j", UID: "u", Labels: map[string]string{"job-name": "j"}},
		Spec: batchv1.JobSpec{
			Selector: &metav1.LabelSelector{MatchLabels: tracked}, Parallelism: new(int32(3)), TTLSecondsAfterFinished: new(int32(9)),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: tracked}, Spec: aCronJob().Spec.JobTemplate.Spec.Template.Spec},
		},
	}
	s := ofJob(j)
	h, _, err := Pool(Options{Name: "j", Template: s.spec.Template})
	if err != nil {
		t.Fatal(err)
	}
	if labels := h.Spec.JobTemplate.Template.Labels; len(labels) != 1 || labels["app"] != "x" {
		t.Errorf("the pool's pods have the labels %v, want the user's own", labels)
	}
	change, err := s.change("j")
	if err != nil || strings.Contains(change, "selector") || !strings.Contains(change, "+    hsj.paia.tech/pool: j\n") {
		t.Errorf("%v; the change is\n%s", err, change)
	}
	if note := unset(s.spec); note != "this stays in your Job, holds for each launch, and isn't the pool's: parallelism, ttlSecondsAfterFinished" {
		t.Errorf("what stays is %q", note)
	}
}

func TestWhatCannotBeTakenOverIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.PodSpec)
		o      Options
		err    string
		note   string
	}{
		"no command":         {func(s *corev1.PodSpec) { s.Containers[0].Command = nil }, Options{}, "has no command", ""},
		"probes":             {func(s *corev1.PodSpec) { s.Containers[0].LivenessProbe = &corev1.Probe{} }, Options{}, "has probes", ""},
		"several containers": {func(s *corev1.PodSpec) { s.Containers = append(s.Containers, corev1.Container{Name: "side"}) }, Options{}, "", "side run from the start"},
		"a pod's deadline":   {func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = new(int64(5)) }, Options{}, "", "activeDeadlineSeconds"},
		"no containers":      {func(s *corev1.PodSpec) { s.Containers = nil }, Options{}, "no containers", ""},
		"a long name":        {func(*corev1.PodSpec) {}, Options{Name: strings.Repeat("x", 60)}, "--name", ""},
		"less than nothing":  {func(*corev1.PodSpec) {}, Options{Idle: -1}, "--idle", ""},
	} {
		tc.o.Template = aCronJob(tc.change).Spec.JobTemplate.Spec.Template
		_, notes, err := Pool(tc.o)
		if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %v, want %q", name, err, tc.err)
		}
		if !strings.Contains(strings.Join(notes, "\n"), tc.note) {
			t.Errorf("%s: it says %q, want %q", name, notes, tc.note)
		}
	}
}
