// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/internal/access"
)

// failure is what is answered instead: what is wrong, and the remedy.
type failure struct {
	Error string `json:"error"`
}

// api makes a handler of what answers a query of somebody who may list pools.
func (h *Handler) api(find func(context.Context, query) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case h.turns <- struct{}{}:
			defer func() { <-h.turns }()
		default:
			w.Header().Set("Retry-After", "1")
			h.answer(w, r, http.StatusTooManyRequests, failure{"too many requests are under way: try again in a second"})
			return
		}
		q, err := parse(r.URL.Query())
		if q.namespace == "" {
			q.namespace = h.Namespace
		}
		if err == nil {
			err = h.admit(r, q.namespace)
		}
		var found any
		if err == nil {
			found, err = find(r.Context(), q)
		}
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		h.answer(w, r, http.StatusOK, found)
	}
}

// admit says whether who asks may list the pools of a namespace, or of all.
func (h *Handler) admit(r *http.Request, namespace string) error {
	token, err := access.Bearer(r.Header)
	if err != nil {
		return err
	}
	caller, err := h.Reviewer.Client(r.Context(), token)
	if err != nil {
		return err
	}
	return h.Reviewer.Allow(r.Context(), caller, access.Attributes{
		Verb: "list", Group: v1alpha1.GroupName, Version: v1alpha1.SchemeGroupVersion.Version, Resource: "hotstandbyjobs", Namespace: namespace,
	})
}

// refuse answers an error.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *access.Refusal
	code, text := http.StatusServiceUnavailable, err.Error()+": try again"
	switch {
	case errors.Is(err, errBad):
		code, text = http.StatusBadRequest, err.Error()
	case errors.As(err, &refusal) && refusal.Kind == access.Unauthenticated:
		w.Header().Set("WWW-Authenticate", "Bearer")
		code, text = http.StatusUnauthorized, err.Error()+": kubectl create token <serviceaccount> prints one"
	case errors.As(err, &refusal) && refusal.Kind == access.Forbidden:
		code, text = http.StatusForbidden, err.Error()+": ask for a namespace in which that is allowed, or for the role view there"
	case refusal == nil:
		h.Log.Error("answer a request of the page", "path", r.URL.Path, "err", err)
	}
	h.answer(w, r, code, failure{text})
}

// worthwhile is from how many bytes on an answer is compressed.
const worthwhile = 1400

// answer writes JSON. Nobody keeps it.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, code int, what any) {
	body, err := json.Marshal(what)
	if err != nil { // no value that can be shown can't be written
		h.Log.Error("write an answer", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Add("Vary", "Accept-Encoding")
	if len(body) >= worthwhile && takesGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		body = zipped(body, gzip.BestSpeed)
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // whoever asked may have gone away
}

// takesGzip says whether the answer may be compressed.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			return strings.TrimLeft(weight, " q=0.") != "" || weight == ""
		}
	}
	return false
}

// zipped compresses in memory, where nothing can fail.
func zipped(text []byte, level int) []byte {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = z.Write(text)
	_ = z.Close()
	return out.Bytes()
}
