// SPDX-License-Identifier: Apache-2.0

// Package arch holds the test of who may import whom. It has no code of its own.
package arch
