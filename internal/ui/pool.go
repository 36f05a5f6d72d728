// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

// poolOf is a pool as the API shows it.
func poolOf(h *v1alpha1.HotStandbyJob, past *journal.History, waiting int, now time.Time) Pool {
	p := Pool{
		Namespace: h.Namespace, Name: h.Name, Assignment: h.Spec.Assignment,
		IdleTarget: h.Spec.IdleTarget, Desired: h.Status.DesiredActive, MaxReplicas: h.Spec.MaxReplicas,
		Idle: h.Status.IdleCount, Busy: h.Status.BusyCount, Starting: h.Status.StartingCount, Unknown: h.Status.UnknownCount,
		Waiting: int32(waiting), //nolint:gosec // pods of Jobs that wait: parallelism is an int32, and memory ends first
		Ready:   "Unknown", IdleSeconds: past.IdleSeconds,
	}
	if p.Assignment != v1alpha1.AssignmentPush {
		p.Layout, p.Mode = h.Spec.Layout, h.Spec.BusyProbe.Mode
	}
	if c := meta.FindStatusCondition(h.Status.Conditions, v1alpha1.ConditionReady); c != nil {
		p.Ready, p.Reason, p.Message = string(c.Status), c.Reason, c.Message
	}
	p.LaunchesPerSecond = lately(past.Minutes, now)
	hour := sumOf(past.Minutes)
	if started := hour.warm + hour.cold; started > 0 {
		ratio := float64(hour.warm) / float64(started)
		p.HitRatio = &ratio
	}
	p.P50, p.P99 = quantile(hour.latencies, 0.5), quantile(hour.latencies, 0.99)
	return p
}

// pastOf is what is remembered of a pool, as the API shows it.
func pastOf(past *journal.History) *Past {
	p := &Past{Samples: make([][4]int32, 0, len(past.Samples)), Until: past.Until, Minutes: make([]Minute, 0, len(past.Minutes))}
	for _, s := range past.Samples {
		p.Samples = append(p.Samples, [4]int32{s.Idle, s.Busy, s.Starting, s.Waiting})
	}
	for _, m := range past.Minutes {
		p.Minutes = append(p.Minutes, Minute(m))
	}
	return p
}

func launchOf(l *journal.Launch) Launch {
	return Launch{
		Namespace: l.Pool.Namespace, Pool: l.Pool.Name, Job: l.Job, Pod: l.Pod, Start: l.Start, Reason: l.Reason,
		Seen: l.Seen, Started: l.Started, Total: l.Total().Seconds(),
		Queue: l.Queue.Seconds(), Claim: l.Claim.Seconds(), Deliver: l.Deliver.Seconds(), Begin: l.Begin.Seconds(),
	}
}

// sum is what was launched in several minutes.
type sum struct {
	warm, cold int // warm: or waited
	latencies  []int
}

func sumOf(minutes []journal.Minute) sum {
	s := sum{latencies: make([]int, len(journal.Bounds)+1)}
	for _, m := range minutes {
		s.warm += m.Starts[journal.Warm] + m.Starts[journal.Waited]
		s.cold += m.Starts[journal.Cold]
		for i, n := range m.Latencies {
			s.latencies[i] += n
		}
	}
	return s
}

// lately is how many pods were launched per second in the last minute. Of the minute before the current one the part counts
// that is less than a minute ago.
func lately(minutes []journal.Minute, now time.Time) float64 {
	n := 0.0
	for _, m := range minutes {
		part := min(1, 1-(now.Sub(m.Begin)-time.Minute).Minutes())
		if part > 0 {
			n += part * float64(m.Starts[journal.Warm]+m.Starts[journal.Waited]+m.Starts[journal.Cold])
		}
	}
	return n / time.Minute.Seconds()
}

// quantile estimates one, in seconds, as Prometheus does from a histogram: as if within a bucket values were spread evenly.
// Without values there is none.
func quantile(latencies []int, q float64) *float64 {
	total := 0
	for _, n := range latencies {
		total += n
	}
	if total == 0 {
		return nil
	}
	rank, below, lower := q*float64(total), 0.0, 0.0
	for i, bound := range journal.Bounds {
		upper, n := bound.Seconds(), float64(latencies[i])
		if n > 0 && below+n >= rank {
			lower += (upper - lower) * (rank - below) / n
			return &lower
		}
		below, lower = below+n, upper
	}
	return &lower // what took longer has no upper bound
}
