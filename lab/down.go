// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/paia-tech/hotstandbyjob/lab/internal/controlplane"
	"github.com/paia-tech/hotstandbyjob/lab/internal/simnode"
)

// Down ends a lab and removes everything of it: processes, mounts, network, cgroups and files, also when Up ended
// half-way or any part of the lab was killed. A lab that does not exist is no error.
func Down(ctx context.Context, name string) error {
	f, err := locate(name)
	if err != nil {
		return err
	}
	return f.down(ctx)
}

func (f folder) down(ctx context.Context) error {
	lock, err := f.lock(ctx, nil)
	if err != nil {
		return err
	}
	if err := f.remove(ctx); err != nil {
		lock.Release()
		return fmt.Errorf("take lab %s down: %w", f.name, err)
	}
	lock.Remove()
	return nil
}

// remove kills instead of asking: all data goes with the processes, so there is nothing that they could put in order.
func (f folder) remove(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return f.stopNode(ctx) })
	group.Go(func() error {
		return f.group().Stop(ctx, 0, simnode.Process, controlplane.Scheduler, controlplane.ControllerManager,
			controlplane.APIServer, controlplane.Etcd)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := f.group().Sweep(ctx); err != nil {
		return err
	}
	// Last, so that whatever goes wrong above can be tried again from what is in here.
	if err := os.RemoveAll(f.dir); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}
