package cluster

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// What the calls about node groups do to an observation.
func init() {
	maps.Copy(parts, map[string]func(*Observation, plan.Call){
		"eks:CreateCluster": func(o *Observation, c plan.Call) {
			r := created(c)
			maps.Copy(r.Props, fleet.Props{"endpoint": "https://demo.eks.amazonaws.com", "certificateAuthority": fleet.Props{"data": "Q0E="}})
			if fleet.Text(r.Props, "version") == "" {
				r.Props["version"] = "1.36"
			}
			inner(r.Props, "resourcesVpcConfig", "clusterSecurityGroupId", "sg-cluster")
			inner(r.Props, "kubernetesNetworkConfig", "serviceIpv4Cidr", "10.100.0.0/16")
			o.Found[c.ID] = []fleet.Resource{r}
		},
		"ec2:CreateLaunchTemplate": func(o *Observation, c plan.Call) {
			r := created(c)
			r.Props["latestVersionNumber"] = 1
			o.Found[c.ID] = []fleet.Resource{r}
		},
		"ec2:CreateLaunchTemplateVersion": func(o *Observation, c plan.Call) {
			changed(o, physicalOf(c, "launchTemplateId"), func(p fleet.Props) {
				p["latestVersionNumber"] = fleet.Int(p, "latestVersionNumber") + 1
				p["versionDescription"], p["launchTemplateData"] = c.Input["versionDescription"], c.Input["launchTemplateData"]
			})
		},
		"eks:CreateNodegroup": func(o *Observation, c plan.Call) {
			r := created(c)
			r.Props["version"] = "1.36"
			o.Found[c.ID] = []fleet.Resource{r}
			name := fleet.Text(c.Input, "nodegroupName")
			o.Found["scaling/"+name] = []fleet.Resource{{Ref: fleet.Ref{ID: "scaling/" + name, Kind: "scaling", Name: name}, Physical: "eks-" + name, Tags: map[string]string{}, Props: fleet.Props{}}}
		},
		"eks:UpdateNodegroupConfig": func(o *Observation, c plan.Call) {
			changed(o, c.ID, func(p fleet.Props) {
				for k, v := range c.Input {
					switch k {
					case "scalingConfig":
						maps.Copy(p[k].(fleet.Props), v.(fleet.Props))
					case "labels":
						have := maps.Clone(p[k].(map[string]string))
						set, _ := fleet.At(v.(fleet.Props), "addOrUpdateLabels").(map[string]string)
						maps.Copy(have, set)
						for _, l := range fleet.Texts(v.(fleet.Props), "removeLabels") {
							delete(have, l)
						}
						p[k] = have
					case "taints":
						list := append(fleet.Items(v.(fleet.Props), "addOrUpdateTaints"), fleet.Items(p, k)...)
						var kept []any
						for _, t := range list {
							gone := slices.ContainsFunc(fleet.Items(v.(fleet.Props), "removeTaints"), func(r fleet.Props) bool { return fleet.Covers(t, r) })
							twice := slices.ContainsFunc(kept, func(k any) bool {
								return fleet.Covers(k, fleet.Props{"key": t["key"], "effect": t["effect"]})
							})
							if !gone && !twice {
								kept = append(kept, t)
							}
						}
						p[k] = kept
					default:
						p[k] = v
					}
				}
			})
		},
		"autoscaling:CreateAutoScalingGroup": func(o *Observation, c plan.Call) {
			r := created(c)
			r.Physical = fleet.Text(c.Input, "autoScalingGroupName")
			r.Props["vPCZoneIdentifier"] = c.Input["vpcZoneIdentifier"]
			o.Found[c.ID] = []fleet.Resource{r}
		},
		"autoscaling:CreateOrUpdateTags": func(o *Observation, c plan.Call) {
			for _, tag := range fleet.Items(c.Input, "tags") {
				o.Found[c.ID][0].Tags[fleet.Text(tag, "key")] = fleet.Text(tag, "value")
			}
		},
		"autoscaling:SuspendProcesses": func(o *Observation, c plan.Call) {
			changed(o, strings.TrimSuffix(c.ID, "/suspended"), func(p fleet.Props) {
				list, _ := p["suspendedProcesses"].([]any)
				for _, name := range fleet.Texts(c.Input, "scalingProcesses") {
					list = append(list, fleet.Props{"processName": name})
				}
				p["suspendedProcesses"] = list
			})
		},
		"autoscaling:EnableMetricsCollection": func(o *Observation, c plan.Call) {
			id, _, _ := strings.Cut(c.ID, "/metrics")
			changed(o, id, func(p fleet.Props) {
				list := []any{fleet.Props{"metric": "GroupMinSize"}}
				for _, name := range fleet.Texts(c.Input, "metrics") {
					list = append(list, fleet.Props{"metric": name})
				}
				p["enabledMetrics"] = list
			})
		},
		"iam:AddRoleToInstanceProfile": func(o *Observation, c plan.Call) {
			changed(o, strings.TrimSuffix(c.ID, "/role"), func(p fleet.Props) { p["roles"] = []any{fleet.Props{"roleName": c.Input["roleName"]}} })
		},
		"ec2:RevokeSecurityGroupIngress": func(o *Observation, c plan.Call) {
			changed(o, physicalOf(c, "groupId"), func(p fleet.Props) {
				for _, out := range fleet.Items(c.Input, "ipPermissions") {
					for _, field := range []string{"userIdGroupPairs", "ipRanges", "ipv6Ranges"} {
						for _, in := range fleet.Items(p, "ipPermissions") {
							var kept []any
							for _, s := range fleet.Items(in, field) {
								if !slices.ContainsFunc(fleet.Items(out, field), func(gone fleet.Props) bool { return fleet.Covers(s, gone) }) {
									kept = append(kept, s)
								}
							}
							in[field] = kept
						}
					}
				}
			})
		},
		"ec2:AuthorizeSecurityGroupEgress": func(o *Observation, c plan.Call) {
			changed(o, physicalOf(c, "groupId"), func(p fleet.Props) { p["ipPermissionsEgress"] = c.Input["ipPermissions"] })
		},
	})
}

