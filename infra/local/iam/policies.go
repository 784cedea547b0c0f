package iam

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type attachedXML struct{ PolicyName, PolicyArn string }

type policyXML struct {
	PolicyName, PolicyId, Arn, Path string
	DefaultVersionId                string
	AttachmentCount                 int
	PermissionsBoundaryUsageCount   int
	IsAttachable                    bool
	Description                     string `xml:",omitempty"`
	CreateDate, UpdateDate          *wire.Time
	Tags                            []Tag `xml:"Tags>member,omitempty"`
}

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
	}
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

// policyOps are the managed policies.
func (s *Service) policyOps() []wire.Op {
	on := func(action string) func(*request) []wire.Need {
		return func(in *request) []wire.Need {
			n := wire.Need{Action: "iam:" + action, Resource: in.PolicyArn, Context: map[string][]string{}}
			if p := s.policies[in.PolicyArn]; p != nil {
				resourceTags(n.Context, p.tags)
			}
			return []wire.Need{n}
		}
	}
	return []wire.Op{
		s.op("CreatePolicy", func(in *request) []wire.Need {
			path := in.Path
			_ = checkPath(&path)
			n := wire.Need{Action: "iam:CreatePolicy", Resource: s.arn("policy" + path + in.PolicyName), Context: requestTags(in.Tags)}
			if len(in.Tags) == 0 {
				return []wire.Need{n}
			}
			return []wire.Need{n, {Action: "iam:TagPolicy", Resource: n.Resource, Context: n.Context}}
		}, func(in *request) (any, error) {
			p, err := s.newPolicy(in)
			if err != nil {
				return nil, err
			}
			return struct{ Policy policyXML }{s.policyXML(p.arn)}, nil
		}),
		s.op("GetPolicy", on("GetPolicy"), func(in *request) (any, error) {
			if !s.policyExists(in.PolicyArn) {
				return nil, notFound("Policy %s was not found.", in.PolicyArn)
			}
			return struct{ Policy policyXML }{s.policyXML(in.PolicyArn)}, nil
		}),
		s.op("GetPolicyVersion", on("GetPolicyVersion"), s.getPolicyVersion),
		s.op("DeletePolicy", on("DeletePolicy"), func(in *request) (any, error) {
			if s.policies[in.PolicyArn] == nil {
				return nil, notFound("Policy %s was not found.", in.PolicyArn)
			}
			if attached, bounds := s.attachments(in.PolicyArn); attached+bounds > 0 {
				return nil, conflict("Cannot delete a policy attached to entities.")
			}
			delete(s.policies, in.PolicyArn)
			return nil, nil
		}),
	}
}

func (s *Service) newPolicy(in *request) (*managed, error) {
	if err := checkName("policyName", in.PolicyName, 128); err != nil {
		return nil, err
	}
	path := in.Path
	if err := checkPath(&path); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	arn := s.arn("policy" + path + in.PolicyName)
	t, err := parse(arn, in.PolicyDocument, policy.Identity)
	if err != nil {
		return nil, err
	}
	if length(in.PolicyDocument) > 6144 {
		return nil, wire.Errf("LimitExceeded", "Cannot exceed quota for PolicySize: 6144").WithStatus(http.StatusConflict)
	}
	for _, p := range s.policies {
		if strings.EqualFold(p.name, in.PolicyName) {
			return nil, exists("A policy called %s already exists. Duplicate names are not allowed.", in.PolicyName)
		}
	}
	p := &managed{name: in.PolicyName, path: path, id: s.id("ANPA"), arn: arn, description: in.Description, created: time.Now(), text: t, tags: merge(nil, in.Tags)}
	s.policies[arn] = p
	return p, nil
}

func (s *Service) attachments(arn string) (attached, boundaries int) {
	for _, r := range s.roles {
		if slices.Contains(r.attached, arn) {
			attached++
		}
		if r.boundary == arn {
			boundaries++
		}
	}
	return attached, boundaries
}

func (s *Service) policyXML(arn string) policyXML {
	attached, bounds := s.attachments(arn)
	out := policyXML{PolicyName: baseName(arn), Arn: arn, DefaultVersionId: "v1", AttachmentCount: attached, PermissionsBoundaryUsageCount: bounds, IsAttachable: true}
	if p := s.policies[arn]; p != nil {
		out.PolicyId, out.Path, out.Description, out.Tags = p.id, p.path, p.description, p.tags
		out.CreateDate, out.UpdateDate = wire.At(p.created), wire.At(p.created)
		return out
	}
	out.PolicyId = "ANPAEKSPEDITEAWSMANAGED"
	out.Path = strings.TrimSuffix(strings.TrimPrefix(arn, "arn:aws:iam::aws:policy"), out.PolicyName)
	return out
}

func (s *Service) getPolicyVersion(in *request) (any, error) {
	raw, created := "", (*wire.Time)(nil)
	if p := s.policies[in.PolicyArn]; p != nil {
		raw, created = p.text.raw, wire.At(p.created)
	} else if t, ok := awsManaged()[in.PolicyArn]; ok {
		raw = t.raw
	} else {
		return nil, notFound("Policy %s was not found.", in.PolicyArn)
	}
	if in.VersionId != "v1" {
		return nil, notFound("Policy %s version %s does not exist or is not attachable.", in.PolicyArn, in.VersionId)
	}
	type version struct {
		Document, VersionId string
		IsDefaultVersion    bool
		CreateDate          *wire.Time
	}
	return struct{ PolicyVersion version }{version{encoded(raw), "v1", true, created}}, nil
}
