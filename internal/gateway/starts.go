// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// starts wakes those who wait for the pods of a Job to start their launch.
type starts struct {
	mu      sync.Mutex
	waiting map[types.UID]map[chan struct{}]struct{} // by Job
}

// subscribe returns a channel on which something is received when a pod of the Job may have started.
func (s *starts) subscribe(job types.UID) chan struct{} {
	wake := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[types.UID]map[chan struct{}]struct{}{}
	}
	if s.waiting[job] == nil {
		s.waiting[job] = map[chan struct{}]struct{}{}
	}
	s.waiting[job][wake] = struct{}{}
	return wake
}

func (s *starts) unsubscribe(job types.UID, wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting[job], wake)
	if len(s.waiting[job]) == 0 {
		delete(s.waiting, job)
	}
}

// tell is called by the registry.
func (s *starts) tell(p standby.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for wake := range s.waiting[p.Owner] {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}
