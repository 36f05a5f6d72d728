// SPDX-License-Identifier: Apache-2.0

// Command keda asks an external scaler as KEDA does, by KEDA's own generated client, and prints the answers as JSON.
//
// It is a module of its own, since KEDA's requires some 300 others.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// answers are what the scaler says; an error is the code and the message of gRPC.
type answers struct {
	Active       bool     // IsActive
	ActiveStream bool     // the first answer of StreamIsActive
	Specs        []spec   // GetMetricSpec
	Values       []value  // GetMetrics, of each of the specs
	Errors       []string // what was refused, each with its method
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

func main() {
	address := flag.String("address", "", "host:port of the scaler")
	ca := flag.String("ca", "", "file with the authority of the scaler's certificate; empty: without TLS")
	cert := flag.String("cert", "", "file with the client's certificate")
	key := flag.String("key", "", "file with its key")
	namespace := flag.String("namespace", "", "of the ScaledObject")
	flag.Parse()
	err := run(*address, *ca, *cert, *key, &externalscaler.ScaledObjectRef{Name: "scale", Namespace: *namespace, ScalerMetadata: metadata(flag.Args())})
	if err != nil {
		fmt.Fprintln(os.Stderr, "keda:", err)
		os.Exit(1)
	}
}

// metadata reads arguments such as metric=busy.
func metadata(args []string) map[string]string {
	m := map[string]string{}
	for _, arg := range args {
		field, text, _ := strings.Cut(arg, "=")
		m[field] = text
	}
	return m
}

func run(address, ca, cert, key string, ref *externalscaler.ScaledObjectRef) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	transport, err := transport(ca, cert, key)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	return json.NewEncoder(os.Stdout).Encode(ask(ctx, externalscaler.NewExternalScalerClient(connection), ref))
}

// transport is how KEDA connects: without TLS, or with it, and maybe with a certificate of its own.
func transport(ca, cert, key string) (credentials.TransportCredentials, error) {
	if ca == "" {
		return insecure.NewCredentials(), nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	c.RootCAs.AppendCertsFromPEM(text)
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(c), nil
}

func ask(ctx context.Context, c externalscaler.ExternalScalerClient, ref *externalscaler.ScaledObjectRef) answers {
	var a answers
	failed := func(method string, err error) bool {
		if err != nil {
			a.Errors = append(a.Errors, fmt.Sprintf("%s: %s: %s", method, status.Code(err), status.Convert(err).Message()))
		}
		return err != nil
	}
	if active, err := c.IsActive(ctx, ref); !failed("IsActive", err) {
		a.Active = active.GetResult()
	}
	if stream, err := c.StreamIsActive(ctx, ref); !failed("StreamIsActive", err) {
		if first, err := stream.Recv(); !failed("StreamIsActive", err) {
			a.ActiveStream = first.GetResult()
		}
	}
	specs, err := c.GetMetricSpec(ctx, ref)
	if failed("GetMetricSpec", err) {
		return a
	}
	for _, s := range specs.GetMetricSpecs() {
		a.Specs = append(a.Specs, spec{s.GetMetricName(), s.GetTargetSize(), s.GetTargetSizeFloat()})
		values, err := c.GetMetrics(ctx, &externalscaler.GetMetricsRequest{ScaledObjectRef: ref, MetricName: s.GetMetricName()})
		if failed("GetMetrics", err) {
			continue
		}
		for _, v := range values.GetMetricValues() {
			a.Values = append(a.Values, value{v.GetMetricName(), v.GetMetricValue(), v.GetMetricValueFloat()})
		}
	}
	// KEDA takes it that a scaler that doesn't know this method need not.
	if stream, err := c.StreamMetricSpec(ctx, ref); !failed("StreamMetricSpec", err) {
		_, err := stream.Recv()
		failed("StreamMetricSpec", err)
	}
	return a
}
