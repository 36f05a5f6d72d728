// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// GatewayService is the name of the Service that leads to the gateway of the leading operator.
const GatewayService = "hotstandbyjob-gateway"

// Off is the address of what isn't served.
const Off = "0"

// Push is the configuration of launches: of Jobs that start in pods of pools with assignment: Push.
type Push struct {
	Enabled           bool
	GatewayAddress    string
	GatewayURL        string // what pods are told; see Operator.StandbyURL
	GatewayAnyAddress bool   // pods may attach from addresses that aren't theirs
	WebhookAddress    string
	CertificateSecret string
	CertificateNames  []string
	StandbyImage      string
	LaunchWorkers     int
}

func defaultPush() Push {
	return Push{
		Enabled:           true,
		GatewayAddress:    ":7443",
		WebhookAddress:    ":9443",
		CertificateSecret: "hotstandbyjob-certificate",
		LaunchWorkers:     64,
	}
}

func (p *Push) bind(f *flag.FlagSet) {
	f.BoolVar(&p.Enabled, "push", p.Enabled, "serve launches, which pools with assignment: Push need: false turns off the webhook, the gateway and their certificates, and Jobs with a pool's label are ordinary Jobs")
	f.StringVar(&p.GatewayAddress, "gateway-address", p.GatewayAddress, "where the gateway listens, to which standby pods hold a connection so that a launch reaches them at once; 0 turns it off, and launches reach pods through a file, seconds later")
	f.StringVar(&p.GatewayURL, "gateway-url", p.GatewayURL, "https://host:port by which standby pods reach the gateway (default: its Service, when the operator runs in a cluster, and otherwise none)")
	f.BoolVar(&p.GatewayAnyAddress, "gateway-any-address", p.GatewayAnyAddress, "let standby pods connect from addresses that aren't theirs, which is necessary where a proxy or NAT between them and the operator rewrites addresses; a stolen token of a pod is then good anywhere")
	f.StringVar(&p.WebhookAddress, "webhook-address", p.WebhookAddress, "where the webhook listens, which hands Jobs to the launcher; 0 turns it off, and then only Jobs that set spec.managedBy themselves are launched")
	f.StringVar(&p.CertificateSecret, "certificate-secret", p.CertificateSecret, "Secret in the operator's namespace in which it keeps the certificate of webhook and gateway; empty, or outside of a cluster, the certificate is made anew at each start and kept in memory")
	f.Func("certificate-names", "more DNS names, separated by commas, that webhook and gateway are reached by; IP addresses too if the certificate is kept in memory", func(text string) error {
		p.CertificateNames = nil
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); name != "" {
				p.CertificateNames = append(p.CertificateNames, name)
			}
		}
		return nil
	})
	f.StringVar(&p.StandbyImage, "standby-image", p.StandbyImage, "image that has the entrypoint of standby pods as /standby (default: the operator's own image, when it runs in a cluster)")
	f.IntVar(&p.LaunchWorkers, "launch-workers", p.LaunchWorkers, "Jobs that are launched at the same time")
}

// InMemory says whether the certificate is kept in memory rather than in a Secret.
func (c *Operator) InMemory() bool { return c.Push.CertificateSecret == "" || c.PodNamespace == "" }

// StandbyURL is by what standby pods reach the gateway; empty if they can't.
func (c *Operator) StandbyURL() string {
	switch {
	case c.Push.GatewayAddress == Off:
		return ""
	case c.Push.GatewayURL != "":
		return c.Push.GatewayURL
	case c.PodNamespace != "":
		return "https://" + ServiceName(GatewayService, c.PodNamespace) + ":7443"
	}
	return ""
}

// ServiceName is the DNS name of a Service.
func ServiceName(service, namespace string) string { return service + "." + namespace + ".svc" }

// CertificateHosts are the DNS names and IP addresses of the certificate: those of the Services, that of the gateway's
// URL, and those that were asked for. Outside of a cluster they are also this machine's.
func (c *Operator) CertificateHosts(services ...string) (names []string, ips []net.IP) {
	hosts := []string{}
	if c.PodNamespace != "" {
		for _, service := range services {
			hosts = append(hosts, ServiceName(service, c.PodNamespace))
		}
	} else {
		hosts = append(hosts, "localhost", "127.0.0.1", "::1")
	}
	if u, err := url.Parse(c.StandbyURL()); err == nil && u.Hostname() != "" {
		hosts = append(hosts, u.Hostname())
	}
	seen := map[string]bool{}
	for _, host := range append(hosts, c.Push.CertificateNames...) {
		if seen[host] {
			continue
		}
		seen[host] = true
		if ip := net.ParseIP(host); ip != nil {
			ips = append(ips, ip)
		} else {
			names = append(names, host)
		}
	}
	return names, ips
}

// dnsName is a DNS name, maybe with a wildcard; as a name of an object it can't have one.
var dnsName = regexp.MustCompile(`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// validatePush says what is wrong with the configuration of launches. What is off isn't looked at.
func (c *Operator) validatePush() error {
	p := &c.Push
	if !p.Enabled {
		return nil
	}
	faults := []error{address("--gateway-address", p.GatewayAddress), address("--webhook-address", p.WebhookAddress), c.validateURL()}
	if s := p.CertificateSecret; s != "" && (!dnsName.MatchString(s) || strings.HasPrefix(s, "*") || len(s) > 253) {
		faults = append(faults, fmt.Errorf("--certificate-secret is %q: it must be a name that a Secret can have", s))
	}
	for _, name := range p.CertificateNames {
		faults = append(faults, c.certificateName(name))
	}
	if p.LaunchWorkers < 1 {
		faults = append(faults, fmt.Errorf("--launch-workers is %d: it must be at least 1", p.LaunchWorkers))
	}
	return errors.Join(faults...)
}

func (c *Operator) validateURL() error {
	text := c.Push.GatewayURL
	if err := gatewayURL(text); err != nil {
		return fmt.Errorf("--gateway-url is %q: it must be https://host:port: %w", text, err)
	}
	if u, err := url.Parse(text); err == nil && net.ParseIP(u.Hostname()) != nil && !c.InMemory() {
		return fmt.Errorf("--gateway-url is %q: it must have a DNS name, since a certificate in a Secret can't be for an IP address; --certificate-secret= keeps the certificate in memory", text)
	}
	return nil
}

func (c *Operator) certificateName(name string) error {
	switch {
	case net.ParseIP(name) != nil:
		if !c.InMemory() {
			return fmt.Errorf("--certificate-names is %q: it must be a DNS name, since a certificate in a Secret can't be for an IP address; --certificate-secret= keeps the certificate in memory", name)
		}
	case !dnsName.MatchString(name) || len(name) > 253:
		return fmt.Errorf("--certificate-names is %q: it must be a DNS name or an IP address", name)
	}
	return nil
}

// address checks where a server shall listen.
func address(flag, text string) error {
	if text == Off {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err == nil && host != "" && host != "localhost" {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return fmt.Errorf("%s is %q: it must be host:port or :port, with an IP address for the host, or 0 for none: %w", flag, text, err)
	}
	return nil
}

func gatewayURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "https":
		return errors.New("it isn't https")
	case u.Hostname() == "" || u.Port() == "":
		return errors.New("a part is missing")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("there is more than that")
	}
	return nil
}
