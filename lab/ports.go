// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"

	"github.com/paia-tech/hotstandbyjob/lab/internal/controlplane"
	"github.com/paia-tech/hotstandbyjob/lab/internal/filelock"
)

// Ports are taken from below the range that the kernel gives to outgoing connections, which come and go at any time.
const (
	firstPort = 20000
	lastPort  = 29999
)

// reserve picks ports that are free and that no other lab has in its state, and saves the state with them before
// another lab can look.
func (f folder) reserve(ctx context.Context, s *state) error {
	lock, err := filelock.Acquire(ctx, filepath.Join(f.root, ".ports.lock"), nil)
	if err != nil {
		return fmt.Errorf("reserve ports: %w", err)
	}
	defer lock.Remove()
	taken, err := f.portsOfOthers()
	if err != nil {
		return err
	}
	for _, port := range []*int{
		&s.Ports.EtcdClient, &s.Ports.EtcdPeer, &s.Ports.APIServer, &s.Ports.ControllerManager, &s.Ports.Scheduler,
	} {
		*port, err = freePort(ctx, taken)
		if err != nil {
			return err
		}
		taken[*port] = true
	}
	return f.save(*s)
}

func (f folder) portsOfOthers() (map[int]bool, error) {
	names, err := Names()
	if err != nil {
		return nil, err
	}
	taken := map[int]bool{}
	for _, name := range names {
		other, found, err := folder{root: f.root, name: name, dir: filepath.Join(f.root, name)}.load()
		if err != nil || !found || name == f.name {
			continue // a lab whose state cannot be read cannot be brought up either
		}
		for _, port := range portList(other.Ports) {
			taken[port] = true
		}
	}
	return taken, nil
}

func portList(p controlplane.Ports) []int {
	return []int{p.EtcdClient, p.EtcdPeer, p.APIServer, p.ControllerManager, p.Scheduler}
}

// freePort starts at a random place: labs with another state folder choose at the same time.
func freePort(ctx context.Context, taken map[int]bool) (int, error) {
	const count = lastPort - firstPort + 1
	start := rand.IntN(count)
	for i := range count {
		port := firstPort + (start+i)%count
		if taken[port] {
			continue
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("reserve ports: %w", err)
		}
		return port, nil
	}
	return 0, errors.New("reserve ports: none is free between " + strconv.Itoa(firstPort) + " and " + strconv.Itoa(lastPort))
}
