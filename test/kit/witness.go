// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"net/url"

	"github.com/paia-tech/hotstandbyjob/test/drive"
)

// Stamp is what a launched command says of itself as its first act: see lab/cmd/stamp.
type Stamp = drive.Stamp

// Witness hears the stamps of all commands that run in a namespace.
type Witness = drive.Witness

// Witness begins to listen. It stops when the test ends.
func (e *Env) Witness() *Witness {
	e.T.Helper()
	w, err := drive.Listen(e.T.Context(), e.HostIP(), nil)
	if err != nil {
		e.T.Fatal(err)
	}
	e.T.Cleanup(w.Close)
	return w
}

// HostIP is this machine's address as pods reach it.
func (e *Env) HostIP() string {
	e.T.Helper()
	server, err := url.Parse(e.Config.Host)
	if err != nil {
		e.T.Fatal(err)
	}
	return server.Hostname()
}
