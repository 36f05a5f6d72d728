// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/access"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a handler, and the API server and the pools behind it.
type served struct {
	*Handler
	asked  []authorizationv1.ResourceAttributes
	broken bool
	pools  []v1alpha1.HotStandbyJob
	fails  error
	hold   chan struct{} // nil: lists don't wait
}

func (s *served) List(_ context.Context, namespace string) ([]v1alpha1.HotStandbyJob, error) {
	if s.hold != nil {
		<-s.hold
	}
	var out []v1alpha1.HotStandbyJob
	for _, h := range s.pools {
		if namespace == "" || namespace == h.Namespace {
			out = append(out, h)
		}
	}
	return out, s.fails
}

// serve has pools games/game and ci/runner; jane may see those of games, and root all.
func serve(t *testing.T) *served {
	t.Helper()
	s := &served{}
	for _, name := range []types.NamespacedName{{Namespace: "games", Name: "game"}, {Namespace: "ci", Name: "runner"}} {
		s.pools = append(s.pools, v1alpha1.HotStandbyJob{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}})
	}
	api := fake.NewClientset()
	api.PrependReactor("create", "tokenreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		create, _ := a.(clienttesting.CreateAction)
		review, _ := create.GetObject().(*authenticationv1.TokenReview)
		review.Status.User.Username = review.Spec.Token
		review.Status.Authenticated = slices.Contains([]string{"jane", "root"}, review.Spec.Token)
		if s.broken {
			return true, nil, errors.New("connection refused")
		}
		return true, review, nil
	})
	api.PrependReactor("create", "subjectaccessreviews", func(a clienttesting.Action) (bool, runtime.Object, error) {
		create, _ := a.(clienttesting.CreateAction)
		review, _ := create.GetObject().(*authorizationv1.SubjectAccessReview)
		s.asked = append(s.asked, *review.Spec.ResourceAttributes)
		review.Status.Allowed = review.Spec.User == "root" || review.Spec.ResourceAttributes.Namespace == "games"
		return true, review, nil
	})
	clock, log := clocktesting.NewFakePassiveClock(noon), slog.New(slog.DiscardHandler)
	s.Handler = New(Deps{
		Pools: s, Journal: journal.New(clock), Clock: clock, Log: log, PricePerPodHour: 0.5,
		Waiting:  func(pool types.NamespacedName) int { return len(pool.Name) },
		Reviewer: access.New(access.Deps{Client: api, Clock: clock, Log: log, Reviews: 1}),
	})
	return s
}

// get asks, as somebody.
func (s *served) get(t *testing.T, who, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// read reads JSON.
func read[T any](t *testing.T, body io.Reader) (out T) {
	t.Helper()
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhoIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		who, path string
		change    func(*served)
		code      int
		says      string
	}{
		"nobody":                            {"", "/api/v1/pools", nil, 401, "kubectl create token"},
		"a token that isn't known":          {"joe", "/api/v1/pools", nil, 401, "isn't valid"},
		"who may not see all namespaces":    {"jane", "/api/v1/pools", nil, 403, "may not list hotstandbyjobs in all namespaces"},
		"who may not see this one":          {"jane", "/api/v1/launches?namespace=ci", nil, 403, `in namespace "ci"`},
		"a name that no namespace has":      {"root", "/api/v1/pools?namespace=A%2Fb", nil, 400, "namespace must be"},
		"a pool that can't be":              {"root", "/api/v1/launches?pool=%00", nil, 400, "pool must be"},
		"a Job that can't be":               {"root", "/api/v1/launches?job=-", nil, 400, "job must be"},
		"history that isn't yes or no":      {"root", "/api/v1/pools?history=maybe", nil, 400, "history must be true or false"},
		"no launches":                       {"root", "/api/v1/launches?limit=0", nil, 400, "limit must be a number from 1 to 1000"},
		"too many launches":                 {"root", "/api/v1/launches?limit=1001", nil, 400, "limit must be"},
		"what there isn't":                  {"root", "/api/v2/pools", nil, 404, "/api/v1/pools"},
		"all while the API server is away":  {"root", "/api/v1/pools", func(s *served) { s.broken = true }, 503, "try again"},
		"all while pools can't be listed":   {"root", "/api/v1/pools", func(s *served) { s.fails = errors.New("no cache") }, 503, "try again"},
		"all while too many are under way":  {"root", "/api/v1/pools", func(s *served) { s.turns = make(chan struct{}) }, 429, "try again"},
		"who asks for another page's files": {"root", "/assets/../../handler.go", nil, 307, ""},
		"who asks for a file there isn't":   {"", "/assets/none.js", nil, 404, ""},
		"who asks for the folder of files":  {"", "/assets/", nil, 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			if tc.change != nil {
				tc.change(s)
			}
			w := s.get(t, tc.who, tc.path)
			if w.Code != tc.code || w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Content-Security-Policy") == "" {
				t.Errorf("status %d with %v, want %d", w.Code, w.Header(), tc.code)
			}
			if tc.says == "" {
				return
			}
			if got := read[failure](t, w.Body).Error; !strings.Contains(got, tc.says) {
				t.Errorf("the error %q doesn't say %q", got, tc.says)
			}
		})
	}
}

