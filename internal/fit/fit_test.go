// SPDX-License-Identifier: Apache-2.0

package fit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

func env(pairs ...string) (out []corev1.EnvVar) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, corev1.EnvVar{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func field(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

func indexField() corev1.EnvVar {
	return field(indexEnv, "metadata.labels['"+batchv1.JobCompletionIndexAnnotation+"']")
}

// template has a target, a sidecar and an init container.
func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init", Image: "busybox:1.36"}},
		Containers: []corev1.Container{
			{Name: "worker", Image: "busybox:1.36", Command: []string{"sleep"}, Args: []string{"inf"}, Env: env("A", "1", "B", "2")},
			{Name: "sidecar", Image: "proxy:1"},
		},
	}}
}

// podOf is the pod that a Job's controller makes of a template.
func podOf(t corev1.PodTemplateSpec) *corev1.Pod {
	t = *t.DeepCopy()
	if t.Spec.RestartPolicy == "" {
		t.Spec.RestartPolicy = corev1.RestartPolicyNever // the server refuses a Job without
	}
	return &corev1.Pod{ObjectMeta: t.ObjectMeta, Spec: t.Spec}
}

func indexed(p *corev1.Pod) {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			list[i].Env = append(list[i].Env, indexField())
		}
	}
	p.Annotations = map[string]string{batchv1.JobCompletionIndexAnnotation: "3"}
	p.Labels = map[string]string{batchv1.JobCompletionIndexAnnotation: "3"}
	p.Spec.Hostname = "job-3"
}

type change struct {
	pool func(*corev1.PodTemplateSpec)
	job  func(*corev1.Pod)
}

func (c change) check() (protocol.Payload, *Mismatch) {
	pool := template()
	if c.pool != nil {
		c.pool(&pool)
	}
	pod := podOf(pool)
	if c.job != nil {
		c.job(pod)
	}
	return Check(Pool{Template: pool, Container: "worker"}, pod)
}

