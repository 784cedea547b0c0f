package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func withAddons(list ...fleet.AddonSpec) fleet.ClusterSpec {
	return demoWith(func(s *fleet.ClusterSpec) { s.Addons = list })
}

func defaults() []fleet.AddonSpec {
	var out []fleet.AddonSpec
	for _, name := range []string{"metrics-server", "coredns", "vpc-cni", "kube-proxy"} {
		out = append(out, fleet.AddonSpec{Name: name, Default: true})
	}
	return out
}

func TestAddonsComeInOrder(t *testing.T) {
	s, o := withAddons(append(defaults(), fleet.AddonSpec{Name: agent})...), empty()
	calls := simulate(t, s, &o)
	group := position(t, calls, "eks:CreateNodegroup", "nodegroup/spot")
	for name, before := range map[string]bool{"vpc-cni": true, "kube-proxy": true, agent: true, "coredns": false, "metrics-server": false} {
		if at := position(t, calls, "eks:CreateAddon", "addon/"+name); (at < group) != before {
			t.Errorf("%s is call %d, the node group %d", name, at, group)
		}
	}
	cni := only(t, calls, "eks:CreateAddon", "addon/vpc-cni")
	if cni["addonVersion"] != nil || cni["resolveConflicts"] != "OVERWRITE" || cni["addonName"] != "vpc-cni" || !fleet.Covers(cni["tags"], fleet.Props{fleet.TagCluster: "demo"}) {
		t.Errorf("%v", cni)
	}
	if m := only(t, calls, "eks:CreateAddon", "addon/metrics-server"); m["resolveConflicts"] != nil {
		t.Errorf("%v", m)
	}
	if got := AddonsToAsk(o, s); got != nil {
		t.Errorf("versions are asked for: %v", got)
	}
}

func TestAddonsWaitForWhatRunsPods(t *testing.T) {
	coredns := fleet.AddonSpec{Name: "coredns"}
	needs := func(s fleet.ClusterSpec, o Observation) string {
		g, _, err := graph(o, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, id := range g[slices.IndexFunc(g, func(r resource) bool { return r.id == "addon/coredns" })].needs {
			if strings.HasPrefix(id, "nodegroup/") || strings.HasPrefix(id, "fargate/") {
				out = append(out, id)
			}
		}
		return strings.Join(out, " ")
	}
	s, o := withAddons(coredns), empty()
	if got := needs(s, o); got != "nodegroup/spot" {
		t.Errorf("the first group: %s", got)
	}
	there := empty()
	simulate(t, s, &there)
	there.Found["nodegroup/spot"][0].Status = "CREATING"
	if got := needs(s, there); got != "nodegroup/on-demand" {
		t.Errorf("the one that is there: %s", got)
	}
	there.Found["nodegroup/spot"][0].Status = "CREATE_FAILED"
	there.Made = map[string]fleet.Making{"nodegroup/spot": {At: now, Times: 1}}
	delete(there.Found, "nodegroup/on-demand")
	if got := needs(s, there); got != "nodegroup/on-demand" {
		t.Errorf("not the one that failed: %s", got)
	}
	s.NodeGroups = nil
	if got := needs(s, o); got != "" {
		t.Errorf("without nodes: %s", got)
	}
	s.Network.NAT, s.Fargate = fleet.NATSingle, []fleet.FargateSpec{{Name: "system", Selectors: []fleet.FargateSelector{{Namespace: "kube-system"}}}}
	if got := needs(s, o); got != "fargate/system" {
		t.Errorf("with Fargate: %s", got)
	}
	if got := only(t, simulate(t, s, &o), "eks:CreateAddon", "addon/coredns"); got["configurationValues"] != `{"computeType":"Fargate"}` {
		t.Errorf("%v", got)
	}
}

func TestAddonVersions(t *testing.T) {
	offer := fleet.AddonOffer{Versions: []string{"v1.21.1-eksbuild.1", "v1.20.5-eksbuild.2", "v1.20.5-eksbuild.1", "v1.19.6-eksbuild.1", "v1.18.1-eksbuild.1"}}
	for _, tc := range []struct {
		name, want, have string
		asks             bool
		next             string // the version in the call, "" without a call
	}{
		{"vpc-cni", "", "", false, "default"},
		{"vpc-cni", "v1.20.5-eksbuild.1", "", false, "v1.20.5-eksbuild.1"},
		{"vpc-cni", "latest", "", true, "v1.21.1-eksbuild.1"},
		{"vpc-cni", "1.20", "", true, "v1.20.5-eksbuild.2"},
		{"vpc-cni", "v1.20.5", "", true, "v1.20.5-eksbuild.2"},
		{"vpc-cni", "", "v1.18.1-eksbuild.1", false, ""},
		{"vpc-cni", "latest", "v1.18.1-eksbuild.1", false, ""},
		{"vpc-cni", "1.20", "v1.20.5-eksbuild.1", false, ""},
		{"vpc-cni", "1.2", "v1.20.5-eksbuild.1", true, "none"},
		{"vpc-cni", "v1.20.5-eksbuild.2", "v1.20.5-eksbuild.1", false, "v1.20.5-eksbuild.2"},
		{"vpc-cni", "v1.20.5-eksbuild.2", "v1.21.1-eksbuild.1", false, "v1.20.5-eksbuild.2"},
		{"vpc-cni", "v1.21.1-eksbuild.1", "v1.18.1-eksbuild.1", true, "v1.19.6-eksbuild.1"},
		{"vpc-cni", "1.19", "v1.21.1-eksbuild.1", true, "v1.20.5-eksbuild.2"},
		{"coredns", "v1.21.1-eksbuild.1", "v1.18.1-eksbuild.1", false, "v1.21.1-eksbuild.1"},
	} {
		s, o := withAddons(fleet.AddonSpec{Name: tc.name, Version: tc.want}), empty()
		simulate(t, demo(), &o)
		id := "addon/" + tc.name
		if tc.have != "" {
			o.Found[id] = []fleet.Resource{{Ref: RefOf(id), Physical: tc.name, Status: "ACTIVE", Tags: owned(s), Props: fleet.Props{"addonVersion": tc.have}}}
		}
		label := tc.name + " " + tc.want + " from " + tc.have
		asks := AddonsToAsk(o, s)
		if (len(asks) == 1) != tc.asks {
			t.Errorf("%s: asks %v", label, asks)
		}
		if tc.asks {
			if p, err := Decide(now, o, s, opt); err != nil || tc.have == "" && !p.Empty() {
				t.Errorf("%s: before it is known: %v\n%s", label, err, p)
			}
			o.Market.Addons = map[string]fleet.AddonOffer{tc.name: offer}
		}
		p, err := Decide(now, o, s, opt)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				if got = fleet.Text(a.(plan.Call).Input, "addonVersion"); got == "" {
					got = "default"
				}
			}
		}
		if tc.next == "none" { // stays, with a note
			if got != "" || !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "EKS has no version 1.2 ") }) {
				t.Errorf("%s: %s", label, p)
			}
		} else if got != tc.next {
			t.Errorf("%s: %q, want %q\n%s", label, got, tc.next, p)
		}
	}
	for _, none := range []fleet.AddonOffer{{}, offer} {
		s, o := withAddons(fleet.AddonSpec{Name: "x", Version: "9"}), empty()
		simulate(t, demo(), &o)
		o.Market.Addons = map[string]fleet.AddonOffer{"x": none}
		if p, err := Decide(now, o, s, opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "EKS has no") {
			t.Errorf("%v\n%s", err, p)
		}
	}
}

