// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// ErrIndexTaken says that the addresses of an index belong to something else; SetupNetwork can be tried with the next one.
var ErrIndexTaken = errors.New("the lab's addresses are in use")

const (
	maxIndex    = 255
	linkInside  = "eth0"
	aliasPrefix = "hotstandbyjob-lab:"
)

// Addresses are those of one lab with a real node. The host reaches all of them by routes, so that an API server or an
// operator that runs on the host can call a webhook by its Service and probe a pod by its address.
type Addresses struct {
	// HostIP is the host's end of the veth pair: nodes and pods reach the API server there.
	HostIP string
	// NodeIP is the node's InternalIP.
	NodeIP string
	// PodCIDR is the range of pod addresses, ServiceCIDR that of cluster IPs.
	PodCIDR, ServiceCIDR string
	// ClusterDNS is the cluster IP of DNS, APIService that of the Service "kubernetes".
	ClusterDNS, APIService string
}

// Network computes the addresses of a lab: its index picks one /24 each for the node, its pods and its Services.
func Network(index int) Addresses {
	return Addresses{
		HostIP:      fmt.Sprintf("10.90.%d.1", index),
		NodeIP:      fmt.Sprintf("10.90.%d.2", index),
		PodCIDR:     fmt.Sprintf("10.91.%d.0/24", index),
		ServiceCIDR: fmt.Sprintf("10.92.%d.0/24", index),
		ClusterDNS:  fmt.Sprintf("10.92.%d.10", index),
		APIService:  fmt.Sprintf("10.92.%d.1", index),
	}
}

// FreeIndex returns the lowest index, beginning with the given one, whose addresses are not in use by an interface of this
// machine. Another lab can still be faster: SetupNetwork returns ErrIndexTaken then.
func FreeIndex(from int) (int, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return 0, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	for index := from; index <= maxIndex; index++ {
		if !linkExists(hostLink(index)) && !overlaps(Network(index), addresses) {
			return index, nil
		}
	}
	return 0, fmt.Errorf("no free range in 10.90.0.0/16, 10.91.0.0/16 and 10.92.0.0/16: end a lab first (lab down --name NAME): %w", ErrIndexTaken)
}

func overlaps(a Addresses, taken []net.Addr) bool {
	for _, cidr := range []string{a.HostIP + "/24", a.PodCIDR, a.ServiceCIDR} {
		_, want, err := net.ParseCIDR(cidr)
		if err != nil {
			return true
		}
		for _, address := range taken {
			have, ok := address.(*net.IPNet)
			if ok && (have.Contains(want.IP) || want.Contains(have.IP)) {
				return true
			}
		}
	}
	return false
}

// hostLink names the host's end of the veth pair. The index is in it, so that creating the link claims the index.
func hostLink(index int) string { return fmt.Sprintf("hsjlab%d", index) }

func linkExists(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name))
	return err == nil
}

func netnsPath(dir string) string { return filepath.Join(dir, "netns") }

// SetupNetwork makes the node's network namespace and the veth pair to it, so that the host has HostIP before the API
// server listens there. What exists already is left as it is. Stop takes it away again.
func SetupNetwork(ctx context.Context, cfg Config) error {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("create the node's folder: %w", err)
	}
	// Written first: whatever happens from here on, Stop finds what to take away.
	if err := writeRecord(cfg, linkOwner(hostLink(cfg.Index)) == cfg.Dir); err != nil {
		return err
	}
	namespace := netnsPath(cfg.Dir)
	if !isNetns(namespace) {
		if err := makeNetns(ctx, namespace); err != nil {
			return err
		}
	}
	if err := claim(ctx, cfg); err != nil {
		return err
	}
	return configureNetwork(ctx, cfg)
}

// claim makes the link, which gives the index to this lab, unless it has made it before.
func claim(ctx context.Context, cfg Config) error {
	link := hostLink(cfg.Index)
	if linkOwner(link) == cfg.Dir {
		return nil
	}
	// The kernel lets one lab only make a link of that name. Its owner may not have signed it yet.
	err := run(ctx, "ip", "link", "add", link, "type", "veth", "peer", "name", linkInside, "netns", netnsPath(cfg.Dir))
	if err != nil && linkExists(link) {
		return fmt.Errorf("%w: interface %s: %w", ErrIndexTaken, link, err)
	}
	if err != nil {
		return err
	}
	if err := run(ctx, "ip", "link", "set", link, "alias", aliasPrefix+cfg.Dir); err != nil {
		return err
	}
	return writeRecord(cfg, true)
}

// makeNetns keeps the namespace by a mount in the lab's own folder: "ip netns add" would leave a mount of /run/netns behind.
func makeNetns(ctx context.Context, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create the network namespace's file: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("create the network namespace's file: %w", err)
	}
	return run(ctx, "unshare", "--net="+path, "true")
}

func configureNetwork(ctx context.Context, cfg Config) error {
	link := hostLink(cfg.Index)
	inside := []string{"nsenter", "--net=" + netnsPath(cfg.Dir)}
	for _, command := range [][]string{
		{"ip", "address", "replace", cfg.HostIP + "/24", "dev", link},
		{"ip", "link", "set", link, "up"},
		append(inside, "ip", "link", "set", "lo", "up"),
		append(inside, "ip", "address", "replace", cfg.NodeIP+"/24", "dev", linkInside),
		append(inside, "ip", "link", "set", linkInside, "up"),
		// Routing comes before kube-proxy's rules for what the node itself sends: without a route there is nothing to rewrite.
		// There is no default route on purpose: what isn't in the lab fails at once instead of timing out.
		append(inside, "ip", "route", "replace", cfg.ServiceCIDR, "dev", linkInside),
		append(inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"),
		{"ip", "route", "replace", cfg.PodCIDR, "via", cfg.NodeIP, "dev", link},
		{"ip", "route", "replace", cfg.ServiceCIDR, "via", cfg.NodeIP, "dev", link},
	} {
		if err := run(ctx, command[0], command[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// linkOwner is the state folder of the lab that made the link: its alias says so.
func linkOwner(link string) string {
	alias, err := os.ReadFile(filepath.Join("/sys/class/net", link, "ifalias"))
	if err != nil {
		return ""
	}
	owner, ok := strings.CutPrefix(strings.TrimSpace(string(alias)), aliasPrefix)
	if !ok {
		return ""
	}
	return owner
}

func removeNetwork(ctx context.Context, dir string, index int) error {
	var failed []error
	if link := hostLink(index); linkExists(link) && linkOwner(link) == dir {
		// The kernel takes the other end, and the routes over both, with it.
		if err := run(ctx, "ip", "link", "delete", link); err != nil && linkExists(link) {
			failed = append(failed, err)
		}
	}
	namespace := netnsPath(dir)
	for isNetns(namespace) {
		// Lazily: a process of an up that was killed may be inside of it for a moment longer.
		if err := run(ctx, "umount", "--lazy", namespace); err != nil {
			failed = append(failed, err)
			break
		}
	}
	if err := os.Remove(namespace); err != nil && !errors.Is(err, os.ErrNotExist) {
		failed = append(failed, fmt.Errorf("remove the network namespace's file: %w", err))
	}
	return errors.Join(failed...)
}
