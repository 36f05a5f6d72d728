// SPDX-License-Identifier: Apache-2.0

package fit

import (
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
	"pgregory.net/rapid"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// world is what the kubelet knows beside a container: what is set by its image, its envFrom, Services, and what fields
// of the pod are.
type world struct{ image, envFrom, services, fields map[string]string }

// process is what runs in a container.
type process struct {
	argv []string
	dir  string
	env  map[string]string
}

// kubelet is what the kubelet makes of a container (see makeEnvironmentVariables there), whose image has no ENTRYPOINT.
func (w world) kubelet(s side) process {
	env := maps.Clone(w.envFrom)
	for _, v := range s.container.Env {
		switch value, known := s.metadata(v.ValueFrom); {
		case known:
			env[v.Name] = value
		case v.ValueFrom != nil:
			env[v.Name] = w.fields[v.ValueFrom.FieldRef.FieldPath]
		default:
			env[v.Name] = expansion.Expand(v.Value, expansion.MappingFuncFor(env, w.services))
		}
	}
	for name, value := range w.services {
		if _, ok := env[name]; !ok {
			env[name] = value
		}
	}
	p := process{dir: s.container.WorkingDir, env: maps.Clone(w.image)}
	for _, word := range append(append([]string{}, s.container.Command...), s.container.Args...) {
		p.argv = append(p.argv, expansion.Expand(word, expansion.MappingFuncFor(env)))
	}
	maps.Copy(p.env, env)
	return p
}

// entrypoint is what the entrypoint makes of a payload in a container that runs.
func entrypoint(runs process, p protocol.Payload) process {
	out := process{dir: runs.dir, env: maps.Clone(runs.env)}
	for _, name := range p.UnsetEnv {
		delete(out.env, name)
	}
	for _, v := range p.Env {
		out.env[v.Name] = expansion.Expand(v.Value, expansion.MappingFuncFor(out.env))
	}
	if p.WorkingDir != "" {
		out.dir = p.WorkingDir
	}
	for _, word := range append(append([]string{}, p.Command...), p.Args...) {
		out.argv = append(out.argv, expansion.Expand(word, expansion.MappingFuncFor(out.env)))
	}
	return out
}

// drawEnv is a list of few names, so that they meet.
func drawEnv(t *rapid.T) []corev1.EnvVar {
	names := rapid.SampledFrom([]string{"A", "B", "C", "PATH", "FROM", "DB_SERVICE_HOST"})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) corev1.EnvVar {
		name := names.Draw(t, "name")
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return field(name, rapid.SampledFrom([]string{"metadata.name", "spec.nodeName"}).Draw(t, "path"))
		case 1:
			return field(name, rapid.SampledFrom([]string{"metadata.labels['l']", "metadata.annotations['a']"}).Draw(t, "path"))
		default:
			return corev1.EnvVar{Name: name, Value: drawText(t)}
		}
	}), 0, 4).Draw(t, "env")
}

func drawText(t *rapid.T) string {
	parts := []string{"x", "$", "$$", "$(", ")", "$(A)", "$(B)", "$(LANG)", "$(FROM)", "$(DB_SERVICE_HOST)", "$$(A)", "ü"}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 4).Draw(t, "text"), "")
}

func drawContainer(t *rapid.T) corev1.Container {
	return corev1.Container{
		Name: "worker", Image: "busybox:1.36", Command: []string{"run", drawText(t)}, Args: []string{drawText(t)}, Env: drawEnv(t),
		WorkingDir: rapid.SampledFrom([]string{"", "/a", "/b"}).Draw(t, "dir"),
	}
}

