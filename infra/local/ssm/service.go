// Package ssm is the Parameter Store of the embedded cloud's AWS Systems Manager: the public parameters that name the
// images of cluster nodes, and the account's own parameters.
package ssm

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Image is an AMI that a public parameter names.
type Image struct {
	Parameter string // the one that holds the id: ".../recommended/image_id"
	ID, Name  string
	Release   string // the AMI's release version; empty where AWS publishes none
	Created   time.Time
}

// Service is Systems Manager of one account in one Region.
type Service struct {
	w      *world.World
	images func() []Image

	mu     sync.Mutex
	own    map[string]*parameter
	public map[string]*parameter
	shown  string // the id of the first image that the public parameters name
}

type parameter struct {
	name, arn, typ, tier, dataType string
	versions                       []value
	tags                           map[string]string
}

type value struct {
	text     string
	number   int
	modified time.Time
}

// New makes a Parameter Store with the public parameters of the newest images, which images returns: the same ones again, or all
// of a later release.
func New(w *world.World, images func() []Image) *Service {
	return &Service{w: w, images: images, public: map[string]*parameter{}, own: map[string]*parameter{}}
}

// keepUp makes the public parameters name the newest images. The caller holds s.mu.
func (s *Service) keepUp() {
	images := s.images()
	if len(images) == 0 || images[0].ID == s.shown {
		return
	}
	s.shown = images[0].ID
	for _, i := range images {
		s.publish(i)
	}
}

// publish makes the public parameters of an image, or new versions of them: that of its id, and those that AWS publishes
// beside it.
func (s *Service) publish(i Image) {
	add := func(name, text, dataType string) {
		p := s.public[name]
		if p == nil {
			p = &parameter{name: name, arn: "arn:aws:ssm:" + s.w.Region + "::parameter" + name, typ: "String", tier: "Standard", dataType: dataType}
			s.public[name] = p
		}
		p.versions = append(p.versions, value{text: text, number: len(p.versions) + 1, modified: i.Created})
	}
	add(i.Parameter, i.ID, "aws:ec2:image")
	folder, _ := strings.CutSuffix(i.Parameter, "/image_id")
	switch {
	case i.Release == "" || folder == i.Parameter: // Canonical publishes the id alone
	case strings.HasSuffix(folder, "/recommended"):
		add(folder+"/image_name", i.Name, "text")
		add(folder+"/release_version", i.Release, "text")
		all, _ := json.Marshal(map[string]string{"schema_version": "2", "image_id": i.ID, "image_name": i.Name, "release_version": i.Release}) // strings only
		add(folder, string(all), "text")
	case strings.HasPrefix(folder, "/aws/service/bottlerocket/"):
		add(folder+"/image_version", i.Release, "text")
	case strings.HasPrefix(folder, "/aws/service/ami-windows-latest/"):
		add(folder+"/release_version", i.Release, "text")
	}
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "ssm", Protocol: wire.JSON11, TargetPrefix: "AmazonSSM",
		Ops: []wire.Op{
			wire.Handle("GetParameter", s.needs("GetParameter", func(in *request) []string { return []string{in.Name} }), s.getParameter),
			wire.Handle("GetParameters", s.needs("GetParameters", func(in *request) []string { return in.Names }), s.getParameters),
			wire.Handle("GetParametersByPath", s.needs("GetParametersByPath", func(in *request) []string { return []string{in.Path} }), s.getByPath),
			wire.Handle("PutParameter", s.needPut, s.putParameter),
			wire.Handle("DeleteParameter", s.needs("DeleteParameter", func(in *request) []string { return []string{in.Name} }), s.deleteParameter),
			wire.Handle("DeleteParameters", s.needs("DeleteParameters", func(in *request) []string { return in.Names }), s.deleteParameters),
		},
	}
}

type tag struct{ Key, Value string }

type request struct {
	Name, Path, Type, Value, Description, KeyId, Tier, DataType, AllowedPattern, Policies string
	Names                                                                                 []string
	Overwrite, WithDecryption, Recursive                                                  bool
	Tags                                                                                  []tag
	MaxResults                                                                            *int
	NextToken                                                                             string
	ParameterFilters                                                                      []struct{}
}

// base takes the selector (":3") off a name, and the rest of an ARN that may stand in a name's place.
func (s *Service) base(name string) (plain, selector string) {
	if strings.HasPrefix(name, "arn:") {
		_, name, _ = strings.Cut(name, ":parameter")
	}
	plain, selector, _ = strings.Cut(name, ":")
	return plain, selector
}

func (s *Service) arn(name string) string {
	if p := s.public[name]; p != nil || strings.HasPrefix(name, "/aws/service/") {
		return "arn:aws:ssm:" + s.w.Region + "::parameter" + name
	}
	return s.w.ARN("ssm", "parameter/"+strings.TrimPrefix(name, "/"))
}

func (s *Service) needs(action string, names func(*request) []string) func(*wire.Call, *request) []wire.Need {
	return func(_ *wire.Call, in *request) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		var out []wire.Need
		for _, n := range names(in) {
			plain, _ := s.base(n)
			need := wire.Need{Action: "ssm:" + action, Resource: s.arn(plain), Context: map[string][]string{}}
			if p := s.own[plain]; p != nil {
				for k, v := range p.tags {
					need.Context["aws:ResourceTag/"+k], need.Context["ssm:resourceTag/"+k] = []string{v}, []string{v}
				}
			}
			if action == "GetParametersByPath" {
				need.Context["ssm:Recursive"] = []string{map[bool]string{true: "true", false: "false"}[in.Recursive]}
			}
			out = append(out, need)
		}
		return out
	}
}

func (s *Service) needPut(call *wire.Call, in *request) []wire.Need {
	out := s.needs("PutParameter", func(in *request) []string { return []string{in.Name} })(call, in)
	out[0].Context["ssm:Overwrite"] = []string{map[bool]string{true: "true", false: "false"}[in.Overwrite]}
	for _, t := range in.Tags {
		out[0].Context["aws:RequestTag/"+t.Key] = []string{t.Value}
		out[0].Context["aws:TagKeys"] = append(out[0].Context["aws:TagKeys"], t.Key)
	}
	if len(in.Tags) == 0 {
		return out
	}
	return append(out, wire.Need{Action: "ssm:AddTagsToResource", Resource: out[0].Resource, Context: out[0].Context})
}

func invalid(format string, args ...any) error {
	return wire.Errf("ValidationException", format, args...)
}

// missing is ParameterNotFound, which has no message on AWS.
func missing() error { return wire.Errf("ParameterNotFound", "%s", "") }

// find finds a parameter and the version that is asked for. The caller holds s.mu.
func (s *Service) find(name string) (*parameter, value, error) {
	s.keepUp()
	plain, selector := s.base(name)
	p := s.public[plain]
	if p == nil {
		p = s.own[plain]
	}
	if p == nil {
		return nil, value{}, missing()
	}
	if selector == "" {
		return p, p.versions[len(p.versions)-1], nil
	}
	i := slices.IndexFunc(p.versions, func(v value) bool { return selector == number(v.number) })
	if i < 0 { // labels do not exist here
		return nil, value{}, wire.Errf("ParameterVersionNotFound", "Systems Manager could not find version %s of %s. Verify the version and try again.", selector, plain)
	}
	return p, p.versions[i], nil
}
