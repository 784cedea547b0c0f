package ec2

import (
	"strings"
	"testing"
)

func TestImages(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		for _, kind := range strings.Fields(`AL2023_ARM_64_NVIDIA AL2023_ARM_64_STANDARD AL2023_x86_64_NEURON AL2023_x86_64_NVIDIA AL2023_x86_64_STANDARD
			BOTTLEROCKET_ARM_64 BOTTLEROCKET_ARM_64_FIPS BOTTLEROCKET_ARM_64_NVIDIA BOTTLEROCKET_ARM_64_NVIDIA_FIPS BOTTLEROCKET_x86_64
			BOTTLEROCKET_x86_64_FIPS BOTTLEROCKET_x86_64_NVIDIA BOTTLEROCKET_x86_64_NVIDIA_FIPS WINDOWS_CORE_2019_x86_64
			WINDOWS_CORE_2022_x86_64 WINDOWS_CORE_2025_x86_64 WINDOWS_FULL_2019_x86_64 WINDOWS_FULL_2022_x86_64 WINDOWS_FULL_2025_x86_64`) {
			i, ok := FindImage(kind, "1.36")
			if !ok || i.ID != ImageID(i.Parameter) || !strings.Contains(i.Parameter, "1.36") || i.Windows != strings.HasPrefix(kind, "WINDOWS") {
				t.Errorf("%s: %+v", kind, i)
			}
		}
		if _, ok := FindImage("CUSTOM", "1.36"); ok {
			t.Error("there is a CUSTOM image")
		}
		ids := map[string]bool{}
		for _, i := range Images() {
			if ids[i.ID] {
				t.Errorf("%s is the id of two images, one %s", i.ID, i.Name)
			}
			ids[i.ID] = true
		}
		arm, _ := FindImage("AL2023_ARM_64_STANDARD", "1.36")
		_, err := r.Run(RunSpec{Type: "m5.large", ImageID: arm.ID, SubnetID: r.subnet})
		r.wantCode(err, "InvalidParameterValue")
		must(r.Run(RunSpec{Type: "m6g.large", ImageID: arm.ID, SubnetID: r.subnet}))
		own := r.AddImage(Image{Name: "golden", Arch: "x86_64", RootDevice: "/dev/sda1"})
		got := must(r.describeImages(&describeImagesIn{Owners: []string{"self"}})).Images
		if len(got) != 1 || got[0].ID != own || got[0].OwnerID != "123456789012" || got[0].Public {
			t.Errorf("own images %+v", got)
		}
		i := must(r.Run(RunSpec{Type: "m5.large", ImageID: own, SubnetID: r.subnet}))[0]
		x := must(r.describeInstances(&describeInstancesIn{InstanceIDs: []string{i.ID}})).Reservations[0].Instances[0]
		if x.RootDeviceName != "/dev/sda1" || x.Volumes[0].DeviceName != "/dev/sda1" {
			t.Errorf("root devices %s, %s", x.RootDeviceName, x.Volumes[0].DeviceName)
		}
	})
}

