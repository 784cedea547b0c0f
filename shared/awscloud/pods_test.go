package awscloud

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// podCloud has bodies by "GET /path" of EKS and by the action of IAM. What is not there is answered with not found.
type podCloud map[string]string

func (a podCloud) region(t *testing.T) (*Region, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		key := r.Method + " " + r.URL.Path
		if action := form.Get("Action"); action != "" {
			key = strings.TrimSpace(action + " " + form.Get("PolicyName"))
		}
		mu.Lock()
		asked = append(asked, key)
		mu.Unlock()
		text, ok := a[key]
		switch {
		case !ok && form.Get("Action") != "":
			w.WriteHeader(http.StatusNotFound)
			text = `<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>none</Message></Error></ErrorResponse>`
		case !ok:
			w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
			w.WriteHeader(http.StatusNotFound)
			text = `{"message":"none"}`
		}
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(ts.Close)
	cfg := Static(ts.URL, "us-east-1", "AKID", "secret")
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return NewRegion(cfg), func() []string {
		mu.Lock()
		defer mu.Unlock()
		defer func() { asked = nil }()
		return asked
	}
}

func iamAnswer(action, result string) string {
	return "<" + action + "Response><" + action + "Result>" + result + "</" + action + "Result></" + action + "Response>"
}

func TestReadingRoles(t *testing.T) {
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Condition":{"StringLike":{"x":"a+b c%"}}}]}`
	r, asked := podCloud{
		"GetRole": iamAnswer("GetRole", `<Role><RoleName>x</RoleName><Arn>arn:aws:iam::1:role/x</Arn><AssumeRolePolicyDocument>`+strings.ReplaceAll(url.QueryEscape(trust), "+", "%20")+
			`</AssumeRolePolicyDocument><PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>arn:aws:iam::1:policy/b</PermissionsBoundaryArn></PermissionsBoundary>`+
			`<Tags><member><Key>k</Key><Value>v</Value></member></Tags></Role>`),
		"ListAttachedRolePolicies": iamAnswer("ListAttachedRolePolicies", `<AttachedPolicies><member><PolicyName>p</PolicyName><PolicyArn>arn:aws:iam::aws:policy/p</PolicyArn></member></AttachedPolicies><IsTruncated>false</IsTruncated>`),
		"ListRolePolicies":         iamAnswer("ListRolePolicies", `<PolicyNames><member>one</member><member>gone</member></PolicyNames><IsTruncated>false</IsTruncated>`),
		"GetRolePolicy one":        iamAnswer("GetRolePolicy", `<RoleName>x</RoleName><PolicyName>one</PolicyName><PolicyDocument>%7B%22a%22%3A%22%2A%22%7D</PolicyDocument>`),
	}.region(t)
	read := func(ref fleet.Ref) fleet.Resource {
		ref.Kind, ref.Name = "role", "x"
		have, err := r.Read(t.Context(), "demo", ref)
		if err != nil {
			t.Fatal(err)
		}
		return have
	}
	have := read(fleet.Ref{Whole: true})
	if have.ARN != "arn:aws:iam::1:role/x" || have.Tags["k"] != "v" || fleet.Text(have.Props, "assumeRolePolicyDocument") != trust ||
		fleet.Text(have.Props, "permissionsBoundary") != "arn:aws:iam::1:policy/b" || !slices.Equal(fleet.Texts(have.Props, "attachedPolicies"), []string{"arn:aws:iam::aws:policy/p"}) ||
		fleet.Text(have.Props, "inlinePolicies", "one") != `{"a":"*"}` || len(have.Props["inlinePolicies"].(fleet.Props)) != 1 {
		t.Errorf("%+v", have)
	}
	if got := asked(); len(got) != 5 {
		t.Errorf("%v", got)
	}
	have = read(fleet.Ref{Glance: true})
	if got := asked(); len(got) != 1 || have.Tags != nil || have.ARN != "" || len(fleet.Texts(have.Props, "attachedPolicies")) != 1 {
		t.Errorf("a glance takes %v and shows %+v", got, have)
	}
	if read(fleet.Ref{}); len(asked()) != 2 {
		t.Error("inline policies are read where there are none")
	}
	none, _ := podCloud{}.region(t)
	for _, glance := range []bool{true, false} {
		if _, err := none.Read(t.Context(), "demo", fleet.Ref{Kind: "role", Name: "x", Glance: glance}); !fault.Is(err, fault.NotFound) {
			t.Errorf("glance %v: %v", glance, err)
		}
	}
}

