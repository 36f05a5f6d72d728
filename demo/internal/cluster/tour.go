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
		"kubectl describe hsj game-worker3",
		"kubectl get pods -A -L hsj.paia.tech/state",
		"kubectl explain hsj.spec.busyProbe",
		"kubectl logs -n " + operatorNamespace + " deploy/" + operatorName + " -f",
		"# a pod of flip-test turns busy: it is replaced at once",
		"kubectl annotate pod -n " + namespace + " POD paia.tech/busy=true",
		"# after 30 s it shrinks",
		"kubectl scale hsj game-worker3 --replicas=5",
	} {
		say("%s", line)
	}
	lines = append(lines, nil, view.Line{{Text: "To remove it:", Bold: true}})
	if c.Lab != nil {
		say("go run -C lab ./cmd/lab down --name %s", c.Lab.Name())
		return lines
	}
	say("kubectl delete hsj game-worker3; kubectl delete namespace %s", namespace)
	if !c.present {
		say("kubectl delete -k %s", manifests)
	}
	return lines
}
