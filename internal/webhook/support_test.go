// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"errors"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

func TestSupportsManagedBy(t *testing.T) {
	refused := errors.New("quota")
	for name, tc := range map[string]struct {
		drops   bool   // the field
		err     error  // of the dry run
		version string // of the server
		want    bool
		wantErr bool
	}{
		"the field stays":                            {version: "v1.29.0", want: true},
		"the field goes":                             {drops: true, version: "v1.37.1"},
		"it can't be asked, but always had it":       {err: refused, version: "v1.32.0-eks-1", want: true},
		"it can't be asked, but had it never":        {err: refused, version: "v1.29.9"},
		"it can't be asked, and may have it":         {err: refused, version: "v1.31.2", wantErr: true},
		"it can't be asked, and its version is none": {err: refused, version: "unknown", wantErr: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientset()
			c.Discovery().(*fakediscovery.FakeDiscovery).FakedServerVersion = &version.Info{GitVersion: tc.version}
			c.PrependReactor("create", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
				create := action.(clienttesting.CreateActionImpl)
				if len(create.CreateOptions.DryRun) != 1 || create.GetNamespace() != "ops" {
					t.Errorf("a Job was made: %v", create)
				}
				j := create.GetObject().(*batchv1.Job).DeepCopy()
				if tc.drops {
					j.Spec.ManagedBy = nil
				}
				return true, j, tc.err
			})
			got, err := SupportsManagedBy(t.Context(), c, "ops")
			if got != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("got %v, error %v; want %v", got, err, tc.want)
			}
			if tc.wantErr && !errors.Is(err, refused) {
				t.Errorf("the error %v doesn't say why it couldn't be asked", err)
			}
		})
	}
}
