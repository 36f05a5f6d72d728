// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestTheStepsOfALaunchAreTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		id := c.add(t, idlePod("a"))
		s := attach(t, c, id, Activity{})
		begin := time.Now()
		claim := claimOf("job")
		claim.Timing = Timing{Seen: begin.Add(-2 * time.Second), Found: begin.Add(-time.Second), Waited: true}
		if _, err := c.Claim(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		text := received(s)
		s.Sending()
		time.Sleep(time.Second)
		report := func() {
			if err := c.Report(id, netip.Addr{}, Activity{LaunchID: launchID(text)}); err != nil {
				t.Fatal(err)
			}
		}
		report()
		report()
		want := claim.Timing
		want.Claimed, want.Sent, want.Begun = begin, begin.Add(time.Second), begin.Add(2*time.Second)
		if len(c.started) != 1 || c.started[0].Timing != want || c.started[0].Job != "job" {
			t.Errorf("told %+v, want %+v", c.started, want)
		}

		s.Close()
		s = attach(t, c, id, Activity{}) // its container was started again
		_ = received(s)
		s.Sending()
		report()
		if len(c.started) != 2 || c.started[1].Timing != (Timing{}) {
			t.Errorf("a second start is told of as a launch: %+v", c.started)
		}
	})
}

func TestALostClaimIsTold(t *testing.T) {
	c := newCluster()
	var lost []types.NamespacedName
	c.OnLost(func(pool types.NamespacedName) { lost = append(lost, pool) })
	c.add(t, idlePod("a"))
	busy := c.get(t, "a")
	busy.Labels["hsj.paia.tech/state"] = "busy" // by another writer, of which the cache hasn't heard
	if err := c.client.Tracker().Update(podResource, busy, busy.Namespace); err != nil {
		t.Fatal(err)
	}
	c.add(t, idlePod("b"))
	if p, err := c.Claim(t.Context(), claimOf("job")); err != nil || p.Name != "b" {
		t.Fatalf("claimed %v, %v", p, err)
	}
	if len(lost) != 1 || lost[0] != game {
		t.Errorf("told of lost claims of %v, want one of %v", lost, game)
	}
}
