// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// serviceAccountDir is where every pod finds how to talk to the API server.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// annotationReporter sets an annotation of the worker's own pod. One request is all that it needs of the API, so it has
// no client library.
type annotationReporter struct {
	client *http.Client
	url    string
	key    string
	token  string // a file, which the kubelet renews
}

func newAnnotationReporter(o Options, env Environment, dir string) (annotationReporter, error) {
	host, port := env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return annotationReporter{}, errors.New("-busy-by annotation works in a pod only: KUBERNETES_SERVICE_HOST is not set")
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return annotationReporter{}, fmt.Errorf("read the cluster's certificate authority (the pod needs a service-account token): %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return annotationReporter{}, errors.New("read the cluster's certificate authority: there is no certificate in it")
	}
	path, err := url.JoinPath("https://"+net.JoinHostPort(host, port), "api/v1/namespaces", o.Pod.Namespace, "pods", o.Pod.Name)
	if err != nil {
		return annotationReporter{}, fmt.Errorf("find the API server: %w", err)
	}
	return annotationReporter{
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
		url:    path,
		key:    o.Annotation,
		token:  filepath.Join(dir, "token"),
	}, nil
}

func (a annotationReporter) Report(ctx context.Context, state State) error {
	var value *string // null takes the annotation away
	if state == Busy {
		value = new("true")
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]*string{a.key: value}}})
	if err != nil {
		return fmt.Errorf("describe annotation: %w", err)
	}
	token, err := os.ReadFile(a.token)
	if err != nil {
		return fmt.Errorf("read service-account token: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPatch, a.url, bytes.NewReader(patch))
	if err != nil {
		return fmt.Errorf("annotate pod: %w", err)
	}
	request.Header.Set("Content-Type", "application/merge-patch+json")
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("annotate pod: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10)) // for the message only
		return fmt.Errorf("annotate pod (its service account needs patch on pods): %s: %s", response.Status, reason)
	}
	_, err = io.Copy(io.Discard, response.Body) // The connection is used again.
	if err != nil {
		return fmt.Errorf("annotate pod: %w", err)
	}
	return nil
}

// Withdraw leaves the annotation: a pod that has ended says nothing by it any more.
func (a annotationReporter) Withdraw(context.Context) error {
	a.client.CloseIdleConnections()
	return nil
}
