package upgrade

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is a small EKS: it takes the calls of a plan, works on them for a while, and refuses what EKS refuses. It is written
// from EKS's rules and not from the decision.
type world struct {
	t        *testing.T
	now      time.Time
	o        upgradepath.Observation
	policy   fleet.UpgradePolicy
	request  Request
	memory   Memory
	orders   []Command
	cal      maintenance.Calendar
	updates  map[string]*change
	tokens   map[string]string // update by token
	calls    []string          // "12:00 eks:UpdateAddon vpc-cni v1.20"
	lines    []Line
	last     Decision
	made     map[string]time.Time // the nodes of groups
	healthy  func(*Health)
	findings []readiness.Finding
	insights func(r *readiness.Report) // what EKS's insights say; nil is that there are none
	// fail says what becomes of a call: an error's class and text, or an update's error.
	fail func(n int, c plan.Call) (class, update string)
	lost func(n int) bool // the answer of that call is lost
	n    int
}

// change is an update of EKS's.
type change struct {
	id, subject, typ string
	begun, ends      time.Time
	err              string
	do               func()
	over             bool
}

func versions() (out []fleet.KubernetesVersion) {
	for m := fleet.Minor(33); m <= 37; m++ {
		released := time.Date(2025, 5, 29, 0, 0, 0, 0, time.UTC).AddDate(0, 4*int(m-33), 0)
		out = append(out, fleet.KubernetesVersion{Minor: m, Released: released, StandardEnds: released.AddDate(0, 14, 0), ExtendedEnds: released.AddDate(0, 26, 0), Status: fleet.StandardSupport})
	}
	return out
}

// newWorld is a cluster at 1.34 with two node groups and two add-ons, which is to go to 1.36 now.
func newWorld(t *testing.T) *world {
	w := &world{t: t, now: noon, policy: fleet.DefaultUpgradePolicy(), updates: map[string]*change{}, tokens: map[string]string{}, made: map[string]time.Time{},
		request: Request{RunID: "run-1", From: 34, To: 36, Now: true, StartedAt: noon}}
	w.o = upgradepath.Observation{
		Cluster: fleet.ClusterID{Region: "us-east-1", Name: "demo"}, Version: 34, Status: "ACTIVE", CreatedAt: noon.AddDate(-1, 0, 0), SupportType: "EXTENDED", Versions: versions(),
		Groups: []upgradepath.Group{
			{Name: "web", Version: 34, Release: "1.34.1-20260101", AMIType: "AL2023_x86_64_STANDARD", Min: 1, Desired: 2, Max: 4, Zones: 2, Status: "ACTIVE"},
			{Name: "own", Version: 34, AMIType: "CUSTOM", Template: "lt-1", TemplateVersion: "1", Min: 1, Desired: 1, Max: 2, Zones: 1, Status: "ACTIVE"},
		},
		Addons: []upgradepath.Addon{
			{Name: "coredns", Version: "v1.12.0-eksbuild.1", Status: "ACTIVE", Role: "arn:aws:iam::1:role/dns", Configuration: `{"replicaCount":2}`},
			{Name: "vpc-cni", Version: "v1.18.0-eksbuild.1", Status: "ACTIVE"},
		},
		Releases: map[string][]fleet.AddonRelease{
			"coredns": {{Version: "v1.14.0-eksbuild.1", Minors: []fleet.Minor{35, 36}}, {Version: "v1.12.0-eksbuild.1", Minors: []fleet.Minor{34, 35}}},
			"vpc-cni": {{Version: "v1.20.0-eksbuild.1", Minors: []fleet.Minor{35, 36}}, {Version: "v1.19.0-eksbuild.1", Minors: []fleet.Minor{34, 35}}, {Version: "v1.18.0-eksbuild.1", Minors: []fleet.Minor{33, 34}}},
		},
		Images: map[string]upgradepath.Image{},
	}
	for m := 33; m <= 37; m++ {
		w.o.Images[fmt.Sprintf("AL2023_x86_64_STANDARD/1.%d", m)] = upgradepath.Image{Release: fmt.Sprintf("1.%d.2-20261101", m), Released: noon.AddDate(0, 0, -20)}
	}
	w.policy.Nodes.Groups = []fleet.GroupUpgrade{{Name: "own", LaunchTemplateVersion: map[fleet.Minor]string{34: "1", 35: "2", 36: "3"}}}
	w.nodes()
	return w
}

// nodes are as the groups are.
func (w *world) nodes() {
	w.o.Nodes = nil
	for _, g := range w.o.Groups {
		for i := range g.Desired {
			w.o.Nodes = append(w.o.Nodes, upgradepath.Node{Name: fmt.Sprintf("%s-%d", g.Name, i), Kubelet: g.Version, Group: g.Name, Kind: upgradepath.NodeManaged, Ready: true, Release: g.Release, CreatedAt: w.made[g.Name]})
		}
	}
}

