package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	idCluster  = "cluster"
	idLogGroup = "loggroup/cluster"
)

// controlPlane adds the EKS cluster itself.
func (b *builder) controlPlane(net network, roles []string) {
	s := b.s
	subnets := net.controlPlaneSubnets(b.s)
	t := thing{
		Ref: fleet.Ref{ID: idCluster, Kind: "cluster", Name: s.Name}, area: "control plane",
		needs: slices.Concat(roles, net.needs(b, subnets)),
		create: func() plan.Call {
			input := b.controlInput(subnets)
			input["clientRequestToken"] = b.token(idCluster, input)
			version := "EKS's default Kubernetes version"
			if s.Version != "" {
				version = "Kubernetes " + s.Version
			}
			return b.call(plan.Create, idCluster, "eks:CreateCluster", fmt.Sprintf("create cluster %s (%s)", s.Name, version), input)
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) { return b.controlDiffers(have, subnets) },
		remake: func(fleet.Resource) plan.Call {
			return b.call(plan.Delete, idCluster, "eks:DeleteCluster", "delete cluster "+s.Name+", which failed", fleet.Props{"name": s.Name})
		},
	}
	r := b.add(t)
	if c := b.o.Control(); c != nil && c.Tags[fleet.TagCluster] != s.Name {
		r.state, r.do = failed, nil
		r.detail = fmt.Sprintf("a cluster %s exists that ekspedite did not make (no tag %s): it is left alone", s.Name, fleet.TagCluster)
	}
	b.logGroup()
}

// controlInput is what CreateCluster is told.
func (b *builder) controlInput(subnets []string) fleet.Props {
	s := b.s
	in := fleet.Props{
		"name": s.Name, "version": s.Version, "roleArn": b.controlRole(), "tags": owned(s),
		"resourcesVpcConfig": fleet.Props{
			"subnetIds": b.physical(subnets), "securityGroupIds": b.physical(b.controlPlaneGroups()),
			"endpointPublicAccess": s.Network.PublicAccess, "endpointPrivateAccess": s.Network.PrivateAccess,
			"publicAccessCidrs": s.Network.PublicAccessCIDRs, "controlPlaneEgressMode": s.Network.EgressMode,
		},
		"accessConfig": fleet.Props{
			"authenticationMode":                      s.AuthMode,
			"bootstrapClusterCreatorAdminPermissions": !s.NoCreatorAdmin, // so that we can write RBAC
		},
		"kubernetesNetworkConfig":     fleet.Props{"serviceIpv4Cidr": s.Network.ServiceCIDR},
		"controlPlaneScalingConfig":   fleet.Props{"tier": s.Tier},
		"kubeApiServerConfig":         s.APIServer,
		"kubeControllerManagerConfig": s.ControllerManager,
		"kubeSchedulerConfig":         s.Scheduler,
		"upgradePolicy":               fleet.Props{"supportType": s.SupportType},
		"remoteNetworkConfig":         remoteNetworks(s.Remote),
		"outpostConfig":               outpostConfig(s.Outpost),
	}
	if s.Network.IPv6 {
		in["kubernetesNetworkConfig"] = fleet.Props{"ipFamily": "ipv6"}
	}
	if len(s.Logging) > 0 {
		in["logging"] = logging(s.Logging, nil)
	}
	if s.SecretsKeyARN != "" {
		in["encryptionConfig"] = encryption(s.SecretsKeyARN)
	}
	if s.ZonalShift != nil {
		in["zonalShiftConfig"] = fleet.Props{"enabled": *s.ZonalShift}
	}
	if s.DeletionProtection != nil {
		in["deletionProtection"] = *s.DeletionProtection
	}
	if s.NoDefaultAddons || s.Auto != nil || slices.ContainsFunc(s.Addons, func(a fleet.AddonSpec) bool { return selfManaged[a.Name] }) {
		in["bootstrapSelfManagedAddons"] = false // what EKS would put in unasked would be in the add-ons' way
	}
	if s.Auto != nil {
		for k, v := range b.autoMode(true) {
			in[k] = mergedNetwork(in[k], v)
		}
	}
	return fleet.Drop(in)
}

// selfManaged are what EKS puts into a new cluster when nobody says otherwise.
var selfManaged = map[string]bool{"vpc-cni": true, "coredns": true, "kube-proxy": true}

func mergedNetwork(have, more any) any {
	h, ok := have.(fleet.Props)
	m, also := more.(fleet.Props)
	if !ok || !also {
		return more
	}
	for k, v := range m {
		h[k] = v
	}
	return h
}

