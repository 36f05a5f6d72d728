// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestAWarmUpThatFailsFailsThePod(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want int
		says string
	}{
		"with its exit code": {[]string{"--warmup", `["sh","-c","exit 4"]`}, 4, `warm-up: command "sh": exit code 4`},
		"by a signal":        {[]string{"--warmup", `["sh","-c","kill -9 $$$$"]`}, 137, `warm-up: command "sh": ended by signal killed`},
		"not found":          {[]string{"--warmup", `["no-such-command"]`}, 127, "not found in PATH"},
		"in time":            {[]string{"--warmup", `["sleep","60"]`, "--warmup-timeout", "20ms"}, 1, "it took longer than 20ms"},
		"without a place to say that it is done": {
			[]string{"--warmup", `["true"]`, "--run-dir", "/no/such/directory"}, 1, "tell that the warm-up is done",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKubelet(t)
			k.launch(launchOf("echo launched"))
			p := newPod(t, k, tc.args...)
			p.wants(tc.want)
			if !strings.Contains(p.out.String(), tc.says) || !strings.Contains(p.lastWords(), tc.says) {
				t.Errorf("it wrote %q, its last words were %q; want %q", p.out.String(), p.lastWords(), tc.says)
			}
			if strings.Contains(p.out.String(), "launched") || Ready(Config{RunDir: p.run}) == nil {
				t.Error("it went on")
			}
		})
	}
}

func TestWhatTheWarmUpStartedGoesOn(t *testing.T) {
	k := newKubelet(t)
	p := newPod(t, k, "--warmup", `["sh","-c","(while :; do echo served; sleep 0.01; done) & echo started by $(BASE)"]`)
	eventually(t, "it is ready", func() bool { return Ready(Config{RunDir: p.run}) == nil })
	if !strings.Contains(p.out.String(), "started by base") {
		t.Errorf("it wrote %q", p.out.String())
	}
	k.launch(launchOf("echo launched; exec sleep 60"))
	p.says("launched")
	served := strings.Count(p.out.String(), "served")
	eventually(t, "it goes on", func() bool { return strings.Count(p.out.String(), "served") > served+3 })
	for _, pid := range children(t, p.pid()) {
		defer kill(t, pid)
	}
	p.signal(syscall.SIGTERM)
	p.wants(143)
}

func TestAPodIsTerminatedInItsWarmUp(t *testing.T) {
	p := newPod(t, newKubelet(t), "--warmup", `["sh","-c","echo warming; exec sleep 60"]`)
	p.says("warming")
	p.signal(syscall.SIGTERM)
	p.wants(143)
}

func TestAContainerThatIsRestartedIsNotReadyBeforeItsWarmUp(t *testing.T) {
	k := newKubelet(t)
	p := preparePod(t, k, "--warmup", `["sh","-c","echo warming; exec sleep 60"]`)
	before := Config{RunDir: p.run}
	if err := before.setReady(); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.says("warming")
	if Ready(before) == nil {
		t.Error("it is ready")
	}
}

// kill ends what the end of a container would.
func kill(t *testing.T, pid string) {
	t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(number, syscall.SIGKILL) // it may have ended
}
