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
		labels, taints := userDataNode(data)
		if !maps.Equal(labels, map[string]string{"team": "a", "alpha.eksctl.io/nodegroup-name": "ng"}) || !slices.Equal(taints, taint) {
			t.Errorf("%s: %v, %v", name, labels, taints)
		}
	}
	if labels, taints := userDataNode("#!/bin/sh\necho [done] = \"no\"\n"); len(labels)+len(taints) != 0 {
		t.Errorf("of a script: %v, %v", labels, taints)
	}
}