func TestOnlyReading(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		for _, path := range []string{"/", "/api/v1/pools", "/api/v1/launches"} {
			s, w := serve(t), httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
			r.Header.Set("Authorization", "Bearer root")
			s.ServeHTTP(w, r)
			if w.Code < 400 {
				t.Errorf("%s %s: status %d", method, path, w.Code)
			}
		}
	}
}

func TestWhatIsAskedAboutTheCaller(t *testing.T) {
	s := serve(t)
	for range 3 {
		if w := s.get(t, "jane", "/api/v1/pools?namespace=games"); w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	s.Namespace = "games" // of an operator that serves this one alone
	if w := s.get(t, "jane", "/api/v1/launches"); w.Code != http.StatusOK {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	want := []authorizationv1.ResourceAttributes{{Namespace: "games", Verb: "list", Group: v1alpha1.GroupName, Version: "v1alpha1", Resource: "hotstandbyjobs"}}
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Errorf("asked of the API server (-want +got):\n%s", diff)
	}
}

func TestPools(t *testing.T) {
	s := serve(t)
	game := types.NamespacedName{Namespace: "games", Name: "game"}
	s.Journal.Take(game, journal.Sample{Idle: 1, Busy: 2, Starting: 3, Waiting: 4})
	s.Journal.Record(journal.Launch{Pool: game, Start: journal.Cold, Reason: "no pod was idle"})

	w := s.get(t, "root", "/api/v1/pools")
	if got := w.Header().Get("Cache-Control"); got != "no-store" || w.Code != http.StatusOK {
		t.Errorf("status %d, kept: %s", w.Code, got)
	}
	all := read[map[string]any](t, w.Body)
	if all["now"] != "2026-01-02T12:00:00Z" || all["periodSeconds"] != 10.0 || all["pricePerPodHour"] != 0.5 || len(all["bounds"].([]any)) != len(journal.Bounds) {
		t.Errorf("got %v", all)
	}
	list, _ := all["pools"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["name"] != "runner" {
		t.Fatalf("the pools are %v", list)
	}
	p, _ := list[1].(map[string]any)
	minute := map[string]any{
		"begin": "2026-01-02T12:00:00Z", "starts": map[string]any{"cold": 1.0}, "reasons": map[string]any{"no pod was idle": 1.0},
		"latencies": slices.Repeat([]any{0.0}, len(journal.Bounds)+1),
	}
	want := map[string]any{
		"namespace": "games", "name": "game", "assignment": "", "idleTarget": 0.0, "desired": 0.0, "idle": 0.0, "busy": 0.0, "starting": 0.0,
		"unknown": 0.0, "waiting": 4.0, "ready": "Unknown", "reason": "", "message": "", "launchesPerSecond": 1.0 / 60, "hitRatio": 0.0,
		"idleSeconds": 0.0, "samples": []any{[]any{1.0, 2.0, 3.0, 4.0}}, "until": "2026-01-02T12:00:00Z", "minutes": []any{minute},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("a pool (-want +got):\n%s", diff)
	}
}

func TestHistoryIsLeftOut(t *testing.T) {
	s := serve(t)
	w := s.get(t, "jane", "/api/v1/pools?history=false&namespace=games")
	for _, name := range []string{"samples", "until", "minutes"} {
		if strings.Contains(w.Body.String(), name) {
			t.Errorf("the answer has %s: %s", name, w.Body)
		}
	}
	if got := read[Pools](t, w.Body).Pools; len(got) != 1 || got[0].Name != "game" {
		t.Errorf("the pools are %v", got)
	}
}

func TestLaunches(t *testing.T) {
	s := serve(t)
	for i := range 150 {
		pool := types.NamespacedName{Namespace: []string{"games", "ci"}[i%2], Name: []string{"game", "lobby", "runner"}[i%3]}
		s.Journal.Record(journal.Launch{
			Pool: pool, Job: fmt.Sprint("j", i), Pod: fmt.Sprint("p", i), Start: journal.Warm, Seen: noon, Started: noon.Add(15 * time.Millisecond),
			Queue: time.Millisecond, Claim: 2 * time.Millisecond, Deliver: 4 * time.Millisecond, Begin: 8 * time.Millisecond,
		})
	}
	for path, want := range map[string]int{
		"/api/v1/launches": 100, "/api/v1/launches?limit=1000": 150, "/api/v1/launches?namespace=games&limit=1000": 75,
		"/api/v1/launches?namespace=games&pool=game&limit=1000": 25, "/api/v1/launches?job=j7": 1, "/api/v1/launches?job=x": 0,
	} {
		if got := read[Launches](t, s.get(t, "root", path).Body).Launches; got == nil || len(got) != want {
			t.Errorf("%s: %d launches, want %d", path, len(got), want)
		}
	}
	got := read[map[string][]map[string]any](t, s.get(t, "root", "/api/v1/launches?limit=1").Body)["launches"][0]
	want := map[string]any{
		"namespace": "ci", "pool": "runner", "job": "j149", "pod": "p149", "start": "warm", "reason": "", "seen": "2026-01-02T12:00:00Z",
		"started": "2026-01-02T12:00:00.015Z", "queue": 0.001, "claim": 0.002, "deliver": 0.004, "begin": 0.008, "total": 0.015,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the newest (-want +got):\n%s", diff)
	}
}

func TestAnswersAreCompressed(t *testing.T) {
	s := serve(t)
	for range 300 {
		s.Journal.Take(types.NamespacedName{Namespace: "games", Name: "game"}, journal.Sample{Idle: 1})
	}
	for accepts, want := range map[string]string{"": "", "gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0": "", "deflate": ""} {
		w := s.get(t, "root", "/api/v1/pools", "Accept-Encoding", accepts)
		body := io.Reader(w.Body)
		if got := w.Header().Get("Content-Encoding"); got != want {
			t.Errorf("%q: encoded as %q, want %q", accepts, got, want)
		}
		if want == "gzip" {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		if got := read[Pools](t, body); len(got.Pools) != 2 {
			t.Errorf("%q: got %v", accepts, got)
		}
	}
}

func TestFiles(t *testing.T) {
	s := serve(t)
	index := s.get(t, "", "/")
	text := index.Body.String()
	if index.Code != http.StatusOK || !strings.HasPrefix(index.Header().Get("Content-Type"), "text/html") || index.Header().Get("Cache-Control") != "no-cache" {
		t.Fatalf("status %d, %v", index.Code, index.Header())
	}
	for _, inline := range []string{`<script>`, `<style`, ` style=`, ` onclick=`, "http:", "https:"} {
		if strings.Contains(text, inline) {
			t.Errorf("the page has %s, which its policy or its promise to work offline forbids", inline)
		}
	}
	files := regexp.MustCompile(`(?:src|href)="\./(assets/[^"]+)"`).FindAllStringSubmatch(text, -1)
	if len(files) < 3 {
		t.Fatalf("the page refers to %v", files)
	}
	for _, file := range files {
		w := s.get(t, "", "/"+file[1], "Accept-Encoding", "gzip")
		tag := w.Header().Get("ETag")
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || tag == "" {
			t.Errorf("%s: status %d, %v", file[1], w.Code, w.Header())
		}
		if again := s.get(t, "", "/"+file[1], "Accept-Encoding", "gzip", "If-None-Match", tag); again.Code != http.StatusNotModified {
			t.Errorf("%s is sent again: status %d", file[1], again.Code)
		}
		if plain := s.get(t, "", "/"+file[1]); plain.Header().Get("Content-Encoding") != "" || plain.Header().Get("ETag") == tag && w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s uncompressed: %v", file[1], plain.Header())
		}
	}
	if w := s.get(t, "", "/licenses.md"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "uplot") {
		t.Errorf("the licences: status %d", w.Code)
	}
}

func TestRequestsThatWaitAreCounted(t *testing.T) {
	s := serve(t)
	s.hold = make(chan struct{})
	answers := make(chan int, underWay)
	for range underWay {
		go func() { answers <- s.get(t, "root", "/api/v1/pools").Code }()
	}
	for len(s.turns) < underWay {
		time.Sleep(time.Millisecond)
	}
	if w := s.get(t, "root", "/api/v1/pools"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("one more: status %d", w.Code)
	}
	close(s.hold)
	for range underWay {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("one of many: status %d", code)
		}
	}
	if w := s.get(t, "root", "/api/v1/pools"); w.Code != http.StatusOK {
		t.Errorf("afterwards: status %d", w.Code)
	}
}
