// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// plugin is kubectl hsj in a namespace.
type plugin struct {
	e       *kit.Env
	program string
}

func newPlugin(t *testing.T, e *kit.Env) plugin {
	t.Helper()
	program := filepath.Join(t.TempDir(), "kubectl-hsj")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/kubectl-hsj")
	build.Dir = kit.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	return plugin{e, program}
}

func (p plugin) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(p.e.T.Context(), p.program, append([]string{"--namespace", p.e.Namespace}, args...)...) //nolint:gosec // it was just built
	c.Env = append(os.Environ(), "KUBECONFIG="+p.e.Lab.Kubeconfig(), "HSJ_URL=")
	return c
}

// run runs it to its end.
func (p plugin) run(args ...string) (code int, out, errOut string) {
	p.e.T.Helper()
	c := p.command(args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.e.T.Fatalf("%v: %v", args, err)
	}
	return c.ProcessState.ExitCode(), o.String(), e.String()
}

// says runs it, and expects words in what it says.
func (p plugin) says(args []string, code int, words ...string) {
	p.e.T.Helper()
	got, out, errOut := p.run(args...)
	if got != code {
		p.e.T.Errorf("%v ends with %d, want %d:\n%s%s", args, got, code, out, errOut)
	}
	for _, word := range words {
		if !strings.Contains(out+errOut, word) {
			p.e.T.Errorf("%v doesn't say %q:\n%s%s", args, word, out, errOut)
		}
	}
}

func TestPlugin(t *testing.T) {
	t.Parallel()
	e := pushEnv(t)
	p := newPlugin(t, e)
	filledPool(e, scriptPool("sh").Idle(2).Delay(0))
	for _, tc := range []struct {
		name string
		test func(*testing.T, plugin)
	}{
		{"run ends as its command does", pluginRunEndsAsItsCommandDoes},
		{"Ctrl-C deletes the Job", pluginCtrlCDeletesTheJob},
		{"a gang's lines are told apart", pluginAGangsLinesAreToldApart},
		{"explain tells of a cold start", pluginExplainTellsOfAColdStart},
		{"a rejected launch says what to do", pluginARejectedLaunchSaysWhatToDo},
		{"create-pool makes a pool that the server takes", pluginCreatePoolMakesAPoolThatTheServerTakes},
		{"drain, pause and resume", pluginDrainPauseAndResume},
		{"the page is looked for through the API server", pluginThePageIsLookedForThroughTheAPIServer},
	} {
		t.Run(tc.name, func(t *testing.T) {
			within := *e
			within.T = t
			tc.test(t, plugin{&within, p.program})
		})
	}
}

func pluginRunEndsAsItsCommandDoes(t *testing.T, p plugin) {
	for _, script := range []string{"echo hello; exit 3", "echo hello; exit 0"} {
		p.e.AwaitStatus("sh", 2, 0)
		code, out, errOut := p.run("run", "sh", "--direct", "--env=NAME=hello", "--command", "--", "sh", "-c", strings.ReplaceAll(script, "hello", "$NAME"))
		if want := map[bool]int{true: 3, false: 0}[strings.HasSuffix(script, "3")]; code != want || out != "hello\n" || errOut != "" {
			t.Errorf("%s: it ends with %d, and writes %q and %q", script, code, out, errOut)
		}
	}
	// With the pool's command, which is a shell's: the arguments replace its arguments.
	p.e.AwaitStatus("sh", 2, 0)
	code, out, _ := p.run("run", "sh", "--direct", "--rm", "--name=removed", "--command", "--", "echo", "gone")
	if code != 0 || out != "gone\n" {
		t.Errorf("it ends with %d, and writes %q", code, out)
	}
	p.e.Await("its Job is deleted", func(g gomega.Gomega) {
		err := p.e.Client.Get(t.Context(), client.ObjectKey{Namespace: p.e.Namespace, Name: "removed"}, &batchv1.Job{})
		g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue())
	})
	p.e.AwaitStatus("sh", 2, 0)
	p.says([]string{"run", "sh", "--direct", "--wait=false", "--name=named", "-o", "name", "--command", "--", "true"}, 0, "job.batch/named\n")
	awaitJob(p.e, "named", batchv1.JobComplete)
	if got := startsOf(p.e, "named"); !slices.Equal(got, []string{v1alpha1.StartWarm}) {
		t.Errorf("it started %v, want warm", got)
	}
	p.says([]string{"run", "sh", "--direct", "--name=named"}, 1, "error: there is a Job named already")
}

