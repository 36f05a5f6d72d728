// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/google/pprof/driver"
)

// flames draws a profile as pprof's own page does, which has all that it needs in it.
func flames(ctx context.Context, path string) (page []byte, err error) {
	err = driver.PProf(&driver.Options{
		Flagset: &arguments{FlagSet: flag.NewFlagSet("pprof", flag.ContinueOnError), words: []string{"-http=localhost:0", "-no_browser", "-symbolize=none", path}},
		UI:      silent{},
		// Instead of serving pages to a browser one is asked for.
		HTTPServer: func(server *driver.HTTPServerArgs) error {
			request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/flamegraph", http.NoBody)
			request.RemoteAddr = "127.0.0.1:1"
			response := httptest.NewRecorder()
			server.Handlers["/flamegraph"].ServeHTTP(response, request)
			if response.Code != http.StatusOK {
				return fmt.Errorf("the flame graph's page: %d %s", response.Code, response.Body)
			}
			page = response.Body.Bytes()
			return nil
		},
	})
	return page, err
}

// arguments are a command line, as the driver wants it.
type arguments struct {
	*flag.FlagSet
	words []string
}

// StringList defines a flag that can be given several times.
func (a *arguments) StringList(name, value, usage string) *[]*string {
	return &[]*string{a.String(name, value, usage)}
}

// ExtraUsage is text for a help that nobody asks for.
func (a *arguments) ExtraUsage() string { return "" }

// AddExtraUsage takes such text.
func (a *arguments) AddExtraUsage(string) {}

// Parse returns the arguments that are no flags.
func (a *arguments) Parse(usage func()) []string {
	a.SetOutput(io.Discard)
	a.Usage = usage
	if err := a.FlagSet.Parse(a.words); err != nil {
		return nil // which the driver takes for a mistake, and says so
	}
	return a.Args()
}

// silent is a terminal with nobody in front of it.
type silent struct{}

// ReadLine has nothing to read.
func (silent) ReadLine(string) (string, error) { return "", io.EOF }

// Print is for somebody who looks.
func (silent) Print(...any) {}

// PrintErr too: what fails is returned as well.
func (silent) PrintErr(...any) {}

// IsTerminal says that there is none.
func (silent) IsTerminal() bool { return false }

// WantBrowser says that no browser shall be started.
func (silent) WantBrowser() bool { return false }

// SetAutoComplete has nothing to complete.
func (silent) SetAutoComplete(func(string) string) {}
