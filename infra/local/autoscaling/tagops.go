package autoscaling

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type tagIn struct {
	Key               string
	Value             *string // absent in DeleteTags: whatever the value
	ResourceID        string  `query:"ResourceId"`
	ResourceType      string
	PropagateAtLaunch bool
}

type tagXML struct {
	ResourceID        string `xml:"ResourceId"`
	ResourceType      string
	Key               string
	Value             string
	PropagateAtLaunch bool
}

type tagsIn struct {
	Tags []tagIn
}

type describeTagsIn struct {
	Filters    []filter
	MaxRecords *int
	NextToken  string
}

type describeTagsOut struct {
	Tags      []tagXML `xml:"Tags>member"`
	NextToken string   `xml:",omitempty"`
}

func (t tagIn) value() string {
	if t.Value == nil {
		return ""
	}
	return *t.Value
}

func requestTags(context map[string][]string, tags []tagIn) {
	for _, t := range tags {
		context["aws:RequestTag/"+t.Key] = []string{t.value()}
		context["aws:TagKeys"] = append(context["aws:TagKeys"], t.Key)
	}
}

// readTags checks tags that a user sets on one group.
func readTags(in []tagIn, group string) ([]groupTag, error) {
	var out []groupTag
	for _, t := range in {
		switch {
		case t.Key == "":
			return nil, validation("Tag key cannot be empty")
		case strings.HasPrefix(strings.ToLower(t.Key), "aws:"):
			return nil, validation("The tag key %s is reserved: keys must not begin with aws:", t.Key)
		case t.ResourceID != "" && t.ResourceID != group:
			return nil, validation("The resource %s of the tag %s is not the Auto Scaling group %s", t.ResourceID, t.Key, group)
		case t.ResourceType != "" && t.ResourceType != "auto-scaling-group":
			return nil, validation("Unsupported tag resource type %s: only auto-scaling-group", t.ResourceType)
		case slices.ContainsFunc(out, func(o groupTag) bool { return o.Key == t.Key }):
			return nil, validation("Duplicate tag key %s", t.Key)
		}
		out = append(out, groupTag{t.Key, t.value(), t.PropagateAtLaunch})
	}
	return out, nil
}

func (g *group) tagsXML() []tagXML {
	var out []tagXML
	for _, t := range g.tags {
		out = append(out, tagXML{g.name, "auto-scaling-group", t.Key, t.Value, t.Propagate})
	}
	slices.SortFunc(out, func(a, b tagXML) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func (g *group) setTag(t groupTag) {
	for i := range g.tags {
		if g.tags[i].Key == t.Key {
			g.tags[i] = t
			return
		}
	}
	g.tags = append(g.tags, t)
}

func (s *Service) tagOps() []wire.Op {
	needs := func(action string) func(in *tagsIn) []wire.Need {
		return func(in *tagsIn) []wire.Need {
			var out []wire.Need
			for _, t := range in.Tags {
				n := s.need(action, t.ResourceID)
				requestTags(n.Context, []tagIn{t})
				out = append(out, n)
			}
			return out
		}
	}
	return []wire.Op{
		handle(s, "CreateOrUpdateTags", needs("CreateOrUpdateTags"), s.createTags),
		handle(s, "DeleteTags", needs("DeleteTags"), s.deleteTags),
		handle(s, "DescribeTags", nil, s.describeTags),
	}
}

// tagged finds the groups of a request's tags before any is changed.
func (s *Service) tagged(in *tagsIn) ([]*group, error) {
	var out []*group
	for _, t := range in.Tags {
		g, err := s.find(t.ResourceID)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	return out, nil
}

func (s *Service) createTags(in *tagsIn) (*none, error) {
	groups, err := s.tagged(in)
	if err != nil {
		return nil, err
	}
	var tags []groupTag
	for _, t := range in.Tags {
		one, err := readTags([]tagIn{t}, t.ResourceID)
		if err != nil {
			return nil, err
		}
		tags = append(tags, one...)
	}
	for i, g := range groups {
		g.setTag(tags[i])
	}
	return &none{}, nil
}

func (s *Service) deleteTags(in *tagsIn) (*none, error) {
	groups, err := s.tagged(in)
	if err != nil {
		return nil, err
	}
	for i, g := range groups {
		t := in.Tags[i]
		g.tags = slices.DeleteFunc(g.tags, func(o groupTag) bool { return o.Key == t.Key && (t.Value == nil || *t.Value == o.Value) })
	}
	return &none{}, nil
}

func (s *Service) describeTags(in *describeTagsIn) (*describeTagsOut, error) {
	var items []tagXML
	for _, g := range s.sorted() {
		items = append(items, g.tagsXML()...)
	}
	for _, f := range in.Filters {
		var value func(tagXML) string
		switch f.Name {
		case "auto-scaling-group":
			value = func(t tagXML) string { return t.ResourceID }
		case "key":
			value = func(t tagXML) string { return t.Key }
		case "value":
			value = func(t tagXML) string { return t.Value }
		case "propagate-at-launch":
			value = func(t tagXML) string { return strconv.FormatBool(t.PropagateAtLaunch) }
		default:
			return nil, validation("Filter type %s is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch", f.Name)
		}
		items = slices.DeleteFunc(items, func(t tagXML) bool { return !slices.Contains(f.Values, value(t)) })
	}
	page, next, err := paged(items, func(t tagXML) string { return t.ResourceID + "\x00" + t.Key }, in.MaxRecords, in.NextToken)
	return &describeTagsOut{page, next}, err
}
