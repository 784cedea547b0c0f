package iam

import (
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
		path := in.Path
		_ = checkPath(&path) // a wrong path is refused by the operation
		n := wire.Need{Action: "iam:" + action, Resource: s.arn("instance-profile" + path + in.InstanceProfileName), Context: requestTags(in.Tags)}
		if in.TagKeys != nil {
			n.Context["aws:TagKeys"] = in.TagKeys
		}
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
		s.op("ListInstanceProfiles", needs("iam:ListInstanceProfiles", s.arn("instance-profile/")), func(in *request) (any, error) {
			var list []profileXML
			for _, name := range sorted(s.profiles) {
				if strings.HasPrefix(s.profiles[name].path, in.PathPrefix) {
					p := s.profileXML(s.profiles[name])
					p.Tags = nil // lists leave them out
					list = append(list, p)
				}
			}
			return profileList(list, in)
		}),
		s.withProfile("TagInstanceProfile", nil, func(p *profile, in *request) (any, error) { return nil, setTags(&p.tags, in.Tags) }),
		s.withProfile("UntagInstanceProfile", nil, func(p *profile, in *request) (any, error) {
			p.tags = remove(p.tags, in.TagKeys)
			return nil, nil
		}),
		s.withProfile("ListInstanceProfileTags", nil, func(p *profile, in *request) (any, error) { return tagList(p.tags, in) }),
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
			return profileList(list, in)
		}),
	}
}

func profileList(list []profileXML, in *request) (any, error) {
	list, p, err := page(list, func(p profileXML) string { return p.InstanceProfileName }, in.Marker, in.MaxItems)
	return struct {
		InstanceProfiles []profileXML `xml:"InstanceProfiles>member"`
		Page
	}{list, p}, err
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
	if len(s.profiles) >= maxProfiles {
		return nil, quota("InstanceProfilesPerAccount", maxProfiles)
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
		return quota("InstanceSessionsPerInstanceProfile", 1)
	}
	p.role = roleName
	return nil
}
