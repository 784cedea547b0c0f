package spec

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// upgradeFields are those of a policy's upgrade.
const upgradeFields = `upgrade
  mode
  version
  channel
  lead
  ring
  windows
    name
    cron
    rrule
    timeZone
    for
  blackouts
    name
    from
    until
    cron
    rrule
    timeZone
    for
  skew
  bake
  nodes
    strategy
    atOnce
    groupsAtOnce
    force
    groups
      name
      strategy
      hold
      launchTemplateVersion
        *
  addons
    conflicts
    pins
      *
  patches
    images
    addons
    age
    renew
    trust
  health
    alarms
    notReady
    pods
    for
  rollback
  checks
    insightAge
    blockIps
    warnIps
    notReady
    waivers
      check
      object
      until
      reason
`

const (
	maxAtOnce = 100
	// maxBake is as long as EKS can take a control plane back: watching for longer leads to nothing.
	maxBake = 7 * 24 * time.Hour
	maxLead = 365 * 24 * time.Hour
	// maxRenew is less than a certificate authority lives, which is five years: none would be good for ever.
	maxRenew = 4 * 365 * 24 * time.Hour
	maxIPs   = 10_000
	noWindow = "has no windows: nothing is started by itself"
)

var (
	pinnedVersion = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.-]+)?$`)
	checkID       = regexp.MustCompile(`^[A-Z]+[0-9]+$`)
)

// upgrade reads how the cluster is upgraded and patched: the defaults, and what the document says otherwise.
func (v value) upgrade(p fleet.UpgradePolicy) fleet.UpgradePolicy {
	p.Mode = fleet.UpgradeMode(v.at("mode").oneOf(string(p.Mode), string(fleet.UpgradeOff), string(fleet.UpgradePlan), string(fleet.UpgradeAct)))
	p.Version = v.at("version").minor()
	p.Channel = fleet.UpgradeChannel(v.at("channel").oneOf(string(p.Channel),
		string(fleet.ChannelSupported), string(fleet.ChannelStable), string(fleet.ChannelNewest)))
	if p.Version != 0 && v.has("channel") {
		v.at("channel").wrong("and version exclude each other: drop one")
	}
	p.Lead = v.at("lead").atMost(p.Lead, maxLead)
	p.Ring = v.at("ring").ringName(p.Ring)
	names := newNames()
	for _, item := range v.at("windows").mappings() {
		p.Windows = append(p.Windows, item.maintenanceWindow(names))
	}
	for _, item := range v.at("blackouts").mappings() {
		p.Blackouts = append(p.Blackouts, item.blackout(names))
	}
	if p.Mode == fleet.UpgradeAct && len(p.Windows) == 0 {
		v.at("mode").warn("Act %s", noWindow)
	}
	p.Skew = fleet.SkewMode(v.at("skew").oneOf(string(p.Skew), string(fleet.SkewN3), string(fleet.SkewStrict)))
	p.Bake = v.at("bake").atMost(p.Bake, maxBake)
	p.Nodes = v.at("nodes").nodeUpgrades(p.Nodes)

	addons := v.at("addons")
	p.Addons.Conflicts = fleet.AddonConflicts(addons.at("conflicts").oneOf(string(p.Addons.Conflicts),
		string(fleet.AddonPreserve), string(fleet.AddonOverwrite), string(fleet.AddonNone)))
	for _, e := range addons.at("pins").entries() {
		if text := e.text(""); !pinnedVersion.MatchString(text) {
			e.wrong("%q must be an add-on's version, like v1.18.5-eksbuild.1", clip(text))
		} else {
			p.Addons.Pins = put(p.Addons.Pins, e.key, text)
		}
	}
	patches := v.at("patches")
	p.Patches.Images, p.Patches.Addons = patches.at("images").boolean(p.Patches.Images), patches.at("addons").boolean(p.Patches.Addons)
	p.Patches.Age = patches.at("age").atMost(p.Patches.Age, maxLead)
	p.Patches.Renew, p.Patches.Trust = patches.at("renew").atMost(p.Patches.Renew, maxRenew), patches.at("trust").atMost(p.Patches.Trust, maxLead)
	if p.Patches.Renew > 0 && p.Patches.Trust >= p.Patches.Renew {
		patches.at("trust").wrong("must be shorter than renew, %dd: the new certificate authority would come too late", int(p.Patches.Renew.Hours()/24))
	}

	health := v.at("health")
	p.Health.Alarms = health.at("alarms").texts()
	p.Health.NotReady, p.Health.Pods = health.at("notReady").share(p.Health.NotReady), health.at("pods").share(p.Health.Pods)
	p.Health.For = health.at("for").duration(p.Health.For)
	p.Rollback = fleet.RollbackMode(v.at("rollback").oneOf(string(p.Rollback), string(fleet.RollbackAsk), string(fleet.RollbackAuto)))
	p.Checks = v.at("checks").checks(p.Checks)
	return p
}

func put[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[k] = v
	return m
}

// nodeUpgrades reads how nodes get to another version.
func (v value) nodeUpgrades(p fleet.NodeUpgradePolicy) fleet.NodeUpgradePolicy {
	p.Strategy = v.at("strategy").strategy(p.Strategy)
	p.AtOnce, p.GroupsAtOnce = v.at("atOnce").atLeastOne(p.AtOnce), v.at("groupsAtOnce").atLeastOne(p.GroupsAtOnce)
	p.Force = v.at("force").boolean(p.Force)
	names := newNames()
	for _, item := range v.at("groups").mappings() {
		g := fleet.GroupUpgrade{Name: names.of(item, "groups"), Strategy: item.at("strategy").strategy(""), Hold: item.at("hold").boolean(false)}
		for _, e := range item.at("launchTemplateVersion").entries() {
			m, err := fleet.ParseMinor(e.key)
			if err != nil {
				e.wrong("%s", err)
			}
			if n := e.number(1); n > 0 && err == nil {
				g.LaunchTemplateVersion = put(g.LaunchTemplateVersion, m, e.text(""))
			} else if !e.there() {
				e.wrong("is missing: the launch template's version, a number")
			}
		}
		p.Groups = append(p.Groups, g)
	}
	return p
}

func (v value) strategy(otherwise fleet.NodeStrategy) fleet.NodeStrategy {
	return fleet.NodeStrategy(v.oneOf(string(otherwise), string(fleet.NodesRolling), string(fleet.NodesMinimal), string(fleet.NodesBlueGreen)))
}

// checks reads what the readiness gate lets pass.
func (v value) checks(p fleet.CheckPolicy) fleet.CheckPolicy {
	p.InsightAge = v.at("insightAge").atMost(p.InsightAge, maxLead)
	for name, to := range map[string]*int{"blockIps": &p.BlockIPs, "warnIps": &p.WarnIPs} {
		if at := v.at(name); at.there() {
			*to = at.within(0, maxIPs)
		}
	}
	if p.WarnIPs < p.BlockIPs {
		v.at("warnIps").wrong("%d is less than blockIps %d: it would never be warned of", p.WarnIPs, p.BlockIPs)
	}
	p.NotReady = v.at("notReady").share(p.NotReady)
	for _, item := range v.at("waivers").mappings() {
		w := fleet.Waiver{Check: item.at("check").text(""), Object: item.at("object").text(""), Reason: item.at("reason").text("")}
		if !checkID.MatchString(w.Check) {
			item.at("check").wrong("%q must be the id of a check, like WL05: `ekspedite upgrade check` shows them", clip(w.Check))
		}
		if strings.TrimSpace(w.Reason) == "" {
			item.at("reason").wrong("is missing: why may the check pass?")
		}
		until := item.at("until")
		if w.Until = until.moment(fleet.TimeZone{}); !w.Until.IsZero() {
			v.r.dated = append(v.r.dated, dated{at: until, until: w.Until, waiver: true})
		}
		p.Waivers = append(p.Waivers, w)
	}
	return p
}

// minor is a version of Kubernetes; 0 where there is none.
func (v value) minor() fleet.Minor {
	text, ok := v.scalar()
	if !ok {
		return 0
	}
	m, err := fleet.ParseMinor(text)
	if err == nil && m.String() != text {
		v.wrong("%q must be a minor version, like %q", clip(text), m.String())
	} else if err != nil {
		v.wrong("%s", err)
	}
	return m
}

// atMost is a duration up to a longest one.
func (v value) atMost(otherwise, most time.Duration) time.Duration {
	d := v.duration(otherwise)
	if d > most {
		v.wrong("is too long: %dd at most", int(most.Hours()/24))
		return otherwise
	}
	return d
}

func (v value) atLeastOne(otherwise int) int {
	if !v.there() {
		return otherwise
	}
	return max(v.within(1, maxAtOnce), 1)
}

// ringName is the name of a ring.
func (v value) ringName(otherwise string) string {
	name, ok := v.scalar()
	switch {
	case !ok:
		return otherwise
	case name == "" || !labelValue.MatchString(name):
		v.wrong("%q must be letters, digits, - and _, 63 at most", clip(name))
	}
	return name
}

// upgradeOf holds the policy against the cluster's file, and warns of what does not fit.
func (v value) upgradeOf(p fleet.UpgradePolicy, c fleet.ClusterSpec) {
	for i, item := range v.at("nodes", "groups").mappings() {
		if i < len(p.Nodes.Groups) && !slices.ContainsFunc(c.NodeGroups, func(g fleet.NodeGroupSpec) bool { return g.Name == p.Nodes.Groups[i].Name }) {
			item.at("name").warn("the file has no node group %s", clip(p.Nodes.Groups[i].Name))
		}
	}
	for name := range p.Addons.Pins {
		if !slices.ContainsFunc(c.Addons, func(a fleet.AddonSpec) bool { return a.Name == name }) {
			v.at("addons", "pins", name).warn("the file has no add-on %s", clip(name))
		}
	}
	if m, err := fleet.ParseMinor(c.Version); err == nil && p.Version != 0 && p.Version < m {
		v.at("version").wrong("%s is older than metadata.version %s: a cluster is not taken back by a policy", p.Version, m)
	}
}

// ringOf warns of a ring that the FleetPolicy of the same text does not have.
func (v value) ringOf(p *fleet.FleetPolicy) {
	ring := v.at("upgrade", "ring")
	name := ring.text("")
	if p == nil || name == "" || slices.ContainsFunc(p.Rings, func(r fleet.Ring) bool { return r.Name == name }) {
		return
	}
	ring.warn("the FleetPolicy has no ring %s: the cluster is in none, and no rollout reaches it", clip(name))
}
