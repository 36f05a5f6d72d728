// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

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
	text, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("count writes: %w", err)
	}
	return writesIn(string(text))
}

var counter = regexp.MustCompile(`(?m)^apiserver_request_total\{(.*)\} (\S+)$`)

// writesIn reads the API server's counters of requests.
func writesIn(text string) (map[string]int, error) {
	counts := map[string]int{}
	for _, match := range counter.FindAllStringSubmatch(text, -1) {
		labels := map[string]string{}
		for pair := range strings.SplitSeq(match[1], ",") {
			key, value, _ := strings.Cut(pair, "=")
			labels[key] = strings.Trim(value, `"`)
		}
		if !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE", "APPLY"}, labels["verb"]) ||
			slices.Contains(Besides(), labels["resource"]) ||
			labels["dry_run"] != "" || !strings.HasPrefix(labels["code"], "2") {
			continue
		}
		n, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			return nil, fmt.Errorf("read the API server's counters: %w", err)
		}
		name := labels["verb"] + " " + labels["resource"]
		if labels["subresource"] != "" {
			name += "/" + labels["subresource"]
		}
		counts[name] += int(n)
	}
	return counts, nil
}
