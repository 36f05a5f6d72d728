// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// waiting is a pool of plain pods with one container, game, whose template is changed.
func waiting(change func(*corev1.PodTemplateSpec)) *v1alpha1.HotStandbyJob {
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "game", Command: []string{"/game"}}}}}
	if change != nil {
		change(template)
	}
	return &v1alpha1.HotStandbyJob{Spec: v1alpha1.HotStandbyJobSpec{
		Assignment: v1alpha1.AssignmentPush, JobTemplate: v1alpha1.JobTemplate{Template: template},
	}}
}

func TestImpossibleStandbyPods(t *testing.T) {
	probe := &corev1.Probe{}
	game := "jobTemplate.template.spec.containers[game]."
	type template = *corev1.PodTemplateSpec
	for name, tc := range map[string]struct {
		change func(template)
		field  string
	}{
		"the image's own command": {func(p template) { p.Spec.Containers[0].Command = nil }, game + "command"},
		"a liveness probe":        {func(p template) { p.Spec.Containers[0].LivenessProbe = probe }, game + "livenessProbe"},
		"a readiness probe":       {func(p template) { p.Spec.Containers[0].ReadinessProbe = probe }, game + "readinessProbe"},
		"a startup probe":         {func(p template) { p.Spec.Containers[0].StartupProbe = probe }, game + "startupProbe"},
		"a hook": {func(p template) {
			p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
		}, game + "lifecycle"},
		"a pod that never ends":                {func(p template) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }, "jobTemplate.template.spec.restartPolicy"},
		"a deadline from the pod's start":      {func(p template) { p.Spec.ActiveDeadlineSeconds = new(int64(9)) }, "jobTemplate.template.spec.activeDeadlineSeconds"},
		"another operating system":             {func(p template) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "jobTemplate.template.spec.os"},
		"a volume of the operator's":           {func(p template) { p.Spec.Volumes = []corev1.Volume{{Name: "hsj-run"}} }, "jobTemplate.template.spec.volumes"},
		"a mount where the operator's is":      {mountedAt("/.hsj"), game + "volumeMounts"},
		"a mount below the operator's":         {mountedAt("/.hsj/bin/"), game + "volumeMounts"},
		"an init container of the operator's":  {func(p template) { p.Spec.InitContainers = []corev1.Container{{Name: "hsj-install"}} }, "jobTemplate.template.spec.containers"},
		"no containers":                        {func(p template) { p.Spec.Containers = nil }, "standby.container"},
		"an init container in place of others": {func(p template) { p.Spec.InitContainers, p.Spec.Containers = p.Spec.Containers, nil }, "standby.container"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := StandbyPod(waiting(tc.change), operator())
			if err == nil || !strings.HasPrefix(err.Error(), tc.field+": ") {
				t.Errorf("got %v, want an error about %s", err, tc.field)
			}
		})
	}
}

func mountedAt(path string) func(*corev1.PodTemplateSpec) {
	return func(p *corev1.PodTemplateSpec) {
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{MountPath: path}}
	}
}

func TestImpossibleWithoutAnOperatorsPart(t *testing.T) {
	if _, err := StandbyPod(waiting(nil), Entrypoint{GatewayURL: "https://a:1"}); err == nil || !strings.Contains(err.Error(), "--standby-image") {
		t.Errorf("without an image: %v", err)
	}
	if _, err := StandbyPod(waiting(nil), Entrypoint{Image: "a"}); err != nil {
		t.Errorf("without a gateway there is still the file: %v", err)
	}
	h := waiting(nil)
	h.Spec.Assignment, h.Spec.BusyProbe.Mode = v1alpha1.AssignmentPull, v1alpha1.BusyByReport
	if _, err := Job(h, Entrypoint{Image: "a"}); err == nil || !strings.HasPrefix(err.Error(), "busyProbe.mode: ") {
		t.Errorf("reports without a gateway: %v", err)
	}
	h.Spec.JobTemplate = v1alpha1.JobTemplate{Image: "busybox"}
	if _, err := Job(h, operator()); err == nil || !strings.HasPrefix(err.Error(), "jobTemplate.command: ") {
		t.Errorf("reports from the image's own command: %v", err)
	}
}