func inner(p fleet.Props, key, field string, value any) {
	old, _ := p[key].(fleet.Props)
	in := maps.Clone(old)
	if in == nil {
		in = fleet.Props{}
	}
	in[field] = value
	p[key] = in
}

// grouped is the demo with one node group, changed.
func grouped(change func(*fleet.NodeGroupSpec)) fleet.ClusterSpec {
	s := demo()
	g := group("one", "m5.large")
	g.AMIFamily = "AmazonLinux2023"
	change(&g)
	s.NodeGroups = []fleet.NodeGroupSpec{g}
	return s
}

// sent is what the last call of an API about a resource was told.
func sent(t *testing.T, calls []plan.Call, api, id string) fleet.Props {
	t.Helper()
	for _, c := range slices.Backward(calls) {
		if c.API == api && c.ID == id {
			return c.Input
		}
	}
	t.Fatalf("%s about %s was not called", api, id)
	return nil
}

// startOf is the text that the machines of group "one" start with.
func startOf(t *testing.T, calls []plan.Call) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(fleet.Text(sent(t, calls, "ec2:CreateLaunchTemplate", "template/one"), "launchTemplateData", "userData"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func switchedOn() *bool { v := true; return &v }

// TestTemplate: what EKS does not take itself is in the launch template.
func TestTemplate(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*fleet.NodeGroupSpec)
		want   fleet.Props
	}{
		"plain": {func(*fleet.NodeGroupSpec) {}, fleet.Props{
			"metadataOptions":     fleet.Props{"httpTokens": "required", "httpPutResponseHopLimit": 2},
			"blockDeviceMappings": []any{fleet.Props{"deviceName": "/dev/xvda", "ebs": fleet.Props{"volumeSize": 80, "deleteOnTermination": true}}},
		}},
		"closed": {func(g *fleet.NodeGroupSpec) { g.Machine.NoPodIMDS = true }, fleet.Props{"metadataOptions": fleet.Props{"httpTokens": "required", "httpPutResponseHopLimit": 1}}},
		"open":   {func(g *fleet.NodeGroupSpec) { g.Machine.IMDSv1 = true }, fleet.Props{"metadataOptions": fleet.Props{"httpTokens": "optional", "httpPutResponseHopLimit": 2}}},
		"volumes": {func(g *fleet.NodeGroupSpec) {
			g.Machine.DiskType, g.Machine.DiskIOPS, g.Machine.DiskEncrypted, g.Machine.DiskKey = "io2", 500, switchedOn(), "key"
			g.Machine.Volumes = []fleet.VolumeSpec{{Name: "/dev/xvdb", Type: "gp3", GiB: 10, Throughput: 250}}
		}, fleet.Props{"blockDeviceMappings": []any{
			fleet.Props{"deviceName": "/dev/xvda", "ebs": fleet.Props{"volumeType": "io2", "iops": 500, "encrypted": true, "kmsKeyId": "key"}},
			fleet.Props{"deviceName": "/dev/xvdb", "ebs": fleet.Props{"volumeType": "gp3", "volumeSize": 10, "throughput": 250}},
		}}},
		"groups": {func(g *fleet.NodeGroupSpec) { g.Machine.SecurityGroups = []string{"sg-mine"} }, fleet.Props{"securityGroupIds": []any{"sg-cluster", "sg-mine"}}},
		"ssh": {func(g *fleet.NodeGroupSpec) {
			g.Machine.SSH = &fleet.SSHSpec{KeyName: "mine"}
		}, fleet.Props{"keyName": "mine", "securityGroupIds": []any{"sg-cluster", "id-of sg/ssh/one"}}},
		"efa": {func(g *fleet.NodeGroupSpec) { g.Machine.EFA, g.Machine.Placement = true, "near" }, fleet.Props{
			"placement":         fleet.Props{"groupName": "near"},
			"networkInterfaces": []any{fleet.Props{"interfaceType": "efa", "deviceIndex": 0, "groups": []any{"sg-cluster", "id-of sg/efa/one"}}},
		}},
		"block": {func(g *fleet.NodeGroupSpec) {
			g.CapacityBlock = true
			g.Machine.Reservation = fleet.Props{"CapacityReservationTarget": fleet.Props{"CapacityReservationId": "cr-1"}}
		}, fleet.Props{"instanceMarketOptions": fleet.Props{"marketType": "capacity-block"}, "instanceType": "m5.large",
			"capacityReservationSpecification": fleet.Props{"CapacityReservationTarget": fleet.Props{"CapacityReservationId": "cr-1"}}}},
		"the rest": {func(g *fleet.NodeGroupSpec) {
			g.Machine.Monitoring, g.Machine.EBSOptimized, g.Machine.Enclave, g.Machine.CPUCredits = true, switchedOn(), true, "unlimited"
		}, fleet.Props{"monitoring": fleet.Props{"enabled": true}, "ebsOptimized": true, "enclaveOptions": fleet.Props{"enabled": true}, "creditSpecification": fleet.Props{"cpuCredits": "unlimited"}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := empty()
			calls := simulate(t, grouped(tc.change), &o)
			in := sent(t, calls, "ec2:CreateLaunchTemplate", "template/one")
			if data := in["launchTemplateData"]; !fleet.Covers(data, tc.want) {
				t.Errorf("%v\nshould have %v", data, tc.want)
			}
			ng := sent(t, calls, "eks:CreateNodegroup", "nodegroup/one")
			if ref := (fleet.Props{"id": "id-of template/one", "version": "1"}); !fleet.Covers(ng["launchTemplate"], ref) || ng["diskSize"] != nil || ng["remoteAccess"] != nil {
				t.Errorf("%v", ng)
			}
		})
	}
}

