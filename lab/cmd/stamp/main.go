// SPDX-License-Identifier: Apache-2.0

// Command stamp says when it began, which its first instructions have taken note of: a line of JSON on stdout and, with -to, on a
// TCP connection, with the words that it was given. Then it works for a while and ends with a code. Launches are timed
// with it, and it is the witness that each ran, and once.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

// Stamp is what it writes.
type Stamp struct {
	Started int64    `json:"started"` // Unix time in nanoseconds
	Pod     string   `json:"pod"`     // UID of the pod, from POD_UID
	Words   []string `json:"words"`
}

func main() {
	started := beginning()
	to := flag.String("to", "", "host:port that is told as well")
	work := flag.Duration("work", 0, "how long it works before it ends")
	exit := flag.Int("exit", 0, "the code that it ends with")
	flag.Parse()
	line, err := json.Marshal(Stamp{Started: started.UnixNano(), Pod: os.Getenv("POD_UID"), Words: flag.Args()})
	if err == nil {
		line = append(line, '\n')
		_, err = os.Stdout.Write(line)
	}
	if err == nil && *to != "" {
		err = tell(*to, line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stamp:", err)
		os.Exit(1)
	}
	time.Sleep(*work)
	os.Exit(*exit)
}

// tell returns once the other side has taken the line: what was told is known even if this process is killed then.
func tell(address string, line []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("tell: %w", err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := connection.Write(line); err != nil {
		return fmt.Errorf("tell: %w", err)
	}
	_, err = connection.Read(make([]byte, 1)) // one byte says that it was taken
	if err != nil {
		return fmt.Errorf("tell: %w", err)
	}
	return nil
}
