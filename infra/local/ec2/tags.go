package ec2

import (
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// maxTags is AWS's limit of tags on one resource; those that begin with "aws:" do not count.
const maxTags = 50

type tag struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type tagSpec struct {
	ResourceType string `xml:"resourceType"`
	Tags         []tag  `query:"Tag" xml:"tagSet>item"`
}

func tagSet(m map[string]string) []tag {
	var out []tag
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, tag{k, m[k]})
	}
	return out
}

// checkTags refuses what AWS refuses in tags that a caller sets.
func checkTags(m map[string]string) error {
	n := 0
	for k, v := range m {
		switch {
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("Tag keys starting with 'aws:' are reserved for internal use")
		case k == "":
			return invalid("Tag key cannot be empty.")
		case len([]rune(k)) > 128:
			return invalid("Tag key exceeds the maximum length of 128 characters")
		case len([]rune(v)) > 256:
			return invalid("Tag value exceeds the maximum length of 256 characters")
		}
		n++
	}
	if n > maxTags {
		return wire.Errf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// specTags returns the tags that the specifications give to one type of resource, and refuses types that the operation
// does not create.
func specTags(specs []tagSpec, resourceType string, others ...string) (map[string]string, error) {
	m := map[string]string{}
	for _, spec := range specs {
		if spec.ResourceType != resourceType {
			if slices.Contains(others, spec.ResourceType) {
				continue
			}
			return nil, invalid("'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
		for _, t := range spec.Tags {
			if _, dup := m[t.Key]; dup {
				return nil, invalid("Duplicate tag key '%s' specified.", t.Key)
			}
			m[t.Key] = t.Value
		}
	}
	return m, checkTags(m)
}

type tagsIn struct {
	DryRun    bool
	Resources []string `query:"ResourceId"`
	Tags      []struct {
		Key   string
		Value *string // absent in DeleteTags: whatever the value
	} `query:"Tag"`
}

type describeTagsIn struct {
	DryRun     bool
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type tagDescription struct {
	Key          string `xml:"key"`
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Value        string `xml:"value"`
}

type describeTagsOut struct {
	NextToken string           `xml:"nextToken,omitempty"`
	Tags      []tagDescription `xml:"tagSet>item"`
}

var tagFilters = filters[tagDescription]{
	"key":           one(func(t tagDescription) string { return t.Key }),
	"value":         one(func(t tagDescription) string { return t.Value }),
	"resource-id":   one(func(t tagDescription) string { return t.ResourceID }),
	"resource-type": one(func(t tagDescription) string { return t.ResourceType }),
}

func (s *Service) tagOps() []wire.Op {
	needs := func(action string) func(in *tagsIn) []wire.Need {
		return func(in *tagsIn) []wire.Need {
			m := map[string]string{}
			for _, t := range in.Tags {
				m[t.Key] = ""
				if t.Value != nil {
					m[t.Key] = *t.Value
				}
			}
			var out []wire.Need
			for _, id := range in.Resources {
				n := s.need(action, id)
				requestTags(n.Context, m)
				out = append(out, n)
			}
			return out
		}
	}
	return []wire.Op{
		handle("CreateTags", needs("ec2:CreateTags"), s.createTags),
		handle("DeleteTags", needs("ec2:DeleteTags"), s.deleteTags),
		handle("DescribeTags", nil, s.describeTags),
	}
}

func (s *Service) taggable(in *tagsIn) ([]*record, error) {
	if len(in.Resources) == 0 {
		return nil, missing("resourceIdSet")
	}
	var out []*record
	for _, id := range in.Resources {
		r, ok := s.byID[id]
		if !ok {
			for _, k := range kinds {
				if strings.HasPrefix(id, k.prefix) {
					return nil, k.notFound([]string{id})
				}
			}
			return nil, wire.Errf("InvalidID", "The ID '%s' is not valid", id)
		}
		out = append(out, r.rec())
	}
	return out, nil
}

func (s *Service) createTags(in *tagsIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, err := s.taggable(in)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, missing("tagSet")
	}
	add := map[string]string{}
	for _, t := range in.Tags {
		add[t.Key] = ""
		if t.Value != nil {
			add[t.Key] = *t.Value
		}
	}
	if err := checkTags(add); err != nil {
		return nil, err
	}
	for _, r := range records {
		n := len(add)
		for k := range r.tags {
			if _, again := add[k]; !again && !strings.HasPrefix(k, "aws:") {
				n++
			}
		}
		if n > maxTags {
			return nil, wire.Errf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
		}
	}
	for _, r := range records {
		maps.Copy(r.tags, add)
	}
	return &done{true}, nil
}

func (s *Service) deleteTags(in *tagsIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	records, err := s.taggable(in)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		if strings.HasPrefix(t.Key, "aws:") {
			return nil, invalid("Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	for _, r := range records {
		maps.DeleteFunc(r.tags, func(k, v string) bool {
			if len(in.Tags) == 0 { // no tags named: all of the caller's own
				return !strings.HasPrefix(k, "aws:")
			}
			for _, t := range in.Tags {
				if t.Key == k && (t.Value == nil || *t.Value == v) {
					return true
				}
			}
			return false
		})
	}
	return &done{true}, nil
}

func (s *Service) describeTags(in *describeTagsIn) (*describeTagsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []tagDescription
	for _, r := range s.order {
		for _, t := range tagSet(r.rec().tags) {
			items = append(items, tagDescription{t.Key, r.rec().id, r.rec().kind.name, t.Value})
		}
	}
	slices.SortFunc(items, func(a, b tagDescription) int {
		return strings.Compare(a.ResourceID+"\x00"+a.Key, b.ResourceID+"\x00"+b.Key)
	})
	items, err := tagFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(items, func(t tagDescription) string { return t.ResourceID + "\x00" + t.Key }, query{max: in.MaxResults, token: in.NextToken})
	return &describeTagsOut{next, page}, err
}