// controlRole is the ARN of the control plane's role: given or made.
func (b *builder) controlRole() string {
	if b.s.IAM.RoleARN != "" {
		return b.s.IAM.RoleARN
	}
	return b.roleARN(idClusterRole)
}

// autoMode is EKS Auto Mode, whose three parts are only changed together.
func (b *builder) autoMode(on bool) fleet.Props {
	compute := fleet.Props{"enabled": on}
	if on && len(b.s.Auto.NodePools) > 0 {
		compute["nodePools"] = fleet.Strings(b.s.Auto.NodePools)
		compute["nodeRoleArn"] = b.s.Auto.NodeRoleARN
		if b.s.Auto.NodeRoleARN == "" {
			compute["nodeRoleArn"] = b.roleARN(idAutoRole)
		}
	}
	return fleet.Props{
		"computeConfig": compute, "storageConfig": fleet.Props{"blockStorage": fleet.Props{"enabled": on}},
		"kubernetesNetworkConfig": fleet.Props{"elasticLoadBalancing": fleet.Props{"enabled": on}},
	}
}

// logging is EKS's way to say which logs it keeps, and which not.
func logging(on, off []string) fleet.Props {
	var setups []any
	for _, s := range []fleet.Props{{"types": fleet.Strings(on), "enabled": true}, {"types": fleet.Strings(off), "enabled": false}} {
		if len(fleet.Texts(s, "types")) > 0 {
			setups = append(setups, s)
		}
	}
	return fleet.Props{"clusterLogging": setups}
}

func encryption(key string) []any {
	return []any{fleet.Props{"resources": []any{"secrets"}, "provider": fleet.Props{"keyArn": key}}}
}

// remoteNetworks are the networks of hybrid nodes and their pods.
func remoteNetworks(r *fleet.RemoteSpec) fleet.Props {
	if r == nil {
		return nil
	}
	p := fleet.Props{"remoteNodeNetworks": []any{fleet.Props{"cidrs": fleet.Strings(r.NodeCIDRs)}}}
	if len(r.PodCIDRs) > 0 {
		p["remotePodNetworks"] = []any{fleet.Props{"cidrs": fleet.Strings(r.PodCIDRs)}}
	}
	return p
}

func outpostConfig(o *fleet.OutpostSpec) fleet.Props {
	if o == nil {
		return nil
	}
	return fleet.Props{
		"outpostArns": []any{o.ARN}, "controlPlaneInstanceType": o.InstanceType, "etcdInstanceType": o.EtcdInstanceType,
		"controlPlanePlacement": fleet.Props{"groupName": o.GroupName, "spreadLevel": o.SpreadLevel},
		"etcdPlacement":         fleet.Props{"groupName": o.EtcdGroupName, "spreadLevel": o.EtcdSpreadLevel},
	}
}

// logGroup is where the control plane's logs are kept for as long as the file says.
func (b *builder) logGroup() {
	days := b.s.LogRetentionDays
	if days == 0 || len(b.s.Logging) == 0 {
		return
	}
	name := "/aws/eks/" + b.s.Name + "/cluster"
	b.add(thing{
		Ref: fleet.Ref{ID: idLogGroup, Kind: "loggroup", Name: name}, area: "control plane",
		create: func() plan.Call {
			return b.call(plan.Create, idLogGroup, "logs:CreateLogGroup", "create log group "+name, fleet.Props{"logGroupName": name, "tags": owned(b.s)})
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if fleet.Int(have.Props, "retentionInDays") == days {
				return nil, nil
			}
			return []plan.Call{b.call(plan.Change, idLogGroup, "logs:PutRetentionPolicy", fmt.Sprintf("keep control plane logs for %d days", days),
				fleet.Props{"logGroupName": name, "retentionInDays": days})}, nil
		},
	})
}

// child is a call of EKS about a part of the cluster, with a token.
func (b *builder) child(effect plan.Effect, id, api, does string, input fleet.Props) plan.Call {
	input["clusterName"] = b.s.Name
	input = fleet.Drop(input)
	if effect != plan.Delete {
		input["clientRequestToken"] = b.token(id, input)
	}
	return b.call(effect, id, api, does, input)
}

// retag is the call that adds or changes tags of something of EKS's; nil if all are there.
func (b *builder) retag(have fleet.Resource, want map[string]string) []plan.Call {
	if includes(have.Tags, want) || have.ARN == "" {
		return nil
	}
	missing := map[string]string{}
	for k, v := range want {
		if have.Tags[k] != v {
			missing[k] = v
		}
	}
	return []plan.Call{b.call(plan.Change, have.ID, "eks:TagResource", "tag "+strings.TrimSpace(have.Kind+" "+have.Name), fleet.Props{
		"resourceArn": have.ARN, "tags": missing,
	})}
}
