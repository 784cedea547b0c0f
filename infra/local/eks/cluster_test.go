package eks

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

func TestClusterBecomesActiveWhenPlaneIsUpAndTimeHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		start := time.Now()
		out, err := r.createCluster(t.Context(), asAdmin(), clusterInput())
		if err != nil {
			t.Fatal(err)
		}
		if out.Cluster.Status != creating || out.Cluster.Endpoint != "" {
			t.Errorf("new cluster has status %s and endpoint %q", out.Cluster.Status, out.Cluster.Endpoint)
		}
		again, err := r.createCluster(t.Context(), asAdmin(), clusterInput())
		if err != nil || again.Cluster.ARN != out.Cluster.ARN {
			t.Errorf("the same token and parameters gave %v", err)
		}
		other := clusterInput()
		other.Version = "1.36"
		_, err = r.createCluster(t.Context(), asAdmin(), other)
		wantError(t, err, "InvalidParameterException", "clientRequestToken")
		other.ClientRequestToken = "t2"
		_, err = r.createCluster(t.Context(), asAdmin(), other)
		wantError(t, err, "ResourceInUseException", "Cluster already exists with name: c")
		_, err = r.createNodegroup(t.Context(), asAdmin(), nodegroupInput())
		wantError(t, err, "InvalidRequestException", "Cluster 'c' is not in ACTIVE status")

		r.until(func() bool { return r.clusters["c"].status == active })
		if took := time.Since(start); took != world.Real.ClusterCreate {
			t.Errorf("ACTIVE after %s", took)
		}
		d, err := r.describeCluster(t.Context(), asAdmin(), &clusterName{"c"})
		if err != nil {
			t.Fatal(err)
		}
		c := d.Cluster
		if c.Endpoint == "" || c.CertificateAuthority.Data == "" || c.Identity == nil || c.ResourcesVPCConfig.ClusterSecurityGroupID != "sg-1" {
			t.Errorf("active cluster lacks something: %+v", c)
		}
	})
}

func TestClusterThatDoesNotStartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.fail = errors.New("no binary")
		if _, err := r.createCluster(t.Context(), asAdmin(), clusterInput()); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == failed })
		if _, err := r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"] == nil })
	})
}

func TestCreateClusterRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		change        func(*createClusterIn)
		code, message string
	}{
		"role":    {func(in *createClusterIn) { in.RoleARN = nodeRole }, "InvalidParameterException", "could not be assumed because it does not exist or the trusted entity is not correct"},
		"one AZ":  {func(in *createClusterIn) { in.ResourcesVPCConfig.SubnetIDs = []string{"subnet-a", "subnet-a2"} }, "InvalidParameterException", "Subnets specified must be in at least two different AZs"},
		"AZ":      {func(in *createClusterIn) { in.ResourcesVPCConfig.SubnetIDs = []string{"subnet-a", "subnet-e"} }, "UnsupportedAvailabilityZoneException", "Cannot create cluster 'c' because us-east-1e"},
		"no net":  {func(in *createClusterIn) { in.ResourcesVPCConfig.SubnetIDs = []string{"subnet-0"} }, "InvalidParameterException", "The subnet ID 'subnet-0' does not exist"},
		"VPCs":    {func(in *createClusterIn) { in.ResourcesVPCConfig.SubnetIDs = []string{"subnet-a", "subnet-x"} }, "InvalidParameterException", "same VPC"},
		"version": {func(in *createClusterIn) { in.Version = "1.20" }, "InvalidParameterException", "unsupported Kubernetes version"},
		"name":    {func(in *createClusterIn) { in.Name = "-c" }, "InvalidParameterException", "not a valid cluster name"},
		"retired": {func(in *createClusterIn) { in.Version = "1.30" }, "InvalidParameterException", "unsupported Kubernetes version"},
		"old":     {func(in *createClusterIn) { in.Version = "1.33" }, "NotImplemented", "control planes of Kubernetes 1.33"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				in := clusterInput()
				tc.change(in)
				_, err := r.createCluster(t.Context(), asAdmin(), in)
				wantError(t, err, tc.code, tc.message)
			})
		})
	}
}

func TestOneUpdateAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		first, err := r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.36", ClientRequestToken: "v"})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.clusters["c"].status; got != active {
			t.Errorf("right after the call the status is %s; EKS still says ACTIVE", got)
		}
		protect := true
		_, err = r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", DeletionProtection: &protect})
		wantError(t, err, "ResourceInUseException", "Cannot DeletionProtectionUpdate because cluster c currently has update "+first.Update.ID+" in progress")
		_, err = r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"})
		wantError(t, err, "ResourceInUseException", "currently has an update in progress")
		same, err := r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.36", ClientRequestToken: "v"})
		if err != nil || same.Update.ID != first.Update.ID {
			t.Errorf("the same token gave %v, %v", same, err)
		}
		r.until(func() bool { return r.clusters["c"].status == updating })
		done := r.updateEnds(first, nil)
		if done.Status != successful || r.clusters["c"].version != "1.36" || r.clusters["c"].status != active || r.plane().saw("upgrade 1.36") != 1 {
			t.Errorf("after the update: %+v, version %s", done, r.clusters["c"].version)
		}
		_, err = r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.38"})
		wantError(t, err, "InvalidParameterException", "Unsupported Kubernetes minor version update from 1.36 to 1.38")

		r.patch = true
		_, err = r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.37"})
		wantError(t, err, "ResourceInUseException", "currently has update")
		if r.clusters["c"].status != active {
			t.Error("AWS's own patch shows in the status")
		}
		r.until(func() bool { return r.clusters["c"].running("", "") == nil })
		if r.clusters["c"].platform != 2 {
			t.Errorf("platform version is %d", r.clusters["c"].platform)
		}
	})
}

func TestFailedUpgradeKeepsTheVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.plane().upgrade = errors.New("not ready")
		u := r.updateEnds(r.updateClusterVersion(t.Context(), asAdmin(), &updateVersionIn{Name: "c", Version: "1.36"}))
		if u.Status != updateFail || len(u.Errors) != 1 || r.clusters["c"].version != "1.35" || r.clusters["c"].status != active {
			t.Errorf("update %+v, version %s", u, r.clusters["c"].version)
		}
	})
}

func TestClusterConfigChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		yes, no := true, false
		_, err := r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", DeletionProtection: &yes, UpgradePolicy: &upgradePolicy{"STANDARD"}})
		wantError(t, err, "InvalidParameterException", "Only one type of update can be allowed")
		r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", DeletionProtection: &yes}))
		_, err = r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"})
		wantError(t, err, "InvalidRequestException", "deletion protection")
		r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", DeletionProtection: &no}))

		logs := &logging{[]logSetup{{[]string{"audit"}, true}}}
		u := r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", Logging: logs}))
		if u.Type != "LoggingUpdate" {
			t.Errorf("type %s", u.Type)
		}
		_, err = r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", Logging: logs})
		wantError(t, err, "InvalidParameterException", "No changes needed for the logging config provided")
		_, err = r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", AccessConfig: &accessConfigRequest{AuthenticationMode: modeConfigMap}})
		wantError(t, err, "InvalidParameterException", "Unsupported authentication mode update from API to CONFIG_MAP")
		_, err = r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ResourcesVPCConfig: &vpcConfigRequest{EndpointPublicAccess: &no}})
		wantError(t, err, "InvalidParameterException", "Private and public endpoint access cannot be false")
		u = r.updateEnds(r.updateClusterConfig(t.Context(), asAdmin(), &updateConfigIn{Name: "c", ResourcesVPCConfig: &vpcConfigRequest{EndpointPrivateAccess: &yes}}))
		if u.Type != "EndpointAccessUpdate" || !r.clusters["c"].vpc.EndpointPrivateAccess {
			t.Errorf("endpoint update: %+v", u)
		}
	})
}

func TestDeadControlPlaneIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		first := r.plane()
		close(first.done)
		r.until(func() bool { return len(r.clusters["c"].issues) == 1 })
		r.until(func() bool {
			return len(r.clusters["c"].issues) == 0 && r.joined(r.clusters["c"].nodegroups["ng"], 0) == 2
		})
		second := r.plane()
		if second == first || second.spec.Dir != first.spec.Dir || len(second.nodes) != 2 {
			t.Errorf("the second plane has %d nodes in %s", len(second.nodes), second.spec.Dir)
		}
	})
}
