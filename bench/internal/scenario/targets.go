// SPDX-License-Identifier: Apache-2.0

package scenario

import "github.com/paia-tech/hotstandbyjob/bench/internal/result"

// Cases that targets are for.
const (
	onRealNode = "real node"
	ofMany     = "100 pools, 10000 pods"
)

// watched are the ways in which the operator is told that a pod is busy, rather than that it asks.
func watched() (cases []string) {
	for _, by := range []string{"annotation", "report", "redis"} {
		for _, pods := range []string{"10", "100", "1000"} {
			cases = append(cases, by+", "+pods+" pods")
		}
	}
	return cases
}

// Targets are what the numbers of scenarios shall be.
func Targets() []result.Target {
	first, busy := postToFirst, []string{processorsBusy}
	return []result.Target{
		{What: "launch in a warm pod, p50", Scenario: "launch", Cases: []string{onRealNode}, Number: first + " p50", Bound: 15},
		{What: "the same, p99", Scenario: "launch", Cases: []string{onRealNode}, Number: first + " p99", Bound: 50},
		{What: "the same, p50, to one Job POST and one pod patch", Scenario: "launch", Cases: []string{onRealNode}, Number: first + " p50", Beside: rawBoth + " p50", Bound: 1.5},
		{What: "Poisson load, p99", Scenario: "sustained", Cases: []string{"45 launches per second"}, Number: dueToFirst + " p99", Bound: 100, Meanwhile: []string{processorsBusy, coldStarts}},
		{What: "burst, all bound", Scenario: "burst", Cases: []string{"300 launches"}, Number: allBound, Bound: 1000, Meanwhile: []string{processorsBusy, allRaw}},
		{What: "the same, to as many Job POSTs and pod patches", Scenario: "burst", Cases: []string{"300 launches"}, Number: allBound, Beside: allRaw, Bound: 1.3, Meanwhile: busy},
		{What: "API writes of all components for each launch, bound and refilled", Scenario: "burst", Number: writesEach, Bound: 8},
		{What: "API writes of the operator for each launch, from its POST to its removal", Scenario: "sustained", Cases: []string{"5 launches per second"}, Number: writesOwn, Bound: 7},
		{What: "a unit says that it is busy → its replacement is created, p99", Scenario: "reaction", Cases: watched(), Number: busyToMade + " p99", Bound: 100},
		{What: "operator memory at rest", Scenario: "scale", Cases: []string{ofMany}, Number: restMemory, Bound: 400, Meanwhile: []string{heapEach, stacksEach, goroutinesEach}},
		{What: "API requests at rest", Scenario: "scale", Cases: []string{ofMany}, Number: restRequests, Bound: 0},
		{What: "operator killed and started → a launch has its pod", Scenario: "scale", Cases: []string{ofMany}, Number: "killed and started" + servesAgain, Bound: 5000, Meanwhile: busy},
		{What: "a scrape of the operator's metrics", Scenario: "scale", Cases: []string{ofMany}, Number: scrapeTakes, Bound: 100},
		{
			What: "Jobs finished a second, to the cluster's own controller as it is installed", Scenario: "finished", Cases: []string{ours},
			Number: finishedRate, Beside: finishedRate, BesideCase: ownDefault, Bound: 10, AtLeast: true, Meanwhile: busy,
		},
	}
}
