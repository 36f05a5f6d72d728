// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// realEnv is a namespace in a lab with a real node.
func realEnv(t *testing.T) *kit.Env {
	t.Helper()
	e := kit.New(t)
	if !e.Lab.HasNode() {
		t.Skip("containers run on a real node only, and this lab has none: see `lab up --node`")
	}
	return e
}

// The command fails for want of a file, which then appears: nothing about the pool changes. Time passes by steps, each after
// all has ended that was made: on a busy machine a kubelet that tells of a crash late has it look like a unit that works.
func TestCrashingCommandsAreTriedRarelyAndQuoted(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := realEnv(t)
		history := e.History(troubled)
		s := e.Stepper()
		e.Create(kit.Pool(troubled).Idle(3).Max(3).Layout(layout).Real().With(func(s *v1alpha1.HotStandbyJobSpec) {
			pod := &s.JobTemplate.Template.Spec
			pod.Containers[0].Image = "busybox:1.36"
			pod.Containers[0].Command = []string{"sh", "-c"}
			pod.Containers[0].Args = []string{"test -e /game/map || { echo no map to play on >/dev/termination-log; exit 7; }; trap exit TERM; while :; do sleep 1; done"}
			pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "game", MountPath: "/game"}}
			pod.Volumes = []corev1.Volume{{Name: "game", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: corev1.LocalObjectReference{Name: "game"}, Optional: new(true),
			}}}}
		}).Obj())
		for range 10 { // the second try comes 10 seconds after the first units have failed
			if s.Elapse(troubled, 5*time.Second, allFailed(e)); e.Get(troubled).Status.ConsecutiveFailures >= 2 {
				break
			}
		}
		h := e.Get(troubled)
		rounds := int(h.Status.ConsecutiveFailures)
		if rounds < 2 {
			t.Errorf("%d failures in a row are told, want 2 or more", rounds)
		}
		expectCondition(gomega.NewWithT(t), h, v1alpha1.ConditionDegraded, "True", "UnitsFailing", "container worker", "exit code 7", "no map to play on")
		first := map[v1alpha1.Layout]int{v1alpha1.LayoutJobPerUnit: 3, v1alpha1.LayoutSharedJob: 1}[layout]
		if made := history.Made(); made != first+rounds-1 {
			t.Errorf("%d Jobs were made, want %d at first and one for each of %d more tries", made, first, rounds-1)
		}
		e.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "game"}, Data: map[string]string{"map": "forest"}})
		s.Elapse(troubled, longest+2*time.Minute, allLiveRun(e)) // and a minute for the first unit to prove itself
		expectHealthy(gomega.NewWithT(t), e.Get(troubled), 3)
		if most := history.Most(); most != 3 {
			t.Errorf("at most %d units lived at a time, want 3", most)
		}
	})
}

func TestImagesThatCannotBePulledMakeNoMoreJobs(t *testing.T) {
	t.Parallel()
	e := realEnv(t)
	image := "late/" + e.Namespace + ":1"
	e.Guard(troubled, 3)
	history := e.History(troubled)
	s := e.Stepper()
	e.Create(kit.Pool(troubled).Idle(3).Max(5).Real("run").With(func(s *v1alpha1.HotStandbyJobSpec) {
		s.JobTemplate.Template.Spec.Containers[0].Image = image
	}).Obj())
	waiting := func(g gomega.Gomega) {
		for _, p := range e.Pods(troubled) {
			g.Expect(p.Status.ContainerStatuses).To(gomega.HaveLen(1))
			g.Expect(p.Status.ContainerStatuses[0].State.Waiting).NotTo(gomega.BeNil())
			g.Expect(p.Status.ContainerStatuses[0].State.Waiting.Reason).To(gomega.BeElementOf("ErrImagePull", "ImagePullBackOff"))
		}
		g.Expect(e.Pods(troubled)).To(gomega.HaveLen(places(e, troubled)))
	}
	s.Elapse(troubled, tenMinutes, waiting)
	expectCondition(gomega.NewWithT(t), e.Get(troubled), v1alpha1.ConditionDegraded, "True", "UnitsStuck", "3 units can't start", image, "can't be pulled")
	if made := history.Made(); made != 3 {
		t.Errorf("%d Jobs were made in ten minutes, want 3", made)
	}
	loadWorkerAs(e, image)
	s.Settle(troubled, func(g gomega.Gomega) { g.Expect(running(e, troubled)).To(gomega.Equal(3)) })
	expectHealthy(gomega.NewWithT(t), e.Get(troubled), 3)
	if made := history.Made(); made != 3 {
		t.Errorf("%d Jobs were made in all, want 3", made)
	}
}

