// SPDX-License-Identifier: Apache-2.0

// Package cluster is how the plugin reaches the API server: with kubectl's flags, and with no request but those that a
// command needs.
package cluster

import (
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

const (
	resource  = "hotstandbyjobs"
	binary    = runtime.ContentTypeProtobuf
	userAgent = "kubectl-hsj"
)

// CLI is what all commands share.
type CLI struct {
	genericiooptions.IOStreams

	Flags *Flags
	Clock clock.WithTicker
}

// Cluster is a connection to an API server, which all of its clients share.
type Cluster struct {
	Config      *rest.Config
	Namespace   string
	Core, Batch rest.Interface

	pools rest.Interface
	codec runtime.ParameterCodec
}

// Connect reads the kubeconfig. It makes no request.
func (c *CLI) Connect() (*Cluster, error) {
	config, namespace, err := c.Flags.config()
	if err != nil {
		return nil, err
	}
	return New(config, namespace)
}

// New has the clients of a configuration.
func New(config *rest.Config, namespace string) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // a person is slower than any limit, and the server has limits of its own
	config.UserAgent = userAgent
	shared, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Config: config, Namespace: namespace, codec: runtime.NewParameterCodec(scheme)}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	client := func(version schema.GroupVersion, path, content string) (rest.Interface, error) {
		own := rest.CopyConfig(config)
		own.GroupVersion, own.APIPath, own.NegotiatedSerializer = &version, path, codecs
		if own.ContentType = content; content == binary {
			own.AcceptContentTypes = binary + "," + runtime.ContentTypeJSON
		}
		return rest.RESTClientForConfigAndClient(own, shared)
	}
	var errs [3]error
	c.Core, errs[0] = client(corev1.SchemeGroupVersion, "/api", binary)
	c.Batch, errs[1] = client(batchv1.SchemeGroupVersion, "/apis", binary)
	c.pools, errs[2] = client(v1alpha1.SchemeGroupVersion, "/apis", runtime.ContentTypeJSON)
	return c, errors.Join(errs[:]...)
}

// PoolClient is for whoever lists and watches pools; see Pools.
func (c *Cluster) PoolClient() rest.Interface { return c.pools }

// Pool is a pool of the namespace.
func (c *Cluster) Pool(ctx context.Context, name string) (*v1alpha1.HotStandbyJob, error) {
	h := &v1alpha1.HotStandbyJob{}
	err := c.pools.Get().Namespace(c.Namespace).Resource(resource).Name(name).Do(ctx).Into(h)
	return h, c.explained(err, name)
}

// Pools are the pools of a namespace, or of all where it is empty.
func (c *Cluster) Pools(ctx context.Context, namespace string) (*v1alpha1.HotStandbyJobList, error) {
	list := &v1alpha1.HotStandbyJobList{}
	err := c.pools.Get().NamespaceIfScoped(namespace, namespace != "").Resource(resource).Do(ctx).Into(list)
	return list, c.explained(err, "")
}

// PatchPool changes a pool by a JSON merge patch.
func (c *Cluster) PatchPool(ctx context.Context, name string, patch []byte) (*v1alpha1.HotStandbyJob, error) {
	h := &v1alpha1.HotStandbyJob{}
	err := c.pools.Patch(types.MergePatchType).Namespace(c.Namespace).Resource(resource).Name(name).
		Param("fieldManager", userAgent).Body(patch).Do(ctx).Into(h)
	return h, c.explained(err, name)
}

// CreatePool makes a pool; as a dry run, the server checks it and keeps nothing.
func (c *Cluster) CreatePool(ctx context.Context, h *v1alpha1.HotStandbyJob, dryRun bool) (*v1alpha1.HotStandbyJob, error) {
	out := &v1alpha1.HotStandbyJob{}
	request := c.pools.Post().Namespace(c.Namespace).Resource(resource).Param("fieldManager", userAgent).
		Param("fieldValidation", metav1.FieldValidationStrict)
	if dryRun {
		request = request.Param("dryRun", metav1.DryRunAll)
	}
	err := request.Body(h).Do(ctx).Into(out)
	return out, c.explained(err, h.Name)
}

// explained says what to do about an answer that people would puzzle over.
func (c *Cluster) explained(err error, name string) error {
	switch {
	case !apierrors.IsNotFound(err):
		return err
	case name == "" || apierrors.IsUnexpectedServerError(err):
		return &told{errors.New("this cluster has no HotStandbyJobs: install the operator first, see the README"), err}
	default:
		return &told{fmt.Errorf("there is no pool %s in namespace %s: `kubectl get hsj -A` lists all", name, c.Namespace), err}
	}
}

// told is an error in words of ours that is still what the server said.
type told struct {
	error

	cause error
}

func (e *told) Unwrap() error { return e.cause }
