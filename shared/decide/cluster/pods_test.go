package cluster

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const testIssuer = "oidc.eks.us-east-1.amazonaws.com/id/ABC"

// What IAM's calls and add-ons' change, as the readers show it.
func init() {
	parts["iam:DetachRolePolicy"] = func(o *Observation, c plan.Call) {
		changed(o, roleOf(o, c), func(p fleet.Props) {
			list, _ := p["attachedPolicies"].([]any)
			p["attachedPolicies"] = slices.DeleteFunc(slices.Clone(list), func(v any) bool { return v == c.Input["policyArn"] })
		})
	}
	parts["iam:PutRolePolicy"] = func(o *Observation, c plan.Call) {
		changed(o, roleOf(o, c), func(p fleet.Props) {
			inline, _ := p["inlinePolicies"].(fleet.Props)
			if inline = maps.Clone(inline); inline == nil {
				inline = fleet.Props{}
			}
			inline[fleet.Text(c.Input, "policyName")] = c.Input["policyDocument"]
			p["inlinePolicies"] = inline
		})
	}
	parts["iam:DeleteRolePolicy"] = func(o *Observation, c plan.Call) {
		changed(o, roleOf(o, c), func(p fleet.Props) { delete(p["inlinePolicies"].(fleet.Props), fleet.Text(c.Input, "policyName")) })
	}
	parts["iam:UpdateAssumeRolePolicy"] = func(o *Observation, c plan.Call) {
		changed(o, roleOf(o, c), func(p fleet.Props) { p["assumeRolePolicyDocument"] = c.Input["policyDocument"] })
	}
	parts["iam:TagRole"] = func(o *Observation, c plan.Call) {
		for _, tag := range fleet.Items(c.Input, "tags") {
			o.first(roleOf(o, c)).Tags[fleet.Text(tag, "key")] = fleet.Text(tag, "value")
		}
	}
	before := parts["eks:CreateCluster"]
	parts["eks:CreateCluster"] = func(o *Observation, c plan.Call) {
		if before != nil {
			before(o, c)
		} else {
			o.Found[c.ID] = []fleet.Resource{created(c)}
		}
		changed(o, c.ID, func(p fleet.Props) {
			p["identity"] = fleet.Props{"oidc": fleet.Props{"issuer": "https://" + testIssuer}}
		})
	}
	for _, api := range []string{"eks:CreateAddon", "eks:UpdateAddon"} {
		parts[api] = func(o *Observation, c plan.Call) {
			if c.Effect == plan.Create {
				r := created(c)
				if r.Props["addonVersion"] == nil {
					r.Props["addonVersion"] = "v1.0.0-eksbuild.1"
				}
				o.Found[c.ID] = []fleet.Resource{r}
			}
			changed(o, c.ID, func(p fleet.Props) {
				maps.Copy(p, c.Input)
				if list, ok := c.Input["podIdentityAssociations"]; ok {
					p["podIdentities"] = list
				}
			})
		}
	}
}

// demoWith is the demo with something changed.
func demoWith(change func(*fleet.ClusterSpec)) fleet.ClusterSpec {
	s := demo()
	change(&s)
	return s
}

// only is the input of the only call of an API about a resource.
func only(t *testing.T, calls []plan.Call, api, id string) fleet.Props {
	t.Helper()
	var found []plan.Call
	for _, c := range calls {
		if c.API == api && c.ID == id {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d calls of %s about %s in %v", len(found), api, id, calls)
	}
	return found[0].Input
}

func position(t *testing.T, calls []plan.Call, api, id string) int {
	t.Helper()
	i := slices.IndexFunc(calls, func(c plan.Call) bool { return c.API == api && c.ID == id })
	if i < 0 {
		t.Fatalf("no %s of %s in %v", api, id, calls)
	}
	return i
}

func refused(t *testing.T, s fleet.ClusterSpec, texts ...string) {
	t.Helper()
	_, err := Decide(now, empty(), s, opt)
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%v: lacks %q", err, text)
		}
	}
}