func (w *world) group(name string) *upgradepath.Group {
	for i := range w.o.Groups {
		if w.o.Groups[i].Name == name {
			return &w.o.Groups[i]
		}
	}
	return nil
}

// advance ends what has ended by now.
func (w *world) advance(d time.Duration) {
	w.now = w.now.Add(d)
	w.o.Busy, w.o.Status = nil, "ACTIVE"
	for _, c := range w.sorted() {
		switch {
		case c.over:
		case w.now.Before(c.ends):
			w.o.Busy = append(w.o.Busy, upgradepath.Busy{ID: c.id, Type: c.typ, Subject: c.subject, Begun: c.begun})
			if c.subject == "control-plane" && c.typ != "Platform" {
				w.o.Status = "UPDATING"
			}
		default:
			c.over = true
			if c.err == "" && c.do != nil {
				c.do()
			}
			w.nodes()
		}
	}
}

func (w *world) sorted() (out []*change) {
	for _, c := range w.updates {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *change) int { return strings.Compare(a.id, b.id) })
	return out
}

// begin takes a change up unless its subject is busy.
func (w *world) begin(subject, typ string, takes time.Duration, err string, do func()) (id, refused string) {
	for _, b := range w.o.Busy {
		if b.Subject == subject || b.Subject == "control-plane" && typ != "Platform" {
			return "", "ResourceInUseException: Cannot " + typ + " because cluster demo currently has update " + b.ID + " in progress"
		}
	}
	id = fmt.Sprintf("update-%03d", len(w.updates)+1)
	w.updates[id] = &change{id: id, subject: subject, typ: typ, begun: w.now, ends: w.now.Add(takes), err: err, do: do}
	w.advance(0)
	return id, ""
}

