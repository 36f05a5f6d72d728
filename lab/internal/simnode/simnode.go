// SPDX-License-Identifier: Apache-2.0

package simnode

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/paia-tech/hotstandbyjob/lab/internal/pki"
	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

// parallel is how many nodes are created at a time.
const parallel = 16

// Start starts kwok unless it runs and creates the nodes that are missing.
func (c Config) Start(ctx context.Context, client kubernetes.Interface, nodes int) error {
	path, err := c.writeSettings()
	if err != nil {
		return err
	}
	if err := allow(ctx, client); err != nil {
		return err
	}
	spec := process.Spec{
		Name: Process,
		Path: c.Program(Process),
		Args: []string{"--config=" + path, "--kubeconfig=" + c.Kubeconfig},
		// kwok reads a configuration of the user's as well, from there.
		Env: []string{"KWOK_WORKDIR=" + c.Dir},
	}
	if _, running := c.Group.Running(Process); !running {
		if err := releaseNodes(ctx, client); err != nil {
			return err
		}
	}
	if _, err := c.Group.Start(ctx, spec); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range nodes {
		group.Go(func() error { return create(ctx, client, node(Name(i))) })
	}
	return group.Wait()
}

// releaseNodes removes the leases of a kwok that has ended. Each kwok has an identity of its own and leaves nodes alone
// that another one holds: it would wait until their leases have run out.
func releaseNodes(ctx context.Context, client kubernetes.Interface) error {
	leases := client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	list, err := leases.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list leases of nodes: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, lease := range list.Items {
		if holder := lease.Spec.HolderIdentity; holder == nil || *holder == lease.Name {
			continue // a kubelet's
		}
		group.Go(func() error {
			if err := leases.Delete(ctx, lease.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("release node %s: %w", lease.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Name is the name of the simulated node with this number.
func Name(i int) string { return fmt.Sprintf("sim-%d", i) }

// Await returns when this many simulated nodes are ready.
func (c Config) Await(ctx context.Context, client kubernetes.Interface, nodes int) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		ready, err := countReady(ctx, client)
		if err != nil {
			return err
		}
		if ready >= nodes {
			return nil
		}
		if _, ok := c.Group.Running(Process); !ok {
			return fmt.Errorf("kwok has ended, the last lines of its log are:\n%s", c.Group.Tail(Process, 12))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for simulated nodes, %d of %d are ready, see %s: %w",
				ready, nodes, c.Group.LogFile(Process), context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// countReady reads from the API server's cache: what matters is soon, not exact.
func countReady(ctx context.Context, client kubernetes.Interface) (int, error) {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{
		LabelSelector: LabelKey + "=" + LabelValue, ResourceVersion: "0",
	})
	if err != nil {
		return 0, fmt.Errorf("list simulated nodes: %w", err)
	}
	ready := 0
	for i := range list.Items {
		for _, condition := range list.Items[i].Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	return ready, nil
}

func create(ctx context.Context, client kubernetes.Interface, n *corev1.Node) error {
	_, err := client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create simulated node %s: %w", n.Name, err)
	}
	return nil
}

// node is a large machine: the scheduler shall never be what limits a test.
func node(name string) *corev1.Node {
	size := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("256"),
		corev1.ResourceMemory:           resource.MustParse("1Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("10Ti"),
		corev1.ResourcePods:             resource.MustParse("2000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				LabelKey:               LabelValue,
				corev1.LabelHostname:   name,
				corev1.LabelOSStable:   "linux",
				corev1.LabelArchStable: "amd64",
			},
			Annotations: map[string]string{TaintKey: TaintValue},
		},
		Spec: corev1.NodeSpec{
			Taints: []corev1.Taint{{Key: TaintKey, Value: TaintValue, Effect: corev1.TaintEffectNoSchedule}},
		},
		Status: corev1.NodeStatus{
			Capacity: size, Allocatable: size,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: "127.0.0.1"},
				{Type: corev1.NodeHostName, Address: name},
			},
			NodeInfo: corev1.NodeSystemInfo{
				Architecture: "amd64", OperatingSystem: "linux", OSImage: "simulated", KubeletVersion: "kwok",
				KernelVersion: "simulated", ContainerRuntimeVersion: "kwok://simulated",
			},
		},
	}
}

// allow gives kwok the rights that a kubelet has on all simulated nodes, and no others.
func allow(ctx context.Context, client kubernetes.Interface) error {
	const name = "lab:kwok"
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"nodes/status", "pods/status"}, Verbs: []string{"patch", "update"}},
		{
			APIGroups: []string{""}, Resources: []string{"pods"},
			Verbs: []string{"get", "list", "watch", "patch", "update", "delete"},
		},
		{
			APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"},
			Verbs: []string{"create", "patch", "update"},
		},
		{
			APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"},
			Verbs: []string{"get", "list", "watch", "create", "patch", "update"},
		},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: pki.KwokUser}},
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("allow kwok its work: %w", err)
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("allow kwok its work: %w", err)
	}
	return nil
}
