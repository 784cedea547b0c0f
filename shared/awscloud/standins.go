package awscloud

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// A blue/green move puts a group "web-1a2b3c" in the place of the file's group "web". Whoever goes by the file has to find it.

// standInEnd is how the name of a group ends that stands for another one; see nodemove.GreenName.
var standInEnd = regexp.MustCompile(`-[0-9a-f]{6}$`)

// longestBase is how much of a long name is left in the name of a group that stands for it.
const longestBase = 56

// groupOfFile reads a node group by the name that it has in a cluster's file: the newest that stands for it. Only where the
// group of that name is not there, or is being left, more than one read is needed.
func (r *Region) groupOfFile(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	have, err := r.nodeGroup(ctx, cluster, ref)
	if fault.Ignore(err, fault.NotFound) != nil || err == nil && !beingLeft(have) || !ref.Stands {
		return have, err
	}
	newest, found, listErr := r.standIn(ctx, cluster, ref.Name)
	switch {
	case listErr != nil:
		return fleet.Resource{}, listErr
	case found:
		return newest, nil
	}
	return have, err
}

// standIn finds the newest group that stands for one of the file.
func (r *Region) standIn(ctx context.Context, cluster, name string) (newest fleet.Resource, found bool, err error) {
	names, err := r.nodeGroupNames(ctx, cluster)
	if err != nil {
		return newest, false, err
	}
	for _, candidate := range names {
		if !standInEnd.MatchString(candidate) || candidate[:len(candidate)-7] != name[:min(len(name), longestBase)] {
			continue
		}
		g, err := r.nodeGroup(ctx, cluster, fleet.Ref{Kind: "nodegroup", Name: candidate})
		if fault.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return newest, false, err
		}
		if g.Tags[fleet.TagStandsFor] == name && (!found || better(g, newest)) {
			newest, found = g, true
		}
	}
	return newest, found, nil
}

// beingLeft tells whether a group is being left for another one.
func beingLeft(g fleet.Resource) bool {
	return slices.ContainsFunc(fleet.Items(g.Props, "taints"), func(t fleet.Props) bool { return fleet.Text(t, "key") == fleet.TagMoving })
}

// better tells whether of two groups that stand for the same one, the first counts: one that is not being left, and the newer one.
func better(a, b fleet.Resource) bool {
	if beingLeft(a) != beingLeft(b) {
		return beingLeft(b)
	}
	return strings.Compare(fleet.Text(a.Props, "createdAt"), fleet.Text(b.Props, "createdAt")) > 0 // RFC 3339, UTC
}
