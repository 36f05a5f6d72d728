// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// chosen selects the pools that were chosen.
const chosen = `namespace=~"$namespace",pool=~"$pool"`

// each is a pool's name in a legend.
const each = "{{namespace}}/{{pool}}"

// gauge is a gauge of each pool, whichever replica tells it.
func gauge(name string, labels ...string) string {
	return fmt.Sprintf("max by (namespace, pool) (hotstandbyjob_%s{%s})", name, strings.Join(append([]string{chosen}, labels...), ","))
}

// rate is how fast a counter of the chosen pools grows, by some labels.
func rate(name, by string, labels ...string) string {
	return fmt.Sprintf("sum by (%s) (rate(hotstandbyjob_%s{%s}[$__rate_interval]))", by, name, strings.Join(append([]string{chosen}, labels...), ","))
}

// quantile is a quantile of a histogram, by some labels.
func quantile(q float64, name, by, labels string) string {
	by = strings.TrimPrefix(by+", le", ", ")
	return fmt.Sprintf("histogram_quantile(%g, sum by (%s) (rate(hotstandbyjob_%s_bucket{%s}[$__rate_interval])))", q, by, name, labels)
}

// hits is the share of launches that started in a standby pod; zero where none did.
func hits(by string) string {
	all := rate("launches_total", by, `start!="rejected"`)
	return fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", rate("launches_total", by, `start=~"warm|waited"`), all, all)
}

// rows are all panels.
func rows() []row {
	return []row{
		{"Overview", overview()},
		{"Pools", pools()},
		{"Launches", launches()},
		{"Operator", operator()},
	}
}

func overview() []panel {
	total := func(state string) []query {
		return []query{{"sum(" + gauge("pool_units", `state="`+state+`"`) + ")", state}}
	}
	return []panel{
		{"Idle units", "Warm, and paid for.", number, units.Short, total("idle")},
		{"Busy units", "", number, units.Short, total("busy")},
		{"Pods that launches wait for", "", number, units.Short, []query{{"sum(" + gauge("pool_waiting_pods") + ")", "waiting"}}},
		{"Launches per second", "", number, units.RequestsPerSecond, []query{{rate("launches_total", ""), "launches"}}},
		{"Hit ratio", "Launches that started in a standby pod, of all that were not rejected.", number, units.PercentUnit, []query{{hits(""), "hit ratio"}}},
		{"Launch p99", "From the moment the operator sees the Job until its command runs.", number, units.Seconds, []query{{quantile(0.99, "launch_duration_seconds", "", chosen), "p99"}}},
	}
}

func pools() []panel {
	return []panel{
		{"Units by state", "What there is in the chosen pools.", stacked, units.Short, []query{{"sum by (state) (max by (namespace, pool, state) (hotstandbyjob_pool_units{" + chosen + "}))", "{{state}}"}}},
		{"Idle units and target", "", lines, units.Short, []query{
			{gauge("pool_units", `state="idle"`), each}, {gauge("pool_idle_target"), each + " target"},
		}},
		{"Desired units", "busy + idleTarget, within minReplicas and maxReplicas.", lines, units.Short, []query{{gauge("pool_desired_units"), each}}},
		{"Refill queue", "Units that are missing, and pods that launches wait for.", lines, units.Short, []query{
			{gauge("pool_missing_units"), each + " missing"}, {gauge("pool_waiting_pods"), each + " wait"},
		}},
		{"Standby lead time", "From a standby pod's creation until it is idle.", lines, units.Seconds, []query{
			{quantile(0.5, "standby_lead_time_seconds", "namespace, pool", chosen), each + " p50"},
			{quantile(0.99, "standby_lead_time_seconds", "namespace, pool", chosen), each + " p99"},
		}},
		{"Failures in a row", "Standby pods that failed one after the other; the operator waits longer and longer between them.", lines, units.Short, []query{{gauge("pool_consecutive_failures"), each}}},
		{"Idle pods that were paid for", "Pod-seconds of idleness per second.", lines, units.Short, []query{{rate("idle_unit_seconds_total", "namespace, pool"), each}}},
		{"Cost of idleness per hour", "Known where the operator is told a price: --price-per-pod-hour.", lines, units.Short, []query{{"3600 * " + rate("idle_cost_total", "namespace, pool"), each}}},
	}
}

func launches() []panel {
	phase := func(q float64) query {
		return query{quantile(q, "launch_phase_duration_seconds", "phase", ""), fmt.Sprintf("{{phase}} p%g", 100*q)}
	}
	return []panel{
		{"Launches by start", "warm: in an idle pod at once; waited: for one; cold: in a pod made for it.", stacked, units.RequestsPerSecond, []query{{rate("launches_total", "start"), "{{start}}"}}},
		{"Cold starts by reason", "", stacked, units.RequestsPerSecond, []query{{rate("launches_total", "reason", `start="cold"`), "{{reason}}"}}},
		{"Hit ratio", "", lines, units.PercentUnit, []query{{hits("namespace, pool"), each}}},
		{"Launch latency", "Warm launches and those that waited.", buckets, units.Seconds, []query{{"sum by (le) (increase(hotstandbyjob_launch_duration_seconds_bucket{" + chosen + "}[$__rate_interval]))", "{{le}}"}}},
		{"Launch latency p50 and p99", "", lines, units.Seconds, []query{
			{quantile(0.5, "launch_duration_seconds", "namespace, pool", chosen), each + " p50"},
			{quantile(0.99, "launch_duration_seconds", "namespace, pool", chosen), each + " p99"},
		}},
		{"Launch phases p50 and p99", "Of all pools. queue: until a pod was found; claim: one write; deliver: to the pod; start: until the command runs.", lines, units.Seconds, []query{phase(0.5), phase(0.99)}},
		{"Claims lost", "To somebody else who changed the pod first.", lines, units.OpsPerSecond, []query{{rate("claims_lost_total", "namespace, pool"), each}}},
	}
}

func operator() []panel {
	const requests, errors = "sum by (%s) (rate(hotstandbyjob_api_requests_total%s[$__rate_interval]))", `{code!~"[12].."}`
	return []panel{
		{"Leading replicas", "One, but for the moments of a change.", lines, units.Short, []query{{`sum(leader_election_master_status{name="hotstandbyjob.apps.paia.tech"})`, "leading"}}},
		{"Gateway streams", "Standby pods that are connected.", lines, units.Short, []query{{"sum(hotstandbyjob_gateway_streams)", "streams"}}},
		{"Probe latency p50 and p99", "", lines, units.Seconds, []query{
			{quantile(0.5, "probe_duration_seconds", "mode", ""), "{{mode}} p50"}, {quantile(0.99, "probe_duration_seconds", "mode", ""), "{{mode}} p99"},
		}},
		{"Probe errors", "", lines, units.OpsPerSecond, []query{{"sum by (mode) (rate(hotstandbyjob_probe_errors_total[$__rate_interval]))", "{{mode}}"}}},
		{"API requests by verb and resource", "", stacked, units.RequestsPerSecond, []query{{fmt.Sprintf(requests, "verb, resource", ""), "{{verb}} {{resource}}"}}},
		{"API requests that failed", "409 is a conflict, which is repeated; 403 a right that is missing; 429 a server that is busy.", lines, units.RequestsPerSecond, []query{{fmt.Sprintf(requests, "code", errors), "{{code}}"}}},
	}
}
