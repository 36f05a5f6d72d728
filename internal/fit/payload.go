// SPDX-License-Identifier: Apache-2.0

package fit

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// side is the target container on one side, with the metadata that its env may come from.
type side struct {
	labels, annotations map[string]string
	container           corev1.Container
}

// metadata is the value of env that comes from a label or an annotation, and whether it does: then it is known.
func (s side) metadata(from *corev1.EnvVarSource) (string, bool) {
	if from == nil || from.FieldRef == nil {
		return "", false
	}
	kind, key, ok := metadataRef(from.FieldRef.FieldPath)
	if kind == "metadata.labels" {
		return s.labels[key], ok
	}
	return s.annotations[key], ok
}

// payloadFor is what a container must be told to become another that differs from it in what can be told.
func payloadFor(have, want side, links bool) (protocol.Payload, *Mismatch) {
	path := specPath + ".containers[" + want.container.Name + "]"
	h, w := have.container, want.container
	p := protocol.Payload{Command: w.Command, Args: w.Args}
	if len(w.Command) == 0 {
		p.Command = h.Command
	}
	if len(w.Command) == 0 && len(w.Args) == 0 {
		p.Args = h.Args
	}
	if len(p.Command) == 0 {
		return p, &Mismatch{Field: path + ".command", Pool: notSet, Job: notSet}
	}
	if w.WorkingDir == "" && h.WorkingDir != "" { // where the image would run it isn't known
		return p, &Mismatch{Field: path + ".workingDir", Pool: short(h.WorkingDir), Job: notSet}
	}
	if w.WorkingDir != h.WorkingDir {
		p.WorkingDir = w.WorkingDir
	}
	e := environment{path: path + ".env", have: have.entries(), want: want.entries(), from: len(w.EnvFrom) > 0, links: links}
	var m *Mismatch
	if p.Env, p.UnsetEnv, m = e.told(); m != nil {
		return p, m
	}
	p.Command, p.Args = e.all(p.Command), e.all(p.Args)
	return p, nil
}

// entry is an item of a container's env.
type entry struct {
	name, value string
	from        *corev1.EnvVarSource
	known       bool // value is what it will be, but for references to other variables; otherwise it is known to the pod alone
}

func (s side) entries() []entry {
	var out []entry
	for _, v := range s.container.Env {
		e := entry{name: v.Name, value: v.Value, from: v.ValueFrom, known: v.ValueFrom == nil}
		if value, ok := s.metadata(v.ValueFrom); ok {
			e.value, e.known = value, true
		}
		out = append(out, e)
	}
	return out
}

func (e entry) equal(o entry) bool {
	return e.name == o.name && e.value == o.value && equality.Semantic.DeepEqual(e.from, o.from)
}

// shown is where a value comes from or, if from nowhere else, the value.
func (e entry) shown() string {
	if e.from != nil {
		return "valueFrom " + shown(e.from)
	}
	return short(e.value)
}
