package eks

import (
	"testing"
	"testing/synctest"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func TestNeedsOfChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		pod, err := r.createPodIdentity(t.Context(), asAdmin(), podInput())
		if err != nil {
			t.Fatal(err)
		}
		const prefix = "arn:aws:eks:us-east-1:111122223333:"
		for what, tc := range map[string]struct {
			needs            []wire.Need
			action, resource string
			key, value       string
		}{
			"association":         {r.needCreatePodIdentity(nil, podInput()), "eks:CreatePodIdentityAssociation", prefix + "cluster/c", "aws:RequestTag/team", "a"},
			"its tags":            {r.needCreatePodIdentity(nil, podInput()), "eks:TagResource", prefix + "podidentityassociation/c/*", "aws:TagKeys", "team"},
			"its role":            {r.needCreatePodIdentity(nil, podInput()), "iam:PassRole", podRole, "iam:PassedToService", podPrincipal},
			"its own tags":        {r.needPodIdentity("DeletePodIdentityAssociation")(nil, &podIdentityName{"c", pod.Association.AssociationID}), "eks:DeletePodIdentityAssociation", pod.Association.AssociationARN, "aws:ResourceTag/team", "a"},
			"profile":             {r.needCreateFargate(nil, fargateInput("web")), "eks:CreateFargateProfile", prefix + "cluster/c", "aws:RequestTag/team", "a"},
			"its execution role":  {r.needCreateFargate(nil, fargateInput("web")), "iam:PassRole", fargateRole, "iam:PassedToService", fargatePrincipal},
			"service-linked role": {r.needCreateFargate(nil, fargateInput("web")), "iam:GetRole", "arn:aws:iam::111122223333:role/aws-service-role/eks-fargate.amazonaws.com/AWSServiceRoleForAmazonEKSForFargate", "", ""},
			"profile's end":       {r.needFargate("DeleteFargateProfile")(nil, &fargateName{"c", "web"}), "eks:DeleteFargateProfile", prefix + "fargateprofile/c/web/*", "", ""},
			"node's entry":        {r.needCreateEntry(nil, &createEntryIn{Name: "c", PrincipalARN: nodeRole, Type: ec2Linux}), "iam:PassRole", nodeRole, "iam:PassedToService", "eks.amazonaws.com"},
			"add-on's pods":       {r.needCreateAddon(nil, &createAddonIn{ClusterName: "c", AddonName: "vpc-cni", PodIdentityAssociations: []addonPodIdentity{{"aws-node", podRole}}}), "eks:CreatePodIdentityAssociation", prefix + "cluster/c", "", ""},
		} {
			found := false
			for _, n := range tc.needs {
				if n.Action == tc.action && n.Resource == tc.resource {
					found = tc.key == "" || len(n.Context[tc.key]) > 0 && n.Context[tc.key][0] == tc.value
				}
			}
			if !found {
				t.Errorf("%s: no %s on %s with %s=%s among %+v", what, tc.action, tc.resource, tc.key, tc.value, tc.needs)
			}
		}
	})
}
