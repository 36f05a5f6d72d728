// SPDX-License-Identifier: Apache-2.0

package access

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Attributes are what somebody wants to do.
type Attributes struct {
	Verb, Group, Version, Resource string
	Namespace                      string // empty: all
	Name                           string // empty: all
}

func (a *Attributes) where() string {
	if a.Namespace == "" {
		return "in all namespaces"
	}
	return fmt.Sprintf("in namespace %q", a.Namespace)
}

// question is whether a caller may do something.
type question struct {
	caller key
	what   Attributes
}

// Allow says whether the caller may; the error is what to answer if not.
func (r *Reviewer) Allow(ctx context.Context, c *Caller, what Attributes) error {
	q := question{c.key, what}
	allowed, ok := r.verdicts.Get(q)
	if !ok {
		review, err := r.access(ctx, c, &what)
		if err != nil {
			return r.unavailable(err, "review access")
		}
		allowed = review
		r.verdicts.Add(q, review, allowedFor)
	}
	if allowed != true {
		return &Refusal{Forbidden, fmt.Sprintf("%s may not %s %s %s", c.User.Username, what.Verb, what.Resource, what.where())}
	}
	return nil
}

// access asks the API server.
func (r *Reviewer) access(ctx context.Context, c *Caller, what *Attributes) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: c.User.Username, UID: c.User.UID, Groups: c.User.Groups,
		Extra: map[string]authorizationv1.ExtraValue{},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: what.Namespace, Verb: what.Verb, Group: what.Group, Version: what.Version, Resource: what.Resource, Name: what.Name,
		},
	}}
	for name, values := range c.User.Extra {
		review.Spec.Extra[name] = authorizationv1.ExtraValue(values)
	}
	err := r.turn(ctx, func(ctx context.Context) (err error) {
		review, err = r.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
