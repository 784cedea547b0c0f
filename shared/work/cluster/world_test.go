package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// world is AWS in memory, as far as making a cluster goes, with its awkwardness: what is made becomes visible late, roles
// are usable late, control planes and node groups take their time, and nothing keeps anybody from making a VPC twice.
type world struct {
	mu     sync.Mutex
	stale  time.Duration // how late reads show what was made
	o      cluster.Observation
	seen   map[string]time.Time // by id of what was made: when reads show it
	usable map[string]time.Time // roles
	done   map[string]time.Time // when the cluster, node groups and NAT gateways are ready
	tokens map[string]bool
	n      int
	writes []string
	// How long EKS takes.
	clusterTakes, groupTakes time.Duration
	fails                    map[string]string // node group name → EKS's reason for CREATE_FAILED
}

func newWorld() *world {
	return &world{
		o: cluster.Observation{
			Roles: map[string]fleet.Role{}, Groups: map[string]fleet.NodeGroup{}, Entries: map[string]fleet.AccessEntry{},
			Zones: []fleet.Zone{{Name: "us-east-1a", ID: "use1-az1"}, {Name: "us-east-1b", ID: "use1-az2"}, {Name: "us-east-1c", ID: "use1-az4"}},
		},
		clusterTakes: 9 * time.Minute, groupTakes: 2 * time.Minute,
		seen: map[string]time.Time{}, usable: map[string]time.Time{}, done: map[string]time.Time{}, tokens: map[string]bool{}, fails: map[string]string{},
	}
}

func (w *world) visible(id string) bool { return !time.Now().Before(w.seen[id]) }

func only[T any](w *world, list []T, id func(T) string) []T {
	return slices.DeleteFunc(slices.Clone(list), func(t T) bool { return !w.visible(id(t)) })
}

// fresh gives an id to what is being made.
func (w *world) fresh(prefix string) string {
	w.n++
	id := fmt.Sprintf("%s-%03d", prefix, w.n)
	w.seen[id] = time.Now().Add(w.stale)
	return id
}

func (w *world) network() fleet.Network {
	n := w.o.Network
	out := fleet.Network{
		VPCs:    only(w, n.VPCs, func(v fleet.VPC) string { return v.ID }),
		Subnets: only(w, n.Subnets, func(v fleet.Subnet) string { return v.ID }), Gateways: only(w, n.Gateways, func(v fleet.Gateway) string { return v.ID }),
		RouteTables: only(w, n.RouteTables, func(v fleet.RouteTable) string { return v.ID }),
		Addresses:   only(w, n.Addresses, func(v fleet.Address) string { return v.ID }), NATs: only(w, n.NATs, func(v fleet.NATGateway) string { return v.ID }),
	}
	for i := range out.RouteTables {
		out.RouteTables[i].Routes = maps.Clone(out.RouteTables[i].Routes)
	}
	for i, g := range out.NATs {
		if g.State == "pending" && !time.Now().Before(w.done[g.ID]) {
			out.NATs[i].State = "available"
		}
	}
	return out
}

// errKilled is what everything answers to an invocation that is no more.
var errKilled = errors.New("killed")

// session is one invocation's way to the world. Every call of it can fail, lose its answer, or be the last one.
type session struct {
	*world
	*script
	store ledger.Store
	bus   *bus
	queue *queue
	dead  bool
}

// script says what happens at which call. Calls are counted over all sessions.
type script struct {
	mu     sync.Mutex
	calls  int
	at     func(n int, op string) event
	writes int // of the API, not the ledger
}

// event is what happens to one call.
type event int

const (
	nothing event = iota
	failsBefore
	failsAfter // it happened, and the answer is lost
	killedBefore
	killedAfter
)

// call runs f, or does not, as the script has it.
func (s *session) call(ctx context.Context, op string, f func() error) error {
	s.script.mu.Lock()
	s.calls++
	e := nothing
	if s.at != nil {
		e = s.at(s.calls, op)
	}
	dead := s.dead
	if e == killedBefore {
		s.dead, dead = true, true
	}
	s.script.mu.Unlock()
	switch {
	case dead:
		return errKilled
	case ctx.Err() != nil:
		return ctx.Err()
	case e == failsBefore:
		return fault.New(fault.Transient, "%s: connection refused", op)
	}
	s.world.mu.Lock()
	err := f()
	s.world.mu.Unlock()
	switch e {
	case failsAfter:
		return fault.New(fault.Transient, "%s: connection reset", op)
	case killedAfter:
		s.script.mu.Lock()
		s.dead = true
		s.script.mu.Unlock()
		return errKilled
	}
	return err
}

