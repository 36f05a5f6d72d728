// SPDX-License-Identifier: Apache-2.0

package config

import (
	"flag"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lookup is an environment.
func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// TestEnvironment guards against defect 29: the variables that the Python operator named are read, all of them that
// still mean something.
func TestEnvironment(t *testing.T) {
	for name, tc := range map[string]struct {
		env    map[string]string
		change func(*Operator) // what differs from the defaults
		faults []string        // the variables that are wrong
	}{
		"nothing is set": {},
		"everything is set": {
			env: map[string]string{
				"SYNC_INTERVAL": "2.5", "REDIS_HOST": "redis.games.svc", "REDIS_PORT": "6380", "REDIS_DB": "3",
				"REDIS_PASSWORD": "secret", "REDIS_KEY_PREFIX": "pods", "REDIS_CONNECT_TIMEOUT": "2",
			},
			change: func(c *Operator) {
				c.SyncInterval = 2500 * time.Millisecond
				c.Redis = Redis{Host: "redis.games.svc", Port: 6380, DB: 3, Password: "secret", Key: "pods", ConnectTimeout: 2 * time.Second}
			},
		},
		"the operator's pod": {
			env:    map[string]string{"POD_NAME": "operator-x", "POD_NAMESPACE": "ops"},
			change: func(c *Operator) { c.PodName, c.PodNamespace = "operator-x", "ops" },
		},
		"empty variables aren't set": {
			env: map[string]string{"SYNC_INTERVAL": "", "REDIS_HOST": "", "REDIS_PORT": "", "REDIS_DB": "", "REDIS_PASSWORD": "", "REDIS_KEY_PREFIX": ""},
		},
		"an hour at most":                {env: map[string]string{"SYNC_INTERVAL": "3600"}, change: func(c *Operator) { c.SyncInterval = time.Hour }},
		"an interval that is no number":  {env: map[string]string{"SYNC_INTERVAL": "10s"}, faults: []string{"SYNC_INTERVAL"}},
		"an interval of nothing":         {env: map[string]string{"SYNC_INTERVAL": "0"}, faults: []string{"SYNC_INTERVAL"}},
		"an interval before now":         {env: map[string]string{"SYNC_INTERVAL": "-1"}, faults: []string{"SYNC_INTERVAL"}},
		"an interval that never ends":    {env: map[string]string{"SYNC_INTERVAL": "Inf"}, faults: []string{"SYNC_INTERVAL"}},
		"an interval that can't be told": {env: map[string]string{"SYNC_INTERVAL": "NaN"}, faults: []string{"SYNC_INTERVAL"}},
		"a port that is none":            {env: map[string]string{"REDIS_PORT": "65536"}, faults: []string{"REDIS_PORT"}},
		// Kubernetes sets REDIS_PORT so in pods of a namespace with a Service named redis.
		"a port as Kubernetes writes it": {env: map[string]string{"REDIS_PORT": "tcp://10.0.0.1:6379"}, faults: []string{"REDIS_PORT"}},
		"a database below 0":             {env: map[string]string{"REDIS_DB": "-1"}, faults: []string{"REDIS_DB"}},
		"all faults at once":             {env: map[string]string{"REDIS_DB": "x", "REDIS_PORT": "y", "REDIS_CONNECT_TIMEOUT": "z"}, faults: []string{"REDIS_PORT", "REDIS_DB", "REDIS_CONNECT_TIMEOUT"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := DefaultOperator(), DefaultOperator()
			if tc.change != nil {
				tc.change(&want)
			}
			err := got.Environment(lookup(tc.env))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (err != nil) != (len(tc.faults) > 0) {
				t.Fatalf("the error is %v", err)
			}
			for _, f := range tc.faults {
				if !strings.Contains(err.Error(), f+" is ") || !strings.Contains(err.Error(), "must be") {
					t.Errorf("the error %q doesn't say what %s must be", err, f)
				}
			}
		})
	}
}

func TestFlags(t *testing.T) {
	c := DefaultOperator()
	f := flag.NewFlagSet("operator", flag.ContinueOnError)
	c.Bind(f)
	if err := f.Parse(nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(DefaultOperator(), c); diff != "" {
		t.Errorf("without flags (-default +got):\n%s", diff)
	}
	err := f.Parse([]string{
		"--namespace=games", "--leader-elect=false", "--leader-election-namespace=ops", "--health-address=:1", "--metrics-address=:2",
		"--metrics-insecure", "--pprof-address=localhost:6", "--exec-through-apiserver", "--redis-password-secrets", "--workers=3", "--v=4", "--log-format=text",
		"--push=false", "--gateway-address=:3", "--gateway-url=https://gateway.example:443", "--webhook-address=127.0.0.1:4", "--certificate-secret=tls",
		"--certificate-names=gateway.example, 10.0.0.1", "--standby-image=registry.example/operator:1", "--launch-workers=5",
		"--price-per-pod-hour=0.25", "--otlp-endpoint=collector:4317",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultOperator()
	want.Namespace, want.LeaderElection, want.LeaderElectionSpace = "games", false, "ops"
	want.HealthAddress, want.MetricsAddress, want.MetricsInsecure = ":1", ":2", true
	want.PprofAddress = "localhost:6"
	want.ExecThroughAPIServer, want.RedisPasswordSecrets = true, true
	want.Workers, want.LogLevel, want.LogFormat = 3, 4, "text"
	want.PricePerPodHour, want.OTLPEndpoint = 0.25, "collector:4317"
	want.Push = Push{
		GatewayAddress: ":3", GatewayURL: "https://gateway.example:443", WebhookAddress: "127.0.0.1:4", CertificateSecret: "tls",
		CertificateNames: []string{"gateway.example", "10.0.0.1"}, StandbyImage: "registry.example/operator:1", LaunchWorkers: 5,
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("with all flags (-want +got):\n%s", diff)
	}
	f.SetOutput(io.Discard)
	if err := f.Parse([]string{"--worker=3"}); err == nil {
		t.Error("a flag that isn't known is accepted")
	}
}

func TestValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Operator)
		faults []string
	}{
		"the defaults":         {change: func(*Operator) {}},
		"no workers":           {func(c *Operator) { c.Workers = 0 }, []string{"--workers"}},
		"an unknown format":    {func(c *Operator) { c.LogFormat = "xml" }, []string{"--log-format"}},
		"less than no detail":  {func(c *Operator) { c.LogLevel = -1 }, []string{"--v"}},
		"pods that earn":       {func(c *Operator) { c.PricePerPodHour = -0.1 }, []string{"--price-per-pod-hour"}},
		"a price of no number": {func(c *Operator) { c.PricePerPodHour = math.NaN() }, []string{"--price-per-pod-hour"}},
		"a price without end":  {func(c *Operator) { c.PricePerPodHour = math.Inf(1) }, []string{"--price-per-pod-hour"}},
		"a price":              {change: func(c *Operator) { c.PricePerPodHour = 0.034 }},
		"a collector":          {change: func(c *Operator) { c.OTLPEndpoint = "collector.monitoring:4317" }},
		"a collector with TLS": {change: func(c *Operator) { c.OTLPEndpoint = "https://[fd00::1]:4317/" }},
		"a collector's name":   {func(c *Operator) { c.OTLPEndpoint = "collector" }, []string{"--otlp-endpoint"}},
		"a collector by HTTP":  {func(c *Operator) { c.OTLPEndpoint = "http://collector:4318/v1/traces" }, []string{"--otlp-endpoint"}},
		"a collector by FTP":   {func(c *Operator) { c.OTLPEndpoint = "ftp://collector:21" }, []string{"--otlp-endpoint"}},
		"no page":              {change: func(c *Operator) { c.UIAddress = Off }},
		"a page without port":  {func(c *Operator) { c.UIAddress = "localhost" }, []string{"--ui-address"}},
		"profiles, anywhere":   {func(c *Operator) { c.PprofAddress = "6060" }, []string{"--pprof-address"}},
		"all at once":          {func(c *Operator) { c.Workers, c.LogFormat, c.LogLevel = -1, "", -2 }, []string{"--workers", "--log-format", "--v"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultOperator()
			tc.change(&c)
			err := c.Validate()
			if (err != nil) != (len(tc.faults) > 0) {
				t.Fatalf("the error is %v", err)
			}
			for _, f := range tc.faults {
				if !strings.Contains(err.Error(), f+" is ") {
					t.Errorf("the error %q doesn't name %s", err, f)
				}
			}
		})
	}
}

// TestAddress guards against defect 17, for the server.
func TestAddress(t *testing.T) {
	for host, want := range map[string]string{"localhost": "localhost:6379", "10.0.0.1": "10.0.0.1:6379", "fd00::1": "[fd00::1]:6379"} {
		if got := (Redis{Host: host, Port: 6379}).Address(); got != want {
			t.Errorf("the address of %s is %s, want %s", host, got, want)
		}
	}
}
