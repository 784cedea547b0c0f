package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// state of a resource.
type state int

const (
	absent  state = iota // can be made once what it needs is ready
	pending              // AWS is working on it
	differs              // it is there, and is to be changed once what it needs is ready
	ready
	failed
)

// serves tells whether others can build on it.
func (s state) serves() bool { return s == ready || s == differs }

// resource is one node of the graph: what it is, what it needs, what brings it nearer to the spec.
type resource struct {
	fleet.Ref
	id     string
	area   string // heading for people: "network"
	needs  []string
	state  state
	was    state  // before remember: absent or differs
	detail string // what is waited for, or why it failed
	notes  []string
	do     []plan.Call
	inside bool // in Kubernetes, which may be out of reach
	// optional: the cluster is as its file says although this is missing, since there is no way to it from here.
	optional bool
}

// thing is what a kind of resource says of itself; add makes a node of the graph of it.
type thing struct {
	fleet.Ref
	area  string
	needs []string
	// create makes it. Nil: it is somebody else's, and has to be there.
	create func() plan.Call
	// differ compares what is there with the spec: the calls that bring it nearer, and what cannot be changed, with the
	// reason and the way round. Nil: there is nothing to compare.
	differ func(have fleet.Resource) (change []plan.Call, notes []string)
	// remake deletes one that has failed before this run, so that the next look makes it again. Nil: it stays failed.
	remake func(have fleet.Resource) plan.Call
	// inside: it is in Kubernetes.
	inside bool
}

// builder collects the graph of one cluster.
type builder struct {
	o     Observation
	s     fleet.ClusterSpec
	opt   Options
	list  []resource
	at    map[string]int // index in list by id
	notes []string
	// naming: only the names are asked for, not what is to be done.
	naming bool
	// asks collects what has to be asked of the market; nil when nobody wants to know.
	asks *Asks
}

// graph is all that the spec asks for, each resource after those it needs. It fails when the spec cannot be planned here.
func graph(o Observation, s fleet.ClusterSpec, opt Options) ([]resource, []string, error) {
	b := &builder{o: o, s: s, opt: opt, at: map[string]int{}}
	return b.graph()
}

func (b *builder) graph() ([]resource, []string, error) {
	net, err := b.network()
	if err != nil {
		return nil, nil, err
	}
	b.controlPlane(net, b.roles())
	b.access()
	b.upgraded()
	b.scaled()
	b.identityProviders()
	b.remoteEntry()
	if err := b.pods(true); err != nil {
		return nil, nil, err
	}
	if err := b.nodeGroups(net); err != nil {
		return nil, nil, err
	}
	b.fargate(net)
	if err := b.pods(false); err != nil {
		return nil, nil, err
	}
	if err := b.capabilities(); err != nil {
		return nil, nil, err
	}
	for i := range b.list {
		b.list[i].was = b.list[i].state
	}
	return b.list, b.notes, nil
}

// Wanted are the resources of the spec that are found by their names, which is all that is not found by tag.
func Wanted(s fleet.ClusterSpec, opt Options) []fleet.Ref {
	s.Network.Zones = append(slices.Clone(s.Network.Zones), "a", "b")[:max(2, len(s.Network.Zones))] // names do not depend on them
	b := &builder{o: Observation{Depth: Full, Found: map[string][]fleet.Resource{}}, s: s, opt: opt, at: map[string]int{}, naming: true}
	g, _, err := b.graph()
	if err != nil {
		return nil // Decide will say it
	}
	var out []fleet.Ref
	for _, r := range g {
		if r.Name != "" {
			out = append(out, r.Ref)
		}
	}
	return out
}

// add puts a thing into the graph, in the state that its status and its differences show.
func (b *builder) add(t thing) *resource {
	r := resource{Ref: t.Ref, id: t.ID, area: t.area, needs: t.needs, inside: t.inside}
	have := b.o.first(t.ID)
	switch {
	case have != nil:
		b.judge(&r, t, *have)
	case b.assumed(t.Kind):
		r.state = ready
	case t.create == nil:
		r.state, r.detail = failed, fmt.Sprintf("%s %s does not exist: it is named in the file and not ekspedite's to make", t.Kind, t.Name)
	default:
		r.do = []plan.Call{t.create()}
	}
	if t.inside && b.o.Unreachable != "" {
		r.state, r.detail = pending, "the API server ("+b.o.Unreachable+")"
		r.optional = !b.s.Network.PublicAccess
	}
	b.at[t.ID] = len(b.list)
	b.list = append(b.list, r)
	return &b.list[len(b.list)-1]
}

// assumed tells whether a kind was not read because what was read shows that it is there.
func (b *builder) assumed(kind string) bool {
	tagged := slices.Contains(Kinds(Full, b.s), kind) && !slices.Contains(Kinds(Light, b.s), kind)
	return b.o.Depth == Light && b.o.Working() && (tagged || !Reads(Light, kind))
}

