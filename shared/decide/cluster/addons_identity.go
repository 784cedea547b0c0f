package cluster

import (
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// addonAccount is a service account of an add-on that calls AWS, with the policies that EKS recommends for it.
type addonAccount struct {
	name     string
	policies []string
}

// addonAccounts are those of the add-ons that EKS recommends roles for (aws eks describe-addon-configuration --query
// podIdentityConfiguration). They are written down here, not asked for, so that what a file asks for follows from the file:
// an add-on that is there keeps the role that it was made with.
var addonAccounts = map[string][]addonAccount{
	"vpc-cni":                      {{"aws-node", []string{"AmazonEKS_CNI_Policy"}}},
	"aws-ebs-csi-driver":           {{"ebs-csi-controller-sa", []string{"service-role/AmazonEBSCSIDriverPolicy"}}},
	"aws-efs-csi-driver":           {{"efs-csi-controller-sa", []string{"service-role/AmazonEFSCSIDriverPolicy"}}},
	"aws-fsx-csi-driver":           {{"fsx-csi-controller-sa", []string{"AmazonFSxFullAccess"}}},
	"aws-mountpoint-s3-csi-driver": {{"s3-csi-driver-sa", []string{"AmazonS3ReadOnlyAccess"}}},
	"external-dns":                 {{"external-dns", []string{"AmazonRoute53FullAccess"}}},
	"cert-manager":                 {{"cert-manager", []string{"AmazonRoute53FullAccess"}}},
	"amazon-cloudwatch-observability": {
		{"cloudwatch-agent", []string{"CloudWatchAgentServerPolicy", "AWSXrayWriteOnlyAccess"}},
	},
	"aws-network-flow-monitoring-agent": {
		{"aws-network-flow-monitor-agent-service-account", []string{"CloudWatchNetworkFlowMonitorAgentPublishPolicy"}},
	},
	"adot": {
		{"adot-col-prom-metrics", []string{"AmazonPrometheusRemoteWriteAccess"}},
		{"adot-col-otlp-ingest", []string{"AWSXrayWriteOnlyAccess"}},
		{"adot-col-container-logs", []string{"CloudWatchAgentServerPolicy"}},
	},
}

// addonNamespaces are where add-ons are that are not in kube-system.
var addonNamespaces = map[string]string{
	"amazon-cloudwatch-observability": "amazon-cloudwatch", "external-dns": "external-dns", "cert-manager": "cert-manager",
	"adot": "opentelemetry-operator-system", "aws-network-flow-monitoring-agent": "amazon-network-flow-monitor",
}

// withoutRole are add-ons that do nothing useful without permissions of their own.
var withoutRole = []string{"aws-ebs-csi-driver", "aws-efs-csi-driver", "aws-fsx-csi-driver"}

func addonNamespace(a fleet.AddonSpec) string {
	return nameOr(nameOr(a.Namespace, addonNamespaces[a.Name]), "kube-system")
}

// addonPermissions are how an add-on's pods get their permissions: one role for its service account through the OIDC
// provider, or a pod identity association for each of its service accounts.
type addonPermissions struct {
	roleARN    string
	identities []any
	needs      []string
}

// permissions makes the roles of an add-on: by what the file says of its associations, its role, its policies, and at
// last by what EKS recommends, if the file asks for that.
func (b *builder) permissions(a fleet.AddonSpec) (addonPermissions, error) {
	known := addonAccounts[a.Name]
	switch byDefault := a.UseDefaultPodIdentity || b.s.IAM.AutoApplyAddonPodIdentity; {
	case len(a.PodIdentities) > 0:
		return b.addonIdentities(a, a.PodIdentities)
	case a.RoleARN != "":
		return addonPermissions{roleARN: a.RoleARN}, nil
	case !a.Empty():
		return b.addonGranted(a, known)
	case a.UseDefaultPodIdentity && known == nil:
		return addonPermissions{}, fmt.Errorf("ekspedite knows no recommended roles of it: name its service accounts in podIdentityAssociations, or drop useDefaultPodIdentityAssociations")
	case byDefault && known != nil:
		return b.addonIdentities(a, b.recommended(a))
	case slices.Contains(withoutRole, a.Name) && b.s.IAM.OIDC:
		g := b.recommended(a)[0]
		a.PolicyARNs, a.WellKnown, a.Inline = g.PolicyARNs, nil, ""
		return b.addonWebIdentity(a, g.ServiceAccount)
	case slices.Contains(withoutRole, a.Name):
		b.notes = append(b.notes, fmt.Sprintf("add-on %s gets no permissions: it has the nodes' own, which do not suffice; set useDefaultPodIdentityAssociations: true and add the add-on %s", a.Name, agent))
	}
	return addonPermissions{}, nil
}

// addonGranted gives an add-on's service account the policies that the file attaches.
func (b *builder) addonGranted(a fleet.AddonSpec, accounts []addonAccount) (addonPermissions, error) {
	if len(accounts) == 0 {
		return addonPermissions{}, fmt.Errorf("ekspedite does not know which of its service accounts the policies are for: name it in podIdentityAssociations")
	}
	switch {
	case b.agentThere():
		return b.addonIdentities(a, []fleet.PodIdentitySpec{{ServiceAccount: accounts[0].name, Grants: a.Grants}})
	case b.s.IAM.OIDC:
		return b.addonWebIdentity(a, accounts[0].name)
	}
	return addonPermissions{}, fmt.Errorf("its policies need a way to its pods: add the add-on %s, or set iam.withOIDC: true", agent)
}

// addonWebIdentity is a role through the OIDC provider.
func (b *builder) addonWebIdentity(a fleet.AddonSpec, account string) (addonPermissions, error) {
	id := "role/addon/" + a.Name
	r, err := b.grantedRole(role{
		id: id, name: RoleName(b.s, "addon-"+a.Name), tags: a.Tags, trust: b.trustsAccount(addonNamespace(a), account, ""), watched: true,
	}, a.Grants)
	if err != nil {
		return addonPermissions{}, err
	}
	needs := b.role(r, idOIDC)
	return addonPermissions{roleARN: b.roleARN(id), needs: needs}, nil
}

// addonIdentities are associations that belong to the add-on, with the roles that are not given.
func (b *builder) addonIdentities(a fleet.AddonSpec, list []fleet.PodIdentitySpec) (can addonPermissions, err error) {
	if !b.agentThere() {
		return can, noAgent("its pod identity associations")
	}
	for _, p := range list {
		arn := p.RoleARN
		if arn == "" {
			if p.Tags == nil {
				p.Tags = a.Tags
			}
			made, err := b.podRole("role/addon/"+a.Name+"/"+p.ServiceAccount, "addon-"+a.Name+"_"+p.ServiceAccount, p)
			if err != nil {
				return can, fmt.Errorf("podIdentityAssociations: %s: %w", p.ServiceAccount, err)
			}
			can.needs = append(can.needs, made...)
			arn = b.roleARN(made[0])
		}
		can.identities = append(can.identities, fleet.Props{"serviceAccount": p.ServiceAccount, "roleArn": arn})
	}
	return can, nil
}

// recommended are the associations that EKS recommends for an add-on.
func (b *builder) recommended(a fleet.AddonSpec) (out []fleet.PodIdentitySpec) {
	for _, k := range addonAccounts[a.Name] {
		g := fleet.Grants{PolicyARNs: b.awsPolicies(k.policies...), Boundary: a.Boundary}
		if a.Name == "vpc-cni" && b.s.Network.IPv6 { // the policy is about IPv4 addresses
			g = fleet.Grants{WellKnown: []string{cniIPv6}, Boundary: a.Boundary}
		}
		out = append(out, fleet.PodIdentitySpec{ServiceAccount: k.name, Grants: g})
	}
	return out
}
