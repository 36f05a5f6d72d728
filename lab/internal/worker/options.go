// SPDX-License-Identifier: Apache-2.0

// Package worker is the demo worker: a program that idles, becomes busy in any of the ways that a HotStandbyJob can see,
// works for a time and ends. It can be driven by time or from outside.
package worker

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// The ways of telling others that this worker is busy.
const (
	ByNone       = "none"
	ByFile       = "file"
	ByAnnotation = "annotation"
	ByHTTP       = "http"
	ByRedis      = "redis"
	ByReport     = "report"
)

// Options say what the worker does.
type Options struct {
	// Start is how long it takes to become idle.
	Start time.Duration
	// BusyAfter is how long it idles before it becomes busy by itself; with zero it waits to be told.
	BusyAfter time.Duration
	// BusyFor is how long it works before it ends; with zero it waits to be told.
	BusyFor time.Duration
	// Jitter makes every one of these times between half and one and a half of what it says.
	Jitter bool
	// Exit is the code that it ends with after its work.
	Exit int
	// BusyBy is how it tells others: one of the constants.
	BusyBy string
	// Listen is the address of its HTTP server, which is none if empty.
	Listen string
	// File is there while the worker is busy, in mode ByFile.
	File string
	// Annotation is the key of the pod's annotation, in mode ByAnnotation.
	Annotation string
	// Socket is the entrypoint's, in mode ByReport.
	Socket string
	// Heartbeat is how often it repeats what it said, in mode ByRedis.
	Heartbeat time.Duration
	Redis     RedisOptions
	Pod       Pod
}

// RedisOptions say where the Redis hash is that the operator reads.
type RedisOptions struct {
	Address, Password, Key string
	DB                     int
}

// Pod is who the worker is.
type Pod struct{ Namespace, Name string }

// Environment is where defaults come from.
type Environment func(key string) string

// Parse reads options from arguments and the environment.
func Parse(args []string, env Environment) (Options, error) {
	o := Options{Pod: podFrom(env), Redis: RedisOptions{Password: env("REDIS_PASSWORD")}}
	flags := flag.NewFlagSet("worker run", flag.ContinueOnError)
	flags.DurationVar(&o.Start, "start", 0, "how long it takes to become idle")
	flags.DurationVar(&o.BusyAfter, "busy-after", 0, "how long it idles before it becomes busy by itself; 0: until POST /busy")
	flags.DurationVar(&o.BusyAfter, "idle", 0, "another name of -busy-after")
	flags.DurationVar(&o.BusyFor, "busy-for", 0, "how long it works before it ends; 0: until POST /idle or POST /exit?code=N")
	flags.BoolVar(&o.Jitter, "jitter", false, "make each of these times between half and one and a half of what it says")
	flags.IntVar(&o.Exit, "exit", 0, "the exit code after its work")
	flags.StringVar(&o.BusyBy, "busy-by", ByNone, "how it tells that it is busy: none, file, annotation, http, redis or report")
	flags.StringVar(&o.Listen, "listen", ":8080", "address of GET /busy, /ready, /state and POST /busy, /idle, /exit?code=N; empty for none")
	flags.StringVar(&o.File, "file", "/tmp/busy_state", "the file that is there while it is busy, with -busy-by file")
	flags.StringVar(&o.Annotation, "annotation", "paia.tech/busy", "the annotation that is true while it is busy, with -busy-by annotation")
	flags.StringVar(&o.Socket, "socket", "/.hsj/run/report.sock", "the entrypoint's socket, with -busy-by report")
	flags.DurationVar(&o.Heartbeat, "heartbeat", 10*time.Second, "how often its Redis entry is renewed")
	flags.StringVar(&o.Redis.Address, "redis-address", net.JoinHostPort(cmp.Or(env("REDIS_HOST"), "localhost"), cmp.Or(env("REDIS_PORT"), "6379")), "Redis server (environment: REDIS_HOST, REDIS_PORT, REDIS_PASSWORD)")
	flags.StringVar(&o.Redis.Key, "redis-key", cmp.Or(env("REDIS_KEY_PREFIX"), "mlgame-daemon-pod"), "key of the Redis hash (environment: REDIS_KEY_PREFIX)")
	db, err := strconv.Atoi(cmp.Or(env("REDIS_DB"), "0"))
	if err != nil {
		return o, fmt.Errorf("REDIS_DB is not a number: %w", err)
	}
	flags.IntVar(&o.Redis.DB, "redis-db", db, "Redis database (environment: REDIS_DB)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, o.validate()
}

func (o Options) validate() error {
	faults := []error{o.validateBusyBy()}
	if o.Exit < 0 || o.Exit > 255 {
		faults = append(faults, fmt.Errorf("-exit %d: choose 0 to 255", o.Exit))
	}
	if o.Start < 0 || o.BusyAfter < 0 || o.BusyFor < 0 || o.Heartbeat <= 0 {
		faults = append(faults, errors.New("times must not be negative, and -heartbeat not zero"))
	}
	return errors.Join(faults...)
}

func (o Options) validateBusyBy() error {
	switch o.BusyBy {
	case ByNone, ByFile, ByReport:
	case ByAnnotation, ByRedis:
		if o.Pod.Name == "" || o.Pod.Namespace == "" {
			return errors.New("set POD_NAME and POD_NAMESPACE from the downward API")
		}
	case ByHTTP:
		if o.Listen == "" {
			return errors.New("-busy-by http needs -listen")
		}
	default:
		return fmt.Errorf("-busy-by %q: choose none, file, annotation, http, redis or report", o.BusyBy)
	}
	return nil
}

// namespaceFile is where every pod with a service account finds its namespace.
const namespaceFile = serviceAccountDir + "/namespace"

// podFrom finds out who the worker is: a pod's host name is its name, unless its template sets another one.
func podFrom(env Environment) Pod {
	p := Pod{Namespace: env("POD_NAMESPACE"), Name: env("POD_NAME")}
	if p.Name == "" {
		p.Name, _ = os.Hostname() // An empty name is refused where one is needed.
	}
	if p.Namespace == "" {
		raw, _ := os.ReadFile(namespaceFile) // So is an empty namespace.
		p.Namespace = string(raw)
	}
	return p
}
