// SPDX-License-Identifier: Apache-2.0

package pool

// Reasons of the Events on pools; those of troubles are the reasons of the condition Degraded.
const (
	ReasonUnitsCreated    = "UnitsCreated"
	ReasonUnitsRetired    = "UnitsRetired"
	ReasonUnitFailed      = "UnitFailed"
	ReasonJobAdopted      = "JobAdopted"
	ReasonPodAdopted      = "PodAdopted" // with assignment Push
	ReasonFieldOverridden = "FieldOverridden"
)
