package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestNodeRemoveMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"no node":           {[]string{"--cluster", "demo"}, "accepts 1 arg"},
		"no cluster":        {[]string{"ip-10-0-0-1.ec2.internal"}, "--cluster"},
		"no patience":       {[]string{"--cluster", "demo", "--patience", "0s", "n"}, "between 1s and 24h"},
		"too much patience": {[]string{"--cluster", "demo", "--patience", "48h", "n"}, "between 1s and 24h"},
	} {
		var out, errs bytes.Buffer
		code := exec(t.Context(), append([]string{"node", "remove"}, tc.args...), strings.NewReader(""), &out, &errs)
		if code != exitUsage || !strings.Contains(errs.String(), tc.says) {
			t.Errorf("%s: exit code %d; it says:\n%s", name, code, errs.String())
		}
	}
}

func TestRemovalNamesTheMachine(t *testing.T) {
	node := fleet.Node{Name: "ip-10-0-0-1.ec2.internal", UID: "u", ProviderID: "aws:///us-east-1a/i-0b662ef9931388ba0",
		Labels: map[string]string{"eks.amazonaws.com/nodegroup": "spot"}}
	want := events.NodeRemovalRequested{Cluster: "demo", Region: "us-east-1", Node: node.Name, NodeUID: "u", InstanceID: "i-0b662ef9931388ba0",
		Group: "spot", Reason: events.RemovalManual, PatienceSeconds: 90}
	got := removal("demo", "us-east-1", node, 90*time.Second)
	if *got != want {
		t.Errorf("%+v\nwant\n%+v", *got, want)
	}
	if _, err := events.New(got, "id", time.Now(), "", "us-east-1"); err != nil {
		t.Error(err)
	}
	node.ProviderID = "" // Fargate, or a node that is only coming
	if _, err := events.New(removal("demo", "us-east-1", node, time.Minute), "id", time.Now(), "", "us-east-1"); err == nil {
		t.Error("a node without a machine can be asked for")
	}
}

// TestNodeRemoveLooksWhereTheClusterIs: in the Region that is named, or in the one where ekspedite is deployed.
func TestNodeRemoveLooksWhereTheClusterIs(t *testing.T) {
	newRig(t)
	for _, tc := range []struct {
		args []string
		says string
	}{
		{nil, "no cluster demo in us-east-1: name another Region by --region"},
		{[]string{"--region", "eu-west-1"}, "no cluster demo in eu-west-1"},
	} {
		var out, errs bytes.Buffer
		code := exec(t.Context(), append([]string{"node", "remove", "--cluster", "demo", "n"}, tc.args...), strings.NewReader(""), &out, &errs)
		if code != exitFailed || !strings.Contains(errs.String(), tc.says) {
			t.Errorf("%v: exit code %d; it says:\n%s", tc.args, code, errs.String())
		}
	}
}
