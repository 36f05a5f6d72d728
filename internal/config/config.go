// SPDX-License-Identifier: Apache-2.0

// Package config is what the programs can be told: flags and environment, their defaults and what is wrong with them.
package config

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Operator is the configuration of the operator.
type Operator struct {
	Namespace            string // the only namespace that is served; empty: all
	LeaderElection       bool
	LeaderElectionSpace  string // namespace of the Lease; empty: that of the operator's pod
	HealthAddress        string
	MetricsAddress       string
	MetricsInsecure      bool
	UIAddress            string
	PprofAddress         string
	ExecThroughAPIServer bool
	RedisPasswordSecrets bool
	Workers              int
	SharedJobIndexes     int32
	LogLevel             int
	LogFormat            string

	// SyncInterval is the period of busy signals that have no period of their own.
	SyncInterval time.Duration
	Redis        Redis

	// PricePerPodHour is what an idle pod costs, for the metrics; 0: nothing is said about costs.
	PricePerPodHour float64

	// OTLPEndpoint is where traces of launches are sent to; empty: none are made.
	OTLPEndpoint string

	Push   Push
	Scaler Scaler

	// PodName and PodNamespace are the operator's own pod; empty outside of a cluster.
	PodName      string
	PodNamespace string
}

// Redis is the server that pools use that name none.
type Redis struct {
	Host           string
	Port           int
	DB             int
	Password       string
	Key            string
	ConnectTimeout time.Duration
}

// Address is host:port.
func (r Redis) Address() string { return net.JoinHostPort(r.Host, strconv.Itoa(r.Port)) }

// DefaultOperator is the configuration of an operator that is told nothing.
func DefaultOperator() Operator {
	return Operator{
		LeaderElection: true,
		HealthAddress:  ":8081",
		MetricsAddress: ":8443",
		UIAddress:      ":7444",
		PprofAddress:   Off,
		Workers:        16,
		// Below the 100,000 indexes that an Indexed Job can have, with room for a whole burst.
		SharedJobIndexes: 90_000,
		LogFormat:        "json",
		SyncInterval:     10 * time.Second,
		Redis:            Redis{Host: "localhost", Port: 6379, Key: "mlgame-daemon-pod", ConnectTimeout: 5 * time.Second},
		Push:             defaultPush(),
		Scaler:           Scaler{Address: Off},
	}
}

// Bind makes the configuration's fields flags.
func (c *Operator) Bind(f *flag.FlagSet) {
	f.StringVar(&c.Namespace, "namespace", c.Namespace, "serve the HotStandbyJobs of this namespace only (default: all namespaces)")
	f.BoolVar(&c.LeaderElection, "leader-elect", c.LeaderElection, "work only while holding the Lease, so that several replicas can run")
	f.StringVar(&c.LeaderElectionSpace, "leader-election-namespace", c.LeaderElectionSpace, "namespace of the Lease (default: the operator's own, when it runs in a cluster)")
	f.StringVar(&c.HealthAddress, "health-address", c.HealthAddress, "where /healthz and /readyz are served; 0 turns them off")
	f.StringVar(&c.MetricsAddress, "metrics-address", c.MetricsAddress, "where /metrics is served, over TLS and to those who may `get` it; 0 turns it off")
	f.BoolVar(&c.MetricsInsecure, "metrics-insecure", c.MetricsInsecure, "serve /metrics over plain HTTP, to everybody")
	f.StringVar(&c.UIAddress, "ui-address", c.UIAddress, "where the page is served that shows what pools do, over TLS, by the operator that leads; its data is for those who may `list` pools; 0 turns it off")
	f.StringVar(&c.PprofAddress, "pprof-address", c.PprofAddress, "where /debug/pprof/ is served, the profiles of Go programs, over plain HTTP and to everybody: an address of localhost, such as localhost:6060, unless you know who can reach it; 0 turns it off")
	f.BoolVar(&c.ExecThroughAPIServer, "exec-through-apiserver", c.ExecThroughAPIServer, "run exec probes through the API server where the kubelet can't; needs the permission pods/exec (config/components/exec)")
	f.BoolVar(&c.RedisPasswordSecrets, "redis-password-secrets", c.RedisPasswordSecrets, "read Redis passwords from the Secrets that pools name; needs the permission to get Secrets (config/components/redis-secrets)")
	f.IntVar(&c.Workers, "workers", c.Workers, "pools that are worked on at the same time")
	f.IntVar(&c.LogLevel, "v", c.LogLevel, "log verbosity: 0 changes of state, 1 decisions, 4 every pass")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "json or text")
	f.Float64Var(&c.PricePerPodHour, "price-per-pod-hour", c.PricePerPodHour, "what an idle pod costs in an hour, in any currency, for the metric of what idle pods cost; 0: there is none")
	f.StringVar(&c.OTLPEndpoint, "otlp-endpoint", c.OTLPEndpoint, "where traces of launches are sent to by OTLP over gRPC: host:port or http://host:port without TLS, https://host:port with it (default: no traces); the variables OTEL_* of OpenTelemetry's SDK hold as well")
	c.Push.bind(f)
	c.Scaler.bind(f)
}

