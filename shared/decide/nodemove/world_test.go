package nodemove_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// sim is a cluster in which a move goes on: EKS and Auto Scaling, a scheduler, controllers, and the eviction API with the API
// server's own arithmetic. It knows nothing of how a move decides. What must not happen is written down in broken.
type sim struct {
	rnd    *rand.Rand
	now    time.Time
	groups map[string]*simGroup
	nodes  map[string]*machine // by instance id
	apps   []*app
	drains map[string]*drain
	slots  int // pods that a node has room for
	count  int // of machines so far
	newest int // version of the self-managed group's launch template
	broken []string
	busy   int // the most drains at once
}

type simGroup struct {
	name, standsFor   string
	self              bool
	min, desired, max int
	status            string
	statusUntil       time.Time
	apply             func() // what the present update comes to
	tainted           bool   // as EKS says
	zones             []string
	template          int
	tags              map[string]string
	shortUntil        time.Time // no capacity before that
	version           fleet.Minor
	createdAt         time.Time
}

type machine struct {
	id, node, group, zone string
	template              int
	readyAt               time.Time
	cordoned, tainted     bool
	goneAt                time.Time // set once its end was asked for
	version               fleet.Minor
}

type app struct {
	name           string
	replicas       int
	minAvailable   int // -1: no budget
	startup, grace time.Duration
	precious       bool // its pods must not be disrupted
	pods           []*simPod
	made           int
	wasHealthy     bool
}

type simPod struct {
	name    string
	on      string // instance id, "" while pending
	readyAt time.Time
	goneAt  time.Time
}

type drain struct {
	nodemove.Drain
	begins   time.Time
	replace  bool
	instance string
}

func (s *sim) chance(percent int) bool { return s.rnd.IntN(100) < percent }

func (s *sim) between(a, b int) time.Duration {
	return time.Duration(a+s.rnd.IntN(b-a+1)) * time.Second
}

