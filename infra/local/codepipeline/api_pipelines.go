package codepipeline

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func (s *Service) pipelineOps() []wire.Op {
	return []wire.Op{
		wire.Handle("CreatePipeline", func(_ *wire.Call, in *setIn) []wire.Need {
			return []wire.Need{s.need("CreatePipeline", in.Pipeline.Name, in.Tags...), passRole(in.Pipeline.RoleArn)}
		}, s.createPipeline),
		wire.Handle("UpdatePipeline", func(_ *wire.Call, in *setIn) []wire.Need {
			return []wire.Need{s.need("UpdatePipeline", in.Pipeline.Name), passRole(in.Pipeline.RoleArn)}
		}, s.updatePipeline),
		wire.Handle("GetPipeline", on(s, "GetPipeline", func(in *nameIn) string { return in.Name }), s.getPipeline),
		wire.Handle("DeletePipeline", on(s, "DeletePipeline", func(in *nameIn) string { return in.Name }), s.deletePipeline),
		wire.Handle("ListPipelines", wire.On[listIn]("codepipeline:ListPipelines", s.arn("*")), s.listPipelines),
		wire.Handle("ListTagsForResource", func(_ *wire.Call, in *tagsIn) []wire.Need {
			return []wire.Need{{Action: "codepipeline:ListTagsForResource", Resource: in.ResourceArn}}
		}, s.listTags),
	}
}

func passRole(arn string) wire.Need {
	return wire.Need{Action: "iam:PassRole", Resource: arn, Context: map[string][]string{"iam:PassedToService": {ServicePrincipal}}}
}

