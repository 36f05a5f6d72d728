// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

func request() *launcherv1.LaunchRequest {
	return &launcherv1.LaunchRequest{Namespace: "games", Pool: "game", Command: []string{"play"}}
}

// told is the next event that isn't there to keep the stream alive.
func told(t *testing.T, stream *connect.ServerStreamForClient[launcherv1.LaunchResponse]) *launcherv1.LaunchResponse {
	t.Helper()
	for stream.Receive() {
		if stream.Msg().GetWaiting() == nil {
			return stream.Msg()
		}
	}
	t.Fatalf("the stream has ended: %v", stream.Err())
	return nil
}

func (s *served) launch(t *testing.T, token string) (*connect.ServerStreamForClient[launcherv1.LaunchResponse], string) {
	t.Helper()
	stream, err := s.launcher(token).Launch(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stream.Close() })
	return stream, told(t, stream).GetCreated().GetJob()
}

// update changes a Job or a pod in the fake API server.
func (s *served) updatePod(t *testing.T, name string, change func(*corev1.Pod)) {
	t.Helper()
	p, err := s.client.CoreV1().Pods("games").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	change(p)
	if _, err := s.client.CoreV1().Pods("games").Update(t.Context(), p, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *served) endJob(t *testing.T, name string, condition batchv1.JobConditionType, reason string) {
	t.Helper()
	j, err := s.client.BatchV1().Jobs("games").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	j.Status.Conditions = []batchv1.JobCondition{{Type: condition, Status: corev1.ConditionTrue, Reason: reason, Message: "said so"}}
	if _, err := s.client.BatchV1().Jobs("games").UpdateStatus(t.Context(), j, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func exited(code int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase = corev1.PodSucceeded
		if code != 0 {
			p.Status.Phase = corev1.PodFailed
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: "Error", FinishedAt: metav1.Unix(7, 0)},
		}}}
	}
}

func TestALaunchTellsAllThatBecomesOfItsJob(t *testing.T) {
	s := serve(t, Limits{})
	s.idle(t, "a")
	stream, job := s.launch(t, "jane")
	claimed, err := s.registry.Claim(t.Context(), claimOf(job)) // as the launcher does
	if err != nil {
		t.Fatal(err)
	}
	bound := told(t, stream).GetBound()
	if bound.GetPod() != "a" || bound.GetPodIp() != "10.0.0.1" || bound.GetNode() != "n1" || !bound.GetWarm() {
		t.Errorf("bound: %v", bound)
	}
	payload, err := protocol.DecodePayload(claimed.Annotations[v1alpha1.AnnotationPayload])
	if err != nil {
		t.Fatal(err)
	}
	id := standby.PodID{Namespace: "games", Name: "a", UID: "uid-a"}
	if err := s.registry.Report(id, netip.Addr{}, standby.Activity{LaunchID: payload.ID, Started: time.Unix(5, 0)}); err != nil {
		t.Fatal(err)
	}
	if e := told(t, stream); e.GetStarted().GetPod() != "a" || e.GetTime().GetSeconds() != 5 {
		t.Errorf("started: %v", e)
	}
	s.updatePod(t, "a", exited(3))
	if p := told(t, stream).GetPodFinished(); p.GetPod() != "a" || p.GetExitCode() != 3 || p.GetReason() != "Error" {
		t.Errorf("pod finished: %v", p)
	}
	s.endJob(t, job, batchv1.JobFailed, "BackoffLimitExceeded")
	f := told(t, stream).GetFinished()
	if f.GetSucceeded() || f.GetReason() != "BackoffLimitExceeded" || f.GetMessage() != "said so" || f.GetExitCode() != 3 {
		t.Errorf("finished: %v", f)
	}
	if stream.Receive() || stream.Err() != nil {
		t.Errorf("the stream goes on, or has failed: %v", stream.Err())
	}
	got, err := s.launcher("jane").Get(t.Context(), &launcherv1.GetRequest{Namespace: "games", Job: job})
	if err != nil || got.GetFinished().GetExitCode() != 3 || len(got.GetPods()) != 1 || got.GetPods()[0].GetPod() != "a" {
		t.Errorf("get: %v, %v", got, err)
	}
}

func TestWhileNothingHappensAClientIsToldToWait(t *testing.T) {
	s := serve(t, Limits{})
	stream, _ := s.launch(t, "jane")
	for range 3 {
		for !s.clock.HasWaiters() { // the ticker is made right after the first event was sent
			time.Sleep(time.Millisecond)
		}
		s.clock.Step(quiet)
		if !stream.Receive() || stream.Msg().GetWaiting() == nil {
			t.Fatalf("got %v, %v", stream.Msg(), stream.Err())
		}
	}
}

