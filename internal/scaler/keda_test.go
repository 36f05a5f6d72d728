// SPDX-License-Identifier: Apache-2.0

package scaler

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paia-tech/hotstandbyjob/internal/certificate"
)

// answers are what test/keda prints.
type answers struct {
	Active, ActiveStream bool
	Specs                []spec
	Values               []value
	Errors               []string
}

type spec struct {
	Name   string
	Target int64
	Float  float64
}

type value struct {
	Name  string
	Value int64
	Float float64
}

// unknown is what KEDA hears of the method that it may do without.
const unknown = "StreamMetricSpec: Unimplemented: "

// TestKEDA asks by the client that KEDA itself asks by.
func TestKEDA(t *testing.T) {
	program := filepath.Join(t.TempDir(), "keda")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "test", "keda")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build KEDA's client: %v\n%s", err, out)
	}
	ask := func(t *testing.T, args ...string) answers {
		t.Helper()
		var out, complaints bytes.Buffer
		command := exec.CommandContext(t.Context(), program, args...)
		command.Stdout, command.Stderr = &out, &complaints
		if err := command.Run(); err != nil {
			t.Fatalf("ask: %v: %s", err, complaints.String())
		}
		var a answers
		if err := json.Unmarshal(out.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}

	w := newWorld()
	w.pool.Status.BusyCount, w.waiting = 9, 3
	plain, _ := serve(t, &Server{Handler: New(w.deps())})
	serving, err := certificate.SelfSigned(time.Now(), nil, []net.IP{net.ParseIP("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	keda := newIdentity(t)
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	raw, err := x509.MarshalPKCS8PrivateKey(keda.certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ca, cert := file("ca", serving.CA()), file("cert", keda.authority)
	key := file("key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	secure, _ := serve(t, &Server{Handler: New(w.deps()), GetCertificate: serving.GetCertificate, ClientCA: cert})

	busy := answers{
		Active: true, ActiveStream: true, Specs: []spec{{"hsj-busy-game", 3, 2.5}}, Values: []value{{"hsj-busy-game", 9, 9}},
		Errors: []string{unknown},
	}
	for name, tc := range map[string]struct {
		args []string
		want answers // errors by their beginning
	}{
		"without TLS": {[]string{"-address", plain, "-namespace", "team", "pool=game", "metric=busy", "target=2.5"}, busy},
		"with both certificates": {
			[]string{"-address", secure, "-ca", ca, "-cert", cert, "-key", key, "-namespace", "team", "pool=game", "metric=busy", "target=2.5"}, busy,
		},
		"nothing to do": {
			[]string{"-address", plain, "-namespace", "team", "pool=game", "metric=missRatio", "target=0.05"},
			answers{Specs: []spec{{"hsj-miss-ratio-game", 1, 0.05}}, Values: []value{{"hsj-miss-ratio-game", 0, 0}}, Errors: []string{unknown}},
		},
		"a pool of another namespace": {
			[]string{"-address", plain, "-namespace", "other", "pool=game", "metric=waitingLaunches", "target=1"},
			answers{Errors: []string{
				`IsActive: NotFound: metadata.pool is "game": it must be a HotStandbyJob in namespace other`,
				"StreamIsActive: NotFound: ", "GetMetricSpec: NotFound: ",
			}},
		},
		"a target that is none": {
			[]string{"-address", plain, "-namespace", "team", "pool=game", "metric=busy"},
			answers{Errors: []string{
				"IsActive: InvalidArgument: metadata.target is missing: it must be", "StreamIsActive: InvalidArgument: ", "GetMetricSpec: InvalidArgument: ",
			}},
		},
		"without a certificate": {
			[]string{"-address", secure, "-ca", ca, "-namespace", "team", "pool=game", "metric=busy", "target=1"},
			answers{Errors: []string{"IsActive: Unavailable: ", "StreamIsActive: Unavailable: ", "GetMetricSpec: Unavailable: "}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := ask(t, tc.args...)
			for i, err := range got.Errors {
				if i < len(tc.want.Errors) && strings.HasPrefix(err, tc.want.Errors[i]) {
					got.Errors[i] = tc.want.Errors[i]
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
