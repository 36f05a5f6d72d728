// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/paia-tech/hotstandbyjob/api/v1alpha1"
	"github.com/paia-tech/hotstandbyjob/bench/internal/machine"
	"github.com/paia-tech/hotstandbyjob/lab"
)

// Space is a namespace with an operator that serves it alone.
type Space struct {
	*Cluster
	Namespace string
	// URL is the gateway's.
	URL string
	// Flags are those of the operator.
	Flags []string

	keeps    bool
	profiles string // URL of the operator's profiles; empty: there are none
	operator *replica
	standby  *replica // takes over when the operator ends; nil: there is none
	log      *os.File
}

// replica is a process of the operator.
type replica struct {
	process *os.Process
	metrics string // host:port
	ended   func() error
}

// SpaceOptions are what an operator differs in.
type SpaceOptions struct {
	Flags []string
	// KeepCertificate has the operator keep the gateway's certificate, as it does in a cluster, so that its pods trust it also
	// after a restart. Real pods can't reach the gateway then.
	KeepCertificate bool
}

// Space makes a namespace and starts an operator for it. Close is to be called also when it fails.
func (c *Cluster) Space(ctx context.Context, o SpaceOptions) (*Space, error) {
	s := &Space{Cluster: c, keeps: o.KeepCertificate}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "bench-"}}
	if err := c.Client.Create(ctx, namespace); err != nil {
		return s, fmt.Errorf("create a namespace: %w", err)
	}
	s.Namespace = namespace.Name
	// Admission refuses pods before it is there.
	err := Await(ctx, "the namespace has a service account", func(ctx context.Context) bool {
		return c.Client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: "default"}, &corev1.ServiceAccount{}) == nil
	})
	if err != nil {
		return s, err
	}
	return s, s.start(ctx, o.Flags)
}

// start starts the operator.
func (s *Space) start(ctx context.Context, flags []string) error {
	host, name := s.Host, s.Host
	if s.keeps {
		host, name = "127.0.0.1", "localhost" // a certificate that is kept must be for a name
	}
	address, err := FreeAddress(ctx, host)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	s.URL = "https://" + net.JoinHostPort(name, port)
	s.Flags = append([]string{
		"--leader-elect=false", "--health-address=0", "--metrics-insecure", "--ui-address=0", "--webhook-address=0",
		"--gateway-address=" + address, "--gateway-url=" + s.URL, "--standby-image=" + lab.OperatorImage, "--log-format=text",
		"--exec-through-apiserver",
	}, flags...)
	if s.options.Profiles {
		address, err := FreeAddress(ctx, "127.0.0.1")
		if err != nil {
			return err
		}
		s.profiles = "http://" + address + "/debug/pprof/"
		s.Flags = append(s.Flags, "--pprof-address="+address)
	}
	if s.log, err = os.Create(filepath.Join(s.options.Folder, s.Namespace+".log")); err != nil {
		return fmt.Errorf("start the operator: %w", err)
	}
	s.operator, err = s.run(ctx)
	return err
}

// run runs a process of the operator.
func (s *Space) run(ctx context.Context) (*replica, error) {
	metrics, err := FreeAddress(ctx, s.Host)
	if err != nil {
		return nil, err
	}
	args := append([]string{"--kubeconfig=" + s.Lab.Kubeconfig(), "--namespace=" + s.Namespace, "--metrics-address=" + metrics}, s.Flags...)
	// It outlives the context: what is taken away when that has ended needs it.
	operator := exec.CommandContext(context.WithoutCancel(ctx), s.options.Operator, args...) //nolint:gosec // the program was just built
	if s.keeps {
		operator.Env = append(os.Environ(), "POD_NAMESPACE="+s.Namespace)
	}
	operator.Stdout, operator.Stderr = s.log, s.log
	if err := operator.Start(); err != nil {
		return nil, fmt.Errorf("start the operator: %w", err)
	}
	return &replica{process: operator.Process, metrics: metrics, ended: sync.OnceValue(operator.Wait)}, nil
}

// Restart kills the operator and starts another in its place, whose gateway has the same address.
func (s *Space) Restart(ctx context.Context) (err error) {
	if err := s.end(syscall.SIGKILL); err != nil {
		return err
	}
	s.operator, err = s.run(ctx)
	return err
}

// end has the operator end by a signal.
func (s *Space) end(by syscall.Signal) error {
	if err := s.operator.process.Signal(by); err != nil {
		return fmt.Errorf("end the operator: %w", err)
	}
	_ = s.operator.ended() // by that signal
	return nil
}