func TestWhenTheServerStopsClientsAreToldToTryAgain(t *testing.T) {
	s := serve(t, Limits{})
	stream, _ := s.launch(t, "jane")
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable {
		t.Errorf("error %v", stream.Err())
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestARequestKeyMakesOneJob(t *testing.T) {
	s := serve(t, Limits{})
	jane, joe := s.launcher("jane"), s.launcher("joe")
	r := request()
	r.RequestKey = "monday"
	first, err := jane.Start(t.Context(), r)
	if err != nil || first.GetRepeatedRequest() {
		t.Fatal(first, err)
	}
	again, err := jane.Start(t.Context(), r)
	if err != nil || !again.GetRepeatedRequest() || again.GetJob() != first.GetJob() || again.GetUid() != first.GetUid() {
		t.Errorf("the same again: %v, %v", again, err)
	}
	stream, err := jane.Launch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if c := told(t, stream).GetCreated(); !c.GetRepeatedRequest() || c.GetJob() != first.GetJob() {
		t.Errorf("the same again, as a stream: %v", c)
	}
	_ = stream.Close()
	other, err := joe.Start(t.Context(), r)
	if err != nil || other.GetRepeatedRequest() || other.GetJob() == first.GetJob() {
		t.Errorf("another user's: %v, %v", other, err)
	}
	r.RequestKey = ""
	for range 2 {
		if unkeyed, err := jane.Start(t.Context(), r); err != nil || unkeyed.GetRepeatedRequest() {
			t.Errorf("without a key: %v, %v", unkeyed, err)
		}
	}
	jobs, err := s.client.BatchV1().Jobs("games").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(jobs.Items) != 4 {
		t.Errorf("%d Jobs, %v", len(jobs.Items), err)
	}
	taken := jobs.Items[0].DeepCopy()
	for _, j := range jobs.Items {
		if j.Name == first.GetJob() {
			taken = j.DeepCopy()
		}
	}
	delete(taken.Annotations, annotationRequest)
	if _, err := s.client.BatchV1().Jobs("games").Update(t.Context(), taken, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r.RequestKey = "monday"
	if j, err := jane.Start(t.Context(), r); connect.CodeOf(err) != connect.CodeAlreadyExists || !strings.Contains(err.Error(), "request_key") {
		t.Errorf("a Job of the same name that is somebody else's: %v, %v", j, err)
	}
}

func TestWhatALauncherRefuses(t *testing.T) {
	s := serve(t, Limits{MessageBytes: 4096})
	s.denied["create"] = false
	for name, tc := range map[string]struct {
		token  string
		change func(*launcherv1.LaunchRequest)
		want   connect.Code
		says   string
	}{
		"no token":                {"", nil, connect.CodeUnauthenticated, "Authorization"},
		"an unknown token":        {"made up", nil, connect.CodeUnauthenticated, "isn't valid"},
		"a pool that isn't there": {"jane", func(r *launcherv1.LaunchRequest) { r.Pool = "nope" }, connect.CodeNotFound, "nope"},
		"a pool with Pull":        {"jane", func(r *launcherv1.LaunchRequest) { r.Pool = "pull" }, connect.CodeFailedPrecondition, "Pull"},
		"no namespace":            {"jane", func(r *launcherv1.LaunchRequest) { r.Namespace = "" }, connect.CodeInvalidArgument, "namespace:"},
		"pods":                    {"jane", func(r *launcherv1.LaunchRequest) { r.Pods = -1 }, connect.CodeInvalidArgument, "pods:"},
		"env":                     {"jane", func(r *launcherv1.LaunchRequest) { r.Env = map[string]string{"A=": ""} }, connect.CodeInvalidArgument, "env:"},
		"labels": {"jane", func(r *launcherv1.LaunchRequest) {
			r.Labels = map[string]string{v1alpha1.LabelPool: "x"}
		}, connect.CodeInvalidArgument, "labels:"},
		"a message that is too large": {"jane", func(r *launcherv1.LaunchRequest) { r.Args = []string{strings.Repeat("x", 4096)} }, connect.CodeResourceExhausted, "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			if tc.change != nil {
				tc.change(r)
			}
			_, err := s.launcher(tc.token).Start(t.Context(), r)
			if connect.CodeOf(err) != tc.want || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("start: error %v", err)
			}
			stream, err := s.launcher(tc.token).Launch(t.Context(), r)
			if err == nil {
				stream.Receive()
				err = stream.Err()
				_ = stream.Close()
			}
			if connect.CodeOf(err) != tc.want {
				t.Errorf("launch: error %v", err)
			}
		})
	}
}

