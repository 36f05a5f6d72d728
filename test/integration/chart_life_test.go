// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/lab/labtest"
	"github.com/paia-tech/hotstandbyjob/test/kit"
	"github.com/paia-tech/hotstandbyjob/test/tool"
)

// installed is the chart, installed in a lab of its own, and pools that are at work while it is changed.
type installed struct {
	*kit.Env

	witness *kit.Witness
	pool    *v1alpha1.HotStandbyJob // Push
	busy    map[string]types.UID    // pods that must not be lost, with what they are
	made    int                     // launches so far
}

// helm changes the release, and waits until the operator is as the chart wants it.
func (r *installed) helm(args ...string) {
	r.T.Helper()
	t := r.T.(*testing.T)
	out, err := tool.Helm(t, tool.Helm4, append(args, "--kubeconfig", r.Lab.Kubeconfig(), "--namespace", chartSpace, "--wait", "--timeout", kit.Patience.String())...)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("helm %s: %s", strings.Join(args, " "), strings.Split(out, "\nNOTES")[0])
}

// launch makes a Job as people do, who know of the operator nothing but the label.
func (r *installed) launch(change func(*kit.LaunchBuilder)) (name string, err error) {
	name = fmt.Sprintf("launch-%03d", r.made)
	r.made++
	b := kit.Launch(name, r.pool).Spec(func(s *batchv1.JobSpec) {
		s.ManagedBy = nil
		s.Template.Spec.Containers[0].Command = []string{"/stamp"}
	}).Args("-to", r.witness.Address, name)
	if change != nil {
		change(b)
	}
	j := b.Obj()
	j.Namespace = r.Namespace
	return name, r.Client.Create(r.T.Context(), j)
}

// beside does something while one launch after the other is made, and checks that each has run, once.
func (r *installed) beside(what string, do func()) {
	r.T.Helper()
	var names []string
	stopped := make(chan struct{})
	var launches sync.WaitGroup
	launches.Go(func() {
		for {
			name, err := r.launch(nil)
			if err != nil {
				r.T.Errorf("a launch during %s: %v", what, err)
				return
			}
			names = append(names, name)
			r.awaitEnd(name)
			select {
			case <-stopped:
				return
			default:
			}
		}
	})
	func() {
		defer launches.Wait()
		defer close(stopped)
		do()
	}()
	starts := map[string]int{}
	for _, name := range names {
		awaitJob(r.Env, name, batchv1.JobComplete)
		for _, start := range startsOf(r.Env, name) {
			starts[start]++
		}
		if n := len(r.witness.Stamps(name)); n != 1 {
			r.T.Errorf("launch %s ran %d times during %s", name, n, what)
		}
	}
	r.T.Logf("launches during %s, by how they started: %v", what, starts)
	r.mustKeep(what)
}

// awaitEnd waits until a Job has ended, or for a minute.
func (r *installed) awaitEnd(name string) {
	ctx, cancel := context.WithTimeout(r.T.Context(), time.Minute)
	defer cancel()
	j := &batchv1.Job{}
	_ = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: name}, j)
		return err == nil && (jobCondition(j, batchv1.JobComplete) != nil || jobCondition(j, batchv1.JobFailed) != nil), nil
	})
}

// mustKeep checks that the busy pods are those of before, and that nothing in them was restarted.
func (r *installed) mustKeep(what string) {
	r.T.Helper()
	for name, uid := range r.busy {
		p := &corev1.Pod{}
		if err := r.Client.Get(r.T.Context(), client.ObjectKey{Namespace: r.Namespace, Name: name}, p); err != nil {
			r.T.Errorf("a busy pod was lost by %s: %v", what, err)
			continue
		}
		if p.UID != uid || !kit.Live(p) || p.Status.ContainerStatuses[0].RestartCount > 0 {
			r.T.Errorf("a busy pod was lost by %s: %s is %+v", what, name, p.Status)
		}
	}
}

// mustStartWarm checks that the pools are full, and that launches start warm: at once but for the moments until the API server
// has been told whom to trust, and where it takes longer to ask the webhook than it may.
func (r *installed) mustStartWarm(after string) {
	r.T.Helper()
	r.AwaitStatus("pull", 2, 2)
	r.AwaitStatus("push", 2, 2)
	before := r.made
	r.Await("a launch starts warm after "+after, func(g gomega.Gomega) {
		name, err := r.launch(nil)
		g.Expect(err).NotTo(gomega.HaveOccurred())
		awaitJob(r.Env, name, batchv1.JobComplete)
		g.Expect(startsOf(r.Env, name)).To(gomega.Equal([]string{v1alpha1.StartWarm}))
	})
	if n := r.made - before; n > 1 {
		r.T.Logf("after %s it was the launch number %d that started warm", after, n)
	}
}

// load makes two pools with two busy pods each: of Pull ones that were told, of Push ones that run a Job.
func (r *installed) load() {
	r.T.Helper()
	r.Create(kit.Pool("pull").Real("run", "-busy-by=file").Idle(2).Max(6).Probe(byFile()).Obj())
	r.pool = kit.PushPool("push").Idle(2).Max(8).With(func(s *v1alpha1.HotStandbyJobSpec) {
		c := &s.JobTemplate.Template.Spec.Containers[0]
		c.Command, c.Args = []string{"/worker"}, []string{"run"}
	}).Obj()
	r.Create(r.pool)
	r.AwaitStatus("pull", 2, 0)
	for i, p := range r.Pods("pull") {
		r.busy[p.Name] = p.UID
		tell(r.Env, &p, "/busy")
		r.AwaitStatus("pull", 2, i+1)
	}
	for i := range 2 {
		r.AwaitStatus("push", 2, i)
		name, err := r.launch(func(b *kit.LaunchBuilder) {
			b.Args("run").Spec(func(s *batchv1.JobSpec) { s.Template.Spec.Containers[0].Command = []string{"/worker"} })
		})
		if err != nil {
			r.T.Fatal(err)
		}
		r.Await("the Job has a pod", func(g gomega.Gomega) { g.Expect(podsOf(r.Env, name)).To(gomega.HaveLen(1)) })
		p := podsOf(r.Env, name)[0]
		r.busy[p.Name] = p.UID
	}
}

