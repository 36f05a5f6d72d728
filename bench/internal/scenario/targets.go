// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
)

// Cases that targets are for.
const (
	onRealNode = "real node"
	ofMany     = "100 pools, 10000 pods"
	ofFew      = "10 pools, 1000 pods"
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

// busy says what the processors had to do, all of them together.
func busy() []string {
	names := []string{processorsBusy}
	for _, program := range []string{"kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kwok", "operator", "bench", machine.Kernel} {
		names = append(names, busyWith(program))
	}
	return names
}

// What was tried where a target may be missed, and what it came to; the history of this repository has each by itself.
const (
	triedLaunch = "nothing is waited for but the Job's POST and one patch of the pod; the launch is sent to the pod when the answer to the patch begins, " +
		"0.5 to 1.8 ms before it ends; the gateway's key is ECDSA, for half the time of a handshake"
	triedLoad = "built-in kinds as protobuf; no compression of watches (7 % of the operator's CPU); finalizers taken off once; no second review of a pod's token; " +
		"pools read without copies, and without the pods that launches have used up; a burst's statuses written at a pace; waiting Jobs looked at only as far as pods are idle; the control plane collects garbage seldom. " +
		"What the operator itself takes is listed: what is left is the control plane's, for writes most of which a Job without a pool needs as well"
	triedMemory = "HTTP/1.1 in place of HTTP/2: 740 MiB, and a second connection for each launch; GOGC=50: 815 MiB, and half again the CPU while all attach; " +
		"32 handshakes at once: not less, and the last pod late. docs/scaling.md has what a pod's memory is made of, from a heap profile"
)

// Targets are what the numbers of scenarios shall be.
func Targets() []result.Target {
	first := postToFirst
	return []result.Target{
		{What: "launch in a warm pod, p50", Scenario: "launch", Cases: []string{onRealNode}, Number: first + " p50", Bound: 15, Meanwhile: []string{rawBoth + " p50"}, Tried: triedLaunch},
		{What: "the same, p99", Scenario: "launch", Cases: []string{onRealNode}, Number: first + " p99", Bound: 50, Meanwhile: []string{rawBoth + " p99"}, Tried: triedLaunch},
		{What: "the same, p50, to one Job POST and one pod patch", Scenario: "launch", Cases: []string{onRealNode}, Number: first + " p50", Beside: rawBoth + " p50", Bound: 1.5, Tried: triedLaunch},
		{What: "Poisson load, p99", Scenario: "sustained", Cases: []string{"45 launches per second"}, Number: dueToFirst + " p99", Bound: 100, Meanwhile: append(busy(), coldStarts), Tried: triedLoad},
		{What: "burst, all bound", Scenario: "burst", Cases: []string{"300 launches"}, Number: allBound, Bound: 1000, Meanwhile: append(busy(), allRaw), Tried: triedLoad},
		{What: "the same, to as many Job POSTs and pod patches", Scenario: "burst", Cases: []string{"300 launches"}, Number: allBound, Beside: allRaw, Bound: 1.3, Meanwhile: busy(), Tried: triedLoad},
		{What: "API writes of all components for each launch, bound and refilled", Scenario: "burst", Number: writesEach, Bound: 8},
		{What: "API writes of the operator for each launch, from its POST to its removal", Scenario: "sustained", Cases: []string{"5 launches per second"}, Number: writesOwn, Bound: 7},
		{What: "a unit says that it is busy → its replacement is created, p99", Scenario: "reaction", Cases: watched(), Number: busyToMade + " p99", Bound: 100},
		{
			What: "operator memory at rest", Scenario: "scale", Cases: []string{ofMany}, Number: restMemory, Bound: 400,
			Meanwhile: []string{heapEach, stacksEach, goroutinesEach}, Tried: triedMemory,
		},
		{What: "API requests at rest", Scenario: "scale", Cases: []string{ofMany}, Number: restRequests, Bound: 0},
		{
			What: "operator killed and started → a launch has its pod", Scenario: "scale", Cases: []string{ofMany}, Number: restarted + servesAgain, Bound: 5000,
			Meanwhile: []string{restarted + ": " + processorsBusy},
		},
		{What: "a scrape of the operator's metrics", Scenario: "scale", Cases: []string{ofMany}, Number: scrapeTakes, Bound: 100},
		{
			What: "Jobs finished a second, to the cluster's own controller as it is installed", Scenario: "finished", Cases: []string{ours},
			Number: finishedRate, Beside: finishedRate, BesideCase: ownDefault, Bound: 10, AtLeast: true, Meanwhile: busy(), Tried: triedLoad,
		},
	}
}
