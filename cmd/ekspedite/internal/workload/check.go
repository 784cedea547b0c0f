package workload

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// The greatest amounts that are believed: sums of them over a whole file do not overflow.
const (
	maxMilli = 10_000_000    // 10,000 cores
	maxMiB   = 1 << 30       // a pebibyte
	maxCount = 1_000_000_000 // of an extended resource
	maxPrice = 1_000_000
	maxName  = 512
)

// check says the first thing that is wrong with a workload, and where.
func (f *File) check() error {
	pools := map[string]bool{}
	for i, p := range f.NodePools {
		at := fmt.Sprintf("nodePools[%d]", i)
		if err := unique(pools, p.Name, at+".name"); err != nil {
			return err
		}
		if err := p.check(at); err != nil {
			return err
		}
	}
	types := map[string]bool{}
	for i, t := range f.InstanceTypes {
		at := fmt.Sprintf("instanceTypes[%d]", i)
		if err := unique(types, t.Name, at+".name"); err != nil {
			return err
		}
		if err := t.check(fmt.Sprintf("%s (%q)", at, t.Name)); err != nil {
			return err
		}
	}
	nodes := map[string]bool{}
	for i, n := range f.Nodes {
		at := fmt.Sprintf("nodes[%d]", i)
		if err := unique(nodes, n.Name, at+".name"); err != nil {
			return err
		}
		switch {
		case !types[n.InstanceType]:
			return fmt.Errorf("%s.instanceType: there is no instance type %q in the file", at, n.InstanceType)
		case n.NodePool != "" && !pools[n.NodePool]:
			return fmt.Errorf("%s.nodePool: there is no node pool %q in the file", at, n.NodePool)
		case n.Zone == "":
			return fmt.Errorf("%s.zone: is missing", at)
		case !capacityType(n.CapacityType):
			return fmt.Errorf("%s.capacityType: is %q, and shall be on-demand or spot", at, n.CapacityType)
		case !amount(n.Price, maxPrice):
			return fmt.Errorf("%s.price: %v is not between 0 and %d", at, n.Price, maxPrice)
		}
		if err := taints(n.Taints, at); err != nil {
			return err
		}
	}
	return f.checkPods(nodes)
}

func (f *File) checkPods(nodes map[string]bool) error {
	names, checked := make(map[string]bool, len(f.Pods)), map[*PodSpec]bool{}
	for i, p := range f.Pods {
		at := fmt.Sprintf("pods[%d]", i)
		if err := unique(names, p.ID(), at+".name"); err != nil {
			return err
		}
		if p.Node != "" && !nodes[p.Node] {
			return fmt.Errorf("%s (%q).node: there is no node %q in the file", at, p.Name, p.Node)
		}
		if checked[p.PodSpec] {
			continue
		}
		checked[p.PodSpec] = true
		if err := p.check(fmt.Sprintf("%s (%q)", at, p.Name)); err != nil {
			return err
		}
	}
	for i, p := range f.DaemonPods {
		at := fmt.Sprintf("daemonPods[%d]", i)
		if p.Name == "" || p.Node != "" {
			return fmt.Errorf("%s: needs a name, and has no node of its own", at)
		}
		if err := p.check(fmt.Sprintf("%s (%q)", at, p.Name)); err != nil {
			return err
		}
	}
	return nil
}

func unique(seen map[string]bool, name, at string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s: is missing", at)
	case len(name) > maxName:
		return fmt.Errorf("%s: has %d characters, %d are allowed", at, len(name), maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%s: %q has control characters", at, name)
	case seen[name]:
		return fmt.Errorf("%s: %q is there twice", at, name)
	}
	seen[name] = true
	return nil
}

func (p NodePool) check(at string) error {
	for i, r := range p.Requirements {
		if err := requirement(r, fmt.Sprintf("%s.requirements[%d]", at, i)); err != nil {
			return err
		}
	}
	if p.Limits.Nodes < 0 || p.Limits.CPUMilli < 0 || p.Limits.MemMiB < 0 || p.Limits.MemMiB > math.MaxInt64>>20 {
		return fmt.Errorf("%s.limits: an amount is negative or too great", at)
	}
	return taints(p.Taints, at)
}

func taints(list []fleet.Taint, at string) error {
	for i, t := range list {
		if t.Key == "" || !slices.Contains([]string{"NoSchedule", "PreferNoSchedule", "NoExecute"}, t.Effect) {
			return fmt.Errorf("%s.taints[%d]: needs a key, and one of the effects NoSchedule, PreferNoSchedule and NoExecute", at, i)
		}
	}
	return nil
}

func (t InstanceType) check(at string) error {
	whole := map[string]int64{
		"cpuMilli": t.CPUMilli, "overheadCpuMilli": t.OverheadCPUMilli, "memMiB": t.MemMiB >> 7, "overheadMemMiB": t.OverheadMemMiB >> 7,
		"storageMiB": t.StorageMiB >> 7, "pods": int64(t.Pods), "gpus": t.GPUs,
	}
	if err := amounts(whole, maxMilli, at+"."); err != nil {
		return err
	}
	if err := amounts(t.Resources, maxCount, at+".resources."); err != nil {
		return err
	}
	if t.Arch == "" {
		return fmt.Errorf("%s.arch: is missing: amd64 or arm64", at)
	}
	if len(t.Offerings) > maxList || len(t.Labels) > maxList {
		return fmt.Errorf("%s: has more than %d offerings or labels", at, maxList)
	}
	for i, o := range t.Offerings {
		at := fmt.Sprintf("%s.offerings[%d]", at, i)
		switch {
		case o.Zone == "":
			return fmt.Errorf("%s.zone: is missing", at)
		case !capacityType(o.CapacityType):
			return fmt.Errorf("%s.capacityType: is %q, and shall be on-demand or spot", at, o.CapacityType)
		case !amount(o.Price, maxPrice):
			return fmt.Errorf("%s.price: %v is not between 0 and %d", at, o.Price, maxPrice)
		case !amount(o.Risk, 1):
			return fmt.Errorf("%s.risk: %v is not between 0 and 1", at, o.Risk)
		}
	}
	return nil
}

// amounts says which of some numbers is out of its range, the first by name.
func amounts(all map[string]int64, most int64, at string) error {
	var wrong []string
	for name, n := range all {
		if n < 0 || n > most {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s%s: is negative or too great", at, slices.Min(wrong))
}

func amount(v, most float64) bool { return v >= 0 && v <= most } // NaN is not

func capacityType(s string) bool { return s == onDemand || s == spot }

// requirement checks an expression of a node or label selector.
func requirement(r fleet.Requirement, at string) error {
	if r.Key == "" || len(r.Values) > maxList {
		return fmt.Errorf("%s: needs a key, and at most %d values", at, maxList)
	}
	switch r.Operator {
	case "In", "NotIn":
		if len(r.Values) == 0 {
			return fmt.Errorf("%s.values: %s needs some", at, r.Operator)
		}
	case "Exists", "DoesNotExist":
		if len(r.Values) > 0 {
			return fmt.Errorf("%s.values: %s has none", at, r.Operator)
		}
	case "Gt", "Lt":
		if len(r.Values) != 1 {
			return fmt.Errorf("%s.values: %s needs one whole number", at, r.Operator)
		}
		if _, ok := number(r.Values[0]); !ok {
			return fmt.Errorf("%s.values: %q is not a whole number", at, r.Values[0])
		}
	default:
		return fmt.Errorf("%s.operator: %q is none of In, NotIn, Exists, DoesNotExist, Gt and Lt", at, r.Operator)
	}
	return nil
}
