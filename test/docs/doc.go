// SPDX-License-Identifier: Apache-2.0

// Package docs holds the documents to what the code has. It starts nothing: what needs a server is in test/integration.
package docs
