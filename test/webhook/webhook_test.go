// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/certificate"
	"github.com/paia-tech/hotstandbyjob/internal/webhook"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
)

// warnings are what the API server says to a client.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.texts = nil }()
	return strings.Join(w.texts, "\n")
}

// serve runs a webhook for the environment's namespace, and returns what ends it.
func (e *env) serve() (stop func()) {
	e.Helper()
	serving, err := certificate.SelfSigned(time.Now(), []string{"localhost"}, nil)
	if err != nil {
		e.Fatal(err)
	}
	port := freePort(e.T)
	server, err := webhook.NewServer("127.0.0.1:"+port, serving.Configure)
	if err != nil {
		e.Fatal(err)
	}
	mgr, err := ctrl.NewManager(e.config, ctrl.Options{
		Scheme: scheme(e.T), WebhookServer: server, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
	})
	if err != nil {
		e.Fatal(err)
	}
	handler := &webhook.Handler{Cache: mgr.GetCache(), Live: mgr.GetAPIReader()}
	mgr.GetWebhookServer().Register(webhook.Path, handler.Admission())
	if _, err := mgr.GetCache().GetInformer(e.Context(), &v1alpha1.HotStandbyJob{}); err != nil {
		e.Fatal(err)
	}
	stop = e.start(mgr)
	e.create(webhook.Configuration(e.namespace, admissionregistrationv1.WebhookClientConfig{
		URL: new("https://localhost:" + port + webhook.Path), CABundle: serving.CA(),
	}, e.namespace))
	return stop
}

func (e *env) pool(name string, assignment v1alpha1.Assignment) *v1alpha1.HotStandbyJob {
	return &v1alpha1.HotStandbyJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: name},
		Spec: v1alpha1.HotStandbyJobSpec{
			Assignment:  assignment,
			JobTemplate: v1alpha1.JobTemplate{Image: "busybox", Command: []string{"true"}},
		},
	}
}

func (e *env) job(change ...func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, GenerateName: "job-", Labels: map[string]string{}},
		Spec: batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "busybox"}},
		}}},
	}
	for _, f := range change {
		f(j)
	}
	return j
}

func fromPool(name string) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.Labels[v1alpha1.LabelPool] = name }
}

func TestJobsThatAskForAPoolGoToTheLauncher(t *testing.T) {
	e := newEnv(t)
	stop := e.serve()
	e.create(e.pool("push", v1alpha1.AssignmentPush), e.pool("pull", v1alpha1.AssignmentPull))
	said := &warnings{}
	config := rest.CopyConfig(e.config)
	config.WarningHandler = said
	user := e.clientOf(config)
	e.await("the webhook is in force", func(g gomega.Gomega) {
		j := e.job(fromPool("push"))
		g.Expect(user.Create(t.Context(), j, client.DryRunAll)).To(gomega.Succeed())
		g.Expect(j.Spec.ManagedBy).To(gomega.HaveValue(gomega.Equal(v1alpha1.ManagedByLauncher)))
	})
	said.take()
	gang := func(j *batchv1.Job) { j.Annotations = map[string]string{v1alpha1.AnnotationGang: "yes"} }
	another := func(j *batchv1.Job) { j.Spec.ManagedBy = new("example.com/another") }
	for name, tc := range map[string]struct {
		job     *batchv1.Job
		want    string // spec.managedBy
		warning string
	}{
		"a pool that pushes":      {job: e.job(fromPool("push")), want: v1alpha1.ManagedByLauncher},
		"with a wrong annotation": {e.job(fromPool("push"), gang), v1alpha1.ManagedByLauncher, `use "true" or "false"`},
		"a pool that pulls":       {e.job(fromPool("pull")), "", "pool pull in namespace " + e.namespace + " has spec.assignment: Pull"},
		"no such pool":            {e.job(fromPool("none")), "", "pool none not found in namespace " + e.namespace + ": the Job runs as an ordinary Job"},
		"an empty label":          {e.job(fromPool("")), "", "no name of a HotStandbyJob"},
		"another's Job":           {e.job(fromPool("push"), another), "example.com/another", ""},
		"a Job without a pool":    {job: e.job()},
	} {
		if err := user.Create(t.Context(), tc.job); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := ""
		if tc.job.Spec.ManagedBy != nil {
			got = *tc.job.Spec.ManagedBy
		}
		text := said.take()
		if got != tc.want || !strings.Contains(text, tc.warning) || (text == "") != (tc.warning == "") {
			t.Errorf("%s: managedBy is %q, want %q; the warnings are %q, want %q", name, got, tc.want, text, tc.warning)
		}
	}
	// A pool and its Job, one right after the other, as kubectl apply makes them from one file.
	for range 20 {
		pool := e.pool("new", v1alpha1.AssignmentPush)
		e.create(pool)
		j := e.job(fromPool("new"))
		e.create(j)
		if j.Spec.ManagedBy == nil {
			t.Error("a Job whose pool was made just before it isn't launched")
		}
		if err := e.client.Delete(t.Context(), pool); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	j := e.job(fromPool("push"))
	e.create(j)
	if j.Spec.ManagedBy != nil {
		t.Errorf("without the operator, managedBy is %s", *j.Spec.ManagedBy)
	}
}

func TestThisClusterSupportsManagedBy(t *testing.T) {
	l := labtest.Shared(t)
	var c kubernetes.Interface = labtest.Client(t, l)
	got, err := webhook.SupportsManagedBy(t.Context(), c, labtest.Namespace(t, l))
	if !got || err != nil {
		t.Errorf("got %v, error %v", got, err)
	}
}
