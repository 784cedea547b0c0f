package scaling

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// keySubnets is where a Recipe has the subnets by zone.
const keySubnets = "subnetsByZone"

// eksEffects are the effects of taints in EKS's words.
var eksEffects = map[string]string{"NoSchedule": "NO_SCHEDULE", "NoExecute": "NO_EXECUTE", "PreferNoSchedule": "PREFER_NO_SCHEDULE"}

// subnets are those of one zone.
func (p *pool) subnets(zone string) []string { return fleet.Texts(p.like.Recipe, keySubnets, zone) }

// creation is EKS's CreateNodegroup for one offering: what the group that it is like is made of, with what is the pool's own.
func (s *scene) creation(p *pool, of offer, size int) fleet.Props {
	in := maps.Clone(p.like.Recipe)
	delete(in, keySubnets)
	name := p.groupName(of.kind, of.zone, of.spot)
	in["clusterName"], in["nodegroupName"] = s.o.Cluster.Name, name
	in["subnets"], in["instanceTypes"] = fleet.Strings(p.subnets(of.zone)), []any{of.kind}
	in["capacityType"] = fleet.OnDemand
	if of.spot {
		in["capacityType"] = fleet.Spot
	}
	most := maxGroupNodes
	if p.MaxNodes > 0 {
		most = min(most, p.MaxNodes)
	}
	in["scalingConfig"] = fleet.Props{"minSize": 0, "maxSize": max(most, size), "desiredSize": size}
	labels := fleet.Props{}
	for k, v := range p.nodeLabels(of.spot) {
		if !strings.HasPrefix(k, "eks.amazonaws.com/") { // EKS sets its own itself
			labels[k] = v
		}
	}
	in["labels"] = labels
	delete(in, "taints")
	if len(p.Taints) > 0 {
		var taints []any
		for _, t := range p.Taints {
			taints = append(taints, fleet.Drop(fleet.Props{"key": t.Key, "value": t.Value, "effect": eksEffects[t.Effect]}))
		}
		in["taints"] = taints
	}
	if image, _ := imageFor(p.like.AMIType, s.machines[of.kind]); fleet.Text(in, "amiType") != "" {
		if image != p.like.AMIType {
			delete(in, "releaseVersion") // another image has releases of its own
		}
		in["amiType"] = image
	}
	in["tags"] = poolTags(p)
	// The name makes twice once. A token that came again after the group was retired would get yesterday's answer.
	in["clientRequestToken"] = token(s.o.Cluster.String(), name, s.now.UTC().Format(time.RFC3339Nano))
	return in
}

// poolTags are those of the group that it is like, but for what says which thing of the cluster's file that is.
func poolTags(p *pool) fleet.Props {
	out := fleet.Props{TagPool: p.Name}
	tags, _ := fleet.At(p.like.Recipe, "tags").(fleet.Props)
	for k, v := range tags {
		if k != fleet.TagResource && !strings.HasPrefix(k, "alpha.eksctl.io/nodegroup") && !strings.HasPrefix(k, "aws:") && !strings.HasPrefix(k, "ekspedite.dev/group") {
			out[k] = v
		}
	}
	return out
}

// launch is EC2's CreateFleet for machines of one kind of offering, with types that would do as well.
func (s *scene) launch(p *pool, kinds []string, zone string, spot bool, count int, pods []string) fleet.Props {
	var overrides []any
	for _, kind := range kinds {
		for _, subnet := range p.subnets(zone) {
			overrides = append(overrides, fleet.Props{"instanceType": kind, "subnetId": subnet})
		}
	}
	tags := []any{}
	all := poolTags(p)
	all["kubernetes.io/cluster/"+s.o.Cluster.Name] = "owned"
	for _, k := range slices.Sorted(maps.Keys(all)) {
		tags = append(tags, fleet.Props{"key": k, "value": all[k]})
	}
	in := fleet.Props{
		"type": "instant",
		"launchTemplateConfigs": []any{fleet.Props{
			"launchTemplateSpecification": fleet.At(p.like.Recipe, "launchTemplateSpecification"), "overrides": overrides,
		}},
		"targetCapacitySpecification": fleet.Props{"totalTargetCapacity": count, "defaultTargetCapacityType": "on-demand"},
		// Whoever asks for what is cheapest on demand gets it: it is all the same to wait for.
		"onDemandOptions": fleet.Props{"allocationStrategy": "lowest-price"},
		// The fleet itself carries them, too: by its tags the function may make it.
		"tagSpecifications": []any{fleet.Props{"resourceType": "instance", "tags": tags}, fleet.Props{"resourceType": "fleet", "tags": tags}},
		"clientToken":       s.launchToken(p, kinds, zone, spot, count, pods),
	}
	if spot {
		in["targetCapacitySpecification"] = fleet.Props{"totalTargetCapacity": count, "defaultTargetCapacityType": "spot"}
		delete(in, "onDemandOptions")
		in["spotOptions"] = fleet.Props{"allocationStrategy": "price-capacity-optimized"}
	}
	return in
}

// launchToken makes two runs of one decision one launch, and two decisions two: it follows from the pods, from the machines
// that are there, from what is known to be short, and from the quarter of an hour.
func (s *scene) launchToken(p *pool, kinds []string, zone string, spot bool, count int, pods []string) string {
	parts := []string{s.o.Cluster.String(), p.Name, strings.Join(kinds, ","), zone, fmt.Sprint(spot, count), strings.Join(pods, ","),
		s.now.UTC().Truncate(s.p.Launch.Timeout).String()}
	for _, g := range p.groups {
		for _, m := range g.Members {
			parts = append(parts, m.InstanceID)
		}
	}
	for _, x := range s.memory.Shortages {
		parts = append(parts, x.At.UTC().String())
	}
	return token(parts...)
}

func token(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:16])
}
