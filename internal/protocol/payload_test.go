// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPayloadIsReadAsItWasWritten(t *testing.T) {
	for name, tc := range map[string]struct {
		payload Payload
		want    string
	}{
		"the least": {Payload{ID: "1", Command: []string{"true"}}, `{"id":"1","command":["true"]}`},
		"all of it": {
			Payload{
				ID: "1", Command: []string{"sh", "-c"}, Args: []string{"a && b <c>", ""}, WorkingDir: "/w",
				Env: []EnvVar{{Name: "A", Value: "1"}, {Name: "B"}}, UnsetEnv: []string{"C"},
			},
			`{"id":"1","command":["sh","-c"],"args":["a && b <c>",""],"workingDir":"/w","env":[{"name":"A","value":"1"},{"name":"B"}],"unsetEnv":["C"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			encoded, err := tc.payload.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, encoded); diff != "" {
				t.Errorf("encoded (-want +got):\n%s", diff)
			}
			decoded, err := DecodePayload(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.payload, decoded); diff != "" {
				t.Errorf("decoded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsWrongWithAPayloadIsNamed(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":                 {"", "it is empty"},
		"not JSON":                {"go", "invalid character"},
		"cut off":                 {`{"id":"1"`, "unexpected EOF"},
		"not an object":           {`["id"]`, "cannot unmarshal array"},
		"of another type":         {`{"id":"1","command":"true"}`, "command"},
		"null":                    {`null`, "id is empty"},
		"a field too many":        {`{"id":"1","command":["true"],"image":"x"}`, `unknown field "image"`},
		"something after it":      {`{"id":"1","command":["true"]} {}`, "something follows"},
		"no id":                   {`{"command":["true"]}`, "id is empty"},
		"no command":              {`{"id":"1"}`, "command is empty"},
		"an empty command":        {`{"id":"1","command":[]}`, "command is empty"},
		"an empty first word":     {`{"id":"1","command":[""]}`, "command is empty"},
		"a variable without name": {`{"id":"1","command":["true"],"env":[{"value":"x"}]}`, "env[0].name"},
		"a name with =":           {`{"id":"1","command":["true"],"env":[{"name":"a=b"}]}`, `env[0].name is "a=b"`},
		"an unset name with =":    {`{"id":"1","command":["true"],"unsetEnv":["a","b="]}`, `unsetEnv[1] is "b="`},
		"NUL in a command":        {`{"id":"1","command":["true\u0000"]}`, "command[0] has a NUL"},
		"NUL in an argument":      {`{"id":"1","command":["true"],"args":["a","\u0000"]}`, "args[1] has a NUL"},
		"NUL in a value":          {`{"id":"1","command":["true"],"env":[{"name":"a","value":"\u0000"}]}`, "env[0].value has a NUL"},
		"NUL in a directory":      {`{"id":"1","command":["true"],"workingDir":"\u0000"}`, "workingDir has a NUL"},
		"two faults, the second":  {`{"args":["\u0000"]}`, "args[0] has a NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodePayload(tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestAPayloadMayBeAsLargeAsItMay(t *testing.T) {
	p := Payload{ID: "1", Command: []string{"true"}, Args: []string{""}}
	small, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p.Args[0] = strings.Repeat("x", MaxPayload-len(small))
	largest, err := p.Encode()
	if err != nil || len(largest) != MaxPayload {
		t.Fatalf("%d bytes, %v; want %d", len(largest), err, MaxPayload)
	}
	if _, err := DecodePayload(largest); err != nil {
		t.Errorf("the largest one: %v", err)
	}
	if _, err := DecodePayload(largest + " "); !errors.Is(err, ErrTooLarge) {
		t.Errorf("decoding one more byte: %v, want %v", err, ErrTooLarge)
	}
	p.Args[0] += "x"
	if _, err := p.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("encoding one more byte: %v, want %v", err, ErrTooLarge)
	}
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	if _, err := (Payload{ID: "1"}).Encode(); err == nil {
		t.Error("a payload without a command was encoded")
	}
}

// Whatever is decoded is complete, and is the same launch when it is written and read again.
func FuzzDecodePayload(f *testing.F) {
	f.Add(`{"id":"1","command":["sh","-c"],"args":["a"],"workingDir":"/","env":[{"name":"A","value":"$(B)"}],"unsetEnv":["C"]}`)
	f.Add(`{"id":"1","command":["true"],"args":null,"env":[]}`)
	f.Add(`{"ID":"1","command":["\ud800"]}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := DecodePayload(text)
		if err != nil {
			if p.ID != "" || p.Command != nil {
				t.Errorf("an error, and a payload: %+v", p)
			}
			return
		}
		if p.ID == "" || len(p.Command) == 0 || p.Command[0] == "" {
			t.Fatalf("no launch: %+v", p)
		}
		encoded, err := p.Encode()
		if errors.Is(err, ErrTooLarge) {
			return // U+2028 and control characters are written as six bytes
		}
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodePayload(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if reEncoded, err := again.Encode(); err != nil || reEncoded != encoded {
			t.Errorf("%s, %v; want %s", reEncoded, err, encoded)
		}
	})
}
