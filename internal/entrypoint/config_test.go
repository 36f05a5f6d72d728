// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// configOf is that of a command line.
func configOf(args ...string) (Config, error) {
	c := DefaultConfig()
	flags := flag.NewFlagSet("standby", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	c.Bind(flags)
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	c.Command = flags.Args()
	return c, c.Validate()
}

func TestFlags(t *testing.T) {
	got, err := configOf("--gateway-url=https://gateway:8444", "--warmup-timeout=20s", `--warmup=["sh","-c","a b"]`)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultConfig()
	want.GatewayURL, want.WarmupTimeout, want.Warmup, want.Command = "https://gateway:8444", 20e9, []string{"sh", "-c", "a b"}, []string{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsWrongWithFlagsIsNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no TLS":                         {[]string{"--gateway-url=http://gateway"}, "--gateway-url"},
		"no host":                        {[]string{"--gateway-url=https://"}, "--gateway-url"},
		"no JSON":                        {[]string{"--warmup=make warm"}, "invalid value"},
		"an empty warm-up":               {[]string{"--warmup=[]"}, "--warmup is empty"},
		"a warm-up of no time":           {[]string{"--warmup-timeout=0s"}, "--warmup-timeout is 0s"},
		"no command to pull":             {[]string{"--pull"}, "--pull needs a command"},
		"a warm-up before pulling":       {[]string{"--pull", `--warmup=["true"]`, "--", "true"}, "can't be had with --pull"},
		"a command that awaits a launch": {[]string{"--", "true"}, "with --pull only"},
		"a socket that nobody serves":    {[]string{"--socket=/s"}, "--socket is for --pull only"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := configOf(tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestWrongFlagsFailThePod(t *testing.T) {
	p := newPod(t, newKubelet(t), "--pull")
	p.wants(1)
	if !strings.Contains(p.lastWords(), "--pull needs a command") {
		t.Errorf("its last words are %q", p.lastWords())
	}
}
