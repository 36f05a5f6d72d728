// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"os"
	"strings"

	"github.com/paia-tech/hotstandbyjob/demo/internal/view"
)

// Tour is how to look around in the cluster, and how to get rid of what the demo has left there.
func (c *Cluster) Tour(namespace string) []view.Line {
	var lines []view.Line
	say := func(format string, args ...any) { lines = append(lines, view.Text("  "+fmt.Sprintf(format, args...))) }
	if c.Lab != nil {
		say("export KUBECONFIG=%s", c.Lab.Kubeconfig())
		say("export PATH=%s:$PATH", c.Lab.BinDir())
		if os.Getenv("HTTPS_PROXY") != "" || os.Getenv("https_proxy") != "" {
			say("export NO_PROXY=%s", strings.TrimPrefix(c.Config.Host, "https://"))
		}
	}
	for _, line := range []string{
		"kubectl get hsj -A -w",
		"kubectl describe hsj -n " + namespace + " launch-test",
		"kubectl get pods -A -L hsj.paia.tech/state",
		"kubectl explain hsj.spec.standby",
		"kubectl logs -n " + operatorNamespace + " deploy/" + operatorName + " -f",
		"# more idle pods",
		"kubectl scale hsj -n " + namespace + " launch-test --replicas=6",
		"# a pool with a warm-up, and a Job that waits for one of its pods",
		"kubectl apply -f config/samples/push.yaml",
		"kubectl logs -f job/greeting",
	} {
		say("%s", line)
	}
	lines = append(lines, nil, view.Line{{Text: "To remove it:", Bold: true}})
	if c.Lab != nil {
		say("go run -C lab ./cmd/lab down --name %s", c.Lab.Name())
		return lines
	}
	say("kubectl delete hsj game-worker3 --ignore-not-found; kubectl delete namespace %s", namespace)
	if !c.present {
		say("kubectl delete -k %s", manifests)
	}
	return lines
}
