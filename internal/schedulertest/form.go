package schedulertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// impure solves the problem again, from a copy, and compares.
func impure(solve Solver, p packing.Problem, s packing.Solution) (findings []Finding) {
	before := mustJSON(p)
	if again := solve(Copy(p)); !same(again, s) {
		findings = append(findings, Finding{Impure, "a copy of the problem has another solution"})
	}
	if !bytes.Equal(mustJSON(p), before) {
		findings = append(findings, Finding{Impure, "solving has changed the problem"})
	}
	return findings
}

func same(a, b packing.Solution) bool {
	return reflect.DeepEqual(a, b) || bytes.Equal(mustJSON(a), mustJSON(b))
}

// Copy is a deep copy. Pods that shared a demand have each their own in it.
func Copy(p packing.Problem) (c packing.Problem) {
	if err := json.Unmarshal(mustJSON(p), &c); err != nil {
		panic(err) // it was written a moment ago
	}
	return c
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values
	}
	return text
}

// malformed compares what a solution says with the problem and with itself.
func malformed(p packing.Problem, s packing.Solution) (findings []Finding) {
	wrong := func(format string, args ...any) {
		findings = append(findings, Finding{Malformed, fmt.Sprintf(format, args...)})
	}
	if len(s.Placed) != len(p.Pods) {
		wrong("%d entries in Placed for %d pods", len(s.Placed), len(p.Pods))
		return findings
	}
	left := make([]int, len(p.Pods))
	for _, u := range s.Unplaced {
		if left[u.Pod]++; left[u.Pod] > 1 {
			wrong("pod %d is unplaced twice", u.Pod)
		}
		if d := p.Pods[u.Pod].Demand; u.Refused != "" && (d == nil || len(d.Unsupported) == 0) {
			wrong("pod %d is refused by name though it asks for nothing special: %s", u.Pod, u.Refused)
		}
	}
	for i, at := range s.Placed {
		switch {
		case at >= len(p.Nodes)+len(s.New) || at < -1:
			wrong("pod %d is on node %d, which does not exist", i, at)
			return findings
		case at < 0 != (left[i] > 0):
			wrong("pod %d is both placed and unplaced, or neither", i)
		case at >= len(p.Nodes) && !slices.Contains(s.New[at-len(p.Nodes)].Pods, i):
			wrong("pod %d is not in the list of new node %d, on which it is", i, at-len(p.Nodes))
		case at >= 0 && at < len(p.Nodes) && p.Nodes[at].Closed:
			wrong("pod %d is placed on %s, which is closed", i, p.Nodes[at].Name)
		}
	}
	var price float64
	for i, n := range s.New {
		if why := badNode(p, s, i, n); why != "" {
			wrong("new node %d: %s", i, why)
			return findings
		}
		price += p.Types[n.Type].Offerings[n.Offering].Price
	}
	if math.Abs(price-s.Price) > 1e-6 {
		wrong("the price is %g, the new nodes' together %g", s.Price, price)
	}
	return append(findings, overLimits(p, s)...)
}

// silent looks for what a solution does not explain.
func silent(p packing.Problem, s packing.Solution) (findings []Finding) {
	for _, u := range s.Unplaced {
		if u.Reason == "" && u.Refused == "" {
			return []Finding{{Silent, "pod " + p.Pods[u.Pod].ID() + " is unplaced without a reason"}}
		}
	}
	for i, n := range s.New {
		if n.Why == "" {
			return []Finding{{Silent, fmt.Sprintf("new node %d does not say why", i)}}
		}
	}
	return nil
}

func badNode(p packing.Problem, s packing.Solution, i int, n packing.NewNode) string {
	if n.Pool >= len(p.Pools) || !slices.Contains(p.Pools[n.Pool].Machines, n.Type) || n.Offering >= len(p.Types[n.Type].Offerings) {
		return "its type is not the pool's"
	}
	pool, o := p.Pools[n.Pool], p.Types[n.Type].Offerings[n.Offering]
	if !offered(pool, o) {
		return "its offering is not the pool's"
	}
	if o.Short && p.Options.AvoidShort {
		return "it was to avoid an offering that is short"
	}
	if len(n.Pods) == 0 {
		return "nothing is on it"
	}
	for _, pod := range n.Pods {
		if s.Placed[pod] != len(p.Nodes)+i {
			return fmt.Sprintf("pod %d in its list is elsewhere", pod)
		}
	}
	if len(n.Alternatives) > 20 {
		return "more than 20 alternatives"
	}
	for _, a := range n.Alternatives {
		if a == n.Type || !slices.Contains(pool.Machines, a) ||
			!slices.ContainsFunc(p.Types[a].Offerings, func(x packing.Offering) bool { return x.Zone == o.Zone && x.Capacity == o.Capacity }) {
			return "alternative " + p.Types[a].Name + " is not another type of the pool, zone and capacity type"
		}
	}
	return ""
}

func overLimits(p packing.Problem, s packing.Solution) (findings []Finding) {
	for i, pool := range p.Pools {
		nodes, cpu, memory := 0, int64(0), int64(0)
		for _, n := range s.New {
			if n.Pool == i {
				nodes++
				cpu += p.Types[n.Type].Allocatable.CPU
				memory += p.Types[n.Type].Allocatable.Memory
			}
		}
		if pool.MaxNodes > 0 && nodes > pool.MaxNodes || pool.MaxCPU > 0 && cpu > pool.MaxCPU || pool.MaxMemory > 0 && memory > pool.MaxMemory {
			findings = append(findings, Finding{Malformed, fmt.Sprintf("pool %s is over its limits: %d nodes, %d m, %d bytes", pool.Name, nodes, cpu, memory)})
		}
	}
	return findings
}
