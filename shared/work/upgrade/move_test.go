package upgrade

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// interruption stands in for the interruption function: a node whose removal is asked for is drained for a while, and then its
// machine ends.
type interruption struct {
	r      *rig
	mu     sync.Mutex
	asked  []string // instances, in their order
	keeps  int      // how many drains come back without having removed their node
	atOnce int      // the most that were drained at the same time
	now    int
}

const draining = 20 * time.Second

func (i *interruption) heard(e events.Event) {
	p, ok := e.Payload.(*events.NodeRemovalRequested)
	if !ok {
		return
	}
	ctx, l := context.Background(), i.r.Ledger()
	known, err := l.Drain(ctx, p.InstanceID)
	if err != nil || known.RunID != "" && !known.Over() {
		return // it is being drained
	}
	i.mu.Lock()
	i.asked = append(i.asked, p.InstanceID)
	i.now++
	i.atOnce = max(i.atOnce, i.now)
	keep := i.keeps > 0
	if keep {
		i.keeps--
	}
	i.mu.Unlock()
	d := known
	d.RunID, d.InstanceID, d.Cluster, d.StartedAt, d.Outcome, d.Signal = e.ID, p.InstanceID, p.Cluster, time.Now(), "", []byte("{}")
	if d, err = l.SaveDrain(ctx, d); err != nil {
		i.r.T.Error(err)
		return
	}
	go func() {
		time.Sleep(draining)
		i.end(p, d, keep)
	}()
}

func (i *interruption) end(p *events.NodeRemovalRequested, d ledger.Drain, keep bool) {
	ctx := context.Background()
	d.Outcome, d.EndedAt = events.OutcomeNodeRemoved, time.Now()
	if keep {
		d.Outcome = events.OutcomeNodeKept
	} else {
		c := awscloud.NewCompute(i.r.Config(i.r.Cloud))
		g, err := c.ScalingGroup(ctx, p.InstanceID)
		if err == nil {
			err = c.EndInstance(ctx, g.Name, p.InstanceID, p.Replace)
		}
		if err != nil { // the group was given its least size back meanwhile
			d.Outcome = events.OutcomeNodeKept
		}
	}
	if _, err := i.r.Ledger().SaveDrain(ctx, d); err != nil {
		i.r.T.Error(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now--
}

// TestBlueGreen moves a node group to a second one beside it, two nodes at a time, and one of them comes back once.
func TestBlueGreen(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) {
			p.Nodes.AtOnce, p.Nodes.Groups = 2, []fleet.GroupUpgrade{{Name: "web", Strategy: fleet.NodesBlueGreen}}
		})
		other := &interruption{r: r, keeps: 1}
		r.Heard = other.heard
		r.ask("request-1", "1.35")
		done := r.over(24 * time.Hour)
		shape := r.shape()
		if done.Outcome != events.OutcomeUpgraded || strings.Contains(shape, "group web 1.34") || !strings.Contains(shape, "group web-") || strings.Count(shape, "node web-") != 2 {
			t.Errorf("%+v\n%s\n%s", done, shape, r.Told())
		}
		if len(other.asked) != 3 || other.atOnce != 2 {
			t.Errorf("drained %v, %d at once\n%s", other.asked, other.atOnce, r.Told())
		}
		t.Logf("\n%s\n%s", shape, r.Told())
	})
}

// TestAbortedMove leaves both groups at work.
func TestAbortedMove(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) { p.Nodes.Strategy = fleet.NodesBlueGreen })
		other := &interruption{r: r}
		r.Heard = other.heard
		r.ask("request-1", "1.35")
		if !r.RunUntil(func() bool { return len(other.asked) > 0 }, time.Now().Add(10*time.Hour)) {
			t.Fatalf("nothing was drained: %s\n%s", r.run().Phase, r.Told())
		}
		r.order(events.UpgradeAbort, "")
		done := r.over(3 * time.Hour)
		if done.Outcome != events.OutcomeAborted {
			t.Errorf("%+v", done)
		}
		all, err := awscloud.NewUpgrades(r.Config(r.Cloud)).NodeGroups(context.Background(), demo.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range all {
			if taints := fleet.Items(g.Props, "taints"); len(taints) > 0 {
				t.Errorf("node group %s still has %v\n%s", g.Name, taints, r.Told())
			}
		}
	})
}

