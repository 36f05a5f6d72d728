// SPDX-License-Identifier: Apache-2.0

// Package launch runs the Jobs that are managed by the launcher: it is the upstream Job controller, embedded, with one
// thing changed. Where that controller creates a pod, this package takes an idle pod of a pool if one fits, and creates
// the pod otherwise. It must not know what a Job means: completions, retries, policies, deadlines, suspension and status
// are all upstream's.
//
//	Job ──▶ upstream controller ──Create──▶ pool? fits? ──no──▶ cold: created as asked
//	             ▲                             │ yes
//	             │                             ▼
//	             │                    idle, and its turn? ──yes──▶ claimed
//	             │                             │ no
//	             │                  ColdStart │ Wait │ Reject
//	             └────── woken ◀── queue ◀────────┘      └──▶ the Job fails
//
// The embedded controller has informers of its own, which the server filters by label: Jobs that name a pool, and pods
// that carry the label of launches. Others, it can't touch. Jobs among them that someone else manages are marked so that
// it skips them.
//
// What is remembered here can be lost: a claim is one write on the pod, and after a restart the controller finds the pods
// of its Jobs before it asks for more.
//
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch
// +kubebuilder:rbac:groups=batch,resources=jobs/status,verbs=update;patch
// +kubebuilder:rbac:groups=batch,resources=jobs/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
package launch
