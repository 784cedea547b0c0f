package eks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// auto asks for all three parts of Auto Mode.
func auto(in *createClusterIn) {
	in.ComputeConfig = &computeConfig{Enabled: yes(), NodePools: []string{"general-purpose"}, NodeRoleARN: nodeRole}
	in.StorageConfig = &storageConfig{BlockStorage: &struct {
		Enabled *bool `json:"enabled,omitempty"`
	}{yes()}}
	in.KubernetesNetworkConfig = &networkConfig{ElasticLoadBalancing: &loadBalancing{Enabled: yes()}}
	in.BootstrapSelfManagedAddons = no()
}

func key(arn string) []encryptionConfig {
	var e encryptionConfig
	e.Provider.KeyARN, e.Resources = arn, []string{"secrets"}
	return []encryptionConfig{e}
}

const keyARN = "arn:aws:kms:us-east-1:111122223333:key/1"

// fakeKeys has one usable key, one that is switched off and one that is asymmetric.
type fakeKeys struct{}

func (fakeKeys) DescribeKey(arn string) (enabled, symmetric, ok bool) {
	return !strings.HasSuffix(arn, "/off"), !strings.HasSuffix(arn, "/rsa"), !strings.HasSuffix(arn, "/none")
}

func cidrs(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("8.8.8.%d/32", i))
	}
	return list
}