// TestRegressionInAMove: what goes wrong while nodes move to a second group leads back to where they were, and the control plane
// after them.
func TestRegressionInAMove(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) {
			p.Rollback, p.Nodes.Groups = fleet.RollbackAuto, []fleet.GroupUpgrade{{Name: "web", Strategy: fleet.NodesBlueGreen}}
		})
		other := &interruption{r: r, keeps: 1} // it takes long enough
		r.Heard = other.heard
		r.health = func(h *upgrade.Health) {
			if len(other.asked) > 0 {
				h.Alarms = []string{"errors"}
			}
		}
		r.ask("request-1", "1.35")
		done := r.over(24 * time.Hour)
		r.RunFor(time.Minute)
		shape := r.shape()
		if done.Outcome != events.OutcomeRolledBack || !strings.Contains(shape, "control-plane 1.34") || strings.Contains(shape, "1.35 ") || strings.Count(shape, "node web") != 2 {
			t.Errorf("%+v\n%s\n%s", done, shape, r.Told())
		}
		if told := r.Told(); !strings.Contains(told, "Undone") {
			t.Errorf("the move was not taken back\n%s", told)
		}
		if n := strings.Count(shape, "group web"); n != 1 {
			t.Errorf("%d groups for web\n%s\n%s", n, shape, r.Told())
		}
	})
}

// TestBackToBack moves a group that stands for another one already.
func TestBackToBack(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) { p.Nodes.Strategy, p.Skew = fleet.NodesBlueGreen, fleet.SkewStrict })
		other := &interruption{r: r}
		r.Heard = other.heard
		r.ask("request-1", "1.36")
		done := r.over(48 * time.Hour)
		r.RunFor(time.Minute)
		if shape := r.shape(); done.Outcome != events.OutcomeUpgraded || strings.Count(shape, "group ") != 2 || strings.Contains(shape, " 1.35") {
			t.Errorf("%+v\n%s\n%s", done, shape, r.Told())
		}
	})
}

// TestSelfManaged moves an Auto Scaling group of ekspedite's, whose machines get a new image by its launch template.
func TestSelfManaged(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		id := fleet.ClusterID{Region: demo.Region, Name: "mine"}
		r.Build(strings.Replace(strings.Replace(file, "name: demo", "name: mine", 1), "managedNodeGroups:", "nodeGroups: [{name: own, instanceType: m5.large, minSize: 1, desiredCapacity: 2, maxSize: 4}]\nmanagedNodeGroups:", 1))
		r.Change(id, func(p *fleet.Policy) { p.Upgrade.Bake = 10 * time.Minute })
		other := &interruption{r: r}
		r.Heard = other.heard
		r.Send(&events.UpgradeRequested{RequestID: "request-1", Cluster: "mine", To: "1.35", Now: true})
		done := r.over(24 * time.Hour)
		r.RunFor(time.Minute)
		old := 0
		for _, n := range r.of("mine").Nodes {
			if n.Kubelet != 35 {
				old++
			}
		}
		if done.Outcome != events.OutcomeUpgraded || old > 0 || len(other.asked) < 2 {
			t.Errorf("%d old nodes, drained %v, %+v\n%s", old, other.asked, done, r.Told())
		}
		r.Send(&events.UpgradeControlRequested{RequestID: "back", Command: events.UpgradeRollback, Cluster: "mine"})
		r.RunUntil(func() bool { return len(r.Finished()) > 1 }, time.Now().Add(24*time.Hour))
		list := r.Finished()
		if len(list) != 2 || list[1].Outcome != events.OutcomeRolledBack || list[1].Counts["steps"] != 5 {
			t.Errorf("back: %+v\n%s", list, r.Told())
		}
	})
}

// TestHaltedMove stands still and costs nothing, and goes on when it is resumed.
func TestHaltedMove(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) { p.Nodes.Strategy = fleet.NodesBlueGreen })
		other := &interruption{r: r}
		r.Heard = other.heard
		r.ask("request-1", "1.35")
		r.RunUntil(func() bool { return len(other.asked) > 0 }, time.Now().Add(10*time.Hour))
		r.order(events.UpgradeHalt, "")
		r.RunFor(time.Minute)
		asked, reads := len(other.asked), r.Script.Reads
		r.RunFor(6 * time.Hour)
		if len(other.asked) != asked || r.Script.Reads != reads || r.run().Halted == "" {
			t.Errorf("%d more drains, %d reads\n%s", len(other.asked)-asked, r.Script.Reads-reads, r.Told())
		}
		r.order(events.UpgradeResume, "")
		if done := r.over(24 * time.Hour); done.Outcome != events.OutcomeUpgraded {
			t.Errorf("%+v\n%s", done, r.Told())
		}
	})
}