func TestKeyPairsAndGroupsForSSH(t *testing.T) {
	s, o := grouped(func(g *fleet.NodeGroupSpec) {
		g.Machine.SSH = &fleet.SSHSpec{PublicKey: "ssh-ed25519 AAAA me"}
	}), empty()
	two := s.NodeGroups[0]
	two.Name, two.Machine.SourceGroups = "two", []string{"sg-office"}
	s.NodeGroups = append(s.NodeGroups, two)
	calls := simulate(t, s, &o)
	if got := called(calls, "keypair/"); !slices.Equal(got, []string{"ec2:ImportKeyPair"}) {
		t.Errorf("one key, and %v", got)
	}
	if in := sent(t, calls, "ec2:AuthorizeSecurityGroupIngress", "sg/ssh/one/in"); !fleet.Covers(in["ipPermissions"], []any{fleet.Props{"fromPort": 22, "ipRanges": []any{fleet.Props{"cidrIp": "0.0.0.0/0"}}}}) {
		t.Errorf("%v", in)
	}
	if in := sent(t, calls, "ec2:AuthorizeSecurityGroupIngress", "sg/ssh/two/in"); !fleet.Covers(in["ipPermissions"], []any{fleet.Props{"userIdGroupPairs": []any{fleet.Props{"groupId": "sg-office"}}}}) {
		t.Errorf("%v", in)
	}
}