func TestCreateClusterChecksEveryField(t *testing.T) {
	remote := func(nodes, pods string) *remoteNetworks {
		return &remoteNetworks{&[]remoteCIDRs{{[]string{nodes}}}, &[]remoteCIDRs{{[]string{pods}}}}
	}
	outpost := func(in *createClusterIn) {
		in.AccessConfig = nil
		in.OutpostConfig = &outpostConfig{OutpostARNs: []string{"arn:aws:outposts:us-east-1:111122223333:outpost/op-0123456789abcdef0"}, ControlPlaneInstanceType: "m5.large"}
	}
	const invalid, request = "InvalidParameterException", "InvalidRequestException"
	for name, tc := range map[string]struct {
		change        func(*rig, *createClusterIn)
		code, message string
	}{
		"group":       {func(_ *rig, in *createClusterIn) { in.ResourcesVPCConfig.SecurityGroupIDs = []string{"sg-0"} }, invalid, "The security group 'sg-0' does not exist"},
		"group's VPC": {func(_ *rig, in *createClusterIn) { in.ResourcesVPCConfig.SecurityGroupIDs = []string{"sg-x"} }, invalid, "must belong to the same VPC"},
		"groups": {func(_ *rig, in *createClusterIn) {
			in.ResourcesVPCConfig.SecurityGroupIDs = []string{"sg-1", "sg-1", "sg-1", "sg-1", "sg-1"}
		}, invalid, "at most 4 security groups"},
		"no endpoint": {func(_ *rig, in *createClusterIn) { in.ResourcesVPCConfig.EndpointPublicAccess = no() }, invalid, "Private and public endpoint access cannot be false"},
		"CIDRs":       {func(_ *rig, in *createClusterIn) { in.ResourcesVPCConfig.PublicAccessCIDRs = cidrs(41) }, invalid, "at most 40 publicAccessCidrs"},
		"private CIDR": {func(_ *rig, in *createClusterIn) {
			in.ResourcesVPCConfig.PublicAccessCIDRs = []string{"10.1.0.0/16", "8.8.8.0/24", "203.0.113.0/24"}
		}, invalid, "The following CIDRs are not allowed in publicAccessCidrs: [10.1.0.0/16, 203.0.113.0/24]"},
		"IPv6 CIDR":    {func(_ *rig, in *createClusterIn) { in.ResourcesVPCConfig.PublicAccessCIDRs = []string{"::/0"} }, invalid, "The following CIDRs are invalid in publicAccessCidrs: [::/0]"},
		"no CIDR":      {func(_ *rig, in *createClusterIn) { in.ResourcesVPCConfig.PublicAccessCIDRs = []string{"8.8.8.8"} }, invalid, "The following CIDRs are invalid in publicAccessCidrs: [8.8.8.8]"},
		"egress":       {func(_ *rig, in *createClusterIn) { in.ResourcesVPCConfig.ControlPlaneEgressMode = "NAT" }, invalid, "controlPlaneEgressMode"},
		"no addresses": {func(r *rig, _ *createClusterIn) { r.ec2.free["subnet-b"] = 4 }, request, "Provided subnets subnet-b Free IPs: 4 , need at least 5 IPs in each subnet to be free for this operation"},
		"family":       {func(_ *rig, in *createClusterIn) { in.KubernetesNetworkConfig = &networkConfig{IPFamily: "ipv5"} }, invalid, "ipFamily must be one of"},
		"IPv6 subnets": {func(_ *rig, in *createClusterIn) { in.KubernetesNetworkConfig = &networkConfig{IPFamily: ipv6} }, invalid, "Subnet subnet-a has no IPv6 CIDR block"},
		"both families": {func(_ *rig, in *createClusterIn) {
			in.KubernetesNetworkConfig = &networkConfig{IPFamily: ipv6, ServiceIPv4CIDR: "172.20.0.0/16"}
		}, invalid, "can't be specified with ipFamily ipv6"},
		"service size": {func(_ *rig, in *createClusterIn) {
			in.KubernetesNetworkConfig = &networkConfig{ServiceIPv4CIDR: "172.16.0.0/25"}
		}, invalid, "serviceIpv4Cidr 172.16.0.0/25 is not valid"},
		"service in VPC": {func(_ *rig, in *createClusterIn) {
			in.KubernetesNetworkConfig = &networkConfig{ServiceIPv4CIDR: "10.0.16.0/20"}
		}, invalid, "overlaps with the CIDR block 10.0.0.0/16"},
		"log type": {func(_ *rig, in *createClusterIn) { in.Logging = &logging{[]logSetup{{[]string{"apis"}, true}}} }, invalid, "Invalid log type apis"},
		"log twice": {func(_ *rig, in *createClusterIn) {
			in.Logging = &logging{[]logSetup{{[]string{"api"}, true}, {[]string{"api"}, false}}}
		}, invalid, "cannot be both enabled and disabled"},
		"support": {func(_ *rig, in *createClusterIn) { in.UpgradePolicy = &upgradePolicy{"NONE"} }, invalid, "supportType"},
		"tier":    {func(_ *rig, in *createClusterIn) { in.ScalingConfig = &scalingTier{"tier-s"} }, invalid, "tier must be one of"},
		"key's region": {func(_ *rig, in *createClusterIn) {
			in.EncryptionConfig = key(strings.Replace(keyARN, "east", "west", 1))
		}, invalid, "must be a key of Region us-east-1"},
		"key off":  {func(_ *rig, in *createClusterIn) { in.EncryptionConfig = key(keyARN + "/off") }, invalid, "is not enabled"},
		"key pair": {func(_ *rig, in *createClusterIn) { in.EncryptionConfig = key(keyARN + "/rsa") }, invalid, "is not symmetric"},
		"no key":   {func(_ *rig, in *createClusterIn) { in.EncryptionConfig = key(keyARN + "/none") }, invalid, "does not exist"},
		"resources": {func(_ *rig, in *createClusterIn) {
			in.EncryptionConfig = key(keyARN)
			in.EncryptionConfig[0].Resources = []string{"pods"}
		}, invalid, "the only supported value is secrets"},
		"event TTL": {func(_ *rig, in *createClusterIn) { in.APIServer = &apiServerConfig{EventTTL: "2h"} }, invalid, "eventTtl"},
		"units":     {func(_ *rig, in *createClusterIn) { in.APIServer = &apiServerConfig{EventTTL: "0h30m"} }, invalid, "eventTtl"},
		"node ports": {func(_ *rig, in *createClusterIn) {
			in.APIServer = &apiServerConfig{ServiceNodePortRange: &portRange{80, 32767}}
		}, invalid, "serviceNodePortRange"},
		"HPA": {func(_ *rig, in *createClusterIn) {
			in.ControllerManager = &controllerManagerConfig{HPA: &hpaConfig{"10s"}}
		}, invalid, "needs a Provisioned Control Plane"},
		"GC": {func(_ *rig, in *createClusterIn) {
			in.ControllerManager = &controllerManagerConfig{PodGC: &podGCConfig{1}}
		}, invalid, "terminatedPodGcThreshold"},
		"score": {func(_ *rig, in *createClusterIn) {
			in.Scheduler = &schedulerConfig{&nodeResourcesFit{&scoringStrategy{Type: "Best"}}}
		}, invalid, "scoringStrategy.type"},
		"weight": {func(_ *rig, in *createClusterIn) {
			in.Scheduler = &schedulerConfig{&nodeResourcesFit{&scoringStrategy{Resources: []resourceWeight{{"cpu", 101}}}}}
		}, invalid, "scoringStrategy.resources"},
		"half auto":   {func(_ *rig, in *createClusterIn) { auto(in); in.StorageConfig = nil }, invalid, "For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and blockStorage are all either fully enabled or fully disabled."},
		"auto addons": {func(_ *rig, in *createClusterIn) { auto(in); in.BootstrapSelfManagedAddons = nil }, invalid, "When EKS Auto Mode is enabled, bootstrapSelfManagedAddons must be set to false."},
		"auto pools":  {func(_ *rig, in *createClusterIn) { auto(in); in.ComputeConfig.NodePools = nil }, invalid, "When Compute Config nodeRoleArn is not null or empty, nodePool value(s) must be provided."},
		"auto role":   {func(_ *rig, in *createClusterIn) { auto(in); in.ComputeConfig.NodeRoleARN = "" }, invalid, "nodeRoleArn must be provided"},
		"auto trust":  {func(_ *rig, in *createClusterIn) { auto(in); in.ComputeConfig.NodeRoleARN = clusterRole }, invalid, "could not be assumed"},
		"pool":        {func(_ *rig, in *createClusterIn) { auto(in); in.ComputeConfig.NodePools = []string{"gpu"} }, invalid, "nodePool value gpu is not valid"},
		"auto mode":   {func(_ *rig, in *createClusterIn) { auto(in); in.AccessConfig = nil }, invalid, "authenticationMode must be set to API"},
		"auto off": {func(_ *rig, in *createClusterIn) {
			in.ComputeConfig = &computeConfig{Enabled: no(), NodePools: []string{"system"}}
		}, invalid, "When Compute Config is disabled"},
		"remote":     {func(_ *rig, in *createClusterIn) { in.RemoteNetworkConfig = remote("203.0.113.0/24", "192.168.0.0/24") }, invalid, "Remote network CIDR 203.0.113.0/24 is not valid"},
		"remote VPC": {func(_ *rig, in *createClusterIn) { in.RemoteNetworkConfig = remote("10.0.4.0/24", "192.168.0.0/24") }, invalid, "overlaps with another network"},
		"remote both": {func(_ *rig, in *createClusterIn) {
			in.RemoteNetworkConfig = remote("192.168.0.0/24", "192.168.0.128/25")
		}, invalid, "overlaps with another network"},
		"remote access": {func(_ *rig, in *createClusterIn) {
			in.AccessConfig, in.RemoteNetworkConfig = nil, remote("192.168.0.0/24", "192.168.1.0/24")
		}, invalid, "needs authenticationMode API"},
		"outpost": {func(_ *rig, in *createClusterIn) { outpost(in); in.OutpostConfig.OutpostARNs = nil }, invalid, "exactly one Outpost ARN"},
		"outpost access": {func(_ *rig, in *createClusterIn) {
			outpost(in)
			in.AccessConfig = &accessConfigRequest{AuthenticationMode: modeAPI}
		}, invalid, "authenticationMode API is not supported for local clusters"},
		"outpost key": {func(_ *rig, in *createClusterIn) { outpost(in); in.EncryptionConfig = key(keyARN) }, invalid, "encryptionConfig is not supported for local clusters"},
		"outpost spread": {func(_ *rig, in *createClusterIn) {
			outpost(in)
			in.OutpostConfig.EtcdPlacement = &placement{SpreadLevel: "room"}
		}, invalid, "spreadLevel"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.opt.Keys = fakeKeys{}
				in := clusterInput()
				tc.change(r, in)
				_, err := r.createCluster(t.Context(), asAdmin(), in)
				wantError(t, err, tc.code, tc.message)
				if len(r.clusters) != 0 {
					t.Error("a refused cluster is there")
				}
			})
		})
	}
}

func TestClusterDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.AccessConfig = nil
		out, err := r.createCluster(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		c := out.Cluster
		// The VPC is in 10.0.0.0/8, so services are elsewhere.
		if c.KubernetesNetworkConfig.ServiceIPv4CIDR != "172.20.0.0/16" || c.KubernetesNetworkConfig.IPFamily != ipv4 || *c.KubernetesNetworkConfig.ElasticLoadBalancing.Enabled {
			t.Errorf("network %+v", c.KubernetesNetworkConfig)
		}
		if v := c.ResourcesVPCConfig; !v.EndpointPublicAccess || v.EndpointPrivateAccess || !slices.Equal(v.PublicAccessCIDRs, everywhere) || v.ControlPlaneEgressMode != egressManaged {
			t.Errorf("VPC %+v", v)
		}
		if c.AccessConfig.AuthenticationMode != modeConfigMap || c.UpgradePolicy.SupportType != "EXTENDED" || c.DeletionProtection || c.ScalingConfig.Tier != "standard" {
			t.Errorf("cluster %+v", c)
		}
		if c.ComputeConfig.Enabled || c.ComputeConfig.NodePools == nil || *c.StorageConfig.BlockStorage.Enabled {
			t.Errorf("Auto Mode %+v", c.ComputeConfig)
		}
		if c.APIServer.EventTTL != "60m" || c.ControllerManager.PodGC.TerminatedPodThreshold != 12500 || c.Scheduler.NodeResourcesFit.ScoringStrategy.Type != "LeastAllocated" {
			t.Errorf("components %+v", c.components)
		}
	})
}

