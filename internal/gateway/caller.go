// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"net/netip"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/internal/access"
	"github.com/paia-tech/hotstandbyjob/internal/standby"
)

type (
	callerKey  struct{}
	podKey     struct{}
	addressKey struct{}
)

// addressOf is where the request comes from; the zero Addr if that isn't known, or doesn't matter.
func addressOf(ctx context.Context) netip.Addr {
	from, _ := ctx.Value(addressKey{}).(netip.Addr)
	return from
}

// callerOf is who makes the request: the gate, that of clients or of pods, has put it there.
func callerOf(ctx context.Context) *access.Caller {
	c, _ := ctx.Value(callerKey{}).(*access.Caller)
	return c
}

// callingPod is whose token it is: the gate of pods has put it there.
func callingPod(ctx context.Context) standby.PodID {
	id, _ := ctx.Value(podKey{}).(standby.PodID)
	return id
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
