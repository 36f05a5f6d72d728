// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"strconv"

	"github.com/paia-tech/hotstandbyjob/lab/internal/process"
)

// rarelyCollect has Go collect garbage when the heap is five times what lives, or the process takes 2 GiB. The control plane
// shares the machine with all that is run on the lab, and its heap is small: by default it would collect several times a second.
var rarelyCollect = []string{"GOGC=400", "GOMEMLIMIT=2GiB"}

func (c Config) etcd() process.Spec {
	client := fmt.Sprintf("https://%s:%d", loopback, c.Ports.EtcdClient)
	peer := fmt.Sprintf("https://%s:%d", loopback, c.Ports.EtcdPeer)
	args := []string{
		"--name=lab",
		"--data-dir=" + c.DataDir,
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=lab=" + peer,
		"--cert-file=" + c.PKI.Etcd.Cert,
		"--key-file=" + c.PKI.Etcd.Key,
		"--trusted-ca-file=" + c.PKI.EtcdCA.Cert,
		"--client-cert-auth",
		"--peer-cert-file=" + c.PKI.Etcd.Cert,
		"--peer-key-file=" + c.PKI.Etcd.Key,
		"--peer-trusted-ca-file=" + c.PKI.EtcdCA.Cert,
		"--peer-client-cert-auth",
		"--quota-backend-bytes=" + strconv.Itoa(8<<30),
		"--log-level=warn",
	}
	if !c.Fsync {
		args = append(args, "--unsafe-no-fsync")
	}
	return process.Spec{Name: Etcd, Path: c.Program(Etcd), Args: args, Env: rarelyCollect}
}

func (c Config) apiServer() process.Spec {
	args := []string{
		"--etcd-servers=" + fmt.Sprintf("https://%s:%d", loopback, c.Ports.EtcdClient),
		"--etcd-cafile=" + c.PKI.EtcdCA.Cert,
		"--etcd-certfile=" + c.PKI.EtcdClient.Cert,
		"--etcd-keyfile=" + c.PKI.EtcdClient.Key,
		"--bind-address=" + c.Address,
		"--advertise-address=" + c.Address,
		"--secure-port=" + strconv.Itoa(c.Ports.APIServer),
		"--tls-cert-file=" + c.PKI.APIServer.Cert,
		"--tls-private-key-file=" + c.PKI.APIServer.Key,
		"--client-ca-file=" + c.PKI.CA.Cert,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction,ServiceAccount,PodSecurity",
		"--allow-privileged",
		"--service-cluster-ip-range=" + c.ServiceCIDR,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.PKI.ServiceAccount.Cert,
		"--service-account-signing-key-file=" + c.PKI.ServiceAccount.Key,
		"--kubelet-client-certificate=" + c.PKI.KubeletClient.Cert,
		"--kubelet-client-key=" + c.PKI.KubeletClient.Key,
		"--kubelet-certificate-authority=" + c.PKI.CA.Cert,
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--requestheader-client-ca-file=" + c.PKI.FrontProxyCA.Cert,
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.PKI.FrontProxyClient.Cert,
		"--proxy-client-key-file=" + c.PKI.FrontProxyClient.Key,
		// A lab is asked for more at once than its number of processors would allow by default.
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1500",
		"--profiling=false",
	}
	if c.Address == loopback {
		// Endpoints must not be loopback addresses, so the Service "kubernetes" stays without any: no pod runs here.
		args = append(args, "--endpoint-reconciler-type=none")
	}
	return process.Spec{Name: APIServer, Path: c.Program(APIServer), Args: args, Env: rarelyCollect}
}

func (c Config) controllerManager() process.Spec {
	args := append(c.controllerFlags(),
		"--kubeconfig="+c.PKI.ControllerManagerConfig,
		"--authentication-kubeconfig="+c.PKI.ControllerManagerConfig,
		"--authorization-kubeconfig="+c.PKI.ControllerManagerConfig,
		"--secure-port="+strconv.Itoa(c.Ports.ControllerManager),
		"--tls-cert-file="+c.PKI.ControllerManager.Cert,
		"--tls-private-key-file="+c.PKI.ControllerManager.Key,
		"--use-service-account-credentials",
		"--service-account-private-key-file="+c.PKI.ServiceAccount.Key,
		"--root-ca-file="+c.PKI.CA.Cert,
		"--cluster-signing-cert-file="+c.PKI.CA.Cert,
		"--cluster-signing-key-file="+c.PKI.CA.Key,
		"--requestheader-client-ca-file="+c.PKI.FrontProxyCA.Cert,
		"--allocate-node-cidrs=false",
	)
	return process.Spec{Name: ControllerManager, Path: c.Program(ControllerManager), Args: args, Env: rarelyCollect}
}

func (c Config) scheduler() process.Spec {
	args := append(c.controllerFlags(),
		"--kubeconfig="+c.PKI.SchedulerConfig,
		"--authentication-kubeconfig="+c.PKI.SchedulerConfig,
		"--authorization-kubeconfig="+c.PKI.SchedulerConfig,
		"--secure-port="+strconv.Itoa(c.Ports.Scheduler),
		"--tls-cert-file="+c.PKI.Scheduler.Cert,
		"--tls-private-key-file="+c.PKI.Scheduler.Key,
	)
	return process.Spec{Name: Scheduler, Path: c.Program(Scheduler), Args: args, Env: rarelyCollect}
}

// controllerFlags are those that kube-controller-manager and kube-scheduler share. There is one of each, so that
// electing a leader would only cost time.
func (c Config) controllerFlags() []string {
	args := []string{"--bind-address=" + loopback, "--leader-elect=false", "--profiling=false"}
	if !c.DefaultClientLimits {
		args = append(args, "--kube-api-qps=2000", "--kube-api-burst=4000")
	}
	return args
}
