// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// quietTime is how long nothing must have been written.
const quietTime = 2 * time.Second

// tokens are what simulated pods ask for in the kubelet's place; they are no write to etcd, either.
const tokens = "POST serviceaccounts/token"

// What each launch costs.
const (
	writesEach = "API writes for each launch"
	writesOwn  = writesEach + ", the operator's own"
	writesPool = writesEach + ", the operator's about its pools"
	cpuEach    = "operator CPU for each launch"
	// What each run costs.
	runCPU    = "operator CPU in the whole run"
	runMemory = "operator memory at most"
)

// meter is what had been written and used when it was read.
type meter struct {
	writes map[string]int // of all components
	own    map[string]int // the operator's
	usage  machine.Usage
}

// read waits until nothing is written any more, and reads the meter.
func (s *stage) read(ctx context.Context) (m meter, err error) {
	since := s.bench.Clock.Now()
	var fault error
	err = cluster.Await(ctx, "nothing is written any more", func(ctx context.Context) bool {
		now, err := drive.Writes(ctx, s.Config)
		if err != nil {
			fault = err
			return true
		}
		if !maps.Equal(now, m.writes) {
			m.writes, since = now, s.bench.Clock.Now()
		}
		return s.bench.Clock.Since(since) > quietTime
	})
	if fault != nil {
		return m, fault
	}
	if err != nil {
		return m, err
	}
	metrics, err := s.Metrics(ctx)
	if err != nil {
		return m, err
	}
	m.own = metrics.Writes()
	m.usage, err = s.Usage()
	return m, err
}

// processorsBusy is how much of their time all processors of the machine were busy, with whatever: near 100 %, no software could
// have done more here without taking less of them.
const processorsBusy = "processors of the machine busy meanwhile"

// busyWith is how much of the time of all processors a program had.
func busyWith(program string) string { return processorsBusy + ", with " + program }

// leastShare of the processors' time is what a program must have had to be named.
const leastShare = 0.01

// watchProcessors returns a function that notes how busy the processors were until then, and with what.
func watchProcessors(into *measure.Run) (note func() error) {
	before, errBefore := machine.WorkOf(procfs.DefaultMountPoint)
	return func() error {
		after, err := machine.WorkOf(procfs.DefaultMountPoint)
		if err = errors.Join(errBefore, err); err != nil {
			return err
		}
		into.Count(processorsBusy, result.Percent, 100*after.BusySince(before))
		for program, share := range after.SharesSince(before) {
			if share >= leastShare {
				into.Count(busyWith(program), result.Percent, 100*share)
			}
		}
		return nil
	}
}

// repeat measures a case so often, as Bench does, and notes what each run cost the operator.
func (s *stage) repeat(what string, once func(run int, into *measure.Run) error) ([]*measure.Run, error) {
	return s.bench.repeat(what, func(run int, into *measure.Run) error {
		before, err := s.Usage()
		if err != nil {
			return err
		}
		if err := once(run, into); err != nil {
			return err
		}
		after, err := s.Usage()
		into.Count(runCPU, result.CPUSeconds, after.CPU-before.CPU)
		into.Count(runMemory, result.Mebibytes, float64(after.Peak)/(1<<20))
		return err
	})
}

// notePhases notes how long the phases of launches took between two readings, as the operator itself says.
func notePhases(r *measure.Run, before, after cluster.Metrics) {
	earlier := before.Phases()
	for name, now := range after.Phases() {
		was := earlier[name]
		if n := now.Count - was.Count; n > 0 {
			r.Count("operator: mean of phase "+name, result.Milliseconds, milliseconds(now.Took-was.Took)/float64(n))
		}
	}
}

// noteWrites notes what was written between two readings, for each of n, and of what kind.
func noteWrites(r *measure.Run, what string, n int, before, after meter) {
	all := 0
	for kind, written := range after.writes {
		if written -= before.writes[kind]; written > 0 && kind != tokens {
			all += written
			r.Count(what+": "+kind, result.Each, float64(written)/float64(n))
		}
	}
	r.Count(what, result.Each, float64(all)/float64(n))
}

// noteCosts notes what so many launches have cost between two readings.
func noteCosts(r *measure.Run, launches int, before, after meter) {
	noteWrites(r, writesEach, launches, before, after)
	own, pools := 0, 0 // pools are written about by time and not by launch
	for what, n := range after.own {
		if n -= before.own[what]; strings.HasSuffix(what, " hotstandbyjobs/status") {
			pools += n
		} else {
			own += n
		}
	}
	r.Count(writesOwn, result.Each, float64(own)/float64(launches))
	r.Count(writesPool, result.Each, float64(pools)/float64(launches))
	r.Count(cpuEach, result.Milliseconds, (after.usage.CPU-before.usage.CPU)*1000/float64(launches))
}
