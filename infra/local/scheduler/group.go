package scheduler

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type tag struct{ Key, Value string }

type (
	createGroupInput struct {
		Name        string `path:"Name"`
		ClientToken string
		Tags        []tag
	}
	createGroupOutput struct{ ScheduleGroupArn string }
	groupInput        struct {
		Name        string `path:"Name"`
		ClientToken string `param:"clientToken"`
	}
	groupOutput struct {
		Arn, Name, State                   string
		CreationDate, LastModificationDate *wire.Time
	}
	listGroupsInput struct {
		NamePrefix string `param:"NamePrefix"`
		NextToken  string `param:"NextToken"`
		MaxResults *int   `param:"MaxResults"`
	}
	listGroupsOutput struct {
		ScheduleGroups []groupOutput
		NextToken      string `json:",omitempty"`
	}
	tagsInput struct {
		ResourceArn string `path:"ResourceArn"`
		Tags        []tag
		TagKeys     []string `param:"TagKeys"`
	}
	tagsOutput struct{ Tags []tag }
)

func requestTags(c map[string][]string, tags []tag) {
	for _, t := range tags {
		c["aws:RequestTag/"+t.Key] = []string{t.Value}
		c["aws:TagKeys"] = append(c["aws:TagKeys"], t.Key)
	}
}

func (s *Service) needOnGroup(action, arn string) wire.Need {
	n := wire.Need{Action: "scheduler:" + action, Resource: arn, Context: map[string][]string{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, err := s.tagged(arn); err == nil {
		for k, v := range g.tags {
			n.Context["aws:ResourceTag/"+k] = []string{v}
		}
	}
	return n
}

func (s *Service) needCreateGroup(_ *wire.Call, in *createGroupInput) []wire.Need {
	n := wire.Need{Action: "scheduler:CreateScheduleGroup", Resource: s.groupARN(in.Name), Context: map[string][]string{}}
	requestTags(n.Context, in.Tags)
	return []wire.Need{n}
}

func (s *Service) needGroup(action string) func(*wire.Call, *groupInput) []wire.Need {
	return func(_ *wire.Call, in *groupInput) []wire.Need {
		return []wire.Need{s.needOnGroup(action, s.groupARN(in.Name))}
	}
}

func (s *Service) needTags(action string) func(*wire.Call, *tagsInput) []wire.Need {
	return func(_ *wire.Call, in *tagsInput) []wire.Need {
		n := s.needOnGroup(action, in.ResourceArn)
		requestTags(n.Context, in.Tags)
		n.Context["aws:TagKeys"] = append(n.Context["aws:TagKeys"], in.TagKeys...)
		return []wire.Need{n}
	}
}

func (s *Service) createGroup(_ context.Context, _ *wire.Call, in *createGroupInput) (*createGroupOutput, error) {
	if !names.MatchString(in.Name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$", in.Name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[in.Name] != nil {
		return nil, conflict("Schedule group %s already exists.", in.Name)
	}
	g := s.newGroup(in.Name)
	for _, t := range in.Tags {
		g.tags[t.Key] = t.Value
	}
	s.groups[in.Name] = g
	return &createGroupOutput{g.arn}, nil
}

func (g *group) describe() groupOutput {
	return groupOutput{Arn: g.arn, Name: g.name, State: "ACTIVE", CreationDate: wire.At(g.created), LastModificationDate: wire.At(g.created)}
}

func (s *Service) getGroup(_ context.Context, _ *wire.Call, in *groupInput) (*groupOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.group(in.Name)
	if err != nil {
		return nil, err
	}
	o := g.describe()
	return &o, nil
}

func (s *Service) deleteGroup(_ context.Context, _ *wire.Call, in *groupInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.Name == "default" {
		return nil, invalid("Deleting default schedule group is not allowed.")
	}
	g, err := s.group(in.Name)
	if err != nil {
		return nil, err
	}
	for _, sc := range g.schedules { // they go with their group
		close(sc.stop)
	}
	delete(s.groups, in.Name)
	return &empty{}, nil
}

func (s *Service) listGroups(_ context.Context, _ *wire.Call, in *listGroupsInput) (*listGroupsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listGroupsOutput{ScheduleGroups: []groupOutput{}}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		if strings.HasPrefix(name, in.NamePrefix) {
			out.ScheduleGroups = append(out.ScheduleGroups, s.groups[name].describe())
		}
	}
	var err error
	out.ScheduleGroups, out.NextToken, err = page(out.ScheduleGroups, in.NextToken, in.MaxResults)
	return out, err
}

// tagged finds the group of an ARN: only groups have tags. The caller holds the lock.
func (s *Service) tagged(arn string) (*group, error) {
	for _, g := range s.groups {
		if g.arn == arn {
			return g, nil
		}
	}
	return nil, notFound("Resource %s does not exist.", arn)
}

func (s *Service) tagResource(_ context.Context, _ *wire.Call, in *tagsInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, t := range in.Tags {
		g.tags[t.Key] = t.Value
	}
	return &empty{}, nil
}

func (s *Service) untagResource(_ context.Context, _ *wire.Call, in *tagsInput) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(g.tags, k)
	}
	return &empty{}, nil
}

func (s *Service) listTags(_ context.Context, _ *wire.Call, in *tagsInput) (*tagsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &tagsOutput{Tags: []tag{}}
	for _, k := range slices.Sorted(maps.Keys(g.tags)) {
		out.Tags = append(out.Tags, tag{k, g.tags[k]})
	}
	return out, nil
}
