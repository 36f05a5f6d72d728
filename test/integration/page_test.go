// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

const noBrowserVariable = "HSJ_NO_BROWSER"

// needBrowser skips the test where it was said that there is no browser. Where one is missing it fails: tools/test.sh
// installs what it needs.
func needBrowser(t *testing.T) (chromium string) {
	t.Helper()
	if os.Getenv(noBrowserVariable) == "1" {
		t.Skipf("the page isn't tried: %s=1", noBrowserVariable)
	}
	for _, program := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(program); err == nil {
			return found
		}
	}
	t.Fatalf("there is no Chromium: install the package chromium, or set %s=1", noBrowserVariable)
	return ""
}

// TestPageShowsABurst has a browser look at the page of an operator at work; what it must see is in ui/test.
func TestPageShowsABurst(t *testing.T) {
	chromium := needBrowser(t)
	e := kit.New(t)
	address, page := e.Page()
	var url string
	e.PushOperator(page, func(c *config.Operator) { c.Push.GatewayAnyAddress, url = true, c.Push.GatewayURL })
	e.Streams(url, func() time.Duration { return time.Duration(20+rand.IntN(40)) * time.Second })
	arena := filledPool(e, kit.PushPool("arena").Simulated().Idle(60).Standby(func(s *v1alpha1.StandbySpec) { s.WhenEmpty = v1alpha1.WhenEmptyWait }))
	lobby := filledPool(e, kit.PushPool("lobby").Simulated().Idle(4))
	e.Create(kit.Pool("workers").Idle(3).Obj())
	e.AwaitStatus("workers", 3, 0)

	stop := trickle(e, arena, lobby)
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pool := arena
		if r.URL.Query().Get("pool") == lobby.Name {
			pool = lobby
		}
		n, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		launchAtOnce(e, n, r.URL.Query().Get("name"), pool)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer control.Close()
	run := exec.CommandContext(t.Context(), "npx", "--no-install", "playwright", "test") //nolint:gosec // a tool of this source tree
	run.Dir = filepath.Join(kit.Root(), "ui")
	run.Env = append(os.Environ(),
		"HSJ_CHROMIUM="+chromium, "HSJ_PAGE=https://"+address, "HSJ_NAMESPACE="+e.Namespace, "HSJ_BURST="+control.URL,
		"HSJ_TOKEN="+viewer(e, "viewer", true), "HSJ_STRANGER="+viewer(e, "stranger", false))
	out, err := run.CombinedOutput()
	stop()
	t.Logf("playwright:\n%s", out)
	if err != nil {
		t.Errorf("the page isn't as it should be: %v", err)
	}
}

// viewer makes a token of a service account, which may list pools, as the role view lets it, if mayView is true.
func viewer(e *kit.Env, account string, mayView bool) string {
	e.T.Helper()
	e.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}})
	if mayView {
		e.Create(&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: account},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"hotstandbyjobs"}, Verbs: []string{"list"}}},
		})
		e.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: account},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: e.Namespace}},
		})
	}
	return requestToken(e, account, authenticationv1.TokenRequestSpec{})
}

// trickle launches a little all the time, until it is stopped.
func trickle(e *kit.Env, arena, lobby *v1alpha1.HotStandbyJob) (stop func()) {
	ctx, cancel := context.WithCancel(e.T.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(1000+rand.IntN(1500)) * time.Millisecond):
			}
			pool := arena
			if i%3 == 0 {
				pool = lobby
			}
			launchQuietly(ctx, e, kit.Launch(fmt.Sprintf("match-%04d", i), pool))
		}
	})
	return func() {
		cancel()
		wait.Wait()
	}
}

// launchAtOnce makes so many Jobs, side by side.
func launchAtOnce(e *kit.Env, n int, name string, pool *v1alpha1.HotStandbyJob) {
	jobs := make(chan string, n)
	for i := range n {
		jobs <- fmt.Sprintf("%s-%03d", strings.ToLower(name), i)
	}
	close(jobs)
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for job := range jobs {
				launchQuietly(e.T.Context(), e, kit.Launch(job, pool))
			}
		})
	}
	wait.Wait()
}

// launchQuietly makes a Job, from any goroutine.
func launchQuietly(ctx context.Context, e *kit.Env, l *kit.LaunchBuilder) {
	j := l.Obj()
	j.Namespace = e.Namespace
	if err := e.Client.Create(ctx, j); err != nil && ctx.Err() == nil {
		e.T.Errorf("create Job %s: %v", j.Name, err)
	}
}
