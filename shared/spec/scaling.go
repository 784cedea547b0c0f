package spec

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// scalingFields are those of a policy's scaling.
const scalingFields = `scaling
  mode
  doorbell
  maxGroups
  groups
    name
    ignore
    weight
  pools
    name
    mode
    like
    instanceTypes
    families
    categories
    exclude
    arch
    zones
    capacityTypes
    minVCPUs
    maxVCPUs
    burstable
    oldGenerations
    bare
    labels
      *
    taints
      *
    weight
    limits
      nodes
      cpu
      memory
    retireAfter
  nodes
    vmOverhead
    prefixDelegation
    startupTaints
  pods
    expendableBelow
    spotShare
    ignorePreferences
  launch
    timeout
    shortFor
    shortAtMost
    poolShare
  shrink
    mode
    warmUp
    patienceEmpty
    patienceUnderused
    below
    evictionCost
    minSaving
    floor
    localStorage
    budgets
      nodes
      reasons
      from
      until
      for
      timeZone
  headroom
    name
    count
    percent
    cpu
    memory
    nodeSelector
      *
    tolerations
      key
      operator
      value
      effect
  reservations
    name
    group
    pool
    instanceType
    nodes
    from
    until
    lead
    timeZone
  windows
    name
    groups
    size
    wake
    min
    max
    from
    until
    for
    timeZone
`

// scaling reads how the nodes are planned: the defaults, and what the document says otherwise.
func (v value) scaling(p fleet.ScalingPolicy) fleet.ScalingPolicy {
	p.Mode = fleet.ScalingMode(v.at("mode").oneOf(string(p.Mode), string(fleet.ScalingOff), string(fleet.ScalingPlan), string(fleet.ScalingAct)))
	p.Doorbell = fleet.Doorbell(v.at("doorbell").oneOf(string(p.Doorbell),
		string(fleet.DoorbellWebhook), string(fleet.DoorbellLogs), string(fleet.DoorbellMetrics), string(fleet.DoorbellNone)))
	if n := v.at("maxGroups").number(0); n >= 0 {
		p.MaxGroups = n
	}
	names := newNames()
	for _, g := range v.at("groups").mappings() {
		p.Groups = append(p.Groups, fleet.GroupPolicy{Name: names.of(g, "groups"), Ignore: g.at("ignore").boolean(false), Weight: g.at("weight").within(0, maxWeight)})
	}
	for _, item := range v.at("pools").mappings() {
		p.Pools = append(p.Pools, item.pool(names))
	}

	nodes := v.at("nodes")
	p.Nodes.VMOverhead = nodes.at("vmOverhead").share(p.Nodes.VMOverhead)
	p.Nodes.PrefixDelegation = nodes.at("prefixDelegation").boolean(p.Nodes.PrefixDelegation)
	p.Nodes.StartupTaints = nodes.at("startupTaints").texts()
	pods := v.at("pods")
	p.Pods.ExpendableBelow = pods.at("expendableBelow").signed(p.Pods.ExpendableBelow)
	p.Pods.SpotShare = pods.at("spotShare").share(p.Pods.SpotShare)
	p.Pods.IgnorePreferences = pods.at("ignorePreferences").boolean(p.Pods.IgnorePreferences)
	launch := v.at("launch")
	p.Launch.Timeout = launch.at("timeout").positive(p.Launch.Timeout)
	p.Launch.ShortFor = launch.at("shortFor").positive(p.Launch.ShortFor)
	p.Launch.ShortAtMost = max(launch.at("shortAtMost").positive(p.Launch.ShortAtMost), p.Launch.ShortFor)
	p.Launch.PoolShare = launch.at("poolShare").share(p.Launch.PoolShare)

	p.Shrink = v.at("shrink").shrink(p.Shrink)
	for _, item := range v.at("headroom").mappings() {
		p.Headroom = append(p.Headroom, item.headroom(names))
	}
	for _, item := range v.at("reservations").mappings() {
		p.Reservations = append(p.Reservations, item.nodesReserved(names, p.Pools))
	}
	for _, item := range v.at("windows").mappings() {
		p.Windows = append(p.Windows, item.window(names, p.Pools))
	}
	return p
}

const (
	maxWeight   = 1000
	maxPoolName = 20 // the names of its groups have zone and type behind it, and 63 letters
	maxNodes    = 100_000
)

