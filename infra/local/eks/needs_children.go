package eks

import (
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// The IAM actions, resources and condition keys for what is in children.

func (s *Service) podIdentityARN(cluster, id string) string {
	return s.w.ARN("eks", "podidentityassociation/"+cluster+"/"+id)
}

// passTo is the permission to hand a role to a service.
func passTo(role, service string) wire.Need {
	return wire.Need{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {service}}}
}

func (s *Service) needCreatePodIdentity(_ *wire.Call, in *createPodIdentityIn) []wire.Need {
	needs := s.create("CreatePodIdentityAssociation", s.clusterARN(in.ClusterName), s.podIdentityARN(in.ClusterName, "*"), in.Tags, nil)
	return append(needs, passTo(in.RoleARN, podPrincipal))
}

func (s *Service) needPodIdentity(action string) func(*wire.Call, *podIdentityName) []wire.Need {
	return func(_ *wire.Call, in *podIdentityName) []wire.Need {
		return []wire.Need{s.need(action, s.podIdentityARN(in.ClusterName, in.AssociationID), nil)}
	}
}

func (s *Service) needUpdatePodIdentity(_ *wire.Call, in *updatePodIdentityIn) []wire.Need {
	needs := []wire.Need{s.need("UpdatePodIdentityAssociation", s.podIdentityARN(in.ClusterName, in.AssociationID), nil)}
	if in.RoleARN != "" {
		needs = append(needs, passTo(in.RoleARN, podPrincipal))
	}
	return needs
}

func (s *Service) needListPodIdentities(_ *wire.Call, in *listPodIdentitiesIn) []wire.Need {
	return []wire.Need{s.need("ListPodIdentityAssociations", s.clusterARN(in.ClusterName), nil)}
}

// fargateARN is the real one where the profile exists.
func (s *Service) fargateARN(cluster, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clusters[cluster]; c != nil && c.fargate[name] != nil {
		return c.fargate[name].arn
	}
	return s.w.ARN("eks", "fargateprofile/"+cluster+"/"+name+"/*")
}

func (s *Service) needCreateFargate(_ *wire.Call, in *createFargateIn) []wire.Need {
	needs := s.create("CreateFargateProfile", s.clusterARN(in.ClusterName), s.fargateARN(in.ClusterName, in.FargateProfileName), in.Tags, nil)
	// EKS looks, with the caller's rights, whether its service-linked role for Fargate exists.
	slr := "arn:aws:iam::" + s.w.Account + ":role/aws-service-role/eks-fargate.amazonaws.com/AWSServiceRoleForAmazonEKSForFargate"
	// AWS does not document to which service the role is passed; it is taken to be the one that assumes it.
	return append(needs, passTo(in.PodExecutionRole, fargatePrincipal), wire.Need{Action: "iam:GetRole", Resource: slr})
}

func (s *Service) needFargate(action string) func(*wire.Call, *fargateName) []wire.Need {
	return func(_ *wire.Call, in *fargateName) []wire.Need {
		return []wire.Need{s.need(action, s.fargateARN(in.ClusterName, in.FargateProfileName), nil)}
	}
}

// needAddonPods are the permissions for the associations that an add-on is to have: EKS makes them in the caller's name.
func (s *Service) needAddonPods(cluster string, list []addonPodIdentity) []wire.Need {
	var needs []wire.Need
	for _, p := range list {
		needs = append(needs, s.need("CreatePodIdentityAssociation", s.clusterARN(cluster), nil), passTo(p.RoleARN, podPrincipal))
	}
	return needs
}
