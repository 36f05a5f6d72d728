// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// pingPeriod is how long a silent subscription is trusted: a connection that was cut without a word is silent too.
const pingPeriod = 10 * time.Second

// listen has the hash read as soon as the server says that it has changed. Where the server doesn't say so, or doesn't let
// us subscribe, the hash is read once per period all the same: an error here is no news about the readings.
func (s *source) listen(ctx context.Context) {
	for failures := 1; ; failures++ {
		if heard := s.subscription(ctx); heard {
			failures = 1
		}
		if !s.sleep(ctx, s.untilNext(failures)) {
			return
		}
	}
}

// subscription listens until the connection fails, and says whether there was one.
func (s *source) subscription(ctx context.Context) (heard bool) {
	client := s.newClient()
	defer func() { _ = client.Close() }()
	channel := client.Subscribe(ctx, s.channel())
	defer func() { _ = channel.Close() }()
	// Receiving minds no cancelled context.
	defer context.AfterFunc(ctx, func() { _ = channel.Close() })()
	for pinged := false; ; {
		message, err := channel.ReceiveTimeout(ctx, pingPeriod)
		switch {
		case err == nil:
			pinged, heard = false, true
			if _, pong := message.(*redis.Pong); !pong {
				s.kick() // a change, or the subscription itself: there may have been changes before it
			}
		case pinged || !isTimeout(err) || ctx.Err() != nil:
			return heard
		default:
			pinged = true
			if err := channel.Ping(ctx); err != nil {
				return heard
			}
		}
	}
}

// redisCause says why a hash can't be read, and what to do about it where that is known.
func redisCause(err error, key *sourceKey) string {
	said, ok := errors.AsType[redis.Error](err)
	switch {
	case !ok || errors.Is(err, redis.Nil):
		return cause(err)
	case redis.IsAuthError(err) || redis.HasErrorPrefix(err, "NOAUTH"):
		return "the password is missing or wrong: correct passwordSecretRef, or REDIS_PASSWORD of the operator"
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return fmt.Sprintf("key %q isn't a hash: correct busyProbe.redis.key, or REDIS_KEY_PREFIX of the operator", key.key)
	default:
		return stable(said.Error())
	}
}
