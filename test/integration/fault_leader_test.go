// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"testing"

	"github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/operator"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// leading starts an operator that stands for election.
func leading(e *kit.Env, program string) *kit.Process {
	return e.Start(program, "--leader-elect", "--leader-election-namespace="+e.Namespace)
}

// holder is who holds the Lease; nobody if there is none.
func holder(e *kit.Env) string {
	e.T.Helper()
	lease := &coordinationv1.Lease{}
	err := e.Client.Get(e.T.Context(), client.ObjectKey{Namespace: e.Namespace, Name: operator.LeaseName}, lease)
	if client.IgnoreNotFound(err) != nil {
		e.T.Fatalf("get the Lease: %v", err)
	}
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

// lead starts two operators, of which the first leads and is called what is returned, and has it fill a pool.
func lead(e *kit.Env, program string) (leader *kit.Process, name string) {
	e.T.Helper()
	leader = leading(e, program)
	e.Await("the first leads", func(g gomega.Gomega) {
		name = holder(e)
		g.Expect(name).NotTo(gomega.BeEmpty())
	})
	leading(e, program)
	e.Guard("led", 8)
	e.Create(kit.Pool("led").Idle(5).Max(8).Obj())
	e.AwaitStatus("led", 5, 0)
	if now := holder(e); now != name {
		e.T.Fatalf("%q leads, before it was %q, which still runs", now, name)
	}
	return leader, name
}

// taken checks that the second operator goes on where the first stopped.
func taken(e *kit.Env, before string) {
	e.T.Helper()
	e.Update("led", func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = 7 })
	e.AwaitStatus("led", 7, 0)
	if now, jobs := holder(e), len(e.Jobs("led")); now == before || now == "" || jobs != 7 {
		e.T.Errorf("the Lease is held by %q, before by %q; there are %d Jobs, want 7", now, before, jobs)
	}
}

func killTheLeader(t *testing.T, program string) {
	e := kit.New(t)
	leader, name := lead(e, program)
	leader.Kill()
	taken(e, name)
}

func endTheLeader(t *testing.T, program string) {
	e := kit.New(t)
	leader, name := lead(e, program)
	if err := leader.Terminate(); err != nil {
		t.Errorf("the leader ended: %v", err)
	}
	// It need not run out: whoever asks next has it.
	if now := holder(e); now == name {
		t.Errorf("the Lease is still held by %q, which has ended", now)
	}
	taken(e, name)
}
