// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValidatePush(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Operator)
		faults []string
	}{
		"the defaults in a cluster":   {change: inCluster},
		"no gateway and no webhook":   {change: func(c *Operator) { c.Push.GatewayAddress, c.Push.WebhookAddress = Off, Off }},
		"an address of one interface": {change: func(c *Operator) { c.Push.GatewayAddress = "[::1]:0" }},
		"an address without a port":   {func(c *Operator) { c.Push.GatewayAddress = "localhost" }, []string{"--gateway-address"}},
		"a port that is none":         {func(c *Operator) { c.Push.WebhookAddress = ":65536" }, []string{"--webhook-address"}},
		"a host that is a name":       {func(c *Operator) { c.Push.WebhookAddress = "example.com:9443" }, []string{"--webhook-address"}},
		"a gateway by its address":    {change: func(c *Operator) { c.Push.GatewayURL = "https://10.0.0.1:7443/" }},
		"a gateway without TLS":       {func(c *Operator) { c.Push.GatewayURL = "http://gateway:80" }, []string{"--gateway-url"}},
		"a gateway without a port":    {func(c *Operator) { c.Push.GatewayURL = "https://gateway" }, []string{"--gateway-url"}},
		"a gateway with a path":       {func(c *Operator) { c.Push.GatewayURL = "https://gateway:1/a" }, []string{"--gateway-url"}},
		"a gateway that is no URL":    {func(c *Operator) { c.Push.GatewayURL = "https://gate way:%" }, []string{"--gateway-url"}},
		"no Secret":                   {change: func(c *Operator) { inCluster(c); c.Push.CertificateSecret = "" }},
		"a Secret that can't be":      {func(c *Operator) { c.Push.CertificateSecret = "My Secret" }, []string{"--certificate-secret"}},
		"more names":                  {change: func(c *Operator) { c.Push.CertificateNames = []string{"*.example.com", "a", "fd00::1"} }},
		"a name that is none":         {func(c *Operator) { c.Push.CertificateNames = []string{"https://a"} }, []string{"--certificate-names"}},
		"an IP address in a Secret": {
			func(c *Operator) { inCluster(c); c.Push.CertificateNames = []string{"10.0.0.1"} },
			[]string{"--certificate-names"},
		},
		"a gateway's IP address in a Secret": {
			func(c *Operator) { inCluster(c); c.Push.GatewayURL = "https://10.0.0.1:7443" },
			[]string{"--gateway-url"},
		},
		"nobody who launches": {func(c *Operator) { c.Push.LaunchWorkers = 0 }, []string{"--launch-workers"}},
		"what is off doesn't matter": {change: func(c *Operator) {
			c.Push = Push{GatewayAddress: "x", GatewayURL: "y"}
		}},
		"all at once": {
			func(c *Operator) { c.Push.GatewayAddress, c.Push.GatewayURL, c.Push.LaunchWorkers = "", "x", -1 },
			[]string{"--gateway-address", "--gateway-url", "--launch-workers"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultOperator()
			tc.change(&c)
			err := c.Validate()
			if (err != nil) != (len(tc.faults) > 0) {
				t.Fatalf("the error is %v", err)
			}
			for _, f := range tc.faults {
				if !strings.Contains(err.Error(), f+" is ") || !strings.Contains(err.Error(), "must be") && !strings.Contains(err.Error(), "must have") {
					t.Errorf("the error %q doesn't say what %s must be", err, f)
				}
			}
		})
	}
}

func inCluster(c *Operator) { c.PodName, c.PodNamespace = "operator-x", "ops" }

func TestStandbyURL(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Operator)
		want   string
	}{
		"in a cluster its Service":            {inCluster, "https://hotstandbyjob-gateway.ops.svc:7443"},
		"outside of a cluster none":           {func(*Operator) {}, ""},
		"the one that is given":               {func(c *Operator) { inCluster(c); c.Push.GatewayURL = "https://gateway:1" }, "https://gateway:1"},
		"without a gateway none, whatever is": {func(c *Operator) { inCluster(c); c.Push.GatewayURL, c.Push.GatewayAddress = "https://gateway:1", Off }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultOperator()
			tc.change(&c)
			if got := c.StandbyURL(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCertificateHosts(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Operator)
		names  []string
		ips    []net.IP
		memory bool
	}{
		"in a cluster its Services": {
			change: inCluster, names: []string{"hotstandbyjob-webhook.ops.svc", "hotstandbyjob-gateway.ops.svc"},
		},
		"in a cluster, with more": {
			change: func(c *Operator) {
				inCluster(c)
				c.Push.GatewayURL, c.Push.CertificateNames = "https://gateway.example:443", []string{"a.example", "gateway.example"}
			},
			names: []string{"hotstandbyjob-webhook.ops.svc", "hotstandbyjob-gateway.ops.svc", "gateway.example", "a.example"},
		},
		"outside of a cluster this machine": {
			change: func(*Operator) {}, names: []string{"localhost"}, ips: []net.IP{net.ParseIP("127.0.0.1"), net.IPv6loopback}, memory: true,
		},
		"outside of a cluster, with more": {
			change: func(c *Operator) {
				c.Push.GatewayURL, c.Push.CertificateNames = "https://10.0.0.1:7443", []string{"a.example", "10.0.0.2"}
			},
			names:  []string{"localhost", "a.example"},
			ips:    []net.IP{net.ParseIP("127.0.0.1"), net.IPv6loopback, net.ParseIP("10.0.0.1"), net.ParseIP("10.0.0.2")},
			memory: true,
		},
		"in a cluster without a Secret": {
			change: func(c *Operator) { inCluster(c); c.Push.CertificateSecret = "" },
			names:  []string{"hotstandbyjob-webhook.ops.svc", "hotstandbyjob-gateway.ops.svc"}, memory: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := DefaultOperator()
			tc.change(&c)
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			names, ips := c.CertificateHosts("hotstandbyjob-webhook", GatewayService)
			if diff := cmp.Diff(tc.names, names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.ips, ips); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			if c.InMemory() != tc.memory {
				t.Errorf("in memory: %v, want %v", c.InMemory(), tc.memory)
			}
		})
	}
}
