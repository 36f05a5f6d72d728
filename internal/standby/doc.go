// SPDX-License-Identifier: Apache-2.0

// Package standby is the registry of standby pods: which are idle, which are promised to whom, which have a stream open,
// and what they say. It is the only writer of claims, and writes nothing else; when a pod becomes idle and when it is
// deleted is decided elsewhere.
//
// The pods are the record of all claims. What the registry holds in memory is rebuilt from them, and may be behind
// them: a claim that is based on an old view loses the test in its patch, and takes another pod.
//
//	            Observe                  Reserve, Claim            patch answered
//	(unknown) ──────────▶ idle, listed ────────────────▶ held ──────────────────▶ claimed, for good
//	                          ▲                            │
//	                          └── refused, and still idle ─┘── test lost: not listed until a newer event says idle
package standby

// +kubebuilder:rbac:groups="",resources=pods,verbs=get;patch
