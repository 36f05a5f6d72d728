// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
)

// NodeMode says whether a lab has a real node.
type NodeMode string

// The node modes.
const (
	// Auto gives a lab a real node where that is possible: for root on Linux.
	Auto NodeMode = "auto"
	// Real gives a lab a real node, or fails.
	Real NodeMode = "real"
	// None gives a lab simulated nodes only.
	None NodeMode = "none"
)

// StateVariable is the environment variable that names the folder for the state of labs.
const StateVariable = "HSJ_LAB_STATE"

// DefaultName is the name of a lab that is given none.
const DefaultName = "default"

// Options describe a lab.
type Options struct {
	// Name tells labs apart; those with different names run side by side. The default is "default".
	Name string
	// Node says whether there is a real node. The default is Auto.
	Node NodeMode
	// SimNodes is the number of simulated nodes. A running lab gets more of them, never less.
	SimNodes int
	// Progress is told what is going on, one line at a time. The default is nobody.
	Progress io.Writer
	// Fsync makes etcd wait for the disk, as in production. The default is not to: a lab may lose its last second.
	Fsync bool
	// DefaultClientLimits leaves the request limits of kube-controller-manager and kube-scheduler as Kubernetes sets
	// them. The default is to raise them out of the way.
	DefaultClientLimits bool
}

const maxNameLength = 40

func (o Options) complete() (Options, error) {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Node == "" {
		o.Node = Auto
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	o.Progress = &serialized{to: o.Progress}
	return o, errors.Join(checkName(o.Name), o.checkNode(), o.checkSimNodes())
}

func (o Options) checkNode() error {
	switch o.Node {
	case Auto, None:
		return nil
	case Real:
		if !nodePossible() {
			return errors.New("a real node needs Linux and root: run this as root, or ask for simulated nodes only")
		}
		return nil
	default:
		return fmt.Errorf("unknown kind of node %q: choose %s, %s or %s", o.Node, Auto, Real, None)
	}
}

func (o Options) checkSimNodes() error {
	if o.SimNodes < 0 {
		return fmt.Errorf("the number of simulated nodes is %d: it must not be negative", o.SimNodes)
	}
	return nil
}

// wantsNode decides what Auto means here.
func (o Options) wantsNode() bool {
	return o.Node == Real || o.Node == Auto && nodePossible()
}

func nodePossible() bool { return runtime.GOOS == "linux" && os.Geteuid() == 0 }

func checkName(name string) error {
	// The name becomes part of paths and of cgroups.
	if len(name) > maxNameLength || !regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`).MatchString(name) {
		return fmt.Errorf("lab name %q: use up to %d small letters, digits and dashes", name, maxNameLength)
	}
	return nil
}

// stateRoot is the folder that has a folder for each lab.
func stateRoot() (string, error) {
	if dir := os.Getenv(StateVariable); dir != "" {
		return filepath.Abs(dir)
	}
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find a folder for the lab's state, set %s: %w", StateVariable, err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Abs(filepath.Join(base, "hotstandbyjob", "lab"))
}

// serialized lets several goroutines write to one writer.
type serialized struct {
	mutex sync.Mutex
	to    io.Writer
}

func (s *serialized) Write(p []byte) (int, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.to.Write(p)
}
