// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// question is whether a caller may do something with a Job, or with those of a namespace.
type question struct {
	caller               key
	verb, namespace, job string
}

// allow says whether the caller may; the error is what to answer if not.
func (r *reviewer) allow(ctx context.Context, verb, namespace, job string) error {
	c := callerOf(ctx)
	q := question{c.key, verb, namespace, job}
	allowed, ok := r.verdicts.Get(q)
	if !ok {
		review, err := r.access(ctx, c, &q)
		if err != nil {
			return r.unavailable(err, "review access")
		}
		allowed = review
		r.verdicts.Add(q, review, allowedFor)
	}
	if allowed != true {
		return connect.NewError(connect.CodePermissionDenied,
			fmt.Errorf("%s may not %s jobs in namespace %q", c.user.Username, verb, namespace))
	}
	return nil
}

// access asks the API server.
func (r *reviewer) access(ctx context.Context, c *caller, q *question) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: c.user.Username, UID: c.user.UID, Groups: c.user.Groups,
		Extra: map[string]authorizationv1.ExtraValue{},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: q.namespace, Verb: q.verb, Group: "batch", Version: "v1", Resource: "jobs", Name: q.job,
		},
	}}
	for name, values := range c.user.Extra {
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