// TestVPCCNIGoesStepByStep: three minors are three updates.
func TestVPCCNIGoesStepByStep(t *testing.T) {
	s, o := withAddons(fleet.AddonSpec{Name: "vpc-cni", Version: "v1.18.1-eksbuild.1"}), empty()
	simulate(t, s, &o)
	o.Market.Addons = map[string]fleet.AddonOffer{"vpc-cni": {Versions: []string{"v1.21.1-eksbuild.1", "v1.20.5-eksbuild.1", "v1.19.6-eksbuild.1"}}}
	s.Addons[0].Version = "v1.21.1-eksbuild.1"
	var got []string
	for _, c := range simulate(t, s, &o) {
		got = append(got, fleet.Text(c.Input, "addonVersion"))
	}
	if !slices.Equal(got, []string{"v1.19.6-eksbuild.1", "v1.20.5-eksbuild.1", "v1.21.1-eksbuild.1"}) {
		t.Errorf("%v", got)
	}
}

func TestAddonsConverge(t *testing.T) {
	s := withAddons(fleet.AddonSpec{Name: "coredns", Version: "v1.13.1-eksbuild.1", Configuration: `{"replicaCount":3}`, RoleARN: "arn:aws:iam::1:role/a"})
	o := empty()
	simulate(t, s, &o)
	for _, tc := range []struct {
		name   string
		change func(a *fleet.AddonSpec)
		want   fleet.Props // nil: no call
	}{
		{"the same in other words", func(a *fleet.AddonSpec) { a.Configuration = "{ \"replicaCount\" : 3 }" }, nil},
		{"configuration", func(a *fleet.AddonSpec) { a.Configuration = `{"replicaCount":4}` }, fleet.Props{"configurationValues": `{"replicaCount":4}`, "resolveConflicts": "PRESERVE"}},
		{"role, and to overwrite", func(a *fleet.AddonSpec) { a.RoleARN, a.Resolve = "arn:aws:iam::1:role/b", "OVERWRITE" },
			fleet.Props{"serviceAccountRoleArn": "arn:aws:iam::1:role/b", "resolveConflicts": "OVERWRITE"}},
		{"version: what is not mentioned stays", func(a *fleet.AddonSpec) { a.Version, a.Configuration, a.RoleARN = "v1.13.1-eksbuild.2", "", "" },
			fleet.Props{"addonVersion": "v1.13.1-eksbuild.2", "configurationValues": `{"replicaCount":4}`, "serviceAccountRoleArn": "arn:aws:iam::1:role/b"}},
		{"nothing is mentioned any more", func(a *fleet.AddonSpec) { a.Version = "" }, nil},
		{"namespace", func(a *fleet.AddonSpec) { a.Namespace = "dns" }, nil},
	} {
		tc.change(&s.Addons[0])
		calls := simulate(t, s, &o)
		if tc.want == nil {
			if len(calls) > 0 {
				t.Errorf("%s: %v", tc.name, calls)
			}
		} else if got := only(t, calls, "eks:UpdateAddon", "addon/coredns"); !fleet.Covers(got, tc.want) {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	o.first("addon/coredns").Props["namespaceConfig"] = fleet.Props{"namespace": "kube-system"}
	if p, err := Decide(now, o, s, opt); err != nil || !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "differs from the file in namespace (kube-system)") }) {
		t.Errorf("%v\n%s", err, p)
	}
	o.Found["addon/coredns"][0].Status, o.Found["addon/coredns"][0].Issues = "CREATE_FAILED", []string{"ConfigurationConflict: no"}
	if got := called(simulate(t, s, &o), "addon/"); !slices.Equal(got, []string{"eks:DeleteAddon", "eks:CreateAddon"}) {
		t.Errorf("%v", got)
	}
}