func TestWhatIsTakenIsWhatTheKubeletWouldRun(t *testing.T) {
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		pool := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{drawContainer(t)}}}
		pool.Labels = map[string]string{"l": rapid.SampledFrom([]string{"1", "2"}).Draw(t, "label")}
		job := *pool.DeepCopy()
		if rapid.Bool().Draw(t, "differs much") {
			job.Spec.Containers[0] = drawContainer(t)
		} else if env := job.Spec.Containers[0].Env; len(env) > 0 {
			env[rapid.IntRange(0, len(env)-1).Draw(t, "which")] = corev1.EnvVar{Name: "A", Value: drawText(t)}
		}
		job.Labels = map[string]string{"l": "1"}
		job.Annotations = map[string]string{"a": drawText(t)}
		here := world{
			image:    map[string]string{"PATH": "/bin", "LANG": "C"},
			services: map[string]string{"DB_SERVICE_HOST": "10.0.0.1"}, envFrom: map[string]string{},
			fields: map[string]string{"metadata.name": "pod$(A)", "spec.nodeName": "node"},
		}
		if rapid.Bool().Draw(t, "envFrom") {
			here.envFrom = map[string]string{"FROM": "cm", "B": "cm"}
			here.image = map[string]string{"PATH": "/bin"} // with envFrom, a reference to a variable of the image alone can't be told
			from := []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{}}}
			pool.Spec.Containers[0].EnvFrom, job.Spec.Containers[0].EnvFrom = from, from
		}

		payload, m := Check(Pool{Template: pool, Container: "worker"}, podOf(job))
		if m != nil {
			if !strings.HasPrefix(m.Field, "spec.template.spec.containers[worker].") {
				t.Fatalf("the difference is elsewhere: %+v", m)
			}
			return
		}
		taken++
		runs := here.kubelet(side{pool.Labels, pool.Annotations, pool.Spec.Containers[0]})
		want := here.kubelet(side{job.Labels, job.Annotations, job.Spec.Containers[0]})
		got := entrypoint(runs, payload)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(process{})); diff != "" {
			t.Fatalf("with payload %+v it differs (-cold +warm):\n%s", payload, diff)
		}
	})
	if taken == 0 {
		t.Error("nothing was ever taken")
	}
}

// TestEveryFieldOfAPodIsCompared changes each field that a pod's spec can have, alone, some levels deep, by its type:
// one that a later version of Kubernetes adds is among them.
func TestEveryFieldOfAPodIsCompared(t *testing.T) {
	told := map[string]bool{
		".containers[0].command": true, ".containers[0].command[0]": true, ".containers[0].args": true, ".containers[0].args[0]": true,
		".containers[0].workingDir": true, ".containers[0].env": true, ".containers[0].env[0].name": true,
		".containers[0].env[0].value": true, ".containers[0].env[1].name": true, ".containers[0].env[1].value": true,
	}
	changes := 0
	pool := template()
	setDefaults(&pool)
	pool.Spec.RestartPolicy = corev1.RestartPolicyNever
	eachField(reflect.ValueOf(&pool.Spec).Elem(), "", func(path string) {
		job := *pool.DeepCopy()
		if !changeField(reflect.ValueOf(&job.Spec).Elem(), "", path) {
			return
		}
		changes++
		payload, m := Check(Pool{Template: pool, Container: "worker"}, podOf(job))
		same, _ := Check(Pool{Template: pool, Container: "worker"}, podOf(pool))
		if told[path] {
			if m == nil && cmp.Equal(payload, same) {
				t.Errorf("a change of %s is lost", path)
			}
		} else if m == nil {
			t.Errorf("a change of %s isn't named", path)
		}
	})
	if changes < 100 {
		t.Errorf("only %d fields were changed", changes)
	}
}

// eachField calls f with the path of each field, down to the items of lists that are there.
func eachField(v reflect.Value, path string, f func(string)) {
	switch {
	case v.Type() == reflect.TypeFor[resource.Quantity]():
		f(path)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			eachField(v.Field(i), path+"."+name, f)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		eachField(v.Elem(), path, f)
	case v.Kind() == reflect.Slice:
		f(path)
		for i := range v.Len() {
			eachField(v.Index(i), path+"["+strconv.Itoa(i)+"]", f)
		}
	default:
		f(path)
	}
}

// changeField changes the field of a path; false if there is nothing that could be changed.
func changeField(v reflect.Value, at, path string) bool {
	if at == path {
		return alter(v)
	}
	switch {
	case !strings.HasPrefix(path, at):
		return false
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return changeField(v.Elem(), at, path)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if changeField(v.Index(i), at+"["+strconv.Itoa(i)+"]", path) {
				return true
			}
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if changeField(v.Field(i), at+"."+name, path) {
				return true
			}
		}
	}
	return false
}

func alter(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Pointer:
		if !v.IsNil() {
			return alter(v.Elem())
		}
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		m.SetMapIndex(reflect.ValueOf("x").Convert(v.Type().Key()), reflect.New(v.Type().Elem()).Elem())
		v.Set(m)
	default:
		return false
	}
	return true
}
