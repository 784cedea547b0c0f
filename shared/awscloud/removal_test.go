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

// TestRemovalsCanBeSaid: every call by which something is taken away or pruned is in the table, and the SDK has all of its
// fields. Every kind that is listed has somebody who lists it.
func TestRemovalsCanBeSaid(t *testing.T) {
	cfg := Static("http://offline.invalid", "us-east-1", "a", "b")
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	cfg.HTTPClient = &http.Client{Transport: answers(func(*http.Request) (*http.Response, error) { return nil, errors.New("offline") })}
	region := NewRegion(cfg)
	found := map[string][]fleet.Resource{}
	pairs := []any{fleet.Props{"ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "userIdGroupPairs": []any{fleet.Props{"groupId": "of sg/b"}}}}
	add := func(id string, p fleet.Props) {
		if p == nil {
			p = fleet.Props{}
		}
		kind, name, _ := strings.Cut(id, "/")
		found[id] = []fleet.Resource{{Ref: fleet.Ref{ID: id, Kind: kind, Name: name}, Physical: "of " + id, ARN: "arn:" + id, Props: p,
			Tags: map[string]string{fleet.TagCluster: "x", "kubernetes.io/cluster/x": "owned", "cluster.k8s.amazonaws.com/name": "x"}}}
	}
	add("cluster", fleet.Props{"deletionProtection": true})
	for _, kind := range append(append(cluster.ListedKinds(true), cluster.TaggedKinds()...), cluster.StrangeKinds()...) {
		id := kind + "/a"
		if kind == "vpc" {
			id = kind
		}
		add(id, nil)
	}
	add("oidc", nil)
	add("vpngateway/a", fleet.Props{"vpcAttachments": []any{fleet.Props{"vpcId": "of vpc", "state": "attached"}}})
	add("igw/a", fleet.Props{"attachments": []any{fleet.Props{"vpcId": "v"}}})
	add("sg/a", fleet.Props{"ipPermissions": pairs, "ipPermissionsEgress": pairs})
	add("sg/b", nil)
	add("role/a", fleet.Props{"attachedPolicies": []any{"arn:p/P"}, "inlinePolicies": fleet.Props{"own": "{}"}})
	add("profile/a", fleet.Props{"roles": []any{fleet.Props{"roleName": "a"}}})
	found["interface/a"][0].Status = "available"

	o, s, opt := cluster.Observation{Depth: cluster.Full, Found: found}, fleet.ClusterSpec{Name: "x", Region: "us-east-1"}, cluster.Options{Account: "123456789012", Prune: true}
	removal, err := cluster.ForecastRemoval(time.Now(), o, s, opt, true)
	if err != nil || removal.Outcome != cluster.OutcomeDeleted {
		t.Fatal(err, removal)
	}
	s.Network = fleet.NetworkSpec{VPC: "vpc-1", Public: []fleet.SubnetSpec{{ID: "subnet-1"}}}
	s.AuthMode = "API"
	pruned := cluster.ForecastPrune(plan.Plan{}, cluster.Observation{Depth: cluster.Full, Found: map[string][]fleet.Resource{}}, o, s, opt)
	sent := map[string]bool{}
	for _, step := range append(removal.Steps, pruned.Steps...) {
		for _, a := range step.Actions {
			c := a.(plan.Call)
			sent[c.API] = true
			if _, err := region.Call(t.Context(), c); !fault.Is(err, fault.Transient) {
				t.Errorf("%s %v: %v", c.API, c.Input, err)
			}
		}
	}
	for api := range region.removalCalls() {
		if !sent[api] {
			t.Errorf("nobody asks for %s", api)
		}
	}
	for _, api := range []string{"eks:DeleteCluster", "eks:UpdateClusterConfig", "eks:DeleteAddon", "eks:DeleteAccessEntry", "eks:DeletePodIdentityAssociation", "eks:DisassociateIdentityProviderConfig", "logs:DeleteLogGroup"} {
		if !sent[api] {
			t.Errorf("%s was not tried", api)
		}
	}
	for _, kind := range append(cluster.ListedKinds(true), cluster.StrangeKinds()...) {
		if _, err := region.Listed(t.Context(), fleet.ClusterID{Region: "us-east-1", Name: "x"}, kind, []string{"vpc-1"}); !fault.Is(err, fault.Transient) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