// TestSSHSourcesConverge: who is not in the file any more is shut out, after the others are let in.
func TestSSHSourcesConverge(t *testing.T) {
	from := func(groups ...string) fleet.ClusterSpec {
		return grouped(func(g *fleet.NodeGroupSpec) {
			g.Machine.SSH, g.Machine.SourceGroups = &fleet.SSHSpec{KeyName: "mine"}, groups
		})
	}
	o := empty()
	simulate(t, from("sg-1", "sg-2"), &o)
	s := from("sg-2", "sg-3")
	if !Unsettled(now, glance(o, s), s, opt) {
		t.Error("a light look does not see it")
	}
	calls := simulate(t, s, &o)
	if len(calls) != 2 || calls[1].API != "ec2:RevokeSecurityGroupIngress" ||
		!fleet.Covers(calls[1].Input["ipPermissions"], []any{fleet.Props{"userIdGroupPairs": []any{fleet.Props{"groupId": "sg-1"}}}}) {
		t.Errorf("%v", calls)
	}
	if calls = simulate(t, from(), &o); len(calls) != 2 {
		t.Errorf("%v", calls)
	}
}

func TestUserDataHasALimit(t *testing.T) {
	s := grouped(func(g *fleet.NodeGroupSpec) { g.Machine.PreBootstrapCommands = []string{strings.Repeat("x", 17000)} })
	if p, err := Forecast(now, empty(), s, opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "EC2 takes 16384") {
		t.Errorf("%v %s", err, p)
	}
}

