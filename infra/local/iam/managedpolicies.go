package iam

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

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

// onPolicy says that an operation needs one action on the managed policy that the request names.
func (s *Service) onPolicy(action string) func(*request) []wire.Need {
	return func(in *request) []wire.Need {
		n := wire.Need{Action: "iam:" + action, Resource: in.PolicyArn, Context: requestTags(in.Tags)}
		if p := s.policies[in.PolicyArn]; p != nil {
			resourceTags(n.Context, p.tags)
		}
		if in.TagKeys != nil {
			n.Context["aws:TagKeys"] = in.TagKeys
		}
		return []wire.Need{n}
	}
}

// withOwnPolicy is an operation that changes a customer managed policy.
func (s *Service) withOwnPolicy(name string, do func(*managed, *request) (any, error)) wire.Op {
	return s.op(name, s.onPolicy(name), func(in *request) (any, error) {
		if strings.HasPrefix(in.PolicyArn, awsPrefix) && s.policyExists(in.PolicyArn) {
			return nil, wire.Errf("AccessDenied", "Cannot perform this operation on an AWS managed policy.").WithStatus(http.StatusForbidden)
		}
		p := s.policies[in.PolicyArn]
		if p == nil {
			return nil, notFound("Policy %s was not found.", in.PolicyArn)
		}
		return do(p, in)
	})
}

