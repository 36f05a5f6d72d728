// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/paia-tech/hotstandbyjob/bench/internal/measure"
	"github.com/paia-tech/hotstandbyjob/bench/internal/page"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/scenario"
)

// drawPictures makes PNGs of what scenarios want to be shown, by a browser: what draws is the page.
func drawPictures(ctx context.Context, folder string, r *result.Report) error {
	for _, s := range scenario.All() {
		cases := r.Cases(s.Name)
		if len(cases) == 0 || len(s.Pictured) == 0 {
			continue
		}
		c := cases[0]
		c.Latencies = maps.Clone(c.Latencies)
		maps.DeleteFunc(c.Latencies, func(name string, _ measure.Latency) bool { return !slices.Contains(s.Pictured, name) })
		if err := draw(ctx, filepath.Join(folder, "bench-"+s.Name+".png"), c); err != nil {
			return fmt.Errorf("draw scenario %s: %w", s.Name, err)
		}
	}
	return nil
}

func draw(ctx context.Context, path string, c result.Case) (err error) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		return fmt.Errorf("it takes the browser Chromium, such as Debian's package chromium: %w", err)
	}
	dir, err := os.MkdirTemp("", "hotstandbyjob-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, err := os.Create(filepath.Join(dir, "picture.html"))
	if err != nil {
		return err
	}
	some, err := page.Picture(file, c)
	if err := errors.Join(err, file.Close()); err != nil || !some {
		return err
	}
	shot := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=960,450", "--force-device-scale-factor=1.5",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--screenshot="+path, "file://"+file.Name())
	if out, err := shot.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
