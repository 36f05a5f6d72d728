// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1/launcherv1connect"
)

// gateway plays a script: each call of Launch is answered by the next scene.
type gateway struct {
	launcherv1connect.UnimplementedLauncherHandler
	mu     sync.Mutex
	scenes []scene
	keys   []string
	tokens []string
	gone   bool // the Job
	calls  int  // of Cancel and Start
	fail   int  // how many of these fail
}

type scene struct {
	events []*launcherv1.LaunchResponse
	end    error
}

func (g *gateway) Launch(ctx context.Context, r *launcherv1.LaunchRequest, s *connect.ServerStream[launcherv1.LaunchResponse]) error {
	g.mu.Lock()
	g.keys = append(g.keys, r.GetRequestKey())
	info, _ := connect.CallInfoForHandlerContext(ctx)
	g.tokens = append(g.tokens, info.RequestHeader().Get("Authorization"))
	if len(g.scenes) == 0 {
		g.mu.Unlock()
		return connect.NewError(connect.CodeInternal, errors.New("the script has ended"))
	}
	next := g.scenes[0]
	g.scenes = g.scenes[1:]
	g.mu.Unlock()
	for _, e := range next.events {
		if err := s.Send(e); err != nil {
			return err
		}
	}
	return next.end
}

func (g *gateway) Get(context.Context, *launcherv1.GetRequest) (*launcherv1.GetResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gone {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such Job"))
	}
	return &launcherv1.GetResponse{Job: "j", Uid: "u"}, nil
}

func (g *gateway) Cancel(context.Context, *launcherv1.CancelRequest) (*launcherv1.CancelResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	if g.calls <= g.fail {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("not now"))
	}
	if g.gone {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such Job"))
	}
	return &launcherv1.CancelResponse{}, nil
}

func created() *launcherv1.LaunchResponse {
	return &launcherv1.LaunchResponse{Event: &launcherv1.LaunchResponse_Created{Created: &launcherv1.Created{Job: "j", Uid: "u"}}}
}

func bound(pod string) *launcherv1.LaunchResponse {
	return &launcherv1.LaunchResponse{Event: &launcherv1.LaunchResponse_Bound{Bound: &launcherv1.Bound{Pod: pod}}}
}

func finished(code int32) *launcherv1.LaunchResponse {
	return &launcherv1.LaunchResponse{Event: &launcherv1.LaunchResponse_Finished{Finished: &launcherv1.Finished{
		Succeeded: code == 0, ExitCode: code, Reason: "Because", Message: "it had to",
	}}}
}

