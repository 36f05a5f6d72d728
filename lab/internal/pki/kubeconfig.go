// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfigs writes one kubeconfig for each user of the cluster, certificates included.
func (f Files) kubeconfigs(cfg Config, cluster *authority) error {
	users := map[string]identity{
		f.Admin:                   {name: "admin", groups: []string{"system:masters"}},
		f.ControllerManagerConfig: {name: "system:kube-controller-manager"},
		f.SchedulerConfig:         {name: "system:kube-scheduler"},
		f.KwokConfig:              {name: KwokUser},
	}
	if cfg.NodeName != "" {
		users[f.KubeletConfig] = identity{name: "system:node:" + cfg.NodeName, groups: []string{"system:nodes"}}
		users[f.ProxyConfig] = identity{name: "system:kube-proxy"}
	}
	for path, who := range users {
		if err := writeKubeconfig(path, cfg, cluster, who); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(path string, cfg Config, cluster *authority, who identity) error {
	cert, key, err := cluster.sign(who)
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[cfg.Cluster] = &clientcmdapi.Cluster{
		Server:                   cfg.ServerURL,
		CertificateAuthorityData: encodeCert(cluster.cert.Raw),
	}
	config.AuthInfos[who.name] = &clientcmdapi.AuthInfo{ClientCertificateData: encodeCert(cert), ClientKeyData: private}
	config.Contexts[cfg.Cluster] = &clientcmdapi.Context{Cluster: cfg.Cluster, AuthInfo: who.name}
	config.CurrentContext = cfg.Cluster
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", who.name, err)
	}
	return nil
}
