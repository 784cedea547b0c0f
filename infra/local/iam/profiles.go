package iam

import (
	"net/http"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type profileXML struct {
	Path, InstanceProfileName, InstanceProfileId, Arn string
	CreateDate                                        wire.Time
	Roles                                             []roleXML `xml:"Roles>member"`
	Tags                                              []Tag     `xml:"Tags>member,omitempty"`
}

func (s *Service) profileXML(p *profile) profileXML {
	out := profileXML{Path: p.path, InstanceProfileName: p.name, InstanceProfileId: p.id, Arn: p.arn, CreateDate: wire.Time{Time: p.created}, Tags: p.tags}
	if r := s.roles[p.role]; r != nil {
		out.Roles = []roleXML{r.xml(false, "")}
	}
	return out
}

func (s *Service) onProfile(action string) func(*request) []wire.Need {
	return func(in *request) []wire.Need {
		n := wire.Need{Action: "iam:" + action, Resource: s.arn("instance-profile/" + in.InstanceProfileName), Context: requestTags(in.Tags)}
		if p := s.profiles[in.InstanceProfileName]; p != nil {
			n.Resource = p.arn
			resourceTags(n.Context, p.tags)
		}
		return []wire.Need{n}
	}
}

func (s *Service) withProfile(name string, also func(*request) []wire.Need, do func(*profile, *request) (any, error)) wire.Op {
	return s.op(name, func(in *request) []wire.Need {
		out := s.onProfile(name)(in)
		if also != nil {
			out = append(out, also(in)...)
		}
		return out
	}, func(in *request) (any, error) {
		p := s.profiles[in.InstanceProfileName]
		if p == nil {
			return nil, notFound("Instance Profile %s cannot be found.", in.InstanceProfileName)
		}
		return do(p, in)
	})
}

func (s *Service) profileOps() []wire.Op {
	return []wire.Op{
		s.op("CreateInstanceProfile", s.onProfile("CreateInstanceProfile"), func(in *request) (any, error) {
			p, err := s.newProfile(in)
			if err != nil {
				return nil, err
			}
			return struct{ InstanceProfile profileXML }{s.profileXML(p)}, nil
		}),
		s.withProfile("GetInstanceProfile", nil, func(p *profile, _ *request) (any, error) {
			return struct{ InstanceProfile profileXML }{s.profileXML(p)}, nil
		}),
		s.withProfile("DeleteInstanceProfile", nil, func(p *profile, _ *request) (any, error) {
			if p.role != "" {
				return nil, conflict("Cannot delete entity, must remove roles from instance profile first.")
			}
			delete(s.profiles, p.name)
			return nil, nil
		}),
		// To put a role into a profile is to pass it to EC2.
		s.withProfile("AddRoleToInstanceProfile", func(in *request) []wire.Need {
			n := s.onRole("PassRole")(in)
			n[0].Context["iam:PassedToService"] = []string{"ec2.amazonaws.com"}
			return n
		}, func(p *profile, in *request) (any, error) { return nil, s.addToProfile(p, in.RoleName) }),
		s.withProfile("RemoveRoleFromInstanceProfile", nil, func(p *profile, in *request) (any, error) {
			if p.role == "" || p.role != in.RoleName {
				return nil, notFound("The role with name %s cannot be found.", in.RoleName)
			}
			p.role = ""
			return nil, nil
		}),
		s.withRole("ListInstanceProfilesForRole", func(r *role, in *request) (any, error) {
			var list []profileXML
			for _, name := range sorted(s.profiles) {
				if s.profiles[name].role == r.name {
					list = append(list, s.profileXML(s.profiles[name]))
				}
			}
			list, p, err := page(list, func(p profileXML) string { return p.InstanceProfileName }, in.Marker, in.MaxItems)
			return struct {
				InstanceProfiles []profileXML `xml:"InstanceProfiles>member"`
				Page
			}{list, p}, err
		}),
	}
}

func (s *Service) newProfile(in *request) (*profile, error) {
	if err := checkName("instanceProfileName", in.InstanceProfileName, 128); err != nil {
		return nil, err
	}
	path := in.Path
	if err := checkPath(&path); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if s.profiles[in.InstanceProfileName] != nil {
		return nil, exists("Instance Profile %s already exists.", in.InstanceProfileName)
	}
	p := &profile{name: in.InstanceProfileName, path: path, id: s.id("AIPA"), arn: s.arn("instance-profile" + path + in.InstanceProfileName), created: time.Now(), tags: merge(nil, in.Tags)}
	s.profiles[p.name] = p
	return p, nil
}

func (s *Service) addToProfile(p *profile, roleName string) error {
	switch {
	case s.roles[roleName] == nil:
		return notFound("The role with name %s cannot be found.", roleName)
	case p.role != "":
		return wire.Errf("LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1").WithStatus(http.StatusConflict)
	}
	p.role = roleName
	return nil
}

// providerOps are the OpenID Connect providers, for IAM roles for service accounts.
func (s *Service) providerOps() []wire.Op {
	on := func(action string) func(*request) []wire.Need {
		return func(in *request) []wire.Need {
			return []wire.Need{{Action: "iam:" + action, Resource: in.OpenIDConnectProviderArn}}
		}
	}
	return []wire.Op{
		s.op("CreateOpenIDConnectProvider", func(in *request) []wire.Need {
			return []wire.Need{{Action: "iam:CreateOpenIDConnectProvider", Resource: s.arn("oidc-provider/" + strings.TrimPrefix(in.Url, "https://")), Context: requestTags(in.Tags)}}
		}, func(in *request) (any, error) {
			host, ok := strings.CutPrefix(in.Url, "https://")
			if !ok || host == "" {
				return nil, wire.Errf("ValidationError", "Invalid Open ID Connect Provider URL")
			}
			p := &oidcProvider{arn: s.arn("oidc-provider/" + strings.TrimSuffix(host, "/")), url: strings.TrimSuffix(host, "/"),
				clients: in.ClientIDList, thumbprint: in.ThumbprintList, created: time.Now(), tags: merge(nil, in.Tags)}
			if s.providers[p.arn] != nil {
				return nil, exists("Provider with url %s already exists.", in.Url)
			}
			s.providers[p.arn] = p
			return struct{ OpenIDConnectProviderArn string }{p.arn}, nil
		}),
		s.op("GetOpenIDConnectProvider", on("GetOpenIDConnectProvider"), func(in *request) (any, error) {
			p := s.providers[in.OpenIDConnectProviderArn]
			if p == nil {
				return nil, notFound("OpenIDConnect Provider not found for arn %s", in.OpenIDConnectProviderArn)
			}
			return struct {
				Url            string
				ClientIDList   []string `xml:"ClientIDList>member"`
				ThumbprintList []string `xml:"ThumbprintList>member"`
				CreateDate     wire.Time
				Tags           []Tag `xml:"Tags>member,omitempty"`
			}{p.url, p.clients, p.thumbprint, wire.Time{Time: p.created}, p.tags}, nil
		}),
		s.op("ListOpenIDConnectProviders", needs("iam:ListOpenIDConnectProviders", "*"), func(*request) (any, error) {
			type entry struct{ Arn string }
			var list []entry
			for _, arn := range sorted(s.providers) {
				list = append(list, entry{arn})
			}
			return struct {
				List []entry `xml:"OpenIDConnectProviderList>member"`
			}{list}, nil
		}),
		s.op("DeleteOpenIDConnectProvider", on("DeleteOpenIDConnectProvider"), func(in *request) (any, error) {
			delete(s.providers, in.OpenIDConnectProviderArn) // IAM does not mind if there is none
			return nil, nil
		}),
	}
}
