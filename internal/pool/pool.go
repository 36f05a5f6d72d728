// SPDX-License-Identifier: Apache-2.0

// Package pool decides how many units a pool shall make, which it shall retire and when to look again. It takes values
// and returns values: no I/O, no clock, nothing but the standard library.
//
// A unit goes through these phases; Retiring is the fence in front of a deletion, and only the last row holds no place:
//
//	Starting ──▶ Idle ──▶ Busy ──▶ Succeeded, Failed
//	    │         │ ▲      ▲
//	    │         ▼ │      │     Unknown: its busy signal can't be read; it may be busy
//	    └──────▶ Retiring ─┴──▶ Terminating
package pool

import "time"

// Phase is what a unit is doing.
type Phase int

// The phases of a unit.
const (
	Starting    Phase = iota // never was warm
	Idle                     // warm, without work
	Busy                     // works
	Unknown                  // its busy signal can't be read
	Retiring                 // fenced: it will be deleted, unless it turns busy
	Terminating              // being deleted
	Failed                   // ended badly, or says that it can't work
	Succeeded                // ended well
)

// Unit is what is made and retired as a whole.
type Unit struct {
	Name  string // unique in the pool
	Phase Phase

	Created time.Time
	Warm    time.Time // Idle, Busy: since when it is warm
	Ended   time.Time // Failed, Succeeded: when

	Running  bool // a container of it runs, or ran: Starting units without one are the cheapest to retire
	WasBusy  bool // Unknown: it was busy when its signal could last be read. Failed: it failed while it worked
	Current  bool // it was made from the current revision
	Cordoned bool // its node takes no new pods
	Index    int  // its place among units that share a Job, whose tail is the cheapest to retire; otherwise 0
}

// Spec is what the pool shall be.
type Spec struct {
	Revision       string
	IdleTarget     int
	Min            int
	Max            int // math.MaxInt: no upper bound
	ScaleDownDelay time.Duration
	MaxUnavailable int // idle units that may be missing, but not all, while old ones are replaced; 0: none is replaced
	// MaxIdle is how long a unit may be idle before it is replaced; 0: for ever.
	MaxIdle       time.Duration
	KeepFailed    int // finished units that are kept to look at
	KeepSucceeded int // math.MaxInt: somebody else removes them
	Paused        bool
	Refused       bool // the server refuses units like these: make none
}

// State is all that a decision depends on.
type State struct {
	Now    time.Time
	Spec   Spec
	Units  []Unit
	Memory Memory
}

// Memory is what a decision hands to the next one. The zero Memory is that of a new pool. Forgotten with it is the start
// of a surplus, so that a scale-down waits its full delay again, and how often units failed, so that the delay is short
// again; that they failed is still seen in those that are kept to look at.
type Memory struct {
	Surplus  []Surplus // rising in Since and Units
	Failures Failures
}

// Surplus says that since a time there were always at least so many units too many.
type Surplus struct {
	Since time.Time
	Units int
}

// Plan is what to do. The zero Plan is: nothing.
type Plan struct {
	Create int           // how many units to make
	Retire []string      // units to fence and then delete
	Remove []string      // units to delete as they are: they ended, or can't work
	Wake   time.Duration // when to decide again if nothing happens; 0: no need

	Desired      int       // how many units there shall be
	Limited      bool      // Max keeps the pool from having IdleTarget idle units
	BackoffUntil time.Time // failed units are replaced from then on; zero: at once
	Outdated     int       // units of an old revision that shall be replaced
	Memory       Memory
}

// Count is how many units are in each phase.
type Count struct{ Starting, Idle, Busy, Unknown, WasBusy, Retiring int }

// Counted counts units by phase; WasBusy counts the Unknown ones that were busy.
func Counted(units []Unit) Count {
	var c Count
	for _, u := range units {
		switch u.Phase {
		case Starting:
			c.Starting++
		case Idle:
			c.Idle++
		case Busy:
			c.Busy++
		case Unknown:
			c.Unknown++
			if u.WasBusy {
				c.WasBusy++
			}
		case Retiring:
			c.Retiring++
		case Terminating, Failed, Succeeded:
		}
	}
	return c
}

// capacity is how many units work, or will.
func (c Count) capacity() int { return c.Starting + c.Idle + c.Busy + c.Unknown }
