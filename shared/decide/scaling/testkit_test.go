package scaling

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) // a Wednesday

// market has few machines of real shapes; spot costs 40 % of on-demand.
func market() fleet.Market {
	m := fleet.Market{Region: "us-east-1", AsOf: noon, Priced: noon}
	for _, t := range []struct {
		name, arch string
		cpus, gibs int
		enis, ips  int
		price      float64
	}{
		{"c5.large", "amd64", 2, 4, 3, 10, 0.085}, {"m5.2xlarge", "amd64", 8, 32, 4, 15, 0.384}, {"m5.large", "amd64", 2, 8, 3, 10, 0.096},
		{"m5.xlarge", "amd64", 4, 16, 4, 15, 0.192}, {"m6g.large", "arm64", 2, 8, 3, 10, 0.077}, {"m6i.large", "amd64", 2, 8, 3, 10, 0.096},
		{"r5.large", "amd64", 2, 16, 3, 10, 0.126},
	} {
		f := fleet.MachineType{
			Name: t.name, Arch: t.arch, VCPUs: t.cpus, MemoryMiB: t.gibs * 1024, ENIs: t.enis, IPsPerENI: t.ips, Nitro: true, Current: true, Attachments: 28,
		}
		for _, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
			f.Offerings = append(f.Offerings, fleet.Offering{Zone: zone, Price: t.price}, fleet.Offering{Zone: zone, Spot: true, Price: t.price * 0.4})
		}
		m.Types = append(m.Types, f)
	}
	return m
}

func acting() fleet.ScalingPolicy {
	p := fleet.DefaultScalingPolicy()
	p.Mode = fleet.ScalingAct
	return p
}

// world is a cluster that plans are carried out on.
type world struct {
	Observation
	launched int
	dry      map[string]bool // offerings that EC2 has none of, as type/zone
}

func cluster(groups ...Group) *world {
	w := &world{Observation: Observation{Cluster: fleet.ClusterID{Region: "us-east-1", Name: "demo"}, Version: "1.36", Market: market(), Groups: groups}}
	for i := range w.Groups {
		for range w.Groups[i].Desired {
			w.launch(i, noon.Add(-24*time.Hour))
		}
	}
	return w
}

// managed is a node group of a kind in zone a, of on-demand machines.
func managed(name, kinds string, least, desired, most int, edit ...func(*Group)) Group {
	g := Group{Name: name, Kind: Managed, AutoScalingGroup: "eks-" + name, Min: least, Desired: desired, Max: most,
		Types: strings.Split(kinds, "|"), Zones: []string{"us-east-1a"}, AMIType: "AL2023_x86_64_STANDARD", Status: "ACTIVE",
		Recipe: fleet.Props{"nodeRole": "arn:aws:iam::111122223333:role/nodes", "amiType": "AL2023_x86_64_STANDARD", "tags": fleet.Props{"team": "a"},
			"subnetsByZone": fleet.Props{"us-east-1a": []any{"subnet-a"}, "us-east-1b": []any{"subnet-b"}, "us-east-1c": []any{"subnet-c"}}}}
	for _, f := range edit {
		f(&g)
	}
	return g
}

func zones(letters string) func(*Group) {
	return func(g *Group) {
		g.Zones = nil
		for _, l := range letters {
			g.Zones = append(g.Zones, "us-east-1"+string(l))
		}
	}
}

func selfManaged(g *Group) {
	g.Kind, g.Status = SelfManaged, ""
	delete(g.Recipe, "nodeRole")
	g.Recipe["launchTemplateSpecification"] = fleet.Props{"launchTemplateId": "lt-1", "version": "3"}
}

func spot(g *Group) { g.Spot = true }

// launch gives a group one machine, which is a Ready node.
func (w *world) launch(i int, at time.Time) {
	g := &w.Groups[i]
	w.launched++
	have := map[string]int{}
	for _, m := range g.Members {
		have[m.Zone]++
	}
	id, zone, kind := fmt.Sprintf("i-%03d", w.launched), nextZones(g.Zones, have, 1)[0], g.Types[w.launched%len(g.Types)]
	g.Members = append(g.Members, GroupMember{InstanceID: id, Type: kind, Zone: zone, State: "InService"})
	w.Instances = append(w.Instances, fleet.Instance{ID: id, Type: kind, Zone: zone, State: "running", Spot: g.Spot, Launched: at})
	gg := group{Group: *g}
	var m fleet.MachineType
	for _, t := range w.Market.Types {
		if t.Name == kind {
			m = t
		}
	}
	r := estimate(m, gg.profile(), fleet.DefaultScalingPolicy().Nodes)
	labels := with(gg.nodeLabels(), "kubernetes.io/os", "linux")
	for k, v := range r.asType(kind, m.Arch, "us-east-1", gg.profile(), nil).Labels {
		labels[k] = v
	}
	labels[fleet.LabelInstanceType], labels[fleet.LabelZone], labels[fleet.LabelArch], labels[fleet.LabelHostname] = kind, zone, m.Arch, "node-"+id
	w.Nodes = append(w.Nodes, fleet.Node{
		Name: "node-" + id, UID: "uid-" + id, ProviderID: "aws:///" + zone + "/" + id, Labels: labels, Taints: g.Taints, Ready: true, Created: at,
		Allocatable: r.resources, MaxPods: r.maxPods, AttachLimits: r.attach,
	})
}

// pod is one of a ReplicaSet that asks for a cpu (thousandths) and memory (MiB).
func pod(name string, cpu, memory int64, edit ...func(*fleet.Pod)) fleet.Pod {
	p := fleet.Pod{Namespace: "default", Name: name, UID: "uid-" + name, Phase: "Pending", Owner: fleet.Owner{Kind: "ReplicaSet", Name: strings.TrimRight(name, "-0123456789")},
		Created: noon.Add(-12 * time.Hour), Demand: &fleet.Demand{Requests: fleet.Resources{CPU: cpu, Memory: memory * mib}}}
	for _, f := range edit {
		f(&p)
	}
	return p
}

func on(node int) func(*fleet.Pod) {
	return func(p *fleet.Pod) { p.Node, p.Phase, p.Ready = fmt.Sprintf("node-i-%03d", node), "Running", true }
}

func (w *world) pods(pods ...fleet.Pod) *world {
	w.Pods = append(w.Pods, pods...)
	return w
}

func pods(prefix string, count int, cpu, memory int64, edit ...func(*fleet.Pod)) (out []fleet.Pod) {
	for i := range count {
		out = append(out, pod(fmt.Sprintf("%s-%d", prefix, i), cpu, memory, edit...))
	}
	return out
}

// decide is one look, whose memory is kept.
func (w *world) decide(t *testing.T, at time.Time, p fleet.ScalingPolicy) Decision {
	t.Helper()
	d, err := Decide(at, w.Observation, p)
	if err != nil {
		t.Fatal(err)
	}
	w.Memory = d.Memory
	return d
}

func actions[A plan.Action](d Decision) (out []A) {
	for _, s := range d.Plan.Steps {
		for _, a := range s.Actions {
			if x, ok := a.(A); ok {
				out = append(out, x)
			}
		}
	}
	return out
}
