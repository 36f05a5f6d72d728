// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf8"
)

// reasonLimit is the length of a reason that goes into a condition beside those of other pods.
const reasonLimit = 300

// identifiers are what containers and their processes are called; they are others at every attempt.
var identifiers = regexp.MustCompile(`[0-9a-f]{12,}`)

// cause says why a connection failed without what is different at every attempt: the local port, the time.
func cause(err error) string {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed without an answer"
	}
	if isTimeout(err) {
		return "no answer in time"
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return "look up " + lookup.Name + ": " + lookup.Err
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		err = operation.Err
	}
	return stable(err.Error())
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout()
}

// stable shortens what somebody else says to what is the same the next time they say it.
func stable(text string) string {
	text = identifiers.ReplaceAllString(strings.Join(strings.Fields(text), " "), "…")
	if len(text) <= reasonLimit {
		return text
	}
	cut := reasonLimit
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
