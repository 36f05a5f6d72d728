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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/drive"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// confine makes a pod one that the Pod Security level "restricted" lets in, under a user that no image knows.
func confine(spec *corev1.PodSpec, user int64) {
	spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot: new(true), RunAsUser: new(user), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			containers[i].SecurityContext = &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}
		}
	}
}

// The entrypoint asks for nothing that a pod may not have: no shell and no libc (the image has two static programs and
// nothing else), no root, no writable file system, no process 1, and it gets on with other containers of its pod.
func pushPodsOfManyKindsTakeLaunches(t *testing.T) {
	e := pushEnv(t)
	var namespace corev1.Namespace
	if err := e.Client.Get(t.Context(), client.ObjectKey{Name: e.Namespace}, &namespace); err != nil {
		t.Fatal(err)
	}
	namespace.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	if err := e.Client.Update(t.Context(), &namespace); err != nil {
		t.Fatal(err)
	}
	w := e.Witness()
	beside := corev1.Container{Name: "beside", Image: drive.Stamped().Image, ImagePullPolicy: corev1.PullIfNotPresent}
	kinds := map[string]func(*corev1.PodSpec){
		"any-user":   func(*corev1.PodSpec) {},
		"one-of-all": func(s *corev1.PodSpec) { s.ShareProcessNamespace = new(true) },
		"with-sidecar": func(s *corev1.PodSpec) {
			first, sidecar := beside, beside
			first.Name, first.Command = "first", []string{"/stamp"}
			sidecar.Command, sidecar.Args, sidecar.RestartPolicy = []string{"/worker", "run"}, []string{"-listen", ":8081"}, new(corev1.ContainerRestartPolicyAlways)
			s.InitContainers = []corev1.Container{first, sidecar}
		},
	}
	pools := map[string]*v1alpha1.HotStandbyJob{}
	for name, change := range kinds {
		h := kit.PushPool(name).Idle(1).Standby(func(s *v1alpha1.StandbySpec) { s.Container = "worker" }).Obj()
		spec := &h.Spec.JobTemplate.Template.Spec
		change(spec)
		confine(spec, 123456)
		e.Create(h)
		pools[name] = h
	}
	for name, h := range pools {
		t.Run(name, func(t *testing.T) {
			e.AwaitStatus(name, 1, 0)
			j := kit.Launch(name, h).Obj()
			for i := range j.Spec.Template.Spec.Containers {
				if c := &j.Spec.Template.Spec.Containers[i]; c.Name == "worker" {
					c.Args = []string{"-to", w.Address, "-exit", "3", name}
				}
			}
			e.Create(j)
			awaitJob(e, name, batchv1.JobFailed)
			pods := podsOf(e, name)
			if len(pods) != 1 || pods[0].Annotations[v1alpha1.AnnotationStart] != v1alpha1.StartWarm {
				t.Fatalf("it started %v, want one pod, warm", startsOf(e, name))
			}
			for _, c := range pods[0].Status.ContainerStatuses {
				if c.Name == "worker" && (c.State.Terminated == nil || c.State.Terminated.ExitCode != 3) {
					t.Errorf("its container ended with %+v, want code 3", c.State)
				}
			}
			if n := len(w.Stamps(name)); n != 1 {
				t.Errorf("its command ran %d times, want once", n)
			}
		})
	}
}

