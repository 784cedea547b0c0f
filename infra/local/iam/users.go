package iam

import (
	"context"
	"net/http"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// userOps are GetUser, which knows the root user only, and the account's figures.
func (s *Service) userOps() []wire.Op {
	return []wire.Op{
		wire.Handle("GetUser", wire.On[request]("iam:GetUser", s.arn("user/*")), func(_ context.Context, c *wire.Call, in *request) (*answer, error) {
			if in.UserName != "" {
				return nil, notFound("The user with name %s cannot be found.", in.UserName)
			}
			if !c.Caller.Root {
				return nil, wire.Errf("ValidationError", "Must specify userName when calling with non-User credentials")
			}
			type user struct{ UserId, Arn string }
			return &answer{struct{ User user }{user{s.w.Account, s.arn("root")}}}, nil
		}),
		s.op("GetAccountSummary", needs("iam:GetAccountSummary", "*"), func(*request) (any, error) {
			type entry struct {
				Key   string `xml:"key"`
				Value int    `xml:"value"`
			}
			var list []entry
			figures := s.figures()
			for _, k := range sorted(figures) {
				list = append(list, entry{k, figures[k]})
			}
			return struct {
				SummaryMap []entry `xml:"SummaryMap>entry"`
			}{list}, nil
		}),
	}
}

// The account's default quotas that are enforced here.
const (
	maxRoles     = 1000
	maxProfiles  = 1000
	maxPolicies  = 1500
	maxProviders = 100
	trustLimit   = 2048 // characters of a trust policy; white space does not count
)

// Quotas are the account's default quotas that IAM enforces, by their names in Service Quotas.
func Quotas() map[string]int {
	return map[string]int{
		"Roles per account": maxRoles, "Instance profiles per account": maxProfiles, "Customer managed policies per account": maxPolicies,
		"OpenId connect providers per account": maxProviders, "Managed policies per role": maxAttached, "Role trust policy length": trustLimit,
	}
}

// figures are what GetAccountSummary answers. Users and groups do not exist here.
func (s *Service) figures() map[string]int {
	versions := 0
	for _, p := range s.policies {
		versions += len(p.versions)
	}
	return map[string]int{
		"Roles": s.ownRoles(), "RolesQuota": maxRoles, "InstanceProfiles": len(s.profiles), "InstanceProfilesQuota": maxProfiles,
		"Policies": len(s.policies), "PoliciesQuota": maxPolicies, "PolicyVersionsInUse": versions, "PolicyVersionsInUseQuota": 10000,
		"PolicySizeQuota": policyLimit, "VersionsPerPolicyQuota": maxVersions, "RolePolicySizeQuota": inlineLimit,
		"AttachedPoliciesPerRoleQuota": maxAttached, "AssumeRolePolicySizeQuota": trustLimit, "Providers": len(s.providers),
		"Users": 0, "UsersQuota": 5000, "Groups": 0, "GroupsQuota": 300, "GroupsPerUserQuota": 10, "AttachedPoliciesPerUserQuota": 10,
		"AttachedPoliciesPerGroupQuota": 10, "UserPolicySizeQuota": 2048, "GroupPolicySizeQuota": 5120, "AccessKeysPerUserQuota": 2,
		"SigningCertificatesPerUserQuota": 2, "ServerCertificates": 0, "ServerCertificatesQuota": 20, "MFADevices": 0, "MFADevicesInUse": 0,
		"AccountMFAEnabled": 0, "AccountAccessKeysPresent": 1, "AccountSigningCertificatesPresent": 0, "GlobalEndpointTokenVersion": 1,
	}
}

// ownRoles counts the roles that the quota counts: services' own are not among them.
func (s *Service) ownRoles() int {
	return len(slices.DeleteFunc(sorted(s.roles), func(name string) bool { return s.roles[name].serviceLinked != "" }))
}

func quota(name string, limit int) error {
	return wire.Errf("LimitExceeded", "Cannot exceed quota for %s: %d", name, limit).WithStatus(http.StatusConflict)
}