func TestRightsAreAskedOfTheAPIServer(t *testing.T) {
	s := serve(t, Limits{})
	c := s.launcher("jane")
	started, err := c.Start(t.Context(), request())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.accesses); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	asked := s.accesses[0]
	if a := asked.ResourceAttributes; asked.User != "jane" || len(asked.Groups) != 1 || a.Verb != "create" || a.Namespace != "games" || a.Group != "batch" || a.Resource != "jobs" {
		t.Errorf("asked %v", asked)
	}
	calls := map[string]func() error{
		"create": func() error { _, err := c.Start(t.Context(), request()); return err },
		"get": func() error {
			_, err := c.Get(t.Context(), &launcherv1.GetRequest{Namespace: "games", Job: started.GetJob()})
			return err
		},
		"delete": func() error {
			_, err := c.Cancel(t.Context(), &launcherv1.CancelRequest{Namespace: "games", Job: started.GetJob()})
			return err
		},
	}
	for verb, call := range calls {
		s.mu.Lock()
		s.denied = map[string]bool{verb: true}
		s.mu.Unlock()
		s.clock.Step(10*time.Second + time.Second)
		if err := call(); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s: error %v", verb, err)
		}
		before := len(s.accesses)
		s.clock.Step(10*time.Second - 2*time.Second)
		if err := call(); connect.CodeOf(err) != connect.CodePermissionDenied || len(s.accesses) != before {
			t.Errorf("%s: error %v, asked again: %v", verb, err, len(s.accesses) != before)
		}
	}
	s.mu.Lock()
	s.denied = nil
	s.mu.Unlock()
	s.clock.Step(time.Minute)
	if err := calls["delete"](); err != nil {
		t.Error(err)
	}
	if err := calls["get"](); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a Job that was cancelled: %v", err)
	}
}

func TestJobsOfOthersAreNotTouched(t *testing.T) {
	s := serve(t, Limits{})
	if err := s.client.Tracker().Add(&batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "games", Name: "backup", UID: "u"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.launcher("jane").Cancel(t.Context(), &launcherv1.CancelRequest{Namespace: "games", Job: "backup"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("error %v", err)
	}
	if _, err := s.client.BatchV1().Jobs("games").Get(t.Context(), "backup", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

func TestTooManyLaunchesAreRefusedAtOnce(t *testing.T) {
	s := serve(t, Limits{Launches: 2, LaunchesPerClient: 1})
	s.launch(t, "jane")
	if _, err := s.launcher("jane").Start(t.Context(), request()); connect.CodeOf(err) != connect.CodeResourceExhausted || !strings.Contains(err.Error(), "try again") {
		t.Errorf("one more of the same client: %v", err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	stream, err := s.launcher("joe").Launch(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	told(t, stream)
	s.mu.Lock()
	s.tokens["jim"] = token{}
	s.mu.Unlock()
	if _, err := s.launcher("jim").Start(t.Context(), request()); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("one more in all: %v", err)
	}
	hangUp()
	_ = stream.Close()
	for { // as soon as the server has seen that joe is gone
		if _, err := s.launcher("jim").Start(t.Context(), request()); err == nil {
			break
		}
	}
}

func TestPlainHTTPWithJSONWillDo(t *testing.T) {
	s := serve(t, Limits{})
	post := func(method, body string, into any) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/hsj.launcher.v1.Launcher/"+method, bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer jane")
		response, err := s.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return response.StatusCode
	}
	var started struct{ Job, UID string }
	if code := post("Start", `{"namespace": "games", "pool": "game", "command": ["echo", "hello"], "env": {"A": "b"}}`, &started); code != 200 || started.Job == "" {
		t.Fatalf("start: %d %v", code, started)
	}
	j, err := s.client.BatchV1().Jobs("games").Get(t.Context(), started.Job, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"echo", "hello"}, j.Spec.Template.Spec.Containers[1].Command); diff != "" {
		t.Errorf("the command (-want +got):\n%s", diff)
	}
	s.endJob(t, started.Job, batchv1.JobComplete, "CompletionsReached")
	var got struct{ Finished struct{ Succeeded bool } }
	name := `{"namespace": "games", "job": "` + started.Job + `"}`
	if code := post("Get", name, &got); code != 200 || !got.Finished.Succeeded {
		t.Errorf("get: %d %v", code, got)
	}
	if code := post("Cancel", name, &struct{}{}); code != 200 {
		t.Errorf("cancel: %d", code)
	}
	var failed struct{ Code, Message string }
	if code := post("Start", `{"namespace": "games", "pool": "nope"}`, &failed); code != 404 || failed.Code != "not_found" {
		t.Errorf("a pool that isn't there: %d %v", code, failed)
	}
}
