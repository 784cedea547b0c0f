package readiness

import (
	"slices"
	"strings"
	"testing"
)

// TestRemediesNameTheObject: what is to be copied is about the object that is at fault, and not about another one.
func TestRemediesNameTheObject(t *testing.T) {
	all := slices.Concat(controlPlaneFaults, apiFaults, nodeFaults, addonFaults, workloadFaults, told)
	for _, x := range []struct{ id, name, want string }{
		{"CP02", "a node group's update", "aws eks describe-update --region eu-west-1 --name prod --update-id u-2 --nodegroup-name group-0   #"},
		{"CP02", "AWS's own update", "--name prod --update-id u-1   #"},
		{"CP04", "a target behind", "ekspedite upgrade rollback --cluster prod"},
		{"CP06", "an insight of skew", "aws eks describe-insight --region eu-west-1 --cluster-name prod --id i1"},
		{"CP12", "another security group is gone", "update-cluster-config"},
		{"CP12", "the cluster's group without its rule", "aws ec2 authorize-security-group-ingress --region eu-west-1 --group-id sg-cluster --protocol=-1 --source-group sg-cluster"},
		{"CP13", "the key will be deleted", "aws kms cancel-key-deletion --region eu-west-1 --key-id arn:aws:kms:eu-west-1:111122223333:key/k"},
		{"OPS04", "an alarm", "--alarm-names 'errors'"},
		{"API01", "an object of an active writer", "Change apiVersion admissionregistration.k8s.io/v1beta1 to admissionregistration.k8s.io/v1 in the manifest of ValidatingAdmissionPolicy p"},
		{"API05", "a release with an API that the target removes", "helm mapkubeapis --namespace shop policies"},
		{"API06", "a stored version that is gone", "kubectl edit crd widgets.example.com --subresource=status"},
		{"API07", "an aggregated API is away", "kubectl describe apiservice v1beta1.metrics.k8s.io"},
		{"API08", "alpha objects of 1.36", "kubectl delete workloads -n shop train"},
		{"NODE01", "a kubelet four minors behind", "--nodegroup-name group-0 --kubernetes-version 1.33"},
		{"NODE03", "a group with an issue", "--nodegroup-name group-3 --query nodegroup.health"},
		{"NODE05", "a group of AL2", "--nodegroup-name group-0"},
		{"NODE07", "no template version for the target", `{name: group-1, launchTemplateVersion: {"1.34": N}}`},
		{"NODE08", "a template that has not been rolled out", "--nodegroup-name group-0 --launch-template name=lt-0,version=9"},
		{"NODE09", "the image is gone", "--launch-template-id lt-1 --source-version 3"},
		{"NODE12", "cAdvisor's flags", "--launch-template-id lt-2 --source-version 3"},
		{"NODE13", "one of many is cordoned", "kubectl uncordon ip-10-0-0-0.eu-west-1.compute.internal"},
		{"NODE15", "no quota left", "--service-code ec2 --quota-code L-1216C47A --desired-value 5048"},
		{"NODE19", "Karpenter is too old", "-n kube-system --reuse-values"},
		{"ADD01", "a pin that does not fit", "Take the pin kube-proxy: v1.33.0-eksbuild.1 out of the policy"},
		{"ADD01", "no version for the target", "--addon-name aws-ebs-csi-driver"},
		{"ADD04", "a degraded add-on", "--addon-name coredns --query addon.health"},
		{"ADD05", "a field that is not known any more", "--addon-name vpc-cni --addon-version v1.21.5-eksbuild.1"},
		{"ADD12", "an add-on's role is gone", "aws iam get-role --role-name ebs "},
		{"WL01", "a pod that is not healthy", "kubectl get pdb -n shop db;"},
		{"WL02", "none may be away", "kubectl patch pdb -n shop db --type merge"},
		{"WL03", "two budgets", "kubectl delete pdb -n shop db   # and keep what it wanted in shop/all"},
		{"WL06", "no budget", "kubectl create pdb coredns -n kube-system --selector=app=coredns --max-unavailable=1"},
		{"WL07", "a bare pod", "kubectl get pod -n shop debug -o yaml"},
		{"WL10", "half an hour to terminate", "kubectl patch statefulset -n shop slow "},
		{"WL14", "one pod answers, for kube-system, too", "behind service guard/guard, and exempt kube-system and guard"},
		{"WL17", "an old registry", "Use registry.k8s.io/pause:3.2 instead of k8s.gcr.io/pause:3.2"},
		{"WL18", "a Fargate pod", "kubectl rollout restart deployment -n shop "},
		{"VER01", "PodSecurityPolicies", "kubectl delete psp restricted"},
		{"VER02", "no EBS driver", "--addon-name aws-ebs-csi-driver"},
		{"VER02", "no EFS driver", "--addon-name aws-efs-csi-driver"},
		{"VER08", "a token", "kubectl delete secret -n shop token"},
	} {
		i := slices.IndexFunc(all, func(f fault) bool { return f.id == x.id && f.name == x.name })
		if i < 0 {
			t.Errorf("there is no fault %s %s", x.id, x.name)
			continue
		}
		c := base(1)
		all[i].do(c)
		if got := finding(Check(testNow, c.o, c.p), x.id).Remedy; !strings.Contains(got, x.want) {
			t.Errorf("%s %s: %q, want %q", x.id, x.name, got, x.want)
		}
	}
	if got := quoted("it's $(here)"); got != `'it'\''s $(here)'` {
		t.Error(got)
	}
}
