package ssm

import (
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type parameterOut struct {
	Name, Type, Value string
	Version           int
	LastModifiedDate  *wire.Time
	ARN, DataType     string
	Selector          string `json:",omitempty"`
}

func number(n int) string { return strconv.Itoa(n) }

// show is a parameter on the wire. A SecureString is shown encrypted unless the caller asks otherwise.
func (s *Service) show(name string, p *parameter, v value, decrypt bool) parameterOut {
	_, selector := s.base(name)
	out := parameterOut{Name: p.name, Type: p.typ, Value: v.text, Version: v.number, LastModifiedDate: wire.At(v.modified), ARN: p.arn, DataType: p.dataType}
	if selector != "" {
		out.Selector = ":" + selector
	}
	if p.typ == "SecureString" && !decrypt {
		out.Value = "AQICAH" + base64.StdEncoding.EncodeToString([]byte(p.arn+":"+number(v.number))) // nobody can read a secret out of this
	}
	return out
}

type getOut struct{ Parameter parameterOut }

func (s *Service) getParameter(_ context.Context, _ *wire.Call, in *request) (*getOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, v, err := s.find(in.Name)
	if err != nil {
		return nil, err
	}
	return &getOut{s.show(in.Name, p, v, in.WithDecryption)}, nil
}

type getManyOut struct {
	Parameters        []parameterOut
	InvalidParameters []string
	NextToken         string `json:",omitempty"`
}

// getParameters reports those that are not there, and does not fail.
func (s *Service) getParameters(_ context.Context, _ *wire.Call, in *request) (*getManyOut, error) {
	if len(in.Names) == 0 || len(in.Names) > 10 {
		return nil, invalid("1 validation error detected: Value '%v' at 'names' failed to satisfy constraint: Member must have length less than or equal to 10", in.Names)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &getManyOut{Parameters: []parameterOut{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		p, v, err := s.find(name)
		if err != nil {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		out.Parameters = append(out.Parameters, s.show(name, p, v, in.WithDecryption))
	}
	return out, nil
}

func (s *Service) getByPath(_ context.Context, _ *wire.Call, in *request) (*getManyOut, error) {
	limit, start := 10, 0
	switch {
	case !strings.HasPrefix(in.Path, "/"):
		return nil, invalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\".")
	case len(in.ParameterFilters) > 0:
		return nil, notImplemented("GetParametersByPath with ParameterFilters")
	case in.MaxResults != nil:
		if limit = *in.MaxResults; limit < 1 || limit > 10 {
			return nil, invalid("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and 10", limit)
		}
	}
	folder := strings.TrimSuffix(in.Path, "/") + "/"
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for name := range s.all() {
		rest, below := strings.CutPrefix(name, folder)
		if below && (in.Recursive || !strings.Contains(rest, "/")) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	if in.NextToken != "" {
		var err error
		if start, err = strconv.Atoi(in.NextToken); err != nil || start < 0 || start > len(found) {
			return nil, wire.Errf("InvalidNextToken", "The specified token isn't valid.")
		}
	}
	out := &getManyOut{Parameters: []parameterOut{}}
	end := min(start+limit, len(found))
	if end < len(found) {
		out.NextToken = strconv.Itoa(end)
	}
	for _, name := range found[start:end] {
		p, v, err := s.find(name)
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, s.show(name, p, v, in.WithDecryption))
	}
	return out, nil
}

// all are the public and the account's own parameters. The caller holds s.mu.
func (s *Service) all() map[string]*parameter {
	s.keepUp()
	out := maps.Clone(s.public)
	maps.Copy(out, s.own)
	return out
}

func notImplemented(what string) error {
	return wire.Errf("NotImplemented", "the embedded cloud does not implement %s", what).WithStatus(http.StatusNotImplemented)
}

var namePattern = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)

// maxVersions is how many versions of a parameter are kept; the oldest goes.
const maxVersions = 100

type putOut struct {
	Version int
	Tier    string
}

func checkPut(in *request) error {
	lower := strings.ToLower(strings.TrimPrefix(in.Name, "/"))
	limit := 4096
	if in.Tier == "Advanced" {
		limit = 8192
	}
	switch {
	case !namePattern.MatchString(in.Name) || len(in.Name) > 1011:
		return invalid("Parameter name: %q must have letters, digits, periods, hyphens, underscores and slashes only", in.Name)
	case strings.HasPrefix(in.Name, "/aws/"):
		return wire.Errf("AccessDeniedException", "No access to reserved parameter name: %s.", in.Name)
	case strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm"):
		return invalid("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive).")
	case strings.Contains(in.Name, "/") && !strings.HasPrefix(in.Name, "/"):
		return invalid("Parameter name must be a fully qualified name.")
	case in.Value == "":
		return invalid("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	case len(in.Value) > limit:
		return invalid("%s tier parameters support a maximum parameter value of %d characters.", cmp.Or(in.Tier, "Standard"), limit)
	case in.Type != "" && !slices.Contains([]string{"String", "StringList", "SecureString"}, in.Type):
		return wire.Errf("UnsupportedParameterType", "The parameter type isn't supported: %s", in.Type)
	case in.AllowedPattern+in.Policies != "" || in.Tier == "Intelligent-Tiering" || in.DataType != "" && in.DataType != "text":
		return notImplemented("PutParameter with AllowedPattern, Policies, Intelligent-Tiering or another DataType than text")
	case in.Overwrite && len(in.Tags) > 0:
		return invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	}
	return nil
}

func (s *Service) putParameter(_ context.Context, _ *wire.Call, in *request) (*putOut, error) {
	if err := checkPut(in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.own[in.Name]
	v := value{text: in.Value, number: 1, modified: time.Now()}
	switch {
	case p == nil && in.Type == "":
		return nil, invalid("A parameter type is required when you create a parameter.")
	case p != nil && !in.Overwrite:
		return nil, wire.Errf("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case p != nil && in.Type != "" && in.Type != p.typ:
		return nil, wire.Errf("HierarchyTypeMismatch", "Parameter Store doesn't support changing a parameter type in a hierarchy.")
	case p == nil:
		p = &parameter{name: in.Name, arn: s.arn(in.Name), typ: in.Type, tier: "Standard", dataType: "text", tags: map[string]string{}}
		for _, t := range in.Tags {
			p.tags[t.Key] = t.Value
		}
		s.own[in.Name] = p
	default:
		v.number = p.versions[len(p.versions)-1].number + 1
	}
	p.tier = cmp.Or(in.Tier, p.tier)
	p.versions = append(p.versions, v)
	if len(p.versions) > maxVersions {
		p.versions = p.versions[1:]
	}
	return &putOut{v.number, p.tier}, nil
}

type none struct{}

func (s *Service) deleteParameter(_ context.Context, _ *wire.Call, in *request) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own[in.Name] == nil {
		return nil, missing()
	}
	delete(s.own, in.Name)
	return &none{}, nil
}

type deletedOut struct{ DeletedParameters, InvalidParameters []string }

func (s *Service) deleteParameters(_ context.Context, _ *wire.Call, in *request) (*deletedOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &deletedOut{DeletedParameters: []string{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		if s.own[name] == nil {
			out.InvalidParameters = append(out.InvalidParameters, name)
			continue
		}
		delete(s.own, name)
		out.DeletedParameters = append(out.DeletedParameters, name)
	}
	return out, nil
}
