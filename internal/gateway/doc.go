// SPDX-License-Identifier: Apache-2.0

// Package gateway is the server to which standby pods keep a stream open, and at which clients start Jobs and hear what
// becomes of them. It says who calls and what they may do by asking the API server, and has no access control of its own.
// It decides nothing about pods: claims are the registry's, and Jobs are run by the launcher.
package gateway

// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=create;get;list;watch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
