package awscloud

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// TestNetworkCallsCanBeSaid: every call of EC2 that networks ask for is in the table, and the SDK has all of its fields. What
// the embedded cloud has not is here, too.
func TestNetworkCallsCanBeSaid(t *testing.T) {
	cfg := Static("http://offline.invalid", "us-east-1", "a", "b")
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	sent := map[string]bool{}
	cfg.HTTPClient = &http.Client{Transport: answers(func(*http.Request) (*http.Response, error) { return nil, errors.New("offline") })}
	region := NewRegion(cfg)
	base := func(f func(*fleet.ClusterSpec)) fleet.ClusterSpec {
		s := fleet.ClusterSpec{Name: "x", Region: "us-east-1", AuthMode: "API", Network: fleet.NetworkSpec{
			CIDR: "10.0.0.0/16", NAT: fleet.NATSingle, PublicAccess: true, Zones: []string{"us-east-1a", "us-east-1b"}, HostnameType: "ip-name",
		}}
		f(&s)
		return s
	}
	remote := func(gateway string) func(*fleet.ClusterSpec) {
		return func(s *fleet.ClusterSpec) {
			s.Remote = &fleet.RemoteSpec{NodeCIDRs: []string{"10.80.0.0/16"}, VPCGateway: gateway}
		}
	}
	found := func(id string, tags map[string]string, p fleet.Props) []fleet.Resource {
		return []fleet.Resource{{Ref: fleet.Ref{ID: id, Kind: fleet.KindOf(id)}, Physical: id + "-1", Status: "available", Tags: tags, Props: p}}
	}
	for name, tc := range map[string]struct {
		s     fleet.ClusterSpec
		found map[string][]fleet.Resource
		want  string
	}{
		"own IPv6": {base(func(s *fleet.ClusterSpec) {
			s.Network.IPv6, s.Network.IPv6CIDR, s.Network.IPv6Pool = true, "2a05:d018:1::/56", "pool-1"
		}), nil, "ec2:CreateVpc"},
		"IPv6 comes late": {base(func(s *fleet.ClusterSpec) { s.Network.IPv6 = true }), map[string][]fleet.Resource{
			"vpc": found("vpc", nil, fleet.Props{"cidrBlock": "10.0.0.0/16"}),
		}, "ec2:AssociateVpcCidrBlock"},
		"vgw": {base(remote("vgw-1")), map[string][]fleet.Resource{"vpngateway": found("vpngateway", nil, fleet.Props{})}, "ec2:AttachVpnGateway"},
		"tgw": {base(remote("tgw-1")), nil, "ec2:CreateTransitGatewayVpcAttachment"},
		"tgw, a zone more": {base(remote("tgw-1")), map[string][]fleet.Resource{
			"transit": found("transit", nil, fleet.Props{"transitGatewayId": "tgw-1", "subnetIds": []any{"subnet-0"}}), "subnet/private/us-east-1a": found("subnet/private/us-east-1a", nil, fleet.Props{"cidrBlock": "10.0.128.0/19"}),
		}, "ec2:ModifyTransitGatewayVpcAttachment"},
		"endpoint failed": {base(func(s *fleet.ClusterSpec) { s.Network.FullyPrivate, s.Network.NAT = true, fleet.NATDisable }), map[string][]fleet.Resource{
			"endpointservices": found("endpointservices", nil, fleet.Props{"serviceDetails": []any{fleet.Props{"serviceName": "com.amazonaws.us-east-1.sts", "serviceType": []any{fleet.Props{"serviceType": "Interface"}}}}}),
			"endpoint/sts":     {{Ref: fleet.Ref{ID: "endpoint/sts", Kind: "endpoint"}, Physical: "vpce-1", Status: "failed", Props: fleet.Props{}}},
		}, "ec2:DeleteVpcEndpoints"},
	} {
		if tc.found == nil {
			tc.found = map[string][]fleet.Resource{}
		}
		p, err := cluster.Forecast(time.Now(), cluster.Observation{Depth: cluster.Full, Found: tc.found}, tc.s, cluster.Options{RunID: "r", Account: "123456789012"})
		if err != nil {
			t.Fatal(name, err)
		}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				if !strings.HasPrefix(c.API, "ec2:") {
					continue
				}
				c.Unless = false
				if _, err := region.Call(t.Context(), c); !fault.Is(err, fault.Transient) { // it got as far as the network
					t.Errorf("%s: %s: %v\n%v", name, c, err, c.Input)
				}
				sent[c.API] = true
			}
		}
		if !sent[tc.want] {
			t.Errorf("%s: no %s\n%s", name, tc.want, p)
		}
	}
}