func pluginCtrlCDeletesTheJob(t *testing.T, p plugin) {
	p.e.AwaitStatus("sh", 2, 0)
	c := p.command("run", "sh", "--direct", "--name=long", "--command", "--", "sh", "-c", "echo began; sleep 300")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "began\n" {
		t.Errorf("its first line is %q, %v", line, err)
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); c.ProcessState.ExitCode() != 130 {
		t.Errorf("it ends with %v, want 130", err)
	}
	p.e.Await("Job and pod are gone", func(g gomega.Gomega) {
		err := p.e.Client.Get(t.Context(), client.ObjectKey{Namespace: p.e.Namespace, Name: "long"}, &batchv1.Job{})
		g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue())
		g.Expect(podsOf(p.e, "long")).To(gomega.BeEmpty())
	})
}

func pluginAGangsLinesAreToldApart(t *testing.T, p plugin) {
	p.e.AwaitStatus("sh", 2, 0)
	code, out, errOut := p.run("run", "sh", "--direct", "--gang=2", "--name=gang", "--command", "--", "sh", "-c", "echo here")
	var want []string
	for _, pod := range podsOf(p.e, "gang") {
		want = append(want, "["+pod.Name+"] here")
	}
	got := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(want)
	if slices.Sort(got); code != 0 || !slices.Equal(got, want) || len(got) != 2 {
		t.Errorf("it ends with %d, and writes\n%s%s", code, out, errOut)
	}
}

func pluginExplainTellsOfAColdStart(_ *testing.T, p plugin) {
	p.e.AwaitStatus("sh", 2, 0)
	p.says([]string{"run", "sh", "--direct", "--name=cold", "--image=busybox", "--command", "--", "true"}, 0, "note: starts cold: spec.template.spec.containers[worker].image differs")
	p.e.Await("its Event is there", func(g gomega.Gomega) {
		g.Expect(eventsAbout(p.e, g, "Job", "cold")).To(gomega.ContainElement(gomega.ContainSubstring("StartedCold")))
	})
	p.says([]string{"explain", "job/cold"}, 0, "it starts cold: spec.template.spec.containers[worker].image differs from pool sh", "→ give the field the same value")
	p.says([]string{"explain", "pod/" + podsOf(p.e, "cold")[0].Name}, 0, "it was made for Job cold, cold")
	p.says([]string{"explain", "job/named"}, 0, "it claimed pod sh-w-", "1 of 1 pods started warm", "it completed")
	p.says([]string{"explain", "sh"}, 0, "pool sh (Push) shall have 2 idle units")
	p.says([]string{"explain", "job/none"}, 1, "error:", "not found")
}

func pluginARejectedLaunchSaysWhatToDo(_ *testing.T, p plugin) {
	filledPool(p.e, scriptPool("full").Idle(0).Standby(func(s *v1alpha1.StandbySpec) { s.WhenEmpty = v1alpha1.WhenEmptyReject }))
	p.says([]string{"run", "full", "--direct"}, 1, "error: the launch was rejected", "kubectl scale hsj/full")
	p.e.Update("full", func(s *v1alpha1.HotStandbyJobSpec) { s.Standby.WhenEmpty = v1alpha1.WhenEmptyWait })
	p.says([]string{"run", "full", "--direct", "--timeout=3s", "--name=late"}, 1,
		"note: waits for pods of pool full", "error: the command hasn't started within 3s: no pod of pool full became free")
	p.e.Await("the Job that came to nothing is deleted", func(g gomega.Gomega) {
		err := p.e.Client.Get(p.e.T.Context(), client.ObjectKey{Namespace: p.e.Namespace, Name: "late"}, &batchv1.Job{})
		g.Expect(apierrors.IsNotFound(err)).To(gomega.BeTrue())
	})
}

