package eks

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// said writes the needs as lines "action resource key=value …" with the condition keys in order.
func said(needs []wire.Need) []string {
	var lines []string
	for _, n := range needs {
		line := n.Action + " " + strings.Replace(n.Resource, "arn:aws:eks:us-east-1:111122223333:", "", 1)
		for _, k := range sortedKeys(n.Context) {
			line += " " + k + "=" + strings.Join(n.Context[k], ",")
		}
		lines = append(lines, line)
	}
	return lines
}

func wantNeeds(t *testing.T, got []wire.Need, want ...string) {
	t.Helper()
	if !slices.Equal(said(got), want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(said(got), "\n"), strings.Join(want, "\n"))
	}
}

func TestNeedsOfClusterCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		auto(in)
		in.Tags = tags{"team": "a"}
		in.EncryptionConfig = key(keyARN)
		in.ResourcesVPCConfig.EndpointPublicAccess = no()
		in.Logging = &logging{[]logSetup{{[]string{"api"}, true}}}
		in.DeletionProtection = true
		in.APIServer = &apiServerConfig{EventTTL: "30m"}
		wantNeeds(t, r.needCreateCluster(nil, in),
			"eks:CreateCluster cluster/c aws:RequestTag/team=a aws:TagKeys=team eks:authenticationMode=API eks:blockStorageEnabled=true eks:bootstrapSelfManagedAddons=false "+
				"eks:computeConfigEnabled=true eks:deletionProtection=true eks:elasticLoadBalancingEnabled=true eks:encryptionConfigProviderKeyArns="+keyARN+
				" eks:endpointPublicAccess=false eks:kubeApiServerConfig=true eks:kubernetesVersion=1.35 eks:loggingType/api=true",
			"eks:TagResource cluster/c aws:RequestTag/team=a aws:TagKeys=team",
			"iam:PassRole "+clusterRole+" iam:PassedToService=eks.amazonaws.com",
			"iam:PassRole "+nodeRole+" iam:PassedToService=eks.amazonaws.com",
			"kms:DescribeKey "+keyARN,
			"kms:CreateGrant "+keyARN+" kms:GrantIsForAWSResource=true")

		tagged := clusterInput()
		tagged.Tags = tags{"team": "a"}
		if _, err := r.createCluster(t.Context(), asAdmin(), tagged); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		const cluster = " cluster/c aws:ResourceTag/team=a"
		wantNeeds(t, r.needUpdateClusterConfig(nil, &updateConfigIn{Name: "c", ScalingConfig: &scalingTier{"tier-xl"}}), "eks:UpdateClusterConfig"+cluster+" eks:controlPlaneScalingTier=tier-xl")
		wantNeeds(t, r.needUpdateClusterVersion(nil, &updateVersionIn{Name: "c", Version: "1.36"}), "eks:UpdateClusterVersion"+cluster+" eks:kubernetesVersion=1.36")
		wantNeeds(t, r.needAssociateIdentity(nil, &associateIdentityIn{Name: "c", OIDC: identityInput().OIDC}),
			"eks:AssociateIdentityProviderConfig"+cluster+" eks:clientId=kubernetes eks:issuerUrl=https://example.okta.com")
		wantNeeds(t, r.needCreateCapability(nil, capabilityInput("ack", "ACK")), "eks:CreateCapability"+cluster, "iam:PassRole "+capabilityRole+" iam:PassedToService=capabilities.eks.amazonaws.com")
		wantNeeds(t, r.needCapability("DeleteCapability")(nil, &capabilityName{"c", "ack"}), "eks:DeleteCapability capability/c/*/ack/*")
		wantNeeds(t, r.needDescribeIdentity(nil, &describeIdentityIn{"c", providerRef{"oidc", "okta"}}), "eks:DescribeIdentityProviderConfig identityproviderconfig/c/oidc/okta/*")
		wantNeeds(t, r.needDescribeUpdate(nil, &describeUpdateIn{Name: "c", Capability: "ack"}), "eks:DescribeUpdate"+cluster, "eks:DescribeUpdate capability/c/*/ack/*")
	})
}
