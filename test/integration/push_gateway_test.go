// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	hsj "github.com/paia-tech/hotstandbyjob/client"
	"github.com/paia-tech/hotstandbyjob/client/launcherv1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1"
	"github.com/paia-tech/hotstandbyjob/internal/protocol/standbyv1/standbyv1connect"
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
	return requestToken(e, account, request)
}

// requestToken has the API server make a token of a service account.
func requestToken(e *kit.Env, account string, request authenticationv1.TokenRequestSpec) string {
	e.T.Helper()
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
	token := tokenOf(e, "dispatcher", true, authenticationv1.TokenRequestSpec{})
	c, err := hsj.New(url, hsj.WithToken(token), hsj.WithCA(ca))
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

	// As in the README, by curl.
	body := fmt.Sprintf(`{"namespace": %q, "pool": "game", "requestKey": "4712", "args": ["-to", %q, "by-curl"]}`, e.Namespace, w.Address)
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/hsj.launcher.v1.Launcher/Start", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	post.Header.Set("Authorization", "Bearer "+token)
	post.Header.Set("Content-Type", "application/json")
	doer := trusting(ca)
	defer doer.CloseIdleConnections()
	response, err := doer.Do(post)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Job string }
	if err := errors.Join(json.NewDecoder(response.Body).Decode(&answer), response.Body.Close()); err != nil || answer.Job == "" {
		t.Errorf("plain HTTP: %s, %+v, %v", response.Status, answer, err)
	}
	e.Await("its command runs", func(g gomega.Gomega) { g.Expect(w.Stamps("by-curl")).To(gomega.HaveLen(1)) })
}

// trusting is a client of a gateway that is known by its certificate.
func trusting(ca []byte) *http.Client {
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ca)
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}}
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

// A pod can attach as itself alone: the API server vouches for its token, and its address must be its own.
func pushAPodAttachesOnlyAsItself(t *testing.T) {
	e, url, ca := gatewayEnv(t)
	pods := e.Pods("game")
	bound := func(p *corev1.Pod, audience string) authenticationv1.TokenRequestSpec {
		return authenticationv1.TokenRequestSpec{
			Audiences:      []string{audience},
			BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.UID},
		}
	}
	token := func(request authenticationv1.TokenRequestSpec) string { return requestToken(e, "default", request) }
	gone := pods[1].DeepCopy()
	ofGone := token(bound(gone, v1alpha1.TokenAudience))
	if err := e.Client.Delete(t.Context(), gone, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	e.Await("the pod is gone", func(g gomega.Gomega) {
		g.Expect(apierrors.IsNotFound(e.Client.Get(t.Context(), client.ObjectKeyFromObject(gone), &corev1.Pod{}))).To(gomega.BeTrue())
	})
	own := token(bound(&pods[0], v1alpha1.TokenAudience))
	strange, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	doer := trusting(ca)
	defer doer.CloseIdleConnections()
	for name, tc := range map[string]struct {
		token string
		want  connect.Code
	}{
		"stolen from another pod":     {own, connect.CodePermissionDenied},
		"for the API server":          {token(bound(&pods[0], "https://kubernetes.default.svc.cluster.local")), connect.CodeUnauthenticated},
		"of a pod that is gone":       {ofGone, connect.CodeUnauthenticated},
		"expired":                     {resigned(t, own, -time.Minute, serverKey(e)), connect.CodeUnauthenticated},
		"made the same, not expired":  {resigned(t, own, time.Hour, serverKey(e)), connect.CodePermissionDenied}, // so it was the time alone
		"of an account, not of a pod": {token(authenticationv1.TokenRequestSpec{Audiences: []string{v1alpha1.TokenAudience}}), connect.CodePermissionDenied},
		"signed by somebody else":     {resigned(t, own, time.Hour, strange), connect.CodeUnauthenticated},
	} {
		c := standbyv1connect.NewStandbyClient(doer, url)
		ctx, cancel := context.WithCancel(t.Context())
		ctx, call := connect.NewClientContext(ctx)
		call.RequestHeader().Set("Authorization", "Bearer "+tc.token)
		stream, err := c.Attach(ctx, &standbyv1.AttachRequest{})
		if err == nil {
			if stream.Receive() {
				t.Errorf("%s: attached", name)
			}
			err = stream.Err()
			_ = stream.Close()
		}
		cancel()
		if connect.CodeOf(err) != tc.want {
			t.Errorf("a token %s: %v, want %v", name, err, tc.want)
		}
	}
	e.AwaitStatus("game", 2, 0)
}

// resigned is a token as another would be that ends so long from now, signed with a key.
func resigned(t *testing.T, token string, ends time.Duration, key *ecdsa.PrivateKey) string {
	t.Helper()
	parts := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour)
	claims["iat"], claims["nbf"], claims["exp"] = at.Unix(), at.Unix(), time.Now().Add(ends).Unix()
	if text, err = json.Marshal(claims); err != nil {
		t.Fatal(err)
	}
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(text)
	sum := sha256.Sum256([]byte(signed))
	a, b, err := ecdsa.Sign(rand.Reader, key, sum[:]) // ES256, as the header says
	if err != nil {
		t.Fatal(err)
	}
	signature := slices.Concat(a.FillBytes(make([]byte, 32)), b.FillBytes(make([]byte, 32)))
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// serverKey is what the lab's API server signs tokens with.
func serverKey(e *kit.Env) *ecdsa.PrivateKey {
	e.T.Helper()
	key, err := keyutil.PrivateKeyFromFile(filepath.Join(filepath.Dir(e.Lab.Kubeconfig()), "pki", "service-account.key"))
	if err != nil {
		e.T.Fatal(err)
	}
	return key.(*ecdsa.PrivateKey)
}

// The gateway can't be reached from the pods for a while, and then again: launches go on by the file. With HSJ_MEASURE
// set it is away for a minute.
func pushLaunchesGoOnWhileTheGatewayIsAway(t *testing.T) {
	e := kit.New(t)
	e.NeedEntrypoint()
	away := 12 * time.Second
	if os.Getenv(measureVariable) != "" {
		away = time.Minute
	}
	address := e.FreeAddress()
	proxy, at := e.Before(address)
	e.PushOperator(func(c *config.Operator) {
		c.Push.GatewayAddress, c.Push.GatewayURL = address, "https://"+at
		c.Push.GatewayAnyAddress = true // what comes through the proxy has the proxy's address
	})
	w := e.Witness()
	h := filledPool(e, kit.PushPool("game").Idle(4).Max(10))
	launches := 0
	every := time.NewTicker(time.Second)
	defer every.Stop()
	launchFor := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); launches++ {
			name := fmt.Sprintf("launch-%03d", launches)
			e.Create(kit.Launch(name, h).Args("-to", w.Address, name).Obj())
			<-every.C
		}
	}
	launchFor(away / 6)
	proxy.Refuse()
	first := launches
	launchFor(away)
	last := launches
	proxy.Accept()
	launchFor(away / 6)
	meanwhile := 0
	for i := range launches {
		name := fmt.Sprintf("launch-%03d", i)
		awaitJob(e, name, batchv1.JobComplete)
		if i >= first && i < last && slices.Equal(startsOf(e, name), []string{v1alpha1.StartWarm}) {
			meanwhile++
		}
	}
	onceEach(t, w, launches)
	t.Logf("%d launches, %d of them while the gateway was away, %d of those warm", launches, last-first, meanwhile)
	if meanwhile == 0 {
		t.Error("no launch was warm while the gateway was away")
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