// finish ends what the busy pods do, which must be the success of their Jobs.
func (r *installed) finish() {
	r.T.Helper()
	for name := range r.busy {
		p := &corev1.Pod{}
		if err := r.Client.Get(r.T.Context(), client.ObjectKey{Namespace: r.Namespace, Name: name}, p); err != nil {
			r.T.Fatal(err)
		}
		tell(r.Env, p, "/exit?code=0")
		awaitJob(r.Env, p.Labels[batchv1.JobNameLabel], batchv1.JobComplete)
	}
	r.busy = nil
}

// remains are all objects of the release's namespace, of the pools' namespace, and of none.
func (r *installed) remains(g gomega.Gomega) (names []string) {
	config := rest.CopyConfig(r.Config)
	config.WarningHandler = rest.NoWarnings{} // some of what is listed is deprecated
	d, err := discovery.NewDiscoveryClientForConfig(config)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	lists, err := d.ServerPreferredResources()
	g.Expect(err).NotTo(gomega.HaveOccurred())
	resources, err := discovery.GroupVersionResources(discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list"}}, lists))
	g.Expect(err).NotTo(gomega.HaveOccurred())
	c, err := dynamic.NewForConfig(config)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	for resource := range resources {
		if resource.Resource == "events" || resource.Resource == "componentstatuses" {
			continue
		}
		list, err := c.Resource(resource).List(r.T.Context(), metav1.ListOptions{})
		g.Expect(err).NotTo(gomega.HaveOccurred(), resource.String())
		for _, o := range list.Items {
			if space := o.GetNamespace(); space == "" || space == chartSpace || space == r.Namespace {
				names = append(names, resource.Resource+" "+strings.TrimPrefix(space+"/"+o.GetName(), "/"))
			}
		}
	}
	slices.Sort(names)
	return names
}

// What people do with a release is done here while its pools are at work, by kubectl and helm as they would; its webhook
// and the operator serve all namespaces, so it has a lab of its own. No other test runs beside it: two clusters with their
// pods are more than two cores carry, and kubelets then report what happened after many seconds only.
func TestTheChartIsChangedWhilePoolsWork(t *testing.T) {
	needNode(&kit.Env{T: t, Lab: labtest.Shared(t)})
	r := &installed{Env: kit.In(t, labtest.Own(t, "chart")), busy: map[string]types.UID{}}
	r.NeedEntrypoint()
	r.witness = r.Witness()
	viewer(r.Env, account, true)
	p := newPlugin(t, r.Env)
	before := r.remains(gomega.NewWithT(t))

	r.helm("install", "hsj", "charts/hotstandbyjob", "--create-namespace")
	r.load()
	r.mustStartWarm("install")
	page := r.show(p)
	r.mustTell(p, page.mustShow(p))
	// The same image under another name: to the operator it is another one, and it replaces the idle pods.
	r.beside("upgrade", func() {
		r.helm("upgrade", "hsj", "charts/hotstandbyjob", "--set", "image.repository=docker.io/library/hotstandbyjob-operator", "--set", "podAnnotations.a=b")
	})
	r.mustStartWarm("upgrade")
	page.mustShow(p) // that of another pod than the one that was opened
	page.end()
	r.beside("rollback", func() { r.helm("rollback", "hsj") })
	r.mustStartWarm("rollback")

	// Without the operator all that runs goes on, and a Job with the label is an ordinary one.
	idle := r.Pods("pull")
	r.helm("uninstall", "hsj")
	j, err := r.launch(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := awaitJob(r.Env, j, batchv1.JobComplete); got.Spec.ManagedBy != nil {
		t.Errorf("without the operator Job %s is managed by %s", j, *got.Spec.ManagedBy)
	}
	r.mustKeep("uninstall")
	mustLive(r.Env, "pull", idle...)
	r.helm("install", "hsj", "charts/hotstandbyjob", "--set", "crds.keep=false")
	r.mustStartWarm("a second install")
	r.finish()

	// Pools first, as the documentation says; then nothing is left but what it names.
	for _, o := range []client.Object{&v1alpha1.HotStandbyJob{}, &batchv1.Job{}} {
		if err := r.Client.DeleteAllOf(t.Context(), o, client.InNamespace(r.Namespace), client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
			t.Fatal(err)
		}
	}
	r.Await("the pools' pods are gone", func(g gomega.Gomega) {
		var pods corev1.PodList
		g.Expect(r.Client.List(t.Context(), &pods, client.InNamespace(r.Namespace))).To(gomega.Succeed())
		g.Expect(pods.Items).To(gomega.BeEmpty())
	})
	r.helm("uninstall", "hsj")
	want := slices.Concat(before, []string{
		"namespaces " + chartSpace, // and what Kubernetes puts into any
		"configmaps " + chartSpace + "/kube-root-ca.crt", "serviceaccounts " + chartSpace + "/default",
		"secrets " + chartSpace + "/hotstandbyjob-certificate", "leases " + chartSpace + "/hotstandbyjob.apps.paia.tech",
	})
	r.Await("nothing is left but what the documentation names", func(g gomega.Gomega) {
		g.Expect(r.remains(g)).To(gomega.ConsistOf(want))
	})
}
