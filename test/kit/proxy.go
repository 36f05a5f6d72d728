// SPDX-License-Identifier: Apache-2.0

package kit

import (
	"io"
	"net"
	"net/url"
	"sync"

	"k8s.io/client-go/rest"
)

// Proxy stands between a client and a server, and can keep them apart.
type Proxy struct {
	server string
	listen net.Listener

	mu    sync.Mutex
	deaf  bool // answers don't arrive
	down  bool // connections are refused
	conns map[net.Conn]bool
	moved *sync.Cond
	ended bool
}

// Proxied is the namespace with the operator's connections going through a proxy. The test's own do not.
func (e *Env) Proxied() (*Env, *Proxy) {
	e.T.Helper()
	address, err := url.Parse(e.Config.Host)
	if err != nil {
		e.T.Fatal(err)
	}
	p, at := e.proxyTo("127.0.0.1", address.Host)
	other := *e
	other.Config = rest.CopyConfig(e.Config)
	other.Config.Host = "https://" + at
	other.Config.ServerName = address.Hostname()
	return &other, p
}

// Before is a proxy before a server, and where pods find it.
func (e *Env) Before(server string) (p *Proxy, at string) {
	e.T.Helper()
	return e.proxyTo(e.HostIP(), server)
}

// proxyTo is a proxy that listens on an IP address until the test ends, and where.
func (e *Env) proxyTo(ip, server string) (p *Proxy, at string) {
	e.T.Helper()
	var config net.ListenConfig
	listen, err := config.Listen(e.T.Context(), "tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		e.T.Fatal(err)
	}
	p = &Proxy{server: server, listen: listen, conns: map[net.Conn]bool{}}
	p.moved = sync.NewCond(&p.mu)
	var wait sync.WaitGroup
	wait.Go(func() { p.serve(&wait) })
	e.T.Cleanup(func() {
		_ = listen.Close()
		p.set(func() { p.ended = true })
		p.Reset()
		wait.Wait()
	})
	return p, listen.Addr().String()
}

func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.moved.Broadcast()
}

// Deafen has requests reach the server, while no answer arrives until Hear.
func (p *Proxy) Deafen() { p.set(func() { p.deaf = true }) }

// Hear ends Deafen. What was held back arrives now, unless the connection was reset.
func (p *Proxy) Hear() { p.set(func() { p.deaf = false }) }

// Refuse closes all connections and accepts no new one until Accept.
func (p *Proxy) Refuse() {
	p.set(func() { p.down = true })
	p.Reset()
}

// Accept ends Refuse.
func (p *Proxy) Accept() { p.set(func() { p.down = false }) }

// Reset breaks all connections.
func (p *Proxy) Reset() {
	p.set(func() {
		for c := range p.conns {
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = c.Close()
		}
		clear(p.conns)
	})
}

func (p *Proxy) serve(wait *sync.WaitGroup) {
	for {
		client, err := p.listen.Accept()
		if err != nil {
			return
		}
		var dialer net.Dialer
		server, err := dialer.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			continue
		}
		wait.Go(func() { _, _ = io.Copy(server, client); p.drop(client, server) })
		wait.Go(func() { p.answer(client, server) })
	}
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.down || p.ended {
			_ = c.Close()
			continue
		}
		p.conns[c] = true
	}
	return !p.down && !p.ended
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.set(func() {
		for _, c := range conns {
			_ = c.Close()
			delete(p.conns, c)
		}
	})
}

// answer copies what the server says, while it may.
func (p *Proxy) answer(client, server net.Conn) {
	defer p.drop(client, server)
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil || !p.heard(client) {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// heard waits until answers arrive, and says whether the connection is still there.
func (p *Proxy) heard(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.deaf && p.conns[client] && !p.ended {
		p.moved.Wait()
	}
	return p.conns[client] && !p.ended
}
