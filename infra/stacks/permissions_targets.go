package stacks

import "github.com/ekspedite/ekspedite/infra/constructs"

// targetTags are the tags by which a target group is a cluster's, and the function may deregister its targets; package
// awscloud (targets.go) reads the same. The cluster's own tag, kubernetes.io/cluster/<name>, has its name in the key, which no
// condition can ask for by its beginning; what Kubernetes' cloud provider makes has the service's name beside it.
var targetTags = []struct{ sid, key, whose string }{
	{"TakeOutOfController", "elbv2.k8s.aws/cluster", "the AWS Load Balancer Controller has made"},
	{"TakeOutOfAutoMode", "eks:eks-cluster-name", "EKS Auto Mode has made"},
	{"TakeOutOfProvider", "kubernetes.io/service-name", "Kubernetes' cloud provider has made"},
	{"TakeOutOfGiven", clusterTag, "their owners have tagged for it"},
}

// targetGrants are what it takes to take a machine out of load balancers before its pods are evicted. A target group is the
// smallest thing that can be named for that: its targets have no ARN.
func targetGrants() []constructs.Grant {
	out := []constructs.Grant{{
		Sid:       "FindTargets",
		Actions:   []string{"elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTags", "elasticloadbalancing:DescribeTargetHealth"},
		Resources: []string{"*"},
		Wide:      "Elastic Load Balancing's describe calls have no resources to name.",
	}}
	for _, tag := range targetTags {
		out = append(out, constructs.Grant{
			Sid:       tag.sid,
			Actions:   []string{"elasticloadbalancing:DeregisterTargets"},
			Resources: []string{anywhere("elasticloadbalancing", "targetgroup/*/*")},
			Wide:      "A machine of any cluster may be its target. The condition leaves the target groups that " + tag.whose + ".",
			When:      tagged("aws:ResourceTag/" + tag.key),
		})
	}
	return out
}