func TestIPv6Cluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.ec2.dual = true
		in := clusterInput()
		in.KubernetesNetworkConfig = &networkConfig{IPFamily: ipv6}
		out, err := r.createCluster(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		n := out.Cluster.KubernetesNetworkConfig
		if n.ServiceIPv4CIDR != "" || !strings.HasPrefix(n.ServiceIPv6CIDR, "fd") || !strings.HasSuffix(n.ServiceIPv6CIDR, "::/108") {
			t.Errorf("network %+v", n)
		}
		if !slices.Equal(out.Cluster.ResourcesVPCConfig.PublicAccessCIDRs, everywhere6) {
			t.Errorf("CIDRs %v", out.Cluster.ResourcesVPCConfig.PublicAccessCIDRs)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		if got := r.plane().spec.ServiceCIDR; got != "172.20.0.0/16" {
			t.Errorf("the Kubernetes behind it has services in %s", got)
		}
	})
}

func TestControlPlaneInterfacesLiveWithTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.ResourcesVPCConfig.SubnetIDs = []string{"subnet-a", "subnet-a2", "subnet-b"}
		in.ResourcesVPCConfig.SecurityGroupIDs = []string{"sg-2"}
		r.ec2.free["subnet-a"] = 6
		if _, err := r.createCluster(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		if got, want := r.ec2.inSubnets(), []string{"subnet-a2 sg-1 sg-2", "subnet-b sg-1 sg-2"}; !slices.Equal(got, want) {
			t.Errorf("interfaces in %v, want %v", got, want)
		}
		before := r.clusters["c"].interfaces
		r.updateEnds(r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.36"}))
		if after := r.clusters["c"].interfaces; len(after) != 2 || slices.Equal(before, after) || len(r.ec2.inSubnets()) != 2 {
			t.Errorf("an upgrade leaves interfaces %v of %v", after, before)
		}
		u := r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ResourcesVPCConfig: &vpcConfigRequest{SubnetIDs: []string{"subnet-a", "subnet-b"}, SecurityGroupIDs: []string{}}}))
		if got, want := r.ec2.inSubnets(), []string{"subnet-a sg-1", "subnet-b sg-1"}; u.Type != "VpcConfigUpdate" || !slices.Equal(got, want) {
			t.Errorf("after %s interfaces in %v, want %v", u.Type, got, want)
		}
		r.ec2.full = true
		u = r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ResourcesVPCConfig: &vpcConfigRequest{SubnetIDs: []string{"subnet-a2", "subnet-b"}}}))
		if u.Status != updateFail || u.Errors[0].ErrorCode != "IpNotAvailable" || !slices.Equal(r.clusters["c"].vpc.SubnetIDs, []string{"subnet-a", "subnet-b"}) {
			t.Errorf("without addresses: %+v", u)
		}
		if _, err := r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"] == nil })
		if left := r.ec2.inSubnets(); len(left) != 0 {
			t.Errorf("interfaces %v outlive the cluster", left)
		}
	})
}