// pool reads one of the pools.
func (v value) pool(names names) fleet.PoolPolicy {
	p := fleet.DefaultPool()
	p.Name = names.of(v, "pools")
	if len(p.Name) > maxPoolName {
		v.at("name").wrong("has %d letters: %d are possible, for groups are named after it", len(p.Name), maxPoolName)
	}
	p.Mode = fleet.PoolMode(v.at("mode").oneOf(string(p.Mode), string(fleet.PoolGroups), string(fleet.PoolFleet)))
	if p.Like = v.at("like").text(""); p.Like == "" {
		v.at("like").wrong("is missing: name the node group that new nodes are made like")
	}
	p.Types, p.Families = v.at("instanceTypes").texts(), v.at("families").texts()
	p.Categories, p.Exclude, p.Zones = v.at("categories").texts(), v.at("exclude").texts(), v.at("zones").texts()
	for _, item := range v.at("instanceTypes").items() {
		if t := item.text(""); t != "" && strings.Count(t, ".") != 1 {
			item.wrong("%q is no instance type: they are like m7g.large; a family stands in families", clip(t))
		}
	}
	for _, item := range v.at("families").items() {
		if f := item.text(""); strings.Contains(f, ".") {
			item.wrong("%q is no family: they are like m7g; an instance type stands in instanceTypes", clip(f))
		}
	}
	for _, item := range v.at("arch").items() {
		p.Arch = append(p.Arch, item.oneOf("amd64", "amd64", "arm64"))
	}
	if types := v.at("capacityTypes"); types.there() {
		p.CapacityTypes = nil
		for _, item := range types.items() {
			p.CapacityTypes = append(p.CapacityTypes, map[string]string{"OnDemand": fleet.OnDemand, "Spot": fleet.Spot}[item.oneOf("OnDemand", "OnDemand", "Spot")])
		}
		if len(p.CapacityTypes) == 0 {
			types.wrong("is empty: name OnDemand, Spot or both")
		}
	}
	p.MinVCPUs, p.MaxVCPUs = v.at("minVCPUs").within(0, maxNodes), v.at("maxVCPUs").within(0, maxNodes)
	if p.MaxVCPUs > 0 && p.MinVCPUs > p.MaxVCPUs {
		v.at("minVCPUs").wrong("%d is more than maxVCPUs %d", p.MinVCPUs, p.MaxVCPUs)
	}
	p.Burstable, p.OldGenerations, p.Bare = v.at("burstable").boolean(false), v.at("oldGenerations").boolean(false), v.at("bare").boolean(false)
	p.Labels, p.Taints, p.Weight = v.at("labels").plainLabels(), v.at("taints").taints(), v.at("weight").within(0, maxWeight)
	if p.Mode == fleet.PoolFleet {
		for _, field := range []string{"labels", "taints"} {
			if v.has(field) {
				v.at(field).wrong("is the launch template's to say for nodes without a group: put it into node group %s, or drop mode Fleet", clip(p.Like))
			}
		}
	}
	limits := v.at("limits")
	p.MaxNodes, p.MaxCPU, p.MaxMemory = limits.at("nodes").within(0, maxNodes), limits.at("cpu").cpu(), limits.at("memory").memory()
	p.RetireAfter = v.at("retireAfter").duration(p.RetireAfter)
	return p
}

// shrink reads when nodes go.
func (v value) shrink(s fleet.ShrinkPolicy) fleet.ShrinkPolicy {
	s.Mode = fleet.ShrinkMode(v.at("mode").oneOf(string(s.Mode),
		string(fleet.ShrinkOff), string(fleet.ShrinkEmpty), string(fleet.ShrinkUnderused), string(fleet.ShrinkReplace)))
	s.WarmUp = v.at("warmUp").duration(s.WarmUp)
	s.PatienceEmpty = v.at("patienceEmpty").duration(s.PatienceEmpty)
	s.PatienceUnderused = v.at("patienceUnderused").duration(s.PatienceUnderused)
	s.Below = v.at("below").share(s.Below)
	s.EvictionCost = v.at("evictionCost").dollars(s.EvictionCost)
	s.MinSaving = v.at("minSaving").share(s.MinSaving)
	s.Floor = v.at("floor").within(0, maxNodes)
	s.LocalStorage = fleet.LocalStorage(v.at("localStorage").oneOf(string(s.LocalStorage), string(fleet.LocalStorageEvict), string(fleet.LocalStorageKeep)))
	list := v.at("budgets")
	if list.there() {
		s.Budgets = nil
	}
	for _, item := range list.mappings() {
		var b fleet.DisruptionBudget
		nodes := item.at("nodes")
		switch text := nodes.text(""); {
		case text == "":
			nodes.wrong("is missing: a number, or a share like 10%%")
		case strings.HasSuffix(text, "%"):
			b.Percent = nodes.share(0)
		default:
			b.Nodes = nodes.within(0, maxNodes)
		}
		for _, r := range item.at("reasons").items() {
			b.Reasons = append(b.Reasons, r.oneOf("", fleet.ReasonEmpty, fleet.ReasonUnderused, fleet.ReasonCheaper))
		}
		b.Schedule = item.schedule(false)
		s.Budgets = append(s.Budgets, b)
	}
	return s
}

// headroom reads one kind of room to be kept free.
func (v value) headroom(names names) fleet.Headroom {
	h := fleet.Headroom{Name: names.of(v, "headroom"), Count: v.at("count").within(0, maxNodes), Percent: v.at("percent").share(0),
		Size: fleet.Resources{CPU: v.at("cpu").cpu(), Memory: v.at("memory").memory()}, NodeSelector: v.at("nodeSelector").plainLabels()}
	if h.Count == 0 && h.Percent == 0 {
		v.wrong("keeps no room: give count or percent")
	}
	if h.Size.CPU == 0 && h.Size.Memory == 0 {
		v.wrong("has no size: give cpu, memory or both")
	}
	for _, item := range v.at("tolerations").mappings() {
		h.Tolerations = append(h.Tolerations, fleet.Toleration{
			Key: item.at("key").text(""), Operator: item.at("operator").oneOf("", "Exists", "Equal"), Value: item.at("value").text(""),
			Effect: item.at("effect").oneOf("", effects...),
		})
	}
	return h
}

// knows tells whether there is a pool of that name.
func knows(pools []fleet.PoolPolicy, name string) bool {
	return slices.ContainsFunc(pools, func(p fleet.PoolPolicy) bool { return p.Name == name })
}
