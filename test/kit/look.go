// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// look counts a pool's units as they are now. Indexes of shared Jobs count unless they have ended or their pod is on its
// way out. Pods are listed first: a pod that is gone by then is in its Job's status.
func look(ctx context.Context, c client.Reader, options []client.ListOption) (int, error) {
	var (
		pods corev1.PodList
		jobs batchv1.JobList
	)
	if err := c.List(ctx, &pods, options...); err != nil {
		return 0, fmt.Errorf("list pods: %w", err)
	}
	if err := c.List(ctx, &jobs, options...); err != nil {
		return 0, fmt.Errorf("list Jobs: %w", err)
	}
	leaving := map[types.UID]map[int]bool{}
	for i := range pods.Items {
		p := &pods.Items[i]
		for _, owner := range p.OwnerReferences {
			if index, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation]); err == nil && !Live(p) {
				if leaving[owner.UID] == nil {
					leaving[owner.UID] = map[int]bool{}
				}
				leaving[owner.UID][index] = true
			}
		}
	}
	units := 0
	for i := range jobs.Items {
		if job := &jobs.Items[i]; !over(job) {
			units += unitsLeft(job, leaving[job.UID])
		}
	}
	return units, nil
}

// unitsLeft is how many units of a Job have an index that neither has ended nor is leaving.
func unitsLeft(job *batchv1.Job, leaving map[int]bool) int {
	if _, shared := job.Annotations[unitSize]; !shared || job.Spec.Completions == nil {
		return 1
	}
	ended := indexes(job.Status.CompletedIndexes)
	if job.Status.FailedIndexes != nil {
		ended += "," + indexes(*job.Status.FailedIndexes)
	}
	units := map[int]bool{}
	for i := range int(*job.Spec.Completions) {
		if !leaving[i] && !strings.Contains(","+ended+",", ","+strconv.Itoa(i)+",") {
			units[i/podsOf(job)] = true
		}
	}
	return len(units)
}

// indexes writes "1,3-5" as "1,3,4,5".
func indexes(text string) string {
	var all []string
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		for i := first; err == nil && err2 == nil && i <= last; i++ {
			all = append(all, strconv.Itoa(i))
		}
	}
	return strings.Join(all, ",")
}