// Elect restarts the operator as one that works while it holds the Lease, and returns when it does. Its space keeps its certificate:
// replicas share that.
func (s *Space) Elect(ctx context.Context) error {
	s.Flags = append(s.Flags, "--leader-elect", "--leader-election-namespace="+s.Namespace)
	if err := s.Restart(ctx); err != nil {
		return err
	}
	return Await(ctx, "the operator leads", func(ctx context.Context) bool {
		m, err := s.Metrics(ctx)
		return err == nil && m.Gauge(leaderMetric) == 1
	})
}

// Join starts another replica, which waits for the Lease, and returns when it answers.
func (s *Space) Join(ctx context.Context) (err error) {
	if s.standby, err = s.run(ctx); err != nil {
		return err
	}
	return Await(ctx, "the other replica answers", func(ctx context.Context) bool {
		_, err := metricsAt(ctx, s.standby.metrics)
		return err == nil
	})
}

// FailOver ends the operator by a signal, and returns when it has ended: the other replica is to take over.
func (s *Space) FailOver(by syscall.Signal) error {
	if err := s.end(by); err != nil {
		return err
	}
	s.operator, s.standby = s.standby, nil
	return nil
}

// Profiles is the URL of the operator's, empty if it has none.
func (s *Space) Profiles() string { return s.profiles }

// Usage is what the operator has used so far.
func (s *Space) Usage() (machine.Usage, error) {
	return machine.UsageOf(procfs.DefaultMountPoint, s.operator.process.Pid)
}

// Make creates an object in the namespace.
func (s *Space) Make(ctx context.Context, o client.Object) error {
	o.SetNamespace(s.Namespace)
	if err := s.Client.Create(ctx, o); err != nil {
		return fmt.Errorf("create %T %s: %w", o, o.GetName(), err)
	}
	return nil
}

// Clear deletes the namespace's Jobs, and returns when their pods are gone.
func (s *Space) Clear(ctx context.Context) error {
	return Await(ctx, "the Jobs and their pods are gone", func(ctx context.Context) bool {
		var jobs batchv1.JobList
		var pods corev1.PodList
		err := errors.Join(
			s.Client.List(ctx, &jobs, client.InNamespace(s.Namespace), client.Limit(1)),
			s.Client.List(ctx, &pods, client.InNamespace(s.Namespace), client.HasLabels{batchv1.JobNameLabel}, client.Limit(1)))
		if err == nil && len(jobs.Items) > 0 {
			_ = s.deleteAll(ctx, &batchv1.Job{}) // thousands take longer than a request may: the rest is the next one's
		}
		return err == nil && len(jobs.Items)+len(pods.Items) == 0
	})
}

func (s *Space) deleteAll(ctx context.Context, o client.Object) error {
	err := s.Client.DeleteAllOf(ctx, o, client.InNamespace(s.Namespace), client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil {
		return fmt.Errorf("delete each %T: %w", o, err)
	}
	return nil
}

// Close deletes all there is and ends the operator: first what the operator must see the end of, then the operator, so that
// nothing is left for the next measurement to be measured with.
func (s *Space) Close(ctx context.Context) error {
	var faults []error
	if s.Namespace != "" {
		faults = append(faults, s.deleteAll(ctx, &v1alpha1.HotStandbyJob{}), s.Clear(ctx))
	}
	for _, r := range []*replica{s.standby, s.operator} {
		if r == nil {
			continue
		}
		_ = r.process.Signal(syscall.SIGTERM) // it may have ended
		if err := r.ended(); err != nil {
			faults = append(faults, fmt.Errorf("the operator, whose log is %s, ended: %w", s.log.Name(), err))
		}
	}
	if s.log != nil {
		faults = append(faults, s.log.Close())
	}
	if s.Namespace != "" {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
		faults = append(faults, s.Client.Delete(ctx, namespace), s.awaitEnd(ctx))
	}
	return errors.Join(faults...)
}

func (s *Space) awaitEnd(ctx context.Context) error {
	return Await(ctx, "the namespace is gone", func(ctx context.Context) bool {
		var pods corev1.PodList
		err := s.Client.List(ctx, &pods, client.InNamespace(s.Namespace), client.Limit(1))
		return err == nil && len(pods.Items) == 0
	})
}

// cleanTime is how long taking things away may take when the benchmark itself was told to end.
const cleanTime = 10 * time.Minute

// Finally closes something whatever has happened, also when the context has ended, and adds what fails to the error.
func Finally(ctx context.Context, err *error, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	*err = errors.Join(*err, end(ctx))
}

// FreeAddress is host:port on which nobody listens.
func FreeAddress(ctx context.Context, host string) (string, error) {
	var config net.ListenConfig
	listen, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listen.Addr().String(), listen.Close()
}