func TestWhatStaysPossible(t *testing.T) {
	for name, change := range map[string]func(*corev1.PodTemplateSpec){
		"probes of other containers": func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b", LivenessProbe: &corev1.Probe{}})
		},
		"an empty lifecycle":              func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{} },
		"a mount with a name like theirs": mountedAt("/.hsjx"),
		"processes of the host":           func(p *corev1.PodTemplateSpec) { p.Spec.HostPID = true },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := StandbyPod(waiting(change), operator()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTheInstallerIsRestricted holds what Pod Security's restricted profile asks of the init container.
func TestTheInstallerIsRestricted(t *testing.T) {
	for name, tc := range map[string]struct {
		user *int64 // the pod's
		want *int64 // the init container's; nil: the pod's
	}{
		"a template without a user": {nil, new(int64(installUser))},
		"a template with one":       {new(int64(1000)), nil},
		"a template that is root":   {new(int64(0)), new(int64(installUser))},
	} {
		t.Run(name, func(t *testing.T) {
			pod, err := StandbyPod(waiting(func(p *corev1.PodTemplateSpec) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: tc.user}
			}), operator())
			if err != nil {
				t.Fatal(err)
			}
			want := &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true), RunAsNonRoot: new(true), RunAsUser: tc.want,
				Capabilities:   &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			}
			if diff := cmp.Diff(want, pod.Spec.InitContainers[0].SecurityContext); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAWarmupArrivesAsItIsGiven holds that neither JSON nor the kubelet's expansion of references changes it.
func TestAWarmupArrivesAsItIsGiven(t *testing.T) {
	given := []string{"a", "$(HOME)", "$$(HOME)", "$x", `"quoted" & <marked>`, "$"}
	h := waiting(nil)
	h.Spec.Standby = &v1alpha1.StandbySpec{Warmup: &v1alpha1.Warmup{Command: given}}
	pod, err := StandbyPod(h, operator())
	if err != nil {
		t.Fatal(err)
	}
	command := pod.Spec.Containers[0].Command
	i := slices.IndexFunc(command, func(flag string) bool { return strings.HasPrefix(flag, "--warmup=") })
	text := strings.ReplaceAll(strings.TrimPrefix(command[i], "--warmup="), "$$", "$") // as the kubelet does
	var got []string
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(given, got); diff != "" {
		t.Errorf("(-given +got):\n%s", diff)
	}
	if !slices.Contains(command, "--warmup-timeout=5m0s") {
		t.Errorf("the default timeout isn't among %q", command)
	}
}

func TestTemplateIsAsTheUserGaveIt(t *testing.T) {
	h := read(t, "testdata/standby-restricted/pool.yaml")
	got := Template(h)
	want := h.Spec.JobTemplate.Template.DeepCopy()
	want.Labels["tier"] = "fast"
	want.Spec.RestartPolicy = corev1.RestartPolicyNever
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got.Labels["tier"], got.Spec.Containers[0].Image = "changed", "changed"
	if again := Template(h); again.Labels["tier"] != "fast" || again.Spec.Containers[0].Image != "game:1" {
		t.Error("it isn't the caller's to change")
	}
}

func TestLabelPatch(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "7"}}
	const uid, add = `{"op":"test","path":"/metadata/uid","value":"u"}`, `{"op":"add","path":"/metadata/labels/hsj.paia.tech~1state","value":"retiring"}`
	want := `[{"op":"test","path":"/metadata/resourceVersion","value":"7"},` + uid + `,` + add + `]`
	if got := string(LabelPatch(p, v1alpha1.PodRetiring)); got != want {
		t.Errorf("without a label: %s", got)
	}
	p.Labels = map[string]string{v1alpha1.LabelState: "idle"}
	want = `[{"op":"test","path":"/metadata/labels/hsj.paia.tech~1state","value":"idle"},` + uid + `,` + add + `]`
	if got := string(LabelPatch(p, v1alpha1.PodRetiring)); got != want {
		t.Errorf("with one: %s", got)
	}
}
