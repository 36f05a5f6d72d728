// SPDX-License-Identifier: Apache-2.0

// Package labtest gives tests a lab: one for all of them, which stays for the next run, and a namespace for each.
package labtest

import (
	"cmp"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/paia-tech/hotstandbyjob/lab"
)

const (
	// LabVariable is the environment variable that names the (running) lab to test in.
	LabVariable = "HSJ_LAB"
	// ArtifactsVariable is the environment variable that names the folder for what failed tests leave to look at.
	ArtifactsVariable = "HSJ_TEST_ARTIFACTS"
	// Name is the name of the shared lab where LabVariable names none.
	Name = "test"

	simNodes  = 3
	startTime = 30 * time.Minute // the first time everything is built
	cleanTime = 30 * time.Second
)

// Shared returns the lab that all tests on this machine share: the one that the environment names, or else one named
// "test", which is brought up unless it runs. It stays for the next test run.
func Shared(t testing.TB) *lab.Lab {
	t.Helper()
	if name := os.Getenv(LabVariable); name != "" {
		l, err := lab.Open(name)
		if err != nil {
			t.Fatalf("open the lab that %s names: %v", LabVariable, err)
		}
		return l
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	l, err := lab.Up(ctx, lab.Options{Name: Name, SimNodes: simNodes, Progress: output{t}})
	if err != nil {
		t.Fatalf("bring up the shared lab: %v", err)
	}
	return l
}

// Own returns a lab for one test alone, for what is cluster-wide and would disturb the others. Its name is that of the
// shared lab with the purpose added. It is taken down when the test ends.
func Own(t testing.TB, purpose string) *lab.Lab {
	t.Helper()
	name := cmp.Or(os.Getenv(LabVariable), Name) + "-" + purpose
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	// Before it is up, since what fails half-way must go, too.
	t.Cleanup(func() {
		if err := lab.Down(context.WithoutCancel(t.Context()), name); err != nil {
			t.Errorf("take down lab %s: %v", name, err)
		}
	})
	l, err := lab.Up(ctx, lab.Options{Name: name, Progress: output{t}})
	if err != nil {
		t.Fatalf("bring up lab %s: %v", name, err)
	}
	return l
}

// Client returns a client with all rights in the lab.
func Client(t testing.TB, l *lab.Lab) *kubernetes.Clientset {
	t.Helper()
	config, err := l.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatalf("create client: %v", err)
	}
	return client
}

// Namespace creates a namespace for this test, ready for pods, and returns its name. It is deleted when the test ends.
// When the test has failed, its objects and events and the logs of the lab are kept, and the test's log says where.
func Namespace(t testing.TB, l *lab.Lab) string {
	t.Helper()
	client := Client(t, l)
	created, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix(t.Name()), Labels: map[string]string{"hsj.paia.tech/test": "true"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create namespace: %v", err)
	}
	name := created.Name
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanTime)
		defer cancel()
		if t.Failed() {
			keep(ctx, t, l, name)
		}
		if err := client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("delete namespace %s: %v", name, err)
		}
	})
	awaitAccount(t, client, name)
	return name
}

// awaitAccount waits for the namespace's service account: admission refuses pods before it is there.
func awaitAccount(t testing.TB, client kubernetes.Interface, namespace string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cleanTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("namespace %s got no service account: %v", namespace, err)
		case <-tick.C:
		}
	}
}

// prefix makes the beginning of a namespace's name from that of a test.
func prefix(test string) string {
	const most = 40
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(test))
	return strings.Trim(name[:min(len(name), most)], "-") + "-"
}

// output writes what a lab says to a test's log.
type output struct{ t testing.TB }

func (o output) Write(p []byte) (int, error) {
	o.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
