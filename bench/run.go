// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/go-logr/logr"
	"github.com/prometheus/procfs"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/paia-tech/hotstandbyjob/bench/internal/cluster"
	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/bench/internal/page"
	"github.com/paia-tech/hotstandbyjob/bench/internal/profile"
	"github.com/paia-tech/hotstandbyjob/bench/internal/result"
	"github.com/paia-tech/hotstandbyjob/bench/internal/scenario"
	"github.com/paia-tech/hotstandbyjob/bench/internal/table"
	"github.com/paia-tech/hotstandbyjob/lab"
)

// The files of a report.
const (
	reportFile  = "report.json"
	samplesFile = "samples.csv.gz"
	pageFile    = "report.html"
	profiles    = "profiles" // a folder
)

// run measures, or compares.
func run(ctx context.Context, o options) error {
	root, err := lab.Checkout()
	if err != nil {
		return err
	}
	o.out, o.baseline = in(root, o.out), in(root, o.baseline)
	if o.compare != "" {
		return compare(os.Stdout, in(root, o.compare), o.baseline)
	}
	if o.readme {
		return writeReadme(ctx, root, o.baseline)
	}
	log.SetLogger(logr.Discard()) // of the client's library: what matters is in its errors
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("make the report's folder: %w", err)
	}
	report := &result.Report{
		Time: clock.RealClock{}.Now().UTC(), Command: append([]string{"bench"}, os.Args[1:]...),
		Machine: machine.Describe(procfs.DefaultMountPoint), Versions: versions(ctx, root),
	}
	measured := measureAll(ctx, o, report)
	if len(report.Scenarios) == 0 {
		return measured
	}
	report.Targets = report.Judge(scenario.Targets())
	// What was measured before something failed is worth keeping.
	return errors.Join(measured, write(o, report))
}

// in is a path below the source tree, where it isn't absolute.
func in(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// measureAll adds to a report what the scenarios come to.
func measureAll(ctx context.Context, o options, report *result.Report) (err error) {
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	recorder := &profile.Recorder{Folder: filepath.Join(o.out, profiles), Clock: clock.RealClock{}}
	defer func() { report.Profiles = recorder.Flames() }()
	l := labs{options: o}
	defer cluster.Finally(ctx, &err, l.close)
	b := scenario.Bench{
		Clock: clock.RealClock{}, Open: l.open(false), OpenDefaults: l.open(true), Runs: o.runs, Seed: o.seed, Record: recorder.Record,
		Say: func(format string, args ...any) { _, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) },
	}
	var failed error
	for _, s := range chosen {
		b.Quick = o.short(s.Name)
		cases, err := s.Run(ctx, b)
		if len(cases) > 0 {
			report.Scenarios = append(report.Scenarios, result.Scenario{Name: s.Name, About: s.About, Cases: cases})
		}
		if err == nil {
			continue
		}
		failed = errors.Join(failed, fmt.Errorf("scenario %s: %w", s.Name, err))
		if ctx.Err() != nil {
			break
		}
		b.Say("%v", err) // the other scenarios may go well, and a whole run takes more than an hour
	}
	return failed
}

// labs are the clusters that scenarios have asked for. There is one at a time: the other would use the machine as well.
type labs struct {
	options  options
	program  string // the operator
	opened   *cluster.Cluster
	defaults bool // opened has the default limits
}

// open returns a cluster for scenarios, the one that there is if it is as it shall be.
func (l *labs) open(defaults bool) func(context.Context) (*cluster.Cluster, error) {
	return func(ctx context.Context) (c *cluster.Cluster, err error) {
		if l.opened != nil && l.defaults == defaults {
			return l.opened, nil
		}
		if err := l.close(ctx); err != nil {
			return nil, err
		}
		if l.program == "" {
			if l.program, err = cluster.BuildOperator(ctx, l.options.out); err != nil {
				return nil, err
			}
		}
		o := cluster.Options{
			Name: l.options.lab, Node: lab.NodeMode(l.options.node), SimNodes: l.options.simNodes, Operator: l.program, Folder: l.options.out,
			Profiles: l.options.profiles, Progress: os.Stdout,
		}
		if defaults {
			o.Name, o.Node, o.DefaultClientLimits = o.Name+"-defaults", lab.None, true
		}
		l.opened, err = cluster.Open(ctx, o)
		l.defaults = defaults
		return l.opened, err
	}
}

func (l *labs) close(ctx context.Context) error {
	if l.opened == nil {
		return nil
	}
	c := l.opened
	l.opened = nil
	return c.Close(ctx)
}

// write writes all files of a report, and says what is in it.
func write(o options, report *result.Report) error {
	baseline, err := result.Read(o.baseline)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err = errors.Join(
		report.Write(filepath.Join(o.out, reportFile)),
		report.WriteSamples(filepath.Join(o.out, samplesFile)),
		page.WriteFile(filepath.Join(o.out, pageFile), report, baseline),
		result.WriteSummary(os.Stdout, report))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "\nThe report is %s, its samples are in %s.\n", filepath.Join(o.out, pageFile), samplesFile)
	return err
}

// compare writes what differs between a report and the baseline.
func compare(to io.Writer, path, baselinePath string) error {
	report, err := result.Read(path)
	if err != nil {
		return err
	}
	baseline, err := result.Read(baselinePath)
	if err != nil {
		return err
	}
	for _, reason := range result.Differ(baseline, report) {
		if _, err := fmt.Fprintf(to, "beware: %s\n", reason); err != nil {
			return err
		}
	}
	return result.WriteDifferences(to, result.Compare(baseline, report))
}

// writeTable puts the table of a report into a document.
func writeTable(path string, report *result.Report) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the document for the table: %w", err)
	}
	text, err := table.Replace(string(document), table.Markdown(report, scenario.Rows()))
	if err != nil {
		return fmt.Errorf("write the table into %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // everybody may read it
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

// writeReadme writes what the README has of a report: a table, and pictures.
func writeReadme(ctx context.Context, root, reportPath string) error {
	report, err := result.Read(reportPath)
	if err != nil {
		return err
	}
	return errors.Join(writeTable(filepath.Join(root, "README.md"), report), drawPictures(ctx, filepath.Join(root, "docs", "img"), report))
}

// versions are those of what runs. A tree that isn't a checkout has no commit.
func versions(ctx context.Context, root string) map[string]string {
	v := map[string]string{"go": runtime.Version(), "kubernetes": lab.KubernetesVersion}
	git := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
	git.Dir = root
	if out, err := git.Output(); err == nil {
		v["commit"] = strings.TrimSpace(string(out))
	}
	return v
}
