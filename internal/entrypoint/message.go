// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The messages of hsj.standby.v1 in Protobuf's JSON notation, in which 64-bit numbers are strings.

// activity is what the pod is doing.
type activity struct {
	LaunchID        string `json:"launchId,omitempty"`
	StartedUnixNano int64  `json:"startedUnixNano,omitempty,string"`
	Work            work   `json:"work,omitempty"`
}

// work is what the workload says about itself; empty if it has said nothing.
type work string

const (
	workIdle work = "WORK_IDLE"
	workBusy work = "WORK_BUSY"
)

// String is the word that the workload uses.
func (w work) String() string {
	switch w {
	case workIdle:
		return "idle"
	case workBusy:
		return "busy"
	default:
		return "unknown"
	}
}

// request is both an AttachRequest and a ReportRequest.
type request struct {
	Activity activity `json:"activity"`
}

type attachResponse struct {
	Payload string `json:"payload"`
}

// Messages of a stream come in envelopes: a byte of flags, the message's length, the message.
const (
	envelopeHeader = 5
	flagCompressed = 1 << 0
	flagEnd        = 1 << 1
	// largestMessage is far more than a payload needs, each byte of which may be escaped as six.
	largestMessage = 1 << 20
)

var errLargeMessage = fmt.Errorf("the gateway sent a message of more than %d bytes", largestMessage)

// envelope puts a message into one.
func envelope(message []byte) []byte {
	enveloped := make([]byte, envelopeHeader, envelopeHeader+len(message))
	binary.BigEndian.PutUint32(enveloped[1:], uint32(len(message)))
	return append(enveloped, message...)
}

// receive reads the payload of the next message of an Attach stream. The end of the stream is an error, too.
func receive(stream io.Reader) (string, error) {
	var header [envelopeHeader]byte
	if _, err := io.ReadFull(stream, header[:]); err != nil {
		return "", fmt.Errorf("receive: %w", err)
	}
	size := binary.BigEndian.Uint32(header[1:])
	if size > largestMessage {
		return "", errLargeMessage
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(stream, message); err != nil {
		return "", fmt.Errorf("receive: %w", err)
	}
	if header[0]&flagCompressed != 0 {
		return "", errors.New("receive: the message is compressed, and nobody asked for that")
	}
	if header[0]&flagEnd != 0 {
		return "", endOf(message)
	}
	var response attachResponse
	if err := json.Unmarshal(message, &response); err != nil {
		return "", fmt.Errorf("receive: %w", err)
	}
	return response.Payload, nil
}

// rpcError is an error as the Connect protocol has it.
type rpcError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error is the gateway's code and message.
func (e *rpcError) Error() string { return "the gateway says " + e.Code + ": " + e.Message }

// endOf is why a stream ended.
func endOf(message []byte) error {
	var end struct {
		Error *rpcError `json:"error"`
	}
	if err := json.Unmarshal(message, &end); err != nil {
		return fmt.Errorf("receive: the stream's end: %w", err)
	}
	if end.Error != nil {
		return end.Error
	}
	return io.EOF
}
