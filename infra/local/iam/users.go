package iam

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// user is somebody who can be named in policies and access entries. Nobody signs in as one here.
type user struct {
	Path, UserName, UserId, Arn string
	CreateDate                  wire.Time
}

type userOut struct{ User user }

// userOps are users, of whom only the root user calls anything, and the account's figures.
func (s *Service) userOps() []wire.Op {
	return []wire.Op{
		wire.Handle("GetUser", wire.On[request]("iam:GetUser", s.arn("user/*")), func(_ context.Context, c *wire.Call, in *request) (*answer, error) {
			if in.UserName != "" {
				s.mu.Lock()
				defer s.mu.Unlock()
				u, err := s.user(in.UserName)
				return &answer{userOut{u}}, err
			}
			if !c.Caller.Root {
				return nil, wire.Errf("ValidationError", "Must specify userName when calling with non-User credentials")
			}
			type root struct{ UserId, Arn string }
			return &answer{struct{ User root }{root{s.w.Account, s.arn("root")}}}, nil
		}),
		s.op("CreateUser", s.onUser("iam:CreateUser"), func(in *request) (any, error) {
			if in.UserName == "" {
				return nil, wire.Errf("ValidationError", "1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null")
			}
			if len(in.Tags) > 0 || in.PermissionsBoundary != "" {
				return nil, wire.Errf("NotImplemented", "CreateUser: the embedded cloud does not implement Tags and PermissionsBoundary").WithStatus(http.StatusNotImplemented)
			}
			if _, there := s.users[in.UserName]; there {
				return nil, exists("User with name %s already exists.", in.UserName)
			}
			path := cmp.Or(in.Path, "/")
			u := user{path, in.UserName, s.id("AIDA"), s.arn("user" + path + in.UserName), wire.Time{Time: time.Now()}}
			s.users[in.UserName] = u
			return userOut{u}, nil
		}),
		s.op("DeleteUser", s.onUser("iam:DeleteUser"), func(in *request) (any, error) {
			_, err := s.user(in.UserName)
			delete(s.users, in.UserName)
			return nil, err
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

func (s *Service) onUser(action string) func(*request) []wire.Need {
	return func(in *request) []wire.Need {
		return []wire.Need{{Action: action, Resource: s.arn("user" + cmp.Or(in.Path, s.users[in.UserName].Path, "/") + in.UserName)}}
	}
}

// user finds somebody by name. The lock is held.
func (s *Service) user(name string) (user, error) {
	u, ok := s.users[name]
	if !ok {
		return user{}, notFound("The user with name %s cannot be found.", name)
	}
	return u, nil
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

// figures are what GetAccountSummary answers. Groups do not exist here.
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
		"Users": len(s.users), "UsersQuota": 5000, "Groups": 0, "GroupsQuota": 300, "GroupsPerUserQuota": 10, "AttachedPoliciesPerUserQuota": 10,
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
