package eks

import "regexp"

// Local clusters on AWS Outposts are API state: the control plane runs like any other's. What AWS does not offer there is
// refused, as far as clusters go by themselves; the words of those refusals are not public.

var outpostForm = regexp.MustCompile(`^arn:aws[a-z-]*:outposts:[a-z0-9-]+:\d{12}:outpost/op-[0-9a-f]{17}$`)

func onOutpost(cluster, what string) error {
	return invalidParameter(cluster, "%s is not supported for local clusters on AWS Outposts", what)
}

func (o *outpostConfig) check(in *createClusterIn) error {
	switch {
	case o == nil:
		return nil
	case len(o.OutpostARNs) != 1:
		return invalidParameter(in.Name, "outpostArns must have exactly one Outpost ARN")
	case !outpostForm.MatchString(o.OutpostARNs[0]):
		return invalidParameter(in.Name, "The Outpost ARN %s is not valid", o.OutpostARNs[0])
	case o.ControlPlaneInstanceType == "":
		return invalidParameter(in.Name, "controlPlaneInstanceType is required")
	case in.AccessConfig != nil && in.AccessConfig.AuthenticationMode != "" && in.AccessConfig.AuthenticationMode != modeConfigMap:
		return onOutpost(in.Name, "authenticationMode "+in.AccessConfig.AuthenticationMode)
	case in.KubernetesNetworkConfig != nil && in.KubernetesNetworkConfig.IPFamily == ipv6:
		return onOutpost(in.Name, "ipFamily ipv6")
	case len(in.EncryptionConfig) > 0:
		return onOutpost(in.Name, "encryptionConfig")
	case in.RemoteNetworkConfig != nil:
		return onOutpost(in.Name, "remoteNetworkConfig")
	case in.ScalingConfig != nil && in.ScalingConfig.Tier != "" && in.ScalingConfig.Tier != standardTier:
		return onOutpost(in.Name, "controlPlaneScalingConfig")
	}
	for _, p := range []*placement{o.ControlPlanePlacement, o.EtcdPlacement} {
		if p != nil && p.SpreadLevel != "" && p.SpreadLevel != "host" && p.SpreadLevel != "rack" {
			return invalidParameter(in.Name, "spreadLevel must be one of host, rack")
		}
	}
	return nil
}

// inCloud refuses on a local cluster what only clusters in the cloud have: managed node groups, Fargate profiles,
// capabilities and identity providers.
func (c *cluster) inCloud(what string) error {
	if c.outpost == nil {
		return nil
	}
	return invalidRequest(c.name, "%s are not supported for local clusters on AWS Outposts", what)
}
