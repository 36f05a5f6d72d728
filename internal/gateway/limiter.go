// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"sync"

	"connectrpc.com/connect"
)

// limiter counts what is under way, in all and for each client.
type limiter struct {
	most, mostEach int

	mu   sync.Mutex
	all  int
	each map[string]int
}

func newLimiter(most, mostEach int) *limiter {
	return &limiter{most: most, mostEach: mostEach, each: map[string]int{}}
}

// enter counts one more of a client, until leave is called; or says that there are too many.
func (l *limiter) enter(client, what string) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.all >= l.most:
		return nil, connect.NewError(connect.CodeResourceExhausted,
			fmt.Errorf("%d %s are under way, which is the gateway's limit: try again later", l.all, what))
	case l.each[client] >= l.mostEach:
		return nil, connect.NewError(connect.CodeResourceExhausted,
			fmt.Errorf("%d %s of %s are under way, which is the limit for one client: try again later", l.each[client], what, client))
	}
	l.all++
	l.each[client]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if l.each[client]--; l.each[client] == 0 {
			delete(l.each, client)
		}
	}, nil
}
