package fleet_test

import (
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestR20_AnInstanceIsOfOneClusterOrNone(t *testing.T) {
	for want, all := range map[string][]map[string]string{
		"demo": {
			{"eks:cluster-name": "demo"},
			{"eks:cluster-name": "demo", "kubernetes.io/cluster/other": "owned"},
			{"kubernetes.io/cluster/demo": "owned", "kubernetes.io/cluster/other": "shared"},
		},
		"": {nil, {"Name": "x"}, {"kubernetes.io/cluster/demo": "shared"}, {"kubernetes.io/cluster/a": "owned", "kubernetes.io/cluster/b": "owned"}},
	} {
		for _, tags := range all {
			if got := (fleet.Instance{Tags: tags}).Cluster(); got != want {
				t.Errorf("%v: %q, want %q", tags, got, want)
			}
		}
	}
}

func TestR4_ANodeIsAMachineByProviderID(t *testing.T) {
	for id, want := range map[string]bool{"aws:///us-east-1a/i-1": true, "aws:///us-east-1a/i-11": false, "aws:///us-east-1a/xi-1": false, "i-1": false, "": false} {
		if (fleet.Node{ProviderID: id}).Is("i-1") != want {
			t.Errorf("%q", id)
		}
	}
	if (fleet.Node{ProviderID: "aws:///"}).Is("") {
		t.Error("no machine is a machine")
	}
}

func TestTolerates(t *testing.T) {
	taint := fleet.Taint{Key: "k", Value: "v", Effect: "NoSchedule"}
	for tol, want := range map[fleet.Toleration]bool{
		{Operator: "Exists"}:                                       true,
		{Operator: "Exists", Effect: "NoExecute"}:                  false,
		{Key: "k", Operator: "Exists"}:                             true,
		{Key: "k", Operator: "Exists", Effect: "NoSchedule"}:       true,
		{Key: "k", Value: "v"}:                                     true,
		{Key: "k", Operator: "Equal", Value: "v"}:                  true,
		{Key: "k", Value: "x"}:                                     false,
		{Key: "k", Operator: "Equal", Value: "x", Effect: "Other"}: false,
		{Key: "x", Operator: "Exists"}:                             false,
		{}:                                                         false,
		{Value: "v"}:                                               false,
	} {
		if tol.Tolerates(taint) != want {
			t.Errorf("%+v: want %t", tol, want)
		}
	}
}
