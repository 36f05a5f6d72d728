// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// reader reads pools; err is what it says instead.
type reader struct {
	client.Reader

	err error
}

func (r reader) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if r.err != nil {
		return r.err
	}
	return r.Reader.Get(ctx, key, o, options...)
}

// hanging never answers.
type hanging struct{ client.Reader }

func (hanging) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	<-ctx.Done()
	return ctx.Err()
}

type panicking struct{ client.Reader }

func (panicking) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	panic("a bug")
}

func pools(t *testing.T, pools ...client.Object) reader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return reader{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(pools...).Build()}
}

// review is what the API server sends.
func review(t *testing.T, operation admissionv1.Operation, object []byte) []byte {
	t.Helper()
	raw, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "u", Namespace: "games", Operation: operation, Object: runtime.RawExtension{Raw: object},
			Kind: metav1.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// job encodes one as the API server does: its namespace is in the request alone.
func jobFor(t *testing.T, pool string) []byte {
	t.Helper()
	raw, err := json.Marshal(batchv1.Job{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "a-", Labels: map[string]string{v1alpha1.LabelPool: pool},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// serve answers a request over HTTP.
func serve(t *testing.T, h *Handler, body []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Path, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	h.Admission().ServeHTTP(recorder, request)
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%v: %s", err, recorder.Body)
	}
	return answer.Response
}

func TestHandler(t *testing.T) {
	game := poolOf(v1alpha1.AssignmentPush)
	broken := reader{err: errors.New("no answer")}
	full, empty := pools(t, game), pools(t)
	for name, tc := range map[string]struct {
		handler   Handler
		operation admissionv1.Operation // CREATE if empty
		object    []byte                // asks for pool game if nil
		launch    bool
		warning   string
	}{
		"a pool in the cache":                    {handler: Handler{Cache: full, Live: broken}, launch: true},
		"a pool that was made a moment ago":      {handler: Handler{Cache: empty, Live: full}, launch: true},
		"no such pool":                           {handler: Handler{Cache: empty, Live: empty}, warning: "pool game not found in namespace games"},
		"the cache doesn't work":                 {handler: Handler{Cache: broken, Live: full}, warning: "could not be looked up"},
		"the API server doesn't answer":          {handler: Handler{Cache: empty, Live: broken}, warning: "could not be looked up"},
		"a namespace that is served":             {handler: Handler{Cache: full, Live: full, Namespace: "games"}, launch: true},
		"a namespace that isn't served":          {handler: Handler{Cache: full, Live: full, Namespace: "ops"}, warning: "namespace ops only"},
		"a cluster without managedBy":            {handler: Handler{Cache: full, Live: full, Unsupported: true}, warning: "Kubernetes 1.32 or later"},
		"a name that is none isn't looked up":    {handler: Handler{Cache: broken, Live: broken}, object: jobFor(t, ""), warning: "no name of a HotStandbyJob"},
		"a Job that was made long ago":           {handler: Handler{Cache: full, Live: full}, operation: admissionv1.Update},
		"a Job that asks for nothing":            {handler: Handler{Cache: full, Live: full}, object: []byte(`{"metadata":{},"spec":{}}`)},
		"a Job that has a controller":            {handler: Handler{Cache: full, Live: full}, object: []byte(`{"metadata":{"labels":{"hsj.paia.tech/pool":"game"}},"spec":{"managedBy":"a.b/c"}}`)},
		"something that can't be read, it seems": {handler: Handler{Cache: full, Live: full}, object: []byte(`{"metadata":7}`), warning: "can't read"},
	} {
		t.Run(name, func(t *testing.T) {
			operation, object := tc.operation, tc.object
			if operation == "" {
				operation = admissionv1.Create
			}
			if object == nil {
				object = jobFor(t, "game")
			}
			got := serve(t, &tc.handler, review(t, operation, object))
			if !got.Allowed {
				t.Fatalf("the Job was refused: %v", got.Result)
			}
			patch := ""
			if tc.launch {
				patch = `[{"op":"add","path":"/spec/managedBy","value":"hsj.paia.tech/launcher"}]`
			}
			if diff := cmp.Diff(patch, string(got.Patch)); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
			if tc.launch != (got.PatchType != nil && *got.PatchType == admissionv1.PatchTypeJSONPatch) {
				t.Errorf("the patch's type is %v", got.PatchType)
			}
			warnings := strings.Join(got.Warnings, "\n")
			if !strings.Contains(warnings, tc.warning) || (tc.warning == "") != (warnings == "") {
				t.Errorf("warnings are %q, want %q", warnings, tc.warning)
			}
		})
	}
}

func TestATraceGoesOnInTheJob(t *testing.T) {
	const users, ours = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01"
	managed := `[{"op":"add","path":"/spec/managedBy","value":"hsj.paia.tech/launcher"}`
	for name, tc := range map[string]struct {
		pool        string
		annotations map[string]string
		patch       string
		begun       string // namespace, Job and parent of what was begun
		ended       int
	}{
		"a Job without annotations": {
			pool: "game", patch: managed + `,{"op":"add","path":"/metadata/annotations","value":{"hsj.paia.tech/traceparent":"` + ours + `"}}]`,
			begun: "games a- ", ended: 1,
		},
		"a Job in a trace of its user": {
			pool: "game", annotations: map[string]string{v1alpha1.AnnotationTraceparent: users},
			patch: managed + `,{"op":"add","path":"/metadata/annotations/hsj.paia.tech~1traceparent","value":"` + ours + `"}]`,
			begun: "games a- " + users, ended: 1,
		},
		"a Job that isn't launched": {pool: "other", begun: "games a- "},
	} {
		t.Run(name, func(t *testing.T) {
			begun, ended, full := "", 0, pools(t, poolOf(v1alpha1.AssignmentPush))
			h := &Handler{Cache: full, Live: full, Trace: func(namespace, job, parent string) func() string {
				begun = namespace + " " + job + " " + parent
				return func() string { ended++; return ours }
			}}
			raw, err := json.Marshal(batchv1.Job{ObjectMeta: metav1.ObjectMeta{
				GenerateName: "a-", Labels: map[string]string{v1alpha1.LabelPool: tc.pool}, Annotations: tc.annotations,
			}})
			if err != nil {
				t.Fatal(err)
			}
			var patch []map[string]any
			if got := serve(t, h, review(t, admissionv1.Create, raw)); len(got.Patch) > 0 {
				if err := json.Unmarshal(got.Patch, &patch); err != nil {
					t.Fatal(err)
				}
			}
			var want []map[string]any
			if tc.patch != "" {
				if err := json.Unmarshal([]byte(tc.patch), &want); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, patch); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
			if begun != tc.begun || ended != tc.ended {
				t.Errorf("begun for %q, ended %d times; want %q, %d", begun, ended, tc.begun, tc.ended)
			}
		})
	}
}

func TestAnAnswerThatTakesTooLongIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, h := range map[string]*Handler{
			"by the cache": {Cache: hanging{}, Live: hanging{}}, "by the API server": {Cache: pools(t), Live: hanging{}},
		} {
			started := time.Now()
			got := serve(t, h, review(t, admissionv1.Create, jobFor(t, "game")))
			if !got.Allowed || len(got.Patch) > 0 || len(got.Warnings) != 1 {
				t.Errorf("%s: the answer is %v", name, got)
			}
			if took := time.Since(started); took >= time.Second {
				t.Errorf("%s: it took %s, and the API server waits a second", name, took)
			}
		}
	})
}

// A panic that controller-runtime recovers is answered as an error, which refuses the Job.
func TestAPanicIsNoRefusal(t *testing.T) {
	server := httptest.NewServer((&Handler{Cache: panicking{}, Live: panicking{}}).Admission())
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(review(t, admissionv1.Create, jobFor(t, "game"))))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := server.Client().Do(request)
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("the answer is %s, and not a broken connection", response.Status)
	}
}
