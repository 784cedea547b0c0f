package observe

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// MoveResources reads what node groups are made of in one Region. awscloud.Region is one.
type MoveResources interface {
	// Read reads a node group ("nodegroup"), the Auto Scaling group behind one ("scaling"), or one of ours ("asg").
	Read(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error)
	// Tagged reads all of the kinds that carries the cluster's tag: launch templates ("template"), in their newest versions.
	Tagged(ctx context.Context, cluster string, kinds []string) ([]fleet.Resource, error)
	// Image reads the id of the newest image by the name of its public parameter; "" if there is none.
	Image(ctx context.Context, parameter string) (string, error)
}

// MoveNodes lists a cluster's nodes. kube.Client is one.
type MoveNodes interface {
	Nodes(ctx context.Context) ([]fleet.Node, error)
}

// Moves reads what a move of nodes is decided from.
type Moves struct {
	AWS   MoveResources
	Nodes MoveNodes
}

// Step reads the groups of a step, their machines, nodes and launch templates, into the Input of nodemove.Next. o is what was
// observed of the cluster in this look. Drains, RunID, AtOnce, Retry and Memory are the caller's. A read that fails fails the
// look: what could not be seen is not absent.
func (m Moves) Step(ctx context.Context, o upgradepath.Observation, step upgradepath.Step) (nodemove.Input, error) {
	in := nodemove.Input{Cluster: o.Cluster, Step: step, Templates: map[string]fleet.Resource{}}
	groups := concerned(o.Groups, step.Subject)
	found := make([]*nodemove.Group, len(groups))
	g := &gather{ctx: ctx}
	for i, group := range groups {
		g.read(func(ctx context.Context) (err error) {
			found[i], err = m.group(ctx, o.Cluster.Name, group)
			return err
		})
	}
	if slices.ContainsFunc(groups, func(g upgradepath.Group) bool { return g.SelfManaged }) {
		g.read(func(ctx context.Context) error {
			list, err := m.AWS.Tagged(ctx, o.Cluster.Name, []string{"template"})
			for _, t := range list {
				g.set(func() { in.Templates[t.Physical] = t })
			}
			return err
		})
	}
	var nodes []fleet.Node
	g.read(func(ctx context.Context) (err error) {
		nodes, err = m.Nodes.Nodes(ctx)
		return err
	})
	if err := g.wait(); err != nil {
		return in, err
	}
	for _, group := range found {
		if group != nil { // else it has gone since
			in.Groups = append(in.Groups, *group)
		}
	}
	in.Nodes = moving(in.Groups, o.Nodes, nodes)
	return in, m.image(ctx, &in)
}

// concerned are the group of a name and all that stand for the same group of the file.
func concerned(groups []upgradepath.Group, subject string) (out []upgradepath.Group) {
	base := subject
	for _, g := range groups {
		if g.Name == subject && g.StandsFor != "" {
			base = g.StandsFor
		}
	}
	for _, g := range groups {
		if g.Name == base || g.Name == subject || g.StandsFor == base {
			out = append(out, g)
		}
	}
	return out
}

// group reads one group; nil if it has gone.
func (m Moves) group(ctx context.Context, cluster string, g upgradepath.Group) (*nodemove.Group, error) {
	out := &nodemove.Group{Group: g}
	var scaling fleet.Resource
	var err, scalingErr error
	var wg sync.WaitGroup
	if g.SelfManaged {
		scaling, scalingErr = m.AWS.Read(ctx, cluster, fleet.Ref{ID: "asg/" + g.Name, Kind: "asg", Name: g.AutoScalingGroup})
		out.Described, err = scaling, scalingErr
	} else {
		wg.Go(func() {
			out.Described, err = m.AWS.Read(ctx, cluster, fleet.Ref{ID: "nodegroup/" + g.Name, Kind: "nodegroup", Name: g.Name})
		})
		wg.Go(func() {
			scaling, scalingErr = m.AWS.Read(ctx, cluster, fleet.Ref{ID: "scaling/" + g.Name, Kind: "scaling", Name: g.Name})
		})
		wg.Wait()
	}
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case fault.Ignore(scalingErr, fault.NotFound) != nil: // EKS may not have made it yet
		return nil, scalingErr
	}
	if !g.SelfManaged {
		out.Status, out.Issues = out.Described.Status, out.Described.Issues // newer than what was observed
	}
	if scalingErr == nil {
		p := scaling.Props
		out.Min, out.Desired, out.Max = fleet.Int(p, "minSize"), fleet.Int(p, "desiredCapacity"), fleet.Int(p, "maxSize")
		out.Issues = append(slices.Clone(out.Issues), scaling.Issues...)
		out.Machines = machines(p)
	}
	return out, nil
}

// machines are an Auto Scaling group's, without those that are on their way out.
func machines(p fleet.Props) (out []nodemove.Machine) {
	for _, i := range fleet.Items(p, "instances") {
		state := fleet.Text(i, "lifecycleState")
		if strings.HasPrefix(state, "Terminat") || strings.HasPrefix(state, "Detach") {
			continue
		}
		out = append(out, nodemove.Machine{
			InstanceID: fleet.Text(i, "instanceId"), Zone: fleet.Text(i, "availabilityZone"), Template: fleet.Text(i, "launchTemplate", "version"), InService: state == "InService",
		})
	}
	return out
}

// moving are the nodes of some groups, those of machines on their way out included: their pods may still be there.
func moving(groups []nodemove.Group, seen []upgradepath.Node, nodes []fleet.Node) (out []nodemove.Node) {
	of := map[string]string{}
	for _, g := range groups {
		for _, m := range g.Machines {
			of[m.InstanceID] = g.Name
		}
	}
	known := map[string]upgradepath.Node{}
	for _, n := range seen {
		known[n.UID] = n
	}
	for _, n := range nodes {
		at := n.ProviderID[strings.LastIndexByte(n.ProviderID, '/')+1:]
		u, ok := known[n.UID]
		if !ok {
			u = upgradepath.Node{Name: n.Name, UID: n.UID, CreatedAt: n.Created}
			u.Kubelet, _ = fleet.ParseMinor(n.Kubelet)
		}
		u.InstanceID, u.Ready, u.Unschedulable = at, n.Ready, n.Unschedulable
		if group := of[at]; group != "" {
			u.Group = group
		} else if u.Group == "" {
			u.Group = n.Labels[labelNodegroup]
		}
		if !slices.ContainsFunc(groups, func(g nodemove.Group) bool { return g.Name == u.Group }) {
			continue
		}
		shut := n.Unschedulable || slices.ContainsFunc(n.Taints, func(t fleet.Taint) bool { return t.Key == nodemove.Taint })
		out = append(out, nodemove.Node{Node: u, Shut: shut})
	}
	return out
}

// image reads which image a self-managed group's machines are to have. The description of its launch template says by which
// parameter it was found, with VERSION for that of Kubernetes; an image of one's own is in the template's versions.
func (m Moves) image(ctx context.Context, in *nodemove.Input) (err error) {
	if in.Step.Template != "" {
		return nil
	}
	for _, g := range in.Groups {
		_, name, _ := strings.Cut(fleet.Text(in.Templates[g.Template].Props, "versionDescription"), " ")
		if !g.SelfManaged || !strings.HasPrefix(name, "/") {
			continue
		}
		if in.Image, err = m.AWS.Image(ctx, strings.Replace(name, "VERSION", in.Step.Minor.String(), 1)); err != nil {
			return err
		}
	}
	return nil
}
