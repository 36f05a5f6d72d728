// SPDX-License-Identifier: Apache-2.0

// Package nodeinit is process 1 of a node: it prepares the node's mounts, serves its images, keeps its programs running
// and reaps what containers leave behind. It knows nothing of Kubernetes. When it ends, the kernel ends all the rest.
package nodeinit

// Spec is what process 1 of a node does.
type Spec struct {
	// Keep are the folders that must stay visible: those of the system that would hide them are left alone.
	Keep []string `json:"keep"`
	// Registry is the address that images are served at, Images the folder that they are in, an OCI image layout.
	Registry string `json:"registry"`
	Images   string `json:"images"`
	// Path is the search path of the programs.
	Path string `json:"path"`
	// Programs are started in this order, and again whenever they end.
	Programs []Program `json:"programs"`
}

// Program is one program of the node.
type Program struct {
	Name string   `json:"name"`
	Path string   `json:"path"`
	Args []string `json:"args"`
	// Log is the file that its output is appended to.
	Log string `json:"log"`
}
