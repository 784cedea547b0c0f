package awscloud_test

import (
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestPodsHostile makes and changes what is for pods, roles, add-ons, Fargate, in the embedded cloud by the real SDK.
func TestPodsHostile(t *testing.T) {
	synctest.Test(t, podsHostile)
}

func podsHostile(t *testing.T) {
	cloud, err := local.Start(t.Context(), local.Options{
		InMemory: true, Seed: 12, DataDir: t.TempDir(), Launcher: plane{},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	}()
	cfg := awscloud.Static(cloud.Endpoint(), cloud.World.Region, cloud.AccessKey(), cloud.SecretKey())
	count := &counting{next: cloud}
	cfg.HTTPClient = &http.Client{Transport: count}
	region, kube := awscloud.NewRegion(cfg), &objects{have: map[string]fleet.Props{}}
	a := &account{t: t, region: region, kube: kube, look: observe.Clusters{AWS: region, Kubernetes: kube, Now: time.Now},
		opt: cluster.Options{Account: cloud.World.Account, ClusterRole: "arn:aws:iam::" + cloud.World.Account + ":role/me"}}

	const readOnly = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
	s := fleet.ClusterSpec{
		Name: "pods", Region: cloud.World.Region, Version: "1.36", AuthMode: "API",
		Network: fleet.NetworkSpec{CIDR: "10.9.0.0/16", NAT: fleet.NATSingle, PublicAccess: true},
		IAM: fleet.IAMSpec{
			OIDC: true,
			ServiceAccounts: []fleet.ServiceAccountSpec{{Namespace: "apps", Name: "reader", Grants: fleet.Grants{
				PolicyARNs: []string{readOnly}, WellKnown: []string{"autoScaler", "awsLoadBalancerController", "certManager", "externalDNS"},
			}}},
			PodIdentities: []fleet.PodIdentitySpec{{Namespace: "apps", ServiceAccount: "writer", CreateServiceAccount: true, Grants: fleet.Grants{WellKnown: []string{"ebsCSIController"}}}},
		},
		Addons: []fleet.AddonSpec{
			{Name: "vpc-cni", Version: "1.19", UseDefaultPodIdentity: true}, {Name: "kube-proxy", Default: true}, {Name: "eks-pod-identity-agent", Version: "latest"},
			{Name: "eks-node-monitoring-agent"},
		},
		Fargate: []fleet.FargateSpec{
			{Name: "one", Selectors: []fleet.FargateSelector{{Namespace: "one"}}}, {Name: "two", Selectors: []fleet.FargateSelector{{Namespace: "two", Labels: map[string]string{"x": "y"}}}},
		},
	}
	made := a.converge(s)
	for _, want := range []string{
		"iam:CreateOpenIDConnectProvider oidc", "iam:PutRolePolicy role/serviceaccount/apps/reader/inline/awsLoadBalancerController",
		"kubernetes:Apply kubernetes/serviceaccount/apps/reader", "eks:CreatePodIdentityAssociation podidentity/apps/writer",
		"eks:CreateAddon addon/vpc-cni", "eks:CreateFargateProfile fargate/one", "eks:CreateFargateProfile fargate/two",
	} {
		if n := len(slices.DeleteFunc(slices.Clone(made), func(m string) bool { return m != want })); n != 1 {
			t.Errorf("%d times %s in\n%s", n, want, strings.Join(made, "\n"))
		}
	}
	read := func(kind, name string) fleet.Resource {
		t.Helper()
		have, err := region.Read(t.Context(), s.Name, fleet.Ref{ID: kind + "/" + name, Kind: kind, Name: name, Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		return have
	}
	cni := read("addon", "vpc-cni")
	if v := fleet.Text(cni.Props, "addonVersion"); !strings.HasPrefix(v, "v1.19.") || len(fleet.Items(cni.Props, "podIdentities")) != 1 {
		t.Errorf("%v", cni.Props)
	}
	annotated := fleet.Text(kube.have["kubernetes/serviceaccount/apps/reader"], "metadata", "annotations", "eks.amazonaws.com/role-arn")
	if role := read("role", cluster.RoleName(s, "sa-apps_reader")); annotated != role.ARN {
		t.Errorf("%s is annotated with %s", role.ARN, annotated)
	}

	// The file changes: a version two minors up, a configuration, policies, the trust of a role, an association's role.
	s.Addons[0].Version, s.Addons[0].Configuration = "1.21", `{"enableNetworkPolicy":"true"}`
	reader := &s.IAM.ServiceAccounts[0]
	reader.PolicyARNs, reader.WellKnown, reader.SubjectPattern = []string{"arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess"}, []string{"certManager"}, "system:serviceaccount:apps:read*"
	s.IAM.PodIdentities[0].RoleARN = read("role", cluster.RoleName(s, "pod-apps_writer")).ARN
	s.IAM.PodIdentities[0].TargetRoleARN = "arn:aws:iam::" + cloud.World.Account + ":role/there"
	made = a.converge(s)
	slices.Sort(made)
	const id = "role/serviceaccount/apps/reader"
	if want := []string{
		"eks:UpdateAddon addon/vpc-cni", "eks:UpdateAddon addon/vpc-cni", "eks:UpdatePodIdentityAssociation podidentity/apps/writer",
		"iam:AttachRolePolicy " + id + "/AmazonSSMReadOnlyAccess", "iam:DeleteRolePolicy " + id + "/without/inline/autoScaler",
		"iam:DeleteRolePolicy " + id + "/without/inline/awsLoadBalancerController", "iam:DeleteRolePolicy " + id + "/without/inline/externalDNS",
		"iam:DetachRolePolicy " + id + "/without/AmazonS3ReadOnlyAccess", "iam:UpdateAssumeRolePolicy " + id,
	}; !slices.Equal(made, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(made, "\n"), strings.Join(want, "\n"))
	}
	if cni := read("addon", "vpc-cni"); !strings.HasPrefix(fleet.Text(cni.Props, "addonVersion"), "v1.21.") || fleet.Text(cni.Props, "configurationValues") != s.Addons[0].Configuration {
		t.Errorf("%v", cni.Props)
	}

	// What somebody takes away from a role is seen at a glance, and comes back.
	role := cluster.RoleName(s, "cluster")
	if _, err := region.Call(t.Context(), plan.Call{API: "iam:DetachRolePolicy", Input: fleet.Props{"roleName": role, "policyArn": "arn:aws:iam::aws:policy/AmazonEKSVPCResourceController"}}); err != nil {
		t.Fatal(err)
	}
	if made = a.converge(s); !slices.Equal(made, []string{"iam:AttachRolePolicy role/cluster/AmazonEKSVPCResourceController"}) {
		t.Errorf("%v", made)
	}

	// A cluster as eksctl makes it, with nothing for pods but its default add-ons. CoreDNS is read by itself, and the other
	// add-ons and the roles take one call each: with three node groups and an access entry that makes eleven.
	plain := fleet.ClusterSpec{Name: "plain", Region: s.Region, AuthMode: s.AuthMode, Network: s.Network}
	for _, name := range []string{"vpc-cni", "coredns", "kube-proxy", "metrics-server"} {
		plain.Addons = append(plain.Addons, fleet.AddonSpec{Name: name, Default: true})
	}
	a.converge(plain)
	if count.reset(); len(a.converge(plain)) > 0 {
		t.Error("a third time, something is to be done")
	}
	if n := count.reset(); n > 2*6 {
		t.Errorf("two looks took %d reads", n)
	}

	plain.IAM.OIDC, plain.Addons = true, append(plain.Addons, fleet.AddonSpec{Name: "external-dns", Grants: fleet.Grants{WellKnown: []string{"externalDNS"}}})
	a.converge(plain)
	have, err := region.Read(t.Context(), plain.Name, fleet.Ref{Kind: "addon", Name: "external-dns"})
	if arn := fleet.Text(have.Props, "serviceAccountRoleArn"); err != nil || !strings.HasSuffix(arn, cluster.RolePath(plain)+cluster.RoleName(plain, "addon-external-dns")) {
		t.Errorf("%v %v", have, err)
	}

	// EKS Auto Mode with machines outside AWS, and all policies that have a name.
	auto := fleet.ClusterSpec{
		Name: "auto", Region: s.Region, Version: s.Version, AuthMode: s.AuthMode, Network: s.Network,
		Auto:   &fleet.AutoSpec{NodePools: []string{"general-purpose", "system"}},
		Remote: &fleet.RemoteSpec{NodeCIDRs: []string{"10.200.0.0/16"}, PodCIDRs: []string{"10.201.0.0/16"}, Provider: "ssm"},
		IAM: fleet.IAMSpec{OIDC: true, ServiceAccounts: []fleet.ServiceAccountSpec{{Namespace: "default", Name: "all", Grants: fleet.Grants{WellKnown: []string{
			"albIngress", "autoScaler", "certManager", "cloudWatch", "ebs", "ebsCSIController", "efs", "efsCSIController", "externalDNS", "fsx", "imageBuilder", "xRay",
		}}}}},
		Addons: []fleet.AddonSpec{{Name: "eks-node-monitoring-agent"}}, // the embedded cloud's Auto Mode brings no nodes for others
	}
	made = a.converge(auto)
	for _, want := range []string{
		"iam:AttachRolePolicy role/cluster/AmazonEKSComputePolicy", "iam:AttachRolePolicy role/auto-node/AmazonEKSWorkerNodeMinimalPolicy",
		"iam:PutRolePolicy role/hybrid/inline/hybridNode", "iam:PutRolePolicy role/serviceaccount/default/all/inline/fsx",
		"eks:CreateAccessEntry access/" + "arn:aws:iam::" + cloud.World.Account + ":role" + cluster.RolePath(auto) + cluster.RoleName(auto, "hybrid"),
	} {
		if !slices.Contains(made, want) {
			t.Errorf("no %s in\n%s", want, strings.Join(made, "\n"))
		}
	}
}

