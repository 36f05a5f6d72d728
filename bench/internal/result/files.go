// SPDX-License-Identifier: Apache-2.0

package result

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// Write writes a report as JSON.
func (r *Report) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil { //nolint:gosec // everybody may read a report
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Read reads a report that Write wrote. Its samples aren't in it.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	r := &Report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	return r, nil
}

// WriteSamples writes all samples as they were taken, as gzipped CSV, so that whoever doubts a percentile can compute it.
func (r *Report) WriteSamples(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	buffer := bufio.NewWriter(file)
	zip := gzip.NewWriter(buffer)
	err = r.samples(zip)
	if err := errors.Join(err, zip.Close(), buffer.Flush(), file.Close()); err != nil {
		return fmt.Errorf("write samples: %w", err)
	}
	return nil
}

func (r *Report) samples(to io.Writer) error {
	w := csv.NewWriter(to)
	_ = w.Write([]string{"scenario", "case", "run", "what", "due_us", "took_us"}) // Error has it
	for _, s := range r.Scenarios {
		for _, c := range s.Cases {
			c.samples(w, s.Name)
		}
	}
	w.Flush()
	return w.Error()
}

func (c Case) samples(w *csv.Writer, scenario string) {
	for i, run := range c.runs {
		all := run.Samples()
		for _, what := range Names(all) {
			for _, s := range all[what] {
				_ = w.Write([]string{
					scenario, c.Name, strconv.Itoa(i + 1), what,
					strconv.FormatInt(s.At.Microseconds(), 10), strconv.FormatInt(s.Took.Microseconds(), 10),
				})
			}
		}
	}
}
