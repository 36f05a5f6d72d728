// SPDX-License-Identifier: Apache-2.0

package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/demo/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/lab"
)

const (
	seedManifest  = "config/samples/seed-example.yaml"
	matchManifest = "demo/manifests/match-server.yaml"
	flipManifest  = "demo/manifests/flip-test.yaml"

	launchManifest = "demo/manifests/launch-test.yaml"
)

// Pools are the pools of the demo.
type Pools struct {
	Seed  *v1alpha1.HotStandbyJob // the README's example
	Match *v1alpha1.HotStandbyJob // turns busy by itself
	Flip  *v1alpha1.HotStandbyJob // is measured with

	// Launch is the pool of the last chapter, whose pods are given to Jobs. It isn't one of All.
	Launch *v1alpha1.HotStandbyJob

	seed, match []byte // the manifests as they are
}

// ReadPools reads the manifests.
func ReadPools(checkout string) (*Pools, error) {
	p := &Pools{}
	var flip, launch []byte
	for _, m := range []struct {
		file string
		raw  *[]byte
		pool **v1alpha1.HotStandbyJob
	}{{seedManifest, &p.seed, &p.Seed}, {matchManifest, &p.match, &p.Match}, {flipManifest, &flip, &p.Flip}, {launchManifest, &launch, &p.Launch}} {
		var err error
		if *m.raw, err = os.ReadFile(filepath.Join(checkout, m.file)); err != nil {
			return nil, fmt.Errorf("read the demo's pools: %w", err)
		}
		if *m.pool, err = findPool(*m.raw); err != nil {
			return nil, fmt.Errorf("read %s: %w", m.file, err)
		}
	}
	return p, nil
}

// findPool is the HotStandbyJob among the objects of a manifest.
func findPool(manifest []byte) (*v1alpha1.HotStandbyJob, error) {
	documents := utilyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(manifest)))
	document := make([]byte, len(manifest)+1)
	for {
		n, err := documents.Read(document)
		if errors.Is(err, io.EOF) {
			return nil, errors.New("there is no HotStandbyJob in it")
		}
		if err != nil {
			return nil, err
		}
		h := &v1alpha1.HotStandbyJob{}
		if err := yaml.Unmarshal(document[:n], h); err != nil {
			return nil, err
		}
		if h.Kind == "HotStandbyJob" {
			return h, nil
		}
	}
}

// All are the pools in the order in which they are shown.
func (p *Pools) All() []*v1alpha1.HotStandbyJob {
	return []*v1alpha1.HotStandbyJob{p.Seed, p.Match, p.Flip}
}

func (p *Pools) names() []types.NamespacedName {
	var names []types.NamespacedName
	for _, h := range p.All() {
		names = append(names, key(h))
	}
	return names
}

func key(h *v1alpha1.HotStandbyJob) types.NamespacedName {
	return types.NamespacedName{Namespace: h.Namespace, Name: h.Name}
}

// apply applies the manifests with kubectl. In a cluster that is somebody else's, it makes sure before that nothing of
// these names is there, and has it removed at the end.
func (p *Pools) apply(ctx context.Context, c *cluster.Cluster, applying func(types.NamespacedName)) error {
	if c.Lab == nil {
		if err := p.reserve(ctx, c); err != nil {
			return err
		}
	}
	c.Simulate(&p.Flip.Spec.JobTemplate.Template.Spec)
	flip, err := yaml.Marshal(p.Flip)
	if err != nil {
		return fmt.Errorf("write pool %s: %w", p.Flip.Name, err)
	}
	for _, m := range []struct {
		pool     *v1alpha1.HotStandbyJob
		manifest []byte
	}{{p.Seed, p.seed}, {p.Match, p.match}, {p.Flip, flip}} {
		manifest := bytes.ReplaceAll(m.manifest, []byte(lab.WorkerImage), []byte(c.Worker))
		applying(key(m.pool))
		if err := c.Apply(ctx, manifest); err != nil {
			return fmt.Errorf("apply pool %s: %w", m.pool.Name, err)
		}
	}
	return nil
}

func (p *Pools) reserve(ctx context.Context, c *cluster.Cluster) error {
	for _, object := range [][]string{
		{"namespace/" + Namespace},
		{"hotstandbyjobs.apps.paia.tech/" + p.Seed.Name, "--namespace", p.Seed.Namespace},
	} {
		out, err := c.Kubectl(ctx, append([]string{"get", "--ignore-not-found", "--output=name"}, object...)...)
		if err != nil {
			return err
		}
		if len(out) > 0 {
			return fmt.Errorf("the cluster has %s already, delete it first: the demo would change it", bytes.TrimSpace(out))
		}
	}
	c.AtClose(func(ctx context.Context) error {
		seed := []string{"delete", "hsj", p.Seed.Name, "--namespace", p.Seed.Namespace, "--cascade=foreground", "--ignore-not-found"}
		_, begun := c.Kubectl(ctx, append(seed, "--wait=false")...)
		_, own := c.Kubectl(ctx, "delete", "namespace", Namespace, "--ignore-not-found")
		_, waited := c.Kubectl(ctx, seed...) // until it is gone
		return errors.Join(begun, own, waited)
	})
	return nil
}
