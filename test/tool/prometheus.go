// SPDX-License-Identifier: Apache-2.0

package tool

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Prometheus is a Prometheus that scrapes something each second.
type Prometheus struct{ url string }

// StartPrometheus starts one that scrapes an address by plain HTTP and has files of rules. It ends with the test, which is
// skipped where there is no Prometheus.
func StartPrometheus(t testing.TB, target string, rules ...string) *Prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("Prometheus is not installed: it is Debian's package prometheus")
	}
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{ // JSON is YAML
		"global": map[string]any{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
		"scrape_configs": []any{map[string]any{
			"job_name": "hotstandbyjob-operator-metrics", "honor_labels": true,
			"static_configs": []any{map[string]any{"targets": []string{target}, "labels": map[string]string{"namespace": "hotstandbyjob-system"}}},
		}},
		"rule_files": rules,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(context.WithoutCancel(t.Context()), program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatalf("start Prometheus: %v", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("log of Prometheus:\n%s", text)
		}
		_ = log.Close()
	})
	return &Prometheus{url: "http://" + address}
}

// freeAddress is one on this machine where nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	listen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listen.Close() }()
	return listen.Addr().String()
}

// Sample is a series with its value now.
type Sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// Query is what a query finds now.
func (p *Prometheus) Query(ctx context.Context, query string) ([]Sample, error) {
	var data struct {
		Result []Sample `json:"result"`
	}
	return data.Result, p.get(ctx, "query", url.Values{"query": {query}}, &data)
}

// Values are those of a label in the series that a selector finds.
func (p *Prometheus) Values(ctx context.Context, selector, label string) (values []string, err error) {
	return values, p.get(ctx, "label/"+label+"/values", url.Values{"match[]": {selector}}, &values)
}

// Rules are the errors of rules, by their names; an empty one for each that works.
func (p *Prometheus) Rules(ctx context.Context) (map[string]string, error) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get(ctx, "rules", nil, &data); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			found[r.Name] = r.LastError
			if r.LastError == "" && r.Health != "ok" {
				found[r.Name] = "its health is " + r.Health
			}
		}
	}
	return found, nil
}

// get asks the API.
func (p *Prometheus) get(ctx context.Context, path string, query url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/"+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("read Prometheus' answer %s: %w", response.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus says: %s", answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}
