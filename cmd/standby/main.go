// SPDX-License-Identifier: Apache-2.0

// Command standby is put in front of a container's command, and awaits a launch in its place.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/paia-tech/hotstandbyjob/internal/entrypoint"
)

const usage = `usage: standby install DIR         copy this program to DIR/standby
       standby run [flags] [-- command]
       standby ready [flags]       succeed if the warm-up is done`

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "standby:", err)
	}
	os.Exit(code)
}

func run(args []string) (int, error) {
	if len(args) == 0 {
		return 2, errors.New(usage)
	}
	c := entrypoint.DefaultConfig()
	flags := flag.NewFlagSet("standby "+args[0], flag.ContinueOnError)
	c.Bind(flags)
	if err := flags.Parse(args[1:]); err != nil {
		return 2, nil //nolint:nilerr // the flag package has said what is wrong, and what is right
	}
	switch args[0] {
	case "install":
		if flags.NArg() != 1 {
			return 2, errors.New(usage)
		}
		return failed(entrypoint.Install(flags.Arg(0)))
	case "ready":
		return failed(entrypoint.Ready(c))
	case "run":
		c.Command = flags.Args()
		return entrypoint.Run(context.Background(), c, entrypoint.Deps{
			Now:     time.Now,
			Random:  rand.Float64,
			Log:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
			Environ: os.Environ(),
		})
	default:
		return 2, errors.New(usage)
	}
}

func failed(err error) (int, error) {
	if err != nil {
		return 1, err
	}
	return 0, nil
}
