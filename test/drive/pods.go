// SPDX-License-Identifier: Apache-2.0

// Package drive does in a cluster what tests and benchmarks both need done, and knows neither: it lets the pods of simulated
// nodes live, hears what commands say of themselves, and counts what the API server has written.
package drive

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// Finish ends a pod on a simulated node with an exit code. It is no error that the pod is gone, or is another by now.
func Finish(ctx context.Context, c client.Client, p *corev1.Pod, code string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": p.UID, "annotations": map[string]string{lab.ExitAnnotation: code},
	}})
	if err != nil {
		return fmt.Errorf("end pod %s: %w", p.Name, err)
	}
	err = c.Patch(ctx, p.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("end pod %s: %w", p.Name, err)
	}
	return nil
}

// Log takes what is worth saying but is no failure yet.
type Log func(format string, args ...any)

// pause is before something that failed is tried again.
func pause(ctx context.Context, log Log, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	log("%s: %v", what, err)
	sleep(ctx, time.Second)
}

// sleep waits.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
