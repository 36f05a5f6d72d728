// SPDX-License-Identifier: Apache-2.0

package fit

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// maxShown is how many characters of a value people get to see.
const maxShown = 100

// difference is the first field in which two structs differ, in the order in which their type lists them. Lists and maps
// that are empty and ones that aren't there are the same, as they are to the server.
func difference[T any](path string, have, want T) *Mismatch {
	return walk(path, reflect.ValueOf(have), reflect.ValueOf(want))
}

func walk(path string, have, want reflect.Value) *Mismatch {
	if q, ok := reflect.TypeAssert[resource.Quantity](have); ok {
		other, _ := reflect.TypeAssert[resource.Quantity](want)
		if q.Cmp(other) == 0 {
			return nil
		}
		return &Mismatch{Field: path, Pool: q.String(), Job: other.String()}
	}
	switch have.Kind() {
	case reflect.Pointer:
		if have.IsNil() || want.IsNil() {
			return unless(have.IsNil() && want.IsNil(), path, have, want)
		}
		return walk(path, have.Elem(), want.Elem())
	case reflect.Struct:
		return walkStruct(path, have, want)
	case reflect.Slice:
		return walkSlice(path, have, want)
	case reflect.Map:
		return walkMap(path, have, want)
	default:
		return unless(have.Equal(want), path, have, want)
	}
}

func unless(same bool, path string, have, want reflect.Value) *Mismatch {
	if same {
		return nil
	}
	return &Mismatch{Field: path, Pool: shownValue(have), Job: shownValue(want)}
}

func walkStruct(path string, have, want reflect.Value) *Mismatch {
	for i := range have.NumField() {
		tag := have.Type().Field(i).Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		sub := path + "." + name
		if options == "inline" || name == "" {
			sub = path
		}
		if m := walk(sub, have.Field(i), want.Field(i)); m != nil {
			return m
		}
	}
	return nil
}

// walkSlice compares lists item by item. Items that have a name are named by it; one that only one list has is the
// difference, rather than all that come after it.
func walkSlice(path string, have, want reflect.Value) *Mismatch {
	for i := range max(have.Len(), want.Len()) {
		h, w := item(have, i), item(want, i)
		if h.IsValid() && w.IsValid() && label(h, i) == label(w, i) {
			if m := walk(path+"["+label(h, i)+"]", h, w); m != nil {
				return m
			}
			continue
		}
		switch {
		case w.IsValid() && !holds(have, label(w, i)):
			return &Mismatch{Field: path + "[" + label(w, i) + "]", Pool: notSet, Job: shownValue(w)}
		case h.IsValid() && !holds(want, label(h, i)):
			return &Mismatch{Field: path + "[" + label(h, i) + "]", Pool: shownValue(h), Job: notSet}
		default: // another order, or a name that comes twice
			return &Mismatch{Field: path, Pool: shownValue(have), Job: shownValue(want)}
		}
	}
	return nil
}

// item is an item of a list, or no value.
func item(list reflect.Value, i int) reflect.Value {
	if i >= list.Len() {
		return reflect.Value{}
	}
	return list.Index(i)
}

// label is what an item of a list is called: by the field that tells it from others, or else by its place.
func label(v reflect.Value, i int) string {
	if v.Kind() == reflect.Struct {
		for _, name := range []string{"Name", "MountPath", "DevicePath"} {
			if f := v.FieldByName(name); f.IsValid() && f.Kind() == reflect.String && f.String() != "" {
				return f.String()
			}
		}
	}
	return strconv.Itoa(i)
}

// holds tells whether a list has an item of a name.
func holds(list reflect.Value, name string) bool {
	for i := range list.Len() {
		if label(list.Index(i), i) == name {
			return true
		}
	}
	return false
}

func walkMap(path string, have, want reflect.Value) *Mismatch {
	keys := have.MapKeys()
	for _, k := range want.MapKeys() {
		if !have.MapIndex(k).IsValid() {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	for _, k := range keys {
		sub, h, w := path+"["+k.String()+"]", have.MapIndex(k), want.MapIndex(k)
		if !h.IsValid() || !w.IsValid() {
			return &Mismatch{Field: sub, Pool: shownValue(h), Job: shownValue(w)}
		}
		if m := walk(sub, h, w); m != nil {
			return m
		}
	}
	return nil
}

// shown is a value as people read it.
func shown(v any) string { return shownValue(reflect.ValueOf(v)) }

func shownValue(v reflect.Value) string {
	for v.IsValid() && v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if isUnset(v) {
		return notSet
	}
	if v.Kind() == reflect.String {
		return short(v.String())
	}
	text, err := json.Marshal(v.Interface())
	if err != nil { // not with the types of a pod
		return v.Type().String()
	}
	var plain string
	if json.Unmarshal(text, &plain) == nil { // a quantity
		return short(plain)
	}
	return short(string(text))
}

// isUnset tells whether a value says nothing. False and 0 do say something.
func isUnset(v reflect.Value) bool {
	return !v.IsValid() || v.IsZero() && !slices.Contains([]reflect.Kind{reflect.Bool, reflect.Int32, reflect.Int64}, v.Kind())
}

// short cuts a text that is too long to be read in an Event.
func short(s string) string {
	if s == "" {
		return notSet
	}
	if runes := []rune(s); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return s
}
