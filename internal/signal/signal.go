// SPDX-License-Identifier: Apache-2.0

// Package signal has the words for what a pod says about its work. It is pure: packages that read signals and packages
// that decide by them meet here.
package signal

// Signal is what a pod says about its work.
type Signal int

// The signals.
const (
	Unknown  Signal = iota // asked, and no usable answer
	Starting               // it isn't ready for work yet
	Idle
	Busy
	Failed // it says that it can't work
)

// String returns the signal in lower case, as it is written in logs.
func (s Signal) String() string {
	switch s {
	case Starting:
		return "starting"
	case Idle:
		return "idle"
	case Busy:
		return "busy"
	case Failed:
		return "failed"
	default:
		return "unknown"
	}
}

// Reading is the last thing that is known of a pod.
type Reading struct {
	Signal     Signal
	Last       Signal // the last usable signal: Signal itself, or while that is Unknown the one before; Unknown if there never was one
	Reason     string // why Signal is Unknown, for people; without changing numbers, since it ends up in a condition
	SourceDown bool   // the source as a whole can't be read, as opposed to this pod's entry
}
