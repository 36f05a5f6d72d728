// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// Path is where the webhook is served.
const Path = "/mutate-batch-v1-job"

// lookTime is how long the pool may be looked for. The API server waits a second for the whole answer, and an answer in
// time can say why a Job was left alone.
const lookTime = 600 * time.Millisecond

// setManagedBy is the patch, as it is sent.
var setManagedBy = []byte(`[{"op":"add","path":"/spec/managedBy","value":"` + v1alpha1.ManagedByLauncher + `"}]`)

// Handler answers the API server.
type Handler struct {
	// Cache is where pools are looked up. It must be one that doesn't wait for the operator's own writes.
	Cache client.Reader
	// Live is the API server, asked for pools that the cache doesn't have: one may have been made a moment ago, in the
	// same kubectl apply as the Job.
	Live client.Reader
	// Namespace is the only one that is served; empty: all.
	Namespace string
	// Unsupported says that the cluster has no spec.managedBy. No Job is then handed to the launcher.
	Unsupported bool
	// Trace begins a trace of a Job's launch, or goes on with that of a traceparent. end is called when the Job was handed to
	// the launcher, and returns the traceparent that the launcher goes on with. nil: there are no traces.
	Trace func(namespace, job, parent string) (end func() string)
}

// Admission is the handler as the webhook that a server serves at Path.
func (h *Handler) Admission() *admission.Webhook {
	// A recovered panic would be answered with an error, which the API server takes for a refusal. A connection that
	// breaks is a failure of the webhook, and the Job passes.
	return (&admission.Webhook{Handler: h}).WithRecoverPanic(false)
}

// Handle allows every request.
func (h *Handler) Handle(ctx context.Context, request admission.Request) admission.Response {
	response := admission.Allowed("")
	if request.Operation != admissionv1.Create {
		return response
	}
	var j job
	if err := json.Unmarshal(request.Object.Raw, &j); err != nil {
		logf.FromContext(ctx).Error(err, "read a Job")
		return response.WithWarnings("the webhook of HotStandbyJob can't read the Job: it runs as an ordinary Job")
	}
	if !j.concerned() {
		return response
	}
	trace := h.begin(&request, &j)
	d := h.decide(ctx, &j, request.Namespace)
	logf.FromContext(ctx).V(1).Info("decided about a Job", "launch", d.launch, "warnings", d.warnings)
	if d.launch {
		patched := admissionv1.PatchTypeJSONPatch
		response.PatchType, response.Patch = &patched, j.patch(trace())
	}
	return response.WithWarnings(d.warnings...)
}

// begin begins the trace of a Job, if there are traces. A trial doesn't get one.
func (h *Handler) begin(request *admission.Request, j *job) (end func() string) {
	if h.Trace == nil || request.DryRun != nil && *request.DryRun {
		return func() string { return "" }
	}
	return h.Trace(request.Namespace, cmp.Or(j.Name, j.GenerateName), j.Annotations[v1alpha1.AnnotationTraceparent])
}

// patch is what hands a Job to the launcher, with its trace if it has one.
func (j *job) patch(traceparent string) []byte {
	if traceparent == "" {
		return setManagedBy
	}
	path, value := "/metadata/annotations/"+strings.ReplaceAll(v1alpha1.AnnotationTraceparent, "/", "~1"), any(traceparent)
	if len(j.Annotations) == 0 {
		path, value = "/metadata/annotations", map[string]string{v1alpha1.AnnotationTraceparent: traceparent}
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "add", "path": "/spec/managedBy", "value": v1alpha1.ManagedByLauncher},
		{"op": "add", "path": path, "value": value},
	})
	if err != nil { // of strings: there is none
		return setManagedBy
	}
	return patch
}

// decide looks for the pool and decides.
func (h *Handler) decide(ctx context.Context, j *job, namespace string) decision {
	name, ok := j.pool()
	switch {
	case h.Unsupported:
		return ordinary("this cluster's Jobs have no spec.managedBy, which launches need (Kubernetes 1.32 or later)")
	case h.Namespace != "" && h.Namespace != namespace:
		return ordinary(fmt.Sprintf("the operator serves the pools of namespace %s only", h.Namespace))
	case !ok:
		return decide(j, namespace, nil)
	}
	pool, err := h.pool(ctx, client.ObjectKey{Namespace: namespace, Name: name})
	if err != nil {
		logf.FromContext(ctx).Error(err, "look for a Job's pool", "pool", name)
		return ordinary(fmt.Sprintf("pool %s could not be looked up in time", name))
	}
	return decide(j, namespace, pool)
}

// pool returns nil if there is none.
func (h *Handler) pool(ctx context.Context, key client.ObjectKey) (*v1alpha1.HotStandbyJob, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	for _, reader := range []client.Reader{h.Cache, h.Live} {
		pool := &v1alpha1.HotStandbyJob{}
		err := reader.Get(ctx, key, pool)
		if err == nil {
			return pool, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("read pool %s: %w", key, err)
		}
	}
	return nil, nil
}
