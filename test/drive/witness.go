// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/paia-tech/hotstandbyjob/lab"
)

// Stamp is what a launched command says of itself: see lab/cmd/stamp.
type Stamp struct {
	Started int64     `json:"started"` // Unix time in nanoseconds
	Pod     types.UID `json:"pod"`
	Words   []string  `json:"words"`
}

// Stamped is a container whose command says when it began, as a Stamp.
func Stamped(args ...string) corev1.Container {
	return corev1.Container{
		Name: "worker", Image: lab.WorkerImage, ImagePullPolicy: corev1.PullIfNotPresent,
		Command: []string{"/stamp"}, Args: args,
		Env: []corev1.EnvVar{{Name: "POD_UID", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.uid"}}}},
	}
}

// At is when the command began.
func (s Stamp) At() time.Time { return time.Unix(0, s.Started) }

// Witness hears the stamps of commands, on this machine and in no object of the cluster.
type Witness struct {
	// Address is where commands find it, from inside of pods.
	Address string

	listen net.Listener
	wait   sync.WaitGroup
	heard  func(Stamp)

	mu     sync.Mutex
	stamps []Stamp
}

// Listen begins to listen on a host's address. Heard is told of each stamp, before the command goes on; it may be nil.
func Listen(ctx context.Context, host string, heard func(Stamp)) (*Witness, error) {
	var config net.ListenConfig
	listen, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for stamps: %w", err)
	}
	w := &Witness{Address: listen.Addr().String(), listen: listen, heard: heard}
	w.wait.Go(func() {
		for {
			connection, err := listen.Accept()
			if err != nil {
				return
			}
			w.wait.Go(func() { w.hear(connection) })
		}
	})
	return w, nil
}

// Close ends it, and returns when nobody is heard any more.
func (w *Witness) Close() {
	_ = w.listen.Close()
	w.wait.Wait()
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
	if w.heard != nil {
		w.heard(s)
	}
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
