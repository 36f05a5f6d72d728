// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
)

func TestFieldReadings(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(seconds int) string { return fmt.Sprint(now.Unix() + int64(seconds)) }
	for name, tc := range map[string]struct {
		text       string
		ageless    bool // staleSeconds: 0
		want       Signal
		wantReason string
	}{
		"starting":                        {text: `{"status":"starting","updated_at":` + at(0) + `}`, want: Starting},
		"idle":                            {text: `{"status":"idle","updated_at":` + at(-599) + `}`, want: Idle},
		"busy":                            {text: `{"status": "busy", "updated_at": ` + at(-600) + `}`, want: Busy},
		"error":                           {text: `{"status":"error","updated_at":` + at(0) + `}`, want: Failed},
		"fractions of a second":           {text: `{"status":"busy","updated_at":` + at(0) + `.25}`, want: Busy},
		"a clock that is ahead":           {text: `{"status":"busy","updated_at":` + at(300) + `}`, want: Busy},
		"more than there should be":       {text: `{"status":"busy","updated_at":` + at(0) + `,"n":{"a":[1]}}`, want: Busy},
		"another state is idle":           {text: `{"status":"resting","updated_at":` + at(0) + `}`, want: Idle},
		"states are case-sensitive":       {text: `{"status":"BUSY","updated_at":` + at(0) + `}`, want: Idle},
		"keys are case-sensitive":         {text: `{"Status":"busy","updated_at":` + at(0) + `}`, want: Idle},
		"no state is idle":                {text: `{"updated_at":` + at(0) + `}`, want: Idle},
		"stale (defect 19)":               {text: `{"status":"idle","updated_at":` + at(-601) + `}`, wantReason: "older than 10m0s"},
		"stale, and age doesn't matter":   {text: `{"status":"busy","updated_at":1}`, ageless: true, want: Busy},
		"no time":                         {text: `{"status":"busy"}`, wantReason: "updated_at in seconds"},
		"no time, and it doesn't matter":  {text: `{"status":"busy"}`, ageless: true, want: Busy},
		"a time that is a string":         {text: `{"status":"busy","updated_at":"` + at(0) + `"}`, wantReason: "updated_at in seconds"},
		"a time that is null":             {text: `{"status":"busy","updated_at":null}`, wantReason: "updated_at in seconds"},
		"a time that is too large":        {text: `{"status":"busy","updated_at":1e400}`, wantReason: "updated_at in seconds"},
		"a time in milliseconds":          {text: `{"status":"busy","updated_at":` + at(0) + `000}`, wantReason: "updated_at in seconds"},
		"an empty object":                 {text: `{}`, wantReason: "updated_at in seconds"},
		"an empty object without age":     {text: `{}`, ageless: true, want: Starting},
		"an empty string":                 {text: ``, wantReason: "isn't a JSON object"},
		"a bare word":                     {text: `busy`, wantReason: "isn't a JSON object"},
		"a string (defect 20)":            {text: `"busy"`, wantReason: "isn't a JSON object"},
		"a list (defect 20)":              {text: `["busy"]`, wantReason: "isn't a JSON object"},
		"a number (defect 20)":            {text: `42`, wantReason: "isn't a JSON object"},
		"null":                            {text: `null`, ageless: true, wantReason: "isn't a JSON object"},
		"a nested status":                 {text: `{"status":{"status":"busy"}}`, wantReason: "status that isn't a string"},
		"cut off":                         {text: `{"status":"busy","upd`, wantReason: "isn't a JSON object"},
		"two objects":                     {text: `{"status":"busy"}{"status":"idle"}`, wantReason: "isn't a JSON object"},
		"nested deeper than anybody does": {text: strings.Repeat(`{"a":`, 200_000), wantReason: "isn't a JSON object"},
		"a megabyte of status":            {text: `{"status":"` + strings.Repeat("x", 1<<20) + `","updated_at":` + at(0) + `}`, want: Idle},
		"bytes that are no text":          {text: "\xff\xfe{", wantReason: "isn't a JSON object"},
		"Python's NaN":                    {text: `{"status":"busy","updated_at":NaN}`, wantReason: "isn't a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			stale := 600 * time.Second
			if tc.ageless {
				stale = 0
			}
			f := parse(tc.text)
			got, until := f.reading(stale, now)
			if got.Signal != tc.want || !strings.Contains(got.Reason, tc.wantReason) || (got.Reason == "") != (tc.wantReason == "") {
				t.Errorf("reading %+v; want %d and a reason with %q", got, tc.want, tc.wantReason)
			}
			if !until.IsZero() && until.Before(now) {
				t.Errorf("it went stale at %v, and is usable at %v", until, now)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"status":"busy","updated_at":1800000000}`)
	f.Add(`{"status":null,"updated_at":-1e300}`)
	f.Fuzz(func(t *testing.T, text string) {
		parsed := parse(text)
		got, until := parsed.reading(time.Minute, time.Unix(1_800_000_000, 0))
		if (got.Signal == Unknown) != (got.Reason != "") || got.Signal == Unknown && !until.IsZero() {
			t.Errorf("%q: %+v until %v", text, got, until)
		}
	})
}

// A Secret of a namespace isn't sent to the operator's server, nor the operator's password anywhere else.
func TestWhichHashIsRead(t *testing.T) {
	defaults := RedisDefaults{Address: "own:6379", DB: 2, Key: "own", Password: "operator's"}
	for name, tc := range map[string]struct {
		probe    *v1alpha1.RedisProbe
		password string
		want     sourceKey
	}{
		"nothing said":         {nil, "", sourceKey{"own:6379", 2, "own", "operator's"}},
		"a key":                {&v1alpha1.RedisProbe{Key: "k"}, "", sourceKey{"own:6379", 2, "k", "operator's"}},
		"database 0":           {&v1alpha1.RedisProbe{DB: new(int32(0))}, "", sourceKey{"own:6379", 0, "own", "operator's"}},
		"an address":           {&v1alpha1.RedisProbe{Address: "x:1"}, "", sourceKey{"x:1", 2, "own", ""}},
		"address and password": {&v1alpha1.RedisProbe{Address: "x:1"}, "theirs", sourceKey{"x:1", 2, "own", "theirs"}},
		"a password alone":     {&v1alpha1.RedisProbe{}, "theirs", sourceKey{"own:6379", 2, "own", "operator's"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, _ := questionOf(&Pool{
				Probe: v1alpha1.BusyProbe{Mode: v1alpha1.BusyByRedis, Redis: tc.probe}, Password: tc.password,
			}, defaults)
			if diff := cmp.Diff(tc.want, got.source, cmp.AllowUnexported(sourceKey{})); diff != "" {
				t.Errorf("source (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOtherModesAreNotProbed(t *testing.T) {
	for _, mode := range []v1alpha1.BusyProbeMode{v1alpha1.BusyByAnnotation, ""} {
		p := New(Options{})
		p.Set(execPool("a", v1alpha1.ExecProbe{}, pods("a", 1)...))
		p.Set(Pool{Name: poolName("a"), Probe: v1alpha1.BusyProbe{Mode: mode}, Targets: pods("a", 1)})
		if got := p.Readings(poolName("a")); got != nil {
			t.Errorf("mode %q has readings: %v", mode, got)
		}
	}
}
