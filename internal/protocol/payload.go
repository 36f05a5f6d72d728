// SPDX-License-Identifier: Apache-2.0

// Package protocol is what the operator and the entrypoints of standby pods say to each other: the payload of a launch
// here, the messages around it in standbyv1. It must not know how they are carried.
package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxPayload is how many bytes an encoded payload may have.
const MaxPayload = 128 << 10

// ErrTooLarge is returned for payloads that have more than MaxPayload bytes.
var ErrTooLarge = fmt.Errorf("the payload is larger than %d bytes", MaxPayload)

// Payload is a launch, as a standby pod is given it. It is the same text in the pod's annotation and on its stream.
type Payload struct {
	// ID is of this launch alone. A pod runs a launch once, however often it is told of it.
	ID string `json:"id"`
	// Command is the program to run, and may have arguments. It is never empty: an image's ENTRYPOINT can't be known.
	Command []string `json:"command"`
	// Args follow Command.
	Args []string `json:"args,omitempty"`
	// WorkingDir is where the command starts; empty: where the container did.
	WorkingDir string `json:"workingDir,omitempty"`
	// Env is laid over the container's environment, in this order.
	Env []EnvVar `json:"env,omitempty"`
	// UnsetEnv are the variables of the container's environment that the command must not see.
	UnsetEnv []string `json:"unsetEnv,omitempty"`
}

// EnvVar is a variable of the command's environment.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// Encode returns the payload as JSON. It refuses what DecodePayload would.
func (p Payload) Encode() (string, error) {
	if err := p.validate(); err != nil {
		return "", fmt.Errorf("encode payload: %w", err)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // six bytes for each & would count against the limit
	if err := encoder.Encode(p); err != nil {
		return "", fmt.Errorf("encode payload: %w", err)
	}
	encoded := strings.TrimSuffix(text.String(), "\n")
	if len(encoded) > MaxPayload {
		return "", fmt.Errorf("encode payload: %w", ErrTooLarge)
	}
	return encoded, nil
}

// DecodePayload reads what Encode wrote. A field that it doesn't know is an error: it would change the launch, and must
// not be left out in silence.
func DecodePayload(text string) (Payload, error) {
	if len(text) > MaxPayload {
		return Payload{}, fmt.Errorf("decode payload: %w", ErrTooLarge)
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var p Payload
	if err := decoder.Decode(&p); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return Payload{}, fmt.Errorf("decode payload: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Payload{}, errors.New("decode payload: something follows the JSON object")
	}
	if err := p.validate(); err != nil {
		return Payload{}, fmt.Errorf("decode payload: %w", err)
	}
	return p, nil
}

// validate says all that is wrong with a payload.
func (p Payload) validate() error {
	var faults []error
	if p.ID == "" {
		faults = append(faults, errors.New("id is empty"))
	}
	if len(p.Command) == 0 || p.Command[0] == "" {
		faults = append(faults, errors.New("command is empty"))
	}
	faults = append(faults, text("workingDir", p.WorkingDir))
	for i, word := range p.Command {
		faults = append(faults, text(fmt.Sprintf("command[%d]", i), word))
	}
	for i, word := range p.Args {
		faults = append(faults, text(fmt.Sprintf("args[%d]", i), word))
	}
	for i, e := range p.Env {
		faults = append(faults, variable(fmt.Sprintf("env[%d].name", i), e.Name), text(fmt.Sprintf("env[%d].value", i), e.Value))
	}
	for i, name := range p.UnsetEnv {
		faults = append(faults, variable(fmt.Sprintf("unsetEnv[%d]", i), name))
	}
	return errors.Join(faults...)
}

// variable refuses what can't be the name of a variable.
func variable(field, name string) error {
	if name == "" || strings.ContainsAny(name, "=\x00") {
		return fmt.Errorf("%s is %q: a variable's name is neither empty nor has = or NUL in it", field, name)
	}
	return nil
}

// text refuses what can't be handed to a process.
func text(field, value string) error {
	if strings.Contains(value, "\x00") {
		return fmt.Errorf("%s has a NUL byte in it", field)
	}
	return nil
}