// policyOps are the managed policies.
func (s *Service) policyOps() []wire.Op {
	return []wire.Op{
		s.op("CreatePolicy", func(in *request) []wire.Need {
			path := in.Path
			_ = checkPath(&path) // a wrong path is refused by the operation
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
		s.op("GetPolicy", s.onPolicy("GetPolicy"), func(in *request) (any, error) {
			if !s.policyExists(in.PolicyArn) {
				return nil, notFound("Policy %s was not found.", in.PolicyArn)
			}
			return struct{ Policy policyXML }{s.policyXML(in.PolicyArn)}, nil
		}),
		s.withOwnPolicy("DeletePolicy", func(p *managed, _ *request) (any, error) {
			if attached, bounds := s.attachments(p.arn); attached+bounds > 0 {
				return nil, conflict("Cannot delete a policy attached to entities.")
			}
			if len(p.versions) > 1 {
				return nil, conflict("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
			}
			delete(s.policies, p.arn)
			return nil, nil
		}),
		s.op("ListPolicies", needs("iam:ListPolicies", "*"), s.listPolicies),
		s.op("ListEntitiesForPolicy", s.onPolicy("ListEntitiesForPolicy"), s.listEntities),
		s.withOwnPolicy("TagPolicy", func(p *managed, in *request) (any, error) {
			return nil, setTags(&p.tags, in.Tags)
		}),
		s.withOwnPolicy("UntagPolicy", func(p *managed, in *request) (any, error) {
			p.tags = remove(p.tags, in.TagKeys)
			return nil, nil
		}),
		s.withOwnPolicy("ListPolicyTags", func(p *managed, in *request) (any, error) { return tagList(p.tags, in) }),
	}
}

// setTags sets tags unless that makes them wrong or too many.
func setTags(tags *[]Tag, set []Tag) error {
	all := merge(*tags, set)
	for _, list := range [][]Tag{set, all} {
		if err := checkTags(list); err != nil {
			return err
		}
	}
	*tags = all
	return nil
}

func tagList(tags []Tag, in *request) (any, error) {
	tags, p, err := page(tags, func(t Tag) string { return t.Key }, in.Marker, in.MaxItems)
	return struct {
		Tags []Tag `xml:"Tags>member"`
		Page
	}{tags, p}, err
}

// policyLimit is IAM's quota for one version of a managed policy; white space does not count.
const policyLimit = 6144

func parseManaged(arn, document string) (text, error) {
	t, err := parse(arn, document, policy.Identity)
	if err == nil && length(document) > policyLimit {
		err = quota("PolicySize", policyLimit)
	}
	return t, err
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
	t, err := parseManaged(arn, in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	for _, p := range s.policies {
		if strings.EqualFold(p.name, in.PolicyName) {
			return nil, exists("A policy called %s already exists. Duplicate names are not allowed.", in.PolicyName)
		}
	}
	if len(s.policies) >= maxPolicies {
		return nil, quota("PoliciesPerAccount", maxPolicies)
	}
	now := time.Now()
	p := &managed{name: in.PolicyName, path: path, id: s.id("ANPA"), arn: arn, description: in.Description, created: now, updated: now,
		text: t, versions: []version{{1, t, now}}, fallback: 1, last: 1, tags: merge(nil, in.Tags)}
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
		out.CreateDate, out.UpdateDate = wire.At(p.created), wire.At(p.updated)
		out.DefaultVersionId = fmt.Sprintf("v%d", p.fallback)
		return out
	}
	out.PolicyId = "ANPAEKSPEDITEAWSMANAGED"
	out.Path = strings.TrimSuffix(strings.TrimPrefix(arn, "arn:aws:iam::aws:policy"), out.PolicyName)
	return out
}

func (s *Service) listPolicies(in *request) (any, error) {
	if in.Scope != "" && !slices.Contains([]string{"All", "AWS", "Local"}, in.Scope) {
		return nil, wire.Errf("ValidationError", "1 validation error detected: Value '%s' at 'scope' failed to satisfy constraint: Member must satisfy enum value set: [AWS, Local, All]", in.Scope)
	}
	usage := in.PolicyUsageFilter
	if usage != "" && usage != "PermissionsPolicy" && usage != "PermissionsBoundary" {
		return nil, wire.Errf("ValidationError", "1 validation error detected: Value '%s' at 'policyUsageFilter' failed to satisfy constraint: Member must satisfy enum value set: [PermissionsPolicy, PermissionsBoundary]", usage)
	}
	var arns []string
	if in.Scope != "AWS" {
		arns = append(arns, sorted(s.policies)...)
	}
	if in.Scope != "Local" {
		arns = append(arns, sorted(awsManaged())...)
	}
	var list []policyXML
	for _, arn := range arns {
		p := s.policyXML(arn)
		p.Tags, p.Description = nil, "" // lists leave these out
		used := in.OnlyAttached || usage != ""
		inUse := usage != "PermissionsBoundary" && p.AttachmentCount > 0 || usage != "PermissionsPolicy" && p.PermissionsBoundaryUsageCount > 0
		if strings.HasPrefix(p.Path, in.PathPrefix) && (!used || inUse) {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b policyXML) int { return strings.Compare(a.Arn, b.Arn) })
	list, p, err := page(list, func(p policyXML) string { return p.Arn }, in.Marker, in.MaxItems)
	return struct {
		Policies []policyXML `xml:"Policies>member"`
		Page
	}{list, p}, err
}

// listEntities lists the roles that have a policy. There are no users and groups.
func (s *Service) listEntities(in *request) (any, error) {
	if !s.policyExists(in.PolicyArn) {
		return nil, notFound("Policy %s was not found.", in.PolicyArn)
	}
	type entry struct{ RoleName, RoleId string }
	var list []entry
	for _, name := range sorted(s.roles) {
		r := s.roles[name]
		attached := in.PolicyUsageFilter != "PermissionsBoundary" && slices.Contains(r.attached, in.PolicyArn) ||
			in.PolicyUsageFilter != "PermissionsPolicy" && r.boundary == in.PolicyArn
		if attached && strings.HasPrefix(r.path, in.PathPrefix) && (in.EntityFilter == "" || in.EntityFilter == "Role") {
			list = append(list, entry{r.name, r.id})
		}
	}
	list, p, err := page(list, func(e entry) string { return e.RoleName }, in.Marker, in.MaxItems)
	return struct {
		PolicyRoles  []entry  `xml:"PolicyRoles>member"`
		PolicyUsers  struct{} `xml:"PolicyUsers"`
		PolicyGroups struct{} `xml:"PolicyGroups"`
		Page
	}{PolicyRoles: list, Page: p}, err
}
