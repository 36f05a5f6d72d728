// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	hsj "github.com/paia-tech/hotstandbyjob/client"
)

// dispatcher is a client of the gateway with the rights that it needs and no more. A pod must be there, which has the
// gateway's authority.
func (s *stage) dispatcher(ctx context.Context) (*hsj.Client, error) {
	const name = "dispatcher"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	err := errors.Join(
		s.Make(ctx, account),
		s.Make(ctx, &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "get"}}},
		}),
		s.Make(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: s.Namespace}},
		}))
	if err != nil {
		return nil, err
	}
	token := &authenticationv1.TokenRequest{}
	if err := s.Client.SubResource("token").Create(ctx, account, token); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	pods, err := idlePods(ctx, s.Space)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, errors.New("no pod is idle that would know the gateway's authority")
	}
	return hsj.New(s.URL, hsj.WithToken(token.Status.Token), hsj.WithCA([]byte(pods[0].Annotations[v1alpha1.AnnotationGatewayCA])))
}
