package eks

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLogs notes the groups that are made.
type fakeLogs []string

func (f *fakeLogs) EnsureGroup(name string) { *f = append(*f, name) }

func (r *rig) config(change func(*updateConfigIn)) (*updateOut, error) {
	in := &updateConfigIn{Name: "c"}
	change(in)
	return r.updateClusterConfig(r.t.Context(), asAdmin(), in)
}

func TestEveryKindOfConfigUpdate(t *testing.T) {
	for _, tc := range []struct {
		kind   string
		change func(*updateConfigIn)
		param  string // of the first parameter
		done   func(*cluster) bool
	}{
		{"VpcConfigUpdate", func(in *updateConfigIn) {
			in.ResourcesVPCConfig = &vpcConfigRequest{SecurityGroupIDs: []string{"sg-2"}}
		}, `SecurityGroups ["sg-2"]`,
			func(c *cluster) bool { return slices.Equal(c.vpc.SecurityGroupIDs, []string{"sg-2"}) }},
		{"EndpointAccessUpdate", func(in *updateConfigIn) {
			in.ResourcesVPCConfig = &vpcConfigRequest{EndpointPrivateAccess: yes(), EndpointPublicAccess: no()}
		}, "EndpointPublicAccess false",
			func(c *cluster) bool {
				return c.vpc.EndpointPrivateAccess && !c.vpc.EndpointPublicAccess && len(c.vpc.PublicAccessCIDRs) == 0
			}},
		{"ControlPlaneEgressUpdate", func(in *updateConfigIn) {
			in.ResourcesVPCConfig = &vpcConfigRequest{ControlPlaneEgressMode: "CUSTOMER_ROUTED"}
		}, "ControlPlaneEgressMode CUSTOMER_ROUTED",
			func(c *cluster) bool { return c.vpc.ControlPlaneEgressMode == "CUSTOMER_ROUTED" }},
		{"LoggingUpdate", func(in *updateConfigIn) { in.Logging = &logging{[]logSetup{{[]string{"api"}, true}}} }, `ClusterLogging {"clusterLogging":[{"types":["api"],"enabled":true}]}`,
			func(c *cluster) bool { return c.logging.ClusterLogging[0].Enabled }},
		{"UpgradePolicyUpdate", func(in *updateConfigIn) { in.UpgradePolicy = &upgradePolicy{"STANDARD"} }, `UpgradePolicy {"supportType":"STANDARD"}`,
			func(c *cluster) bool { return c.upgradePolicy.SupportType == "STANDARD" }},
		{"ZonalShiftConfigUpdate", func(in *updateConfigIn) { in.ZonalShiftConfig = &enabledSetting{true} }, `ZonalShiftConfig {"enabled":true}`,
			func(c *cluster) bool { return c.zonalShift != nil && c.zonalShift.Enabled }},
		{"DeletionProtectionUpdate", func(in *updateConfigIn) { in.DeletionProtection = yes() }, "DeletionProtection true", func(c *cluster) bool { return c.protected }},
		{"RemoteNetworkConfigUpdate", func(in *updateConfigIn) {
			in.RemoteNetworkConfig = &remoteNetworks{Nodes: &[]remoteCIDRs{{[]string{"192.168.0.0/24"}}}}
		}, `RemoteNetworkConfig {"remoteNodeNetworks":[{"cidrs":["192.168.0.0/24"]}]}`, func(c *cluster) bool { return c.remote != nil }},
		{"ControlPlaneScalingConfigUpdate", func(in *updateConfigIn) { in.ScalingConfig = &scalingTier{"tier-xl"} }, "PreviousTier standard",
			func(c *cluster) bool { return c.tier == "tier-xl" }},
		{"ControlPlaneComponentConfigUpdate", func(in *updateConfigIn) { in.APIServer = &apiServerConfig{EventTTL: "30m"} }, `KubeApiServerConfig {"eventTtl":"30m"}`,
			func(c *cluster) bool {
				return c.parts.APIServer.EventTTL == "30m" && c.parts.APIServer.ServiceNodePortRange.MinPort == 30000
			}},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				var logs fakeLogs
				r.opt.Logs = &logs
				r.mustCluster()
				u, err := r.config(tc.change)
				if err != nil {
					t.Fatal(err)
				}
				_, busy := r.config(tc.change)
				wantError(t, busy, "ResourceInUseException", fmt.Sprintf("Cannot %s because cluster c currently has update %s in progress", tc.kind, u.Update.ID))
				if tc.done(r.clusters["c"]) {
					t.Error("it is done before its time")
				}
				end := r.updateEnds(u, nil)
				if end.Type != tc.kind || end.Status != successful || len(end.Params) == 0 || end.Params[0].Type+" "+end.Params[0].Value != tc.param {
					t.Errorf("update %+v", end)
				}
				if !tc.done(r.clusters["c"]) {
					t.Error("it is not done")
				}
				if tc.kind == "LoggingUpdate" && !slices.Equal(logs, []string{"/aws/eks/c/cluster"}) {
					t.Errorf("log groups %v", logs)
				}
			})
		})
	}
}

func TestConfigUpdateRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.AccessConfig = &accessConfigRequest{AuthenticationMode: modeBoth}
		in.ResourcesVPCConfig.EndpointPrivateAccess = yes()
		in.ResourcesVPCConfig.ControlPlaneEgressMode = "CUSTOMER_ISOLATED"
		in.ScalingConfig = &scalingTier{"tier-xl"}
		in.ControllerManager = &controllerManagerConfig{HPA: &hpaConfig{"10s"}}
		if _, err := r.createCluster(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		const invalid = "InvalidParameterException"
		for name, tc := range map[string]struct {
			change  func(*updateConfigIn)
			message string
		}{
			"nothing": {func(*updateConfigIn) {}, "The type for cluster update was not provided."},
			"two":     {func(in *updateConfigIn) { in.DeletionProtection, in.ZonalShiftConfig = yes(), &enabledSetting{true} }, "Only one type of update can be allowed"},
			"two in one": {func(in *updateConfigIn) {
				in.ResourcesVPCConfig = &vpcConfigRequest{EndpointPublicAccess: no(), SubnetIDs: []string{"subnet-a", "subnet-b"}}
			}, "Only one type of update can be allowed"},
			"endpoint": {func(in *updateConfigIn) { in.ResourcesVPCConfig = &vpcConfigRequest{EndpointPublicAccess: yes()} },
				"Cluster is already at the desired configuration with endpointPrivateAccess: true , endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]"},
			"subnets": {func(in *updateConfigIn) {
				in.ResourcesVPCConfig = &vpcConfigRequest{SubnetIDs: []string{"subnet-b", "subnet-a"}}
			}, "No changes needed for the VPC config"},
			"zone": {func(in *updateConfigIn) {
				in.ResourcesVPCConfig = &vpcConfigRequest{SubnetIDs: []string{"subnet-a", "subnet-a2"}}
			}, "at least two different AZs"},
			"egress": {func(in *updateConfigIn) {
				in.ResourcesVPCConfig = &vpcConfigRequest{ControlPlaneEgressMode: egressManaged}
			}, "Unsupported control plane egress mode update from CUSTOMER_ISOLATED to AWS_MANAGED"},
			"logging":    {func(in *updateConfigIn) { in.Logging = &logging{[]logSetup{{[]string{"api"}, false}}} }, "No changes needed for the logging config provided"},
			"access":     {func(in *updateConfigIn) { in.AccessConfig = &accessConfigRequest{AuthenticationMode: modeConfigMap} }, "Unsupported authentication mode update from API_AND_CONFIG_MAP to CONFIG_MAP"},
			"tier":       {func(in *updateConfigIn) { in.ScalingConfig = &scalingTier{"standard"} }, "needs a Provisioned Control Plane scaling tier"},
			"family":     {func(in *updateConfigIn) { in.KubernetesNetworkConfig = &networkConfig{IPFamily: ipv6} }, "can be set at cluster creation only"},
			"components": {func(in *updateConfigIn) { in.APIServer = &apiServerConfig{EventTTL: "60m"} }, "No changes needed"},
			"auto":       {func(in *updateConfigIn) { in.ComputeConfig = &computeConfig{Enabled: yes()} }, "For EKS Auto Mode, please ensure"},
		} {
			_, err := r.config(tc.change)
			t.Log(name)
			wantError(t, err, invalid, tc.message)
		}
		if got := r.clusters["c"].updates; len(got) != 0 {
			t.Errorf("refused updates are recorded: %v", got)
		}
	})
}

func TestRemoteNetworksAreRemovedByEmptyLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.RemoteNetworkConfig = &remoteNetworks{Nodes: &[]remoteCIDRs{{[]string{"192.168.0.0/24"}}}}
		if _, err := r.createCluster(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		r.updateEnds(r.config(func(in *updateConfigIn) {
			in.RemoteNetworkConfig = &remoteNetworks{Nodes: &[]remoteCIDRs{}, Pods: &[]remoteCIDRs{}}
		}))
		if r.clusters["c"].remote != nil {
			t.Error("the networks are still there")
		}
	})
}

func TestExtendedSupportCannotBeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		time.Sleep(time.Until(day("2027-03-28"))) // the day after 1.35's standard support; only the bubble's clock moves
		_, err := r.config(func(in *updateConfigIn) { in.UpgradePolicy = &upgradePolicy{"STANDARD"} })
		wantError(t, err, "InvalidRequestException", "Kubernetes version 1.35 is in extended support")
	})
}

func TestEncryptionIsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.opt.Keys = fakeKeys{}
		r.mustCluster()
		in := &associateEncryptionIn{Name: "c", EncryptionConfig: key(keyARN + "/off")}
		_, err := r.associateEncryption(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "is not enabled")
		in.EncryptionConfig = key(keyARN)
		u := r.updateEnds(r.associateEncryption(t.Context(), asAdmin(), in))
		if u.Type != "AssociateEncryptionConfig" || u.Params[0].Type != "EncryptionConfig" || r.clusters["c"].encryption[0].Provider.KeyARN != keyARN {
			t.Errorf("update %+v", u)
		}
		_, err = r.associateEncryption(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "Encryption is already enabled on the cluster")
	})
}

func TestDeleteClusterConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		remove := func() error {
			_, err := r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"})
			return err
		}
		c := r.clusters["c"]
		c.nodegroups["ng"] = &nodegroup{name: "ng"}
		wantError(t, remove(), "ResourceInUseException", "Cluster has nodegroups attached")
		delete(c.nodegroups, "ng")
		c.fargate = map[string]*fargateProfile{"f": {name: "f", status: active}}
		wantError(t, remove(), "ResourceInUseException", "Cluster has Fargate Profiles in ACTIVE/CREATING state")
		delete(c.fargate, "f")
		if err := remove(); err != nil {
			t.Error(err)
		}
	})
}

func TestVersionsBySupport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		time.Sleep(time.Until(day("2026-11-23")))
		list := func(in describeVersionsIn) string {
			out, err := r.describeClusterVersions(t.Context(), asAdmin(), &in)
			if err != nil {
				t.Fatal(err)
			}
			text := ""
			for _, v := range out.ClusterVersions {
				text += v.ClusterVersion + " "
				if (v.Components != nil) != (minor(v.ClusterVersion) >= 31) || len(v.ScalingTiers) != 4 {
					t.Errorf("control plane of %s: %+v", v.ClusterVersion, v)
				}
			}
			return text
		}
		for want, in := range map[string]describeVersionsIn{
			"1.31 1.32 1.33 1.34 1.35 1.36 1.37 ":           {},
			"1.29 1.30 1.31 1.32 1.33 1.34 1.35 1.36 1.37 ": {IncludeAll: true},
			"1.31 1.32 1.33 ":                               {VersionStatus: "EXTENDED_SUPPORT"},
			"1.34 1.35 1.36 1.37 ":                          {Status: "standard-support"},
			"1.29 1.30 ":                                    {VersionStatus: "UNSUPPORTED"},
			"1.36 ":                                         {DefaultOnly: true},
		} {
			if got := list(in); got != want {
				t.Errorf("%+v: got %s, want %s", in, got, want)
			}
		}
		time.Sleep(4 * 24 * time.Hour)
		in := clusterInput()
		in.Version = "1.31"
		_, err := r.createCluster(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "unsupported Kubernetes version 1.31")
	})
}

func TestAuthenticationModeGoesOneWayStepByStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		in := clusterInput()
		in.AccessConfig = nil
		if _, err := r.createCluster(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		to := func(mode string) (*updateOut, error) {
			return r.config(func(in *updateConfigIn) { in.AccessConfig = &accessConfigRequest{AuthenticationMode: mode} })
		}
		_, err := to(modeAPI)
		wantError(t, err, "InvalidParameterException", "Unsupported authentication mode update from CONFIG_MAP to API")
		for _, mode := range []string{modeBoth, modeAPI} {
			if u := r.updateEnds(to(mode)); u.Type != "AccessConfigUpdate" || r.clusters["c"].access.AuthenticationMode != mode {
				t.Errorf("update to %s: %+v", mode, u)
			}
		}
		_, err = to(modeBoth)
		wantError(t, err, "InvalidParameterException", "Unsupported authentication mode update from API to API_AND_CONFIG_MAP")
	})
}
