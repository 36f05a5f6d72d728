// SPDX-License-Identifier: Apache-2.0

package fit

import (
	"regexp"
	"slices"
	"strings"

	"github.com/paia-tech/hotstandbyjob/internal/protocol"
)

// environment turns one container's env into another's. What a container's env is follows from its entries in order: a
// later one replaces an earlier one of the same name, and $(NAME) in a literal stands for an earlier one, or for one from
// envFrom or of a Service; otherwise it stays as it is.
type environment struct {
	path       string
	have, want []entry
	from       bool // there is an envFrom: other names than those of the entries may be set
	links      bool // there are variables for Services
}

// serviceVariable matches names of variables that the kubelet sets for Services.
var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?)$`)

// fromRuntime are variables that any container has from its image or runtime where its env doesn't set them. What they
// would be isn't known to one whose env does. Others that an image may set aren't known at all: where the pool's template
// hides one that the Job's doesn't, it is unset.
func fromRuntime() []string { return []string{"PATH", "HOME", "HOSTNAME", "TERM"} }

// told is what the running container must be told: all literals, in the Job's order, so that references among them are
// right, and what to unset.
func (e environment) told() (set []protocol.EnvVar, unset []string, _ *Mismatch) {
	if slices.EqualFunc(e.have, e.want, entry.equal) {
		return nil, nil, nil
	}
	if m := e.ambiguous(); m != nil {
		return nil, nil, m
	}
	for i, w := range e.want {
		if !e.takes(w) {
			return nil, nil, e.mismatch(w.name)
		}
		switch {
		case !w.known:
			continue
		case w.from != nil:
			set = append(set, protocol.EnvVar{Name: w.name, Value: escapeAll(w.value)})
		case e.refersAhead(i):
			return nil, nil, e.mismatch(w.name)
		default:
			set = append(set, protocol.EnvVar{Name: w.name, Value: e.escape(w.value)})
		}
	}
	unset, m := e.surplus()
	return set, unset, m
}

// surplus is what the pool sets and the Job doesn't.
func (e environment) surplus() (unset []string, _ *Mismatch) {
	for _, h := range e.have {
		if _, ok := last(e.want, h.name); ok || slices.Contains(unset, h.name) {
			continue
		}
		if e.from || e.serviceMay(h.name) || slices.Contains(fromRuntime(), h.name) { // without the pool's value there would be another
			return nil, e.mismatch(h.name)
		}
		unset = append(unset, h.name)
	}
	return unset, nil
}

// takes tells whether the running container can have an entry of the Job: a literal, or what it has already.
func (e environment) takes(w entry) bool {
	h, ok := last(e.have, w.name)
	if w.known {
		return !ok || h.known
	}
	return ok && !h.known && h.equal(w)
}

// ambiguous finds a name that comes twice, not always as a literal: which of them the running container has from where
// can't be told from outside.
func (e environment) ambiguous() *Mismatch {
	for _, list := range [][]entry{e.have, e.want} {
		for i, a := range list {
			for _, b := range list[i+1:] {
				if a.name == b.name && (!a.known || !b.known) {
					return e.mismatch(a.name)
				}
			}
		}
	}
	return nil
}

// refersAhead tells whether a literal refers to a name that is set by it or after it, and not before: Kubernetes leaves
// such a reference as it is, unless the name has another source, whereas the running container may know it.
func (e environment) refersAhead(i int) bool {
	return slices.ContainsFunc(references(e.want[i].value), func(name string) bool {
		_, before := last(e.want[:i], name)
		_, ahead := last(e.want[i:], name)
		return ahead && !before
	})
}

// escape protects references that Kubernetes wouldn't resolve: the running container may have a variable of that name
// from its image, which they don't mean.
func (e environment) escape(text string) string {
	return rewrite(text, func(name string) string {
		_, set := last(e.want, name)
		if set || e.from || e.serviceMay(name) {
			return "$(" + name + ")"
		}
		return "$$(" + escapeAll(name) + ")"
	})
}

// serviceMay tells whether a name may be a Service's variable. Those of the API server are there in any case.
func (e environment) serviceMay(name string) bool {
	return serviceVariable.MatchString(name) && (e.links || strings.HasPrefix(name, "KUBERNETES_"))
}

func (e environment) all(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, e.escape(t))
	}
	return out
}

func (e environment) mismatch(name string) *Mismatch {
	m := &Mismatch{Field: e.path + "[" + name + "]", Pool: notSet, Job: notSet}
	if h, ok := last(e.have, name); ok {
		m.Pool = h.shown()
	}
	if w, ok := last(e.want, name); ok {
		m.Job = w.shown()
	}
	return m
}

// last is the entry of a name that counts.
func last(list []entry, name string) (entry, bool) {
	for _, e := range slices.Backward(list) {
		if e.name == name {
			return e, true
		}
	}
	return entry{}, false
}

// escapeAll makes a text one that stands for itself.
func escapeAll(text string) string { return strings.ReplaceAll(text, "$", "$$") }

// references lists the names that a text refers to.
func references(text string) []string {
	var names []string
	rewrite(text, func(name string) string {
		names = append(names, name)
		return ""
	})
	return names
}

// rewrite replaces the references $(NAME) in a text, as Kubernetes reads them: $$ is an escaped $.
func rewrite(text string, with func(name string) string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		if strings.HasPrefix(rest, "$") {
			out.WriteString("$$")
			text = rest[1:]
			continue
		}
		name, after, closed := strings.Cut(strings.TrimPrefix(rest, "("), ")")
		if !strings.HasPrefix(rest, "(") || !closed {
			out.WriteByte('$')
			text = rest
			continue
		}
		out.WriteString(with(name))
		text = after
	}
}
