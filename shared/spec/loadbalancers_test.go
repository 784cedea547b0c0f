package spec

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const oneCluster = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, region: eu-west-1}\n---\napiVersion: ekspedite.dev/v1alpha1\nkind: ClusterPolicy\nmetadata: {name: a}\n"

func TestLoadBalancerPolicy(t *testing.T) {
	for text, want := range map[string]fleet.LoadBalancerPolicy{
		"":                           fleet.DefaultLoadBalancerPolicy(),
		"interruption: {}":           fleet.DefaultLoadBalancerPolicy(),
		"{deregister: false}":        {Wait: 10 * time.Second, VoluntaryWait: time.Minute, Pause: 3 * time.Second, ConnectionWait: 5 * time.Minute},
		"{wait: 20s, pause: 7s}":     {Deregister: true, Wait: 20 * time.Second, VoluntaryWait: time.Minute, Pause: 7 * time.Second, ConnectionWait: 5 * time.Minute},
		"{wait: 0s}":                 {Deregister: true, VoluntaryWait: time.Minute, Pause: 3 * time.Second, ConnectionWait: 5 * time.Minute},
		"{voluntaryWait: 2m}":        {Deregister: true, Wait: 10 * time.Second, VoluntaryWait: 2 * time.Minute, Pause: 3 * time.Second, ConnectionWait: 5 * time.Minute},
		"{connectionWait: 1h}":       {Deregister: true, Wait: 10 * time.Second, VoluntaryWait: time.Minute, Pause: 3 * time.Second, ConnectionWait: time.Hour},
		"{connectionWait: 0s} # any": {Deregister: true, Wait: 10 * time.Second, VoluntaryWait: time.Minute, Pause: 3 * time.Second},
	} {
		doc := text
		if strings.HasPrefix(text, "{") {
			doc = "interruption:\n  loadBalancers: " + text
		}
		specs, report := Parse([]byte(oneCluster + doc))
		if len(report.Errors) > 0 {
			t.Errorf("%s: %v", text, report)
		} else if got := specs[0].Policy.Interruption.LoadBalancers; got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestLoadBalancerPolicyErrors(t *testing.T) {
	for text, want := range map[string]string{
		"{wait: 61s}":           "line 9: interruption.loadBalancers.wait: 1m1s is longer than half of a spot instance's notice: 1m0s at most",
		"{voluntaryWait: 11m}":  "voluntaryWait: 11m0s is longer than",
		"{connectionWait: 61m}": "connectionWait: 1h1m0s is longer than a target group's longest deregistration delay: 1h0m0s at most",
		"{pause: 11s}":          "pause: 11s is longer than wait, which bounds it: 10s at most",
		"{deregister: perhaps}": "deregister: \"perhaps\" must be true or false",
		"{wiat: 5s}":            "wait",
		"{wait: -5s}":           "must be a duration",
	} {
		if _, report := Parse([]byte(oneCluster + "interruption:\n  loadBalancers: " + text)); !strings.Contains(report.String(), want) {
			t.Errorf("%s: got %v, want %s", text, report, want)
		}
	}
}
