// SPDX-License-Identifier: Apache-2.0

package labtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestNamespaceIsDeletedAndArtifactsAreKept(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a lab")
	}
	l := Shared(t)
	client := Client(t, l)
	artifacts := t.TempDir()
	t.Setenv(ArtifactsVariable, artifacts)
	var namespace string
	t.Run("uses one", func(t *testing.T) {
		namespace = Namespace(t, l)
		note := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "note"}, Data: map[string]string{"k": "what was seen"}}
		if _, err := client.CoreV1().ConfigMaps(namespace).Create(t.Context(), note, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		// What Namespace does at the end of a test that has failed.
		keep(t.Context(), t, l, namespace)
	})
	got, err := client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
	if err == nil && got.DeletionTimestamp.IsZero() {
		t.Errorf("namespace %s is not being deleted after the test", namespace)
	}
	objects, err := os.ReadFile(filepath.Join(artifacts, namespace, "configmaps.yaml"))
	if err != nil || !strings.Contains(string(objects), "what was seen") {
		t.Errorf("kept config maps: %v\n%s", err, objects)
	}
	for _, component := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if _, err := os.Stat(filepath.Join(artifacts, namespace, "logs", component+".log")); err != nil {
			t.Errorf("kept logs: %v", err)
		}
	}
}

func TestRelativeArtifactsFolderIsRefused(t *testing.T) {
	t.Setenv(ArtifactsVariable, "artifacts")
	if dir, err := artifactsDir("n"); err == nil {
		t.Errorf("artifacts go to %s, want an error: every package would have another folder", dir)
	}
}

func TestPrefixIsTheBeginningOfAName(t *testing.T) {
	for _, test := range []string{"TestX", "TestX/a_case with spaces & more", strings.Repeat("TestLong", 20), "Test/äöü", "Test/-"} {
		name := prefix(test) + "abcde"
		if faults := validation.IsDNS1123Label(name); len(faults) > 0 {
			t.Errorf("%q becomes %q: %v", test, name, faults)
		}
	}
}
