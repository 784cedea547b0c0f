package eks

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

func fargateInput(name string) *createFargateIn {
	return &createFargateIn{
		ClusterName: "c", FargateProfileName: name, PodExecutionRole: fargateRole, Subnets: []string{"subnet-a"},
		Selectors: []fargateSelector{{"web", map[string]string{"tier": "front"}}}, Tags: tags{"team": "a"},
	}
}

func TestFargateProfiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		first, err := r.createFargate(t.Context(), asAdmin(), fargateInput("web"))
		if err != nil || first.FargateProfile.Status != creating {
			t.Fatalf("%+v, %v", first, err)
		}
		_, err = r.createFargate(t.Context(), asAdmin(), fargateInput("web"))
		wantError(t, err, "ResourceInUseException", "A Fargate Profile already exists with this name in this cluster.")
		_, err = r.createFargate(t.Context(), asAdmin(), fargateInput("batch"))
		wantError(t, err, "ResourceInUseException", "Cannot Create Fargate Profile batch because cluster c currently has Fargate profile web in status CREATING")
		r.until(func() bool { return r.clusters["c"].fargate["web"].status == active })
		if e := r.clusters["c"].entries[fargateRole]; e == nil || e.kind != fargateLinux || e.username != "system:node:{{SessionName}}" {
			t.Errorf("entry %+v", e)
		}
		all := fargateInput("batch")
		all.Subnets = nil
		second, err := r.createFargate(t.Context(), asAdmin(), all)
		if err != nil || !slices.Equal(second.FargateProfile.Subnets, []string{"subnet-a", "subnet-b"}) {
			t.Fatalf("%+v, %v", second, err)
		}
		r.until(func() bool { return r.clusters["c"].fargate["batch"].status == active })
		_, err = r.deleteCluster(t.Context(), asAdmin(), &clusterName{"c"})
		wantError(t, err, "ResourceInUseException", "Fargate")

		remove := func(name string) error {
			_, err := r.deleteFargate(t.Context(), asAdmin(), &fargateName{"c", name})
			return err
		}
		if err := remove("web"); err != nil {
			t.Fatal(err)
		}
		wantError(t, remove("batch"), "ResourceInUseException", "Cannot Delete Fargate Profile batch because cluster c currently has Fargate profile web in status DELETING")
		r.until(func() bool { return r.clusters["c"].fargate["web"] == nil })
		if r.clusters["c"].entries[fargateRole] == nil {
			t.Error("the role's entry is gone although another profile has the role")
		}
		if err := remove("batch"); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].fargate["batch"] == nil })
		if r.clusters["c"].entries[fargateRole] != nil {
			t.Error("the role's entry stays")
		}
		wantError(t, remove("batch"), "ResourceNotFoundException", "No Fargate Profile found with name: batch.")
	})
}

func TestFargateRefusals(t *testing.T) {
	six := map[string]string{}
	for i := range 6 {
		six[fmt.Sprint("k", i)] = "v"
	}
	for name, tc := range map[string]struct {
		change        func(*createFargateIn)
		code, message string
	}{
		"role":      {func(in *createFargateIn) { in.PodExecutionRole = nodeRole }, "InvalidParameterException", "Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal"},
		"public":    {func(in *createFargateIn) { in.Subnets = []string{"subnet-p"} }, "InvalidParameterException", "Subnet subnet-p provided in Fargate Profile is not a private subnet"},
		"subnet":    {func(in *createFargateIn) { in.Subnets = []string{"subnet-none"} }, "InvalidParameterException", "The subnet ID 'subnet-none' does not exist"},
		"none":      {func(in *createFargateIn) { in.Selectors = nil }, "InvalidParameterException", "Fargate Profile requires at least one selector."},
		"namespace": {func(in *createFargateIn) { in.Selectors = []fargateSelector{{}} }, "InvalidParameterException", "Fargate Profile must have at least one selector with at least one namespace value."},
		"selectors": {func(in *createFargateIn) { in.Selectors = slices.Repeat(in.Selectors, 6) }, "ResourceLimitExceededException", "selector limit"},
		"labels":    {func(in *createFargateIn) { in.Selectors[0].Labels = six }, "ResourceLimitExceededException", "label pairs"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.mustCluster()
				in := fargateInput("web")
				tc.change(in)
				_, err := r.createFargate(t.Context(), asAdmin(), in)
				wantError(t, err, tc.code, tc.message)
			})
		})
	}
}

func TestFargateProfileLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		for i := range maxFargateProfiles {
			name := fmt.Sprint("p", i)
			if _, err := r.createFargate(t.Context(), asAdmin(), fargateInput(name)); err != nil {
				t.Fatal(err)
			}
			r.until(func() bool { return r.clusters["c"].fargate[name].status == active })
		}
		_, err := r.createFargate(t.Context(), asAdmin(), fargateInput("more"))
		wantError(t, err, "ResourceLimitExceededException", "Limit: 10")
	})
}
