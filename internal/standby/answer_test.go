// SPDX-License-Identifier: Apache-2.0

package standby

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

// answering has claims go over HTTP, to a server that makes them and answers: the body comes from say.
func (c *cluster) answering(t *testing.T, say func(w http.ResponseWriter, r *http.Request, body []byte)) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		patch, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p, err := c.client.CoreV1().Pods("games").Patch(r.Context(), path.Base(r.URL.Path), types.JSONPatchType, patch, metav1.PatchOptions{})
		w.Header().Set("Content-Type", "application/json")
		var no apierrors.APIStatus
		if errors.As(err, &no) {
			status := no.Status()
			w.WriteHeader(int(status.Code))
			_ = json.NewEncoder(w).Encode(&status)
			return
		}
		p.APIVersion, p.Kind = "v1", "Pod"
		body, err := json.Marshal(p)
		if err != nil {
			panic(err)
		}
		say(w, r, body)
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := kubernetes.NewForConfigAndClient(&rest.Config{Host: server.URL}, &http.Client{Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	c.deps.Answers = client.CoreV1().RESTClient()
}

func TestALaunchIsSentWhenTheAnswerToItsClaimBegins(t *testing.T) {
	c := newCluster()
	id := c.add(t, idlePod("a"))
	s := attach(t, c, id, Activity{})
	var sent string
	c.answering(t, func(w http.ResponseWriter, r *http.Request, body []byte) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		select {
		case sent = <-s.Payloads(): // or the body never comes
		case <-r.Context().Done():
		}
		_, _ = w.Write(body)
	})
	p, err := c.Claim(t.Context(), claimOf("job"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Annotations[v1alpha1.AnnotationPayload], sent); diff != "" {
		t.Errorf("(-annotation +stream):\n%s", diff)
	}
	p.TypeMeta = metav1.TypeMeta{}
	if diff := cmp.Diff(c.get(t, "a"), p); diff != "" {
		t.Errorf("(-stored +returned):\n%s", diff)
	}
}

// The claim is made all the same, once, and its pod is the one that is returned.
func TestTheRestOfAnAnswerMayGetLost(t *testing.T) {
	for name, say := range map[string]func(c *cluster, w http.ResponseWriter, r *http.Request, body []byte){
		"half of it": func(_ *cluster, w http.ResponseWriter, _ *http.Request, body []byte) {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(body[:len(body)/2])
		},
		"nonsense": func(_ *cluster, w http.ResponseWriter, _ *http.Request, _ []byte) { _, _ = w.Write([]byte("nonsense")) },
		"and the pod is gone": func(c *cluster, _ http.ResponseWriter, _ *http.Request, _ []byte) {
			_ = c.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), "games", "a")
		},
		"in silence": func(_ *cluster, w http.ResponseWriter, r *http.Request, _ []byte) { // which is given up after attemptTimeout
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster()
			id := c.add(t, idlePod("a"))
			c.add(t, idlePod("b"))
			s := attach(t, c, id, Activity{})
			c.answering(t, func(w http.ResponseWriter, r *http.Request, body []byte) { say(c, w, r, body) })
			p, err := c.Claim(t.Context(), claimOf("job"))
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != "a" || p.UID != "uid-a" || p.ResourceVersion == "" || p.OwnerReferences[0].Name != "job" || p.Labels[v1alpha1.LabelLaunch] != "game" {
				t.Errorf("returned %+v", p.ObjectMeta)
			}
			if received(s) == "" || received(s) != "" {
				t.Error("the launch wasn't sent once")
			}
			if c.patches != 1 || c.Idle(game) != 1 {
				t.Errorf("%d patches, %d pods are idle", c.patches, c.Idle(game))
			}
		})
	}
}

func TestARefusedClaimIsNotSent(t *testing.T) {
	c := newCluster()
	id := c.add(t, idlePod("a"))
	s := attach(t, c, id, Activity{})
	c.add(t, idlePod("b"))
	c.answering(t, func(w http.ResponseWriter, _ *http.Request, body []byte) { _, _ = w.Write(body) })
	c.retire(t, "a")
	p, err := c.Claim(t.Context(), claimOf("job"))
	if err != nil || p.Name != "b" {
		t.Errorf("claimed %v, error %v", p, err)
	}
	if got := received(s); got != "" {
		t.Errorf("the pod that wasn't claimed got %q", got)
	}
}
