// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"time"
)

// Config is what the entrypoint is told.
type Config struct {
	GatewayURL    string // https://host:port; empty: launches come by the file alone
	LaunchDir     string // the projected volume with token, payload and gateway-ca.crt
	RunDir        string // where the file that tells that the warm-up is done is created
	Warmup        []string
	WarmupTimeout time.Duration
	Socket        string   // where the workload reports what it does; empty: nowhere
	Pull          bool     // run Command at once and await no launch
	Command       []string // what Pull runs

	// PingInterval and PingTimeout bound together for how long a dead connection is taken for a live one.
	PingInterval, PingTimeout time.Duration
	// TerminationLog is what the kubelet reads a container's last words from.
	TerminationLog string
}

// DefaultConfig is the configuration of an entrypoint that is told nothing.
func DefaultConfig() Config {
	return Config{
		LaunchDir:      "/.hsj/launch",
		RunDir:         "/.hsj/run",
		WarmupTimeout:  300 * time.Second,
		PingInterval:   20 * time.Second,
		PingTimeout:    10 * time.Second,
		TerminationLog: "/dev/termination-log",
	}
}

// Bind makes the configuration's fields flags.
func (c *Config) Bind(f *flag.FlagSet) {
	f.StringVar(&c.GatewayURL, "gateway-url", c.GatewayURL, "where launches come from, https://host:port (default: only from the file payload)")
	f.StringVar(&c.LaunchDir, "launch-dir", c.LaunchDir, "directory of the files token, payload and gateway-ca.crt")
	f.StringVar(&c.RunDir, "run-dir", c.RunDir, "directory of the file that tells that the warm-up is done")
	f.Func("warmup", "command that is run first, as a JSON array (default: none)", func(text string) error {
		return json.Unmarshal([]byte(text), &c.Warmup)
	})
	f.DurationVar(&c.WarmupTimeout, "warmup-timeout", c.WarmupTimeout, "how long the warm-up may take")
	f.StringVar(&c.Socket, "socket", c.Socket, "Unix socket on which the workload says that it is busy or idle (default: none)")
	f.BoolVar(&c.Pull, "pull", c.Pull, "run the command that follows -- at once, and await no launch")
}

// Validate says what is wrong, all of it at once.
func (c *Config) Validate() error {
	var faults []error
	if c.GatewayURL != "" {
		if u, err := url.Parse(c.GatewayURL); err != nil || u.Scheme != "https" || u.Host == "" {
			faults = append(faults, fmt.Errorf("--gateway-url is %q: it must be https://host:port", c.GatewayURL))
		}
	}
	if c.Warmup != nil && (len(c.Warmup) == 0 || c.Warmup[0] == "") {
		faults = append(faults, errors.New("--warmup is empty: it must name a command"))
	}
	if c.WarmupTimeout <= 0 {
		faults = append(faults, fmt.Errorf("--warmup-timeout is %s: it must be above 0", c.WarmupTimeout))
	}
	return errors.Join(append(faults, c.validateCommand())...)
}

// validateCommand says what is wrong with the command, and what doesn't go with it.
func (c *Config) validateCommand() error {
	switch {
	case c.Pull && (len(c.Command) == 0 || c.Command[0] == ""):
		return errors.New("--pull needs a command after --")
	case c.Pull && c.Warmup != nil:
		return errors.New("--warmup is for pods that await a launch: it can't be had with --pull")
	case !c.Pull && len(c.Command) > 0:
		return fmt.Errorf("%q: a command is given with --pull only", c.Command)
	case !c.Pull && c.Socket != "":
		return errors.New("--socket is for --pull only")
	}
	return nil
}