func TestClusterWithoutAddressesForItsInterfacesFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.ec2.full = true
		if _, err := r.createCluster(t.Context(), asAdmin(), clusterInput()); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == failed })
		if i := r.clusters["c"].issues; len(i) != 1 || i[0].Code != "InsufficientFreeAddresses" {
			t.Errorf("issues %+v", i)
		}
	})
}

func TestUpgradeNeedsFreeAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.ec2.free["subnet-a"], r.ec2.free["subnet-b"] = 0, 3
		_, err := r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.36"})
		wantError(t, err, "InvalidRequestException", "Provided subnets subnet-a Free IPs: 0 subnet-b Free IPs: 3 , need at least 5 IPs in each subnet to be free for this operation")
	})
}

func TestLocalCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.AccessConfig, in.ResourcesVPCConfig.SubnetIDs = nil, []string{"subnet-a"}
		in.OutpostConfig = &outpostConfig{OutpostARNs: []string{"arn:aws:outposts:us-east-1:111122223333:outpost/op-0123456789abcdef0"}, ControlPlaneInstanceType: "m5.large", EtcdInstanceType: "m5.xlarge"}
		out, err := r.createCluster(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		if out.Cluster.ID == "" || out.Cluster.OutpostConfig.EtcdInstanceType != "m5.xlarge" {
			t.Errorf("local cluster %+v", out.Cluster)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		_, err = r.associateEncryption(t.Context(), asAdmin(), &associateEncryptionIn{Name: "c", EncryptionConfig: key(keyARN)})
		wantError(t, err, "InvalidParameterException", "not supported for local clusters")
		_, err = r.associateIdentity(t.Context(), asAdmin(), identityInput())
		wantError(t, err, "InvalidRequestException", "Identity providers are not supported for local clusters")
		_, err = r.createNodegroup(t.Context(), asAdmin(), nodegroupInput())
		wantError(t, err, "InvalidRequestException", "Managed node groups are not supported for local clusters")
		_, err = r.createFargate(t.Context(), asAdmin(), &createFargateIn{ClusterName: "c", FargateProfileName: "f"})
		wantError(t, err, "InvalidRequestException", "Fargate profiles are not supported for local clusters")
	})
}

func TestAutoModeBringsTheNodeRolesEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		auto(in)
		out, err := r.createCluster(t.Context(), asAdmin(), in)
		if err != nil {
			t.Fatal(err)
		}
		if c := out.Cluster; !c.ComputeConfig.Enabled || c.ComputeConfig.NodeRoleARN != nodeRole || !*c.StorageConfig.BlockStorage.Enabled || !*c.KubernetesNetworkConfig.ElasticLoadBalancing.Enabled {
			t.Errorf("Auto Mode cluster %+v", c)
		}
		e := r.clusters["c"].entries[nodeRole]
		if e == nil || e.kind != "EC2" || e.policies[autoNodePolicy] == nil {
			t.Errorf("entry %+v", e)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		if !r.plane().spec.NoAddons {
			t.Error("the control plane has self-managed add-ons, which were not asked for")
		}
		off := &createClusterIn{}
		auto(off)
		off.ComputeConfig.NodePools = []string{"general-purpose", "system"}
		u := r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ComputeConfig: off.ComputeConfig, StorageConfig: off.StorageConfig, KubernetesNetworkConfig: off.KubernetesNetworkConfig}))
		if u.Type != "AutoModeUpdate" || len(u.Params) != 3 || !slices.Equal(r.clusters["c"].auto.pools, []string{"general-purpose", "system"}) {
			t.Errorf("update %+v", u)
		}
		off.ComputeConfig.NodeRoleARN = otherNodeRole
		_, err = r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ComputeConfig: off.ComputeConfig, StorageConfig: off.StorageConfig, KubernetesNetworkConfig: off.KubernetesNetworkConfig})
		wantError(t, err, "InvalidParameterException", "nodeRoleArn cannot be changed")
		_, err = r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ComputeConfig: &computeConfig{Enabled: no()}})
		if err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return !r.clusters["c"].auto.on })
		_, err = r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ComputeConfig: &computeConfig{Enabled: no()}})
		wantError(t, err, "InvalidParameterException", "The type for cluster update was not provided.")
	})
}

const otherNodeRole = "arn:aws:iam::111122223333:role/other"
