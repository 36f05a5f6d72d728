// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// pod is one of the operator's; leads says that it has the label.
func pod(namespace, name string, leads bool) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "operator"}}}
	if leads {
		p.Labels[Label] = "true"
	}
	return p
}

// replica runs a marker for pod ops/own until the test ends or stop is called.
type replica struct {
	client client.Client
	elect  func()
	stop   func()
}

func start(t *testing.T, f interceptor.Funcs, pods ...client.Object) replica {
	t.Helper()
	c := fake.NewClientBuilder().WithObjects(pods...).WithInterceptorFuncs(f).Build()
	elected := make(chan struct{})
	m := &Marker{Client: c, Pod: types.NamespacedName{Namespace: "ops", Name: "own"}, Elected: elected, Log: logr.Discard()}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Start(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the marker ended: %v", err)
		}
	})
	t.Cleanup(stop)
	return replica{client: c, elect: func() { close(elected) }, stop: stop}
}

// marked lists the pods that have the label, when all has come to rest.
func (r replica) marked(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	var list corev1.PodList
	if err := r.client.List(context.WithoutCancel(t.Context()), &list, client.HasLabels{Label}); err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, p := range list.Items {
		names = append(names, p.Namespace+"/"+p.Name)
		if p.Labels[Label] != "true" || p.Labels["app"] != "operator" {
			t.Errorf("the labels of %s are %v", p.Name, p.Labels)
		}
	}
	return names
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		t.Errorf("%s, the label is on (-want +got):\n%s", what, diff)
	}
}

func TestTheLabelIsOnTheLeadersPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, interceptor.Funcs{}, pod("ops", "own", false), pod("ops", "old", true), pod("elsewhere", "foreign", true))
		expect(t, "before it is elected", r.marked(t), "elsewhere/foreign", "ops/old")
		r.elect()
		expect(t, "once it is elected", r.marked(t), "elsewhere/foreign", "ops/own")
		r.stop()
		expect(t, "after its end", r.marked(t), "elsewhere/foreign")
	})
}

func TestAContainerThatIsStartedAnewInThePodThatLedLeadsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, interceptor.Funcs{}, pod("ops", "own", true))
		expect(t, "after the start", r.marked(t))
	})
}

func TestWithoutAnElectionThePodIsLabelledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientBuilder().WithObjects(pod("ops", "own", false)).Build()
		elected := make(chan struct{})
		close(elected)
		m := &Marker{Client: c, Pod: types.NamespacedName{Namespace: "ops", Name: "own"}, Elected: elected, Log: logr.Discard()}
		go func() { _ = m.Start(t.Context()) }()
		expect(t, "after the start", replica{client: c}.marked(t), "ops/own")
	})
}

func TestALabelThatCanNotBeWrittenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		failing, tries := true, 0
		r := start(t, interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			mu.Lock()
			defer mu.Unlock()
			if tries++; failing {
				return errors.New("no answer")
			}
			return c.Patch(ctx, o, p, options...)
		}}, pod("ops", "own", false), pod("ops", "old", true))
		time.Sleep(3500 * time.Millisecond) // of the test's own clock
		synctest.Wait()
		mu.Lock()
		if tries != 4 {
			t.Errorf("tried %d times in 3.5 s, want 4", tries)
		}
		mu.Unlock()
		r.elect()
		expect(t, "while nothing can be written", r.marked(t), "ops/old")
		mu.Lock()
		failing = false
		mu.Unlock()
		time.Sleep(again)
		expect(t, "when it can", r.marked(t), "ops/own")
	})
}

func TestAServerThatIsAwayDoesNotHoldUpTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := false
		r := start(t, interceptor.Funcs{Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
			if away {
				<-ctx.Done()
				return ctx.Err()
			}
			return c.Patch(ctx, o, p, options...)
		}}, pod("ops", "own", false))
		r.elect()
		expect(t, "once it is elected", r.marked(t), "ops/own")
		away = true
		started := time.Now()
		r.stop()
		if took := time.Since(started); took > lastWords {
			t.Errorf("the end took %s", took)
		}
	})
}

func TestImage(t *testing.T) {
	one, two := pod("ops", "one", false), pod("ops", "two", false)
	one.Spec.Containers = []corev1.Container{{Name: "main", Image: "first"}}
	two.Spec.Containers = []corev1.Container{{Name: "proxy", Image: "first"}, {Name: "operator", Image: "second"}}
	neither := pod("ops", "neither", false)
	neither.Spec.Containers = []corev1.Container{{Name: "a"}, {Name: "b"}}
	c := fake.NewClientBuilder().WithObjects(one, two, neither).Build()
	for name, tc := range map[string]struct{ pod, want, fault string }{
		"its only container":     {pod: "one", want: "first"},
		"the one of this name":   {pod: "two", want: "second"},
		"none of this name":      {pod: "neither", fault: "has no container operator"},
		"a pod that isn't there": {pod: "none", fault: "read the operator's own pod"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Image(t.Context(), c, types.NamespacedName{Namespace: "ops", Name: tc.pod}, "operator")
			if got != tc.want || (err != nil) != (tc.fault != "") {
				t.Fatalf("got %q, error %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("the error is %v, want %s", err, tc.fault)
			}
		})
	}
}
