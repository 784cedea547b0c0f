package scaling

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// workload is the pods of one controller that share a limit of spot nodes.
type workload struct {
	share    float64
	onDemand int // that run on on-demand nodes
	total    int
	waiting  []int // indexes of scene.waiting
}

// shareOut sees to it that no more of a workload's pods are on spot nodes than it may have there: what is missing on
// on-demand nodes is asked for there. The others are free to go where it is cheapest, so that one pod that must not be
// interrupted takes none of the others with it.
func (s *scene) shareOut() {
	workloads := map[string]*workload{}
	var order []string
	of := func(p fleet.Pod) *workload {
		key := p.Namespace + "/" + p.Owner.Kind + "/" + p.Owner.Name
		if p.Owner.Name == "" {
			key = "pod/" + p.ID()
		}
		w := workloads[key]
		if w == nil {
			w = &workload{share: 1}
			workloads[key], order = w, append(order, key)
		}
		w.total++
		return w
	}
	for i, p := range s.waiting {
		w := of(p)
		w.share = s.shareOf(p)
		w.waiting = append(w.waiting, i)
	}
	for _, n := range s.nodes {
		for _, p := range n.pods {
			if p.Owner.Kind == "DaemonSet" || p.Deleting {
				continue
			}
			if w := of(p); n.capacity == fleet.OnDemand {
				w.onDemand++
			}
		}
	}
	pinned := map[*fleet.Demand]*fleet.Demand{} // pods of one template go on sharing a demand
	for _, key := range order {
		w := workloads[key]
		need := int(math.Ceil(float64(w.total)*(1-w.share)-1e-9)) - w.onDemand
		for _, i := range w.waiting {
			if need <= 0 {
				break
			}
			p := &s.waiting[i]
			if wantsSpot(p.Demand) {
				continue
			}
			if pinned[p.Demand] == nil {
				pinned[p.Demand] = onDemandOnly(p.Demand)
			}
			p.Demand = pinned[p.Demand]
			need--
		}
	}
}

// shareOf is the share of spot nodes that a pod's workload may have.
func (s *scene) shareOf(p fleet.Pod) float64 {
	text, there := p.Annotations[fleet.AnnotationSpotShare]
	if !there {
		return s.p.Pods.SpotShare
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !strings.HasSuffix(text, "%") || !(n >= 0 && n <= 100) { // NaN is a number too
		s.note("%s: annotation %s: %q must be a share like 60%%: the policy's is taken", p.ID(), fleet.AnnotationSpotShare, clip(text))
		return s.p.Pods.SpotShare
	}
	return n / 100
}

// wantsSpot tells whether a pod asks for spot nodes itself.
func wantsSpot(d *fleet.Demand) bool {
	if d.NodeSelector[fleet.LabelEKSCapacity] == fleet.Spot || d.NodeSelector[fleet.LabelKarpenterKind] == "spot" {
		return true
	}
	for _, t := range d.NodeTerms {
		for _, r := range t.Labels {
			if r.Operator == "In" && (r.Key == fleet.LabelEKSCapacity && !slices.Contains(r.Values, fleet.OnDemand) ||
				r.Key == fleet.LabelKarpenterKind && !slices.Contains(r.Values, "on-demand")) {
				return true
			}
		}
	}
	return false
}

// onDemandOnly is the same demand for on-demand nodes.
func onDemandOnly(d *fleet.Demand) *fleet.Demand {
	out := *d
	only := fleet.Requirement{Key: labelCapacity, Operator: "In", Values: []string{fleet.OnDemand}}
	if d.NodeTerms == nil {
		out.NodeTerms = []fleet.NodeTerm{{Labels: []fleet.Requirement{only}}}
		return &out
	}
	out.NodeTerms = slices.Clone(d.NodeTerms)
	for i, t := range out.NodeTerms {
		if len(t.Labels) > 0 || len(t.Fields) > 0 { // a term that asks for nothing matches nothing, and shall go on so
			out.NodeTerms[i].Labels = append(slices.Clone(t.Labels), only)
		}
	}
	return &out
}

// clip bounds what a note repeats of what somebody wrote.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// headroomSpace is the namespace of placeholders, which no pod of a cluster can have: names have no slash.
const headroomSpace = "ekspedite.dev/headroom"

// headroom are placeholders for pods to come.
func (s *scene) headroom() (out []fleet.Pod) {
	var asked fleet.Resources
	for _, p := range s.o.Pods {
		if p.Demand != nil && !p.Finished() && p.Owner.Kind != "DaemonSet" && !s.expendable(p) {
			asked.CPU, asked.Memory = asked.CPU+p.Demand.Requests.CPU, asked.Memory+p.Demand.Requests.Memory
		}
	}
	for _, h := range s.p.Headroom {
		count := h.Count
		for _, part := range [][2]int64{{asked.CPU, h.Size.CPU}, {asked.Memory, h.Size.Memory}} {
			if part[1] > 0 {
				count = max(count, int(math.Ceil(float64(part[0])*h.Percent/float64(part[1]))))
			}
		}
		demand := &fleet.Demand{Requests: h.Size, NodeSelector: h.NodeSelector}
		for i := range count {
			out = append(out, fleet.Pod{
				Namespace: headroomSpace, Name: fmt.Sprintf("%s-%d", h.Name, i), UID: fmt.Sprintf("headroom-%s-%d", h.Name, i), Phase: "Pending",
				Priority: math.MinInt32, Owner: fleet.Owner{Kind: "Headroom", Name: h.Name}, Tolerations: h.Tolerations, Demand: demand,
			})
		}
	}
	return out
}
