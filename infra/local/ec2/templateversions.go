package ec2

import (
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type deleteVersionsIn struct {
	DryRun             bool
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	Versions           []string `query:"LaunchTemplateVersion"`
}

type deletedVersionXML struct {
	ID     string `xml:"launchTemplateId"`
	Name   string `xml:"launchTemplateName"`
	Number int64  `xml:"versionNumber"`
}

type undeletedVersionXML struct {
	deletedVersionXML
	Code    string `xml:"responseError>code"`
	Message string `xml:"responseError>message"`
}

type deleteVersionsOut struct {
	Deleted   []deletedVersionXML   `xml:"successfullyDeletedLaunchTemplateVersionSet>item"`
	Undeleted []undeletedVersionXML `xml:"unsuccessfullyDeletedLaunchTemplateVersionSet>item"`
}

func (s *Service) templateVersionOps() []wire.Op {
	return []wire.Op{
		handle("DeleteLaunchTemplateVersions", func(in *deleteVersionsIn) []wire.Need {
			return s.needs("ec2:DeleteLaunchTemplateVersions", s.templateID(in.LaunchTemplateID, in.LaunchTemplateName))
		}, s.deleteVersions),
	}
}

// deleteVersions deletes what it can: not the default version, whose errors stand in the answer.
func (s *Service) deleteVersions(in *deleteVersionsIn) (*deleteVersionsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.findTemplate(in.LaunchTemplateID, in.LaunchTemplateName)
	switch {
	case err != nil:
		return nil, err
	case len(in.Versions) == 0:
		return nil, missing("LaunchTemplateVersion")
	case len(in.Versions) > 200:
		return nil, wire.Errf("InvalidParameterValue", "At most 200 launch template versions can be deleted in one request.")
	}
	out := &deleteVersionsOut{}
	for _, name := range in.Versions {
		number, err := strconv.ParseInt(name, 10, 64)
		if err != nil {
			return nil, invalid("Invalid launch template version: '%s'. Launch template version can only be a number.", name)
		}
		x := deletedVersionXML{t.id, t.name, number}
		at := slices.IndexFunc(t.versions, func(v templateVersion) bool { return v.number == number })
		switch {
		case at < 0:
			out.Undeleted = append(out.Undeleted, undeletedVersionXML{x, "launchTemplateVersionDoesNotExist", "Could not find launch template version"})
		case number == t.defaultVersion:
			out.Undeleted = append(out.Undeleted, undeletedVersionXML{x, "unexpectedError", "You cannot delete the default version of a launch template"})
		default:
			t.versions = slices.Delete(t.versions, at, at+1)
			out.Deleted = append(out.Deleted, x)
		}
	}
	return out, nil
}
