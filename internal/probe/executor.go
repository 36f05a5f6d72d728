// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
)

// outputLimit is how much a command may write. What it writes isn't used, but has to be read for the command to go on.
const outputLimit = 1 << 20

// apiServerExecutor runs commands through the API server, as `kubectl exec` does.
type apiServerExecutor struct {
	config *rest.Config // its own, so that nothing that exec needs gets into other clients
	client *rest.RESTClient
}

// NewExecutor returns an executor that runs commands through the API server. It needs the verbs get and create on
// pods/exec. The configuration is copied.
func NewExecutor(config *rest.Config) (Executor, error) {
	own := rest.CopyConfig(config)
	own.APIPath = "/api"
	own.GroupVersion = &corev1.SchemeGroupVersion
	own.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	own.Timeout = 0 // the context of each command bounds it
	client, err := rest.RESTClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("make a client for exec: %w", err)
	}
	return &apiServerExecutor{config: own, client: client}, nil
}

// Exec returns the exit code of the command, run in the target's container without a shell, input or terminal.
func (e *apiServerExecutor) Exec(ctx context.Context, target Target, command []string) (int, error) {
	address := e.client.Post().Resource("pods").Namespace(target.Namespace).Name(target.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: target.Container, Command: command, Stdout: true, Stderr: true,
		}, scheme.ParameterCodec).URL()
	// Without a limit a command that writes for ever would be read until its time is up. Without a logger of its own, the
	// stream would log three errors for each command that is cut off; the reading says so already.
	ctx, cancel := context.WithCancelCause(klog.NewContext(ctx, klog.Logger{}))
	defer cancel(nil)
	output := &sink{full: func() {
		cancel(fmt.Errorf("run %q: it wrote more than %d bytes; let it write less", command, outputLimit))
	}}
	err := e.stream(ctx, address, remotecommand.StreamOptions{Stdout: output, Stderr: output})
	if exit, ok := errors.AsType[utilexec.ExitError](err); ok && exit.Exited() {
		return exit.ExitStatus(), nil
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	return 0, err
}

// stream tries WebSockets first and SPDY where something on the way doesn't speak them. Both executors are made anew:
// they hold the state of a connection.
func (e *apiServerExecutor) stream(ctx context.Context, address *url.URL, options remotecommand.StreamOptions) error {
	socket, err := remotecommand.NewWebSocketExecutor(e.config, http.MethodGet, address.String())
	if err != nil {
		return fmt.Errorf("prepare exec by WebSocket: %w", err)
	}
	first := socket.StreamWithContext(ctx, options)
	upgrade, refused := errors.AsType[*httpstream.UpgradeFailureError](first)
	if !refused && !httpstream.IsHTTPSProxyError(first) {
		return first
	}
	if refused && apierrors.IsNotFound(upgrade.Cause) {
		return upgrade.Cause // the pod is gone, however one asks
	}
	spdy, err := remotecommand.NewSPDYExecutor(e.config, http.MethodPost, address)
	if err != nil {
		return fmt.Errorf("prepare exec by SPDY: %w", err)
	}
	second := spdy.StreamWithContext(ctx, options)
	if second == nil || !refused {
		return second
	}
	if _, exited := errors.AsType[utilexec.ExitError](second); !exited && apierrors.ReasonForError(upgrade.Cause) != metav1.StatusReasonUnknown {
		return upgrade.Cause // the server's own words: SPDY's error is a text
	}
	return second
}

// sink takes what a command writes to stdout and stderr, which come at the same time, and drops it.
type sink struct {
	written atomic.Int64
	full    func()
}

var _ io.Writer = (*sink)(nil)

// Write never fails: an error would end the stream before the exit code has come.
func (s *sink) Write(b []byte) (int, error) {
	if s.written.Add(int64(len(b))) > outputLimit {
		s.full()
	}
	return len(b), nil
}
