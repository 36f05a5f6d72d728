// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/config"
	"github.com/paia-tech/hotstandbyjob/internal/probe"
	"github.com/paia-tech/hotstandbyjob/lab"
	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// busybox is an image of every real node.
const busybox = "busybox:1.36"

// needNode skips a test of what only real containers do.
func needNode(e *kit.Env) {
	e.T.Helper()
	if !e.Lab.HasNode() {
		e.T.Skip("containers are run by a real node only, and this lab has none: see `lab up --node`")
	}
}

// tell sends a worker on the real node an order, as whoever hands out work does: /busy, /idle or /exit?code=N.
func tell(e *kit.Env, p *corev1.Pod, order string) {
	e.T.Helper()
	url := "http://" + net.JoinHostPort(p.Status.PodIP, "8080") + order
	e.Await("POST "+url, func(g gomega.Gomega) {
		request, err := http.NewRequestWithContext(e.T.Context(), http.MethodPost, url, http.NoBody)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		response, err := http.DefaultClient.Do(request)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(response.Body.Close()).To(gomega.Succeed())
		g.Expect(response.StatusCode).To(gomega.Equal(http.StatusOK))
	})
}

// inside runs a shell script in a container on the real node.
func inside(e *kit.Env, p *corev1.Pod, container, script string) {
	e.T.Helper()
	executor, err := probe.NewExecutor(e.Config)
	if err != nil {
		e.T.Fatal(err)
	}
	e.Await("run "+script+" in pod "+p.Name, func(g gomega.Gomega) {
		ctx, cancel := context.WithTimeout(e.T.Context(), kit.Patience)
		defer cancel()
		code, err := executor.Exec(ctx, probe.Target{Namespace: p.Namespace, Name: p.Name, Container: container}, []string{"sh", "-c", script})
		g.Expect(err).NotTo(gomega.HaveOccurred())
		g.Expect(code).To(gomega.Equal(0), "exit code")
	})
}

// annotate sets an annotation of a pod.
func annotate(e *kit.Env, p *corev1.Pod, key, value string) {
	e.T.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value)
	if err := e.Client.Patch(e.T.Context(), p.DeepCopy(), client.RawPatch(types.MergePatchType, patch)); err != nil {
		e.T.Fatalf("annotate pod %s: %v", p.Name, err)
	}
}

// finish ends a pod on a simulated node with an exit code, after the operator has seen that it was busy: a pod that ends
// without having worked has failed.
func finish(e *kit.Env, p *corev1.Pod, code int) {
	e.T.Helper()
	awaitState(e, p, v1alpha1.PodBusy)
	annotate(e, p, lab.ExitAnnotation, strconv.Itoa(code))
}

// awaitState waits until a pod has a state label.
func awaitState(e *kit.Env, p *corev1.Pod, state v1alpha1.PodState) {
	e.T.Helper()
	e.Await(fmt.Sprintf("pod %s is labelled %s", p.Name, state), func(g gomega.Gomega) {
		g.Expect(e.Client.Get(e.T.Context(), client.ObjectKeyFromObject(p), p)).To(gomega.Succeed())
		g.Expect(p.Labels).To(gomega.HaveKeyWithValue(v1alpha1.LabelState, string(state)))
	})
}

