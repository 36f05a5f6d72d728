// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Metric is what a trigger asks for.
type Metric string

// The metrics, as they are written in a trigger.
const (
	WaitingLaunches Metric = "waitingLaunches" // pods that launches wait for
	HitRatio        Metric = "hitRatio"        // launches of the last minutes that started in a pod of the pool, from 0 to 1
	MissRatio       Metric = "missRatio"       // those that didn't: it grows as the pool gets too small
	Idle            Metric = "idle"            // units without work
	Busy            Metric = "busy"            // units with work
)

func metrics() []Metric { return []Metric{WaitingLaunches, HitRatio, MissRatio, Idle, Busy} }

// slug is the metric in the name that the autoscaler knows it by.
func (m Metric) slug() string {
	switch m {
	case WaitingLaunches:
		return "waiting-launches"
	case HitRatio:
		return "hit-ratio"
	case MissRatio:
		return "miss-ratio"
	default:
		return string(m)
	}
}

// The fields of a trigger's metadata.
const (
	fieldPool       = "pool"
	fieldMetric     = "metric"
	fieldTarget     = "target"
	fieldActivation = "activationTarget"
	fieldMinutes    = "minutes"
)

// Targets are thousandths for the autoscaler: one that is smaller would be 0.
const (
	leastTarget = 0.001
	most        = 1_000_000_000
)

// How many minutes the ratios are of.
const (
	defaultMinutes = 5
	mostMinutes    = 60 // what is remembered
)

// Trigger is what a trigger of a ScaledObject or ScaledJob says.
type Trigger struct {
	Pool       string // in the namespace of the ScaledObject or ScaledJob
	Metric     Metric
	Target     float64 // what the autoscaler should keep the metric at
	Activation float64 // above it there is a reason to scale from nothing
	Minutes    int     // how many the ratios are of, the current one included
}

// Name is the name of the metric for the autoscaler.
func (t Trigger) Name() string { return "hsj-" + t.Metric.slug() + "-" + t.Pool }

// Parse reads a trigger's metadata. The error names each field that is wrong, and what it must be. Fields that aren't ours
// are KEDA's.
func Parse(metadata map[string]string) (Trigger, error) {
	f := fields{metadata: metadata}
	t := Trigger{
		Pool:       f.word(fieldPool, "the name of a HotStandbyJob in the same namespace"),
		Metric:     f.metric(),
		Target:     f.number(fieldTarget, leastTarget, true),
		Activation: f.number(fieldActivation, 0, false),
		Minutes:    f.minutes(),
	}
	f.misspelt()
	return t, errors.Join(f.faults...)
}

// fields reads metadata, and notes what is wrong with it.
type fields struct {
	metadata map[string]string
	faults   []error
}

func (f *fields) fault(field, must string) {
	text, ok := f.metadata[field]
	if !ok {
		f.faults = append(f.faults, fmt.Errorf("metadata.%s is missing: it must be %s", field, must))
		return
	}
	f.faults = append(f.faults, fmt.Errorf("metadata.%s is %q: it must be %s", field, text, must))
}

func (f *fields) word(field, must string) string {
	text := f.metadata[field]
	if text == "" {
		f.fault(field, must)
	}
	return text
}

func (f *fields) metric() Metric {
	m := Metric(f.metadata[fieldMetric])
	if !slices.Contains(metrics(), m) {
		var names []string
		for _, m := range metrics() {
			names = append(names, string(m))
		}
		f.fault(fieldMetric, "one of "+strings.Join(names, ", "))
	}
	return m
}

func (f *fields) number(field string, least float64, needed bool) float64 {
	text, ok := f.metadata[field]
	if !ok && !needed {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= least && n <= most) { // written so that NaN is refused, too
		f.fault(field, fmt.Sprintf("a number from %g to %d", least, most))
		return 0
	}
	return n
}

func (f *fields) minutes() int {
	text, ok := f.metadata[fieldMinutes]
	if !ok {
		return defaultMinutes
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostMinutes {
		f.fault(fieldMinutes, fmt.Sprintf("a whole number from 1 to %d", mostMinutes))
	}
	return n
}

// misspelt refuses fields that would be ours but for the case of a letter: they would have no effect.
func (f *fields) misspelt() {
	for _, field := range []string{fieldPool, fieldMetric, fieldTarget, fieldActivation, fieldMinutes} {
		for key := range f.metadata {
			if key != field && strings.EqualFold(key, field) {
				f.faults = append(f.faults, fmt.Errorf("metadata.%s isn't known: it must be written %s", key, field))
			}
		}
	}
}
