// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"text/template"

	"github.com/paia-tech/hotstandbyjob/lab/internal/image"
	"github.com/paia-tech/hotstandbyjob/lab/internal/nodeinit"
)

// registryAddress is in the node's own network namespace: nobody else sees it.
const registryAddress = "127.0.0.1:10240"

//go:embed templates
var templates embed.FS

// settings is what the templates know.
type settings struct {
	Config
	Registry, PauseImage, Snapshotter, Cgroup string
}

func (c Config) settings() settings {
	return settings{
		Config:      c,
		Registry:    registryAddress,
		PauseImage:  image.Pause,
		Snapshotter: snapshotter(c.Dir),
		Cgroup:      "/" + cgroupName(c.Index),
	}
}

// writeFiles writes the configuration of the node's programs.
func writeFiles(cfg Config) error {
	functions := template.FuncMap{"q": func(parts ...string) string { return strconv.Quote(filepath.Join(parts...)) }}
	all, err := template.New("").Funcs(functions).ParseFS(templates, "templates/*")
	if err != nil {
		return fmt.Errorf("read the node's templates: %w", err)
	}
	for name, path := range map[string]string{
		"containerd.toml": "containerd.toml",
		"hosts.toml":      "registries/_default/hosts.toml",
		"lab.conflist":    "cni/lab.conflist",
		"kubelet.yaml":    "kubelet.yaml",
		"kube-proxy.yaml": "kube-proxy.yaml",
	} {
		var text bytes.Buffer
		if err := all.ExecuteTemplate(&text, name, cfg.settings()); err != nil {
			return fmt.Errorf("fill in %s: %w", name, err)
		}
		if err := writeFile(filepath.Join(cfg.Dir, path), text.Bytes()); err != nil {
			return err
		}
	}
	spec, err := json.MarshalIndent(programs(cfg), "", "  ")
	if err != nil {
		return fmt.Errorf("describe the node's programs: %w", err)
	}
	return writeFile(specPath(cfg.Dir), spec)
}

func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write the node's configuration: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("write the node's configuration: %w", err)
	}
	return nil
}

func specPath(dir string) string { return filepath.Join(dir, "nodeinit.json") }

// programs is what the node's process 1 does.
func programs(cfg Config) nodeinit.Spec {
	kubelet := []string{
		"--config=" + filepath.Join(cfg.Dir, "kubelet.yaml"),
		"--kubeconfig=" + cfg.KubeletKubeconfig,
		"--root-dir=" + filepath.Join(cfg.Dir, "kubelet"),
		"--cert-dir=" + filepath.Join(cfg.Dir, "kubelet", "pki"),
		"--hostname-override=" + cfg.NodeName,
		"--node-ip=" + cfg.NodeIP,
		"--v=2",
	}
	spec := nodeinit.Spec{
		Keep:     []string{cfg.Dir, cfg.BinDir, cfg.Group.Logs, filepath.Dir(cfg.KubeletKubeconfig), filepath.Dir(cfg.ClientCA)},
		Registry: registryAddress,
		Images:   imagesPath(cfg.Dir),
		Path:     cfg.BinDir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	add := func(name string, args ...string) {
		spec.Programs = append(spec.Programs, nodeinit.Program{
			Name: name, Path: filepath.Join(cfg.BinDir, name), Args: args, Log: cfg.Group.LogFile(name),
		})
	}
	add("containerd", "--config="+filepath.Join(cfg.Dir, "containerd.toml"))
	add("kubelet", kubelet...)
	add("kube-proxy", "--config="+filepath.Join(cfg.Dir, "kube-proxy.yaml"), "--v=2")
	return spec
}

// snapshotter chooses how images are laid under containers: the kernel refuses an overlay on top of another one, which
// is what the lab's folder is on inside most containers.
func snapshotter(dir string) string {
	const overlay = 0x794c7630
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err == nil && int64(fs.Type) == overlay {
		return "native"
	}
	return "overlayfs"
}
