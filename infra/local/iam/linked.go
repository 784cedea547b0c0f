package iam

import (
	"net/http"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// linkedRole is a service-linked role that CreateServiceLinkedRole can make.
type linkedRole struct{ name, policy string }

var linkedRoles = map[string]linkedRole{
	"eks.amazonaws.com":                  {"AWSServiceRoleForAmazonEKS", "AmazonEKSServiceRolePolicy"},
	"eks-nodegroup.amazonaws.com":        {"AWSServiceRoleForAmazonEKSNodegroup", "AWSServiceRoleForAmazonEKSNodegroup"},
	"eks-fargate.amazonaws.com":          {"AWSServiceRoleForAmazonEKSForFargate", "AmazonEKSForFargateServiceRolePolicy"},
	"autoscaling.amazonaws.com":          {"AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy"},
	"spot.amazonaws.com":                 {"AWSServiceRoleForEC2Spot", "AWSEC2SpotServiceRolePolicy"},
	"spotfleet.amazonaws.com":            {"AWSServiceRoleForEC2SpotFleet", "AWSEC2SpotFleetServiceRolePolicy"},
	"ec2fleet.amazonaws.com":             {"AWSServiceRoleForEC2Fleet", "AWSEC2FleetServiceRolePolicy"},
	"elasticloadbalancing.amazonaws.com": {"AWSServiceRoleForElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"},
	"ecs.amazonaws.com":                  {"AWSServiceRoleForECS", "AmazonECSServiceRolePolicy"},
}

func linkedServices() string { return strings.Join(sorted(linkedRoles), ", ") }

func (s *Service) linkedRoleOps() []wire.Op {
	deleting := func(action string) func(*request) []wire.Need {
		return func(in *request) []wire.Need {
			n := s.onRole(action)(in)
			if r := s.roles[in.RoleName]; r != nil && r.serviceLinked != "" {
				n[0].Context["iam:AWSServiceName"] = []string{r.serviceLinked}
			}
			return n
		}
	}
	return []wire.Op{
		s.op("CreateServiceLinkedRole", func(in *request) []wire.Need {
			return []wire.Need{{Action: "iam:CreateServiceLinkedRole",
				Resource: s.arn("role/aws-service-role/" + in.AWSServiceName + "/" + linkedRoles[in.AWSServiceName].name),
				Context:  map[string][]string{"iam:AWSServiceName": {in.AWSServiceName}}}}
		}, s.createServiceLinkedRole),
		s.op("DeleteServiceLinkedRole", deleting("DeleteServiceLinkedRole"), func(in *request) (any, error) {
			r := s.roles[in.RoleName]
			if r == nil || r.serviceLinked == "" {
				return nil, notFound("The role with name %s cannot be found.", in.RoleName)
			}
			delete(s.roles, r.name)
			task := "task" + r.path + r.name + "/" + s.w.UUID()
			s.deletions[task] = true
			return struct{ DeletionTaskId string }{task}, nil
		}),
		s.op("GetServiceLinkedRoleDeletionStatus", needs("iam:GetServiceLinkedRoleDeletionStatus", "*"), func(in *request) (any, error) {
			if !s.deletions[in.DeletionTaskId] {
				return nil, notFound("Deletion task %s cannot be found.", in.DeletionTaskId)
			}
			return struct{ Status string }{"SUCCEEDED"}, nil // the services are not asked whether they still need it
		}),
	}
}

func (s *Service) createServiceLinkedRole(in *request) (any, error) {
	if in.CustomSuffix != "" {
		return nil, wire.Errf("NotImplemented", "CreateServiceLinkedRole: CustomSuffix is not implemented by the embedded cloud").WithStatus(http.StatusNotImplemented)
	}
	linked, ok := linkedRoles[in.AWSServiceName]
	if !ok {
		return nil, wire.Errf("NotImplemented", "CreateServiceLinkedRole: the embedded cloud knows only %s, not %s", linkedServices(), in.AWSServiceName).WithStatus(http.StatusNotImplemented)
	}
	if s.roles[linked.name] != nil {
		return nil, wire.Errf("InvalidInput", "Service role name %s has been taken in this account, please try a different suffix.", linked.name)
	}
	r, err := s.newLinkedRole(in.AWSServiceName, in.Description)
	if err != nil {
		return nil, err
	}
	return struct{ Role roleXML }{r.xml(true, "")}, nil
}

// newLinkedRole makes the role of a service that linkedRoles has. The caller holds s.mu.
func (s *Service) newLinkedRole(service, description string) (*role, error) {
	linked := linkedRoles[service]
	r, err := s.newRole(&request{
		RoleName: linked.name, Path: "/aws-service-role/" + service + "/", Description: description,
		AssumeRolePolicyDocument: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["` + service + `"]},"Action":["sts:AssumeRole"]}]}`,
	})
	if err != nil {
		return nil, err
	}
	r.serviceLinked, r.attached = service, []string{awsPrefix + "aws-service-role/" + linked.policy}
	return r, nil
}

// EnsureServiceLinkedRole makes a service's own role unless the account has it, as services do at their first use. The
// service is a principal: "eks-nodegroup.amazonaws.com".
func (s *Service) EnsureServiceLinkedRole(service string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	linked, ok := linkedRoles[service]
	if !ok {
		return notFound("the embedded cloud knows no service-linked role of %s", service)
	}
	if s.roles[linked.name] != nil {
		return nil
	}
	r, err := s.newLinkedRole(service, "")
	if err == nil {
		r.usable = time.Time{} // the service itself need not wait for IAM
	}
	return err
}
