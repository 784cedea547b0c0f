package cluster

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// controlDiffers compares a control plane with its spec. EKS makes one change at a time, of one kind: the first is
// returned, and the look after its end finds the next.
func (b *builder) controlDiffers(have fleet.Resource, subnets []string) (change []plan.Call, notes []string) {
	notes = b.controlCannot(have)
	if calls := b.retag(have, owned(b.s)); calls != nil {
		return calls, notes
	}
	for _, c := range b.controlChanges(have, subnets) {
		if c.wrong == "" {
			continue
		}
		api, in := "eks:UpdateClusterConfig", fleet.Drop(c.input)
		if c.api != "" {
			api, in["clusterName"] = c.api, b.s.Name
		} else {
			in["name"] = b.s.Name
		}
		in["clientRequestToken"] = b.token(idCluster, in)
		call := b.call(plan.Change, idCluster, api, "change "+c.wrong+" of cluster "+b.s.Name, in)
		if change == nil {
			change = []plan.Call{call}
		}
	}
	return change, notes
}

// update is one kind of change that EKS can make to a control plane; wrong names what differs, "" if nothing does.
type controlUpdate struct {
	wrong, api string
	input      fleet.Props
}

// controlChanges are all kinds of changes, in the order in which they are made: those that others wait for first.
func (b *builder) controlChanges(have fleet.Resource, subnets []string) (out []controlUpdate) {
	s, n := b.s, b.s.Network
	add := func(what string, same bool, input fleet.Props) {
		if !same {
			out = append(out, controlUpdate{wrong: what, input: input})
		}
	}
	covers := func(what string, want fleet.Props) {
		add(what, fleet.Covers(have.Props, fleet.Drop(want)), want)
	}
	mode := fleet.Text(have.Props, "accessConfig", "authenticationMode")
	add("the authentication mode", slices.Index(authModes, s.AuthMode) <= slices.Index(authModes, mode),
		fleet.Props{"accessConfig": fleet.Props{"authenticationMode": s.AuthMode}})
	b.endpointChanges(have, add)
	b.placementChanges(have, subnets, add)
	b.loggingChanges(have, add)
	if n.EgressMode != "" && fleet.Text(have.Props, "resourcesVpcConfig", "controlPlaneEgressMode") == "AWS_MANAGED" {
		covers("the egress mode", fleet.Props{"resourcesVpcConfig": fleet.Props{"controlPlaneEgressMode": n.EgressMode}})
	}
	covers("the upgrade policy", fleet.Props{"upgradePolicy": fleet.Props{"supportType": s.SupportType}})
	covers("the scaling tier", fleet.Props{"controlPlaneScalingConfig": fleet.Props{"tier": s.Tier}})
	covers("the API server's configuration", fleet.Props{"kubeApiServerConfig": s.APIServer})
	covers("the controller manager's configuration", fleet.Props{"kubeControllerManagerConfig": s.ControllerManager})
	covers("the scheduler's configuration", fleet.Props{"kubeSchedulerConfig": s.Scheduler})
	covers("the remote networks", fleet.Props{"remoteNetworkConfig": remoteNetworks(s.Remote)})
	if s.ZonalShift != nil && fleet.Flag(have.Props, "zonalShiftConfig", "enabled") != *s.ZonalShift {
		add("zonal shift", false, fleet.Props{"zonalShiftConfig": fleet.Props{"enabled": *s.ZonalShift}})
	}
	if s.DeletionProtection != nil && fleet.Flag(have.Props, "deletionProtection") != *s.DeletionProtection {
		add("deletion protection", false, fleet.Props{"deletionProtection": *s.DeletionProtection})
	}
	if s.Auto != nil {
		covers("EKS Auto Mode", b.autoMode(true))
	}
	if s.SecretsKeyARN != "" && len(fleet.Items(have.Props, "encryptionConfig")) == 0 {
		out = append(out, controlUpdate{"the encryption of secrets", "eks:AssociateEncryptionConfig", fleet.Props{"encryptionConfig": encryption(s.SecretsKeyARN)}})
	}
	return out
}

// authModes in the order in which EKS lets them be changed.
var authModes = []string{"CONFIG_MAP", "API_AND_CONFIG_MAP", "API"}

// endpointChanges compares how the API server is reached.
func (b *builder) endpointChanges(have fleet.Resource, add func(string, bool, fleet.Props)) {
	n, v := b.s.Network, "resourcesVpcConfig"
	want := fleet.Props{"endpointPublicAccess": n.PublicAccess, "endpointPrivateAccess": n.PrivateAccess}
	same := fleet.Flag(have.Props, v, "endpointPublicAccess") == n.PublicAccess && fleet.Flag(have.Props, v, "endpointPrivateAccess") == n.PrivateAccess
	if n.PublicAccess {
		cidrs := everywhere(n.PublicAccessCIDRs)
		if !sameSet(cidrs, everywhere(fleet.Texts(have.Props, v, "publicAccessCidrs"))) {
			want["publicAccessCidrs"], same = fleet.Strings(cidrs), false
		}
	}
	add("endpoint access", same, fleet.Props{v: want})
}

