// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	hsj "github.com/paia-tech/hotstandbyjob/client"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// gatewayEnv is a namespace with an operator whose gateway is reached by the URL, which is known by the certificate.
func gatewayEnv(t *testing.T) (e *kit.Env, url string, ca []byte) {
	t.Helper()
	e = kit.New(t)
	e.NeedEntrypoint()
	e.PushOperator(func(c *config.Operator) { url = c.Push.GatewayURL })
	filledPool(e, kit.PushPool("game").Idle(2))
	return e, url, []byte(e.Pods("game")[0].Annotations[v1alpha1.AnnotationGatewayCA])
}

// tokenOf makes a token of a service account, which may make Jobs if mayLaunch is true.
func tokenOf(e *kit.Env, account string, mayLaunch bool, request authenticationv1.TokenRequestSpec) string {
	e.T.Helper()
	e.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}})
	if mayLaunch {
		e.Create(&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: account},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "get", "delete"}}},
		})
		e.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: account},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: e.Namespace}},
		})
	}
	token := &authenticationv1.TokenRequest{Spec: request}
	a := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account, Namespace: e.Namespace}}
	if err := e.Client.SubResource("token").Create(e.T.Context(), a, token); err != nil {
		e.T.Fatalf("make a token: %v", err)
	}
	return token.Status.Token
}

func pushLaunchesByTheGateway(t *testing.T) {
	e, url, ca := gatewayEnv(t)
	w := e.Witness()
	c, err := hsj.New(url, hsj.WithToken(tokenOf(e, "dispatcher", true, authenticationv1.TokenRequestSpec{})), hsj.WithCA(ca))
	if err != nil {
		t.Fatal(err)
	}
	request := &launcherv1.LaunchRequest{Namespace: e.Namespace, Pool: "game", RequestKey: "4711", Args: []string{"-to", w.Address, "-exit", "3", "rpc"}}
	launch, err := c.Launch(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	code, err := launch.Wait()
	if err != nil || code != 3 {
		t.Errorf("the launch ended with %d, %v; want 3", code, err)
	}
	if got := startsOf(e, launch.Job()); !slices.Equal(got, []string{v1alpha1.StartWarm}) {
		t.Errorf("it started %v, want warm", got)
	}
	again, err := c.Start(t.Context(), request)
	if err != nil || again.GetJob() != launch.Job() || !again.GetRepeatedRequest() {
		t.Errorf("the same request again is %v, %v; want Job %s", again, err, launch.Job())
	}
	if n := len(w.Stamps("rpc")); n != 1 {
		t.Errorf("its command ran %d times", n)
	}
}

func pushTheGatewayRefusesStrangers(t *testing.T) {
	e, url, ca := gatewayEnv(t)
	for name, tc := range map[string]struct {
		may     bool
		request authenticationv1.TokenRequestSpec
		want    connect.Code
	}{
		"no right to make jobs": {false, authenticationv1.TokenRequestSpec{}, connect.CodePermissionDenied},
		"another audience":      {true, authenticationv1.TokenRequestSpec{Audiences: []string{"example.com"}}, connect.CodeUnauthenticated},
	} {
		account := map[bool]string{false: "guest", true: "elsewhere"}[tc.may]
		c, err := hsj.New(url, hsj.WithToken(tokenOf(e, account, tc.may, tc.request)), hsj.WithCA(ca))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Start(t.Context(), &launcherv1.LaunchRequest{Namespace: e.Namespace, Pool: "game"})
		if got := connect.CodeOf(err); got != tc.want {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		var asConnect *connect.Error
		if !errors.As(err, &asConnect) || asConnect.Message() == "" {
			t.Errorf("%s: the error %v says nothing", name, err)
		}
	}
	var list batchv1.JobList
	if err := e.Client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for _, j := range list.Items {
		if j.Namespace == e.Namespace {
			t.Errorf("Job %s was made all the same", j.Name)
		}
	}
}

// Pods that can't reach the gateway hear of their launch from a file.
func pushLaunchesReachPodsWithoutTheGateway(t *testing.T) {
	e := kit.New(t)
	e.NeedEntrypoint()
	e.PushOperator(func(c *config.Operator) { c.Push.GatewayAddress = config.Off })
	w := e.Witness()
	h := filledPool(e, kit.PushPool("game").Idle(3))
	for i := range 3 {
		e.Create(kit.Launch(fmt.Sprintf("by-file-%d", i), h).Args("-to", w.Address, "by-file").Obj())
	}
	for i := range 3 {
		awaitJob(e, fmt.Sprintf("by-file-%d", i), batchv1.JobComplete)
		if got := startsOf(e, fmt.Sprintf("by-file-%d", i)); !slices.Equal(got, []string{v1alpha1.StartWarm}) {
			t.Errorf("Job %d started %v, want warm", i, got)
		}
	}
	e.Await("each ran", func(g gomega.Gomega) { g.Expect(w.Stamps("by-file")).To(gomega.HaveLen(3)) })
}
