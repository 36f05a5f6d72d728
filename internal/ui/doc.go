// SPDX-License-Identifier: Apache-2.0

// Package ui serves a page that shows what pools do, and the API that the page and `kubectl hsj` read. It shows and never
// changes anything; who may see what is for the API server to say, as at the gateway.
//
// The page is built from the folder ui by `make ui`. What that makes is committed in dist, so that the operator can be built
// without npm, and CI verifies that it is current.
package ui