func read[T any](ctx context.Context, s *session, op string, f func() (T, error)) (out T, err error) {
	err = s.call(ctx, op, func() (err error) { out, err = f(); return err })
	return out, err
}

// The reads.

func (s *session) Network(ctx context.Context, _ string, _ bool) (fleet.Network, error) {
	return read(ctx, s, "Network", func() (fleet.Network, error) { return s.network(), nil })
}

func (s *session) DNSHostnames(ctx context.Context, vpc string) (bool, error) {
	return read(ctx, s, "DNSHostnames", func() (bool, error) {
		for _, v := range s.o.Network.VPCs {
			if v.ID == vpc {
				return v.DNSHostnames, nil
			}
		}
		return false, fault.New(fault.NotFound, "no VPC")
	})
}

func (s *session) Zones(ctx context.Context) ([]fleet.Zone, error) {
	return read(ctx, s, "Zones", func() ([]fleet.Zone, error) { return s.o.Zones, nil })
}

func (s *session) Role(ctx context.Context, name string) (fleet.Role, error) {
	return read(ctx, s, "Role", func() (fleet.Role, error) {
		r, ok := s.o.Roles[name]
		if !ok || !s.visible("role "+name) {
			return r, fault.New(fault.NotFound, "no role")
		}
		return r, nil
	})
}

func (s *session) RolePolicies(ctx context.Context, name string) ([]string, error) {
	return read(ctx, s, "RolePolicies", func() ([]string, error) {
		r, ok := s.o.Roles[name]
		if !ok || !s.visible("role "+name) {
			return nil, fault.New(fault.NotFound, "no role")
		}
		return slices.Clone(r.Policies), nil
	})
}

func (s *session) ControlPlane(ctx context.Context, _ string) (fleet.ControlPlane, error) {
	return read(ctx, s, "ControlPlane", func() (fleet.ControlPlane, error) {
		if s.o.Control == nil {
			return fleet.ControlPlane{}, fault.New(fault.NotFound, "no cluster")
		}
		c := *s.o.Control
		if c.Status == "CREATING" && !time.Now().Before(s.done["cluster"]) {
			c.Status = "ACTIVE"
		}
		return c, nil
	})
}

func (s *session) NodeGroup(ctx context.Context, _, name string) (fleet.NodeGroup, error) {
	return read(ctx, s, "NodeGroup", func() (fleet.NodeGroup, error) {
		g, ok := s.o.Groups[name]
		if !ok {
			return g, fault.New(fault.NotFound, "no node group")
		}
		if g.Status == "CREATING" && !time.Now().Before(s.done[name]) {
			g.Status = "ACTIVE"
			if why := s.fails[name]; why != "" {
				g.Status, g.Issues = "CREATE_FAILED", []string{why}
			}
		}
		return g, nil
	})
}

func (s *session) AccessEntry(ctx context.Context, _, principal string) (fleet.AccessEntry, error) {
	return read(ctx, s, "AccessEntry", func() (fleet.AccessEntry, error) {
		e, ok := s.o.Entries[principal]
		if !ok {
			return e, fault.New(fault.NotFound, "no entry")
		}
		return e, nil
	})
}

func (s *session) ClusterAccess(ctx context.Context, _, _ string) (fleet.ClusterAccess, error) {
	return read(ctx, s, "ClusterAccess", func() (fleet.ClusterAccess, error) {
		if s.o.Access == nil {
			return fleet.ClusterAccess{}, fault.New(fault.NotFound, "no role")
		}
		return *s.o.Access, nil
	})
}

// Do is the writes. What awscloud finds by tag right before, it finds here, if it is visible.
func (s *session) Do(ctx context.Context, a plan.Action) error {
	return s.call(ctx, a.Kind(), func() error {
		s.script.mu.Lock()
		s.script.writes++
		s.script.mu.Unlock()
		return fault.Ignore(s.write(a), fault.Conflict)
	})
}

var _ apply.Do = (*session)(nil).Do