// TestGroupConverges: each change of the file, and the calls that it takes.
func TestGroupConverges(t *testing.T) {
	rolling := []string{"ec2:CreateLaunchTemplateVersion", "eks:UpdateNodegroupVersion", "eks:TagResource"}
	config := []string{"eks:UpdateNodegroupConfig"}
	for name, tc := range map[string]struct {
		change func(*fleet.NodeGroupSpec)
		calls  []string
		input  fleet.Props // of the first
		note   string
	}{
		"labels": {func(g *fleet.NodeGroupSpec) { g.Labels = map[string]string{"team": "db", "new": "1"} }, config, fleet.Props{
			"labels": fleet.Props{"addOrUpdateLabels": map[string]string{"team": "db", "new": "1"}, "removeLabels": []any{"old"}}}, ""},
		"taints": {func(g *fleet.NodeGroupSpec) { g.Taints = []fleet.Taint{{Key: "a", Value: "2", Effect: "NoSchedule"}} }, config, fleet.Props{
			"taints": fleet.Props{"addOrUpdateTaints": []any{fleet.Props{"key": "a", "value": "2", "effect": "NO_SCHEDULE"}},
				"removeTaints": []any{fleet.Props{"key": "b", "effect": "NO_EXECUTE"}}}}, ""},
		"size":              {func(g *fleet.NodeGroupSpec) { g.Max = 9 }, config, fleet.Props{"scalingConfig": fleet.Props{"minSize": 1, "maxSize": 9}}, ""},
		"desired only":      {func(g *fleet.NodeGroupSpec) { g.Desired = 4 }, nil, nil, ""},
		"out of bounds":     {func(g *fleet.NodeGroupSpec) { g.Max = 2 }, config, fleet.Props{"scalingConfig": fleet.Props{"minSize": 1, "maxSize": 2, "desiredSize": 2}}, ""},
		"two of a kind":     {func(g *fleet.NodeGroupSpec) { g.Min, g.MaxUnavailablePercent = 2, 33 }, config, fleet.Props{"updateConfig": fleet.Props{"maxUnavailablePercentage": 33}, "scalingConfig": fleet.Props{"minSize": 2}}, ""},
		"repair":            {func(g *fleet.NodeGroupSpec) { g.Repair = fleet.Props{"enabled": true} }, config, fleet.Props{"nodeRepairConfig": fleet.Props{"enabled": true}}, ""},
		"tags":              {func(g *fleet.NodeGroupSpec) { g.Tags = map[string]string{"cost": "2"} }, []string{"eks:TagResource"}, fleet.Props{"tags": map[string]string{"cost": "2"}}, ""},
		"disk":              {func(g *fleet.NodeGroupSpec) { g.Machine.DiskGiB = 100 }, rolling, nil, ""},
		"commands":          {func(g *fleet.NodeGroupSpec) { g.Machine.PreBootstrapCommands = []string{"echo ${HOME}"} }, rolling, nil, ""},
		"name of instances": {func(g *fleet.NodeGroupSpec) { g.Machine.InstanceName = "x" }, nil, nil, ""},
		"release":           {func(g *fleet.NodeGroupSpec) { g.ReleaseVersion = "1.36.2-20261120" }, []string{"eks:UpdateNodegroupVersion"}, fleet.Props{"releaseVersion": "1.36.2-20261120", "version": "1.36"}, ""},
		"types":             {func(g *fleet.NodeGroupSpec) { g.InstanceTypes = []string{"m7i.large"} }, nil, nil, "instance types"},
		"spot":              {func(g *fleet.NodeGroupSpec) { g.Spot = true }, nil, nil, "capacity type"},
		"image":             {func(g *fleet.NodeGroupSpec) { g.AMIType = "AL2023_x86_64_NVIDIA" }, nil, nil, "image"},
		"role":              {func(g *fleet.NodeGroupSpec) { g.IAM.RoleARN = "arn:aws:iam::123456789012:role/mine" }, nil, nil, "role"},
		"zones":             {func(g *fleet.NodeGroupSpec) { g.Zones = []string{"us-east-1a"} }, nil, nil, "subnets"},
		"template":          {func(g *fleet.NodeGroupSpec) { g.Template = &fleet.LaunchTemplateRef{ID: "lt-mine"} }, nil, nil, "launch template"},
	} {
		t.Run(name, func(t *testing.T) {
			o := empty()
			before := func(g *fleet.NodeGroupSpec) {
				g.Labels = map[string]string{"team": "web", "old": "1"}
				g.Taints = []fleet.Taint{{Key: "a", Value: "1", Effect: "NoSchedule"}, {Key: "b", Effect: "NoExecute"}}
			}
			simulate(t, grouped(before), &o)
			s := grouped(func(g *fleet.NodeGroupSpec) { before(g); tc.change(g) })
			if light := glance(o, s); tc.calls != nil && !Unsettled(now, light, s, opt) {
				t.Error("a light look does not see it")
			}
			var notes []string
			if p, err := Decide(now, o, s, opt); err != nil {
				t.Fatal(err)
			} else {
				notes = p.Notes
			}
			forecast, err := Forecast(now, o, s, opt)
			if err != nil {
				t.Fatal(err)
			}
			calls := simulate(t, s, &o)
			var apis []string
			for _, c := range calls {
				apis = append(apis, c.API)
			}
			if !slices.Equal(apis, tc.calls) {
				t.Fatalf("%v, want %v", apis, tc.calls)
			}
			if len(calls) > 0 && !fleet.Covers(calls[0].Input, tc.input) {
				t.Errorf("%v\nshould have %v", calls[0].Input, tc.input)
			}
			if tc.note != "" && !strings.Contains(strings.Join(notes, "\n"), "group one differs from the file in "+tc.note) {
				t.Errorf("%q", notes)
			}
			if tc.note == "" && len(notes) > 0 {
				t.Errorf("%q", notes)
			}
			if len(tc.calls) == 3 && !strings.Contains(forecast.String(), "which replaces the nodes one by one") {
				t.Errorf("the plan does not say it: %s", forecast)
			}
		})
	}
}

