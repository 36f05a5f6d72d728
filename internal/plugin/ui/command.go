// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
	"github.com/paia-tech/hotstandbyjob/internal/plugin/page"
)

const headerTime = 10 * time.Second

const long = `Open the operator's page in a browser.

The page is served on this machine alone, and reached through the API server as kubectl port-forward does, with the token of the
kubeconfig or of --service-account. It begins with all namespaces that may be seen, or with the one of -n. Whoever can use this
machine's loopback address can read the page while it runs.`

// options are what the user asks for.
type options struct {
	page  page.Options
	port  int
	quiet bool // no browser
}

// Command is kubectl hsj ui.
func Command(cli *cluster.CLI) *cobra.Command {
	o := options{}
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Open the operator's page in a browser",
		Long:  long,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			k, err := cli.Connect()
			if err != nil {
				return err
			}
			p, err := page.Open(ctx, k, o.page, cli.Clock)
			if err != nil {
				return err
			}
			view, err := mayView(ctx, p, k.Namespace, cmd.Flags().Changed("namespace"))
			if err != nil {
				return err
			}
			return o.serve(ctx, cli, p, view)
		},
	}
	o.page.Bind(cmd.Flags())
	cmd.Flags().IntVar(&o.port, "port", 0, "port on this machine; 0: any")
	cmd.Flags().BoolVar(&o.quiet, "no-browser", false, "print the address, and open no browser")
	return cmd
}

// mayView is what the page is to show, as it reads it out of its address: all namespaces, or only this one to whom asked for
// it or may see no more. That nothing may be seen is better said here than by an empty page.
func mayView(ctx context.Context, p *page.Page, namespace string, asked bool) (fragment string, err error) {
	if !asked {
		if _, err := p.Launches(ctx, "", "", "", 1); err == nil {
			return "", nil
		}
	}
	if _, err := p.Launches(ctx, namespace, "", "", 1); err != nil {
		return "", err
	}
	return "#" + url.Values{"namespace": {namespace}}.Encode(), nil
}

// serve serves the page, and opens what it is to show of it, until ctx is done.
func (o options) serve(ctx context.Context, cli *cluster.CLI, p *page.Page, view string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.port)))
	if err != nil {
		return err
	}
	address, _ := listener.Addr().(*net.TCPAddr)
	bound := strconv.Itoa(address.Port)
	errorLog := log.New(cli.ErrOut, "", 0)
	server := &http.Server{
		Handler:           proxy(p, []string{net.JoinHostPort("127.0.0.1", bound), net.JoinHostPort("localhost", bound)}, errorLog),
		ReadHeaderTimeout: headerTime, ErrorLog: errorLog,
	}
	shown := "http://" + net.JoinHostPort("127.0.0.1", bound) + "/" + view
	_, _ = fmt.Fprintf(cli.Out, "%s (Ctrl-C ends it)\n", shown)
	if !o.quiet {
		if err := browse(ctx, shown); err != nil {
			_, _ = fmt.Fprintln(cli.ErrOut, "note: no browser could be opened:", err)
		}
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// browse opens a browser.
func browse(ctx context.Context, url string) error {
	name, args := "xdg-open", []string{url}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	}
	return exec.CommandContext(context.WithoutCancel(ctx), name, args...).Start() //nolint:gosec // the address is ours
}
