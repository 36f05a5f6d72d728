// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// PushPool begins a pool of standby pods for launches on the real node, in a container as drive.Stamped makes it.
func PushPool(name string) *PoolBuilder {
	b := Pool(name).Real()
	b.h.Spec.Assignment = v1alpha1.AssignmentPush
	b.h.Spec.JobTemplate = v1alpha1.JobTemplate{Template: &corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers:                    []corev1.Container{drive.Stamped()},
	}}}
	return b
}

// Simulated has the pods go to simulated nodes, where no command runs.
func (b *PoolBuilder) Simulated() *PoolBuilder {
	lab.OnSimulatedNode(&b.h.Spec.JobTemplate.Template.Spec)
	return b
}

// Standby changes spec.standby.
func (b *PoolBuilder) Standby(change func(*v1alpha1.StandbySpec)) *PoolBuilder {
	if b.h.Spec.Standby == nil {
		b.h.Spec.Standby = &v1alpha1.StandbySpec{}
	}
	change(b.h.Spec.Standby)
	return b
}

// LaunchBuilder builds a Job that starts in a pool's pods.
type LaunchBuilder struct{ job batchv1.Job }

// Launch begins a Job like any other, with the label of a pool and the pool's own template.
func Launch(name string, h *v1alpha1.HotStandbyJob) *LaunchBuilder {
	return &LaunchBuilder{job: batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelPool: h.Name}},
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)),
			ManagedBy:    new(v1alpha1.ManagedByLauncher),
			Template:     *h.Spec.JobTemplate.Template.DeepCopy(),
		},
	}}
}

// Args sets the arguments of the first container.
func (b *LaunchBuilder) Args(args ...string) *LaunchBuilder {
	b.job.Spec.Template.Spec.Containers[0].Args = args
	return b
}

// Shell has the first container run a shell script instead of its command.
func (b *LaunchBuilder) Shell(script string) *LaunchBuilder {
	b.job.Spec.Template.Spec.Containers[0].Command = []string{"sh", "-c", script}
	return b.Args()
}

// Annotate adds annotations to the Job.
func (b *LaunchBuilder) Annotate(annotations map[string]string) *LaunchBuilder {
	if b.job.Annotations == nil {
		b.job.Annotations = map[string]string{}
	}
	maps.Copy(b.job.Annotations, annotations)
	return b
}

// Spec changes anything else.
func (b *LaunchBuilder) Spec(change func(*batchv1.JobSpec)) *LaunchBuilder {
	change(&b.job.Spec)
	return b
}

// Obj is the Job.
func (b *LaunchBuilder) Obj() *batchv1.Job { return b.job.DeepCopy() }

// PushOperator runs an operator that also serves launches: its gateway can be reached from the pods, its webhook isn't
// installed.
func (e *Env) PushOperator(change ...func(*config.Operator)) (stop func()) {
	e.T.Helper()
	stop = e.Operator(append([]func(*config.Operator){func(c *config.Operator) {
		c.Push.Enabled = true
		c.Push.WebhookAddress = config.Off
		c.Push.GatewayAddress = e.FreeAddress()
		c.Push.GatewayURL = "https://" + c.Push.GatewayAddress
		c.Push.StandbyImage = lab.OperatorImage
	}}, change...)...)
	e.T.Cleanup(e.endLaunches)
	return stop
}

// InstallWebhook has the API server call the webhook of the namespace's operator at an address, as the manifests would have
// it called.
func (e *Env) InstallWebhook(address string, ca []byte) {
	e.T.Helper()
	text, err := os.ReadFile(filepath.Join(Root(), "config", "webhook", "configuration.yaml"))
	if err != nil {
		e.T.Fatal(err)
	}
	w := &admissionv1.MutatingWebhookConfiguration{}
	if err := yaml.UnmarshalStrict(text, w); err != nil {
		e.T.Fatal(err)
	}
	w.Name = "launcher-" + e.Namespace
	for i := range w.Webhooks {
		c := &w.Webhooks[i].ClientConfig
		c.URL, c.Service, c.CABundle = new("https://"+address+*c.Service.Path), nil, ca
		w.Webhooks[i].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: e.Namespace}}
	}
	e.CreateClusterWide(w)
}

// PushFlags are those of an operator in a process of its own that also serves launches, as PushOperator does.
func (e *Env) PushFlags() []string {
	e.T.Helper()
	address := e.FreeAddress()
	e.T.Cleanup(e.endLaunches)
	return []string{
		"--push=true", "--leader-elect=false", "--webhook-address=0", "--gateway-address=" + address,
		"--gateway-url=https://" + address, "--standby-image=" + lab.OperatorImage,
	}
}

// endLaunches deletes the namespace's Jobs while the operator still runs, or at least before the namespace: its deletion
// begins with pods, and waits for those whose Job, which would be told of their end, nobody runs any more.
func (e *Env) endLaunches() {
	ctx := context.WithoutCancel(e.T.Context())
	err := e.Client.DeleteAllOf(ctx, &batchv1.Job{}, client.InNamespace(e.Namespace), client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil {
		e.T.Errorf("delete Jobs: %v", err)
	}
}

// FreeAddress is host:port on which pods can reach this machine, and nobody listens.
func (e *Env) FreeAddress() string {
	e.T.Helper()
	var listener net.ListenConfig
	listen, err := listener.Listen(e.T.Context(), "tcp", net.JoinHostPort(e.HostIP(), "0"))
	if err != nil {
		e.T.Fatal(err)
	}
	defer func() { _ = listen.Close() }()
	return listen.Addr().String()
}

// loaded remembers the labs that have the operator's image, which brings the entrypoint, as it is in this checkout.
var loaded struct {
	mu   sync.Mutex
	labs map[string]bool
}

// imageVariable is the environment variable that names a tar file with the operator's image, which need not be built then.
const imageVariable = "HSJ_OPERATOR_IMAGE"

// NeedEntrypoint loads the image that standby pods take their entrypoint from, which is built unless HSJ_OPERATOR_IMAGE
// names it; the test is skipped where no container can run.
func (e *Env) NeedEntrypoint() {
	e.T.Helper()
	if !e.Lab.HasNode() {
		e.T.Skip("containers are run by a real node only, and this lab has none: see `lab up --node`")
	}
	loaded.mu.Lock()
	defer loaded.mu.Unlock()
	if loaded.labs[e.Lab.Name()] {
		return
	}
	tar := os.Getenv(imageVariable)
	if tar == "" {
		tar = filepath.Join(e.T.TempDir(), "operator.tar")
		if err := lab.WriteOperatorImage(e.T.Context(), e.T.Output(), tar); err != nil {
			e.T.Fatal(err)
		}
	}
	if err := e.Lab.LoadImage(e.T.Context(), tar); err != nil {
		e.T.Fatal(err)
	}
	if loaded.labs == nil {
		loaded.labs = map[string]bool{}
	}
	loaded.labs[e.Lab.Name()] = true
}
