package world

import (
	"fmt"
	"slices"
	"strings"
)

// Region is one of AWS's Regions.
type Region struct {
	Name string
	// OptIn says that an account has the Region only after it asked for it. The embedded cloud's account has asked for all.
	OptIn bool
	Zones []Zone // in the order of their names
}

// Zone is an Availability Zone: the name is the account's own, the id is the same place in every account.
type Zone struct{ Name, ID string }

// regions are those of the partition aws, where every ARN of the embedded cloud is. Which letter has which id differs by
// account; what is told here is what an account may see. The letters and ids that are missing are missing on AWS too, or
// hidden from newer accounts.
var regions = makeRegions(map[string]string{
	// As in many accounts, 1e is az3, the old zone that hosts no EKS control plane and none of the current instance types.
	"us-east-1": "a6 b1 c2 d4 e3 f5", "us-east-2": "", "us-west-1": "a3 c1", "us-west-2": "a1 b2 c3 d4",
	"ap-northeast-1": "a4 c1 d2", "ap-northeast-2": "a1 b2 c3 d4", "ap-northeast-3": "",
	"ap-south-1": "", "ap-southeast-1": "", "ap-southeast-2": "a3 b1 c2",
	"ca-central-1": "a1 b2 d4", "eu-central-1": "", "eu-north-1": "", "eu-west-1": "a3 b1 c2", "eu-west-2": "", "eu-west-3": "",
	"sa-east-1": "",
}, []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
	"ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "me-south-1",
	"mx-central-1",
})

// makeRegions takes the zones as "a6 b1": letters with the numbers of their ids. Where nothing is said there are three.
func makeRegions(always map[string]string, optIn []string) []Region {
	var out []Region
	add := func(name, zones string, optIn bool) {
		if zones == "" {
			zones = "a1 b2 c3"
		}
		r := Region{Name: name, OptIn: optIn}
		for z := range strings.FieldsSeq(zones) {
			r.Zones = append(r.Zones, Zone{Name: name + z[:1], ID: shortName(name) + "-az" + z[1:]})
		}
		out = append(out, r)
	}
	for name, zones := range always {
		add(name, zones, false)
	}
	for _, name := range optIn {
		add(name, "", true)
	}
	slices.SortFunc(out, func(a, b Region) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// shortName is a Region's name in zone ids: ap-southeast-1 is apse1.
func shortName(region string) string {
	p := strings.Split(region, "-")
	direction := p[1][:1]
	for _, d := range []string{"north", "south"} {
		if rest, ok := strings.CutPrefix(p[1], d); ok && rest != "" {
			direction += rest[:1]
		}
	}
	return p[0] + direction + p[2]
}

// Regions returns all Regions by name. The caller must not change them.
func Regions() []Region { return regions }

// FindRegion finds a Region by name. The error is for people.
func FindRegion(name string) (Region, error) {
	i, ok := slices.BinarySearchFunc(regions, name, func(r Region, name string) int { return strings.Compare(r.Name, name) })
	if !ok {
		return Region{}, fmt.Errorf("AWS has no Region %q", name)
	}
	return regions[i], nil
}

// Short is the Region's name as zone ids begin with it: euw1.
func (r Region) Short() string { return shortName(r.Name) }