// glance is what a light look sees of it.
func glance(o Observation, s fleet.ClusterSpec) Observation {
	o.Depth, o.Found = Light, maps.Clone(o.Found)
	maps.DeleteFunc(o.Found, func(_ string, list []fleet.Resource) bool {
		kind := list[0].Kind
		return slices.Contains(Kinds(Full, s), kind) && !slices.Contains(Kinds(Light, s), kind) || !Reads(Light, kind)
	})
	return o
}

func TestTheUsersOwnTemplate(t *testing.T) {
	mine := func(version string) func(*fleet.NodeGroupSpec) {
		return func(g *fleet.NodeGroupSpec) {
			g.Template, g.Machine, g.InstanceTypes, g.AMIType = &fleet.LaunchTemplateRef{ID: "lt-mine", Version: version}, fleet.MachineSpec{}, nil, ""
		}
	}
	o := empty()
	calls := simulate(t, grouped(mine("3")), &o)
	if in := sent(t, calls, "eks:CreateNodegroup", "nodegroup/one"); !fleet.Covers(in["launchTemplate"], fleet.Props{"id": "lt-mine", "version": "3"}) || in["instanceTypes"] != nil {
		t.Errorf("%v", in)
	}
	if got := called(calls, "template/"); got != nil {
		t.Errorf("%v", got)
	}
	o.Found["nodegroup/one"][0].Props["amiType"] = "CUSTOM"
	calls = simulate(t, grouped(mine("4")), &o)
	if len(calls) != 1 || calls[0].API != "eks:UpdateNodegroupVersion" || calls[0].Input["version"] != nil {
		t.Errorf("%v", calls)
	}
	if calls = simulate(t, grouped(mine("")), &o); len(calls) != 0 {
		t.Errorf("without a version, any will do: %v", calls)
	}
}

func TestRolesOfGroups(t *testing.T) {
	o := empty()
	s := grouped(func(g *fleet.NodeGroupSpec) {
		g.IAM.Addons, g.IAM.Boundary, g.Machine.EnableSSM = []string{"ebs"}, "arn:aws:iam::123456789012:policy/edge", true
	})
	calls := simulate(t, s, &o)
	if got := called(calls, "role/node"); slices.Contains(called(calls, "role/node/"), "iam:AttachRolePolicy") || len(got) != 6 {
		t.Errorf("%v", got)
	}
	if in := sent(t, calls, "iam:CreateRole", "role/nodes/one"); in["permissionsBoundary"] == nil {
		t.Errorf("%v", in)
	}
	if in := sent(t, calls, "eks:CreateNodegroup", "nodegroup/one"); in["nodeRole"] != "arn:aws:test:::role/nodes/one" {
		t.Errorf("%v", in["nodeRole"])
	}
	last := slices.IndexFunc(calls, func(c plan.Call) bool { return c.API == "eks:CreateNodegroup" })
	if i := slices.IndexFunc(calls, func(c plan.Call) bool { return strings.HasSuffix(c.ID, "AmazonEBSCSIDriverPolicy") }); i < 0 || i > last {
		t.Errorf("%d, and the group is %d", i, last)
	}
}

func TestScalingOfManagedGroups(t *testing.T) {
	o := empty()
	s := grouped(func(g *fleet.NodeGroupSpec) {
		g.PropagateTags, g.SuspendedScaler = true, []string{"AZRebalance"}
		g.Taints = []fleet.Taint{{Key: "a", Value: "1", Effect: "NoSchedule"}}
	})
	calls := simulate(t, s, &o)
	if got := called(calls, "scaling/"); !slices.Equal(got, []string{"autoscaling:CreateOrUpdateTags", "autoscaling:SuspendProcesses"}) {
		t.Fatalf("%v", got)
	}
	if tags := o.Found["scaling/one"][0].Tags; tags[templateTag+"taint/a"] != "1:NoSchedule" || tags[templateTag+"label/team"] != "web" {
		t.Errorf("%v", tags)
	}
}
