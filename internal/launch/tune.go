// SPDX-License-Identifier: Apache-2.0

package launch

import (
	"context"
	"errors"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"
	upstream "k8s.io/kubernetes/pkg/controller/job"
	"k8s.io/kubernetes/pkg/controller/util/consistency"
)

const (
	// batchPeriod is how long an event of a pod waits for others of the same Job. Upstream's second spares status writes;
	// here updateStatus does.
	batchPeriod = 10 * time.Millisecond
	// firstBackOff is upstream's way to wait for its own writes to come back, too.
	firstBackOff = 50 * time.Millisecond
	maxBackOff   = 10 * time.Second
)

// tune sets what upstream has as variables of its package, once for all launchers of the process.
var tune = sync.OnceFunc(func() {
	upstream.SyncJobBatchPeriod = batchPeriod
	upstream.DefaultJobApiBackOff = firstBackOff
	upstream.MaxJobApiBackOff = maxBackOff

	// Errors that are no errors are kept out of the log, and away from the delay that follows each that is logged.
	handlers := utilruntime.ErrorHandlers
	utilruntime.ErrorHandlers = []utilruntime.ErrorHandler{
		func(ctx context.Context, err error, msg string, keysAndValues ...any) {
			if isWaiting(err) {
				klog.FromContext(ctx).V(4).Info("a Job will be looked at again", "reason", err.Error())
				return
			}
			for _, handle := range handlers {
				handle(ctx, err, msg, keysAndValues...)
			}
		},
	}
})

// isWaiting tells errors by which the embedded controller is made to wait, for a pod or for what was written meanwhile to
// come back, from those that somebody should see.
func isWaiting(err error) bool {
	var stale *consistency.ConsistencyError
	return errors.Is(err, errWaits) || errors.Is(err, errRejected) || errors.As(err, &stale) || apierrors.IsConflict(err)
}
