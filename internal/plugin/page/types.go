// SPDX-License-Identifier: Apache-2.0

package page

import "time"

// Pools is the answer of /api/v1/pools.
type Pools struct {
	Now             time.Time `json:"now"`
	PricePerPodHour *float64  `json:"pricePerPodHour,omitempty"`
	Pools           []Pool    `json:"pools"`
}

// Pool is what the page knows of a pool. Times are in seconds.
type Pool struct {
	Namespace         string   `json:"namespace"`
	Name              string   `json:"name"`
	Waiting           int32    `json:"waiting"`
	LaunchesPerSecond float64  `json:"launchesPerSecond"`
	HitRatio          *float64 `json:"hitRatio,omitempty"`
	P50               *float64 `json:"p50,omitempty"`
	P99               *float64 `json:"p99,omitempty"`
	IdleSeconds       float64  `json:"idleSeconds"`
}

// Launch is one pod of a Job, as the page tells of it. Durations are in seconds.
type Launch struct {
	Namespace string    `json:"namespace"`
	Pool      string    `json:"pool"`
	Job       string    `json:"job"`
	Pod       string    `json:"pod"`
	Start     string    `json:"start"`
	Reason    string    `json:"reason,omitempty"`
	Seen      time.Time `json:"seen"`
	Started   time.Time `json:"started"`
	Queue     float64   `json:"queue"`
	Claim     float64   `json:"claim"`
	Deliver   float64   `json:"deliver"`
	Begin     float64   `json:"begin"`
	Total     float64   `json:"total"`
}
