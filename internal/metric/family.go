// SPDX-License-Identifier: Apache-2.0

package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is the type of a metric, as Prometheus calls it.
type Kind string

// The types.
const (
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Family is a metric: what the table in docs/metrics.md has of it.
type Family struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string

	buckets []float64
}

const prefix = "hotstandbyjob_"

// The labels of what there is of each pool.
func ofPool(more ...string) []string { return append([]string{"namespace", "pool"}, more...) }

// launchBuckets are for launches: a warm one takes milliseconds, a cold one may take minutes.
func launchBuckets() []float64 { return prometheus.ExponentialBuckets(0.0005, 2, 19) }

// leadBuckets are for what a standby unit needs until it is warm.
func leadBuckets() []float64 { return prometheus.ExponentialBuckets(0.25, 2, 13) }

// probeBuckets are for busy probes: most have a timeout of a second.
func probeBuckets() []float64 { return prometheus.ExponentialBuckets(0.0005, 2, 15) }

// The metrics. Labels have few values: no pod, no Job, no message.
var (
	poolUnits = Family{
		Name: prefix + "pool_units", Kind: Gauge, Labels: ofPool("state"),
		Help: "Units of the pool by what they do (idle, busy, starting, unknown, retiring, failed). Unknown: its busy signal can't be read. Failed: kept to look at.",
	}
	poolIdleTarget = Family{
		Name: prefix + "pool_idle_target", Kind: Gauge, Labels: ofPool(),
		Help: "Idle units that the pool shall have: spec.idleTarget.",
	}
	poolDesired = Family{
		Name: prefix + "pool_desired_units", Kind: Gauge, Labels: ofPool(),
		Help: "Units that the pool shall have in all: busy + idleTarget, between minReplicas and maxReplicas.",
	}
	poolMissing = Family{
		Name: prefix + "pool_missing_units", Kind: Gauge, Labels: ofPool(),
		Help: "Units that the pool shall have and that don't exist yet, not even as starting ones: the refill queue.",
	}
	poolWaiting = Family{
		Name: prefix + "pool_waiting_pods", Kind: Gauge, Labels: ofPool(),
		Help: "Pods that launches lack which wait for the pool (standby.whenEmpty: Wait).",
	}
	poolFailures = Family{
		Name: prefix + "pool_consecutive_failures", Kind: Gauge, Labels: ofPool(),
		Help: "How often in a row standby units failed before they got work: status.consecutiveFailures.",
	}
	launchesTotal = Family{
		Name: prefix + "launches_total", Kind: Counter, Labels: ofPool("start", "reason"),
		Help: "Pods that launches were given, by start: warm, waited (warm, after it waited in the pool's queue), cold (a pod of its own), rejected (Jobs). " +
			"Reason of a cold start: NoPool (with no pool in the label), NotPush, NoneIdle, Gang, Differs; otherwise empty.",
	}
	launchDuration = Family{
		Name: prefix + "launch_duration_seconds", Kind: Histogram, Labels: ofPool(), buckets: launchBuckets(),
		Help: "Warm and waited launches: seconds from when the operator saw that the pod was wanted until the pod said that the command runs.",
	}
	launchPhase = Family{
		Name: prefix + "launch_phase_duration_seconds", Kind: Histogram, Labels: []string{"phase"}, buckets: launchBuckets(),
		Help: "Seconds of a launch by phase: queue (until a pod was found or a cold start decided), claim (the write that gives the pod to the Job), " +
			"deliver (until the pod was sent its command), start (until the command ran). Cold launches have queue and start, which is all the rest.",
	}
	leadTime = Family{
		Name: prefix + "standby_lead_time_seconds", Kind: Histogram, Labels: ofPool(), buckets: leadBuckets(),
		Help: "Seconds from the creation of a standby unit until it was warm.",
	}
	claimsLost = Family{
		Name: prefix + "claims_lost_total", Kind: Counter, Labels: ofPool(),
		Help: "Claims of a pod that turned out not to be idle any more; the launch takes another one.",
	}
	idleSeconds = Family{
		Name: prefix + "idle_unit_seconds_total", Kind: Counter, Labels: ofPool(),
		Help: "Idle units times seconds, since this operator leads.",
	}
	idleCost = Family{
		Name: prefix + "idle_cost_total", Kind: Counter, Labels: ofPool(),
		Help: "What idle pods have cost since this operator leads, in the currency of --price-per-pod-hour; absent without that flag.",
	}
	probeDuration = Family{
		Name: prefix + "probe_duration_seconds", Kind: Histogram, Labels: []string{"mode"}, buckets: probeBuckets(),
		Help: "Seconds that a busy probe took, by mode (http, exec, redis), with those that failed. Redis: one reading of a hash.",
	}
	probeErrors = Family{
		Name: prefix + "probe_errors_total", Kind: Counter, Labels: []string{"mode"},
		Help: "Busy probes without a usable answer, by mode.",
	}
	gatewayStreams = Family{
		Name: prefix + "gateway_streams", Kind: Gauge,
		Help: "Streams of pods that are open at the gateway.",
	}
	apiRequests = Family{
		Name: prefix + "api_requests_total", Kind: Counter, Labels: []string{"verb", "resource", "code"},
		Help: "The operator's requests to the API server, by verb (as in RBAC rules), resource (with subresource) and HTTP status code; code error: there was no answer.",
	}
)

// Families are all metrics of the operator's own.
func Families() []Family {
	return []Family{
		poolUnits, poolIdleTarget, poolDesired, poolMissing, poolWaiting, poolFailures,
		launchesTotal, launchDuration, launchPhase, leadTime, claimsLost, idleSeconds, idleCost,
		probeDuration, probeErrors, gatewayStreams, apiRequests,
	}
}

func (f Family) desc() *prometheus.Desc { return prometheus.NewDesc(f.Name, f.Help, f.Labels, nil) }

func (f Family) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.Name, Help: f.Help}, f.Labels)
}

// histogram has the buckets that are documented, and for servers that can take them native ones, too.
func (f Family) histogram() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: f.Name, Help: f.Help, Buckets: f.buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, f.Labels)
}