func TestDegradedAddons(t *testing.T) {
	s, o := withAddons(fleet.AddonSpec{Name: "coredns"}), empty()
	simulate(t, s, &o)
	o.Found["addon/coredns"][0].Status, o.Found["addon/coredns"][0].Issues = "DEGRADED", []string{"InsufficientNumberOfReplicas: none"}
	made := map[string]fleet.Making{"addon/coredns": {At: now, Times: 1}}
	for _, tc := range []struct {
		name    string
		made    map[string]fleet.Making
		idle    int
		desired int
		want    string
	}{
		{"of another run", nil, 0, 1, OutcomeActive},
		{"its nodes are on their way", made, 0, 1, ""},
		{"they do not come", made, enough, 1, OutcomeFailed},
		{"there are none by intention", made, 0, 0, OutcomeActive},
	} {
		o.Made, o.Idle = tc.made, tc.idle
		for i := range s.NodeGroups {
			s.NodeGroups[i].Desired = tc.desired
		}
		p, err := Decide(now, o, s, opt)
		if err != nil || p.Outcome != tc.want || !p.Empty() {
			t.Errorf("%s: %v\n%s", tc.name, err, p)
		}
		if text := p.String(); !strings.Contains(text, "InsufficientNumberOfReplicas") {
			t.Errorf("%s: nobody is told why: %s", tc.name, text)
		}
	}
}

