package kube

import (
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// FromKubeconfig makes a client of a kubeconfig with one cluster and one user who has a client certificate: what the
// embedded cloud writes for its administrator. Package clientcmd reads all kinds, and would weigh on every Lambda.
func FromKubeconfig(path string) (*Client, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var k struct {
		Clusters []struct {
			Cluster struct {
				Server                   string `json:"server"`
				CertificateAuthorityData []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				ClientCertificateData []byte `json:"client-certificate-data"`
				ClientKeyData         []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(k.Clusters) != 1 || len(k.Users) != 1 {
		return nil, fmt.Errorf("%s: one cluster and one user are wanted, it has %d and %d", path, len(k.Clusters), len(k.Users))
	}
	cluster, user := k.Clusters[0].Cluster, k.Users[0].User
	cfg := config(cluster.Server, rest.TLSClientConfig{
		CAData: cluster.CertificateAuthorityData, CertData: user.ClientCertificateData, KeyData: user.ClientKeyData,
	})
	return open(cfg, rest.CopyConfig(cfg))
}
