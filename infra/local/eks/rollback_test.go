package eks

import (
	"testing"
	"testing/synctest"
	"time"
)

func (r *rig) version(to string, change func(*updateVersionIn)) (*updateOut, error) {
	in := &updateVersionIn{Name: "c", Version: to}
	if change != nil {
		change(in)
	}
	return r.updateClusterVersion(r.t.Context(), asAdmin(), in)
}

func (r *rig) nodes(to string) (*updateOut, error) {
	return r.updateNodegroupVersion(r.t.Context(), asAdmin(), &updateNodegroupVersionIn{ClusterName: "c", NodegroupName: "ng", Version: to})
}

// succeed waits for an update and wants it to end well.
func (r *rig) succeed(u *updateOut, err error) updateShape {
	r.t.Helper()
	got := r.updateEnds(u, err)
	if got.Status != successful {
		r.t.Errorf("update %+v", got)
	}
	return got
}

func TestRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		_, err := r.version("1.34", nil)
		wantError(t, err, "InvalidRequestException", "it was created at version 1.35")
		_, err = r.nodes("1.34")
		wantError(t, err, "InvalidParameterException", "cannot be rolled back from 1.35 to 1.34")
		_, err = r.version("1.36", func(in *updateVersionIn) { in.RollbackConfig = &rollbackConfig{} })
		wantError(t, err, "InvalidParameterException", "rollbackConfig can be specified for a version rollback only")

		r.succeed(r.version("1.36", nil))
		r.succeed(r.nodes("1.36"))
		for _, minutes := range []int{119, 10081} {
			_, err = r.version("1.35", func(in *updateVersionIn) { in.RollbackConfig = &rollbackConfig{&minutes} })
			wantError(t, err, "InvalidParameterException", "timeoutMinutes must be between 120 and 10080")
		}
		_, err = r.version("1.35", func(in *updateVersionIn) { in.Force = true })
		wantError(t, err, "InvalidRequestException", "Nodegroups ng must be updated to version 1.35 first")
		_, err = r.nodes("1.34")
		wantError(t, err, "InvalidParameterException", "cannot be rolled back from 1.36 to 1.34")
		r.succeed(r.nodes("1.35"))
		if err := r.Fail(Failure{Cluster: "c", How: RollbackRefused, Times: 1}); err != nil {
			t.Fatal(err)
		}
		_, err = r.version("1.35", nil)
		wantError(t, err, "InvalidRequestException", "the rollback is not available")

		u := r.succeed(r.version("1.35", nil))
		c := r.clusters["c"]
		if u.Type != "VersionRollback" || c.version != "1.35" || c.platform != 1 || r.plane().saw("upgrade 1.35") != 1 {
			t.Errorf("%+v, version %s", u, c.version)
		}
		_, err = r.version("1.34", nil)
		wantError(t, err, "InvalidRequestException", "it was rolled back already")
		r.succeed(r.version("1.36", nil)) // and forward again: the way back is open again
		r.succeed(r.version("1.35", nil))
	})
}

// Only the last of two hops can be taken back, and only for seven days.
func TestRollbackOfTheLastHopOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.succeed(r.version("1.36", nil))
		r.succeed(r.version("1.37", nil))
		_, err := r.version("1.35", nil)
		wantError(t, err, "InvalidParameterException", "Unsupported Kubernetes minor version update from 1.37 to 1.35")
		time.Sleep(rollbackWindow - time.Minute)
		r.succeed(r.version("1.36", nil))
		r.succeed(r.version("1.37", nil))
		time.Sleep(rollbackWindow)
		_, err = r.version("1.36", nil)
		wantError(t, err, "InvalidRequestException", "its upgrade ended more than 7 days ago")
	})
}

func TestRollbackToExtendedSupport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		time.Sleep(time.Until(day("2027-04-01"))) // 1.35 is in extended support
		in := clusterInput()
		in.UpgradePolicy = &upgradePolicy{"EXTENDED"}
		if _, err := r.createCluster(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].status == active })
		r.succeed(r.version("1.36", nil))
		r.succeed(r.config(func(in *updateConfigIn) { in.UpgradePolicy = &upgradePolicy{"STANDARD"} }))
		_, err := r.version("1.35", nil)
		wantError(t, err, "InvalidRequestException", "Set supportType to EXTENDED first")
		r.succeed(r.config(func(in *updateConfigIn) { in.UpgradePolicy = &upgradePolicy{"EXTENDED"} }))
		r.succeed(r.version("1.35", nil))
	})
}

// autoCluster has EKS Auto Mode and was upgraded from 1.35 to 1.36.
func (r *rig) autoCluster() {
	r.t.Helper()
	in := clusterInput()
	in.BootstrapSelfManagedAddons = no()
	in.ComputeConfig = &computeConfig{Enabled: yes()}
	in.StorageConfig = &storageConfig{BlockStorage: &struct {
		Enabled *bool `json:"enabled,omitempty"`
	}{yes()}}
	in.KubernetesNetworkConfig = &networkConfig{ElasticLoadBalancing: &loadBalancing{Enabled: yes()}}
	if _, err := r.createCluster(r.t.Context(), asAdmin(), in); err != nil {
		r.t.Fatal(err)
	}
	r.until(func() bool { return r.clusters["c"].status == active })
	r.succeed(r.version("1.36", nil))
}

func (r *rig) cancel(id string) (*updateOut, error) {
	return r.cancelUpdate(r.t.Context(), asAdmin(), &cancelUpdateIn{Name: "c", UpdateID: id})
}

func TestRollbackOfAutoMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.autoCluster()
		c := r.clusters["c"]
		_, err := r.cancel(c.updates[0].id)
		wantError(t, err, "InvalidRequestException", "cannot be cancelled: only the rollback")
		_, err = r.cancel("nothing")
		wantError(t, err, "ResourceNotFoundException", "No update found for ID: nothing")

		// Cancelled in its first phase, in which the cluster is ACTIVE and takes no other change.
		u, err := r.version("1.35", nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if c.status != active {
			t.Errorf("status %s", c.status)
		}
		_, err = r.config(func(in *updateConfigIn) { in.DeletionProtection = yes() })
		wantError(t, err, "ResourceInUseException", u.Update.ID)
		if got, err := r.cancel(u.Update.ID); err != nil || got.Update.Cancelled == nil || got.Update.Cancelled.Status != inProgress {
			t.Errorf("cancel: %+v, %v", got, err)
		}
		if got := r.updateEnds(u, nil); got.Status != "Cancelled" || got.Cancelled.Status != successful || c.version != "1.36" || c.running("", "") != nil {
			t.Errorf("cancelled: %+v, version %s", got, c.version)
		}

		// Its nodes are blocked until the time is over.
		if err := r.Fail(Failure{Cluster: "c", How: AutoModeBlocked}); err != nil {
			t.Fatal(err)
		}
		begun, minutes := time.Now(), 180
		got := r.updateEnds(r.version("1.35", func(in *updateVersionIn) { in.RollbackConfig = &rollbackConfig{&minutes} }))
		if took := time.Since(begun); got.Status != updateFail || took != 3*time.Hour || c.version != "1.36" {
			t.Errorf("blocked: %+v after %s", got, took)
		}
		r.Mend("c", "", "")

		// The second phase cannot be cancelled.
		u, err = r.version("1.35", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return c.status == updating })
		_, err = r.cancel(u.Update.ID)
		wantError(t, err, "InvalidRequestException", "the rollback of the control plane has begun")
		if r.updateEnds(u, nil); c.version != "1.35" {
			t.Errorf("version %s", c.version)
		}
	})
}
