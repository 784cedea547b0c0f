package iam

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type versionXML struct {
	Document         string `xml:",omitempty"`
	VersionId        string
	IsDefaultVersion bool
	CreateDate       *wire.Time
}

// maxVersions is IAM's quota of versions of one managed policy.
const maxVersions = 5

// versionOps are the versions of managed policies.
func (s *Service) versionOps() []wire.Op {
	return []wire.Op{
		s.withOwnPolicy("CreatePolicyVersion", func(p *managed, in *request) (any, error) {
			t, err := parseManaged(p.arn, in.PolicyDocument)
			if err != nil {
				return nil, err
			}
			if len(p.versions) >= maxVersions {
				return nil, wire.Errf("LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions).WithStatus(http.StatusConflict)
			}
			p.last++
			v := version{p.last, t, time.Now()}
			p.versions = append(p.versions, v)
			if in.SetAsDefault {
				p.use(v)
			}
			out := p.versionXML(v)
			out.Document = "" // the answer leaves it out
			return struct{ PolicyVersion versionXML }{out}, nil
		}),
		s.withOwnPolicy("SetDefaultPolicyVersion", func(p *managed, in *request) (any, error) {
			i, err := p.find(in.VersionId)
			if err == nil {
				p.use(p.versions[i])
			}
			return nil, err
		}),
		s.withOwnPolicy("DeletePolicyVersion", func(p *managed, in *request) (any, error) {
			i, err := p.find(in.VersionId)
			if err != nil {
				return nil, err
			}
			if p.versions[i].number == p.fallback {
				return nil, conflict("Cannot delete the default version of a policy.")
			}
			p.versions = slices.Delete(p.versions, i, i+1)
			return nil, nil
		}),
		s.op("GetPolicyVersion", s.onPolicy("GetPolicyVersion"), func(in *request) (any, error) {
			all, err := s.versionsOf(in.PolicyArn)
			if err != nil {
				return nil, err
			}
			for _, v := range all {
				if v.VersionId == in.VersionId {
					return struct{ PolicyVersion versionXML }{v}, nil
				}
			}
			return nil, noVersion(in.PolicyArn, in.VersionId)
		}),
		s.op("ListPolicyVersions", s.onPolicy("ListPolicyVersions"), func(in *request) (any, error) {
			all, err := s.versionsOf(in.PolicyArn)
			if err != nil {
				return nil, err
			}
			for i := range all {
				all[i].Document = "" // lists leave it out
			}
			slices.Reverse(all) // newest first
			return struct {
				Versions []versionXML `xml:"Versions>member"`
				Page
			}{Versions: all}, nil // never more than five
		}),
	}
}

func noVersion(arn, id string) error {
	return notFound("Policy %s version %s does not exist or is not attachable.", arn, id)
}

// use makes a version the default one.
func (p *managed) use(v version) {
	p.fallback, p.text, p.updated = v.number, v.text, time.Now()
}

func (p *managed) find(id string) (int, error) {
	i := slices.IndexFunc(p.versions, func(v version) bool { return fmt.Sprintf("v%d", v.number) == id })
	if i < 0 {
		return 0, noVersion(p.arn, id)
	}
	return i, nil
}

func (p *managed) versionXML(v version) versionXML {
	return versionXML{encoded(v.text.raw), fmt.Sprintf("v%d", v.number), v.number == p.fallback, wire.At(v.created)}
}

// versionsOf lists the versions of a customer's or AWS's policy, oldest first.
func (s *Service) versionsOf(arn string) ([]versionXML, error) {
	if p := s.policies[arn]; p != nil {
		var out []versionXML
		for _, v := range p.versions {
			out = append(out, p.versionXML(v))
		}
		return out, nil
	}
	t, ok := awsManaged()[arn]
	if !ok {
		return nil, notFound("Policy %s was not found.", arn)
	}
	return []versionXML{{encoded(t.raw), "v1", true, nil}}, nil
}
