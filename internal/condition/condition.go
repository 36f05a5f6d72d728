// SPDX-License-Identifier: Apache-2.0

// Package condition says in conditions what state a pool is in. It is pure.
package condition

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/pool"
)

// Reasons of conditions. Where one stands for a trouble, the message quotes whoever reported it.
const (
	ReasonIdleTargetMet    = "IdleTargetMet"    // Ready
	ReasonIdleTargetNotMet = "IdleTargetNotMet" // not Ready

	ReasonStable     = "Stable"     // not Progressing: nothing to do
	ReasonPaused     = "Paused"     // not Progressing: spec.paused
	ReasonSuspended  = "Suspended"  // not Progressing: the Jobs are suspended
	ReasonBackOff    = "BackOff"    // not Progressing: units fail, the next is tried later
	ReasonScaling    = "Scaling"    // Progressing: units start or are retired
	ReasonRollingOut = "RollingOut" // Progressing: units of an old revision are replaced

	ReasonInvalidTemplate = "InvalidTemplate"     // Degraded, no Job can be made from the spec
	ReasonUnsupported     = "LaunchesUnsupported" // Degraded, no Job could start in the pool's pods: none is made
	ReasonRefused         = "Refused"             // Degraded, the server refuses such a Job or its pods: none is made
	ReasonPodsRefused     = "PodsRefused"         // Degraded, the server refuses the pods for now, such as for a quota
	ReasonNoCertificate   = "NoCertificate"       // Degraded, pods could not trust the gateway: none is made
	ReasonUnitsFailing    = "UnitsFailing"        // Degraded
	ReasonUnitsStuck      = "UnitsStuck"          // Degraded, units can't start
	ReasonSignalUnknown   = "SignalUnknown"       // Degraded, busy signals can't be read
	ReasonAsExpected      = "AsExpected"          // not Degraded

	ReasonMaxReplicas   = "MaxReplicas"   // AtCapacity
	ReasonBelowCapacity = "BelowCapacity" // not AtCapacity
)

// Trouble is something that needs a person: one of the reasons of Degraded, and what was reported. The zero Trouble is
// none.
type Trouble struct{ Reason, Message string }

// Input is what the conditions are told from.
type Input struct {
	Spec      pool.Spec
	Plan      pool.Plan
	Count     pool.Count
	Suspended bool
	Trouble   Trouble
}

// Of are the conditions of a pool, without times.
func Of(in Input) []metav1.Condition {
	return []metav1.Condition{ready(in), progressing(in), degraded(in), atCapacity(in)}
}

func ready(in Input) metav1.Condition {
	needed := max(0, in.Plan.Desired-in.Count.Busy-in.Count.WasBusy)
	message := fmt.Sprintf("%d of %d promised units are idle", in.Count.Idle, needed)
	if in.Count.Idle >= needed {
		return is(v1alpha1.ConditionReady, ReasonIdleTargetMet, message)
	}
	if in.Trouble.Reason != "" {
		return isNot(v1alpha1.ConditionReady, in.Trouble.Reason, message+": "+in.Trouble.Message)
	}
	return isNot(v1alpha1.ConditionReady, ReasonIdleTargetNotMet, fmt.Sprintf("%s, %d are starting", message, in.Count.Starting))
}

func progressing(in Input) metav1.Condition {
	const t = v1alpha1.ConditionProgressing
	c := in.Count
	switch {
	case in.Spec.Paused:
		return isNot(t, ReasonPaused, "spec.paused is true: units are neither created nor retired")
	case in.Suspended:
		return isNot(t, ReasonSuspended, "jobTemplate.suspend is true: pods are started when it is removed, or when the Jobs are resumed")
	case !in.Plan.BackoffUntil.IsZero():
		return isNot(t, ReasonBackOff, "standby units failed; another is tried after a delay, which grows from 10 s to 5 min")
	case in.Plan.Outdated > 0:
		return is(t, ReasonRollingOut, fmt.Sprintf("%d units of an old revision are to be replaced", in.Plan.Outdated))
	case c.Starting > 0 || c.Retiring > 0 || in.Plan.Create > 0 || len(in.Plan.Retire) > 0:
		return is(t, ReasonScaling, fmt.Sprintf("%d units are starting, %d are being retired", c.Starting+in.Plan.Create, len(in.Plan.Retire)))
	default:
		return isNot(t, ReasonStable, "there are as many units as there shall be")
	}
}

func degraded(in Input) metav1.Condition {
	if in.Trouble.Reason == "" {
		return isNot(v1alpha1.ConditionDegraded, ReasonAsExpected, "nothing stands in the way")
	}
	return is(v1alpha1.ConditionDegraded, in.Trouble.Reason, in.Trouble.Message)
}

func atCapacity(in Input) metav1.Condition {
	if in.Plan.Limited {
		full := Full(in.Spec, in.Count)
		return is(v1alpha1.ConditionAtCapacity, full.Reason, full.Message)
	}
	return isNot(v1alpha1.ConditionAtCapacity, ReasonBelowCapacity, "maxReplicas leaves room for idleTarget idle units")
}

// Full says of a pool that Max limits what to do.
func Full(s pool.Spec, c pool.Count) Trouble {
	return Trouble{ReasonMaxReplicas, fmt.Sprintf("maxReplicas %d leaves no room for %d idle units beside %d busy ones; raise it or lower idleTarget",
		s.Max, s.IdleTarget, c.Busy+c.WasBusy)}
}

func is(t, reason, message string) metav1.Condition {
	return metav1.Condition{Type: t, Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

func isNot(t, reason, message string) metav1.Condition {
	return metav1.Condition{Type: t, Status: metav1.ConditionFalse, Reason: reason, Message: message}
}
