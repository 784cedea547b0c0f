package iam

import (
	"net/http"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type attachedXML struct{ PolicyName, PolicyArn string }

func baseName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// rolePolicyOps are the policies of roles.
func (s *Service) rolePolicyOps() []wire.Op {
	return []wire.Op{
		s.withOwnRole("AttachRolePolicy", func(r *role, in *request) (any, error) { return nil, s.attach(r, in.PolicyArn) }),
		s.withOwnRole("DetachRolePolicy", func(r *role, in *request) (any, error) {
			i := slices.Index(r.attached, in.PolicyArn)
			if i < 0 {
				return nil, notFound("Policy %s was not found.", in.PolicyArn)
			}
			r.attached = slices.Delete(r.attached, i, i+1)
			return nil, nil
		}),
		s.withRole("ListAttachedRolePolicies", func(r *role, in *request) (any, error) {
			var list []attachedXML
			for _, arn := range r.attached {
				list = append(list, attachedXML{baseName(arn), arn})
			}
			slices.SortFunc(list, func(a, b attachedXML) int { return strings.Compare(a.PolicyName, b.PolicyName) })
			list, p, err := page(list, func(a attachedXML) string { return a.PolicyName }, in.Marker, in.MaxItems)
			return struct {
				AttachedPolicies []attachedXML `xml:"AttachedPolicies>member"`
				Page
			}{list, p}, err
		}),
		s.withOwnRole("PutRolePolicy", func(r *role, in *request) (any, error) { return nil, r.put(in.PolicyName, in.PolicyDocument) }),
		s.withRole("GetRolePolicy", func(r *role, in *request) (any, error) {
			t, ok := r.inline[in.PolicyName]
			if !ok {
				return nil, notFound("The role policy with name %s cannot be found.", in.PolicyName)
			}
			return struct{ RoleName, PolicyName, PolicyDocument string }{r.name, in.PolicyName, encoded(t.raw)}, nil
		}),
		s.withRole("ListRolePolicies", func(r *role, in *request) (any, error) {
			names, p, err := page(sorted(r.inline), func(n string) string { return n }, in.Marker, in.MaxItems)
			return struct {
				PolicyNames []string `xml:"PolicyNames>member"`
				Page
			}{names, p}, err
		}),
		s.withOwnRole("DeleteRolePolicy", func(r *role, in *request) (any, error) {
			if _, ok := r.inline[in.PolicyName]; !ok {
				return nil, notFound("The role policy with name %s cannot be found.", in.PolicyName)
			}
			delete(r.inline, in.PolicyName)
			return nil, nil
		}),
		s.withBoundary("PutRolePermissionsBoundary", func(r *role, in *request) (any, error) {
			if !s.policyExists(in.PermissionsBoundary) {
				return nil, notFound("Scope ARN: %s does not exist or is not attachable.", in.PermissionsBoundary)
			}
			r.boundary = in.PermissionsBoundary
			return nil, nil
		}),
		s.withBoundary("DeleteRolePermissionsBoundary", func(r *role, _ *request) (any, error) {
			if r.boundary == "" {
				return nil, notFound("The role with name %s does not have a permissions boundary.", r.name)
			}
			r.boundary = ""
			return nil, nil
		}),
	}
}

// withBoundary is an operation on a role's permissions boundary. iam:PermissionsBoundary is the one that the request
// names or, when it names none, the one that the role has.
func (s *Service) withBoundary(name string, do func(*role, *request) (any, error)) wire.Op {
	return s.op(name, func(in *request) []wire.Need {
		n := s.onRole(name)(in)
		boundary := in.PermissionsBoundary
		if r := s.roles[in.RoleName]; r != nil && boundary == "" {
			boundary = r.boundary
		}
		if boundary != "" {
			n[0].Context["iam:PermissionsBoundary"] = []string{boundary}
		}
		return n
	}, func(in *request) (any, error) {
		r := s.roles[in.RoleName]
		if r == nil {
			return nil, notFound("The role with name %s cannot be found.", in.RoleName)
		}
		if err := modifiable(r); err != nil {
			return nil, err
		}
		return do(r, in)
	})
}

// inlineLimit is IAM's quota for all inline policies of a role together; white space does not count.
const inlineLimit = 10240

func (r *role) put(name, document string) error {
	if err := checkName("policyName", name, 128); err != nil {
		return err
	}
	t, err := parse("inline/"+name, document, policy.Identity)
	if err != nil {
		return err
	}
	size := length(document)
	for other, t := range r.inline {
		if other != name {
			size += length(t.raw)
		}
	}
	if size > inlineLimit {
		return wire.Errf("LimitExceeded", "Maximum policy size of %d bytes exceeded for role %s", inlineLimit, r.name).WithStatus(http.StatusConflict)
	}
	r.inline[name] = t
	return nil
}

func length(document string) int { return len(strings.Join(strings.Fields(document), "")) }
