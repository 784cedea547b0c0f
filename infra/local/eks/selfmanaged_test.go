package eks

import (
	"maps"
	"slices"
	"testing"
)

func TestUserDataNode(t *testing.T) {
	taint := []NodeTaint{{Key: "gpu", Value: "yes", Effect: "NoSchedule"}, {Key: "old", Value: "", Effect: "NoExecute"}}
	for name, data := range map[string]string{
		"nodeadm": `MIME-Version: 1.0
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster:
    name: c
  kubelet:
    flags:
    - "--node-labels=team=a,alpha.eksctl.io/nodegroup-name=ng"
    - --register-with-taints=gpu=yes:NoSchedule,old:NoExecute
`,
		"nodeadm with a kubelet configuration": `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config:
      maxPods: 17
      registerWithTaints:
      - {key: gpu, value: "yes", effect: NoSchedule}
      - {key: old, effect: NoExecute}
    flags:
    - --node-labels=team=a,alpha.eksctl.io/nodegroup-name=ng
--//
Content-Type: text/x-shellscript

#!/bin/sh
--//--
`,
		"bootstrap.sh": `#!/bin/bash
/etc/eks/bootstrap.sh c --kubelet-extra-args '--node-labels=team=a,alpha.eksctl.io/nodegroup-name=ng --register-with-taints=gpu=yes:NoSchedule,old:NoExecute'
`,
		"Bottlerocket": `[settings.kubernetes]
cluster-name = "c"
[settings.kubernetes.node-labels]
team = "a"
"alpha.eksctl.io/nodegroup-name" = "ng"
[settings.kubernetes.node-taints]
gpu = ["yes:NoSchedule"]
"old" = [":NoExecute"]
[settings.host-containers.admin]
enabled = "no"
`,
	} {
		n := userDataNode(data)
		if !maps.Equal(n.labels, map[string]string{"team": "a", "alpha.eksctl.io/nodegroup-name": "ng"}) || !slices.Equal(n.taints, taint) {
			t.Errorf("%s: %+v", name, n)
		}
	}
	if n := userDataNode("#!/bin/sh\necho [done] = \"no\"\n"); len(n.labels)+len(n.taints)+n.maxPods != 0 {
		t.Errorf("of a script: %+v", n)
	}
}

func TestUserDataMaxPods(t *testing.T) {
	for data, want := range map[string]int{
		"apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {config: {maxPods: 17}}}\n": 17,
		"/etc/eks/bootstrap.sh c --use-max-pods false --kubelet-extra-args '--max-pods=42'":               42,
		"apiVersion: node.eks.aws/v1alpha1\nspec: [":                                                      0,
	} {
		if got := userDataNode(data).maxPods; got != want {
			t.Errorf("%q: %d, want %d", data, got, want)
		}
	}
}
