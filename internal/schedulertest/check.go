package schedulertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// What may be wrong with a solution.
const (
	Unsound     = "unsound"     // the filters refuse a pod on its node, and no order was found in which they do not
	Unstable    = "unstable"    // they refuse it in another order, or once all others are bound; counted only
	Daemon      = "daemon"      // a daemon's pod has no room on a new node
	Alternative = "alternative" // the filters refuse a pod on an alternative machine
	Malformed   = "malformed"   // the solution contradicts the problem, or itself
	Silent      = "silent"      // it does not say why
	Panicked    = "panicked"    // there is no solution
	Impure      = "impure"      // not the same solution twice, or the problem was changed
	GaveUp      = "gave up"     // the filters would let an unplaced pod onto a node that is there or could be
	// GaveUpOnTopology is GaveUp where pods look at other pods. Filters judge one pod at a time, so that this may be the price
	// of a promise to the others, and is counted only.
	GaveUpOnTopology = "gave up on a topology"
)

// Finding is something that is wrong with the solution of a problem.
type Finding struct {
	Class  string `json:"class"`
	Detail string `json:"detail"`
}

func (f Finding) String() string { return f.Class + ": " + f.Detail }

// Solver is what is held against the scheduler: packing.Solve.
type Solver func(packing.Problem) packing.Solution

// Checker checks solutions.
type Checker struct {
	Oracle *Oracle
	Solve  Solver
	// Orders is how many random orders of binding are tried beside the pods' own, and how many without regard to who is
	// constrained.
	Orders int
}

// patience is how long a solver may take for one of Generate's problems, a thousand times what it should: longer is for ever.
const patience = 20 * time.Second

// ErrEndless is a solver that does not come back.
var ErrEndless = fmt.Errorf("no solution after %s", patience)

// Check solves a problem and says everything that is wrong with the solution. Random orders come from the seed. An error is
// the oracle's, or that the solver does not end: its goroutine then goes on, and the process should end soon.
func (c *Checker) Check(p packing.Problem, seed uint64) (packing.Solution, []Finding, error) {
	type outcome struct {
		s    packing.Solution
		died any
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			o.died = recover()
			done <- o
		}()
		o.s = c.Solve(p)
	}()
	select {
	case o := <-done:
		if o.died != nil {
			return o.s, []Finding{{Panicked, fmt.Sprint(o.died)}}, nil
		}
		return c.judge(p, o.s, seed)
	case <-time.After(patience):
		return packing.Solution{}, nil, ErrEndless
	}
}

func (c *Checker) judge(p packing.Problem, s packing.Solution, seed uint64) (_ packing.Solution, findings []Finding, err error) {
	if findings = malformed(p, s); len(findings) > 0 {
		return s, findings, nil // whoever contradicts himself need not be asked further
	}
	findings = append(impure(c.Solve, p, s), silent(p, s)...)
	w := newTrial(p, s, rand.New(rand.NewPCG(seed, 2)))
	if err := w.learnDaemons(c.Oracle); err != nil {
		return s, nil, err
	}
	tried, err := w.try(c.Oracle, c.Orders)
	return s, append(findings, tried...), err
}

// template is a node that can be added.
type template struct{ pool, typ, offering int }

// trial is a problem and its solution on the way to the oracle.
type trial struct {
	*rand.Rand
	p packing.Problem
	s packing.Solution
	// daemons are, for each template that matters, the daemons that will be on its nodes.
	daemons map[template][]int
}

func newTrial(p packing.Problem, s packing.Solution, r *rand.Rand) *trial {
	return &trial{r, p, s, map[template][]int{}}
}

func templateOf(n packing.NewNode) template { return template{n.Pool, n.Type, n.Offering} }

func (t template) node(p packing.Problem, name string) packing.Node {
	return Made(p, packing.NewNode{Pool: t.pool, Type: t.typ, Offering: t.offering}, name)
}

func newName(i int) string { return fmt.Sprint("new-", i) }