func TestReadingWhatIsForPods(t *testing.T) {
	const issuer = "oidc.eks.us-east-1.amazonaws.com/id/ABC"
	r, asked := podCloud{
		"GET /clusters/demo": `{"cluster":{"name":"demo","arn":"arn:aws:eks:us-east-1:123456789012:cluster/demo","identity":{"oidc":{"issuer":"https://` + issuer + `"}}}}`,
		"GetOpenIDConnectProvider": iamAnswer("GetOpenIDConnectProvider", `<Url>`+issuer+`</Url><ClientIDList><member>sts.amazonaws.com</member></ClientIDList>`+
			`<Tags><member><Key>k</Key><Value>v</Value></member></Tags>`),
		"GET /clusters/demo/addons/vpc-cni": `{"addon":{"addonName":"vpc-cni","addonArn":"arn:aws:eks:us-east-1:123456789012:addon/demo/vpc-cni/1","status":"DEGRADED","addonVersion":"v1",
			"serviceAccountRoleArn":"arn:aws:iam::1:role/r","tags":{"k":"v"},"health":{"issues":[{"code":"AccessDenied","message":"no"}]},
			"podIdentityAssociations":["arn:aws:eks:us-east-1:123456789012:podidentityassociation/demo/a-1","arn:aws:eks:us-east-1:123456789012:podidentityassociation/demo/a-gone"]}}`,
		"GET /clusters/demo/pod-identity-associations":     `{"associations":[{"associationId":"a-1"}]}`,
		"GET /clusters/demo/pod-identity-associations/a-1": `{"association":{"associationId":"a-1","associationArn":"arn:aws:eks:us-east-1:123456789012:podidentityassociation/demo/a-1","serviceAccount":"aws-node","roleArn":"arn:aws:iam::1:role/p","disableSessionTags":true}}`,
		"GET /clusters/demo/fargate-profiles/f":            `{"fargateProfile":{"fargateProfileName":"f","fargateProfileArn":"arn:aws:eks:us-east-1:123456789012:fargateprofile/demo/f/1","status":"CREATE_FAILED","selectors":[{"namespace":"a","labels":{"x":"y"}}],"health":{"issues":[{"code":"AccessDenied","message":"no"}]}}}`,
		"GET /clusters/demo/addons":                        `{"addons":["vpc-cni","coredns"]}`,
		"GET /addons/supported-versions":                   `{"addons":[{"addonName":"vpc-cni","addonVersions":[{"addonVersion":"v1.9.3-eksbuild.1"},{"addonVersion":"v1.21.1-eksbuild.1"},{"addonVersion":"v1.21.1-eksbuild.10"}]}]}`,
	}.region(t)
	read := func(ref fleet.Ref) fleet.Resource {
		have, err := r.Read(t.Context(), "demo", ref)
		if err != nil {
			t.Fatal(err)
		}
		return have
	}
	provider := fleet.Ref{ID: "oidc", Kind: "oidc", Name: "demo"}
	if _, err := r.Read(t.Context(), "demo", provider); !fault.Is(err, fault.NotFound) {
		t.Errorf("before the cluster was read: %v", err)
	}
	read(fleet.Ref{ID: "cluster", Kind: "cluster", Name: "demo"})
	if have := read(provider); have.ARN != "arn:aws:iam::123456789012:oidc-provider/"+issuer || have.Tags["k"] != "v" || !slices.Equal(fleet.Texts(have.Props, "clientIDList"), []string{"sts.amazonaws.com"}) {
		t.Errorf("%+v", have)
	}
	asked()
	addon := read(fleet.Ref{Kind: "addon", Name: "vpc-cni"})
	if addon.ARN != "arn:aws:eks:us-east-1:123456789012:addon/demo/vpc-cni/1" || addon.Status != "DEGRADED" || addon.Issues[0] != "AccessDenied: no" || addon.Tags["k"] != "v" || len(asked()) != 1 {
		t.Errorf("%+v", addon)
	}
	addon = read(fleet.Ref{Kind: "addon", Name: "vpc-cni", Whole: true})
	if !fleet.Covers(addon.Props["podIdentities"], []any{fleet.Props{"serviceAccount": "aws-node", "roleArn": "arn:aws:iam::1:role/p"}}) {
		t.Errorf("%+v", addon)
	}
	if have := read(fleet.Ref{Kind: "podidentity", Name: "kube-system/aws-node"}); have.Physical != "a-1" || !fleet.Flag(have.Props, "disableSessionTags") || have.ARN == "" {
		t.Errorf("%+v", have)
	}
	if have := read(fleet.Ref{Kind: "fargate", Name: "f"}); have.Status != "CREATE_FAILED" || have.Issues[0] != "AccessDenied: no" ||
		!fleet.Covers(have.Props["selectors"], []any{fleet.Props{"namespace": "a", "labels": map[string]string{"x": "y"}}}) {
		t.Errorf("%+v", have)
	}
	asked()
	for name, there := range map[string]bool{"vpc-cni": true, "coredns": true, "x": false} {
		have, err := r.Read(t.Context(), "demo", fleet.Ref{Kind: "addon", Name: name, Glance: true})
		if there != (err == nil) || !there && !fault.Is(err, fault.NotFound) || there && have.Physical != name {
			t.Errorf("%s at a glance: %+v %v", name, have, err)
		}
	}
	if got := asked(); len(got) != 1 {
		t.Errorf("glances took %v", got)
	}
	offer, err := r.Addon(t.Context(), "vpc-cni", "1.36")
	if err != nil || !slices.Equal(offer.Versions, []string{"v1.21.1-eksbuild.10", "v1.21.1-eksbuild.1", "v1.9.3-eksbuild.1"}) {
		t.Errorf("%v %v", offer, err)
	}
	none, _ := podCloud{"GET /clusters/demo/pod-identity-associations": `{"associations":[]}`}.region(t)
	for _, kind := range []string{"addon", "fargate", "podidentity"} {
		if _, err := none.Read(t.Context(), "demo", fleet.Ref{Kind: kind, Name: "a/b"}); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if offer, err := none.Addon(t.Context(), "x", "1.36"); err != nil || len(offer.Versions) > 0 {
		t.Errorf("%v %v", offer, err)
	}
}

// whole is a cluster with something of all that is for pods.
func whole() fleet.ClusterSpec {
	yes := true
	grants := fleet.Grants{WellKnown: []string{"externalDNS", "ebsCSIController"}, Inline: `{"Version":"2012-10-17","Statement":[]}`, Boundary: "arn:aws:iam::123456789012:policy/b"}
	return fleet.ClusterSpec{
		Name: "demo", Region: "us-east-1", Version: "1.36", AuthMode: "API",
		Network: fleet.NetworkSpec{CIDR: "10.42.0.0/16", NAT: fleet.NATSingle, PublicAccess: true, Zones: []string{"us-east-1a", "us-east-1b"}},
		IAM: fleet.IAMSpec{
			OIDC:            true,
			ServiceAccounts: []fleet.ServiceAccountSpec{{Namespace: "a", Name: "b", Grants: grants, Tags: map[string]string{"k": "v"}}},
			PodIdentities: []fleet.PodIdentitySpec{{Namespace: "a", ServiceAccount: "c", Grants: grants, TargetRoleARN: "arn:aws:iam::1:role/t",
				NoSessionTags: &yes, SessionPolicy: `{"Version":"2012-10-17","Statement":[]}`, Tags: map[string]string{"k": "v"}}},
		},
		Remote: &fleet.RemoteSpec{NodeCIDRs: []string{"10.80.0.0/16"}, PodCIDRs: []string{"10.85.0.0/16"}, Provider: "ssm"},
		Addons: []fleet.AddonSpec{
			{Name: "vpc-cni", Version: "v1.21.1-eksbuild.1", Configuration: `{"env":{}}`, Resolve: "OVERWRITE", RoleARN: "arn:aws:iam::1:role/r", Tags: map[string]string{"k": "v"}},
			{Name: "eks-pod-identity-agent"}, {Name: "external-dns", Namespace: "dns", UseDefaultPodIdentity: true},
		},
		Fargate: []fleet.FargateSpec{{Name: "f", Selectors: []fleet.FargateSelector{{Namespace: "a", Labels: map[string]string{"x": "y"}}}, Tags: map[string]string{"k": "v"}}},
	}
}

// TestCallsForPodsCanBeSaid: every call that a plan has is one that the SDK takes as it is. The connection is refused, so
// that any other error is about what was to be sent.
func TestCallsForPodsCanBeSaid(t *testing.T) {
	cfg := Static("http://127.0.0.1:1", "us-east-1", "AKID", "secret")
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	unplugged := errors.New("unplugged")
	cfg.HTTPClient = &http.Client{Transport: unpluggable(func(*http.Request) (*http.Response, error) { return nil, unplugged })}
	r := NewRegion(cfg)

	opt := cluster.Options{RunID: "r", Account: "123456789012", InterruptionRole: "arn:aws:iam::123456789012:role/i"}
	o := cluster.Observation{Depth: cluster.Full, Found: map[string][]fleet.Resource{}}
	seen := map[string]bool{}
	check := func() {
		t.Helper()
		p, err := cluster.Forecast(time.Now(), o, whole(), opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c, _ := a.(plan.Call)
				seen[c.API] = true
				if strings.HasPrefix(c.API, "kubernetes:") || strings.HasPrefix(c.API, "ec2:") {
					continue
				}
				if _, err := r.Call(t.Context(), c); err == nil || !strings.Contains(err.Error(), unplugged.Error()) {
					t.Errorf("%s %v: %v", c.API, c.Input, err)
				}
			}
		}
	}
	check()

	// The same with everything there, and different.
	tags := map[string]string{fleet.TagCluster: "demo"}
	have := func(id string, status string, p fleet.Props) {
		ref := cluster.RefOf(id)
		o.Found[id] = []fleet.Resource{{Ref: ref, Physical: "x-" + ref.Name, ARN: "arn:aws:eks:us-east-1:123456789012:" + id, Status: status, Tags: tags, Props: p}}
	}
	have("cluster", "ACTIVE", fleet.Props{"version": "1.36", "identity": fleet.Props{"oidc": fleet.Props{"issuer": "https://oidc.example/id/A"}}})
	have("oidc", "", fleet.Props{})
	have("role/serviceaccount/a/b", "", fleet.Props{
		"assumeRolePolicyDocument": "{}", "attachedPolicies": []any{"arn:aws:iam::aws:policy/Other"}, "inlinePolicies": fleet.Props{"old": "{}"},
	})
	have("addon/vpc-cni", "ACTIVE", fleet.Props{"addonVersion": "v1.20.1-eksbuild.1"})
	have("addon/external-dns", "ACTIVE", fleet.Props{"addonVersion": "v1"})
	have("addon/eks-pod-identity-agent", "ACTIVE", fleet.Props{"addonVersion": "v1"})
	have("podidentity/a/c", "", fleet.Props{"roleArn": "arn:aws:iam::1:role/other"})
	have("fargate/f", "CREATE_FAILED", fleet.Props{})
	check()
	have("addon/vpc-cni", "CREATE_FAILED", fleet.Props{})
	check()
	for api := range r.podCalls() {
		if !seen[api] && api != "eks:DeletePodIdentityAssociation" { // that is for what the file has no more
			t.Errorf("%s was never planned", api)
		}
	}
	for api := range r.iamCalls() {
		if !seen[api] && slices.Contains(decidedHere, api) {
			t.Errorf("%s was never planned", api)
		}
	}
}

// decidedHere are the calls of IAM that this test is about.
var decidedHere = []string{
	"iam:CreateRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePermissionsBoundary", "iam:TagRole", "iam:AttachRolePolicy", "iam:DetachRolePolicy",
	"iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:CreateOpenIDConnectProvider", "iam:AddClientIDToOpenIDConnectProvider",
}

type unpluggable func(*http.Request) (*http.Response, error)

func (f unpluggable) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNewRolesAreNotSeenAtOnce: EKS says that a role's trust is wrong of a role that it does not see yet.
func TestNewRolesAreNotSeenAtOnce(t *testing.T) {
	for _, text := range []string{
		"Trust policy of the role provided is invalid.",
		"Misconfigured PodExecutionRole Trust Policy; Please add the eks-fargate-pods.amazonaws.com Service Principal",
	} {
		err := creation("eks:X", &smithy.GenericAPIError{Code: "InvalidParameterException", Message: text, Fault: smithy.FaultClient})
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %s", text, fault.Of(err))
		}
	}
}
