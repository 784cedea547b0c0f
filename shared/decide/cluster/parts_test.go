package cluster

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestDelays: looks come soon at first and are bounded.
func TestDelays(t *testing.T) {
	var total time.Duration
	for i := range 100 {
		d := Delay(i)
		if d < time.Second || d > 30*time.Second || i > 0 && d < Delay(i-1) {
			t.Errorf("Delay(%d) = %s", i, d)
		}
		if total += d; total > 10*time.Minute {
			t.Logf("%d looks in ten minutes", i+1)
			break
		}
	}
	if Delay(-1) != time.Second {
		t.Error(Delay(-1))
	}
}

// TestZones: what EKS refuses is never chosen, and what is there is kept.
func TestZones(t *testing.T) {
	s := private()
	p, err := Forecast(now, empty(), s, opt)
	if err != nil || strings.Contains(p.String(), "us-east-1e") || strings.Contains(p.String(), "us-east-1d") || !strings.Contains(p.String(), "in us-east-1f") {
		t.Errorf("%s, %v", p, err)
	}
	o := empty()
	o.Network.VPCs = []fleet.VPC{{ID: "vpc-1", CIDR: "10.42.0.0/16"}}
	o.Network.Subnets = []fleet.Subnet{{ID: "subnet-1", Resource: "subnet/public/us-east-1f", VPC: "vpc-1", Zone: "us-east-1f", CIDR: "10.42.0.0/19"}}
	if p := decide(t, o, s); strings.Contains(p.String(), "public-us-east-1f") || strings.Contains(p.String(), "10.42.0.0/19") {
		t.Errorf("the subnet that is there is made again:\n%s", p)
	}
	o.Zones = zones()[:3] // one usable
	o.Network = fleet.Network{}
	if _, err := Decide(now, o, s, opt); err == nil || !strings.Contains(err.Error(), "needs two availability zones") {
		t.Error(err)
	}
}

// TestBlocks: whatever subnets there are, new ones overlap with none.
func TestBlocks(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 3))
		zones, bits := 1+random.IntN(6), 16+random.IntN(9)
		b, err := newBlocks(fmt.Sprintf("10.0.0.0/%d", bits), zones, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all []netip.Prefix
		for range zones {
			for _, public := range []bool{true, false} {
				text, err := b.take(public)
				if err != nil {
					t.Fatal(seed, err)
				}
				p := netip.MustParsePrefix(text)
				if slices.ContainsFunc(all, p.Overlaps) || !b.vpc.Overlaps(p) || p != p.Masked() || p.Bits() > 28 {
					t.Fatalf("seed %d: %s beside %v", seed, p, all)
				}
				all = append(all, p)
			}
		}
	}
}

func TestRoleName(t *testing.T) {
	long := strings.Repeat("a", 99)
	if got := RoleName("demo", "node"); got != "ekspedite-demo-node" {
		t.Error(got)
	}
	a, b := RoleName(long+"b", "cluster"), RoleName(long+"c", "cluster")
	if len(a) > 64 || a == b || !strings.HasSuffix(a, "-cluster") {
		t.Error(a, b)
	}
}

func TestTokens(t *testing.T) {
	a := token(opt, "demo", "cluster")
	if a != token(opt, "demo", "cluster") || a == token(Options{RunID: "run-2"}, "demo", "cluster") || a == token(opt, "demo", "nodegroup/spot") || len(a) != 32 {
		t.Error(a)
	}
}

func BenchmarkForecast(b *testing.B) {
	for b.Loop() {
		if _, err := Forecast(now, empty(), demo(), opt); err != nil {
			b.Fatal(err)
		}
	}
}
