package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type boundaryXML struct{ PermissionsBoundaryType, PermissionsBoundaryArn string }

type lastUsedXML struct {
	LastUsedDate *wire.Time `xml:",omitempty"`
	Region       string     `xml:",omitempty"`
}

type roleXML struct {
	Path, RoleName, RoleId, Arn string
	CreateDate                  wire.Time
	AssumeRolePolicyDocument    string
	Description                 string `xml:",omitempty"`
	MaxSessionDuration          int
	PermissionsBoundary         *boundaryXML `xml:",omitempty"`
	Tags                        []Tag        `xml:"Tags>member,omitempty"`
	RoleLastUsed                *lastUsedXML `xml:",omitempty"`
}

func (r *role) xml(full bool, region string) roleXML {
	out := roleXML{
		Path: r.path, RoleName: r.name, RoleId: r.id, Arn: r.arn, CreateDate: wire.Time{Time: r.created},
		AssumeRolePolicyDocument: encoded(r.trustText), Description: r.description, MaxSessionDuration: int(r.maxSession / time.Second),
	}
	if !full { // lists leave these out
		return out
	}
	out.Tags, out.RoleLastUsed = r.tags, &lastUsedXML{}
	if r.boundary != "" {
		out.PermissionsBoundary = &boundaryXML{"Policy", r.boundary}
	}
	if !r.lastUsed.IsZero() {
		out.RoleLastUsed = &lastUsedXML{wire.At(r.lastUsed), region}
	}
	return out
}

// onRole says that an operation needs one action on the role that the request names.
func (s *Service) onRole(action string) func(*request) []wire.Need {
	return func(in *request) []wire.Need {
		n := wire.Need{Action: "iam:" + action, Resource: s.arn("role/" + in.RoleName), Context: requestTags(in.Tags)}
		if r := s.roles[in.RoleName]; r != nil {
			n.Resource = r.arn
			resourceTags(n.Context, r.tags)
			if r.boundary != "" {
				n.Context["iam:PermissionsBoundary"] = []string{r.boundary}
			}
		}
		if in.TagKeys != nil {
			n.Context["aws:TagKeys"] = in.TagKeys
		}
		if in.PolicyArn != "" {
			n.Context["iam:PolicyARN"] = []string{in.PolicyArn}
		}
		return []wire.Need{n}
	}
}

// withRole is an operation on an existing role.
func (s *Service) withRole(name string, do func(*role, *request) (any, error)) wire.Op {
	return s.op(name, s.onRole(name), func(in *request) (any, error) {
		r := s.roles[in.RoleName]
		if r == nil {
			return nil, notFound("The role with name %s cannot be found.", in.RoleName)
		}
		return do(r, in)
	})
}

// withOwnRole is one that changes the role: a service's own role cannot be.
func (s *Service) withOwnRole(name string, do func(*role, *request) (any, error)) wire.Op {
	return s.withRole(name, func(r *role, in *request) (any, error) {
		if err := modifiable(r); err != nil {
			return nil, err
		}
		return do(r, in)
	})
}

func modifiable(r *role) error {
	if r.serviceLinked == "" {
		return nil
	}
	return wire.Errf("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", r.name)
}

func (s *Service) roleOps() []wire.Op {
	return []wire.Op{
		s.op("CreateRole", s.needsCreateRole, func(in *request) (any, error) {
			r, err := s.newRole(in)
			if err != nil {
				return nil, err
			}
			return struct{ Role roleXML }{r.xml(true, "")}, nil
		}),
		s.withRole("GetRole", func(r *role, _ *request) (any, error) {
			return struct{ Role roleXML }{r.xml(true, s.w.Region)}, nil
		}),
		s.withOwnRole("DeleteRole", func(r *role, _ *request) (any, error) { return nil, s.deleteRole(r) }),
		s.op("ListRoles", needs("iam:ListRoles", s.arn("role/")), s.listRoles),
		s.withOwnRole("UpdateAssumeRolePolicy", func(r *role, in *request) (any, error) {
			t, err := parseTrust(in.PolicyDocument)
			if err == nil {
				r.trust, r.trustText = t.doc, t.raw
			}
			return nil, err
		}),
		s.withOwnRole("UpdateRole", func(r *role, in *request) (any, error) {
			if in.Description != "" {
				r.description = in.Description
			}
			return nil, setMaxSession(r, in.MaxSessionDuration)
		}),
		s.withOwnRole("UpdateRoleDescription", func(r *role, in *request) (any, error) {
			r.description = in.Description
			return struct{ Role roleXML }{r.xml(true, "")}, nil
		}),
		s.withOwnRole("TagRole", func(r *role, in *request) (any, error) {
			return nil, setTags(&r.tags, in.Tags)
		}),
		s.withOwnRole("UntagRole", func(r *role, in *request) (any, error) {
			r.tags = remove(r.tags, in.TagKeys)
			return nil, nil
		}),
		s.withRole("ListRoleTags", func(r *role, in *request) (any, error) {
			return tagList(r.tags, in)
		}),
	}
}