// inOrder are a pool's live pods, oldest first, and by their index where they have one.
func inOrder(e *kit.Env, pool string) []corev1.Pod {
	e.T.Helper()
	pods := e.Pods(pool)
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(indexOf(&a), indexOf(&b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// indexOf is a pod's completion index; 0 if it has none.
func indexOf(p *corev1.Pod) int {
	i, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil {
		return 0
	}
	return i
}

// uids are the pods' names with what tells them from others that are made under the same name.
func uids(pods []corev1.Pod) map[string]types.UID {
	set := map[string]types.UID{}
	for i := range pods {
		set[pods[i].Name] = pods[i].UID
	}
	return set
}

// mustLive fails the test if one of the pods is not alive, or was made anew.
func mustLive(e *kit.Env, pool string, pods ...corev1.Pod) {
	e.T.Helper()
	live := uids(e.Pods(pool))
	for name, uid := range uids(pods) {
		if live[name] != uid {
			e.T.Errorf("pod %s is gone", name)
		}
	}
}

// passes lets the operator look at a pool and act so many times more: what it wanted to do then is done.
func passes(e *kit.Env, pool string, n int) {
	e.T.Helper()
	for range n {
		e.Update(pool, func(s *v1alpha1.HotStandbyJobSpec) {
			limit := int32(50) // as good as any other
			if s.SucceededUnitsHistoryLimit != nil && *s.SucceededUnitsHistoryLimit == limit {
				limit++
			}
			s.SucceededUnitsHistoryLimit = &limit
		})
		e.Await("the operator has looked at the pool", func(g gomega.Gomega) {
			h := e.Get(pool)
			g.Expect(h.Status.ObservedGeneration).To(gomega.Equal(h.Generation))
		})
	}
}

// mustStay fails the test if the operator makes or deletes a pod in some passes.
func mustStay(e *kit.Env, pool string) {
	e.T.Helper()
	pods, jobs := uids(e.Pods(pool)), len(e.Jobs(pool))
	passes(e, pool, 4)
	g := gomega.NewWithT(e.T)
	g.Expect(uids(e.Pods(pool))).To(gomega.Equal(pods), "the pool's pods")
	g.Expect(e.Jobs(pool)).To(gomega.HaveLen(jobs), "the pool's Jobs")
}

// conditionOf is a pool's condition; an empty one if it has none.
func conditionOf(h *v1alpha1.HotStandbyJob, conditionType string) metav1.Condition {
	if c := meta.FindStatusCondition(h.Status.Conditions, conditionType); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// awaitDegraded waits until a pool is degraded for this reason, with a message that has this text.
func awaitDegraded(e *kit.Env, pool, reason, text string) {
	e.T.Helper()
	e.Await("Degraded: "+reason, func(g gomega.Gomega) {
		c := conditionOf(e.Get(pool), v1alpha1.ConditionDegraded)
		g.Expect(c.Reason).To(gomega.Equal(reason), c.Message)
		g.Expect(c.Message).To(gomega.ContainSubstring(text))
	})
}

// awaitUnknown waits until it can't be told of so many units whether they are busy.
func awaitUnknown(e *kit.Env, pool string, n int) {
	e.T.Helper()
	e.Await("unknown units", func(g gomega.Gomega) {
		h := e.Get(pool)
		g.Expect(h.Status.ObservedGeneration).To(gomega.Equal(h.Generation))
		g.Expect(h.Status.UnknownCount).To(gomega.Equal(int32(n)))
	})
}

// awaitPods waits until a pool has so many live pods.
func awaitPods(e *kit.Env, pool string, n int) {
	e.T.Helper()
	e.Await("the pool's pods", func(g gomega.Gomega) {
		names := []string{}
		for _, p := range inOrder(e, pool) {
			names = append(names, p.Name)
		}
		g.Expect(names).To(gomega.HaveLen(n), strings.Join(names, " "))
	})
}

// awaitGone waits until a pool has so many pods in all, those on their way out too: its Job has counted the others.
func awaitGone(e *kit.Env, pool string, n int) {
	e.T.Helper()
	e.Await("retired pods are gone", func(g gomega.Gomega) {
		var pods corev1.PodList
		g.Expect(e.Client.List(e.T.Context(), &pods, client.InNamespace(e.Namespace), client.MatchingLabels{v1alpha1.LabelName: pool})).
			To(gomega.Succeed())
		g.Expect(uids(pods.Items)).To(gomega.HaveLen(n))
	})
}

// idleTarget changes a pool's.
func idleTarget(e *kit.Env, pool string, n int) {
	e.T.Helper()
	e.Update(pool, func(s *v1alpha1.HotStandbyJobSpec) { s.IdleTarget = int32(n) })
}

// execEnabled is an operator that runs commands through the API server.
func execEnabled(c *config.Operator) { c.ExecThroughAPIServer = true }

// rarely is an operator that reads signals that it isn't told of once an hour.
func rarely(c *config.Operator) { c.SyncInterval = time.Hour }

// afterwards is a context for cleaning up: the test's own has ended by then.
func afterwards(e *kit.Env) context.Context { return context.WithoutCancel(e.T.Context()) }