// working are statuses of what AWS has not finished; broken ones need somebody.
var (
	working = []string{"CREATING", "pending", "PENDING", "UPDATING", "DELETING", "deleting", "IN_PROGRESS", "modifying", "attaching", "detaching"}
	broken  = []string{"FAILED", "CREATE_FAILED", "DELETE_FAILED", "failed", "UPDATE_FAILED", "rejected", "expired"}
)

// judge finds the state of what exists.
func (b *builder) judge(r *resource, t thing, have fleet.Resource) {
	name := strings.TrimSpace(t.Kind + " " + t.Name)
	for _, issue := range have.Issues {
		r.notes = append(r.notes, name+": AWS reports "+issue)
	}
	update, updating := b.o.Updates[t.ID]
	switch {
	case updating && update.Status == "InProgress":
		r.state, r.detail = pending, fmt.Sprintf("%s (%s %s)", name, update.Type, update.ID)
	case updating && (update.Status == "Failed" || update.Status == "Cancelled"):
		r.state, r.detail = failed, because(fmt.Sprintf("%s: update %s (%s) is %s", name, update.ID, update.Type, update.Status), update.Errors)
	case slices.Contains(working, have.Status):
		r.state, r.detail = pending, name+" ("+have.Status+")"
	case slices.Contains(broken, have.Status) && have.Status != "UPDATE_FAILED":
		r.state, r.detail = failed, because(name+" is "+have.Status, have.Issues)
		if b.o.Made[t.ID].Times == 0 && t.remake != nil && have.Status != "DELETE_FAILED" {
			r.state, r.do = differs, []plan.Call{t.remake(have)}
			r.notes = append(r.notes, r.detail+": it never worked, and is made again")
		}
	default:
		r.state = ready
		if t.differ == nil {
			return
		}
		calls, notes := t.differ(have)
		r.notes = append(r.notes, notes...)
		if len(calls) > 0 {
			r.state, r.do = differs, calls
		}
	}
}

func because(what string, issues []string) string {
	if len(issues) == 0 {
		return what + ", without a reason from AWS"
	}
	return what + ": " + strings.Join(issues, "; ")
}

// id is the physical id of a resource, or its placeholder.
func (b *builder) id(id string) string {
	if r := b.o.first(id); r != nil {
		return r.Physical
	}
	return plan.Unknown(id)
}

// call is a call about a resource.
func (b *builder) call(effect plan.Effect, id, api, does string, input fleet.Props) plan.Call {
	return plan.Call{Of: plan.Of{Cluster: b.s.Name, ID: id}, Effect: effect, API: api, Input: fleet.Drop(input), Does: does}
}

// tags of an EC2 resource.
func (b *builder) tags(id string, more ...string) map[string]string {
	t := owned(b.s)
	t["Name"] = "ekspedite-" + b.s.Name + "-" + strings.ReplaceAll(id, "/", "-")
	t[fleet.TagResource] = id
	for i := 0; i < len(more); i += 2 {
		t[more[i]] = more[i+1]
	}
	return t
}

// owned are the tags of everything: the spec's, and by whom and for which cluster it was made.
func owned(s fleet.ClusterSpec, more ...map[string]string) map[string]string {
	t := map[string]string{}
	for _, m := range append([]map[string]string{s.Tags}, more...) {
		maps.Copy(t, m)
	}
	t[fleet.TagEksctlCluster] = s.Name
	t[fleet.TagCluster] = s.Name
	return t
}

// tagList are tags as EC2 and IAM take them: a list in the order of their keys.
func tagList(tags map[string]string) []any {
	var out []any
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, fleet.Props{"key": k, "value": tags[k]})
	}
	return out
}

// specification is EC2's TagSpecifications for one new resource.
func specification(kind string, tags map[string]string) []any {
	return []any{fleet.Props{"resourceType": kind, "tags": tagList(tags)}}
}

// token makes one request of a run recognisable, however often it is sent. What is asked for is part of it, since AWS
// refuses a token with another request.
func (b *builder) token(id string, input any) string {
	text, err := json.Marshal(input)
	if err != nil {
		text = []byte(err.Error()) // Props are made of what JSON has
	}
	sum := sha256.Sum256([]byte(b.opt.RunID + "\x00" + b.s.Name + "\x00" + id + "\x00" + string(text)))
	return hex.EncodeToString(sum[:16])
}

// partition is the part of AWS that the account is in: aws, aws-cn, aws-us-gov.
func partition(opt Options) string {
	if parts := strings.SplitN(opt.InterruptionRole, ":", 3); len(parts) == 3 && parts[1] != "" {
		return parts[1]
	}
	return "aws"
}

func sortedCopy(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return out
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(sortedCopy(a)), slices.Compact(sortedCopy(b)))
}

func includes(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// cannot says what of a resource cannot be changed, why, and what to do about it.
func cannot(what, field, why, instead string) string {
	return fmt.Sprintf("%s differs from the file in %s: %s; %s", what, field, why, instead)
}