func TestATakenDifferenceIsInThePayload(t *testing.T) {
	same := protocol.Payload{Command: []string{"sleep"}, Args: []string{"inf"}}
	for name, tc := range map[string]struct {
		change
		want protocol.Payload
	}{
		"a copy of the pool's template needs nothing": {want: same},
		"another command has no args but its own": {
			change{job: func(p *corev1.Pod) { p.Spec.Containers[0].Command, p.Spec.Containers[0].Args = []string{"echo"}, nil }},
			protocol.Payload{Command: []string{"echo"}},
		},
		"args alone go to the pool's command": {
			change{job: func(p *corev1.Pod) { p.Spec.Containers[0].Command, p.Spec.Containers[0].Args = nil, []string{"5"} }},
			protocol.Payload{Command: []string{"sleep"}, Args: []string{"5"}},
		},
		"neither command nor args run the pool's": {
			change{job: func(p *corev1.Pod) { p.Spec.Containers[0].Command, p.Spec.Containers[0].Args = nil, nil }}, same,
		},
		"a working directory": {
			change{job: func(p *corev1.Pod) { p.Spec.Containers[0].WorkingDir = "/tmp" }},
			protocol.Payload{Command: []string{"sleep"}, Args: []string{"inf"}, WorkingDir: "/tmp"},
		},
		"literals, in the Job's order, and one that isn't there": {
			change{job: func(p *corev1.Pod) { p.Spec.Containers[0].Env = env("C", "3", "D", "$(C)$(A)", "B", "2") }},
			protocol.Payload{
				Command: []string{"sleep"}, Args: []string{"inf"}, UnsetEnv: []string{"A"},
				Env: []protocol.EnvVar{{Name: "C", Value: "3"}, {Name: "D", Value: "$(C)$$(A)"}, {Name: "B", Value: "2"}},
			},
		},
		"the completion index, which the others needn't have": {
			change{job: indexed}, protocol.Payload{
				Command: []string{"sleep"}, Args: []string{"inf"},
				Env: []protocol.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: indexEnv, Value: "3"}},
			},
		},
		"valueFrom that is the same stays as it is": {
			change{
				pool: func(p *corev1.PodTemplateSpec) {
					p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, field("NAME", "metadata.name"))
				},
				job: func(p *corev1.Pod) {
					p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, env("C", "$(NAME)")...)
				},
			},
			protocol.Payload{
				Command: []string{"sleep"}, Args: []string{"inf"},
				Env: []protocol.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "C", Value: "$(NAME)"}},
			},
		},
		"valueFrom that the Job doesn't have is unset": {
			change{
				pool: func(p *corev1.PodTemplateSpec) {
					p.Spec.Containers[0].Env = []corev1.EnvVar{field("NAME", "metadata.name")}
				},
				job: func(p *corev1.Pod) { p.Spec.Containers[0].Env = nil },
			},
			protocol.Payload{Command: []string{"sleep"}, Args: []string{"inf"}, UnsetEnv: []string{"NAME"}},
		},
		"env from a label that the Job gives is known, and a $ in it is one": {
			change{job: func(p *corev1.Pod) {
				p.Annotations = map[string]string{"a": "$(A)"}
				p.Spec.Containers[0].Env = []corev1.EnvVar{field("L", "metadata.annotations['a']")}
			}},
			protocol.Payload{
				Command: []string{"sleep"}, Args: []string{"inf"}, UnsetEnv: []string{"A", "B"},
				Env: []protocol.EnvVar{{Name: "L", Value: "$$(A)"}},
			},
		},
		"references in command and args": {
			change{job: func(p *corev1.Pod) {
				p.Spec.Containers[0].Command = []string{"sh", "-c", "echo $(A) $(date) $$(A) $X $(DB_SERVICE_HOST)"}
				p.Spec.Containers[0].Args = nil
			}},
			protocol.Payload{Command: []string{"sh", "-c", "echo $(A) $$(date) $$(A) $X $(DB_SERVICE_HOST)"}},
		},
		"defaults written out are no difference": {
			change{job: func(p *corev1.Pod) {
				p.Spec.DNSPolicy = corev1.DNSClusterFirst
				p.Spec.TerminationGracePeriodSeconds = new(int64(30))
				p.Spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
				p.Spec.Containers[0].TerminationMessagePath = "/dev/termination-log"
			}}, same,
		},
		"a quantity may be written in several ways": {
			change{
				pool: func(p *corev1.PodTemplateSpec) {
					p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("1Gi")}
				},
				job: func(p *corev1.Pod) {
					p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("1073741824")}
				},
			}, same,
		},
		"labels and annotations are for the claim": {
			change{job: func(p *corev1.Pod) {
				p.Labels, p.Annotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
			}}, same,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, m := tc.check()
			if m != nil {
				t.Fatalf("mismatch %+v", *m)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnyOtherDifferenceIsNamed(t *testing.T) {
	const at = "spec.template.spec."
	worker := func(f func(*corev1.Container)) func(*corev1.Pod) {
		return func(p *corev1.Pod) { f(&p.Spec.Containers[0]) }
	}
	for name, tc := range map[string]struct {
		change
		want Mismatch
	}{
		"image": {
			change{job: worker(func(c *corev1.Container) { c.Image = "alpine" })},
			Mismatch{at + "containers[worker].image", "busybox:1.36", "alpine"},
		},
		"image of a sidecar": {
			change{job: func(p *corev1.Pod) { p.Spec.Containers[1].Image = "proxy:2" }},
			Mismatch{at + "containers[sidecar].image", "proxy:1", "proxy:2"},
		},
		"no such container": {
			change{job: worker(func(c *corev1.Container) { c.Name = "main" })},
			Mismatch{at + "containers[worker]", `{"name":"worker","image":"busybox:1.36","command":["sleep"],"args":["inf"],"env":[{"name":"A",`, notSet},
		},
		"another container more": {
			change{job: func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "x"}) }},
			Mismatch{at + "containers[x]", notSet, `{"name":"x","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy`},
		},
		"a limit": {
			change{job: worker(func(c *corev1.Container) {
				c.Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("1500m")}
			})},
			Mismatch{at + "containers[worker].resources.limits[cpu]", notSet, "1500m"},
		},
		"a volume": {
			change{job: func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: "v"}} }},
			Mismatch{at + "volumes[v]", notSet, `{"name":"v","emptyDir":{}}`},
		},
		"a volume's mount": {
			change{job: worker(func(c *corev1.Container) { c.VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}} })},
			Mismatch{at + "containers[worker].volumeMounts[v]", notSet, `{"name":"v","mountPath":"/v"}`},
		},
		"the restart policy, which is Never where the pool has none": {
			change{job: func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }},
			Mismatch{at + "restartPolicy", "Never", "OnFailure"},
		},
		"the grace period": {
			change{job: func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = new(int64(5)) }},
			Mismatch{at + "terminationGracePeriodSeconds", "30", "5"},
		},
		"a scheduling gate": {
			change{job: func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "wait"}} }},
			Mismatch{at + "schedulingGates[wait]", notSet, `{"name":"wait"}`},
		},
		"a node selector": {
			change{job: func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }},
			Mismatch{at + "nodeSelector[disk]", notSet, "ssd"},
		},
		"a probe": {
			change{job: worker(func(c *corev1.Container) { c.LivenessProbe = &corev1.Probe{PeriodSeconds: 3} })},
			Mismatch{at + "containers[worker].livenessProbe", notSet, `{"timeoutSeconds":1,"periodSeconds":3,"successThreshold":1,"failureThreshold":3}`},
		},
		"a literal where the pool has a reference": {
			change{
				pool: func(p *corev1.PodTemplateSpec) {
					p.Spec.Containers[0].Env = []corev1.EnvVar{field("A", "metadata.name")}
				},
				job: worker(func(c *corev1.Container) { c.Env = env("A", "1") }),
			},
			Mismatch{at + "containers[worker].env[A]", `valueFrom {"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.name"}}`, "1"},
		},
		"a reference where the pool has a literal": {
			change{job: worker(func(c *corev1.Container) { c.Env = []corev1.EnvVar{field("A", "metadata.name")} })},
			Mismatch{at + "containers[worker].env[A]", "1", `valueFrom {"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.name"}}`},
		},
		"a reference that the pool doesn't have": {
			change{job: worker(func(c *corev1.Container) { c.Env = append(c.Env, field("N", "spec.nodeName")) })},
			Mismatch{at + "containers[worker].env[N]", notSet, `valueFrom {"fieldRef":{"apiVersion":"v1","fieldPath":"spec.nodeName"}}`},
		},
		"a literal that refers to a later one": {
			change{job: worker(func(c *corev1.Container) { c.Env = env("A", "$(B)", "B", "2") })},
			Mismatch{at + "containers[worker].env[A]", "1", "$(B)"},
		},
		"a variable of the image that the pool hides": {
			change{
				pool: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Env = env("PATH", "/bin") },
				job:  worker(func(c *corev1.Container) { c.Env = nil }),
			},
			Mismatch{at + "containers[worker].env[PATH]", "/bin", notSet},
		},
		"a variable of envFrom that the pool may hide": {
			change{
				pool: func(p *corev1.PodTemplateSpec) {
					p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{Prefix: "X"}}
				},
				job: worker(func(c *corev1.Container) { c.Env = env("B", "2") }),
			},
			Mismatch{at + "containers[worker].env[A]", "1", notSet},
		},
		"no working directory where the pool has one": {
			change{
				pool: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].WorkingDir = "/app" },
				job:  worker(func(c *corev1.Container) { c.WorkingDir = "" }),
			},
			Mismatch{at + "containers[worker].workingDir", "/app", notSet},
		},
		"no command anywhere": {
			change{pool: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Command = nil }},
			Mismatch{at + "containers[worker].command", notSet, notSet},
		},
		"an indexed hostname that pods are found by": {
			change{pool: func(p *corev1.PodTemplateSpec) { p.Spec.Subdomain = "mpi" }, job: indexed},
			Mismatch{at + "hostname", notSet, "job-3"},
		},
		"a sidecar that uses the completion index": {
			change{
				pool: func(p *corev1.PodTemplateSpec) { p.Spec.Containers[1].Env = []corev1.EnvVar{indexField()} },
				job: func(p *corev1.Pod) {
					indexed(p)
					p.Spec.Containers[1].Env = p.Spec.Containers[1].Env[:1]
				},
			},
			Mismatch{at + "containers[sidecar].env[JOB_COMPLETION_INDEX]", notSet, "3"},
		},
		"a deadline that has begun to run": {
			change{pool: func(p *corev1.PodTemplateSpec) { p.Spec.ActiveDeadlineSeconds = new(int64(60)) }},
			Mismatch{at + "activeDeadlineSeconds", "60, counted from the pod's start", "60"},
		},
		"more than an annotation holds": {
			change{job: worker(func(c *corev1.Container) { c.Args = []string{strings.Repeat("x", protocol.MaxPayload)} })},
			Mismatch{"payload", "at most 131072 bytes", "more"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, m := tc.check()
			if m == nil {
				t.Fatal("it is taken")
			}
			got := Mismatch{m.Field, strings.TrimSuffix(m.Pool, "…"), strings.TrimSuffix(m.Job, "…")}
			if len(tc.want.Pool) > 90 { // it is cut short in the table
				got.Pool = got.Pool[:min(len(got.Pool), len(tc.want.Pool))]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("mismatch (-want +got):\n%s", diff)
			}
		})
	}
}
