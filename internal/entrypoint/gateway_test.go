// SPDX-License-Identifier: Apache-2.0

package entrypoint

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A connection of which no packet arrives any more looks like one on which nothing happens.
func TestADeadConnectionIsNoticed(t *testing.T) {
	k := newKubelet(t)
	s := newServer(t, k)
	address, drop := proxy(t, strings.TrimPrefix(s.URL, "https://"))
	c := DefaultConfig()
	c.GatewayURL, c.LaunchDir = "https://"+address, k.dir
	c.PingInterval, c.PingTimeout = 20*time.Millisecond, 500*time.Millisecond
	g := newGateway(c)
	defer g.close()
	stream, err := g.attach(t.Context(), activity{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	if _, err := receive(stream); err != nil {
		t.Fatal(err)
	}
	<-s.attached
	drop.Store(true)
	if _, err := receive(stream); err == nil {
		t.Error("it received something over a dead connection")
	}
}

// proxy forwards connections to an address, until it is told to drop all that it gets.
func proxy(t *testing.T, to string) (address string, drop *atomic.Bool) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	drop = &atomic.Bool{}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
			go copyUntil(drop, near, far)
			go copyUntil(drop, far, near)
		}
	}()
	return listener.Addr().String(), drop
}

func copyUntil(drop *atomic.Bool, to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if drop.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func TestWhatIsNoMessageIsAnError(t *testing.T) {
	for name, tc := range map[string]struct{ bytes, want string }{
		"nothing":             {"", "EOF"},
		"half a header":       {"\x00\x00", "unexpected EOF"},
		"half a message":      {"\x00\x00\x00\x00\x02{", "unexpected EOF"},
		"no JSON":             {"\x00\x00\x00\x00\x02no", "invalid character"},
		"far too much":        {"\x00\xff\xff\xff\xff", "more than"},
		"compressed":          {"\x01\x00\x00\x00\x02{}", "compressed"},
		"the end":             {"\x02\x00\x00\x00\x02{}", "EOF"},
		"an end with a cause": {"\x02\x00\x00\x00\x36" + `{"error":{"code":"unavailable","message":"leaving"}}  `, "unavailable: leaving"},
		"an end that is none": {"\x02\x00\x00\x00\x02no", "the stream's end"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := receive(strings.NewReader(tc.bytes)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error is %v, want %q", err, tc.want)
			}
		})
	}
}

// Whatever the gateway sends, the pod neither panics nor takes more memory than a message may have.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x0f" + `{"payload":"x"}`))
	f.Add([]byte("\x02\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		if payload, err := receive(strings.NewReader(string(stream))); err != nil && payload != "" {
			t.Errorf("%q and %v", payload, err)
		}
	})
}
