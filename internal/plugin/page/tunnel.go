// SPDX-License-Identifier: Apache-2.0

package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/paia-tech/hotstandbyjob/internal/plugin/cluster"
)

const (
	leaderLabel = "hsj.paia.tech/leader=true"
	portName    = "ui"
	defaultPort = 7444

	whyTime = time.Second // for the kubelet to say why a connection has ended
)

// tunnel leads to the operator that leads, as kubectl port-forward does, without a port of this machine. When that one
// leads no more, the next connection goes to the one that does.
type tunnel struct {
	cluster   *cluster.Cluster
	namespace string

	mu         sync.Mutex
	connection httpstream.Connection
	port       int32
	next       int
}

// dial is for http.Transport, which asks for an address that doesn't matter.
func (t *tunnel) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range 2 {
		if t.connection == nil {
			if err := t.connect(ctx); err != nil {
				return nil, err
			}
		}
		conn, err := t.open()
		if err == nil {
			return conn, nil
		}
		_ = t.connection.Close()
		t.connection = nil
	}
	return nil, errors.New("the connection through the API server to the operator breaks at once")
}

// connect finds the operator that leads. t.mu is held.
func (t *tunnel) connect(ctx context.Context) error {
	list, err := t.cluster.Pods(t.namespace).List(ctx, metav1.ListOptions{LabelSelector: leaderLabel})
	if err != nil {
		return fmt.Errorf("find the operator in namespace %s: %w", t.namespace, err)
	}
	pod, port := leaderOf(list.Items)
	if pod == "" {
		return fmt.Errorf("no operator leads in namespace %s: give --operator-namespace where it is in another, or --url where it isn't in the cluster", t.namespace)
	}
	if t.connection, err = forward(t.cluster, t.namespace, pod); err != nil {
		return fmt.Errorf("reach pod %s through the API server (needs create pods/portforward in namespace %s): %w", pod, t.namespace, err)
	}
	t.port = port
	go func(c httpstream.Connection) {
		<-c.CloseChan()
		t.forget(c)
	}(t.connection)
	return nil
}

// forget has the next stream go over another connection, to the operator that leads then.
func (t *tunnel) forget(c httpstream.Connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connection == c {
		t.connection = nil
	}
}

// leaderOf is the pod that leads and the port of its page.
func leaderOf(pods []corev1.Pod) (name string, port int32) {
	for i := range pods {
		p := &pods[i]
		if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
			continue
		}
		port := int32(defaultPort)
		for _, c := range p.Spec.Containers {
			for _, named := range c.Ports {
				if named.Name == portName {
					port = named.ContainerPort
				}
			}
		}
		return p.Name, port
	}
	return "", 0
}

func forward(k *cluster.Cluster, namespace, pod string) (httpstream.Connection, error) {
	u := k.Core.Post().Namespace(namespace).Resource("pods").Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(k.Config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, u)
	modern, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, k.Config)
	if err != nil {
		return nil, err
	}
	dialer := portforward.NewFallbackDialerForStreaming(modern, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	connection, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	return connection, err
}

// open opens a connection to the port, which is two streams: one for data, one on which the kubelet says what failed.
// t.mu is held.
func (t *tunnel) open() (*conn, error) {
	header := http.Header{}
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	header.Set(corev1.PortHeader, strconv.Itoa(int(t.port)))
	header.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(t.next))
	t.next++
	failures, err := t.connection.CreateStream(header)
	if err != nil {
		return nil, err
	}
	_ = failures.Close() // for writing: nothing is said to it
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.connection.CreateStream(header)
	if err != nil {
		return nil, err
	}
	c := &conn{Stream: data, failures: failures, connection: t.connection, failed: make(chan struct{})}
	go c.listen(t)
	return c, nil
}

// conn is a stream as a connection.
type conn struct {
	httpstream.Stream

	failures   httpstream.Stream
	connection httpstream.Connection
	failed     chan struct{} // closed when nothing more can fail
	why        string
	once       sync.Once
	done       atomic.Bool // nobody waits for it any more
	answered   atomic.Bool // something was read
}

// listen hears why the other end can't be reached. The API server keeps a connection whose pod has ended or leads no more:
// it is closed from here.
func (c *conn) listen(t *tunnel) {
	defer close(c.failed)
	text, _ := io.ReadAll(c.failures) // without a text there is nothing to tell
	c.why = strings.TrimSpace(string(text))
	if c.why == "" || c.done.Load() {
		return
	}
	t.forget(c.connection)
	_ = c.Reset()
	_ = c.connection.Close()
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Stream.Read(p)
	if err == nil {
		c.answered.Store(true)
		return n, nil
	}
	return n, c.because(err)
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Stream.Write(p)
	if err != nil {
		err = c.because(err)
	}
	return n, err
}

// because is an error with the reason that the other end gives for it.
func (c *conn) because(err error) error {
	why := ""
	select { // it comes on another stream, and may come later
	case <-c.failed:
		why = c.why
	case <-time.After(whyTime):
	}
	if why == "" && !c.answered.Load() {
		why = "the connection ended" // the API server may end it before it has passed on why
	}
	if why == "" {
		return err
	}
	return fmt.Errorf("the operator's page doesn't answer (is it off, --ui-address=0?): %s", why)
}

func (c *conn) Close() error {
	var err error
	c.once.Do(func() {
		c.done.Store(true)
		err = errors.Join(c.Stream.Close(), c.Reset())
		c.connection.RemoveStreams(c.Stream, c.failures)
	})
	return err
}

// The rest of a net.Conn, of which an http.Transport makes no use for HTTP/1.1.

func (c *conn) LocalAddr() net.Addr              { return address{} }
func (c *conn) RemoteAddr() net.Addr             { return address{} }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "tunnel" }
func (address) String() string  { return "operator" }
