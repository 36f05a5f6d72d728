// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"time"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/journal"
)

// Pools is the answer to GET /api/v1/pools. All durations are in seconds.
type Pools struct {
	Now             time.Time `json:"now"`
	PeriodSeconds   float64   `json:"periodSeconds"` // between two samples
	Bounds          []float64 `json:"bounds"`        // of the latencies' buckets; the last bucket has none
	PricePerPodHour float64   `json:"pricePerPodHour,omitzero"`
	Pools           []Pool    `json:"pools"` // by namespace and name
}

// Pool is one HotStandbyJob.
type Pool struct {
	Namespace   string                 `json:"namespace"`
	Name        string                 `json:"name"`
	Assignment  v1alpha1.Assignment    `json:"assignment"`
	Layout      v1alpha1.Layout        `json:"layout,omitempty"`
	Mode        v1alpha1.BusyProbeMode `json:"mode,omitempty"` // not with assignment: Push
	IdleTarget  int32                  `json:"idleTarget"`
	Desired     int32                  `json:"desired"`
	MaxReplicas *int32                 `json:"maxReplicas,omitempty"`

	Idle     int32 `json:"idle"`
	Busy     int32 `json:"busy"`
	Starting int32 `json:"starting"`
	Unknown  int32 `json:"unknown"`
	Waiting  int32 `json:"waiting"` // pods that launches wait for

	Ready   string `json:"ready"` // the condition: True, False or Unknown
	Reason  string `json:"reason"`
	Message string `json:"message"`

	LaunchesPerSecond float64  `json:"launchesPerSecond"` // in the last minute
	HitRatio          *float64 `json:"hitRatio,omitempty"`
	P50               *float64 `json:"p50,omitempty"` // of the last hour's warm and waited launches, like the ratio
	P99               *float64 `json:"p99,omitempty"`
	IdleSeconds       float64  `json:"idleSeconds"` // units times seconds since the operator leads

	*Past
}

// Past is what the answer has of a pool's last hour, unless the request says history=false.
type Past struct {
	Samples [][4]int32 `json:"samples"` // idle, busy, starting, waiting; oldest first
	Until   time.Time  `json:"until"`   // when the newest was taken
	Minutes []Minute   `json:"minutes"` // oldest first
}

// Minute is what was launched in one minute.
type Minute struct {
	Begin     time.Time             `json:"begin"`
	Starts    map[journal.Start]int `json:"starts"`
	Reasons   map[string]int        `json:"reasons"` // of cold starts
	Latencies []int                 `json:"latencies"`
}

// Launches is the answer to GET /api/v1/launches, the newest first.
type Launches struct {
	Launches []Launch `json:"launches"`
}

// Launch is one pod of a Job, with what took how long.
type Launch struct {
	Namespace string        `json:"namespace"`
	Pool      string        `json:"pool"`
	Job       string        `json:"job"`
	Pod       string        `json:"pod"`
	Start     journal.Start `json:"start"`
	Reason    string        `json:"reason"`
	Seen      time.Time     `json:"seen"`
	Started   time.Time     `json:"started"`
	Queue     float64       `json:"queue"`
	Claim     float64       `json:"claim"`
	Deliver   float64       `json:"deliver"`
	Begin     float64       `json:"begin"`
	Total     float64       `json:"total"`
}