func TestInstanceTypesFacts(t *testing.T) {
	for name, want := range map[string]InstanceType{
		"p4d.24xlarge": {VCPU: 96, MaxENI: 60, MaxPods: 737, Cards: 4}, "trn1.32xlarge": {VCPU: 128, MaxENI: 40, MaxPods: 247, Cards: 8},
		"inf2.xlarge": {VCPU: 4, MaxENI: 4, MaxPods: 58, Cards: 1}, "m7a.medium": {VCPU: 1, MaxENI: 2, MaxPods: 8, Cards: 1},
		"i4i.large": {VCPU: 2, MaxENI: 3, MaxPods: 29, Cards: 1}, "g5.48xlarge": {VCPU: 192, MaxENI: 7, MaxPods: 345, Cards: 1},
		"p5.48xlarge": {VCPU: 192, MaxENI: 64, MaxPods: 100, Cards: 32}, "p5en.48xlarge": {VCPU: 192, MaxENI: 64, MaxPods: 198, Cards: 16},
		"trn2.48xlarge": {VCPU: 192, MaxENI: 32, MaxPods: 100, Cards: 16}, "m8g.large": {VCPU: 2, MaxENI: 3, MaxPods: 29, Cards: 1},
		"m8g.xlarge": {VCPU: 4, MaxENI: 4, MaxPods: 58, Cards: 1}, "c8g.large": {VCPU: 2, MaxENI: 3, MaxPods: 29, Cards: 1},
		"r8g.large": {VCPU: 2, MaxENI: 3, MaxPods: 29, Cards: 1},
	} {
		if got := catalogue[name]; got.VCPU != want.VCPU || got.MaxENI != want.MaxENI || got.MaxPods != want.MaxPods || got.Cards != want.Cards {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, class := range map[string]string{"m5.large": "standard", "i4i.large": "standard", "inf1.xlarge": "inf", "g5.xlarge": "g", "p3.2xlarge": "p", "trn1.2xlarge": "trn", "p5en.48xlarge": "p", "trn2.48xlarge": "trn", "r8g.large": "standard", "t3.micro": "standard"} {
		if got := catalogue[name].class(); got != class {
			t.Errorf("%s counts as %s, want %s", name, got, class)
		}
	}
	for name, want := range map[string]Accelerators{
		"p5.48xlarge": {8, "H100", "NVIDIA", 81920, 0}, "p5en.48xlarge": {8, "H200", "NVIDIA", 144384, 0}, "trn2.48xlarge": {16, "Trainium2", "AWS", 98304, 8},
	} {
		if got := catalogue[name].Accelerators; got != want || !catalogue[name].scarce() {
			t.Errorf("%s has %+v", name, got)
		}
	}
}

func TestOffersOfZones(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		for _, c := range []struct {
			typ, az string
			want    bool
		}{
			{"m5.large", "us-east-1a", true}, {"m5.large", "us-east-1e", false}, {"p4d.24xlarge", "us-east-1a", true}, {"p4d.24xlarge", "us-east-1c", false},
			{"t3.medium", "us-east-1-bos-1a", true}, {"m7g.large", "us-east-1-bos-1a", false}, {"m5.large", "nowhere", false}, {"m5.tiny", "us-east-1a", false},
		} {
			if got := r.Offered(c.typ, c.az); got != c.want {
				t.Errorf("%s in %s: %v", c.typ, c.az, got)
			}
		}
		named := []filter{{"location", []string{"us-east-1c"}}, {"instance-type", []string{"p4d*", "m5.large"}}}
		got := must(r.describeOfferings(&offeringsIn{LocationType: "availability-zone", Filters: named})).Offerings
		if len(got) != 1 || got[0].InstanceType != "m5.large" {
			t.Errorf("offerings %+v", got)
		}
	})
}

func TestLaunchChecks(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		in := func() *runIn {
			return &runIn{MinCount: 1, MaxCount: 1, ImageID: "ami-1", InstanceType: "m5.large", SubnetID: r.subnet}
		}
		key := in()
		key.KeyName = "mine"
		_, err := r.runInstances(key)
		r.wantCode(err, "InvalidKeyPair.NotFound")
		group := in()
		group.Placement = &placementOptions{GroupName: "near"}
		_, err = r.runInstances(group)
		r.wantCode(err, "InvalidPlacementGroup.Unknown")
		must(r.createPlacement(&createPlacementIn{GroupName: "near"}))
		must(r.runInstances(group))
		_, err = r.deletePlacement(&placementIn{GroupName: "near"})
		r.wantCode(err, "InvalidPlacementGroup.InUse")
		block := in()
		block.MarketOptions = &marketOptions{MarketType: "capacity-block"}
		_, err = r.runInstances(block)
		r.wantCode(err, "InvalidParameterCombination")
		block.CapacityReservation = reservationOf("cr-0123456789abcdef0")
		if x := must(r.runInstances(block)).Instances[0]; x.Lifecycle != "capacity-block" {
			t.Errorf("lifecycle %q", x.Lifecycle)
		}
		tagged := &createVPCIn{CidrBlock: "10.0.0.0/16", TagSpecifications: []tagSpec{{"subnet", []tag{{"a", "b"}}}}}
		_, err = r.createVPC(tagged)
		r.wantCode(err, "InvalidParameterValue")
	})
}

func TestAttachments(t *testing.T) {
	for name, want := range map[string]struct {
		n         int
		dedicated bool
	}{"m5.large": {28, false}, "m7g.large": {28, false}, "m7i.large": {32, true}, "m7i.48xlarge": {128, true}, "g5.xlarge": {28, false}, "p3.2xlarge": {0, false}, "m5.metal": {31, false}} {
		x, ok := catalogue[name]
		if n, dedicated := x.attachments(); !ok || n != want.n || dedicated != want.dedicated {
			t.Errorf("%s: %d, dedicated %v", name, n, dedicated)
		}
	}
}
