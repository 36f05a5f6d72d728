// SPDX-License-Identifier: Apache-2.0

package access

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Bearer is the token of a request; without one the error says what is missing.
func Bearer(h http.Header) (string, error) {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "bearer") || token == "" {
		return "", &Refusal{Unauthenticated, "the request has no header Authorization: Bearer <token>"}
	}
	return token, nil
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

// end is when a token ends; zero if it doesn't.
func (c *claims) end() time.Time {
	if c.Expiry <= 0 || c.Expiry > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(c.Expiry), 0)
}

// left is how long a token is valid, at most the given time.
func (c *claims) left(now time.Time, most time.Duration) time.Duration {
	if end := c.end(); !end.IsZero() {
		return min(most, end.Sub(now))
	}
	return most
}
