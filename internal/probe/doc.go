// SPDX-License-Identifier: Apache-2.0

// Package probe reads the busy signals that aren't in Kubernetes objects: by HTTP, by a command through the API server,
// and from Redis. It knows what a pod said last, or why that isn't known; it never decides what follows from it.
//
// One loop (Prober.Start) starts what is due, within bounds that all pools share; a Redis hash has one reader, however
// many pools look at it. Everything that is known sits behind one lock, which is never held during I/O or a call of
// Notify.
//
//	Set ──▶ pool ──▶ entry per pod ──due──▶ flight (http, exec) ──▶ answer ─┐
//	          └────▶ source (redis) ──HGETALL, keyspace notification──────────┴─▶ Reading ──▶ Notify
package probe