func needs(action, resource string) func(*request) []wire.Need {
	return func(*request) []wire.Need { return []wire.Need{{Action: action, Resource: resource}} }
}

func (s *Service) needsCreateRole(in *request) []wire.Need {
	path := in.Path
	_ = checkPath(&path) // a wrong path is refused by the operation
	n := wire.Need{Action: "iam:CreateRole", Resource: s.arn("role" + path + in.RoleName), Context: requestTags(in.Tags)}
	if in.PermissionsBoundary != "" {
		n.Context["iam:PermissionsBoundary"] = []string{in.PermissionsBoundary}
	}
	out := []wire.Need{n}
	if len(in.Tags) > 0 {
		n.Action = "iam:TagRole"
		out = append(out, n)
	}
	return out
}

func parseTrust(document string) (text, error) {
	t, err := parse("trust", document, policy.Trust)
	if err == nil && length(document) > trustLimit {
		err = quota("ACLSizePerRole", trustLimit)
	}
	return t, err
}

// newRole makes a role that other services know once IAM has settled.
func (s *Service) newRole(in *request) (*role, error) {
	if err := checkName("roleName", in.RoleName, 64); err != nil {
		return nil, err
	}
	path := in.Path
	if err := checkPath(&path); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	for name := range s.roles {
		if strings.EqualFold(name, in.RoleName) {
			return nil, exists("Role with name %s already exists.", in.RoleName)
		}
	}
	trust, err := parseTrust(in.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	if s.ownRoles() >= maxRoles {
		return nil, quota("RolesPerAccount", maxRoles)
	}
	if in.PermissionsBoundary != "" && !s.policyExists(in.PermissionsBoundary) {
		return nil, notFound("Scope ARN: %s does not exist or is not attachable.", in.PermissionsBoundary)
	}
	now := time.Now()
	r := &role{
		name: in.RoleName, path: path, id: s.id("AROA"), arn: s.arn("role" + path + in.RoleName), description: in.Description,
		created: now, usable: now.Add(s.w.Profile.Settle), maxSession: time.Hour, trust: trust.doc, trustText: trust.raw,
		inline: map[string]text{}, boundary: in.PermissionsBoundary, tags: merge(nil, in.Tags),
	}
	if err := setMaxSession(r, in.MaxSessionDuration); err != nil {
		return nil, err
	}
	s.roles[r.name] = r
	return r, nil
}

func setMaxSession(r *role, seconds *int) error {
	if seconds == nil {
		return nil
	}
	if *seconds < 3600 || *seconds > 43200 {
		return wire.Errf("ValidationError", "1 validation error detected: Value '%d' at 'maxSessionDuration' failed to satisfy constraint: Member must have value between 3600 and 43200", *seconds)
	}
	r.maxSession = time.Duration(*seconds) * time.Second
	return nil
}

func (s *Service) deleteRole(r *role) error {
	for _, p := range s.profiles {
		if p.role == r.name {
			return conflict("Cannot delete entity, must remove roles from instance profile first.")
		}
	}
	if len(r.attached) > 0 {
		return conflict("Cannot delete entity, must detach all policies first.")
	}
	if len(r.inline) > 0 {
		return conflict("Cannot delete entity, must delete policies first.")
	}
	delete(s.roles, r.name)
	return nil
}

func (s *Service) listRoles(in *request) (any, error) {
	var names []string
	for _, name := range sorted(s.roles) {
		if strings.HasPrefix(s.roles[name].path, in.PathPrefix) {
			names = append(names, name)
		}
	}
	names, p, err := page(names, func(n string) string { return n }, in.Marker, in.MaxItems)
	var list []roleXML
	for _, name := range names {
		list = append(list, s.roles[name].xml(false, ""))
	}
	return struct {
		Roles []roleXML `xml:"Roles>member"`
		Page
	}{list, p}, err
}

// maxAttached is the default quota of managed policies on one role.
const maxAttached = 10

func (s *Service) attach(r *role, arn string) error {
	if !s.policyExists(arn) {
		return notFound("Policy %s does not exist or is not attachable.", arn)
	}
	if slices.Contains(r.attached, arn) {
		return nil
	}
	if strings.HasPrefix(arn, awsPrefix+"aws-service-role/") {
		return wire.Errf("PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.")
	}
	if len(r.attached) >= maxAttached {
		return quota("PoliciesPerRole", maxAttached)
	}
	r.attached = append(r.attached, arn)
	return nil
}
