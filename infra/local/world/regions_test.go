package world_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

func TestZones(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1":      "us-east-1a=use1-az6 us-east-1b=use1-az1 us-east-1c=use1-az2 us-east-1d=use1-az4 us-east-1e=use1-az3 us-east-1f=use1-az5",
		"eu-west-1":      "eu-west-1a=euw1-az3 eu-west-1b=euw1-az1 eu-west-1c=euw1-az2",
		"ap-northeast-1": "ap-northeast-1a=apne1-az4 ap-northeast-1c=apne1-az1 ap-northeast-1d=apne1-az2",
		"us-west-1":      "us-west-1a=usw1-az3 us-west-1c=usw1-az1",
		"il-central-1":   "il-central-1a=ilc1-az1 il-central-1b=ilc1-az2 il-central-1c=ilc1-az3",
	} {
		r, err := world.FindRegion(region)
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, z := range r.Zones {
			got = append(got, z.Name+"="+z.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", region, got)
		}
	}
	for _, unknown := range []string{"", "eu-west-9", "us-east-1a", "nowhere"} {
		if r, err := world.FindRegion(unknown); err == nil {
			t.Errorf("%q is %+v", unknown, r)
		}
	}
}

// TestRegionsDoNotCollide: folders are named by the short names, and zone ids begin with them.
func TestRegionsDoNotCollide(t *testing.T) {
	seen := map[string]string{}
	for _, r := range world.Regions() {
		if other := seen[r.Short()]; other != "" {
			t.Errorf("%s and %s are both %s", r.Name, other, r.Short())
		}
		seen[r.Short()] = r.Name
	}
	if !slices.IsSortedFunc(world.Regions(), func(a, b world.Region) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the Regions are not in order")
	}
}

func TestInSharesAllButTheRegion(t *testing.T) {
	w := world.New("123456789012", "us-east-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	other := w.In("eu-west-1")
	if got := other.ARN("ec2", "vpc/vpc-1"); got != "arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1" {
		t.Error(got)
	}
	if w.Region != "us-east-1" || other.Profile != w.Profile || other.Log != w.Log {
		t.Errorf("%+v %+v", w, other)
	}
	if w.Hex(16) == other.Hex(16) {
		t.Error("both worlds draw the same ids")
	}
	w.Close()
	if other.Context().Err() == nil {
		t.Error("the other Region goes on after the world's end")
	}
}