// Environment takes the variables that the Python operator read, and the name of the operator's own pod, which the
// Downward API sets. Those that are wrong are named in the error.
func (c *Operator) Environment(lookup func(string) (string, bool)) error {
	e := environment{lookup: lookup}
	e.seconds("SYNC_INTERVAL", &c.SyncInterval)
	e.word("REDIS_HOST", &c.Redis.Host)
	e.number("REDIS_PORT", &c.Redis.Port, 1, 65535)
	e.number("REDIS_DB", &c.Redis.DB, 0, math.MaxInt32)
	e.word("REDIS_PASSWORD", &c.Redis.Password)
	e.word("REDIS_KEY_PREFIX", &c.Redis.Key)
	e.seconds("REDIS_CONNECT_TIMEOUT", &c.Redis.ConnectTimeout)
	e.word("POD_NAME", &c.PodName)
	e.word("POD_NAMESPACE", &c.PodNamespace)
	return errors.Join(e.faults...)
}

// environment reads variables, and notes what is wrong with them. An empty one is one that isn't set.
type environment struct {
	lookup func(string) (string, bool)
	faults []error
}

func (e *environment) word(name string, to *string) {
	if text, _ := e.lookup(name); text != "" {
		*to = text
	}
}

func (e *environment) number(name string, to *int, least, most int) {
	text := ""
	if e.word(name, &text); text == "" {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		e.faults = append(e.faults, fmt.Errorf("%s is %q: it must be a number from %d to %d", name, text, least, most))
		return
	}
	*to = n
}

func (e *environment) seconds(name string, to *time.Duration) {
	text := ""
	if e.word(name, &text); text == "" {
		return
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s > 0 && s <= 3600) { // written so that NaN is refused, too
		e.faults = append(e.faults, fmt.Errorf("%s is %q: it must be a number of seconds above 0, at most 3600", name, text))
		return
	}
	*to = time.Duration(s * float64(time.Second))
}

// Validate says what is wrong, all of it at once.
func (c *Operator) Validate() error {
	var faults []error
	if c.Workers < 1 {
		faults = append(faults, fmt.Errorf("--workers is %d: it must be at least 1", c.Workers))
	}
	faults = append(faults, address("--ui-address", c.UIAddress), address("--pprof-address", c.PprofAddress))
	if c.LogFormat != "json" && c.LogFormat != "text" {
		faults = append(faults, fmt.Errorf("--log-format is %q: it must be json or text", c.LogFormat))
	}
	if c.LogLevel < 0 {
		faults = append(faults, fmt.Errorf("--v is %d: it must not be negative", c.LogLevel))
	}
	if !(c.PricePerPodHour >= 0 && c.PricePerPodHour <= math.MaxFloat32) { // written so that NaN is refused, too
		faults = append(faults, fmt.Errorf("--price-per-pod-hour is %v: it must be a number, 0 or more", c.PricePerPodHour))
	}
	if err := validEndpoint(c.OTLPEndpoint); err != nil {
		faults = append(faults, err)
	}
	faults = append(faults, c.validatePush(), c.validateScaler())
	return errors.Join(faults...)
}

// validEndpoint says what is wrong with an endpoint for traces.
func validEndpoint(endpoint string) error {
	host := endpoint
	if strings.Contains(endpoint, "://") {
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("--otlp-endpoint is %q: it must be host:port, http://host:port or https://host:port", endpoint)
		}
		host = u.Host
	}
	if name, port, err := net.SplitHostPort(host); endpoint != "" && (err != nil || name == "" || port == "") {
		return fmt.Errorf("--otlp-endpoint is %q: it must be host:port, such as collector.monitoring:4317, with http:// or https:// before it or not", endpoint)
	}
	return nil
}
