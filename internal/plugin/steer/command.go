// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

const (
	attempts = 5 // of a change of what somebody else changes, too
	pace     = 500 * time.Millisecond
)

const drainLong = `Take a pool's idle pods away, and leave busy ones to finish.

It sets idleTarget and minReplicas to 0 and remembers what they were in an annotation, so that resume can put them back. The
operator retires idle pods when there were too many for scaleDownDelaySeconds. Jobs that are launched meanwhile start as
spec.standby.whenEmpty says.`

// Commands are drain, pause and resume.
func Commands(cli *cluster.CLI) []*cobra.Command {
	wait, timeout := true, 5*time.Minute
	drain := command(cli, "drain POOL", "Take a pool's idle pods away, busy ones stay", func(ctx context.Context, k *cluster.Cluster, name string) error {
		if !wait {
			_, said, err := alter(ctx, k, name, drainOf)
			return tell(cli, name, said, "has no idle target already", err)
		}
		return drainPool(ctx, cli, k, name, timeout)
	})
	drain.Long = drainLong
	drain.Flags().BoolVar(&wait, "wait", wait, "wait until no idle pod is left, and say how many are")
	drain.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait; 0: for ever")
	pause := command(cli, "pause POOL", "Stop a pool's pods from being made, replaced and retired", func(ctx context.Context, k *cluster.Cluster, name string) error {
		_, said, err := alter(ctx, k, name, func(h *v1alpha1.HotStandbyJob) (*change, string, error) {
			return pause(h), "paused", nil
		})
		return tell(cli, name, said, "is paused already", err)
	})
	resume := command(cli, "resume POOL", "End a pause or a drain", func(ctx context.Context, k *cluster.Cluster, name string) error {
		_, said, err := alter(ctx, k, name, resume)
		return tell(cli, name, said, "is neither paused nor drained", err)
	})
	return []*cobra.Command{drain, pause, resume}
}

func command(cli *cluster.CLI, use, short string, do func(context.Context, *cluster.Cluster, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: cli.CompletePool(),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := cli.Connect()
			if err != nil {
				return err
			}
			return do(cmd.Context(), k, args[0])
		},
	}
}

// alter reads a pool and changes it, again if it was changed in between.
func alter(ctx context.Context, k *cluster.Cluster, name string, decide func(*v1alpha1.HotStandbyJob) (*change, string, error)) (*v1alpha1.HotStandbyJob, string, error) {
	var conflict error
	for range attempts {
		h, err := k.Pool(ctx, name)
		if err != nil {
			return nil, "", err
		}
		c, said, err := decide(h)
		if err != nil || c == nil {
			return h, "", err
		}
		patch, err := c.patch()
		if err != nil {
			return nil, "", err
		}
		h, conflict = k.PatchPool(ctx, name, patch)
		if !apierrors.IsConflict(conflict) {
			return h, said, conflict
		}
	}
	return nil, "", conflict
}

func tell(cli *cluster.CLI, name, said, otherwise string, err error) error {
	if err != nil {
		return err
	}
	if said == "" {
		said = otherwise
	}
	_, err = fmt.Fprintf(cli.Out, "hotstandbyjob.apps.paia.tech/%s %s\n", name, said)
	return err
}

func drainOf(h *v1alpha1.HotStandbyJob) (*change, string, error) {
	c, err := drain(h)
	return c, "is being drained", err
}

func drainPool(ctx context.Context, cli *cluster.CLI, k *cluster.Cluster, name string, timeout time.Duration) error {
	h, _, err := alter(ctx, k, name, drainOf)
	if err != nil {
		return err
	}
	if timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, timeout)
		defer stop()
	}
	return awaitEmpty(ctx, cli, k, h, timeout)
}

// awaitEmpty waits until no idle unit is left, and says how many are whenever that changes.
func awaitEmpty(ctx context.Context, cli *cluster.CLI, k *cluster.Cluster, h *v1alpha1.HotStandbyJob, timeout time.Duration) error {
	last := int32(-1)
	for {
		units, seen := left(h)
		if seen && units == 0 {
			return tell(cli, h.Name, fmt.Sprintf("drained; busy: %d", h.Status.BusyCount), "", nil)
		}
		if units != last {
			last = units
			_, _ = fmt.Fprintf(cli.ErrOut, "%d idle or starting, %d busy; idle ones go after scaleDownDelaySeconds: %d\n",
				units, h.Status.BusyCount, delay(h))
		}
		select {
		case <-cli.Clock.After(pace):
		case <-ctx.Done():
			return fmt.Errorf("%d idle units are left after %s: `kubectl hsj explain %s` says why; the pool goes on draining", units, timeout, h.Name)
		}
		now, err := k.Pool(ctx, h.Name)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			h = now
		}
	}
}

func delay(h *v1alpha1.HotStandbyJob) int32 {
	if h.Spec.ScaleDownDelaySeconds == nil {
		return 0
	}
	return *h.Spec.ScaleDownDelaySeconds
}
