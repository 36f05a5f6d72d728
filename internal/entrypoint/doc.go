// SPDX-License-Identifier: Apache-2.0

// Package entrypoint is what runs in a standby pod, in place of its container's command: it warms up, waits for the
// launch, and is to the launch's command what an init process is. It decides nothing about launches, and must stay small:
// every standby pod has a copy of it in memory. Therefore it speaks the Connect protocol by itself, over net/http: with
// the generated client, and the Protobuf runtime that comes with it, the program would be 2.2 MB larger.
//
//	         ┌─────────┐  done   ┌──────┐  stream or file: launch   ┌──────────┐ command ends
//	start ──▶│ warm-up │────────▶│ idle │──────────────────────────▶│ launched │──────────────▶ exit, with its code
//	         └─────────┘         └──────┘                           └──────────┘
//	              │ fails, times out  │ a signal that ends                │ signals are forwarded
//	              ▼                   ▼                                   ▼
//	             exit               exit                               (command)
package entrypoint
