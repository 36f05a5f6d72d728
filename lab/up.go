// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/paia-tech/hotstandbyjob/lab/internal/build"
	"github.com/paia-tech/hotstandbyjob/lab/internal/controlplane"
	"github.com/paia-tech/hotstandbyjob/lab/internal/node"
	"github.com/paia-tech/hotstandbyjob/lab/internal/pki"
	"github.com/paia-tech/hotstandbyjob/lab/internal/simnode"
	"github.com/paia-tech/hotstandbyjob/lab/internal/system"
)

// startTime is how long everything may take to come up; a machine that is busy otherwise needs a multiple of what an
// idle one does.
const startTime = 5 * time.Minute

const loopback = "127.0.0.1"

// loopbackServices is the range of the Services' addresses where there is no real node: nothing listens on them.
const loopbackServices = "10.96.0.0/16"

// Up brings a lab up and returns when it is ready for use. It builds what was never built, starts what does not run,
// and returns a lab that runs already as it is.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	f, err := locate(o.Name)
	if err != nil {
		return nil, err
	}
	u := upper{folder: f, Options: o, started: time.Now()}
	// The build comes before the lock: it may take long, and whoever wants to take the lab down shall not wait for it.
	if u.bin, err = u.build(ctx); err != nil {
		return nil, err
	}
	lock, err := f.lock(ctx, func() { u.say("another command works on lab %s, waiting for it", f.name) })
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("lab %s did not come up within %s", f.name, startTime))
	defer cancel()
	s, err := u.prepare(ctx)
	if err != nil {
		return nil, err
	}
	l := &Lab{folder: f, state: s}
	if err := u.start(ctx, l); err != nil {
		return nil, fmt.Errorf("bring lab %s up (its logs are in %s): %w", f.name, l.Logs(), err)
	}
	u.say("lab %s is up after %s", f.name, u.elapsed())
	return l, nil
}

// Build makes the programs of a lab without starting it and returns the folder that they are in.
func Build(ctx context.Context, o Options) (string, error) {
	o, err := o.complete()
	if err != nil {
		return "", err
	}
	return upper{Options: o}.build(ctx)
}

// upper is one call of Up.
type upper struct {
	folder
	Options
	started time.Time
	// bin has the programs of the current build. A lab that runs may have older ones.
	bin string
}

func (u upper) say(format string, args ...any) { _, _ = fmt.Fprintf(u.Progress, format+"\n", args...) }

func (u upper) elapsed() time.Duration { return time.Since(u.started).Round(10 * time.Millisecond) }

// build makes the programs. What Debian packages are needed is settled first: a build takes long.
func (u upper) build(ctx context.Context) (string, error) {
	components := build.Components(build.Kubernetes, build.Kubectl, build.Etcd, build.Kwok)
	var packages []string
	if u.wantsNode() {
		components = build.Components()
		packages = node.Packages()
	}
	missing, err := build.Missing(ctx, components...)
	if err != nil {
		return "", err
	}
	for _, c := range missing {
		packages = append(packages, c.Needs...)
	}
	if err := system.Ensure(ctx, u.Progress, packages...); err != nil {
		return "", err
	}
	return build.Ensure(ctx, u.Progress, components...)
}

// prepare loads the lab's state or makes it, and saves it.
func (u upper) prepare(ctx context.Context) (state, error) {
	s, found, err := u.load()
	if err != nil {
		return s, err
	}
	if !found {
		return u.create(ctx)
	}
	if u.Node == Real && !s.Real {
		return s, fmt.Errorf("lab %s runs without a real node: take it down first", u.name)
	}
	s.SimNodes = max(s.SimNodes, u.SimNodes)
	if s.BinDir != u.bin {
		if u.anyRunning() {
			u.say("lab %s runs programs of an older build; take it down to get the new ones", u.name)
		} else {
			s.BinDir, s.Version = u.bin, KubernetesVersion
		}
	}
	return s, u.save(s)
}

// create makes the state of a new lab. A folder without a state is what a command left that was killed at this point.
func (u upper) create(ctx context.Context) (state, error) {
	if err := u.remove(ctx); err != nil {
		return state{}, fmt.Errorf("remove what is left of lab %s: %w", u.name, err)
	}
	s := state{
		Version: KubernetesVersion, BinDir: u.bin, SimNodes: u.SimNodes,
		Address: loopback, ServiceCIDR: loopbackServices,
		Fsync: u.Fsync, DefaultClientLimits: u.DefaultClientLimits,
	}
	if u.wantsNode() {
		if err := u.claimNetwork(ctx, &s); err != nil {
			return s, err
		}
	} else {
		u.say("this lab has simulated nodes only: pods become Running there, but no container runs, so that probes, " +
			"exec and logs don't work")
	}
	return s, u.reserve(ctx, &s)
}

