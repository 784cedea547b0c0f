package logs

import (
	"context"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

var groupName = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)

func (s *Service) newGroup(in *groupIn) error {
	switch {
	case in.LogGroupName == "":
		return missing("logGroupName")
	case !groupName.MatchString(in.LogGroupName):
		return wire.Errf("InvalidParameterException", `1 validation error detected: Value '%s' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`, in.LogGroupName)
	case in.KMSKeyID != "" || in.Protected:
		return wire.Errf("NotImplemented", "CreateLogGroup: the embedded cloud does not implement kmsKeyId and deletionProtectionEnabled").WithStatus(http.StatusNotImplemented)
	case len(in.Tags) > 50:
		return wire.Errf("InvalidParameterException", "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50")
	}
	class := "STANDARD"
	if in.LogGroupClass != "" {
		class = in.LogGroupClass
	}
	if class != "STANDARD" && class != "INFREQUENT_ACCESS" && class != "DELIVERY" {
		return wire.Errf("InvalidParameterException", "1 validation error detected: Value '%s' at 'logGroupClass' failed to satisfy constraint: Member must satisfy enum value set: [INFREQUENT_ACCESS, STANDARD, DELIVERY]", class)
	}
	return s.createGroup(in.LogGroupName, class, in.Tags)
}

func (s *Service) deleteGroup(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[name] == nil {
		return errNoGroup
	}
	delete(s.groups, name)
	return nil
}

// keepForever takes a group's retention away.
func (s *Service) keepForever(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[name]
	if g == nil {
		return errNoGroup
	}
	g.retention = 0
	return nil
}

type taggedIn struct {
	ResourceARN string            `json:"resourceArn"`
	Tags        map[string]string `json:"tags"`
	TagKeys     []string          `json:"tagKeys"`
}

type tagsOut struct {
	Tags map[string]string `json:"tags"`
}

func requestTags(tags map[string]string) map[string][]string {
	context := map[string][]string{}
	for k, v := range tags {
		context["aws:RequestTag/"+k] = []string{v}
		context["aws:TagKeys"] = append(context["aws:TagKeys"], k)
	}
	return context
}

func needTagged(action string) func(*wire.Call, *taggedIn) []wire.Need {
	return func(_ *wire.Call, in *taggedIn) []wire.Need {
		n := wire.Need{Action: "logs:" + action, Resource: in.ResourceARN, Context: requestTags(in.Tags)}
		if in.TagKeys != nil {
			n.Context["aws:TagKeys"] = in.TagKeys
		}
		return []wire.Need{n}
	}
}

// tagged finds the group with an ARN, which has no ":*" behind it. The caller holds the lock.
func (s *Service) tagged(arn string) (*group, error) {
	name, ok := strings.CutPrefix(arn, s.GroupARN(""))
	if g := s.groups[strings.TrimSuffix(name, ":*")]; ok && g != nil {
		return g, nil
	}
	return nil, wire.Errf("ResourceNotFoundException", "The specified resource does not exist.")
}

func (s *Service) listTags(_ context.Context, _ *wire.Call, in *taggedIn) (*tagsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := maps.Clone(g.tags)
	if out == nil {
		out = map[string]string{}
	}
	return &tagsOut{out}, nil
}

func (s *Service) tagResource(_ context.Context, _ *wire.Call, in *taggedIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(g.tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, in.Tags)
	if len(tags) > 50 {
		return nil, wire.Errf("TooManyTagsException", "A resource can have no more than 50 tags.")
	}
	g.tags = tags
	return &none{}, nil
}

func (s *Service) untagResource(_ context.Context, _ *wire.Call, in *taggedIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(g.tags, func(k, _ string) bool { return slices.Contains(in.TagKeys, k) })
	return &none{}, nil
}
