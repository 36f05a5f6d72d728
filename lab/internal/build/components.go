// SPDX-License-Identifier: Apache-2.0

package build

// KubernetesVersion is the Kubernetes of the lab: the one that the operator embeds.
const KubernetesVersion = "v1.37.1"

// The components' names, by which they are chosen.
const (
	Kubernetes = "kubernetes"
	Kubectl    = "kubectl"
	Etcd       = "etcd"
	Kwok       = "kwok"
	Containerd = "containerd"
	Runc       = "runc"
	CNI        = "cni"
	CoreDNS    = "coredns"
	Programs   = "lab-programs"
	Stamp      = "stamp"
)

// Component is programs that are built from one Go module, which pins their version.
type Component struct {
	// Name names the component in messages and in the cache.
	Name string
	// Dir is the folder of the module, relative to the lab's build folder.
	Dir string
	// Sources are the files and folders that the programs are built from, relative to Dir, where they are not all of
	// Dir's own files.
	Sources []string
	// Packages are the programs to build: the name of the binary and its package.
	Packages map[string]string
	// Env is added to the environment of the build.
	Env []string
	// Tags are build tags.
	Tags []string
	// LDFlags are flags for the linker.
	LDFlags []string
	// Needs are Debian packages that the build or the program cannot do without.
	Needs []string
	// Links are further names of the (only) binary, which tells by its name what to be.
	Links []string
}

// Components returns the named components, all if none is named, in the order in which they are best built: those that
// take longest first.
func Components(names ...string) []Component {
	var chosen []Component
	for _, c := range table() {
		if len(names) == 0 || contains(names, c.Name) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// small leaves out the symbol table and debug information, which is a third of these binaries.
var small = []string{"-s", "-w"}

func table() []Component {
	return append(controlPlane(), realNode()...)
}

func controlPlane() []Component {
	return []Component{
		{
			Name:     Kubernetes,
			Dir:      "kubernetes",
			Packages: map[string]string{"kubernetes": "."},
			Sources:  []string{"go.mod", "go.sum", "main.go"},
			LDFlags:  append(kubernetesVersionFlags(), small...),
			Links:    []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"},
		},
		{
			Name:     Kubectl,
			Dir:      "kubernetes",
			Packages: map[string]string{"kubectl": "./kubectl"},
			Sources:  []string{"go.mod", "go.sum", "kubectl"},
			LDFlags:  append(kubernetesVersionFlags(), small...),
		},
		{
			Name:     Etcd,
			Dir:      "etcd",
			Packages: map[string]string{"etcd": "go.etcd.io/etcd/server/v3"},
			LDFlags:  small,
		},
		{
			Name:     Kwok,
			Dir:      "kwok",
			Packages: map[string]string{"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
			LDFlags:  small,
		},
	}
}

func realNode() []Component {
	const containerd, plugins = "github.com/containerd/containerd/v2/cmd/", "github.com/containernetworking/plugins/plugins/"
	return []Component{
		{
			Name: Containerd,
			Dir:  "containerd",
			Packages: map[string]string{
				"containerd":              containerd + "containerd",
				"ctr":                     containerd + "ctr",
				"containerd-shim-runc-v2": containerd + "containerd-shim-runc-v2",
			},
			Tags:    []string{"no_btrfs", "no_devmapper", "no_zfs"},
			LDFlags: small,
		},
		{
			Name:     Runc,
			Dir:      "runc",
			Packages: map[string]string{"runc": "github.com/opencontainers/runc"},
			Env:      []string{"CGO_ENABLED=1"},
			Tags:     []string{"seccomp", "netgo", "osusergo"},
			LDFlags:  append([]string{"-linkmode", "external", "-extldflags", "-static"}, small...),
			Needs:    []string{"gcc", "libc6-dev", "libseccomp-dev"},
		},
		{
			Name: CNI,
			Dir:  "cni",
			Packages: map[string]string{
				"bridge":     plugins + "main/bridge",
				"loopback":   plugins + "main/loopback",
				"host-local": plugins + "ipam/host-local",
				"portmap":    plugins + "meta/portmap",
			},
			LDFlags: small,
		},
		{
			Name:     CoreDNS,
			Dir:      "coredns",
			Packages: map[string]string{"coredns": "."},
			LDFlags:  small,
		},
		{
			Name: Programs,
			Dir:  "..",
			Packages: map[string]string{
				"pause": "./cmd/pause", "nodeinit": "./cmd/nodeinit", "worker": "./cmd/worker",
			},
			Sources: []string{
				"go.mod", "go.sum", "cmd/pause", "cmd/nodeinit", "cmd/worker",
				"internal/image", "internal/nodeinit", "internal/registry", "internal/worker",
			},
			LDFlags: small,
		},
		{
			Name:     Stamp,
			Dir:      "..",
			Packages: map[string]string{"stamp": "./cmd/stamp"},
			Sources:  []string{"go.mod", "go.sum", "cmd/stamp"},
			LDFlags:  append([]string{"-E", "main.first"}, small...),
		},
	}
}

// kubernetesVersionFlags make the programs say what they are: without them the API server claims to be v0.0.0 and
// clients that look at versions go wrong.
func kubernetesVersionFlags() []string {
	const component, client = "k8s.io/component-base/version.", "k8s.io/client-go/pkg/version."
	major, minor := majorMinor(KubernetesVersion)
	var flags []string
	for _, pkg := range []string{component, client} {
		flags = append(flags,
			"-X", pkg+"gitVersion="+KubernetesVersion,
			"-X", pkg+"gitMajor="+major,
			"-X", pkg+"gitMinor="+minor,
			"-X", pkg+"gitTreeState=clean",
		)
	}
	return flags
}