func (w *world) write(action plan.Action) error {
	w.writes = append(w.writes, action.String())
	n := w.network()
	have := false // visible with its tags
	assume := func(id string) {
		w.o.Assume(action)
		relabel(&w.o, action.(plan.Creation).Resource()+" (new)", id)
	}
	switch a := action.(type) {
	case plan.CreateVPC:
		if have = len(n.VPCs) > 0; !have {
			assume(w.fresh("vpc"))
		}
	case plan.CreateSubnet:
		if have = slices.ContainsFunc(n.Subnets, func(s fleet.Subnet) bool { return s.Resource == a.ID }); have {
			return nil
		}
		if slices.ContainsFunc(w.o.Network.Subnets, func(s fleet.Subnet) bool { return s.CIDR == a.CIDR && s.VPC == a.VPC }) {
			return fault.New(fault.Blocked, "InvalidSubnet.Conflict")
		}
		assume(w.fresh("subnet"))
	case plan.CreateInternetGateway:
		if have = len(n.Gateways) > 0; !have {
			assume(w.fresh("igw"))
		}
	case plan.AllocateAddress:
		if have = slices.ContainsFunc(n.Addresses, func(s fleet.Address) bool { return s.Resource == a.ID }); !have {
			assume(w.fresh("eipalloc"))
		}
	case plan.CreateRouteTable:
		if have = slices.ContainsFunc(n.RouteTables, func(s fleet.RouteTable) bool { return s.Resource == a.ID }); !have {
			assume(w.fresh("rtb"))
		}
	case plan.CreateRole:
		if _, ok := w.o.Roles[a.Name]; ok {
			return fault.New(fault.Conflict, "EntityAlreadyExists")
		}
		w.seen["role "+a.Name] = time.Now().Add(w.stale)
		w.usable[a.Name] = time.Now().Add(w.stale + 3*time.Second)
		w.o.Assume(a)
		r := w.o.Roles[a.Name]
		r.ARN = "arn:aws:iam::123456789012:role/" + a.Name
		w.o.Roles[a.Name] = r
	default:
		return w.writeMore(action)
	}
	return nil
}

func (w *world) writeMore(action plan.Action) error {
	switch a := action.(type) {
	case plan.CreateNATGateway:
		if !w.tokens[a.Token] {
			w.tokens[a.Token] = true
			w.o.Assume(a)
			id := w.fresh("nat")
			relabel(&w.o, a.ID+" (new)", id)
			w.done[id] = time.Now().Add(90 * time.Second)
		}
	case plan.CreateCluster:
		if w.o.Control != nil {
			return nil // EKS answers the same token with the same cluster, another one with "already exists"
		}
		if time.Now().Before(w.usable[cluster.RoleName(a.Cluster, "cluster")]) {
			return fault.New(fault.Denied, "Role with arn: %s, could not be assumed", a.RoleARN)
		}
		w.o.Assume(a)
		w.done["cluster"] = time.Now().Add(w.clusterTakes)
	case plan.CreateNodeGroup:
		if _, ok := w.o.Groups[a.Spec.Name]; ok {
			return nil
		}
		w.o.Assume(a)
		w.done[a.Spec.Name] = time.Now().Add(w.groupTakes)
	case plan.CreateAccessEntry:
		if _, ok := w.o.Entries[a.Principal]; !ok {
			w.o.Assume(a)
		}
	case plan.AttachInternetGateway, plan.CreateRoute, plan.AssociateRouteTable:
		w.o.Assume(a)
		for i := range w.o.Network.RouteTables {
			slices.Sort(w.o.Network.RouteTables[i].Subnets)
			w.o.Network.RouteTables[i].Subnets = slices.Compact(w.o.Network.RouteTables[i].Subnets)
		}
	case plan.AttachRolePolicy:
		if r := w.o.Roles[a.Role]; !slices.Contains(r.Policies, a.Policy) {
			w.o.Assume(a)
		}
	default:
		w.o.Assume(a)
	}
	return nil
}

// relabel gives what Assume made its real id.
func relabel(o *cluster.Observation, from, to string) {
	n := &o.Network
	for i := range n.VPCs {
		if n.VPCs[i].ID == from {
			n.VPCs[i].ID = to
		}
	}
	for i := range n.Subnets {
		if n.Subnets[i].ID == from {
			n.Subnets[i].ID = to
		}
	}
	for i := range n.Gateways {
		if n.Gateways[i].ID == from {
			n.Gateways[i].ID = to
		}
	}
	for i := range n.RouteTables {
		if n.RouteTables[i].ID == from {
			n.RouteTables[i].ID = to
		}
	}
	for i := range n.Addresses {
		if n.Addresses[i].ID == from {
			n.Addresses[i].ID = to
		}
	}
	for i := range n.NATs {
		if n.NATs[i].ID == from {
			n.NATs[i].ID = to
		}
	}
}