// loadWorkerAs gives the real node the lab's worker under another name.
func loadWorkerAs(e *kit.Env, image string) {
	e.T.Helper()
	program, err := os.ReadFile(filepath.Join(e.Lab.BinDir(), "worker"))
	if err != nil {
		e.T.Fatal(err)
	}
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	if err := files.WriteHeader(&tar.Header{Name: "worker", Mode: 0o755, Size: int64(len(program))}); err != nil {
		e.T.Fatal(err)
	}
	if _, err := files.Write(program); err != nil {
		e.T.Fatal(err)
	}
	if err := files.Close(); err != nil {
		e.T.Fatal(err)
	}
	file := filepath.Join(e.T.TempDir(), "image.tar")
	if err := writeImage(file, image, layer.Bytes()); err != nil {
		e.T.Fatal(err)
	}
	if err := e.Lab.LoadImage(e.T.Context(), file); err != nil {
		e.T.Fatal(err)
	}
}

func writeImage(file, image string, files []byte) error {
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil })
	if err != nil {
		return err
	}
	made, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := made.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Entrypoint = "linux", runtime.GOARCH, []string{"/worker"}
	if made, err = mutate.ConfigFile(made, config); err != nil {
		return err
	}
	tag, err := name.NewTag(image)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(file, tag, made)
}

// The operator works with the permissions of config/rbac and no others, and says which one is missing where commands
// shall be run through the API server.
func TestMissingExecPermissionIsSaidAndMended(t *testing.T) {
	t.Parallel()
	e := realEnv(t)
	limited := *e
	limited.Config = rest.CopyConfig(e.Config)
	limited.Config.Impersonate = rest.ImpersonationConfig{UserName: installedOperator(e)}
	e.Guard("asked", 2)
	limited.Operator(func(c *config.Operator) { c.ExecThroughAPIServer = true })
	e.Create(kit.Pool("asked").Idle(2).Max(5).Real("run").Probe(v1alpha1.BusyProbe{
		Mode: v1alpha1.BusyByExec,
		Exec: &v1alpha1.ExecProbe{
			Command: []string{"/worker", "no-such-command"}, PeriodSeconds: 1, TimeoutSeconds: 30, Runner: v1alpha1.ExecAPIServer,
		},
	}).Obj())
	e.Await("the pool says what is wrong", func(g gomega.Gomega) {
		h := e.Get("asked")
		expectCondition(g, h, v1alpha1.ConditionDegraded, "True", "SignalUnknown", "2 units", "may not exec", "install config/components/exec")
		g.Expect(h.Status.UnknownCount).To(gomega.Equal(int32(2)))
	})
	grant(e, "exec", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"get", "create"}})
	e.Await("it recovers by itself", func(g gomega.Gomega) { expectHealthy(g, e.Get("asked"), 2) })
}

// installedOperator is a user with the operator's own permissions, and the pool's namespace for its place.
func installedOperator(e *kit.Env) string {
	e.T.Helper()
	text, err := os.ReadFile(filepath.Join(kit.Root(), "config", "rbac", "role.yaml"))
	if err != nil {
		e.T.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(strings.TrimPrefix(string(text), "---\n")), &role); err != nil {
		e.T.Fatal(err)
	}
	permissions := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: e.Namespace}, Rules: role.Rules}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: e.Namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: e.Namespace},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: e.Namespace}},
	}
	e.CreateClusterWide(permissions)
	e.CreateClusterWide(binding)
	return "system:serviceaccount:" + e.Namespace + ":default"
}

// grant gives the namespace's default ServiceAccount permissions in it.
func grant(e *kit.Env, name string, rules ...rbacv1.PolicyRule) {
	e.T.Helper()
	e.Create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
	e.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: e.Namespace}},
	})
}