// everywhere is what an empty list of CIDRs means.
func everywhere(cidrs []string) []string {
	if len(cidrs) == 0 {
		return []string{anywhere}
	}
	return slices.DeleteFunc(slices.Clone(cidrs), func(c string) bool { return c == "::/0" && slices.Contains(cidrs, anywhere) })
}

// placementChanges compares where the control plane's interfaces are. It is not moved while ids are not known.
func (b *builder) placementChanges(have fleet.Resource, subnets []string, add func(string, bool, fleet.Props)) {
	const v = "resourcesVpcConfig"
	wantSubnets, wantGroups := texts(b.physical(subnets)), texts(b.physical(b.controlPlaneGroups()))
	if slices.ContainsFunc(slices.Concat(wantSubnets, wantGroups), plan.IsUnknown) || b.s.Outpost != nil {
		return
	}
	same := sameSet(wantSubnets, fleet.Texts(have.Props, v, "subnetIds")) && sameSet(wantGroups, fleet.Texts(have.Props, v, "securityGroupIds"))
	add("subnets and security groups", same, fleet.Props{v: fleet.Props{"subnetIds": fleet.Strings(wantSubnets), "securityGroupIds": fleet.Strings(wantGroups)}})
}

func texts(list []any) []string { return fleet.Texts(fleet.Props{"": list}, "") }

// loggingChanges compares which logs are kept.
func (b *builder) loggingChanges(have fleet.Resource, add func(string, bool, fleet.Props)) {
	var on []string
	for _, setup := range fleet.Items(have.Props, "logging", "clusterLogging") {
		if fleet.Flag(setup, "enabled") {
			on = append(on, fleet.Texts(setup, "types")...)
		}
	}
	missing := slices.DeleteFunc(slices.Clone(b.s.Logging), func(t string) bool { return slices.Contains(on, t) })
	extra := slices.DeleteFunc(sortedCopy(on), func(t string) bool { return slices.Contains(b.s.Logging, t) })
	add("logging", len(missing)+len(extra) == 0, fleet.Props{"logging": logging(missing, extra)})
}

// controlCannot names what differs and cannot be changed.
func (b *builder) controlCannot(have fleet.Resource) (notes []string) {
	s, what := b.s, "cluster "+b.s.Name
	if v := fleet.Text(have.Props, "version"); s.Version != "" && v != "" && v != s.Version {
		notes = append(notes, cannot(what, "version", "it is "+v+", and "+s.Version+" is asked for", "versions are changed by an upgrade, which is checked and takes its time"))
	}
	if mode := fleet.Text(have.Props, "accessConfig", "authenticationMode"); slices.Index(authModes, s.AuthMode) < slices.Index(authModes, mode) {
		notes = append(notes, cannot(what, "authenticationMode", "EKS does not go back from "+mode, "write "+mode+" into the file"))
	}
	if want := s.Network.ServiceCIDR; want != "" && want != fleet.Text(have.Props, "kubernetesNetworkConfig", "serviceIpv4Cidr") {
		notes = append(notes, cannot(what, "service CIDR", "EKS does not change it", "make another cluster"))
	}
	if family := fleet.Text(have.Props, "kubernetesNetworkConfig", "ipFamily"); family != "" && (family == "ipv6") != s.Network.IPv6 {
		notes = append(notes, cannot(what, "IP family", "EKS does not change it", "make another cluster"))
	}
	if role := fleet.Text(have.Props, "roleArn"); s.IAM.RoleARN != "" && role != s.IAM.RoleARN {
		notes = append(notes, cannot(what, "role", "EKS does not change it", "write "+role+" into the file"))
	}
	for _, e := range fleet.Items(have.Props, "encryptionConfig") {
		if key := fleet.Text(e, "provider", "keyArn"); key != "" && key != s.SecretsKeyARN {
			notes = append(notes, cannot(what, "encryption of secrets", "EKS does not change or drop the key "+key, "write it into the file"))
		}
	}
	if s.Auto == nil && fleet.Flag(have.Props, "computeConfig", "enabled") {
		notes = append(notes, cannot(what, "EKS Auto Mode", "turning it off ends its nodes", "turn it off in EKS, or write it into the file"))
	}
	if mode := fleet.Text(have.Props, "resourcesVpcConfig", "controlPlaneEgressMode"); s.Network.EgressMode != "" && mode != "" && mode != "AWS_MANAGED" && mode != s.Network.EgressMode {
		notes = append(notes, cannot(what, "egress mode", "EKS does not change it from "+mode, "write "+strings.ToUpper(mode)+" into the file"))
	}
	return notes
}