func webIdentity() fleet.ClusterSpec {
	return demoWith(func(s *fleet.ClusterSpec) {
		s.IAM.OIDC = true
		s.IAM.ServiceAccounts = []fleet.ServiceAccountSpec{{
			Namespace: "apps", Name: "reader", Labels: map[string]string{"a": "b"},
			Grants: fleet.Grants{PolicyARNs: []string{"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"},
				Inline: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::x-${aws:PrincipalTag/team}/*"}}`},
		}, {
			Namespace: "kube-system", Name: "given", RoleARN: "arn:aws:iam::123456789012:role/given", Annotations: map[string]string{"x": "y"},
		}, {
			Namespace: "apps", Name: "many", RoleOnly: true, SubjectPattern: "system:serviceaccount:apps:many-*", RoleName: "many",
			Grants: fleet.Grants{WellKnown: []string{"externalDNS"}},
		}}
	})
}

func TestServiceAccountsGetTheirRoles(t *testing.T) {
	s, o := webIdentity(), empty()
	calls := simulate(t, s, &o)
	provider := only(t, calls, "iam:CreateOpenIDConnectProvider", "oidc")
	if provider["url"] != "https://"+testIssuer || !fleet.Covers(provider["clientIDList"], []any{"sts.amazonaws.com"}) || provider["thumbprintList"] != nil {
		t.Errorf("%v", provider)
	}
	trust := fleet.Text(only(t, calls, "iam:CreateRole", "role/serviceaccount/apps/reader"), "assumeRolePolicyDocument")
	if want := `{"Statement":[{"Action":["sts:AssumeRoleWithWebIdentity"],"Condition":{"StringEquals":{"` + testIssuer + `:aud":"sts.amazonaws.com","` + testIssuer +
		`:sub":"system:serviceaccount:apps:reader"}},"Effect":"Allow","Principal":{"Federated":"` + o.first("oidc").ARN + `"}}],"Version":"2012-10-17"}`; trust != want {
		t.Errorf("trust %s", trust)
	}
	many := only(t, calls, "iam:CreateRole", "role/serviceaccount/apps/many")
	if text := fleet.Text(many, "assumeRolePolicyDocument"); many["roleName"] != "many" || !strings.Contains(text, `"StringLike":{"`+testIssuer+`:sub":"system:serviceaccount:apps:many-*"}`) ||
		strings.Contains(text, `"system:serviceaccount:apps:many"`) {
		t.Errorf("%v", many)
	}
	account := only(t, calls, "kubernetes:Apply", "kubernetes/serviceaccount/apps/reader")
	if got := fleet.Text(account, "metadata", "annotations", roleAnnotation); got != o.first("role/serviceaccount/apps/reader").ARN {
		t.Errorf("annotated with %s", got)
	}
	if got := fleet.At(only(t, calls, "kubernetes:Apply", "kubernetes/serviceaccount/kube-system/given"), "metadata", "annotations"); !fleet.Covers(got, fleet.Props{"x": "y", roleAnnotation: s.IAM.ServiceAccounts[1].RoleARN}) {
		t.Errorf("%v", got)
	}
	if got := called(calls, "kubernetes/namespace/"); len(got) != 1 {
		t.Errorf("namespaces: %v", got)
	}
	if got := called(calls, "kubernetes/serviceaccount/apps/many"); got != nil {
		t.Errorf("roleOnly: %v", got)
	}
	if position(t, calls, "kubernetes:Apply", "kubernetes/namespace/apps") > position(t, calls, "kubernetes:Apply", "kubernetes/serviceaccount/apps/reader") {
		t.Error("the account comes before its namespace")
	}
	s.IAM.OIDC = false
	refused(t, s, "apps/reader", "iam.withOIDC: true")
}

func TestRolesFollowTheFile(t *testing.T) {
	s, o := webIdentity(), empty()
	simulate(t, s, &o)
	const id = "role/serviceaccount/apps/reader"
	for _, tc := range []struct {
		name   string
		change func(a *fleet.ServiceAccountSpec)
		want   []string
	}{
		{"a policy that is written otherwise is the same", func(a *fleet.ServiceAccountSpec) {
			a.Inline = `{"Statement":[{"Resource":["arn:aws:s3:::x-${aws:PrincipalTag/team}/*"],"Effect":"Allow","Action":["s3:Get*"]}],"Version":"2012-10-17"}`
		}, nil},
		{"policy text", func(a *fleet.ServiceAccountSpec) { a.Inline = `{"Version":"2012-10-17","Statement":[]}` }, []string{"iam:PutRolePolicy"}},
		{"another policy", func(a *fleet.ServiceAccountSpec) {
			a.PolicyARNs = []string{"arn:aws:iam::aws:policy/AmazonSSMReadOnlyAccess"}
		},
			[]string{"iam:AttachRolePolicy", "iam:DetachRolePolicy"}},
		{"no inline policy any more", func(a *fleet.ServiceAccountSpec) { a.Inline = "" }, []string{"iam:DeleteRolePolicy"}},
		{"pattern", func(a *fleet.ServiceAccountSpec) { a.SubjectPattern = "system:serviceaccount:apps:r*" }, []string{"iam:UpdateAssumeRolePolicy"}},
		{"boundary", func(a *fleet.ServiceAccountSpec) { a.Boundary = "arn:aws:iam::123456789012:policy/bound" }, []string{"iam:PutRolePermissionsBoundary"}},
		{"another boundary", func(a *fleet.ServiceAccountSpec) { a.Boundary = "arn:aws:iam::123456789012:policy/tight" }, []string{"iam:PutRolePermissionsBoundary"}},
		{"a boundary that the file does not name stays", func(a *fleet.ServiceAccountSpec) { a.Boundary = "" }, nil},
		{"tags", func(a *fleet.ServiceAccountSpec) { a.Tags = map[string]string{"k": "v"} }, []string{"iam:TagRole"}},
	} {
		tc.change(&s.IAM.ServiceAccounts[0])
		if got := called(simulate(t, s, &o), id); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestSomebodyElsesRoleIsLeftAlone(t *testing.T) {
	o := empty()
	name := RoleName(demo(), "cluster")
	o.Found[idClusterRole] = []fleet.Resource{{Ref: fleet.Ref{ID: idClusterRole, Kind: "role", Name: name}, Physical: name, ARN: "arn:x", Tags: map[string]string{}, Props: fleet.Props{}}}
	p, err := Forecast(now, o, demo(), opt)
	if err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "exists and is not ekspedite's") {
		t.Fatalf("%v\n%s", err, p)
	}
	for _, step := range p.Steps {
		for _, a := range step.Actions {
			if c := a.(plan.Call); strings.HasPrefix(c.ID, idClusterRole) {
				t.Errorf("%s", c)
			}
		}
	}
}

func TestALightLookSeesWhatIsAttached(t *testing.T) {
	s, o := demo(), empty()
	simulate(t, s, &o)
	for _, ref := range Wanted(s, opt) {
		if ref.Kind == "role" && (!ref.Glance || ref.Whole) {
			t.Errorf("%+v takes more than one read", ref)
		}
	}
	glance := fleet.Resource{Ref: o.first(idNodeRole).Ref, Physical: o.first(idNodeRole).Physical, Props: fleet.Props{"attachedPolicies": o.first(idNodeRole).Props["attachedPolicies"]}}
	o.Depth, o.Found[idNodeRole] = Light, []fleet.Resource{glance}
	if Unsettled(now, o, s, opt) {
		t.Error("a role at a glance is not enough")
	}
	glance.Props["attachedPolicies"] = []any{}
	if !Unsettled(now, o, s, opt) {
		t.Error("nobody sees that the policies are gone")
	}
}

func TestRolesOfTheControlPlane(t *testing.T) {
	attached := func(s fleet.ClusterSpec) (names []string) {
		b := &builder{o: empty(), s: s, opt: opt, at: map[string]int{}}
		for _, id := range b.roles() {
			names = append(names, strings.TrimPrefix(id, "role/"))
		}
		return names
	}
	for _, tc := range []struct {
		name   string
		change func(*fleet.ClusterSpec)
		want   string
	}{
		{"plain", func(*fleet.ClusterSpec) {}, "cluster cluster/AmazonEKSClusterPolicy cluster/AmazonEKSVPCResourceController"},
		{"given", func(s *fleet.ClusterSpec) { s.IAM.RoleARN = "arn:aws:iam::1:role/x" }, ""},
		{"without", func(s *fleet.ClusterSpec) { s.IAM.NoVPCResourceController = true }, "cluster cluster/AmazonEKSClusterPolicy"},
		{"Outposts", func(s *fleet.ClusterSpec) { s.Outpost = &fleet.OutpostSpec{ARN: "arn"} }, "cluster cluster/AmazonEKSLocalOutpostClusterPolicy"},
		{"Auto Mode", func(s *fleet.ClusterSpec) { s.Auto = &fleet.AutoSpec{NodePools: []string{"system"}} },
			"cluster cluster/AmazonEKSClusterPolicy cluster/AmazonEKSVPCResourceController cluster/AmazonEKSComputePolicy cluster/AmazonEKSBlockStoragePolicy " +
				"cluster/AmazonEKSLoadBalancingPolicy cluster/AmazonEKSNetworkingPolicy auto-node auto-node/AmazonEKSWorkerNodeMinimalPolicy auto-node/AmazonEC2ContainerRegistryPullOnly"},
		{"Auto Mode, given role", func(s *fleet.ClusterSpec) {
			s.IAM.RoleARN, s.Auto = "arn:aws:iam::1:role/x", &fleet.AutoSpec{NodePools: []string{"system"}, NodeRoleARN: "arn:aws:iam::1:role/y"}
		}, ""},
	} {
		if got := strings.Join(attached(demoWith(tc.change)), " "); got != tc.want {
			t.Errorf("%s: %s", tc.name, got)
		}
	}
}

// TestNamesOfRolesAreTheirOwn: a-b/c and a/b-c are different service accounts.
func TestNamesOfRolesAreTheirOwn(t *testing.T) {
	grants := fleet.Grants{PolicyARNs: []string{"arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}}
	s := demoWith(func(s *fleet.ClusterSpec) {
		s.IAM.OIDC, s.Addons = true, []fleet.AddonSpec{{Name: agent}}
		for _, name := range []string{"a-b/c", "a/b-c", "a/" + strings.Repeat("x", 80) + "1", "a/" + strings.Repeat("x", 80) + "2"} {
			namespace, account, _ := strings.Cut(name, "/")
			s.IAM.ServiceAccounts = append(s.IAM.ServiceAccounts, fleet.ServiceAccountSpec{Namespace: namespace, Name: account, Grants: grants})
			s.IAM.PodIdentities = append(s.IAM.PodIdentities, fleet.PodIdentitySpec{Namespace: namespace, ServiceAccount: account, CreateServiceAccount: true, Grants: grants})
		}
	})
	seen := map[string]string{}
	for _, ref := range Wanted(s, opt) {
		key := ref.Kind + " " + ref.Name
		if other, twice := seen[key]; twice || ref.Kind == "role" && len(ref.Name) > maxRoleName {
			t.Errorf("%s and %s are both %s", other, ref.ID, key)
		}
		seen[key] = ref.ID
	}
	if len(seen) < 8 {
		t.Errorf("%v", seen)
	}
}

func TestHybridNodes(t *testing.T) {
	s := demoWith(func(s *fleet.ClusterSpec) {
		s.Remote = &fleet.RemoteSpec{NodeCIDRs: []string{"10.80.0.0/16"}, PodCIDRs: []string{"10.85.0.0/16"}, Provider: "ssm"}
	})
	o := empty()
	calls := simulate(t, s, &o)
	if r := only(t, calls, "iam:CreateRole", idHybridRole); !strings.Contains(fleet.Text(r, "assumeRolePolicyDocument"), `"aws:SourceAccount":"123456789012"`) {
		t.Errorf("%v", r)
	}
	arn := "arn:aws:iam::123456789012:role/ekspedite/us-east-1/demo/ekspedite-us-east-1-demo-hybrid"
	if e := only(t, calls, "eks:CreateAccessEntry", "access/"+arn); e["type"] != "HYBRID_LINUX" {
		t.Errorf("%v", e)
	}
	if !slices.ContainsFunc(Wanted(s, opt), func(r fleet.Ref) bool { return r.ID == "access/"+arn && r.Name == arn }) {
		t.Error("nobody reads the access entry")
	}
	s.Remote.Provider = "ira"
	if p, err := Forecast(now, empty(), s, opt); err != nil || !slices.ContainsFunc(p.Notes, func(n string) bool { return strings.Contains(n, "ira is not acted on") }) {
		t.Errorf("%v\n%s", err, p)
	}
}

func podIdentity() fleet.ClusterSpec {
	yes := true
	return demoWith(func(s *fleet.ClusterSpec) {
		s.Addons = []fleet.AddonSpec{{Name: agent}}
		s.IAM.PodIdentities = []fleet.PodIdentitySpec{
			{Namespace: "apps", ServiceAccount: "writer", CreateServiceAccount: true, Grants: fleet.Grants{WellKnown: []string{"certManager"}}, Tags: map[string]string{"k": "v"}},
			{Namespace: "kube-system", ServiceAccount: "given", RoleARN: "arn:aws:iam::123456789012:role/given", TargetRoleARN: "arn:aws:iam::210987654321:role/there",
				NoSessionTags: &yes, SessionPolicy: `{"Version":"2012-10-17","Statement":[]}`},
		}
	})
}

func TestPodIdentity(t *testing.T) {
	s, o := podIdentity(), empty()
	calls := simulate(t, s, &o)
	got := only(t, calls, "eks:CreatePodIdentityAssociation", "podidentity/apps/writer")
	if got["roleArn"] != o.first("role/podidentity/apps/writer").ARN || got["clusterName"] != "demo" || got["namespace"] != "apps" || got["serviceAccount"] != "writer" || got["clientRequestToken"] == "" {
		t.Errorf("%v", got)
	}
	if trust := fleet.Text(o.first("role/podidentity/apps/writer").Props, "assumeRolePolicyDocument"); !strings.Contains(trust, `["sts:AssumeRole","sts:TagSession"]`) || !strings.Contains(trust, "pods.eks.amazonaws.com") {
		t.Errorf("%s", trust)
	}
	if got := called(calls, "kubernetes/serviceaccount/"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	for _, tc := range []struct {
		name   string
		change func(p *fleet.PodIdentitySpec)
		want   fleet.Props
	}{
		{"role", func(p *fleet.PodIdentitySpec) { p.RoleARN = "arn:aws:iam::123456789012:role/other" }, fleet.Props{"roleArn": "arn:aws:iam::123456789012:role/other"}},
		{"target", func(p *fleet.PodIdentitySpec) { p.TargetRoleARN = "arn:aws:iam::210987654321:role/elsewhere" }, fleet.Props{"targetRoleArn": "arn:aws:iam::210987654321:role/elsewhere"}},
		{"policy as before", func(p *fleet.PodIdentitySpec) { p.SessionPolicy = `{"Statement": [], "Version": "2012-10-17"}` }, nil},
		{"policy", func(p *fleet.PodIdentitySpec) { p.SessionPolicy = `{"Version":"2012-10-17"}` }, fleet.Props{"policy": `{"Version":"2012-10-17"}`}},
		{"session tags", func(p *fleet.PodIdentitySpec) { p.NoSessionTags = new(bool) }, fleet.Props{"disableSessionTags": false}},
		{"what the file leaves out stays", func(p *fleet.PodIdentitySpec) { p.NoSessionTags, p.SessionPolicy, p.TargetRoleARN = nil, "", "" }, nil},
	} {
		tc.change(&s.IAM.PodIdentities[1])
		calls := simulate(t, s, &o)
		if tc.want == nil {
			if len(calls) > 0 {
				t.Errorf("%s: %v", tc.name, calls)
			}
			continue
		}
		got := only(t, calls, "eks:UpdatePodIdentityAssociation", "podidentity/kube-system/given")
		if !fleet.Covers(got, tc.want) || got["associationId"] == "" || len(got) != 4 {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	o.first("podidentity/apps/writer").Props["ownerArn"] = "arn:aws:eks:us-east-1:123456789012:addon/demo/x/1"
	if p, err := Decide(now, o, s, opt); err != nil || p.Outcome != OutcomeFailed || !strings.Contains(p.Reason, "has its role from") {
		t.Errorf("%v\n%s", err, p)
	}
	s.Addons = nil
	refused(t, s, "eks-pod-identity-agent")
	s.Auto = &fleet.AutoSpec{NodePools: []string{"system"}}
	if _, err := Decide(now, empty(), s, opt); err != nil {
		t.Errorf("nodes of Auto Mode have the agent: %v", err)
	}
}
