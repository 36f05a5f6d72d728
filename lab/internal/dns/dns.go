// SPDX-License-Identifier: Apache-2.0

// Package dns runs CoreDNS in a lab, as any cluster does.
package dns

import (
	"bytes"
	"context"
	_ "embed" // the manifests
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/lab/internal/image"
)

const (
	namespace  = "kube-system"
	deployment = "coredns"
	manager    = "hotstandbyjob-lab"
)

//go:embed manifests.yaml
var manifests string

// Apply creates or updates cluster DNS at an address. It waits for the address while somebody else has it, and says so
// to waiting.
func Apply(ctx context.Context, config *rest.Config, clusterDNS string, waiting func(error)) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect for DNS: %w", err)
	}
	objects, err := render(clusterDNS)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := apply(ctx, client.RESTClient(), o, waiting); err != nil {
			return fmt.Errorf("apply %s: %w", o.path, err)
		}
	}
	return nil
}

// apply tries again while the address of a Service is taken. The API server takes the address before it writes the
// Service: who asks between the two, because another "lab up" was killed while it asked, is refused. That passes as soon
// as the first request ends, or after a minute, when the API server frees addresses that no Service has.
func apply(ctx context.Context, client rest.Interface, o object, waiting func(error)) error {
	var refused error
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := client.Patch(types.ApplyYAMLPatchType).AbsPath(o.path).
			Param("fieldManager", manager).Param("force", "true").
			Body(o.manifest).Do(ctx).Error()
		if !addressRefused(err) {
			return err == nil, err
		}
		if refused == nil {
			waiting(err)
		}
		refused = err
		return false, nil
	})
	if wait.Interrupted(err) {
		return errors.Join(refused, context.Cause(ctx))
	}
	return err
}

// addressRefused tells whether an API server refused a Service for its address.
func addressRefused(err error) bool {
	invalid, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && apierrors.IsInvalid(invalid) && invalid.ErrStatus.Details != nil &&
		slices.ContainsFunc(invalid.ErrStatus.Details.Causes, func(c metav1.StatusCause) bool {
			return c.Field == "spec.clusterIPs"
		})
}

// Wait waits until names are answered.
func Wait(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connect for DNS: %w", err)
	}
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		d, err := client.AppsV1().Deployments(namespace).Get(ctx, deployment, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, err
		}
		// Any other error may pass while the API server starts.
		return err == nil && d.Status.ObservedGeneration >= d.Generation && d.Status.ReadyReplicas > 0, nil
	})
	if err != nil {
		return fmt.Errorf("wait for DNS (deployment %s in %s): %w", deployment, namespace, err)
	}
	return nil
}

// object is a manifest and where it goes.
type object struct {
	path     string
	manifest []byte
}

func render(clusterDNS string) ([]object, error) {
	parsed, err := template.New("manifests").Parse(manifests)
	if err != nil {
		return nil, fmt.Errorf("read DNS manifests: %w", err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, map[string]string{"Image": image.CoreDNS, "ClusterDNS": clusterDNS}); err != nil {
		return nil, fmt.Errorf("fill in DNS manifests: %w", err)
	}
	var objects []object
	for manifest := range strings.SplitSeq(text.String(), "\n---\n") {
		var head metav1.PartialObjectMetadata
		if err := yaml.Unmarshal([]byte(manifest), &head); err != nil {
			return nil, fmt.Errorf("read DNS manifests: %w", err)
		}
		objects = append(objects, object{path: pathOf(head), manifest: []byte(manifest)})
	}
	return objects, nil
}

func pathOf(o metav1.PartialObjectMetadata) string {
	// Groups have a path of their own; the core has the one that is older than groups.
	path := "/apis/" + o.APIVersion
	if !strings.Contains(o.APIVersion, "/") {
		path = "/api/" + o.APIVersion
	}
	if o.Namespace != "" {
		path += "/namespaces/" + o.Namespace
	}
	return path + "/" + strings.ToLower(o.Kind) + "s/" + o.Name
}