func (u upper) anyRunning() bool {
	group := u.group()
	names, err := group.Names()
	if err != nil {
		return true
	}
	for _, name := range names {
		if _, ok := group.Running(name); ok {
			return true
		}
	}
	return false
}

// start starts things side by side where their order allows it.
func (u upper) start(ctx context.Context, l *Lab) error {
	certificates, err := u.certificates(l.state)
	if err != nil {
		return err
	}
	plane := u.controlPlane(l.state, certificates)
	var rebooted time.Time
	if !u.nodeRuns() {
		rebooted = time.Now()
	}
	if err := u.startServers(ctx, &l.state, plane); err != nil {
		return err
	}
	config, err := l.RESTConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := plane.StartControllers(ctx); err != nil {
			return err
		}
		return awaitServiceAccount(ctx, client)
	})
	group.Go(func() error { return u.simulate(ctx, client, l.state) })
	if l.state.Real {
		group.Go(func() error { return u.awaitNode(ctx, l, client, rebooted) })
	}
	return group.Wait()
}

// startServers starts the API server, and containerd meanwhile.
func (u upper) startServers(ctx context.Context, s *state, plane controlplane.Config) error {
	group, ctx := errgroup.WithContext(ctx)
	if s.Real {
		if err := node.SetupNetwork(ctx, u.nodeConfig(*s, plane.PKI)); err != nil {
			return err
		}
		group.Go(func() error { return u.startNode(ctx, s) })
	}
	group.Go(func() error {
		if err := plane.Start(ctx); err != nil {
			return err
		}
		u.say("the API server is ready after %s", u.elapsed())
		return nil
	})
	return group.Wait()
}

func (u upper) certificates(s state) (pki.Files, error) {
	address, err := netip.ParseAddr(s.Address)
	if err != nil {
		return pki.Files{}, fmt.Errorf("parse the API server's address: %w", err)
	}
	services, err := netip.ParsePrefix(s.ServiceCIDR)
	if err != nil {
		return pki.Files{}, fmt.Errorf("parse the range of Services: %w", err)
	}
	cfg := pki.Config{
		Dir:     u.path("pki"),
		Cluster: "lab-" + u.name,
		// The first address of the range is the Service "kubernetes".
		ServerIPs: []netip.Addr{address, services.Masked().Addr().Next()},
		ServerURL: "https://" + netip.AddrPortFrom(address, uint16(s.Ports.APIServer)).String(),
	}
	if s.Real {
		cfg.NodeName, cfg.NodeIP = nodeName, node.Network(s.Index).NodeIP
	}
	return pki.Ensure(cfg)
}

func (u upper) controlPlane(s state, certificates pki.Files) controlplane.Config {
	return controlplane.Config{
		Group: u.group(), Program: controlplane.Program(s.BinDir), DataDir: u.path("etcd"), PKI: certificates,
		Ports: s.Ports, Address: s.Address, ServiceCIDR: s.ServiceCIDR,
		Fsync: s.Fsync, DefaultClientLimits: s.DefaultClientLimits,
	}
}

func (u upper) simulate(ctx context.Context, client kubernetes.Interface, s state) error {
	if s.SimNodes == 0 {
		return nil
	}
	simulation := simnode.Config{
		Group: u.group(), Program: controlplane.Program(s.BinDir), Dir: u.path("kwok"), Kubeconfig: u.pki().KwokConfig,
	}
	if err := simulation.Start(ctx, client, s.SimNodes); err != nil {
		return err
	}
	if err := simulation.Await(ctx, client, s.SimNodes); err != nil {
		return err
	}
	u.say("%s simulated nodes are ready after %s", strconv.Itoa(s.SimNodes), u.elapsed())
	return nil
}

// awaitServiceAccount waits until pods can be created: admission refuses them before their namespace has an account.
func awaitServiceAccount(ctx context.Context, client kubernetes.Interface) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("wait for the default service account: %w", errors.Join(err, context.Cause(ctx)))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the default service account: %w", context.Cause(ctx))
		case <-tick.C:
		}
	}
}