func (s *sim) breaks(format string, args ...any) {
	s.broken = append(s.broken, s.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

// newSim makes a random cluster; obstacles are what may keep a move from ending.
func newSim(seed uint64, self bool) (s *sim, obstacles bool) {
	s = &sim{rnd: rand.New(rand.NewPCG(seed, 8)), now: began, groups: map[string]*simGroup{}, nodes: map[string]*machine{}, drains: map[string]*drain{}, newest: 1}
	s.slots = 4 + s.rnd.IntN(8)
	size := s.rnd.IntN(7)
	g := &simGroup{name: "web", self: self, desired: size, min: s.rnd.IntN(size + 1), max: size + s.rnd.IntN(3), status: "ACTIVE", template: 1, tags: map[string]string{}, version: 33, createdAt: began}
	g.max = max(g.max, 1)
	g.zones = []string{"a", "b", "c"}[:1+s.rnd.IntN(3)]
	s.groups["web"] = g
	s.autoscale(g)
	for _, m := range s.nodes {
		m.readyAt = began
	}
	for room := size * s.slots * 9 / 10; room > 0 && len(s.apps) < 6; {
		a := &app{name: fmt.Sprintf("app%d", len(s.apps)), replicas: min(room, 1+s.rnd.IntN(6)), minAvailable: -1, startup: s.between(1, 90), grace: s.between(1, 60)}
		room -= a.replicas
		switch {
		case s.chance(4): // nobody may ever be evicted
			a.minAvailable, obstacles = a.replicas, true
		case s.chance(70) && a.replicas > 1:
			a.minAvailable = s.rnd.IntN(a.replicas)
		}
		if s.chance(2) {
			a.precious, obstacles = true, true
		}
		s.apps = append(s.apps, a)
	}
	s.control()
	for _, a := range s.apps {
		for _, p := range a.pods {
			p.readyAt = began
		}
	}
	return s, obstacles
}

// step lets time pass.
func (s *sim) step(d time.Duration) {
	s.now = s.now.Add(d)
	for _, name := range sorted(s.groups) {
		s.eks(s.groups[name])
	}
	for _, id := range sorted(s.nodes) {
		if m := s.nodes[id]; !m.goneAt.IsZero() && !s.now.Before(m.goneAt) {
			s.die(m)
		}
	}
	for _, name := range sorted(s.groups) {
		s.autoscale(s.groups[name])
	}
	s.control()
	for _, id := range sorted(s.drains) {
		s.drive(s.drains[id])
	}
	s.check()
}

// eks ends what EKS works on.
func (s *sim) eks(g *simGroup) {
	if g.self || g.status == "ACTIVE" || s.now.Before(g.statusUntil) {
		return
	}
	if g.status == "DELETING" {
		for _, m := range s.members(g) {
			s.die(m)
		}
		delete(s.groups, g.name)
		return
	}
	g.status = "ACTIVE"
	if g.apply != nil {
		g.apply()
		g.apply = nil
	}
}

func (s *sim) members(g *simGroup) (out []*machine) {
	for _, id := range sorted(s.nodes) {
		if m := s.nodes[id]; m.group == g.name && m.goneAt.IsZero() {
			out = append(out, m)
		}
	}
	return out
}

// autoscale launches and ends machines, as Auto Scaling does to have as many as are desired: whose pods run on one that it ends
// it does not ask.
func (s *sim) autoscale(g *simGroup) {
	live := s.members(g)
	for len(live) > g.desired && g.status != "DELETING" {
		m := live[s.rnd.IntN(len(live))]
		m.goneAt = s.now
		s.breaks("Auto Scaling ends %s of %s by itself", m.id, g.name)
		live = s.members(g)
	}
	if g.status == "DELETING" || s.now.Before(g.shortUntil) {
		return
	}
	for ; len(live) < g.desired; live = s.members(g) {
		count := map[string]int{}
		for _, m := range live {
			count[m.zone]++
		}
		zone := slices.MinFunc(g.zones, func(a, b string) int { return count[a] - count[b] })
		s.count++
		id := fmt.Sprintf("i-%03d", s.count)
		s.nodes[id] = &machine{id: id, node: "node-" + id, group: g.name, zone: zone, template: g.template, readyAt: s.now.Add(s.between(20, 150)), tainted: g.tainted, version: g.version}
	}
}

// die is a machine's end: the pods on it die with it.
func (s *sim) die(m *machine) {
	for _, a := range s.apps {
		for _, p := range a.pods {
			if p.on == m.id && p.goneAt.IsZero() {
				s.breaks("%s dies with %s", p.name, m.id)
			}
		}
		a.pods = slices.DeleteFunc(a.pods, func(p *simPod) bool { return p.on == m.id })
	}
	delete(s.nodes, m.id)
}

func (s *sim) ready(m *machine) bool { return m != nil && !s.now.Before(m.readyAt) }

// control is what controllers and the scheduler do.
func (s *sim) control() {
	room := map[string]int{}
	for id, m := range s.nodes {
		if s.ready(m) && !m.cordoned && !m.tainted && m.goneAt.IsZero() {
			room[id] = s.slots
		}
	}
	for _, a := range s.apps {
		a.pods = slices.DeleteFunc(a.pods, func(p *simPod) bool { return !p.goneAt.IsZero() && !s.now.Before(p.goneAt) })
		for _, p := range a.pods {
			if _, open := room[p.on]; open {
				room[p.on]--
			}
		}
	}
	open := sorted(room)
	s.rnd.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for _, a := range s.apps {
		alive := 0
		for _, p := range a.pods {
			if p.goneAt.IsZero() {
				alive++
			}
		}
		for ; alive < a.replicas; alive++ {
			a.made++
			a.pods = append(a.pods, &simPod{name: fmt.Sprintf("%s-%d", a.name, a.made)})
		}
		for _, p := range a.pods {
			if p.on != "" {
				continue
			}
			if at := slices.IndexFunc(open, func(id string) bool { return room[id] > 0 }); at >= 0 {
				p.on, p.readyAt = open[at], s.now.Add(a.startup)
				room[p.on]--
			}
		}
	}
}

func (s *sim) healthy(a *app) (n int) {
	for _, p := range a.pods {
		if p.on != "" && p.goneAt.IsZero() && !s.now.Before(p.readyAt) {
			n++
		}
	}
	return n
}

// evict is the API server's eviction: a budget allows as many disruptions as there are healthy pods beyond those that it
// wants. A pod that is not healthy may go while the budget is met.
func (s *sim) evict(a *app, p *simPod) bool {
	if a.minAvailable >= 0 {
		healthy, well := s.healthy(a), !s.now.Before(p.readyAt)
		if well && healthy-a.minAvailable <= 0 || !well && healthy < a.minAvailable {
			return false
		}
	}
	p.goneAt = s.now.Add(time.Duration(1+s.rnd.IntN(int(a.grace/time.Second))) * time.Second)
	return true
}

// check holds every budget: healthy pods never become fewer than it wants.
func (s *sim) check() {
	for _, a := range s.apps {
		healthy := s.healthy(a)
		if a.minAvailable >= 0 && a.wasHealthy && healthy < a.minAvailable {
			s.breaks("%s has %d healthy pods, and its budget wants %d", a.name, healthy, a.minAvailable)
		}
		a.wasHealthy = healthy >= a.minAvailable
	}
}

// look is what a move gets to see.
func (s *sim) look(in *nodemove.Input) {
	in.Groups, in.Nodes, in.Drains = nil, nil, map[string]nodemove.Drain{}
	for _, name := range sorted(s.groups) {
		in.Groups = append(in.Groups, s.describe(s.groups[name]))
	}
	for _, id := range sorted(s.nodes) {
		m := s.nodes[id]
		if s.now.Before(m.readyAt.Add(-10 * time.Second)) { // it has not registered
			continue
		}
		kind := upgradepath.NodeManaged
		if s.groups["web"] != nil && s.groups["web"].self {
			kind = upgradepath.NodeSelfManaged
		}
		in.Nodes = append(in.Nodes, nodemove.Node{Shut: m.cordoned || m.tainted, Node: upgradepath.Node{
			Name: m.node, UID: "uid-" + id, InstanceID: id, Group: m.group, Kind: kind, Ready: s.ready(m), Kubelet: m.version, CreatedAt: m.readyAt,
		}})
	}
	for id, d := range s.drains {
		if !s.now.Before(d.begins) {
			in.Drains[id] = d.Drain
		}
	}
	in.Templates = map[string]fleet.Resource{"lt-1": {Physical: "lt-1", Props: fleet.Props{"latestVersionNumber": s.newest, "versionDescription": "mark image",
		"launchTemplateData": fleet.Props{"imageId": map[bool]string{true: "ami-old", false: "ami-new"}[s.newest == 1]}}}}
}

func (s *sim) describe(g *simGroup) nodemove.Group {
	out := nodemove.Group{Group: upgradepath.Group{
		Name: g.name, SelfManaged: g.self, Min: g.min, Desired: g.desired, Max: g.max, Zones: len(g.zones), Status: g.status, StandsFor: g.standsFor, Version: g.version,
	}, Described: fleet.Resource{Physical: g.name, Tags: g.tags, Props: fleet.Props{}}}
	p := out.Described.Props
	if g.self {
		out.AutoScalingGroup = "asg-" + g.name
		p["launchTemplate"] = fleet.Props{"launchTemplateId": "lt-1", "version": fmt.Sprint(g.template)}
	} else {
		p["subnets"], p["nodeRole"], p["amiType"] = []any{"subnet-1"}, "arn:role", "AL2023_x86_64_STANDARD"
		p["scalingConfig"] = fleet.Props{"minSize": g.min, "maxSize": g.max, "desiredSize": g.desired}
		p["launchTemplate"] = fleet.Props{"id": "lt-1", "version": "1", "name": "ours"}
		if g.tainted {
			p["taints"] = []any{fleet.Props{"key": nodemove.Taint, "value": "true", "effect": "NO_SCHEDULE"}}
		}
	}
	for _, m := range s.members(g) {
		out.Machines = append(out.Machines, nodemove.Machine{InstanceID: m.id, Zone: m.zone, Template: fmt.Sprint(m.template), InService: s.ready(m)})
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
