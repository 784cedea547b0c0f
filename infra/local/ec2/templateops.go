package ec2

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type createTemplateIn struct {
	DryRun             bool
	ClientToken        string
	LaunchTemplateName string
	VersionDescription string
	LaunchTemplateData *templateData
	TagSpecifications  []tagSpec `query:"TagSpecification"`
}

type templateXML struct {
	ID             string     `xml:"launchTemplateId"`
	Name           string     `xml:"launchTemplateName"`
	CreateTime     *wire.Time `xml:"createTime"`
	CreatedBy      string     `xml:"createdBy"`
	DefaultVersion int64      `xml:"defaultVersionNumber"`
	LatestVersion  int64      `xml:"latestVersionNumber"`
	Tags           []tag      `xml:"tagSet>item"`
}

type templateOut struct {
	Template templateXML `xml:"launchTemplate"`
}

type templateIn struct {
	DryRun             bool
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	DefaultVersion     string `query:"SetDefaultVersion"`
}

type describeTemplatesIn struct {
	DryRun     bool
	IDs        []string `query:"LaunchTemplateId"`
	Names      []string `query:"LaunchTemplateName"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeTemplatesOut struct {
	Templates []templateXML `xml:"launchTemplates>item"`
	NextToken string        `xml:"nextToken,omitempty"`
}

type createVersionIn struct {
	DryRun             bool
	ClientToken        string
	LaunchTemplateID   string `query:"LaunchTemplateId"`
	LaunchTemplateName string
	SourceVersion      string
	VersionDescription string
	LaunchTemplateData *templateData
	ResolveAlias       bool
}

type versionXML struct {
	ID          string       `xml:"launchTemplateId"`
	Name        string       `xml:"launchTemplateName"`
	Number      int64        `xml:"versionNumber"`
	Description string       `xml:"versionDescription,omitempty"`
	CreateTime  *wire.Time   `xml:"createTime"`
	CreatedBy   string       `xml:"createdBy"`
	Default     bool         `xml:"defaultVersion"`
	Data        templateData `xml:"launchTemplateData"`
}

type createVersionOut struct {
	Version versionXML `xml:"launchTemplateVersion"`
}

type describeVersionsIn struct {
	DryRun                 bool
	LaunchTemplateID       string `query:"LaunchTemplateId"`
	LaunchTemplateName     string
	Versions               []string `query:"LaunchTemplateVersion"`
	MinVersion, MaxVersion string
	Filters                []filter `query:"Filter"`
	MaxResults             *int
	NextToken              string
	ResolveAlias           bool
}

type describeVersionsOut struct {
	Versions  []versionXML `xml:"launchTemplateVersionSet>item"`
	NextToken string       `xml:"nextToken,omitempty"`
}

var templateFilters = filters[*template]{
	"launch-template-name": one(func(t *template) string { return t.name }),
}

var versionFilters = filters[versionXML]{
	"image-id":           one(func(v versionXML) string { return v.Data.ImageID }),
	"instance-type":      one(func(v versionXML) string { return v.Data.InstanceType }),
	"is-default-version": one(func(v versionXML) string { return strconv.FormatBool(v.Default) }),
}

func (s *Service) templateOps() []wire.Op {
	on := func(action string) func(in *templateIn) []wire.Need {
		return func(in *templateIn) []wire.Need {
			return s.needs(action, s.templateID(in.LaunchTemplateID, in.LaunchTemplateName))
		}
	}
	return []wire.Op{
		handle("CreateLaunchTemplate", func(in *createTemplateIn) []wire.Need {
			return s.creates("CreateLaunchTemplate", kindTemplate, in.TagSpecifications, nil)
		}, s.createTemplate),
		handle("DeleteLaunchTemplate", on("ec2:DeleteLaunchTemplate"), s.deleteTemplate),
		handle("ModifyLaunchTemplate", on("ec2:ModifyLaunchTemplate"), s.modifyTemplate),
		handle("DescribeLaunchTemplates", nil, s.describeTemplates),
		handle("CreateLaunchTemplateVersion", func(in *createVersionIn) []wire.Need {
			return s.needs("ec2:CreateLaunchTemplateVersion", s.templateID(in.LaunchTemplateID, in.LaunchTemplateName))
		}, s.createVersion),
		handle("DescribeLaunchTemplateVersions", nil, s.describeVersions),
	}
}

// templateID is the id for IAM of a template that a request names; one that does not exist is an id that matches only *.
func (s *Service) templateID(id, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, err := s.findTemplate(id, name); err == nil {
		return t.id
	}
	if id == "" {
		return kindTemplate.prefix + "*"
	}
	return id
}

func templateXMLOf(t *template) templateXML {
	return templateXML{
		ID: t.id, Name: t.name, CreateTime: wire.At(t.created), CreatedBy: t.by, DefaultVersion: t.defaultVersion,
		LatestVersion: t.versions[len(t.versions)-1].number, Tags: tagSet(t.tags),
	}
}

func versionXMLOf(t *template, v *templateVersion) versionXML {
	return versionXML{
		ID: t.id, Name: t.name, Number: v.number, Description: v.description, CreateTime: wire.At(v.created), CreatedBy: t.by,
		Default: v.number == t.defaultVersion, Data: v.data,
	}
}

var templateName = regexp.MustCompile(`^[a-zA-Z0-9().\-/_]{3,128}$`)

// newTemplate makes a launch template with its first version. The lock is held.
func (s *Service) newTemplate(name, description string, tags map[string]string, data templateData) (*template, error) {
	if !templateName.MatchString(name) {
		return nil, wire.Errf("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	if _, err := s.findTemplate("", name); err == nil {
		return nil, wire.Errf("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
	}
	if _, ok := catalogue[data.InstanceType]; data.InstanceType != "" && !ok {
		return nil, invalid("Invalid value '%s' for InstanceType.", data.InstanceType)
	}
	t := &template{name: name, defaultVersion: 1, by: "arn:aws:iam::" + s.w.Account + ":root"}
	t.addVersion(description, data)
	s.add(kindTemplate, t, tags)
	return t, nil
}

func (s *Service) createTemplate(in *createTemplateIn) (*templateOut, error) {
	tags, err := specTags(in.TagSpecifications, "launch-template")
	if err != nil {
		return nil, err
	}
	if in.LaunchTemplateName == "" {
		return nil, missing("LaunchTemplateName")
	}
	if in.LaunchTemplateData == nil {
		return nil, missing("LaunchTemplateData")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateLaunchTemplate", in.ClientToken, in, func() (*templateOut, error) {
		t, err := s.newTemplate(in.LaunchTemplateName, in.VersionDescription, tags, *in.LaunchTemplateData)
		if err != nil {
			return nil, err
		}
		return &templateOut{templateXMLOf(t)}, nil
	})
}

func (s *Service) deleteTemplate(in *templateIn) (*templateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.findTemplate(in.LaunchTemplateID, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	s.remove(t)
	return &templateOut{templateXMLOf(t)}, nil
}

func (s *Service) modifyTemplate(in *templateIn) (*templateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.findTemplate(in.LaunchTemplateID, in.LaunchTemplateName)
	if err != nil {
		return nil, err
	}
	if in.DefaultVersion != "" {
		v, err := t.version(in.DefaultVersion)
		if err != nil {
			return nil, err
		}
		t.defaultVersion = v.number
	}
	return &templateOut{templateXMLOf(t)}, nil
}

func (s *Service) describeTemplates(in *describeTemplatesIn) (*describeTemplatesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range in.Names {
		t, err := s.findTemplate("", name)
		if err != nil {
			return nil, err
		}
		in.IDs = append(in.IDs, t.id)
	}
	items, next, err := describe(s, kindTemplate, templateFilters, query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, least: 1, token: in.NextToken})
	out := &describeTemplatesOut{NextToken: next}
	for _, t := range items {
		out.Templates = append(out.Templates, templateXMLOf(t))
	}
	return out, err
}

func (s *Service) createVersion(in *createVersionIn) (*createVersionOut, error) {
	if in.LaunchTemplateData == nil {
		return nil, missing("LaunchTemplateData")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateLaunchTemplateVersion", in.ClientToken, in, func() (*createVersionOut, error) {
		t, err := s.findTemplate(in.LaunchTemplateID, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		data := *in.LaunchTemplateData
		if in.SourceVersion != "" {
			source, err := t.version(in.SourceVersion)
			if err != nil {
				return nil, err
			}
			data = merge(source.data, data)
		}
		return &createVersionOut{versionXMLOf(t, t.addVersion(in.VersionDescription, data))}, nil
	})
}

func (s *Service) describeVersions(in *describeVersionsIn) (*describeVersionsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	templates := all[*template](s)
	if in.LaunchTemplateID != "" || in.LaunchTemplateName != "" {
		t, err := s.findTemplate(in.LaunchTemplateID, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		templates = []*template{t}
	} else if len(in.Versions) == 0 || slices.ContainsFunc(in.Versions, func(v string) bool { return v != "$Latest" && v != "$Default" }) {
		return nil, missing("LaunchTemplateId or LaunchTemplateName") // all templates at once only for $Latest and $Default
	}
	var items []versionXML
	for _, t := range templates {
		if len(in.Versions) > 0 {
			for _, name := range in.Versions {
				v, err := t.version(name)
				if err != nil {
					return nil, err
				}
				items = append(items, versionXMLOf(t, v))
			}
			continue
		}
		least, err := bound(in.MinVersion, 1)
		if err != nil {
			return nil, err
		}
		most, err := bound(in.MaxVersion, t.latest)
		if err != nil {
			return nil, err
		}
		for i := range slices.Backward(t.versions) { // newest first, as AWS lists them
			if v := &t.versions[i]; v.number >= least && v.number <= most {
				items = append(items, versionXMLOf(t, v))
			}
		}
	}
	items, err := versionFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(items, func(v versionXML) string { return v.ID + strconv.FormatInt(1e12-v.Number, 10) }, query{max: in.MaxResults, least: 1, token: in.NextToken})
	return &describeVersionsOut{page, next}, err
}

func bound(v string, otherwise int64) (int64, error) {
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, invalid("Value (%s) for a version bound is invalid.", v)
	}
	return n, nil
}
