// SPDX-License-Identifier: Apache-2.0

// Package access says who a token belongs to and what they may do, by asking the API server and remembering its answers
// for a short time. It has no access control of its own: RBAC is the only one there is.
package access

import (
	"crypto/sha256"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Caller is who makes a request, as the API server says.
type Caller struct {
	User authenticationv1.UserInfo

	key key       // of the token
	end time.Time // of the token; zero if it has none
}

// key stands for a token of an audience, so that tokens aren't kept.
type key [sha256.Size]byte

func keyOf(audience, token string) key { return sha256.Sum256([]byte(audience + "\x00" + token)) }

// Kind is why somebody isn't let in.
type Kind int

// The kinds.
const (
	Unauthenticated Kind = iota + 1 // it isn't known who they are
	Forbidden                       // they may not do it
	Unavailable                     // the API server didn't say
)

// Refusal is the error when somebody isn't let in. Its text is for them to read.
type Refusal struct {
	Kind Kind
	text string
}

// Error is what to answer.
func (r *Refusal) Error() string { return r.text }
