package spec

import (
	"net/netip"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// machine reads what a launch template says of a group's machines.
func (v value) machine(c *fleet.ClusterSpec, g *fleet.NodeGroupSpec) {
	m := &g.Machine
	root := v.volume(g.OutpostARN != "" || c.Outpost != nil)
	m.DiskGiB, m.DiskType, m.DiskName, m.DiskIOPS, m.DiskThroughput = root.GiB, root.Type, root.Name, root.IOPS, root.Throughput
	m.DiskEncrypted, m.DiskKey = root.Encrypted, root.Key
	for _, item := range v.at("additionalVolumes").mappings() {
		vol := item.volume(g.OutpostARN != "" || c.Outpost != nil)
		if vol.GiB == 0 && vol.Snapshot == "" {
			vol.GiB = defaultDisk
		}
		if vol.Type == "" {
			vol.Type = "gp3"
		}
		if vol.Name == "" {
			item.at("volumeName").wrong("is missing: the device's name, like /dev/xvdb")
		}
		m.Volumes = append(m.Volumes, vol)
	}
	groups := v.at("securityGroups")
	m.SecurityGroups = groups.at("attachIDs").ids("sg", maxGroups)
	m.NoLocalGroup, m.NoSharedGroup = !groups.at("withLocal").boolean(true), !groups.at("withShared").boolean(true)
	v.at("ssh").ssh(m)
	m.IMDSv1 = !v.at("disableIMDSv1").boolean(true)
	m.NoPodIMDS = v.at("disablePodIMDS").boolean(false)
	m.EBSOptimized = v.at("ebsOptimized").flag()
	m.Monitoring = v.at("enableDetailedMonitoring").boolean(false)
	efa := v.at("efaEnabled")
	if m.EFA = efa.boolean(false); m.EFA && (len(g.Zones) > 1 || len(g.Subnets) > 1) {
		efa.wrong("works within one zone only: name one in availabilityZones, or one subnet")
	}
	if p := v.at("placement"); p.given() {
		if m.Placement = p.at("groupName").text(""); m.Placement == "" {
			p.at("groupName").wrong("is missing: the name of a placement group")
		}
	}
	m.Reservation = v.at("capacityReservation").reservation()
	m.MaxPods = v.at("maxPodsPerNode").within(0, 1000)
	m.InstanceName, m.InstancePrefix = v.at("instanceName").text(""), v.at("instancePrefix").text("")
	m.PreBootstrapCommands = v.at("preBootstrapCommands").lines()
	m.OverrideBootstrap = v.at("overrideBootstrapCommand").text("")
	v.rocket(g)
	if f := v.at("preBootstrapCommands"); f.given() && bottlerocket(g.AMIFamily) {
		f.wrong("%s runs no commands: use bottlerocket.settings", g.AMIFamily)
	}
}

// lines are commands in their order, of which some may be alike.
func (v value) lines() []string {
	var out []string
	for _, item := range v.items() {
		out = append(out, item.text(""))
	}
	return out
}

const defaultDisk = 80 // GiB, eksctl's

// defaultDisk is eksctl's, for what the file leaves open. On an Outpost there is gp2 only.
func (v value) defaultDisk(c *fleet.ClusterSpec, g *fleet.NodeGroupSpec) {
	m := &g.Machine
	if m.DiskGiB == 0 {
		m.DiskGiB = defaultDisk
	}
	if m.DiskType == "" {
		m.DiskType = "gp3"
		if g.OutpostARN != "" || c.Outpost != nil {
			m.DiskType = "gp2"
		}
	}
	if m.DiskName == "" && bottlerocket(g.AMIFamily) {
		m.DiskName = "/dev/xvdb" // where pods are: the first volume is the system's
	}
}

// bounds of a volume by its type: operations a second, and MiB a second.
var bounds = map[string]struct{ leastIOPS, mostIOPS, leastRate, mostRate int }{
	"gp3": {3000, 80000, 125, 2000}, "io1": {100, 64000, 0, 0}, "io2": {100, 256000, 0, 0},
}

// volume reads a disk, whose fields have the same names wherever it is.
func (v value) volume(onOutpost bool) fleet.VolumeSpec {
	kind, key, iops, rate := v.at("volumeType"), v.at("volumeKmsKeyID"), v.at("volumeIOPS"), v.at("volumeThroughput")
	out := fleet.VolumeSpec{
		GiB: v.at("volumeSize").within(1, 65536), Type: kind.oneOf("", "gp2", "gp3", "io1", "io2", "sc1", "st1"), Name: v.at("volumeName").text(""),
		Encrypted: v.at("volumeEncrypted").flag(), Key: key.text(""), Snapshot: v.at("snapshotID").id("snap"),
	}
	if out.Key != "" && (out.Encrypted == nil || !*out.Encrypted) {
		key.wrong("is for an encrypted volume: set volumeEncrypted to true")
	}
	if onOutpost && out.Type != "" && out.Type != "gp2" {
		kind.wrong("an Outpost has gp2 only: drop it")
	}
	b := bounds[out.Type]
	if out.Type == "" {
		b = bounds["gp3"]
	}
	if iops.there() {
		if b.mostIOPS == 0 {
			iops.wrong("cannot be chosen for %s: use gp3, io1 or io2", out.Type)
		} else {
			out.IOPS = iops.within(b.leastIOPS, b.mostIOPS)
		}
	} else if strings.HasPrefix(out.Type, "io") {
		out.IOPS = b.leastIOPS // eksctl's; EC2 wants to be told
	}
	if rate.there() {
		if b.mostRate == 0 {
			rate.wrong("cannot be chosen for %s: use gp3", out.Type)
		} else {
			out.Throughput = rate.within(b.leastRate, b.mostRate)
		}
	}
	return out
}

// ssh reads who may log in to machines. A key means that somebody may, unless allow is false.
func (v value) ssh(m *fleet.MachineSpec) {
	allow, name, path, key := v.at("allow"), v.at("publicKeyName"), v.at("publicKeyPath"), v.at("publicKey")
	ssm := v.at("enableSsm")
	if ssm.there() && !ssm.boolean(true) {
		ssm.wrong("EKS's images have the SSM agent, and it cannot be left out: drop it")
	}
	m.EnableSSM = ssm.boolean(false)
	sources := v.at("sourceSecurityGroupIds")
	m.SourceGroups = sources.ids("sg", 50)
	ways := 0
	for _, f := range []value{name, path, key} {
		if f.given() {
			ways++
		}
	}
	on := allow.boolean(ways > 0)
	switch {
	case ways > 1:
		v.wrong("has several keys: give one of publicKeyName, publicKey and publicKeyPath")
	case !on:
		if sources.given() {
			sources.wrong("is for SSH, which is not allowed here: set allow to true, or drop it")
		}
		return
	case path.given():
		path.wrong("cannot be read from here: put the key itself into publicKey. The command line `ekspedite` does that by itself")
	case ways == 0:
		allow.wrong("there is no key: put one into publicKey, or name one of EC2's in publicKeyName")
	case key.given() && !strings.HasPrefix(key.text(""), "ssh-") && !strings.HasPrefix(key.text(""), "ecdsa-"):
		key.wrong("%q must be a public key, like \"ssh-ed25519 AAAA…\"", clip(key.text("")))
	}
	m.SSH = &fleet.SSHSpec{KeyName: name.text(""), PublicKey: strings.TrimSpace(key.text(""))}
}

// reservation is EC2's CapacityReservationSpecification of a launch template; nil without.
func (v value) reservation() fleet.Props {
	preference, to := v.at("capacityReservationPreference"), v.at("capacityReservationTarget")
	id, group := to.at("capacityReservationID"), to.at("capacityReservationResourceGroupARN")
	out, target := fleet.Props{}, fleet.Props{}
	if s := preference.oneOf("", "open", "none"); s != "" {
		out["CapacityReservationPreference"] = s
	}
	if s := id.id("cr"); s != "" {
		target["CapacityReservationId"] = s
	}
	if s := group.arn(reservations); s != "" {
		target["CapacityReservationResourceGroupArn"] = s
	}
	if id.given() && group.given() {
		group.wrong("and capacityReservationID exclude each other: drop one")
	}
	if len(target) > 0 {
		out["CapacityReservationTarget"] = target
		if preference.given() {
			preference.wrong("and capacityReservationTarget exclude each other: drop one")
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// rocket reads Bottlerocket's settings.
func (v value) rocket(g *fleet.NodeGroupSpec) {
	m := &g.Machine
	b := v.at("bottlerocket")
	m.Bottlerocket, m.AdminContainer = b.at("settings").props(), b.at("enableAdminContainer").flag()
	if !bottlerocket(g.AMIFamily) {
		if b.given() {
			b.wrong("is for amiFamily Bottlerocket: set that, or drop it")
		}
		return
	}
	if m.AdminContainer == nil && m.SSH != nil { // whoever logs in comes into it
		yes := true
		m.AdminContainer = &yes
	}
	kube, ok := m.Bottlerocket["kubernetes"].(fleet.Props)
	if _, is := m.Bottlerocket["kubernetes"]; is && !ok {
		b.at("settings", "kubernetes").wrong("must have fields")
	}
	for _, f := range [][2]string{{"node-labels", "labels"}, {"node-taints", "taints"}, {"max-pods", "maxPodsPerNode"}} {
		if _, is := kube[f[0]]; is {
			b.at("settings", "kubernetes", f[0]).wrong("use the group's %s instead", f[1])
		}
	}
	if _, is := kube["cluster-dns-ip"]; is && v.has("clusterDNS") {
		b.at("settings", "kubernetes", "cluster-dns-ip").wrong("and clusterDNS exclude each other: drop one")
	}
}

// address is an IP address.
func (v value) address() string {
	s := v.text("")
	if _, err := netip.ParseAddr(s); s != "" && err != nil {
		v.wrong("%q must be an IP address, like 169.254.20.10", clip(s))
	}
	return s
}
