// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// Page has the operator serve its page at an address that is free, which is returned; give change to Operator or
// PushOperator.
func (e *Env) Page() (address string, change func(*config.Operator)) {
	e.T.Helper()
	address = e.FreeAddress()
	return address, func(c *config.Operator) { c.UIAddress = address }
}

// Streams has all simulated standby pods of the namespace attached to the gateway, and take their launches: they report that
// the command runs, and end it, well, after the time that work says. It needs an operator with GatewayAnyAddress.
func (e *Env) Streams(url string, work func() time.Duration) {
	e.T.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(e.T.Context()))
	s := &drive.Streams{Client: e.Client, URL: url, Log: e.T.Logf, Work: func(ctx context.Context, _ drive.Started) {
		select {
		case <-ctx.Done():
		case <-time.After(work()):
		}
	}}
	var watching sync.WaitGroup
	watching.Go(func() {
		w := drive.Watcher{Client: e.Client, Namespace: e.Namespace, Log: e.T.Logf}
		w.Pods(ctx, func(event watch.EventType, p *corev1.Pod) { s.See(ctx, event, p) })
	})
	e.T.Cleanup(func() {
		cancel()
		watching.Wait()
		s.Wait()
		e.T.Logf("%d simulated pods attached, %d of them ran something", s.Attached(), s.Ran())
	})
}
