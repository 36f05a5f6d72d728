// SPDX-License-Identifier: Apache-2.0

// Package scaler answers KEDA, which asks for numbers of pools to scale by: the operator is an external scaler of KEDA. It
// only reads, and only what the operator has in memory.
//
// KEDA has two ways to prove who it is to an external scaler: none, and a client certificate. So those are the two here.
// Without an authority for client certificates, whoever reaches the port can ask for five numbers of any pool whose name
// they know; with one, only KEDA can, which asks for pools in the namespace of the ScaledObject that has the trigger.
package scaler
