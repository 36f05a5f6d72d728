// SPDX-License-Identifier: Apache-2.0

package page

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

// served is a page that knows one token, and the file with its certificate.
func served(t *testing.T) (url, ca string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error": "the token isn't valid: get another"}`)
			return
		}
		switch r.URL.Path {
		case "/api/v1/pools":
			_, _ = io.WriteString(w, `{"now": "2026-01-02T03:04:05Z", "pricePerPodHour": 0.5, "pools": [{"namespace": "`+r.URL.Query().Get("namespace")+
				`", "name": "match", "launchesPerSecond": 1.5, "p50": 0.02, "idleSeconds": 7200, "samples": []}]}`)
		case "/api/v1/launches":
			_ = json.NewEncoder(w).Encode(map[string]any{"launches": []Launch{{Job: r.URL.Query().Get("job"), Total: 0.25}}})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.URL, ca
}

func clusterWith(t *testing.T, config *rest.Config) *cluster.Cluster {
	t.Helper()
	k, err := cluster.New(config, "games")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestThePageIsReadWithTheKubeconfigsToken(t *testing.T) {
	url, ca := served(t)
	k := clusterWith(t, &rest.Config{Host: "https://localhost:1", BearerToken: "good"})
	p, err := Open(t.Context(), k, Options{URL: url, CA: ca}, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	pools, err := p.Pools(t.Context(), "games")
	if err != nil || len(pools.Pools) != 1 || pools.Pools[0].Namespace != "games" || *pools.Pools[0].P50 != 0.02 || pools.Pools[0].P99 != nil || *pools.PricePerPodHour != 0.5 {
		t.Errorf("the pools are %+v, %v", pools, err)
	}
	launches, err := p.Launches(t.Context(), "games", "match", "match-1", 5)
	if err != nil || len(launches) != 1 || launches[0].Job != "match-1" || launches[0].Total != 0.25 {
		t.Errorf("the launches are %+v, %v", launches, err)
	}
}

func TestWhatThePageSaysIsPassedOn(t *testing.T) {
	url, ca := served(t)
	k := clusterWith(t, &rest.Config{Host: "https://localhost:1", BearerToken: "bad"})
	p, err := Open(t.Context(), k, Options{URL: url, CA: ca}, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Pools(t.Context(), "games"); err == nil || err.Error() != "the token isn't valid: get another" {
		t.Errorf("the error is %v", err)
	}
}

func TestAKubeconfigWithoutATokenIsToldTheFlag(t *testing.T) {
	for name, config := range map[string]*rest.Config{
		"a certificate": {Host: "https://localhost:1"},
		"a password":    {Host: "https://localhost:1", Username: "a", Password: "b"},
	} {
		_, err := Open(t.Context(), clusterWith(t, config), Options{URL: "https://localhost:2"}, clock.RealClock{})
		if !errors.Is(err, errNoToken) || !strings.Contains(err.Error(), "--service-account") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServiceAccountsTokenIsRenewedInTime(t *testing.T) {
	url, ca := served(t)
	asked := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/namespaces/games/serviceaccounts/viewer/token" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		asked++
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","status":{"token":"good","expirationTimestamp":"`+
			time.Now().Add(time.Duration(asked)*4*time.Minute).UTC().Format(time.RFC3339)+`"}}`)
	}))
	defer api.Close()
	p, err := Open(t.Context(), clusterWith(t, &rest.Config{Host: api.URL}), Options{URL: url, CA: ca, ServiceAccount: "viewer"}, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // the first is about to expire, the second isn't
		if _, err := p.Pools(t.Context(), "games"); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 2 {
		t.Errorf("the API server was asked for %d tokens, want 2", asked)
	}
}

func TestAddressesThatATokenIsNotSentTo(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://page.example.com": true, "http://127.0.0.1:1": true, "http://[::1]:1": true, "http://localhost:1": true,
		"http://page.example.com": false, "page.example.com:1": false, "ftp://localhost": false, "": false,
	} {
		if _, err := direct(text); (err == nil) != ok {
			t.Errorf("--url %q: %v", text, err)
		}
	}
}

func TestTheLeaderIsOneThatRuns(t *testing.T) {
	pod := func(name string, phase corev1.PodPhase, port int32) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.PodStatus{Phase: phase}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "ui", ContainerPort: port}}}},
		}}
	}
	if name, port := leaderOf([]corev1.Pod{pod("old", corev1.PodFailed, 1), pod("new", corev1.PodRunning, 2)}); name != "new" || port != 2 {
		t.Errorf("the leader is %s, port %d", name, port)
	}
	if name, _ := leaderOf(nil); name != "" {
		t.Errorf("the leader of none is %s", name)
	}
}