// call takes a call as EKS does: the same token is the same update.
func (w *world) call(c plan.Call) (id, class, text string) {
	w.n++
	in := c.Input
	token := fleet.Text(in, "clientRequestToken")
	if id, known := w.tokens[token]; known {
		return id, "", ""
	}
	w.calls = append(w.calls, strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", w.now.Format("15:04"), c.API, c.ID, fleet.Text(in, "releaseVersion"))), " "))
	failure := ""
	if w.fail != nil {
		if class, failure = w.fail(w.n, c); class != "" {
			return "", class, failure
		}
	}
	var refused string
	switch c.API {
	case "eks:UpdateClusterVersion":
		to, err := fleet.ParseMinor(fleet.Text(in, "version"))
		if err != nil || to-w.o.Version != 1 && w.o.Version-to != 1 {
			w.t.Fatalf("UpdateClusterVersion from %s to %s", w.o.Version, to)
		}
		for _, n := range w.o.Nodes {
			if n.Kubelet > to || to-n.Kubelet > 3 {
				w.t.Fatalf("UpdateClusterVersion to %s with a node of %s", to, n.Kubelet)
			}
		}
		from := w.o.Version
		id, refused = w.begin("control-plane", "VersionUpdate", 10*time.Minute, failure, func() {
			w.o.Version, w.o.UpgradedAt, w.o.UpgradedFrom = to, w.now, from
		})
	case "eks:UpdateAddon":
		name, to := fleet.Text(in, "addonName"), fleet.Text(in, "addonVersion")
		id, refused = w.begin("addon/"+name, "AddonUpdate", 2*time.Minute, failure, func() {
			for i := range w.o.Addons {
				if a := &w.o.Addons[i]; a.Name == name {
					a.Version, a.Role, a.Configuration = to, fleet.Text(in, "serviceAccountRoleArn"), fleet.Text(in, "configurationValues")
				}
			}
		})
	case "eks:UpdateNodegroupConfig":
		g := w.group(fleet.Text(in, "nodegroupName"))
		id, refused = w.begin("nodegroup/"+g.Name, "ConfigUpdate", time.Minute, failure, func() {
			w.group(g.Name).UpdateStrategy = fleet.Text(in, "updateConfig", "updateStrategy")
		})
	case "eks:CreateCertificateAuthority", "eks:ActivateCertificateAuthority", "eks:DeleteCertificateAuthority":
		id, refused = w.authorities(c.API, in)
	case "eks:UpdateNodegroupVersion":
		g := *w.group(fleet.Text(in, "nodegroupName"))
		id, refused = w.begin("nodegroup/"+g.Name, "VersionUpdate", 25*time.Minute, failure, w.rolled(g, in))
	default:
		w.t.Fatalf("no call %s", c.API)
	}
	if refused != "" {
		return "", "Blocked", refused
	}
	w.tokens[token] = id
	return id, "", ""
}

// rolled is what a node group's update does, if EKS would take it.
func (w *world) rolled(g upgradepath.Group, in fleet.Props) func() {
	if g.Custom() {
		if in["version"] != nil || in["releaseVersion"] != nil || fleet.Text(in, "launchTemplate", "id") != g.Template {
			w.t.Fatalf("a group with an image of one's own: %v", in)
		}
		to := fleet.Text(in, "launchTemplate", "version")
		return func() {
			have := w.group(g.Name)
			have.TemplateVersion, have.Version = to, map[string]fleet.Minor{"1": 34, "2": 35, "3": 36}[to]
		}
	}
	to, err := fleet.ParseMinor(fleet.Text(in, "version"))
	if err != nil || fleet.Text(in, "releaseVersion") == "" || to > w.o.Version {
		w.t.Fatalf("UpdateNodegroupVersion %v while the control plane is at %s", in, w.o.Version)
	}
	return func() {
		have := w.group(g.Name)
		w.made[g.Name] = w.now
		have.Version, have.Release = to, fleet.Text(in, "releaseVersion")
	}
}

// look is one look of the run.
func (w *world) look() Decision {
	w.advance(0)
	in := Input{EKS: w.o, Updates: map[string]fleet.Update{}, Calendar: w.cal, Request: w.request, Commands: w.orders, Memory: w.memory}
	for _, x := range w.memory.Doing {
		if c := w.updates[x.Update]; c != nil {
			u := fleet.Update{ID: c.id, Type: c.typ, Status: "InProgress"}
			if c.over {
				u.Status = "Successful"
				if c.err != "" {
					u.Status, u.Errors = "Failed", []string{c.err}
				}
			}
			in.Updates[c.id] = u
		}
	}
	h := Health{Wellness: fleet.Wellness{Nodes: len(w.o.Nodes), Pods: 100}}
	if w.healthy != nil {
		w.healthy(&h)
	}
	in.Health = &h
	d := Decide(w.now, in, w.policy)
	if d.Needs.Readiness != 0 {
		in.Ready = &readiness.Report{Cluster: w.o.Cluster, From: w.o.Version, To: d.Needs.Readiness, At: w.now, Findings: w.findings}
		if w.insights != nil {
			w.insights(in.Ready)
		}
		if d = Decide(w.now, in, w.policy); d.Needs.Readiness != 0 && d.Plan.Empty() && d.Outcome == "" && d.Halted == "" && len(d.Memory.Doing) == 0 && strings.HasPrefix(d.Phase, "asks") {
			w.t.Fatalf("it asks again: %s", d.Phase)
		}
	}
	w.lines = append(w.lines, d.Lines...)
	w.memory = d.Memory
	var results []Result
	for _, s := range d.Steps {
		for _, a := range s.Actions {
			c := a.(plan.Call)
			id, class, text := w.call(c)
			if w.lost != nil && w.lost(w.n) {
				id, class, text = "", "Transient", "connection reset"
			}
			results = append(results, Result{Step: c.ID, API: c.API, Update: id, Class: class, Text: text})
		}
	}
	var lines []Line
	w.memory, lines = Learn(w.now, in, w.policy, w.memory, results)
	w.lines = append(w.lines, lines...)
	w.last = d
	return d
}

// run looks until the run is over or waits for somebody.
func (w *world) run() Decision {
	w.t.Helper()
	for range 2000 {
		d := w.look()
		if d.Outcome != "" || d.LookAgain == 0 && w.memory.Halt != nil && len(w.memory.Doing) == 0 {
			return d
		}
		if d.LookAgain <= 0 {
			if w.memory.Halt != nil {
				w.advance(time.Second)
				continue
			}
			w.t.Fatalf("nobody looks again: %s\n%s", d.Phase, w.told())
		}
		w.advance(d.LookAgain)
	}
	w.t.Fatalf("it does not end: %s\n%s", w.last.Phase, w.told())
	return Decision{}
}

// until looks until something holds.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	for range 2000 {
		d := w.look()
		if holds() {
			return
		}
		if d.Outcome != "" {
			break
		}
		w.advance(max(d.LookAgain, time.Second))
	}
	w.t.Fatalf("never: %s; %s %s\n%s", what, w.last.Outcome, w.last.Phase, w.told())
}

func (w *world) told() string {
	var b strings.Builder
	for _, l := range w.lines {
		fmt.Fprintf(&b, "%s %s: %s\n", l.Resource, l.Step, l.Detail)
	}
	return b.String() + strings.Join(w.calls, "\n")
}

func (w *world) order(command, step string) {
	w.orders = append(w.orders, Command{ID: fmt.Sprint(len(w.orders)), Command: command, Step: step, Reason: "because", By: "ann", At: w.now})
}
