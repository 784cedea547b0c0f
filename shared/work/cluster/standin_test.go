package cluster_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const movedGroups = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: moved, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
managedNodeGroups:
  - name: web
    instanceTypes: [m5.large, m6i.large]
    spot: true
    minSize: 2
    desiredCapacity: 3
    maxSize: 4
    labels: {team: web}
    taints: [{key: a, value: "1", effect: NoSchedule}]
    updateConfig: {maxUnavailable: 2}
    asgSuspendProcesses: [AZRebalance]
    tags: {cost: center}
nodeGroups:
  - name: own
    instanceType: m5.large
    minSize: 1
    desiredCapacity: 2
    maxSize: 2
  - name: mixed
    instancesDistribution: {instanceTypes: [m5.large, m6i.large], onDemandBaseCapacity: 1, onDemandPercentageAboveBaseCapacity: 0, spotAllocationStrategy: price-capacity-optimized}
    minSize: 1
    maxSize: 3
`

// mover carries out a move over the embedded cloud. Its nodes are the machines: there is no API server here, and a drain is its
// machine's end.
type mover struct {
	r       *rig
	step    upgradepath.Step
	memory  nodemove.Memory
	drains  map[string]nodemove.Drain
	compute *awscloud.Compute
	region  *awscloud.Region
	replace int // drains after which another machine came
}

func (r *rig) mover(step upgradepath.Step) *mover {
	cfg := r.ConfigIn(region, r.Cloud)
	return &mover{r: r, step: step, drains: map[string]nodemove.Drain{}, compute: awscloud.NewCompute(cfg), region: awscloud.NewRegion(cfg)}
}

// Nodes implements observe.MoveNodes.
func (m *mover) Nodes(ctx context.Context) (out []fleet.Node, err error) {
	list, err := awscloud.NewNodeGroups(m.r.ConfigIn(region, m.r.Cloud), time.Now).Instances(ctx, "moved")
	for _, i := range list {
		n := fleet.Node{Name: i.ID, UID: "uid-" + i.ID, ProviderID: "aws:///" + i.Zone + "/" + i.ID, Ready: i.State == "running", Kubelet: "v1.35.1"}
		if group := i.Tags[fleet.TagEKSNodegroup]; group != "" {
			have, err := m.region.Read(ctx, "moved", fleet.Ref{Kind: "nodegroup", Name: group})
			if err != nil {
				return nil, err
			}
			for _, t := range fleet.Items(have.Props, "taints") {
				n.Taints = append(n.Taints, fleet.Taint{Key: fleet.Text(t, "key")})
			}
		}
		out = append(out, n)
	}
	return out, err
}

// groups are the cluster's, as an upgrade observes them.
func (m *mover) groups(ctx context.Context) (out []upgradepath.Group) {
	m.r.T.Helper()
	all := awscloud.NewUpgrades(m.r.ConfigIn(region, m.r.Cloud))
	managed, err := all.NodeGroups(ctx, "moved")
	if err != nil {
		m.r.T.Fatal(err)
	}
	for _, g := range managed {
		out = append(out, upgradepath.Group{Name: g.Name, StandsFor: g.Tags[fleet.TagStandsFor], Status: g.Status, AMIType: fleet.Text(g.Props, "amiType"), Zones: 2,
			Min: fleet.Int(g.Props, "scalingConfig", "minSize"), Desired: fleet.Int(g.Props, "scalingConfig", "desiredSize"), Max: fleet.Int(g.Props, "scalingConfig", "maxSize")})
	}
	scaled, err := all.ScalingGroups(ctx, "moved")
	if err != nil {
		m.r.T.Fatal(err)
	}
	for _, s := range scaled {
		if s.Tags[fleet.TagEKSNodegroup] == "" {
			id := fleet.Text(s.Props, "launchTemplate", "launchTemplateId")
			if id == "" {
				id = fleet.Text(s.Props, "mixedInstancesPolicy", "launchTemplate", "launchTemplateSpecification", "launchTemplateId")
			}
			out = append(out, upgradepath.Group{Name: s.Tags[fleet.LabelNodeGroup], SelfManaged: true, AutoScalingGroup: s.Name, Template: id, Zones: 2})
		}
	}
	return out
}

// look makes a look of a move.
func (m *mover) look(decide func(time.Time, nodemove.Input) nodemove.Decision) nodemove.Decision {
	m.r.T.Helper()
	ctx := context.Background()
	o := upgradepath.Observation{Cluster: fleet.ClusterID{Region: region, Name: "moved"}, Groups: m.groups(ctx)}
	in, err := observe.Moves{AWS: m.region, Nodes: m}.Step(ctx, o, m.step)
	if err != nil {
		m.r.T.Fatal(err)
	}
	in.RunID, in.AtOnce, in.Memory, in.Drains = "run-1", 1, m.memory, m.drains
	d := decide(time.Now(), in)
	m.memory = d.Memory
	for _, s := range d.Plan.Steps {
		for _, a := range s.Actions {
			m.do(ctx, a)
		}
	}
	return d
}

func (m *mover) do(ctx context.Context, action plan.Action) {
	m.r.T.Helper()
	remove, ok := action.(plan.RemoveNode)
	if !ok {
		if _, err := m.region.Call(ctx, action.(plan.Call)); err != nil {
			m.r.T.Fatalf("%s: %v", action, err)
		}
		return
	}
	g, err := m.compute.ScalingGroup(ctx, remove.InstanceID)
	if err == nil {
		err = m.compute.EndInstance(ctx, g.Name, remove.InstanceID, remove.Replace)
	}
	if err != nil {
		m.r.T.Fatalf("%s: %v", action, err)
	}
	if remove.Replace {
		m.replace++
	}
	m.drains[remove.InstanceID] = nodemove.Drain{StartedAt: time.Now(), EndedAt: time.Now(), Outcome: events.OutcomeNodeRemoved}
}

// move looks until the move is done, and has the cluster function look at the file in between: it finds nothing to do.
func (m *mover) move(text string, decide func(time.Time, nodemove.Input) nodemove.Decision) {
	m.r.T.Helper()
	began := time.Now()
	for looks := 1; ; looks++ {
		d := m.look(decide)
		if d.Done {
			m.r.T.Logf("%s: %s, %d looks", m.step.ID, time.Since(began).Round(time.Second), looks)
			return
		}
		if len(d.Blocked) > 0 || looks > 300 {
			m.r.T.Fatalf("look %d: %s", looks, d.Plan)
		}
		time.Sleep(d.Plan.LookAgain)
		if looks%2 == 0 {
			m.r.unchanged(text, "SuspendProcesses") // of the new group
		}
	}
}

// unchanged has the file applied again, and sees that this changes nothing, but for what it may.
func (r *rig) unchanged(text string, may ...string) {
	r.T.Helper()
	r.Forget(len(r.Bus()))
	r.Script.Writes, r.Script.Ops = 0, nil
	r.Send(&events.ClusterApplyRequested{RequestID: "again-" + r.ID(), Spec: text, Prune: true})
	r.run()
	writes := r.Script.Writes
	for _, op := range r.Script.Ops {
		if slices.Contains(may, op) {
			writes--
		}
	}
	if done := r.ended(); done.Outcome != events.OutcomeActive || writes != 0 {
		r.T.Fatalf("%d writes: %s\n%v", writes, r.Told(), r.Script.Ops)
	}
}

// TestTheFileAfterAMove moves the nodes of groups of each kind, while the cluster function goes on with the file. Afterwards the file's
// group is changed under the name that it has by then, moved on, and deleted with the cluster.
func TestTheFileAfterAMove(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.under(t, parameters)
		defer r.allowed(t)
		before := r.everywhere(region)
		r.ask("request-1", movedGroups)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive {
			t.Fatal(r.Told())
		}
		read := func(name string) fleet.Resource {
			have, _ := awscloud.NewRegion(r.ConfigIn(region, r.Cloud)).Read(context.Background(), "moved", fleet.Ref{Kind: "nodegroup", Name: name})
			return have
		}
		old := read("web")
		step := upgradepath.Step{ID: "nodegroup/web/1.36", Subject: "web", To: "1.36", Minor: 36, Strategy: fleet.NodesBlueGreen}
		r.mover(step).move(movedGroups, nodemove.Next)
		name := nodemove.GreenName("web", step)
		green := read(name)
		for _, field := range []string{"subnets", "nodeRole", "labels", "taints", "instanceTypes", "capacityType", "updateConfig", "amiType", "launchTemplate", "version"} {
			if !fleet.Covers(green.Props[field], old.Props[field]) {
				t.Errorf("%s: %v, and it was %v", field, green.Props[field], old.Props[field])
			}
		}
		if got := fleet.Int(green.Props, "scalingConfig", "desiredSize"); got != 3 || fleet.Int(green.Props, "scalingConfig", "minSize") != 2 || fleet.Int(green.Props, "scalingConfig", "maxSize") != 4 {
			t.Errorf("sizes %v", green.Props["scalingConfig"])
		}
		if green.Tags["cost"] != "center" || green.Tags[fleet.TagStandsFor] != "web" || read("web").Physical != "" {
			t.Errorf("tags %v; the old group: %+v", green.Tags, read("web"))
		}
		// What has no tag but on the Auto Scaling group is asked of the new one, once; then nothing is left to do.
		r.ask("request-2", movedGroups)
		r.run()
		r.unchanged(movedGroups)

		text := strings.Replace(movedGroups, "maxSize: 4", "maxSize: 5", 1)
		r.ask("request-3", text)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive || fleet.Int(read(name).Props, "scalingConfig", "maxSize") != 5 {
			t.Errorf("%v\n%s", read(name).Props["scalingConfig"], r.Told())
		}
		r.unchanged(text)

		// Another move begins at the new group, under either name, and is taken back halfway.
		second := r.mover(upgradepath.Step{ID: "nodegroup/web/again", Subject: name, To: "1.36 again", Minor: 36, Strategy: fleet.NodesBlueGreen})
		for len(second.drains) < 2 {
			time.Sleep(second.look(nodemove.Next).Plan.LookAgain)
		}
		second.move(text, nodemove.Undo)
		if g := read(name); g.Status != "ACTIVE" || fleet.Int(g.Props, "scalingConfig", "desiredSize") != 3 || len(fleet.Items(g.Props, "taints")) != 1 {
			t.Errorf("taken back: %s %v %v", g.Status, g.Props["scalingConfig"], g.Props["taints"])
		}

		for _, own := range []string{"own", "mixed"} {
			m := r.mover(upgradepath.Step{ID: "nodegroup/" + own + "/1.35", Subject: own, To: "1.35", Minor: 35, Strategy: fleet.NodesRolling})
			m.move(text, nodemove.Next)
			if m.replace == 0 && own == "own" {
				t.Error("no machine was replaced")
			}
			groups := m.groups(context.Background())
			at := slices.IndexFunc(groups, func(g upgradepath.Group) bool { return g.Name == own })
			have, err := m.region.Read(context.Background(), "moved", fleet.Ref{Kind: "asg", Name: groups[at].AutoScalingGroup})
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range fleet.Items(have.Props, "instances") {
				if fleet.Text(i, "launchTemplate", "version") != "2" {
					t.Errorf("%s: %v", own, i)
				}
			}
			size := map[string]int{"own": 2, "mixed": 1}[own]
			if fleet.Int(have.Props, "desiredCapacity") != size || len(fleet.Items(have.Props, "instances")) != size || fleet.Moving(have.Tags) {
				t.Errorf("%s: %v %v", own, have.Props, have.Tags)
			}
			r.unchanged(text)
		}

		// What the file has lost goes under the name that it has by then.
		managed, own := strings.Index(text, "managedNodeGroups:"), strings.Index(text, "nodeGroups:\n  - name: own")
		less := text[:managed] + text[own:]
		r.Send(&events.ClusterApplyRequested{RequestID: "less", Spec: less, Prune: true})
		r.run()
		if read(name).Physical != "" || len(r.mover(step).groups(context.Background())) != 2 {
			t.Errorf("%+v\n%s", read(name), last(r.Told(), 8))
		}

		r.end(text, "delete", false)
		if done := r.ended(); done.Outcome != events.OutcomeDeleted {
			t.Fatalf("%s", last(r.Told(), 8))
		}
		r.nothingLeft(t, text, before, "after moves")
	})
}
