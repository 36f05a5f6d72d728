// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/run"
)

// hsj runs a command line against an API server.
func hsj(t *testing.T, server string, args ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	var o, e bytes.Buffer
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &o, ErrOut: &e}
	code = Run(t.Context(), append([]string{"--server", server, "--namespace", "games"}, args...), streams, clock.RealClock{})
	return code, o.String(), e.String()
}

const pools = `{"kind":"HotStandbyJobList","apiVersion":"apps.paia.tech/v1alpha1","items":[
	{"kind":"HotStandbyJob","apiVersion":"apps.paia.tech/v1alpha1","metadata":{"name":"match","namespace":"games"},"spec":{"idleTarget":2},"status":{"idleCount":1}},
	{"kind":"HotStandbyJob","apiVersion":"apps.paia.tech/v1alpha1","metadata":{"name":"runner","namespace":"games"},"spec":{},"status":{}}]}`

// server answers as an API server does.
func server(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/apis/apps.paia.tech/v1alpha1/namespaces/games/hotstandbyjobs":
			_, _ = io.WriteString(w, pools)
		case "/apis/batch/v1/namespaces/games/jobs":
			_, _ = io.WriteString(w, `{"kind":"JobList","apiVersion":"batch/v1","items":[{"metadata":{"name":"match-1"}}]}`)
		case "/apis/apps.paia.tech/v1alpha1/namespaces/games/hotstandbyjobs/nope":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","details":{"name":"nope"},"code":404}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestErrorsAndExitCodes(t *testing.T) {
	url := server(t)
	for name, tc := range map[string]struct {
		args []string
		code int
		want string // on stderr
	}{
		"no such flag":     {[]string{"run", "--nope"}, 1, "error: unknown flag: --nope\nSee 'kubectl hsj run --help' for usage\n"},
		"no such command":  {[]string{"nope"}, 1, "error: unknown command \"nope\""},
		"no such pool":     {[]string{"run", "nope"}, 1, "error: there is no pool nope in namespace games"},
		"no such column":   {[]string{"top", "--sort-by=nope"}, 1, "error: --sort-by"},
		"no such target":   {[]string{"explain", "node/a"}, 1, "error: \"node/a\": want POOL"},
		"no source":        {[]string{"create-pool"}, 1, "error: --from is needed"},
		"not installed":    {[]string{"--namespace=other", "drain", "match"}, 1, "error: this cluster has no HotStandbyJobs: install the operator first"},
		"no token":         {[]string{"ui"}, 1, "error: the kubeconfig has no token"},
		"nothing is wrong": {[]string{"version"}, 0, ""},
	} {
		if code, _, text := hsj(t, url, tc.args...); code != tc.code || !strings.HasPrefix(text, tc.want) {
			t.Errorf("%s: %d %q, want %d %q", name, code, text, tc.code, tc.want)
		}
	}
	if got := code(run.Exit{Code: 3}, io.Discard); got != 3 {
		t.Errorf("a command's code 3 becomes %d", got)
	}
	var said bytes.Buffer
	if got := code(errors.New("why"), &said); got != 1 || said.String() != "error: why\n" {
		t.Errorf("an error is %d, %q", got, said.String())
	}
}

func TestTopOnce(t *testing.T) {
	url := server(t)
	code, out, errOut := hsj(t, url, "top", "--once")
	if code != 0 || !strings.Contains(out, "match      1/2") || !strings.Contains(errOut, "--service-account") {
		t.Errorf("%d\n%s%s", code, out, errOut)
	}
	if _, out, _ := hsj(t, url, "top", "-o", "name"); out != "hotstandbyjob.apps.paia.tech/match\nhotstandbyjob.apps.paia.tech/runner\n" {
		t.Errorf("the names are\n%s", out)
	}
}

func TestNamesAreCompleted(t *testing.T) {
	url := server(t)
	for line, want := range map[string]string{
		"run m":          "match\n:4\n",
		"drain ":         "match\nrunner\n:4\n",
		"explain job/":   "job/match-1\n:4\n",
		"top --sort-by=": "--sort-by=namespace\n", // and the others
	} {
		args := append([]string{"__complete"}, strings.Split(line, " ")...)
		if _, out, _ := hsj(t, url, args...); !strings.HasPrefix(out, strings.TrimPrefix(want, "--sort-by=")) {
			t.Errorf("%q is completed with\n%s\nwant\n%s", line, out, want)
		}
	}
}

// kubectl asks the program kubectl_complete-hsj for completions, and it this plugin.
func TestKubectlsContractOfCompletion(t *testing.T) {
	info, err := os.Stat("../../packaging/kubectl_complete-hsj")
	if err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the script can't be run: %v, %v", info, err)
	}
}
