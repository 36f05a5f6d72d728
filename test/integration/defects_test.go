// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/paia-tech/hotstandbyjob/test/kit"
)

// guards are the tests that keep the defects of the Python operator from coming back, by the defects' numbers.
var guards = map[int][]string{
	// It fails at its job.
	1:  {"test/integration.TestStatusIsWrittenOnlyWhenItChanges", "internal/controller/pool.TestPoolIsFilled"},                       // status is never stored
	2:  {"test/integration.TestLateWatchesMakeNoUnitTwice", "internal/pool.TestAStaleViewNeverMakesTooMany"},                         // twice the pool
	3:  {"test/integration.TestTenMinutesOfTroubleMakeFewJobs", "test/integration.TestTenMinutesOfSuspensionMakeFewJobs"},            // runaway creation
	4:  {"test/integration.TestRetiredUnitsGoAndBusyOnesStay", "internal/pool.TestRetireWhatIsTooMany"},                              // no scale-down
	5:  {"test/integration.TestRetiredUnitsGoAndBusyOnesStay", "internal/controller/pool.TestBusyPodsSurvive"},                       // scale-down kills work
	6:  {"test/integration.TestABusyPodIsReplacedThoughNothingIsPolled"},                                                             // slow reaction
	7:  {"test/integration.TestErrorsOfTheServerCostOneTry", "internal/controller/pool.TestOneErrorCostsOneTry"},                     // an error costs a minute
	8:  {"test/integration.TestTenMinutesOfCrashesMakeFewJobs", "internal/pool.TestACrashingTemplateMakesFewUnits"},                  // unbounded crash loops
	9:  {"internal/probe.TestHTTPPodsThatHangDoNotDelayOtherPools", "internal/probe.TestHTTPKeepsConnections"},                       // serial probes
	10: {"internal/probe.TestHTTPPodsThatHangDoNotDelayOtherPools"},                                                                  // few threads for all
	11: {"internal/probe.TestExecutorMindsItsContext", "internal/probe.TestExecReadings"},                                            // exec breaks the client
	12: {"test/integration.TestAnOperatorAtRestSendsNoRequests"},                                                                     // exec costs
	13: {"test/integration.TestExecThroughTheAPIServer", "internal/probe.TestExecReadings"},                                          // successIsBusy: false
	14: {"test/integration.TestExecThatGivesNoAnswerIsUnknown", "internal/probe.TestHTTPWithoutAnAnswerIsUnknown"},                   // timeoutSeconds: 0
	15: {"internal/unit.TestPodsOfKinds", "internal/probe.TestExecReadings"},                                                         // finished pods are busy
	16: {"internal/probe.TestHTTPWithoutAnAnswerIsUnknown", "internal/controller/pool.TestLastLook"},                                 // failures are idle
	17: {"internal/probe.TestHTTPGoesToThePodAndNowhereElse", "internal/probe.TestHTTPByIPv6"},                                       // redirects, IPv6
	18: {"internal/probe.TestRedisDiesAndReturns", "internal/probe.TestRedisIsThereLater"},                                           // an outage is busy 0
	19: {"internal/probe.TestRedisEntriesGoStale"},                                                                                   // no staleness
	20: {"internal/probe.TestFieldReadings", "internal/probe.TestRedisThatHangsIsDown"},                                              // errors, malformed values
	21: {"internal/pool.TestDecideMakesWhatIsMissing"},                                                                               // exec's flag in all modes
	22: {"test/integration.TestPoolsOfTheSameSelectorDoNotCountEachOthersPods", "test/integration.TestWhatIsNotThePoolsIsLeftAlone"}, // labels, not ownership
	23: {"internal/pool.TestDecideMakesWhatIsMissing", "internal/object.TestJob"},                                                    // finished pods as capacity
	24: {"test/integration.TestTheLongestNamesWork", "internal/controller/pool.TestTakenNames"},                                      // names
	25: {"internal/controller/pool.TestRefusedTemplates", "internal/object.TestImpossibleJobs"},                                      // no validation, no conditions
	26: {"test/integration.TestAnOperatorAtRestSendsNoRequests", "test/integration.TestStatusIsWrittenOnlyWhenItChanges"},            // API load
	27: {"test/integration.TestTakeoverLetsPoolsGoThatWereDeletedMeanwhile"},                                                         // kopf's finalizer
	28: {"test/integration.TestTheDeploymentIsOperable"},                                                                             // operations
	29: {"test/integration.TestTheDocumentsSayWhatIs", "test/integration.TestTheDocumentsManifestsAreAccepted"},                      // documents
	30: {"test/integration.TestEveryDefectHasATest"},                                                                                 // defect 30: no tests at all
}

// TestEveryDefectHasATest checks that each defect has tests, that these exist, and that they name it.
func TestEveryDefectHasATest(t *testing.T) {
	t.Parallel()
	tests := testsOf(t, kit.Root())
	for n := 1; n <= 30; n++ {
		if len(guards[n]) == 0 {
			t.Errorf("nothing guards against defect %d", n)
		}
		for _, name := range guards[n] {
			named, ok := tests[name]
			switch {
			case !ok:
				t.Errorf("defect %d: there is no test %s", n, name)
			case !slices.Contains(named, n) && name != "test/integration."+t.Name():
				t.Errorf("defect %d: %s doesn't name it; it names %v", n, name, named)
			}
		}
	}
}

// testsOf are the tests of a source tree, "<folder>.<name>", with the defects that each of them names.
func testsOf(t *testing.T, root string) map[string][]int {
	t.Helper()
	tests := map[string][]int{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // a file of the source tree
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				from := f.Pos()
				if f.Doc != nil {
					from = f.Doc.Pos()
				}
				tests[filepath.ToSlash(folder)+"."+f.Name.Name] = named(text[files.Position(from).Offset:files.Position(f.End()).Offset])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// named are the defects that a text names, such as "defects 4 and 5".
func named(text []byte) []int {
	mention := regexp.MustCompile(`(?i)\bdefects? (\d+(?:(?:, and |, | and )\d+)*)`)
	digits := regexp.MustCompile(`\d+`)
	var all []int
	for _, m := range mention.FindAllSubmatch(text, -1) {
		for _, text := range digits.FindAll(m[1], -1) {
			if n, err := strconv.Atoi(string(text)); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}
