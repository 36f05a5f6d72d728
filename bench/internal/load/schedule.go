// SPDX-License-Identifier: Apache-2.0

// Package load offers load that does not wait for answers: a schedule says when each request is due, and it is made then,
// whatever became of those before it.
package load

import (
	"math/rand/v2"
	"time"
)

// Schedule is when requests are due, from the beginning of the load, in order.
type Schedule []time.Duration

// Every is n requests at a fixed interval, the first at once.
func Every(interval time.Duration, n int) Schedule {
	s := make(Schedule, 0, n)
	for i := range n {
		s = append(s, time.Duration(i)*interval)
	}
	return s
}

// Burst is n requests that are all due at once.
func Burst(n int) Schedule { return make(Schedule, n) }

// Poisson is requests at so many a second on average, as those of many clients who don't know of each other, for as long as
// it lasts. The same random numbers make the same schedule.
func Poisson(random *rand.Rand, perSecond float64, lasts time.Duration) Schedule {
	var s Schedule
	if perSecond <= 0 {
		return s
	}
	for at := gap(random, perSecond); at < lasts; at += gap(random, perSecond) {
		s = append(s, at)
	}
	return s
}

// gap is the time between two requests that don't know of each other.
func gap(random *rand.Rand, perSecond float64) time.Duration {
	return time.Duration(random.ExpFloat64() / perSecond * float64(time.Second))
}
