// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"k8s.io/utils/clock"
)

// program serves this program's own profiles, but for those that it shall not have.
func program(t *testing.T, missing ...string) (url string, asked chan string) {
	t.Helper()
	asked = make(chan string, 100)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/profile", func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = "seconds=1" // the shortest there is
		pprof.Profile(w, r)
		asked <- "profile"
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(missing, filepath.Base(r.URL.Path)) {
			http.NotFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/debug/pprof/", asked
}

func TestProfilesAreWrittenAndDrawn(t *testing.T) {
	url, asked := program(t)
	r := &Recorder{Folder: filepath.Join(t.TempDir(), "profiles"), Clock: clock.RealClock{}}
	finish := r.Record(t.Context(), "launch", url)
	<-asked // one slice is over, and the next one begins
	if err := finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"launch-cpu.html", "launch-allocs.html", "launch-heap.html", "launch-mutex.html", "launch-block.html"}
	if got := r.Flames(); !slices.Equal(got, want) {
		t.Errorf("the flame graphs are %v, want %v", got, want)
	}
	for _, name := range want {
		page, err := os.ReadFile(filepath.Join(r.Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		// The page's own words, and nothing that it would have to fetch.
		if text := string(page); !strings.Contains(text, "stackViewer(") || strings.Contains(text, `src="http`) {
			t.Errorf("%s is no flame graph that stands alone", name)
		}
		file, err := os.Open(filepath.Join(r.Folder, strings.TrimSuffix(name, ".html")+".pb.gz"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := profile.Parse(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if name == "launch-allocs.html" && len(p.Sample) == 0 {
			t.Error("nothing was allocated")
		}
		_ = file.Close()
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	url, _ := program(t, "profile", "mutex")
	r := &Recorder{Folder: t.TempDir(), Clock: clock.RealClock{}}
	err := r.Record(t.Context(), "burst", url)(t.Context())
	for _, what := range []string{"processor time", "mutex: 404"} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("the error %v doesn't say %q", err, what)
		}
	}
	if got, want := r.Flames(), []string{"burst-allocs.html", "burst-heap.html", "burst-block.html"}; !slices.Equal(got, want) {
		t.Errorf("the flame graphs are %v, want %v", got, want)
	}
}