// need is an action on a pipeline, or on a part of it: "pipeline/stage/action".
func (s *Service) need(action, resource string, tags ...tag) wire.Need {
	n := wire.Need{Action: "codepipeline:" + action, Resource: s.arn(resource), Context: map[string][]string{}}
	for _, t := range tags {
		n.Context["aws:RequestTag/"+t.Key] = []string{t.Value}
		n.Context["aws:TagKeys"] = append(n.Context["aws:TagKeys"], t.Key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pipelines[resource]; p != nil {
		for k, v := range p.tags {
			n.Context["aws:ResourceTag/"+k] = []string{v}
		}
	}
	return n
}

func on[In any](s *Service, action string, resource func(*In) string) func(*wire.Call, *In) []wire.Need {
	return func(_ *wire.Call, in *In) []wire.Need { return []wire.Need{s.need(action, resource(in))} }
}

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type setIn struct {
	Pipeline declaration `json:"pipeline"`
	Tags     []tag       `json:"tags"`
}

type setOut struct {
	Pipeline declaration `json:"pipeline"`
	Tags     []tag       `json:"tags,omitempty"`
}

type nameIn struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// find finds a pipeline. The caller holds s.mu.
func (s *Service) pipeline(name string) (*pipeline, error) {
	p := s.pipelines[name]
	if p == nil {
		return nil, wire.Errf("PipelineNotFoundException", "Account '%s' does not have a pipeline with name '%s'", s.w.Account, name)
	}
	return p, nil
}

func (s *Service) checkRole(d declaration) error {
	if s.near.Roles == nil {
		return nil
	}
	if err := s.near.Roles.CheckTrustFrom(d.RoleArn, ServicePrincipal, s.arn(d.Name)); err != nil {
		return badStructure("CodePipeline is not authorized to perform AssumeRole on role %s", d.RoleArn)
	}
	return nil
}

// maxPipelines is AWS's quota in a Region.
const maxPipelines = 1000

func (s *Service) createPipeline(_ context.Context, _ *wire.Call, in *setIn) (*setOut, error) {
	return s.create(in, nil)
}

// create makes a pipeline, whose ways into some stages are closed for a reason.
func (s *Service) create(in *setIn, closed map[string]string) (*setOut, error) {
	d := in.Pipeline
	if err := d.check(); err != nil {
		return nil, err
	}
	if err := s.checkRole(d); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.pipelines[d.Name] != nil:
		return nil, wire.Errf("PipelineNameInUseException", "A pipeline with the name '%s' already exists in account '%s'", d.Name, s.w.Account)
	case len(s.pipelines) >= maxPipelines:
		return nil, wire.Errf("LimitExceededException", "The number of pipelines in account '%s' exceeds the limit of %d", s.w.Account, maxPipelines)
	}
	d.Version = 1
	p := &pipeline{decl: d, created: time.Now(), updated: time.Now(), stages: map[string]*stage{}, tags: map[string]string{}}
	for _, t := range in.Tags {
		p.tags[t.Key] = t.Value
	}
	s.pipelines[d.Name] = p
	for name, reason := range closed {
		p.stage(name).in = transition{disabled: true, reason: reason, at: p.created}
	}
	if variables, err := p.values(nil); err == nil { // as on AWS, a pipeline begins to run when it is made
		s.begin(p, "CreatePipeline", "", variables, nil)
	}
	return &setOut{Pipeline: d, Tags: in.Tags}, nil
}

func (s *Service) updatePipeline(_ context.Context, _ *wire.Call, in *setIn) (*setOut, error) {
	d := in.Pipeline
	if err := d.check(); err != nil {
		return nil, err
	}
	if err := s.checkRole(d); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(d.Name)
	if err != nil {
		return nil, badStructure("Account '%s' does not have a pipeline with name '%s'", s.w.Account, d.Name)
	}
	d.Version = p.decl.Version + 1
	p.decl, p.updated = d, time.Now()
	return &setOut{Pipeline: d}, nil
}

type metadata struct {
	PipelineArn string     `json:"pipelineArn"`
	Created     *wire.Time `json:"created"`
	Updated     *wire.Time `json:"updated"`
}

type getOut struct {
	Pipeline declaration `json:"pipeline"`
	Metadata metadata    `json:"metadata"`
}

func (s *Service) getPipeline(_ context.Context, _ *wire.Call, in *nameIn) (*getOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(in.Name)
	if err != nil {
		return nil, err
	}
	if in.Version != 0 && in.Version != p.decl.Version {
		return nil, notImplemented("older versions of pipelines (version %d of %s)", in.Version, in.Name)
	}
	return &getOut{p.decl, metadata{s.arn(in.Name), wire.At(p.created), wire.At(p.updated)}}, nil
}

// deletePipeline succeeds where there is none. What its actions have begun goes on.
func (s *Service) deletePipeline(_ context.Context, _ *wire.Call, in *nameIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipelines[in.Name]
	if p == nil {
		return &none{}, nil
	}
	delete(s.pipelines, in.Name)
	for _, ex := range p.executions {
		if ex.status != InProgress && ex.status != stopping {
			continue
		}
		if ex.inside {
			sr := p.stage(ex.decl.Stages[ex.at].Name).latest
			s.abandon(sr)
			sr.status = cancelled
		}
		ex.status = cancelled
	}
	return &none{}, nil
}

type listIn struct {
	NextToken  string `json:"nextToken"`
	MaxResults int    `json:"maxResults"`
}

type summaryOut struct {
	Name          string     `json:"name"`
	Version       int        `json:"version"`
	PipelineType  string     `json:"pipelineType"`
	ExecutionMode string     `json:"executionMode"`
	Created       *wire.Time `json:"created"`
	Updated       *wire.Time `json:"updated"`
}

type listOut struct {
	Pipelines []summaryOut `json:"pipelines"`
	NextToken string       `json:"nextToken,omitempty"`
}

func (s *Service) listPipelines(_ context.Context, _ *wire.Call, in *listIn) (*listOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listOut{Pipelines: []summaryOut{}}
	names, next, err := page(slices.Sorted(maps.Keys(s.pipelines)), in.NextToken, in.MaxResults, 1000)
	if err != nil {
		return nil, err
	}
	out.NextToken = next
	for _, name := range names {
		p := s.pipelines[name]
		out.Pipelines = append(out.Pipelines, summaryOut{name, p.decl.Version, p.decl.PipelineType, p.decl.ExecutionMode, wire.At(p.created), wire.At(p.updated)})
	}
	return out, nil
}

type tagsIn struct {
	ResourceArn string `json:"resourceArn"`
}

type tagsOut struct {
	Tags []tag `json:"tags"`
}

func (s *Service) listTags(_ context.Context, _ *wire.Call, in *tagsIn) (*tagsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range s.pipelines {
		if s.arn(name) != in.ResourceArn {
			continue
		}
		out := &tagsOut{Tags: []tag{}}
		for _, k := range slices.Sorted(maps.Keys(p.tags)) {
			out.Tags = append(out.Tags, tag{k, p.tags[k]})
		}
		return out, nil
	}
	return nil, wire.Errf("ResourceNotFoundException", "The resource %s was not found", in.ResourceArn)
}
