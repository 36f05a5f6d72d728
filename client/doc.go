// SPDX-License-Identifier: Apache-2.0

// Package client starts Jobs in standby pods, and hears what becomes of them, by the gateway of HotStandbyJob. It needs
// nothing of Kubernetes but a token: of a user or a service account that may create jobs in the namespace.
package client
