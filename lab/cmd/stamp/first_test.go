// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/elf"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// linked is the program, linked as the lab does.
func linked(t *testing.T, arch string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "stamp")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-E main.first", "-o", program, ".")
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build stamp: %v\n%s", err, out)
	}
	return program
}

func TestTheFirstInstructionsTakeTheTime(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			file, err := elf.Open(linked(t, arch))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			symbols, err := file.Symbols()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range symbols {
				if s.Value == file.Entry && s.Name == "main.first" {
					return
				}
			}
			t.Errorf("the program doesn't begin with main.first")
		})
	}
}

func TestStampSaysWhenItBegan(t *testing.T) {
	program := linked(t, "")
	before := time.Now()
	out, err := exec.CommandContext(t.Context(), program, "a", "word").Output()
	after := time.Now()
	if err != nil {
		t.Fatal(err)
	}
	var s Stamp
	if err := json.Unmarshal(out, &s); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if began := time.Unix(0, s.Started); began.Before(before) || began.After(after) {
		t.Errorf("it began at %v, and was started between %v and %v", began, before, after)
	}
	if len(s.Words) != 2 || s.Words[0] != "a" {
		t.Errorf("its words are %q", s.Words)
	}
}
