// SPDX-License-Identifier: Apache-2.0

// Package profile takes the profiles of a Go program while it is measured: where its processor time goes, what it allocates, and
// what waits for locks. Each is written as pprof reads it, and as a flame graph, a page that needs nothing else.
package profile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"k8s.io/utils/clock"
)

const (
	// sliceSeconds is how long one profile of the processor time lasts. There is one after the other, since it isn't known
	// when the program will have done what is measured.
	sliceSeconds = 2
	// pause is how long to wait when the program gave no profile: it may be starting again.
	pause = time.Second
)

// kinds are the profiles that tell of all the time since a program started.
func kinds() []string { return []string{"allocs", "heap", "mutex", "block"} }

// Recorder writes the profiles of programs to a folder.
type Recorder struct {
	Folder string
	Clock  clock.Clock

	written []string
}

// Flames are the pages that were written, by their path in the folder.
func (r *Recorder) Flames() []string { return r.written }

// Record takes the profiles of a program, whose /debug/pprof/ is at a URL, until the returned function is called, which writes
// them under a name.
func (r *Recorder) Record(ctx context.Context, name, url string) (finish func(context.Context) error) {
	var (
		slices []*profile.Profile
		wait   sync.WaitGroup
	)
	over := make(chan struct{})
	wait.Go(func() {
		for {
			slice, err := fetch(ctx, fmt.Sprintf("%sprofile?seconds=%d", url, sliceSeconds))
			rest := time.Duration(0)
			if err == nil {
				slices = append(slices, slice)
			} else {
				rest = pause
			}
			timer := r.Clock.NewTimer(rest)
			select {
			case <-over:
				timer.Stop()
				return
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C():
			}
		}
	})
	return func(ctx context.Context) error {
		close(over)
		wait.Wait()
		return r.finish(ctx, name, url, slices)
	}
}

func (r *Recorder) finish(ctx context.Context, name, url string, slices []*profile.Profile) error {
	if err := os.MkdirAll(r.Folder, 0o755); err != nil {
		return fmt.Errorf("make the folder for profiles: %w", err)
	}
	var faults []error
	if cpu, err := profile.Merge(slices); err == nil {
		faults = append(faults, r.write(ctx, name+"-cpu", cpu))
	} else {
		faults = append(faults, fmt.Errorf("put the profiles of the processor time together: %w", err))
	}
	for _, kind := range kinds() {
		p, err := fetch(ctx, url+kind)
		if err == nil {
			err = r.write(ctx, name+"-"+kind, p)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// write writes a profile and its flame graph.
func (r *Recorder) write(ctx context.Context, name string, p *profile.Profile) error {
	path := filepath.Join(r.Folder, name+".pb.gz")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write profile %s: %w", name, err)
	}
	if err := errors.Join(p.Write(file), file.Close()); err != nil {
		return fmt.Errorf("write profile %s: %w", name, err)
	}
	page, err := flames(ctx, path)
	if err != nil {
		return fmt.Errorf("draw profile %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(r.Folder, name+".html"), page, 0o644); err != nil { //nolint:gosec // everybody may read it
		return fmt.Errorf("write the flame graph of %s: %w", name, err)
	}
	r.written = append(r.written, name+".html")
	return nil
}

// fetch reads a profile from a program.
func fetch(ctx context.Context, url string) (*profile.Profile, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, response.Status)
	}
	p, err := profile.Parse(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	return p, nil
}
