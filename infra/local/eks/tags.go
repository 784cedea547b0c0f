package eks

import (
	"context"
	"maps"
	"net/http"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type tagIn struct {
	ResourceARN string `json:"-" path:"resourceArn"`
	Tags        tags   `json:"tags"`
}

type untagIn struct {
	ResourceARN string   `json:"-" path:"resourceArn"`
	TagKeys     []string `json:"-" param:"tagKeys"`
}

type listTagsIn struct {
	ResourceARN string `json:"-" path:"resourceArn"`
}

type listTagsOut struct {
	Tags tags `json:"tags"`
}

func (s *Service) tagOps() []wire.Op {
	const path = "/tags/{resourceArn}"
	return []wire.Op{
		wire.Handle("TagResource", s.needTag, s.tag).REST("POST", path),
		wire.Handle("UntagResource", s.needUntag, s.untag).REST("DELETE", path),
		wire.Handle("ListTagsForResource", s.needListTags, s.listTags).REST("GET", path),
	}
}

// tagsOf finds the tags of whatever an ARN names. The caller holds s.mu.
func (s *Service) tagsOf(arn string) *tags {
	for _, c := range s.clusters {
		if c.arn == arn {
			return &c.tags
		}
		for _, g := range c.nodegroups {
			if g.arn == arn {
				return &g.tags
			}
		}
		for _, e := range c.entries {
			if e.arn == arn {
				return &e.tags
			}
		}
		if c.idp != nil && c.idp.arn == arn {
			return &c.idp.tags
		}
		for _, p := range c.capabilities {
			if p.arn == arn {
				return &p.tags
			}
		}
		if t := c.tagsOfChild(arn); t != nil {
			return t
		}
		for _, a := range c.addons {
			if a.arn == arn {
				return &a.tags
			}
		}
	}
	return nil
}

func (s *Service) tagged(arn string) (*tags, error) {
	if !strings.HasPrefix(arn, "arn:") {
		return nil, wire.Errf("BadRequestException", "Invalid ARN: %s", arn)
	}
	t := s.tagsOf(arn)
	if t == nil {
		return nil, wire.Errf("NotFoundException", "No resource found with ARN %s", arn).WithStatus(http.StatusNotFound)
	}
	return t, nil
}

func (s *Service) tag(_ context.Context, _ *wire.Call, in *tagIn) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(*t)
	maps.Copy(next, in.Tags)
	if len(next) > 50 {
		return nil, wire.Errf("BadRequestException", "A resource can have at most 50 tags")
	}
	*t = next
	return &empty{}, nil
}

func (s *Service) untag(_ context.Context, _ *wire.Call, in *untagIn) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(*t)
	for _, k := range in.TagKeys {
		delete(next, k)
	}
	*t = next
	return &empty{}, nil
}

func (s *Service) listTags(_ context.Context, _ *wire.Call, in *listTagsIn) (*listTagsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tagged(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	return &listTagsOut{*t}, nil
}
