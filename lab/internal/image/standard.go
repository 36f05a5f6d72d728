// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/paia-tech/hotstandbyjob/lab/internal/filelock"
)

// The names of the lab's images. The first name of each is the one that manifests of this repository use.
const (
	Pause    = "lab.hsj.paia.tech/pause:dev"
	CoreDNS  = "lab.hsj.paia.tech/coredns:dev"
	Worker   = "hotstandbyjob-worker:dev"
	Operator = "hotstandbyjob-operator:dev"
)

// NonRoot is the user and group that the images run as which need no privileges.
const NonRoot = "65532:65532"

// busyboxPath is where Debian's busybox-static has its program.
const busyboxPath = "/usr/bin/busybox"

// Standard returns a tar file with the images that every node has: pause, CoreDNS, the demo worker and busybox. It is
// made once and kept beside the binaries that it is made of.
func Standard(ctx context.Context, binDir string) (string, error) {
	tarPath := filepath.Join(filepath.Dir(binDir), "images.tar")
	lock, err := filelock.Acquire(ctx, tarPath+".lock", nil)
	if err != nil {
		return "", err
	}
	defer lock.Release()
	if _, err := os.Stat(tarPath); err == nil {
		return tarPath, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for the standard images: %w", err)
	}
	busybox, err := busyboxSpec(ctx)
	if err != nil {
		return "", err
	}
	program := func(name string) File { return File{Path: "/" + name, Source: filepath.Join(binDir, name)} }
	specs := []Spec{
		{Names: []string{Pause}, Files: []File{program("pause")}, User: NonRoot, Entrypoint: []string{"/pause"}},
		{Names: []string{CoreDNS}, Files: []File{program("coredns")}, User: NonRoot, Entrypoint: []string{"/coredns"}},
		ForWorker(binDir),
		busybox,
	}
	return tarPath, buildAll(specs, tarPath)
}

// OperatorPrograms are what the operator's image is made of: the operator, and the entrypoint that standby pods copy out
// of this same image, so that the two always fit.
func OperatorPrograms() []string { return []string{"operator", "standby"} }

// ForOperator describes the operator's image, made of static binaries from a folder.
func ForOperator(binDir string) Spec {
	spec := Spec{
		Names:      []string{Operator, "lab.hsj.paia.tech/operator:dev"},
		User:       NonRoot,
		Entrypoint: []string{"/operator"},
	}
	for _, name := range OperatorPrograms() {
		spec.Files = append(spec.Files, File{Path: "/" + name, Source: filepath.Join(binDir, name)})
	}
	return withWorld(spec)
}

// ForWorker describes the image of the demo worker, and of stamp, which times launches: static binaries from a folder.
func ForWorker(binDir string) Spec {
	return withWorld(Spec{
		Names: []string{Worker, "lab.hsj.paia.tech/worker:dev"},
		Files: []File{
			{Path: "/worker", Source: filepath.Join(binDir, "worker")},
			{Path: "/stamp", Source: filepath.Join(binDir, "stamp")},
		},
		User:       NonRoot,
		Entrypoint: []string{"/worker"},
	})
}

// withWorld adds the few files that programs expect of any system.
func withWorld(s Spec) Spec {
	s.Files = append(s.Files,
		File{Path: "/tmp", Dir: true, Mode: 0o1777},
		File{Path: "/etc/passwd", Mode: 0o644, Text: "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\nnobody:x:65534:65534:nobody:/tmp:/sbin/nologin\n"},
		File{Path: "/etc/group", Mode: 0o644, Text: "root:x:0:\nnonroot:x:65532:\nnobody:x:65534:\n"},
	)
	return s
}

// busyboxSpec makes what the image of this name is elsewhere from Debian's static busybox: every applet is a link.
func busyboxSpec(ctx context.Context) (Spec, error) {
	out, err := exec.CommandContext(ctx, busyboxPath, "--list").Output()
	if err != nil {
		return Spec{}, fmt.Errorf("list busybox's applets (Debian package busybox-static): %w", err)
	}
	spec := Spec{
		Names: []string{"busybox", "busybox:1.36"},
		Files: []File{{Path: "/bin/busybox", Source: busyboxPath}, {Path: "/root", Dir: true, Mode: 0o700}},
		Cmd:   []string{"sh"},
	}
	for applet := range strings.FieldsSeq(string(out)) {
		if applet != "busybox" {
			spec.Files = append(spec.Files, File{Path: "/bin/" + applet, Link: "busybox"})
		}
	}
	return withWorld(spec), nil
}