func TestAddonPermissions(t *testing.T) {
	grants := fleet.Grants{WellKnown: []string{"ebsCSIController"}}
	ebs := func(change func(*fleet.AddonSpec)) fleet.AddonSpec {
		a := fleet.AddonSpec{Name: "aws-ebs-csi-driver"}
		change(&a)
		return a
	}
	for _, tc := range []struct {
		name   string
		agent  bool
		oidc   bool
		auto   bool
		addon  fleet.AddonSpec
		roles  int    // that are made
		role   string // of the service account
		pods   int    // associations
		refuse string
	}{
		{name: "given", addon: ebs(func(a *fleet.AddonSpec) { a.RoleARN = "arn:aws:iam::1:role/a" }), role: "arn:aws:iam::1:role/a"},
		{name: "policies, agent", agent: true, oidc: true, addon: ebs(func(a *fleet.AddonSpec) { a.Grants = grants }), roles: 1, pods: 1},
		{name: "policies, OIDC", oidc: true, addon: ebs(func(a *fleet.AddonSpec) { a.Grants = grants }), roles: 1, role: "role/addon/aws-ebs-csi-driver"},
		{name: "policies, no way", addon: ebs(func(a *fleet.AddonSpec) { a.Grants = grants }), refuse: "iam.withOIDC: true"},
		{name: "policies, unknown add-on", oidc: true, addon: fleet.AddonSpec{Name: "x", Grants: grants}, refuse: "name it in podIdentityAssociations"},
		{name: "associations", agent: true, addon: ebs(func(a *fleet.AddonSpec) {
			a.PodIdentities = []fleet.PodIdentitySpec{{ServiceAccount: "a", RoleARN: "arn:aws:iam::1:role/a"}, {ServiceAccount: "b", Grants: grants}}
		}), roles: 1, pods: 2},
		{name: "associations, no agent", addon: ebs(func(a *fleet.AddonSpec) {
			a.PodIdentities = []fleet.PodIdentitySpec{{ServiceAccount: "a", RoleARN: "arn:aws:iam::1:role/a"}}
		}), refuse: "add the add-on eks-pod-identity-agent"},
		{name: "recommended", agent: true, addon: fleet.AddonSpec{Name: "adot", UseDefaultPodIdentity: true}, roles: 3, pods: 3},
		{name: "recommended, unknown add-on", agent: true, addon: fleet.AddonSpec{Name: "x", UseDefaultPodIdentity: true}, refuse: "drop useDefaultPodIdentityAssociations"},
		{name: "recommended for all", agent: true, auto: true, addon: ebs(func(*fleet.AddonSpec) {}), roles: 1, pods: 1},
		{name: "recommended for all, no need", agent: true, auto: true, addon: fleet.AddonSpec{Name: "metrics-server"}},
		{name: "nothing said, OIDC", oidc: true, addon: ebs(func(*fleet.AddonSpec) {}), roles: 1, role: "role/addon/aws-ebs-csi-driver"},
		{name: "nothing said", addon: ebs(func(*fleet.AddonSpec) {})},
	} {
		s := withAddons(tc.addon)
		s.IAM.OIDC, s.IAM.AutoApplyAddonPodIdentity = tc.oidc, tc.auto
		if tc.agent {
			s.Addons = append(s.Addons, fleet.AddonSpec{Name: agent})
		}
		if tc.refuse != "" {
			refused(t, s, tc.addon.Name, tc.refuse)
			continue
		}
		o := empty()
		calls := simulate(t, s, &o)
		got := only(t, calls, "eks:CreateAddon", "addon/"+tc.addon.Name)
		role := tc.role
		if r := o.first(tc.role); r != nil {
			role = r.ARN
		}
		if fleet.Text(got, "serviceAccountRoleArn") != role || len(fleet.Items(got, "podIdentityAssociations")) != tc.pods {
			t.Errorf("%s: %v", tc.name, got)
		}
		made := slices.DeleteFunc(called(calls, "role/addon/"), func(api string) bool { return api != "iam:CreateRole" })
		if len(made) != tc.roles {
			t.Errorf("%s: %d roles", tc.name, len(made))
		}
	}
}

// TestFromAnOIDCRoleToAssociations: pods that have both use the role of the OIDC provider.
func TestFromAnOIDCRoleToAssociations(t *testing.T) {
	s := withAddons(fleet.AddonSpec{Name: agent}, fleet.AddonSpec{Name: "aws-ebs-csi-driver", RoleARN: "arn:aws:iam::1:role/a", Configuration: "{}"})
	o := empty()
	simulate(t, s, &o)
	s.Addons[1].RoleARN, s.Addons[1].UseDefaultPodIdentity = "", true
	got := only(t, simulate(t, s, &o), "eks:UpdateAddon", "addon/aws-ebs-csi-driver")
	if got["serviceAccountRoleArn"] != nil || len(fleet.Items(got, "podIdentityAssociations")) != 1 || got["configurationValues"] != "{}" {
		t.Errorf("%v", got)
	}
}

func TestAddonAssociationsConverge(t *testing.T) {
	s := withAddons(fleet.AddonSpec{Name: agent}, fleet.AddonSpec{Name: "aws-ebs-csi-driver", UseDefaultPodIdentity: true})
	o := empty()
	simulate(t, s, &o)
	arn := o.first("role/addon/aws-ebs-csi-driver/ebs-csi-controller-sa").ARN
	o.first("addon/aws-ebs-csi-driver").Props["podIdentities"] = []any{fleet.Props{"serviceAccount": "ebs-csi-controller-sa", "roleArn": "arn:aws:iam::1:role/other"}}
	got := only(t, simulate(t, s, &o), "eks:UpdateAddon", "addon/aws-ebs-csi-driver")
	if !fleet.Covers(got["podIdentityAssociations"], []any{fleet.Props{"serviceAccount": "ebs-csi-controller-sa", "roleArn": arn}}) {
		t.Errorf("%v", got)
	}
	for _, ref := range Wanted(s, opt) {
		if ref.Kind == "addon" && ref.Whole != (ref.Name == "aws-ebs-csi-driver") {
			t.Errorf("%+v", ref)
		}
	}
}
