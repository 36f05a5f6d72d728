// SPDX-License-Identifier: Apache-2.0

package convert

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

const long = `Print a HotStandbyJob whose pods the Jobs of what you run already would fit into.

Nothing is changed in the cluster, unless --apply is given: then the pool is made. What is to be changed in your own manifest
is one label, shown as a diff on stderr; it is never changed for you.`

const example = `  # Look at it
  kubectl hsj create-pool --from cronjob/report --idle=2

  # Make it
  kubectl hsj create-pool --from job/match-4711 --name=match --idle=20 --max=100 --apply`

// Command is kubectl hsj create-pool.
func Command(cli *cluster.CLI) *cobra.Command {
	o := Options{Idle: 1}
	from := ""
	cmd := &cobra.Command{
		Use:     "create-pool --from job/NAME|cronjob/NAME",
		Short:   "Make a pool's manifest from a Job or CronJob that you run",
		Long:    long,
		Example: example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" {
				return errors.New("--from is needed: job/NAME or cronjob/NAME")
			}
			k, err := cli.Connect()
			if err != nil {
				return err
			}
			return create(cmd.Context(), cli, k, from, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "job/NAME or cronjob/NAME")
	f.StringVar(&o.Name, "name", "", "name of the pool; by default that of what it is made from")
	f.Int32Var(&o.Idle, "idle", o.Idle, "pods that shall be idle")
	f.Int32Var(&o.Max, "max", 0, "most pods, busy and idle together; 0: no limit")
	f.BoolVar(&o.Apply, "apply", false, "make the pool")
	_ = cmd.RegisterFlagCompletionFunc("from", cli.CompleteSource()) // fails for flags that don't exist only
	return cmd
}

func create(ctx context.Context, cli *cluster.CLI, k *cluster.Cluster, from string, o Options) error {
	s, err := read(ctx, k, from)
	if err != nil {
		return err
	}
	if o.Name == "" {
		o.Name = s.name
	}
	o.Template = s.spec.Template
	h, notes, err := Pool(o)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	h.Namespace = k.Namespace
	manifest, err := text(h)
	if err != nil {
		return err
	}
	if note := unset(s.spec); note != "" {
		notes = append(notes, note)
	}
	if err := tell(cli, s, o.Name, notes); err != nil {
		return err
	}
	if !o.Apply {
		_, err = fmt.Fprint(cli.Out, manifest)
		return err
	}
	if _, err := k.CreatePool(ctx, h, false); apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("there is a pool %s already: give another --name, or change it with kubectl edit hsj %s", o.Name, o.Name)
	} else if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cli.Out, "hotstandbyjob.apps.paia.tech/%s created\n", o.Name)
	return err
}

// tell says what isn't taken over, and what to change.
func tell(cli *cluster.CLI, s source, pool string, notes []string) error {
	diff, err := s.change(pool)
	if err != nil {
		return err
	}
	if diff == "" {
		diff = "nothing: it has the label\n"
	}
	for _, note := range notes {
		_, _ = fmt.Fprintln(cli.ErrOut, "note:", note)
	}
	_, _ = fmt.Fprintf(cli.ErrOut, "what to change in your own manifest:\n%s", diff)
	return nil
}
