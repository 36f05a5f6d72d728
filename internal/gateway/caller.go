// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

// caller is who makes a request, as the API server says.
type caller struct {
	user authenticationv1.UserInfo
	key  key            // of the token
	pod  *standby.PodID // whose token it is; nil if it isn't a pod's
}

// key stands for a token of an audience, so that tokens aren't kept.
type key [sha256.Size]byte

func keyOf(audience, token string) key { return sha256.Sum256([]byte(audience + "\x00" + token)) }

type (
	callerKey  struct{}
	addressKey struct{}
)

// addressOf is where the request comes from; the zero Addr if that isn't known, or doesn't matter.
func addressOf(ctx context.Context) netip.Addr {
	from, _ := ctx.Value(addressKey{}).(netip.Addr)
	return from
}

// callerOf is who makes the request: both gates have put it there.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// The fields of a user that a token bound to a pod has.
const (
	extraPodName = "authentication.kubernetes.io/pod-name"
	extraPodUID  = "authentication.kubernetes.io/pod-uid"
)

// podOf is the pod that a token is bound to.
func podOf(u *authenticationv1.UserInfo) *standby.PodID {
	rest, ok := strings.CutPrefix(u.Username, "system:serviceaccount:")
	namespace, _, both := strings.Cut(rest, ":")
	name, uid := u.Extra[extraPodName], u.Extra[extraPodUID]
	if !ok || !both || namespace == "" || len(name) != 1 || len(uid) != 1 || name[0] == "" || uid[0] == "" {
		return nil
	}
	return &standby.PodID{Namespace: namespace, Name: name[0], UID: types.UID(uid[0])}
}

// bearer is the token of a request.
func bearer(h http.Header) (string, bool) {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}

// claims are what a token says of itself. Nobody has checked that: it serves to ask the right question about the token,
// and to trust the answer for a shorter time, never for a longer one.
type claims struct {
	Audience audience `json:"aud"`
	Expiry   float64  `json:"exp"`
}

// audience is one string or several.
type audience []string

// UnmarshalJSON reads either.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(a))
}

// claimsOf reads a token's claims; none if it isn't a JWT.
func claimsOf(token string) claims {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &c) != nil {
		return claims{}
	}
	return c
}

func (c *claims) has(audience string) bool { return slices.Contains(c.Audience, audience) }

// left is how long a token is valid, at most the given time.
func (c *claims) left(now time.Time, most time.Duration) time.Duration {
	if c.Expiry <= 0 || c.Expiry > 1<<40 {
		return most
	}
	return min(most, time.Unix(int64(c.Expiry), 0).Sub(now))
}
