// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// field is what a pod says of itself in the hash.
type field struct {
	raw     string
	signal  Signal
	reason  string // why signal is Unknown
	updated time.Time
}

// tooFar is how far ahead of our clock a time may be before it isn't a time in seconds. Milliseconds would make an entry
// fresh for ever.
const tooFar = 365 * 24 * time.Hour

// parseAll parses what has changed since the last time. The hash also has the fields of pods that are long gone: those
// are parsed once.
func parseAll(raw map[string]string, before map[string]field) map[string]field {
	fields := make(map[string]field, len(raw))
	for name, text := range raw {
		known, ok := before[name]
		if !ok || known.raw != text {
			known = parse(text)
		}
		fields[name] = known
	}
	return fields
}

// parse reads {"status": …, "updated_at": …}. Keys are exact, as they were for the Python operator, and what isn't
// understood is Unknown, with one exception that it made too: a status that isn't one of the four is idle, and so is
// a missing one in an object that says something else.
func parse(text string) field {
	f := field{raw: text}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &object); err != nil || object == nil {
		f.reason = "isn't a JSON object"
		return f
	}
	f.updated = parseTime(object["updated_at"])
	if len(object) == 0 {
		f.signal = Starting
		return f
	}
	status := ""
	if value, ok := object["status"]; ok {
		if err := json.Unmarshal(value, &status); err != nil {
			f.reason = "has a status that isn't a string"
			return f
		}
	}
	switch status {
	case "starting":
		f.signal = Starting
	case "busy":
		f.signal = Busy
	case "error":
		f.signal = Failed
	default:
		f.signal = Idle
	}
	return f
}

// parseTime returns the zero time for what isn't a number of seconds.
func parseTime(value json.RawMessage) time.Time {
	number, err := strconv.ParseFloat(string(value), 64)
	if err != nil || math.Abs(number) > math.MaxInt32*1000 {
		return time.Time{}
	}
	return time.UnixMilli(int64(number * 1000))
}

// reading is what the field says now, and until when, if it doesn't change: zero if for ever.
func (f *field) reading(stale time.Duration, now time.Time) (Reading, time.Time) {
	if f.signal == Unknown {
		return Reading{Reason: "redis: the pod's entry " + f.reason}, time.Time{}
	}
	if stale == 0 {
		return Reading{Signal: f.signal}, time.Time{}
	}
	if f.updated.IsZero() || f.updated.Sub(now) > tooFar {
		return Reading{Reason: "redis: the pod's entry has no updated_at in seconds; " +
			"write one, or set busyProbe.redis.staleSeconds: 0"}, time.Time{}
	}
	until := f.updated.Add(stale)
	if until.Before(now) {
		return Reading{Reason: "redis: the pod's entry is stale: its updated_at is older than " + stale.String()}, time.Time{}
	}
	return Reading{Signal: f.signal}, until
}

// evaluate brings the readings of a pool of mode redis up to date, and says whether any is another one. Prober.mu is held.
func (o *pool) evaluate(now time.Time) (changed bool) {
	o.reviewAt = time.Time{}
	if o.source == nil || !o.source.read {
		return false
	}
	for _, e := range o.entries {
		reading, until := o.source.reading(e, o.pace.stale, now)
		if e.record(reading) {
			changed = true
		}
		if !until.IsZero() && (o.reviewAt.IsZero() || until.Before(o.reviewAt)) {
			// Stale is what is older: the next instant.
			o.reviewAt = until.Add(time.Nanosecond)
		}
	}
	return changed
}

func (s *source) reading(e *entry, stale time.Duration, now time.Time) (Reading, time.Time) {
	if s.down != "" {
		return Reading{Reason: s.down, SourceDown: true}, time.Time{}
	}
	said, ok := s.entries[e.target.Name]
	switch {
	case ok:
		e.registered = true
		return said.reading(stale, now)
	case e.registered:
		return Reading{Reason: "redis: the pod's entry is gone"}, time.Time{}
	default:
		return Reading{Signal: Starting}, time.Time{}
	}
}
