// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"bufio"
	"encoding/json"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Stamp is what a launched command says of itself as its first act: see lab/cmd/stamp.
type Stamp struct {
	Started int64     `json:"started"` // Unix time in nanoseconds
	Pod     types.UID `json:"pod"`
	Words   []string  `json:"words"`
}

// At is when the command began.
func (s Stamp) At() time.Time { return time.Unix(0, s.Started) }

// Witness hears the stamps of all commands that run in a namespace, on this machine and in no object of the cluster.
type Witness struct {
	// Address is where commands find it, from inside of pods.
	Address string

	mu     sync.Mutex
	stamps []Stamp
}

// Witness begins to listen. It stops when the test ends.
func (e *Env) Witness() *Witness {
	e.T.Helper()
	var config net.ListenConfig
	listen, err := config.Listen(e.T.Context(), "tcp", net.JoinHostPort(e.HostIP(), "0"))
	if err != nil {
		e.T.Fatal(err)
	}
	w := &Witness{Address: listen.Addr().String()}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			connection, err := listen.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { w.hear(connection) })
		}
	})
	e.T.Cleanup(func() {
		_ = listen.Close()
		wait.Wait()
	})
	return w
}

// hear takes one stamp, and says that it was taken.
func (w *Witness) hear(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return
	}
	var s Stamp
	if json.NewDecoder(strings.NewReader(line)).Decode(&s) != nil {
		return
	}
	w.mu.Lock()
	w.stamps = append(w.stamps, s)
	w.mu.Unlock()
	_, _ = connection.Write([]byte{'\n'})
}

// Stamps are those of the commands that were given this as their first word; of all commands if it is empty.
func (w *Witness) Stamps(word string) []Stamp {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []Stamp
	for _, s := range w.stamps {
		if word == "" || len(s.Words) > 0 && s.Words[0] == word {
			found = append(found, s)
		}
	}
	return found
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
