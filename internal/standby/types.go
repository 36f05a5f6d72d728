// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// ErrNoneIdle says that no pod of the pool is idle and free to be claimed.
var ErrNoneIdle = errors.New("no pod of the pool is idle")

// ErrDetached says that a pod has no stream, which what it reports needs.
var ErrDetached = errors.New("the pod isn't attached")

// Why a stream has ended.
var (
	ErrReplaced  = errors.New("the pod has attached anew")
	ErrForgotten = errors.New("the pod is gone")
	ErrElsewhere = errors.New("the connection doesn't come from an address of the pod")
)

// PodID says which pod it is.
type PodID struct {
	Namespace, Name string
	UID             types.UID
}

// idOf is a pod's identity.
func idOf(p *corev1.Pod) PodID { return PodID{Namespace: p.Namespace, Name: p.Name, UID: p.UID} }

// Pod is what the registry knows of a pod.
type Pod struct {
	PodID
	Pool     types.NamespacedName // by the label hsj.paia.tech/name; without a name before the pod was observed
	Owner    types.UID            // of the HotStandbyJob, or of the Job once it is claimed
	Node     string
	Attached bool      // its stream is open
	Claimed  bool      // it belongs to a launch
	LaunchID string    // the launch that it was given, once it is claimed
	Started  time.Time // when it started that launch, as it says; zero before
	Job      string    // the Job's name, once it is claimed
	Timing   Timing    // of its launch, until OnStarted was told of it
}

// Timing is when the steps of a launch were taken, as this process saw them; of one that another process claimed nothing
// is known.
type Timing struct {
	Seen    time.Time // when it was seen that a pod is wanted
	Found   time.Time // when it was decided that it gets one of the pool
	Waited  bool      // it was in the pool's queue before
	Claimed time.Time
	Sent    time.Time // when the pod was sent its command last; zero if it got it otherwise
	Begun   time.Time // when the pod said that the command runs
	Trace   string    // the trace that the launch is a part of, as a traceparent; empty if none
}

// Work is what a workload says about itself.
type Work int

// What workloads say.
const (
	WorkUnknown Work = iota // nothing yet
	WorkIdle
	WorkBusy
)

// Activity is what a pod says that it is doing.
type Activity struct {
	LaunchID string    // the launch that it has started; empty if it has started none
	Started  time.Time // when it did
	Work     Work
}

// PoolSettings are what the registry must know of a pool.
type PoolSettings struct {
	// UID of the HotStandbyJob, so that pods of one that was deleted and made anew aren't taken; empty: any.
	UID types.UID
	// Revision that a pod must have to be claimed.
	Revision string
	// StartTimeout is how long a claimed pod may take to start what it was given; 0 means 30 s.
	StartTimeout time.Duration
	// ManagesEviction says that a claim marks the pod as one that must not be moved to another node; it isn't set where
	// the pool's template has such annotations of its own.
	ManagesEviction bool
}

// Claim says for what a pod is claimed, and what is written on it.
type Claim struct {
	Pool        types.NamespacedName
	Owner       metav1.OwnerReference // the Job's; it replaces the pool's
	Labels      map[string]string     // LabelLaunch and the Job's; in addition to the pod's, and in place of those of the same name
	Annotations map[string]string     // AnnotationStart and the Job's, likewise; the payload's is added
	Finalizers  []string              // in addition to the pod's
	Payload     protocol.Payload      // without ID: each claim gets a fresh one
	Timing      Timing                // Seen, Found, Waited, Trace
}
