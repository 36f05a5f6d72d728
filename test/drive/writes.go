// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Besides are resources whose writes aren't those of launches: what leaders and nodes say all the time, and questions that
// are asked by a POST.
func Besides() []string {
	return []string{"leases", "nodes", "tokenreviews", "subjectaccessreviews", "endpointslices", ""}
}

// Writes counts the writes that the API server has carried out, by verb and resource, such as "PATCH pods/status".
func Writes(ctx context.Context, config *rest.Config) (map[string]int, error) {
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("count writes: %w", err)
	}
	text, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("count writes: %w", err)
	}
	defer func() { _ = text.Close() }()
	return writesIn(text)
}

// writesIn reads the API server's counters of requests.
func writesIn(text io.Reader) (map[string]int, error) {
	families, err := Metrics(text)
	if err != nil {
		return nil, fmt.Errorf("read the API server's counters: %w", err)
	}
	counts := map[string]int{}
	for _, m := range families["apiserver_request_total"].GetMetric() {
		label := func(name string) string { return LabelOf(m, name) }
		if !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE", "APPLY"}, label("verb")) ||
			slices.Contains(Besides(), label("resource")) ||
			label("dry_run") != "" || !strings.HasPrefix(label("code"), "2") {
			continue
		}
		name := label("verb") + " " + label("resource")
		if sub := label("subresource"); sub != "" {
			name += "/" + sub
		}
		counts[name] += int(m.GetCounter().GetValue())
	}
	return counts, nil
}

// Metrics reads what a program exposes for Prometheus.
func Metrics(text io.Reader) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	return parser.TextToMetricFamilies(text)
}

// LabelOf is the value of a metric's label, empty if it has no such label.
func LabelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
