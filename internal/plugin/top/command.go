// SPDX-License-Identifier: Apache-2.0

package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

const pageTime = 5 * time.Second

const long = `Show what all pools do, live.

The counts are those of the objects. Launches, latencies, the hit ratio and the cost of idle pods come from the operator's
page; where it can't be reached they are "-", and a line says why. P50, P99 and HITS are of the last hour, RATE/S of the last minute,
COST counts since the operator leads.

Keys: q ends, s or the arrows change the order.`

// options are what the user asks for.
type options struct {
	page   page.Options
	pool   string
	all    bool
	once   bool
	by     string
	output string
}

// Command is kubectl hsj top.
func Command(cli *cluster.CLI) *cobra.Command {
	o := options{}
	cmd := &cobra.Command{
		Use:               "top [POOL]",
		Short:             "Show what pools do, live",
		Long:              long,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cli.CompletePool(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.pool = args[0]
			}
			if err := o.validate(); err != nil {
				return err
			}
			k, err := cli.Connect()
			if err != nil {
				return err
			}
			screen, live := cli.Out.(*os.File)
			if o.once || o.output != "" || !live || !term.IsTerminal(int(screen.Fd())) {
				return once(cmd.Context(), cli, k, o)
			}
			return show(cmd.Context(), cli, k, o, screen)
		},
	}
	o.page.Bind(cmd.Flags())
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "pools of all namespaces")
	f.BoolVar(&o.once, "once", false, "show them once, as when the output isn't a terminal")
	f.StringVar(&o.by, "sort-by", "pool", "column: "+strings.Join(sortNames(), ", "))
	f.StringVarP(&o.output, "output", "o", "", "json, yaml, wide or name; shown once")
	_ = cmd.RegisterFlagCompletionFunc("sort-by", cobra.FixedCompletions(sortNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	return cmd
}

func (o *options) validate() error {
	if !slices.Contains(sortNames(), o.by) {
		return fmt.Errorf("--sort-by %q: want one of %s", o.by, strings.Join(sortNames(), ", "))
	}
	if !slices.Contains([]string{"", "json", "yaml", "wide", "name"}, o.output) {
		return fmt.Errorf("-o %q: want json, yaml, wide or name", o.output)
	}
	if o.all && o.pool != "" {
		return errors.New("-A and the name of a pool don't go together")
	}
	return nil
}

func (o *options) namespace(k *cluster.Cluster) string {
	if o.all {
		return ""
	}
	return k.Namespace
}

// once shows the pools as they are now.
func once(ctx context.Context, cli *cluster.CLI, k *cluster.Cluster, o options) error {
	s, err := list(ctx, k, o)
	if err != nil {
		return err
	}
	s.now = cli.Clock.Now()
	known, why := ask(ctx, opener(cli, k, o), o.namespace(k))
	if err := write(cli.Out, sorted(s.rows(known), o.by), o); err != nil {
		return err
	}
	if why != nil {
		_, _ = fmt.Fprintln(cli.ErrOut, note(why))
	}
	return nil
}

func note(why error) string {
	return "note: without launches (-): " + strings.ReplaceAll(why.Error(), "\n", " ")
}

func write(w io.Writer, list []Row, o options) error {
	if o.output == "json" || o.output == "yaml" {
		return cluster.Encode(w, o.output, list)
	}
	lines := render(list, view{namespaces: o.all, wide: o.output == "wide"})
	if o.output == "name" {
		lines = nil
		for _, r := range list {
			lines = append(lines, "hotstandbyjob.apps.paia.tech/"+r.Name)
		}
	} else if len(list) == 0 {
		lines = []string{"no pools"}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// opener opens the page once, and again after it failed.
func opener(cli *cluster.CLI, k *cluster.Cluster, o options) func(context.Context) (*page.Page, error) {
	var p *page.Page
	return func(ctx context.Context) (*page.Page, error) {
		if p != nil {
			return p, nil
		}
		opened, err := page.Open(ctx, k, o.page, cli.Clock)
		if err == nil {
			p = opened
		}
		return opened, err
	}
}

func ask(ctx context.Context, open func(context.Context) (*page.Page, error), namespace string) (*page.Pools, error) {
	ctx, stop := context.WithTimeout(ctx, pageTime)
	defer stop()
	p, err := open(ctx)
	if err != nil {
		return nil, err
	}
	known, err := p.Pools(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return known, nil
}
