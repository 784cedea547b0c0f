package schedulertest

import (
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// app is a deployment: its pods differ in name only, and in their volumes if each has its own.
type app struct {
	pod      fleet.Pod
	replicas int // pending ones
	made     int
	// disk is what each replica gets a volume like; nil for none.
	disk *fleet.Volume
}

func (g *generator) deployments() {
	pods := 5 + g.IntN(56)
	for i := 0; pods > 0 && i < 8; i++ {
		a := app{replicas: min(pods, 1+g.IntN(16)), pod: fleet.Pod{
			Namespace: one(g, "default", "default", "web", "batch"), Name: fmt.Sprint("app", i), Phase: "Pending",
			Labels: map[string]string{"app": fmt.Sprint("app", i), "tier": one(g, "front", "back")},
			Owner:  fleet.Owner{Kind: "ReplicaSet", Name: fmt.Sprint("app", i)},
		}}
		pods -= a.replicas
		if g.chance(0.3) {
			a.pod.Labels["track"] = one(g, "stable", "canary")
		}
		g.apps = append(g.apps, a)
	}
	for i := range g.apps {
		g.demand(&g.apps[i])
	}
}

// pending makes the pods that wait, deployments mixed.
func (g *generator) pending() {
	for i := range g.apps {
		for range g.apps[i].replicas {
			g.p.Pods = append(g.p.Pods, g.replica(&g.apps[i]))
		}
	}
	g.Shuffle(len(g.p.Pods), func(i, j int) { g.p.Pods[i], g.p.Pods[j] = g.p.Pods[j], g.p.Pods[i] })
}

func (g *generator) replica(a *app) fleet.Pod {
	pod := a.pod
	pod.Name = fmt.Sprint(a.pod.Name, "-", a.made)
	pod.UID = pod.ID()
	a.made++
	if a.disk != nil {
		own := *a.pod.Demand
		disk := *a.disk
		disk.ID = pod.Namespace + "/" + a.disk.ID + pod.Name
		own.Volumes = append(slices.Clone(own.Volumes), disk)
		pod.Demand = &own
	}
	return pod
}

func (g *generator) demand(a *app) {
	d := &fleet.Demand{Requests: fleet.Resources{
		CPU:    one(g, int64(0), 50, 100, 250, 250, 500, 500, 1000, 1500, 3800),
		Memory: one(g, int64(0), 64, 128, 256, 512, 1024, 4096) << 20,
	}}
	a.pod.Demand = d
	if g.has[disks] && g.chance(0.4) {
		d.Requests.Storage = one(g, int64(1), 5, 10) * gib
	}
	if g.has[computing] && g.chance(0.3) {
		d.Requests.Other = map[string]int64{gpu: one(g, int64(1), 1, 2)}
	}
	if g.has[selecting] && g.chance(0.6) {
		g.places(d)
	}
	if g.has[tainting] && g.chance(0.6) {
		a.pod.Tolerations = g.tolerations()
	}
	if g.has[ranking] && g.chance(0.5) {
		a.pod.Priority = one(g, int32(-10), 100, 1000)
	}
	if g.has[spreading] && g.chance(0.6) {
		g.spread(d, a)
	}
	if g.has[attracting] && g.chance(0.35) {
		d.Affinity = g.podTerms(a)
	}
	if g.has[repelling] && g.chance(0.4) {
		d.AntiAffinity = g.podTerms(a)
	}
	if g.has[liking] && g.chance(0.5) {
		for _, t := range g.podTerms(a) {
			d.PreferredAntiAffinity = append(d.PreferredAntiAffinity, fleet.PreferredPod{Weight: 1 + g.IntN(100), Term: t})
		}
		d.PreferredNodes = []fleet.PreferredNode{{Weight: 1 + g.IntN(100), Term: fleet.NodeTerm{Labels: []fleet.Requirement{g.nodeRequirement()}}}}
	}
	if g.has[porting] && g.chance(0.3) {
		g.ports(d)
	}
	if g.has[storing] && g.chance(0.5) {
		g.volumes(d, a)
	}
}

// nodeRequirement asks for something about a node's labels that some nodes mostly have.
func (g *generator) nodeRequirement() fleet.Requirement {
	in := one(g, "In", "In", "NotIn")
	switch g.IntN(7) {
	case 0:
		return fleet.Requirement{Key: fleet.LabelZone, Operator: in, Values: some(g, append([]string{"us-east-1f"}, g.zones...))}
	case 1:
		return fleet.Requirement{Key: fleet.LabelArch, Operator: in, Values: []string{one(g, "amd64", "arm64")}}
	case 2:
		return fleet.Requirement{Key: labelSize, Operator: one(g, "Gt", "Lt"), Values: []string{one(g, "2", "3", "8")}}
	case 3:
		return fleet.Requirement{Key: labelTeam, Operator: one(g, "Exists", "DoesNotExist")}
	case 4:
		return fleet.Requirement{Key: fleet.LabelInstanceType, Operator: in, Values: some(g, g.typeNames())}
	case 5:
		return fleet.Requirement{Key: fleet.LabelEKSCapacity, Operator: in, Values: []string{one(g, fleet.OnDemand, fleet.Spot)}}
	}
	return fleet.Requirement{Key: fleet.LabelHostname, Operator: in, Values: []string{"node-0"}}
}

func (g *generator) typeNames() (names []string) {
	for _, t := range g.p.Types {
		names = append(names, t.Name)
	}
	return names
}

func (g *generator) places(d *fleet.Demand) {
	if g.chance(0.5) {
		d.NodeSelector = map[string]string{}
		switch g.IntN(5) {
		case 0:
			d.NodeSelector[fleet.LabelZone] = one(g, g.zones...)
		case 1:
			d.NodeSelector[fleet.LabelArch] = one(g, "amd64", "arm64")
		case 2:
			d.NodeSelector[labelTeam] = one(g, "red", "blue")
		case 3:
			d.NodeSelector[fleet.LabelKarpenterKind] = one(g, "spot", "on-demand")
		case 4:
			d.NodeSelector[fleet.LabelOS] = "linux"
		}
	}
	if g.chance(0.6) {
		for range 1 + g.IntN(2) {
			var t fleet.NodeTerm
			for range 1 + g.IntN(2) {
				t.Labels = append(t.Labels, g.nodeRequirement())
			}
			if g.chance(0.15) {
				t.Fields = []fleet.Requirement{{Key: "metadata.name", Operator: one(g, "In", "NotIn"), Values: []string{one(g, "node-0", "node-1")}}}
			}
			if g.chance(0.05) {
				t = fleet.NodeTerm{}
			}
			d.NodeTerms = append(d.NodeTerms, t)
		}
	}
}

func (g *generator) tolerations() (out []fleet.Toleration) {
	for range 1 + g.IntN(2) {
		t := fleet.Toleration{Key: one(g, "dedicated", "maintenance"), Operator: one(g, "Exists", "Equal", ""), Effect: one(g, "", "", "NoSchedule", "NoExecute", "PreferNoSchedule")}
		if t.Operator != "Exists" {
			t.Value = one(g, "", "x", "y")
		} else if g.chance(0.1) {
			t.Key = ""
		}
		out = append(out, t)
	}
	if g.has[closing] && g.chance(0.3) {
		out = append(out, fleet.Toleration{Key: "node.kubernetes.io/unschedulable", Operator: "Exists"})
	}
	return out
}

func (g *generator) topologyKey() string {
	return one(g, fleet.LabelZone, fleet.LabelZone, fleet.LabelZone, fleet.LabelHostname, fleet.LabelHostname, fleet.LabelHostname, labelRack, fleet.LabelEKSCapacity, "example.com/nowhere")
}

// selector selects mostly the pods of the app itself.
func (g *generator) selector(a *app) *fleet.Selector {
	switch g.IntN(12) {
	case 0:
		return &fleet.Selector{Labels: map[string]string{"app": one(g, g.apps...).pod.Name}}
	case 1:
		return &fleet.Selector{Labels: map[string]string{"tier": one(g, "front", "back")}}
	case 2:
		return &fleet.Selector{Requirements: []fleet.Requirement{{Key: "tier", Operator: one(g, "In", "NotIn"), Values: []string{one(g, "front", "back", "system")}}}}
	case 3:
		return &fleet.Selector{Labels: map[string]string{"app": a.pod.Name}, Requirements: []fleet.Requirement{{Key: "track", Operator: one(g, "Exists", "DoesNotExist")}}}
	case 4:
		return one(g, nil, &fleet.Selector{})
	case 5:
		return &fleet.Selector{Requirements: []fleet.Requirement{{Key: "app", Operator: "In", Values: []string{a.pod.Name, one(g, g.apps...).pod.Name}}}}
	}
	return &fleet.Selector{Labels: map[string]string{"app": a.pod.Name}}
}

func (g *generator) spread(d *fleet.Demand, a *app) {
	for range 1 + g.IntN(2) {
		s := fleet.Spread{
			MaxSkew: one(g, 1, 1, 1, 2, 3), TopologyKey: g.topologyKey(), Soft: g.chance(0.25), Selector: g.selector(a),
			IgnoreAffinity: g.chance(0.2), HonorTaints: g.chance(0.25),
		}
		if !s.Soft && g.chance(0.25) {
			s.MinDomains = 1 + g.IntN(4)
		}
		if !slices.ContainsFunc(d.Spread, func(o fleet.Spread) bool { return o.TopologyKey == s.TopologyKey }) {
			d.Spread = append(d.Spread, s)
		}
	}
}

func (g *generator) podTerms(a *app) (out []fleet.PodTerm) {
	for range one(g, 1, 1, 2) {
		t := fleet.PodTerm{TopologyKey: g.topologyKey(), Selector: g.selector(a)}
		switch g.IntN(6) {
		case 0:
			t.Namespaces = some(g, []string{"default", "web", "batch", "empty"})
		case 1:
			t.AllNamespaces = true
		}
		out = append(out, t)
	}
	return out
}

func (g *generator) ports(d *fleet.Demand) {
	for _, port := range some(g, []int32{80, 443}) {
		d.HostPorts = append(d.HostPorts, fleet.HostPort{Port: port, Protocol: one(g, "", "", "TCP", "UDP"), IP: one(g, "", "", "0.0.0.0", "10.0.0.1", "10.0.0.2")})
	}
	if g.chance(0.3) {
		d.HostPorts = append(d.HostPorts, fleet.HostPort{Port: 9100})
	}
}

func (g *generator) volumes(d *fleet.Demand, a *app) {
	zone := func() []fleet.NodeTerm {
		return []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: some(g, g.zones)}}}}
	}
	switch g.IntN(4) {
	case 0: // a disk for each replica, made with it
		a.disk = &fleet.Volume{ID: latePrefix, Driver: ebs}
		if g.chance(0.5) {
			a.disk.Where = zone()
		}
	case 1: // a disk for each replica, in one place
		a.disk = &fleet.Volume{ID: "disk-", Driver: ebs, Where: zone()}
	case 2: // one for all
		d.Volumes = append(d.Volumes, fleet.Volume{ID: a.pod.Namespace + "/shared-" + a.pod.Name, Driver: one(g, "", ebs, "efs.csi.aws.com"), Where: one(g, nil, zone())})
	case 3: // several for each
		d.Volumes = append(d.Volumes, fleet.Volume{ID: a.pod.Namespace + "/common", Driver: ebs})
		a.disk = &fleet.Volume{ID: "disk-", Driver: ebs, Where: zone()}
	}
	if g.has[lonely] && g.chance(0.3) {
		d.Volumes = append(d.Volumes, fleet.Volume{ID: a.pod.Namespace + "/alone-" + a.pod.Name, Driver: ebs, Alone: true})
	}
}
