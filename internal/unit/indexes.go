// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"strconv"
	"strings"
)

// indexes reads the notation of a Job's completedIndexes and failedIndexes, such as "1,3-5,7". What can't be read is
// left out.
func indexes(text string) map[int]bool {
	set := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		for i := first; i <= last; i++ {
			set[i] = true
		}
	}
	return set
}
