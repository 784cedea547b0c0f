package plane

import (
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ekspedite/ekspedite/infra/local/kubernetes/pki"
)

func writeKubeconfig(path, endpoint string, ca []byte, user string, pair pki.Pair) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["ekspedite"] = &clientcmdapi.Cluster{Server: endpoint, CertificateAuthorityData: ca}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}
	config.Contexts["ekspedite"] = &clientcmdapi.Context{Cluster: "ekspedite", AuthInfo: user}
	config.CurrentContext = "ekspedite"
	return clientcmd.WriteToFile(*config, path)
}

// writeWebhookConfig names the token webhook in the kubeconfig form that kube-apiserver wants.
func writeWebhookConfig(path, url string) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["webhook"] = &clientcmdapi.Cluster{Server: url}
	config.AuthInfos["kube-apiserver"] = &clientcmdapi.AuthInfo{}
	config.Contexts["webhook"] = &clientcmdapi.Context{Cluster: "webhook", AuthInfo: "kube-apiserver"}
	config.CurrentContext = "webhook"
	return clientcmd.WriteToFile(*config, path)
}
