// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// byFile is a probe for workers that keep a file while they are busy.
func byFile() v1alpha1.BusyProbe {
	return v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{
		Command: []string{"/worker", "cat", "/tmp/busy_state"}, PeriodSeconds: 1, TimeoutSeconds: 20,
	}}
}

// byShell is a probe that runs a script in busybox.
func byShell(script string) v1alpha1.BusyProbe {
	return v1alpha1.BusyProbe{Mode: v1alpha1.BusyByExec, Exec: &v1alpha1.ExecProbe{
		Command: []string{"sh", "-c", script}, PeriodSeconds: 1, TimeoutSeconds: 20,
	}}
}

// shellPool begins a pool on the real node whose container runs a script and then does nothing.
func shellPool(name, script string) *kit.PoolBuilder {
	return kit.Pool(name).Real().With(func(s *v1alpha1.HotStandbyJobSpec) {
		c := &s.JobTemplate.Template.Spec.Containers[0]
		c.Image, c.Args = busybox, nil
		c.Command = []string{"sh", "-c", script + "; exec sleep 3600"}
	})
}

// sidecar is a second container, which does nothing.
func sidecar(name string) corev1.Container {
	return corev1.Container{Name: name, Image: busybox, ImagePullPolicy: corev1.PullIfNotPresent, Command: []string{"sleep", "3600"}}
}

func TestExecByTheKubeletSeesAWorkersFile(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		e.Guard("file", 4)
		e.Create(kit.Pool("file").Real("run", "-busy-by=file").Idle(2).Max(4).Layout(layout).Probe(byFile()).Obj())
		e.AwaitStatus("file", 2, 0)
		pods := inOrder(e, "file")
		tell(e, &pods[0], "/busy")
		e.AwaitStatus("file", 2, 1)
		awaitState(e, &pods[0], v1alpha1.PodBusy)
		tell(e, &pods[1], "/busy")
		e.AwaitStatus("file", 2, 2)
		tell(e, &pods[0], "/idle")
		e.AwaitStatus("file", 2, 1)
		awaitPods(e, "file", 3)
		tell(e, &pods[1], "/exit?code=0")
		e.AwaitStatus("file", 2, 0)
	})
}

// Defect 13: successIsBusy: false was ignored, so that idle pods were read as busy and the pool grew to maxReplicas.
func TestExecByTheKubeletWhoseSuccessIsIdle(t *testing.T) {
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		e := kit.New(t)
		needNode(e)
		e.Operator()
		probe := byShell("test -e /tmp/warm")
		probe.Exec.SuccessIsBusy = new(false)
		e.Guard("inverted", 3)
		e.Create(shellPool("inverted", "touch /tmp/warm").Idle(2).Layout(layout).Probe(probe).Obj())
		e.AwaitStatus("inverted", 2, 0)
		pods := inOrder(e, "inverted")
		inside(e, &pods[1], "worker", "rm /tmp/warm")
		e.AwaitStatus("inverted", 2, 1)
		awaitState(e, &pods[1], v1alpha1.PodBusy)
		inside(e, &pods[1], "worker", "touch /tmp/warm")
		e.AwaitStatus("inverted", 2, 0)
	})
}

func TestExecRunsInTheContainerThatIsNamed(t *testing.T) {
	testExecContainer(t, "named", func(s *v1alpha1.HotStandbyJobSpec) { s.BusyProbe.Exec.Container = new("game") })
}

func TestExecRunsInTheDefaultContainer(t *testing.T) {
	testExecContainer(t, "annotated", func(s *v1alpha1.HotStandbyJobSpec) {
		s.JobTemplate.Template.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": "game"}
	})
}

// testExecContainer tests that a pool's probe looks into the container game, which is not the first, by either runner.
func testExecContainer(t *testing.T, name string, choose func(*v1alpha1.HotStandbyJobSpec)) {
	t.Helper()
	forLayouts(t, func(t *testing.T, layout v1alpha1.Layout) {
		for _, runner := range []v1alpha1.ExecRunner{v1alpha1.ExecKubelet, v1alpha1.ExecAPIServer} {
			t.Run(string(runner), func(t *testing.T) {
				t.Parallel()
				e := kit.New(t)
				needNode(e)
				e.Operator(execEnabled)
				e.Create(shellPool(name, ":").Idle(1).Layout(layout).Probe(byShell("test -e /tmp/busy")).With(choose).
					With(func(s *v1alpha1.HotStandbyJobSpec) {
						s.BusyProbe.Exec.Runner = runner
						spec := &s.JobTemplate.Template.Spec
						spec.Containers = append(spec.Containers, sidecar("game"))
					}).Obj())
				e.AwaitStatus(name, 1, 0)
				pod := inOrder(e, name)[0]
				inside(e, &pod, "worker", "touch /tmp/busy") // not the one that is looked into
				inside(e, &pod, "game", "touch /tmp/busy")
				e.AwaitStatus(name, 1, 1)
				awaitState(e, &pod, v1alpha1.PodBusy)
				inside(e, &pod, "game", "rm /tmp/busy")
				awaitState(e, &pod, v1alpha1.PodIdle)
			})
		}
	})
}