// swapped is the template of a new node's alternative machine.
func (w *trial) swapped(n packing.NewNode, typ int) template {
	old := w.p.Types[n.Type].Offerings[n.Offering]
	i := slices.IndexFunc(w.p.Types[typ].Offerings, func(o packing.Offering) bool { return o.Zone == old.Zone && o.Capacity == old.Capacity })
	return template{n.Pool, typ, i}
}

// spare are the templates of which the limits of their pools leave another node.
func (w *trial) spare() (all []template) {
	for pi, pool := range w.p.Pools {
		nodes, cpu, memory := 0, int64(0), int64(0)
		for _, n := range w.s.New {
			if n.Pool == pi {
				nodes++
				cpu += w.p.Types[n.Type].Allocatable.CPU
				memory += w.p.Types[n.Type].Allocatable.Memory
			}
		}
		if pool.MaxNodes > 0 && nodes >= pool.MaxNodes {
			continue
		}
		for _, ti := range pool.Machines {
			t := w.p.Types[ti]
			if pool.MaxCPU > 0 && cpu+t.Allocatable.CPU > pool.MaxCPU || pool.MaxMemory > 0 && memory+t.Allocatable.Memory > pool.MaxMemory {
				continue
			}
			for oi, o := range t.Offerings {
				if offered(pool, o) && !(o.Short && w.p.Options.AvoidShort) {
					all = append(all, template{pi, ti, oi})
				}
			}
		}
	}
	return all
}

func offered(pool packing.Pool, o packing.Offering) bool {
	return (pool.Zones == nil || slices.Contains(pool.Zones, o.Zone)) && (pool.Capacity == nil || slices.Contains(pool.Capacity, o.Capacity))
}

// learnDaemons asks on an empty node of each template which daemons it would have: those that only room could keep off, which
// the DaemonSet controller does not ask about.
func (w *trial) learnDaemons(o *Oracle) error {
	for _, n := range w.s.New {
		w.daemons[templateOf(n)] = nil
		for _, typ := range n.Alternatives {
			w.daemons[w.swapped(n, typ)] = nil
		}
	}
	if len(w.s.Unplaced) > 0 {
		for _, t := range w.spare() {
			w.daemons[t] = nil
		}
	}
	if len(w.p.Daemons) == 0 {
		return nil
	}
	var request Request
	for _, d := range w.p.Daemons {
		request.Pods = append(request.Pods, Pod(DaemonPod(d, "probe")))
	}
	var run Run
	var asked []template
	for t := range w.daemons {
		run.Steps = append(run.Steps, Step{Join: Node(t.node(w.p, "probe"))})
		for _, d := range w.p.Daemons {
			run.Steps = append(run.Steps, Step{Pod: DaemonPod(d, "probe").ID(), Node: "probe", Ask: true})
		}
		run.Steps = append(run.Steps, Step{Leave: "probe"})
		asked = append(asked, t)
	}
	request.Runs = []Run{run}
	verdicts, err := o.Ask(request)
	if err != nil {
		return err
	}
	for i, t := range asked {
		for d := range w.p.Daemons {
			plugin := verdicts[0][i*(len(w.p.Daemons)+2)+1+d].Refused["probe"].Plugin
			if plugin != "NodeAffinity" && plugin != "TaintToleration" {
				w.daemons[t] = append(w.daemons[t], d)
			}
		}
	}
	return nil
}

// constrained tells whether a pod asks about other pods.
func constrained(pod fleet.Pod) bool {
	d := pod.Demand
	if d == nil {
		return false
	}
	return len(d.Affinity)+len(d.AntiAffinity) > 0 || slices.ContainsFunc(d.Spread, func(s fleet.Spread) bool { return !s.Soft })
}

// asksAboutPods tells whether a pod of the problem asks about other pods.
func asksAboutPods(p packing.Problem) bool {
	return slices.ContainsFunc(p.Pods, constrained) || slices.ContainsFunc(p.Nodes, func(n packing.Node) bool { return slices.ContainsFunc(n.Pods, constrained) })
}
