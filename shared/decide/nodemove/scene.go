package nodemove

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// How long things are waited for.
const (
	inFlight = 10 * time.Second // between looks while nodes are drained
	atWork   = 20 * time.Second // while AWS works
	calm     = 5 * time.Minute  // while somebody has to do something
	// callAgain is when a call is made again whose effect does not show: reads of AWS lag behind by seconds.
	callAgain = 2 * time.Minute
	// callTries is how often a call is made before it is told that it has no effect.
	callTries = 5
	// settle is how long a taint may take to get from EKS to the nodes.
	settle = 2 * time.Minute
	// capacityPatience is how long new machines may take to become Ready nodes before it is told. EKS gives up after about as long.
	capacityPatience = 30 * time.Minute
)

// Next answers one look at a step of a node group: what is to be done now to bring its nodes to the step's version.
func Next(now time.Time, in Input) Decision {
	s := newScene(now, in)
	old := s.subject()
	switch {
	case old == nil:
		s.blocked("node group %s is neither in EKS nor among the Auto Scaling groups: make the plan anew", in.Step.Subject)
	case old.SelfManaged:
		s.rolling(*old, s.in.Step.Template)
	default:
		s.blueGreen(*old)
	}
	return s.decision()
}

// Undo answers one look at a step that is taken back: the nodes go to where they were. A blue/green move can be undone as long
// as the old group is there; afterwards a step to the old version does the same.
func Undo(now time.Time, in Input) Decision {
	s := newScene(now, in)
	old := s.subject()
	switch {
	case old == nil:
		s.blocked("node group %s is neither in EKS nor among the Auto Scaling groups: make the plan anew", in.Step.Subject)
	case old.SelfManaged: // a group that carries no mark of a move has not been touched yet
		s.recall(*old)
		s.in.Image = ""
		s.rolling(*old, s.memory.Template)
	default:
		s.backToBlue()
	}
	return s.decision()
}

// scene is one look.
type scene struct {
	now    time.Time
	in     Input
	memory Memory
	plan   plan.Plan
	done   bool
	gone   bool     // what a move would be taken back to
	why    []string // blocked
	wait   time.Duration
	phase  string // what is waited for
}

func newScene(now time.Time, in Input) *scene {
	m := in.Memory
	m.Asked, m.Nodes = maps.Clone(m.Asked), maps.Clone(m.Nodes)
	if m.Asked == nil {
		m.Asked = map[string]Ask{}
	}
	if m.Nodes == nil {
		m.Nodes = map[string]Ask{}
	}
	if m.BeganAt.IsZero() {
		m.BeganAt = now
	}
	in.AtOnce = max(1, in.AtOnce)
	s := &scene{now: now, in: in, memory: m}
	s.plan.Subject = "node group " + in.Step.Subject
	if in.Retry {
		s.memory.Asked = map[string]Ask{}
		maps.DeleteFunc(s.memory.Nodes, func(id string, a Ask) bool { return s.cameBack(id, a) })
		s.memory.Since = time.Time{}
		s.memory.Resumed++
	}
	return s
}

// subject is the group that the step names: by its own name, or the one that was made to stand for it.
func (s *scene) subject() *Group {
	for _, by := range []func(Group) string{func(g Group) string { return g.Name }, func(g Group) string { return g.StandsFor }} {
		for i := range s.in.Groups {
			if by(s.in.Groups[i]) == s.in.Step.Subject {
				return &s.in.Groups[i]
			}
		}
	}
	return nil
}

// base is the name that a group has in the cluster's file.
func base(g Group) string {
	if g.StandsFor != "" {
		return g.StandsFor
	}
	return g.Name
}

// maxGroupName is EKS's limit.
const maxGroupName = 63

// GreenName is the name of the group that a blue/green move to a version makes for the group that the file calls base. It
// follows from where the move goes, so that a move that was killed finds its group again.
func GreenName(base string, step upgradepath.Step) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{base, step.Minor.String(), step.To, step.Template}, "\x00")))
	end := "-" + hex.EncodeToString(sum[:3])
	return base[:min(len(base), maxGroupName-len(end))] + end
}

// blocked says why the move does not go on.
func (s *scene) blocked(format string, args ...any) {
	s.why = append(s.why, fmt.Sprintf(format, args...))
}

// waits says what is waited for, and when to look again.
func (s *scene) waits(d time.Duration, format string, args ...any) {
	if s.phase == "" {
		s.phase = fmt.Sprintf(format, args...)
	}
	if s.wait == 0 || d < s.wait {
		s.wait = d
	}
}

// waited is for how long this wait, known by its key, has gone on.
func (s *scene) waited(key string) time.Duration {
	if s.memory.For != key || s.memory.Since.IsZero() {
		s.memory.For, s.memory.Since = key, s.now
	}
	return s.now.Sub(s.memory.Since)
}

// ask plans a call, unless it was made a moment ago and its effect may just not show yet.
func (s *scene) ask(key string, effect plan.Effect, api, does string, input fleet.Props) {
	a := s.memory.Asked[key]
	if a.Times > 0 && s.now.Sub(a.At) < callAgain {
		s.waits(atWork, "%s", does)
		return
	}
	if a.Times >= callTries {
		s.blocked("%s: asked for %d times, and nothing came of it", does, a.Times)
		return
	}
	a = Ask{At: s.now, Times: a.Times + 1}
	s.memory.Asked[key] = a
	input = maps.Clone(input)
	if strings.HasPrefix(api, "eks:") {
		input["clusterName"] = s.in.Cluster.Name
	}
	switch api {
	case "eks:CreateNodegroup", "eks:UpdateNodegroupConfig":
		input["clientRequestToken"] = s.token(a.Times, input)
	case "ec2:CreateLaunchTemplateVersion":
		input["clientToken"] = s.token(a.Times, input)
	}
	s.plan.Add(does, plan.Call{
		Of: plan.Of{Cluster: s.in.Cluster.Name, ID: "nodegroup/" + s.in.Step.Subject}, Effect: effect, API: api, Does: does, Input: fleet.Drop(input),
	})
	s.waits(atWork, "%s", does)
}

// token makes a request recognisable when it is sent twice. What is asked for is part of it, since AWS refuses a token with
// another request.
func (s *scene) token(times int, input fleet.Props) string {
	text, err := json.Marshal(input)
	if err != nil {
		text = []byte(err.Error()) // Props are made of what JSON has
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d.%d\x00%s", s.in.RunID, s.in.Cluster, s.in.Step.ID, s.memory.Resumed, times, text))
	return hex.EncodeToString(sum[:16])
}

// nodes are those of a group, in the order of their names.
func (s *scene) nodes(group string) (out []Node) {
	for _, n := range s.in.Nodes {
		if n.Group == group {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (s *scene) decision() Decision {
	d := Decision{Plan: s.plan, Memory: s.memory, Done: s.done, Gone: s.gone, Blocked: s.why}
	switch {
	case s.gone:
		d.Plan.Reason = "the old node group is gone: a step back to its version makes it anew"
	case s.done:
		d.Plan.Reason = "all nodes have moved"
	case len(s.why) > 0:
		d.Plan.Reason, d.Plan.LookAgain = strings.Join(s.why, "; "), calm
		if s.wait > 0 {
			d.Plan.LookAgain = min(s.wait, calm)
		}
	default:
		d.Plan.Reason, d.Plan.LookAgain = s.phase, s.wait
	}
	return d
}
