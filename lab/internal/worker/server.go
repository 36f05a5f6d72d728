// SPDX-License-Identifier: Apache-2.0

package worker

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// Handler serves what others want to know of the worker, and lets them drive it:
//
//	GET  /busy           200 if busy, 404 otherwise
//	GET  /ready          200 unless starting, 503 then
//	GET  /state          the state as JSON
//	POST /busy, /idle    change the state; answered when it has been told to others
//	POST /exit?code=N    end
func (w *Worker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /busy", func(out http.ResponseWriter, _ *http.Request) {
		answer(out, w.State(), w.State() == Busy, http.StatusNotFound)
	})
	mux.HandleFunc("GET /ready", func(out http.ResponseWriter, _ *http.Request) {
		answer(out, w.State(), w.State() != Starting, http.StatusServiceUnavailable)
	})
	mux.HandleFunc("GET /state", func(out http.ResponseWriter, _ *http.Request) {
		answer(out, w.State(), true, 0)
	})
	mux.HandleFunc("POST /busy", w.become(Busy))
	mux.HandleFunc("POST /idle", w.become(Idle))
	mux.HandleFunc("POST /exit", func(out http.ResponseWriter, r *http.Request) {
		code, err := strconv.ParseUint(r.URL.Query().Get("code"), 10, 8)
		if err != nil {
			http.Error(out, "code must be 0 to 255: /exit?code=N", http.StatusBadRequest)
			return
		}
		if err := w.End(r.Context(), int(code)); err != nil {
			http.Error(out, err.Error(), http.StatusServiceUnavailable)
			return
		}
		answer(out, "ending", true, 0)
	})
	return mux
}

func (w *Worker) become(state State) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		if err := w.Become(r.Context(), state); err != nil {
			http.Error(out, err.Error(), http.StatusServiceUnavailable)
			return
		}
		answer(out, state, true, 0)
	}
}

func answer(out http.ResponseWriter, state State, ok bool, otherwise int) {
	out.Header().Set("Content-Type", "application/json")
	if !ok {
		out.WriteHeader(otherwise)
	}
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(out).Encode(map[string]State{"state": state})
}