func serve(t *testing.T, g *gateway) *Client {
	t.Helper()
	_, handler := launcherv1connect.NewLauncherHandler(g)
	s := httptest.NewUnstartedServer(handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c, err := New(s.URL, WithToken("secret"), WithCA(ca), WithRetries(4, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func unavailable() error { return connect.NewError(connect.CodeUnavailable, errors.New("stopping")) }

func TestWaitReturnsTheExitCode(t *testing.T) {
	for name, tc := range map[string]struct {
		code    int32
		want    int
		wantErr string
	}{
		"of a Job that has succeeded": {0, 0, ""},
		"of a Job that has failed":    {3, 3, ""},
		"or says why there isn't one": {-1, UnknownExitCode, "Because: it had to"},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gateway{scenes: []scene{{[]*launcherv1.LaunchResponse{created(), bound("a"), finished(tc.code)}, nil}}}
			l, err := serve(t, g).Launch(t.Context(), &launcherv1.LaunchRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if l.Job() != "j" || l.UID() != "u" {
				t.Errorf("Job %s, UID %s", l.Job(), l.UID())
			}
			code, err := l.Wait()
			if code != tc.want || (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("exit code %d, error %v", code, err)
			}
			if !slices.Equal(g.tokens, []string{"Bearer secret"}) {
				t.Errorf("tokens: %v", g.tokens)
			}
		})
	}
}

func TestALaunchIsTriedAgainWithTheSameKey(t *testing.T) {
	busy := connect.NewError(connect.CodeResourceExhausted, errors.New("too many"))
	g := &gateway{scenes: []scene{
		{nil, busy},
		{nil, unavailable()},
		{[]*launcherv1.LaunchResponse{created(), bound("a")}, unavailable()},
		{nil, unavailable()},
		{[]*launcherv1.LaunchResponse{created(), bound("a"), bound("b"), finished(0)}, nil},
	}}
	l, err := serve(t, g).Launch(t.Context(), &launcherv1.LaunchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for e, err := range l.Events() {
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, fmt.Sprint(e.GetBound().GetPod(), e.GetFinished().GetSucceeded()))
	}
	if !slices.Equal(told, []string{"afalse", "bfalse", "true"}) {
		t.Errorf("told: %v", told)
	}
	if len(g.keys) != 5 || g.keys[0] == "" || len(slices.Compact(g.keys)) != 1 {
		t.Errorf("keys: %v", g.keys)
	}
}

func TestAJobThatIsGoneIsNotMadeAnew(t *testing.T) {
	g := &gateway{gone: true, scenes: []scene{
		{[]*launcherv1.LaunchResponse{created()}, unavailable()}, {[]*launcherv1.LaunchResponse{created(), finished(0)}, nil},
	}}
	l, err := serve(t, g).Launch(t.Context(), &launcherv1.LaunchRequest{RequestKey: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Wait(); connect.CodeOf(err) != connect.CodeNotFound || len(g.keys) != 1 {
		t.Errorf("error %v, %d calls", err, len(g.keys))
	}
}

func TestWhatCannotBeMendedIsNotTriedAgain(t *testing.T) {
	g := &gateway{scenes: []scene{{nil, connect.NewError(connect.CodePermissionDenied, errors.New("no"))}, {}}}
	if _, err := serve(t, g).Launch(t.Context(), &launcherv1.LaunchRequest{}); connect.CodeOf(err) != connect.CodePermissionDenied || len(g.keys) != 1 {
		t.Errorf("error %v, %d calls", err, len(g.keys))
	}
}

func TestAttemptsAreNotEndless(t *testing.T) {
	g := &gateway{scenes: slices.Repeat([]scene{{nil, unavailable()}}, 9)}
	if _, err := serve(t, g).Launch(t.Context(), &launcherv1.LaunchRequest{}); connect.CodeOf(err) != connect.CodeUnavailable || len(g.keys) != 4 {
		t.Errorf("error %v, %d calls", err, len(g.keys))
	}
}

func TestCancelIsTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		gateway *gateway
		want    connect.Code
	}{
		"and then it is done":              {&gateway{fail: 2}, 0},
		"and it was done the first time":   {&gateway{fail: 1, gone: true}, 0},
		"but not if there never was a Job": {&gateway{gone: true}, connect.CodeNotFound},
		"but not for ever":                 {&gateway{fail: 9}, connect.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			err := serve(t, tc.gateway).Cancel(t.Context(), "games", "j")
			if (err == nil) != (tc.want == 0) || err != nil && connect.CodeOf(err) != tc.want {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWithoutATokenNothingIsCalled(t *testing.T) {
	if _, err := New("https://localhost"); err == nil {
		t.Error("a client without tokens was made")
	}
	g := &gateway{}
	c := serve(t, g)
	broken, err := New("https://localhost:1", WithTokenFile("/nonexistent"), WithRetries(3, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	c.launcher = broken.launcher
	if _, err := c.Launch(t.Context(), &launcherv1.LaunchRequest{}); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("launch: %v", err)
	}
	if _, err := c.Get(t.Context(), "games", "j"); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("get: %v", err)
	}
}

func TestAnAuthorityMustBeOne(t *testing.T) {
	if _, err := New("https://localhost", WithToken("x"), WithCA([]byte("no"))); err == nil {
		t.Error("a client that trusts nobody was made")
	}
}
