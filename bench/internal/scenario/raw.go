// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
)

// patchSize is about how many bytes a claim writes.
const patchSize = 1000

// raw is what the API server takes for the two writes that a launch can't do without: one Job that nobody runs, and a
// patch of one pod that is as large as a claim's.
type raw struct{ post, patch time.Duration }

func (r raw) both() time.Duration { return r.post + r.patch }

// rawWrites makes them, the Job from a pool's template.
func rawWrites(ctx context.Context, s *stage, h *v1alpha1.HotStandbyJob, name string, p *corev1.Pod) (raw, error) {
	j := coldOf(h, name)
	j.Spec.Suspend, j.Spec.ManagedBy = new(true), new("example.com/nobody")
	began := s.bench.Clock.Now()
	if err := s.Make(ctx, j); err != nil {
		return raw{}, err
	}
	var r raw
	r.post = s.bench.Clock.Since(began)
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": p.UID},
		{"op": "add", "path": "/metadata/annotations/example.com~1raw", "value": name + strings.Repeat("x", patchSize)},
	})
	if err != nil {
		return raw{}, fmt.Errorf("patch pod %s: %w", p.Name, err)
	}
	began = s.bench.Clock.Now()
	if err := s.Client.Patch(ctx, p, client.RawPatch(types.JSONPatchType, patch)); err != nil {
		return raw{}, fmt.Errorf("patch pod %s: %w", p.Name, err)
	}
	r.patch = s.bench.Clock.Since(began)
	return r, nil
}

// idlePods are the idle pods of the namespace.
func idlePods(ctx context.Context, s *cluster.Space) ([]corev1.Pod, error) {
	var list corev1.PodList
	err := s.Client.List(ctx, &list, client.InNamespace(s.Namespace), client.MatchingLabels{v1alpha1.LabelState: string(v1alpha1.PodIdle)})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return list.Items, nil
}