func pluginCreatePoolMakesAPoolThatTheServerTakes(t *testing.T, p plugin) {
	every := &batchv1.CronJob{}
	every.Name = "report"
	every.Spec.Schedule, every.Spec.Suspend = "* * * * *", new(true)
	every.Spec.JobTemplate.Spec.Template.Spec = corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: new(int64(1)),
		Containers: []corev1.Container{
			{Name: "report", Image: busybox, Command: []string{"sh", "-c", "echo reported"}, Ports: []corev1.ContainerPort{{ContainerPort: 80}}},
			{Name: "side", Image: busybox, Command: []string{"true"}},
		},
	}
	p.e.Create(every)
	code, manifest, said := p.run("create-pool", "--from", "cronjob/report", "--idle=1", "--max=3")
	if code != 0 || !strings.Contains(said, "+        hsj.paia.tech/pool: report\n") || !strings.Contains(said, "side run from the start") {
		t.Fatalf("it ends with %d, and says\n%s", code, said)
	}
	if strings.Contains(manifest, "uid:") || strings.Contains(manifest, "status:") || strings.Contains(manifest, "creationTimestamp") {
		t.Errorf("the manifest has what the server set:\n%s", manifest)
	}
	file := filepath.Join(t.TempDir(), "pool.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectlOf(t, p.e)("apply", "--dry-run=server", "--validate=strict", "-f", file)
	p.says([]string{"create-pool", "--from", "cronjob/report", "--idle=0", "--apply"}, 0, "hotstandbyjob.apps.paia.tech/report created")
	if h := p.e.Get("report"); h.Spec.Assignment != v1alpha1.AssignmentPush {
		t.Errorf("the pool is %+v", h.Spec)
	}
	p.says([]string{"create-pool", "--from", "cronjob/report", "--apply"}, 1, "error: there is a pool report already")
}

func pluginDrainPauseAndResume(t *testing.T, p plugin) {
	p.e.AwaitStatus("sh", 2, 0)
	p.says([]string{"pause", "sh"}, 0, "hotstandbyjob.apps.paia.tech/sh paused")
	p.says([]string{"drain", "sh"}, 1, "error: pool sh is paused")
	p.says([]string{"resume", "sh"}, 0, "sh resumed\n")
	p.says([]string{"resume", "sh"}, 0, "sh is neither paused nor drained")

	p.e.Create(kit.Launch("busy", p.e.Get("sh")).Shell("sleep 300").Obj())
	p.e.AwaitStatus("sh", 2, 1)
	p.says([]string{"drain", "sh"}, 0, "2 idle or starting, 1 busy", "drained; busy: 1")
	p.e.AwaitStatus("sh", 0, 1)
	if pods := podsOf(p.e, "busy"); len(pods) != 1 || !kit.Live(&pods[0]) {
		t.Errorf("the busy pod is %v", names(pods))
	}
	p.says([]string{"explain", "sh"}, 0, "it was drained")
	p.says([]string{"resume", "sh"}, 0, "sh resumed with idleTarget 2")
	p.e.AwaitStatus("sh", 2, 1)
}

func pluginThePageIsLookedForThroughTheAPIServer(t *testing.T, p plugin) {
	p.says([]string{"top", "--once"}, 0, "POOL", "sh", "2/2", "note: without launches (-): the kubeconfig has no token", "--service-account=NAME")
	page := []string{"top", "--once", "--service-account=default", "--operator-namespace=" + p.e.Namespace}
	p.says(page, 0, "2/2", "no operator leads in namespace")
	leader := &corev1.Pod{Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: new(int64(0)),
		Containers:                    []corev1.Container{{Name: "page", Image: busybox, Command: []string{"sleep", "3600"}}},
	}}
	leader.Name, leader.Labels = "leader", map[string]string{"hsj.paia.tech/leader": "true"}
	p.e.Create(leader)
	p.e.Await("it runs", func(g gomega.Gomega) {
		g.Expect(p.e.Client.Get(t.Context(), client.ObjectKeyFromObject(leader), leader)).To(gomega.Succeed())
		g.Expect(leader.Status.Phase).To(gomega.Equal(corev1.PodRunning))
	})
	p.says(page, 0, "2/2", "the operator's page doesn't answer (is it off")
}
