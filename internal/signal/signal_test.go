// SPDX-License-Identifier: Apache-2.0

package signal

import "testing"

func TestString(t *testing.T) {
	for s, want := range map[Signal]string{
		Unknown: "unknown", Starting: "starting", Idle: "idle", Busy: "busy", Failed: "failed", Signal(99): "unknown",
	} {
		if got := s.String(); got != want {
			t.Errorf("signal %d is %q, want %q", int(s), got, want)
		}
	}
}

// TestNothingIsKnownOfNothing holds that the zero Reading, which stands for a pod that was never asked, is not idle.
func TestNothingIsKnownOfNothing(t *testing.T) {
	if r := (Reading{}); r.Signal != Unknown || r.Last != Unknown {
		t.Errorf("the zero Reading is %v, last %v", r.Signal, r.Last)
	}
}