// A workload of a Pull pool says by itself that it is busy. How soon its replacement is made is logged.
func pushAWorkloadReportsThatItIsBusy(t *testing.T) {
	e := pushEnv(t)
	h := kit.Pool("report").Real("run", "-busy-by", "report").Idle(1).Max(3).Delay(1).
		Probe(v1alpha1.BusyProbe{Mode: v1alpha1.BusyByReport}).
		With(func(s *v1alpha1.HotStandbyJobSpec) {
			s.JobTemplate.Template.Spec.Containers[0].Command = []string{"/worker"}
		}).Obj()
	e.Create(h)
	e.AwaitStatus("report", 1, 0)
	first := e.Pods("report")[0]
	watch, err := e.Client.Watch(t.Context(), &batchv1.JobList{}, client.InNamespace(e.Namespace), client.MatchingLabels{v1alpha1.LabelName: "report"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	have := map[types.UID]bool{e.Jobs("report")[0].UID: true}
	told := time.Now()
	tell(e, &first, "/busy")
	answered := time.Since(told)
	for event := range watch.ResultChan() {
		if j, ok := event.Object.(*batchv1.Job); ok && !have[j.UID] {
			t.Logf("busy was answered after %s, its replacement was made after %s", answered, time.Since(told))
			break
		}
	}
	e.AwaitStatus("report", 1, 1)

	// Nothing is asked for any more: the idle unit goes, the busy one stays until it says that it is idle.
	e.Update("report", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 0 })
	e.AwaitStatus("report", 0, 1)
	if pods := e.Pods("report"); len(pods) != 1 || pods[0].UID != first.UID {
		t.Errorf("the pods %v are left, want the busy one", names(pods))
	}
	tell(e, &first, "/idle")
	e.Await("it goes once it is idle", func(g gomega.Gomega) { g.Expect(e.Pods("report")).To(gomega.BeEmpty()) })
}

// An entrypoint that hangs loses its launch to another pod, and the Job doesn't pay for it.
func pushAPodThatDoesNotStartIsReplaced(t *testing.T) {
	e := pushEnv(t)
	h := filledPool(e, scriptPool("sh").Idle(1).
		Standby(func(s *v1alpha1.StandbySpec) { s.StartTimeoutSeconds = new(int32(2)) }).
		With(func(s *v1alpha1.HotStandbyJobSpec) { s.JobTemplate.Template.Spec.ShareProcessNamespace = new(true) })) // process 1 can't be stopped
	hung := e.Pods("sh")[0]
	inside(e, &hung, "worker", "kill -STOP $(pidof standby)")
	e.Create(kit.Launch("unlucky", h).Shell("exit 0").Obj())
	j := awaitJob(e, "unlucky", batchv1.JobComplete)
	if j.Status.Failed != 0 || j.Status.Succeeded != 1 {
		t.Errorf("the Job's status is %+v, want no failure", j.Status)
	}
	for _, p := range podsOf(e, "unlucky") {
		if p.UID == hung.UID && metav1.IsControlledBy(&p, j) {
			t.Error("the pod that hangs is still the Job's")
		}
	}
	e.Await("it is gone", func(g gomega.Gomega) {
		for _, p := range e.Pods("sh") {
			g.Expect(p.UID).NotTo(gomega.Equal(hung.UID))
		}
	})
	e.Await("the Job's Events say so", func(g gomega.Gomega) {
		g.Expect(kubectlOf(t, e)("describe", "job", "unlucky")).To(gomega.ContainSubstring("PodReplaced"))
	})
}

// What others make Jobs of works too: CronJobs, kubectl, controllers with a template of their own. The webhook hands such
// Jobs over; with the operator gone, they are ordinary ones.
func pushJobsMadeByOthersStartWarmOrAsOrdinaryOnes(t *testing.T) {
	e := kit.New(t)
	e.NeedEntrypoint()
	address := e.FreeAddress()
	stop := e.PushOperator(func(c *config.Operator) { c.Push.WebhookAddress = address })
	h := filledPool(e, scriptPool("sh").Idle(2))
	e.InstallWebhook(address, []byte(e.Pods("sh")[0].Annotations[v1alpha1.AnnotationGatewayCA]))
	kubectl := kubectlOf(t, e)
	launch := kit.Launch("", h).Shell("exit 0").Spec(func(s *batchv1.JobSpec) { s.ManagedBy = nil }).Obj()

	every := &batchv1.CronJob{}
	every.Name = "every-minute"
	every.Spec = batchv1.CronJobSpec{
		Schedule: "* * * * *", Suspend: new(true),
		JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: launch.ObjectMeta, Spec: launch.Spec},
	}
	e.Create(every)
	e.Await("the webhook is asked", func(g gomega.Gomega) {
		probe := launch.DeepCopy()
		probe.Name, probe.Namespace = "probe", e.Namespace
		g.Expect(e.Client.Create(t.Context(), probe, client.DryRunAll)).To(gomega.Succeed())
		g.Expect(probe.Spec.ManagedBy).NotTo(gomega.BeNil())
	})
	started := func(name, how string) {
		t.Helper()
		awaitJob(e, name, batchv1.JobComplete)
		if got := startsOf(e, name); !slices.Equal(got, []string{how}) {
			t.Errorf("Job %s started %q, want %q", name, got, how)
		}
	}
	kubectl("create", "job", "--from=cronjob/every-minute", "by-hand")
	started("by-hand", v1alpha1.StartWarm)

	lost := launch.DeepCopy()
	lost.Name, lost.Labels = "no-pool", map[string]string{v1alpha1.LabelPool: "gone"}
	e.Create(lost)
	e.Await("the Job's Events say that it isn't launched, and why", func(g gomega.Gomega) {
		g.Expect(kubectl("describe", "job", "no-pool")).To(gomega.MatchRegexp("NotLaunched.*pool gone not found"))
	})
	started("no-pool", "")

	e.AwaitStatus("sh", 2, 0)
	owned := launch.DeepCopy() // as KEDA's ScaledJobs have them: a name that is generated, and an owner
	owner := &corev1.ConfigMap{}
	owner.Name = "scaler"
	e.Create(owner)
	owned.GenerateName = "scaled-"
	owned.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner, corev1.SchemeGroupVersion.WithKind("ConfigMap"))}
	e.Create(owned)
	started(owned.Name, v1alpha1.StartWarm)

	e.AwaitStatus("sh", 2, 0)
	before := every.DeepCopy()
	every.Spec.Suspend = new(false)
	if err := e.Client.Patch(t.Context(), every, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	var minutely string
	e.Await("the CronJob makes a Job", func(g gomega.Gomega) {
		var list batchv1.JobList
		g.Expect(e.Client.List(t.Context(), &list, client.InNamespace(e.Namespace))).To(gomega.Succeed())
		minutely = ""
		for _, j := range list.Items {
			if strings.HasPrefix(j.Name, "every-minute-") && ptr.Deref(j.Spec.ManagedBy, "") != "" {
				minutely = j.Name
			}
		}
		g.Expect(minutely).NotTo(gomega.BeEmpty())
	})
	started(minutely, v1alpha1.StartWarm)
	if err := e.Client.Delete(t.Context(), every); err != nil {
		t.Fatal(err)
	}

	stop()
	ordinary := launch.DeepCopy()
	ordinary.Name = "no-operator"
	e.Create(ordinary)
	started("no-operator", "")
}
