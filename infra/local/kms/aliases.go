package kms

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type aliasIn struct {
	AliasName, TargetKeyId, KeyId string
	Limit                         *int
	Marker                        string
}

type aliasOut struct {
	AliasArn, AliasName, TargetKeyId string
	CreationDate, LastUpdatedDate    *wire.Time
}

type aliasesOut struct {
	Aliases    []aliasOut
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

var aliasPattern = regexp.MustCompile(`^alias/[a-zA-Z0-9:/_-]+$`)

func checkAlias(name string) error {
	switch {
	case !strings.HasPrefix(name, "alias/") || name == "alias/":
		return invalid("Invalid identifier")
	case !aliasPattern.MatchString(name) || len(name) > 256:
		return invalid(`1 validation error detected: Value '%s' at 'aliasName' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$`, name)
	case strings.HasPrefix(name, "alias/aws/"):
		return wire.Errf("NotAuthorizedException", "")
	}
	return nil
}

// needAlias asks for an action on the alias and, with the key's policy, on the keys that it is or was for.
func (s *Service) needAlias(action string, keys func(*aliasIn) []string) func(*wire.Call, *aliasIn) []wire.Need {
	return func(c *wire.Call, in *aliasIn) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		out := []wire.Need{{Action: "kms:" + action, Resource: s.aliasARN(in.AliasName), Context: map[string][]string{"kms:CallerAccount": {c.Account}}}}
		for _, k := range keys(in) {
			out = append(out, s.need(c, action, k)...)
		}
		return out
	}
}

func (s *Service) aliasOps() []wire.Op {
	target := func(in *aliasIn) []string {
		if a := s.aliases[in.AliasName]; a != nil {
			return []string{a.target}
		}
		return nil
	}
	return []wire.Op{
		wire.Handle("CreateAlias", s.needAlias("CreateAlias", func(in *aliasIn) []string { return []string{in.TargetKeyId} }), s.createAlias),
		wire.Handle("UpdateAlias", s.needAlias("UpdateAlias", func(in *aliasIn) []string { return append(target(in), in.TargetKeyId) }), s.updateAlias),
		wire.Handle("DeleteAlias", s.needAlias("DeleteAlias", target), func(_ context.Context, _ *wire.Call, in *aliasIn) (*none, error) {
			if err := checkAlias(in.AliasName); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.aliases[in.AliasName] == nil {
				return nil, noAlias(s.aliasARN(in.AliasName))
			}
			delete(s.aliases, in.AliasName)
			return &none{}, nil
		}),
		wire.Handle("ListAliases", wire.On[aliasIn]("kms:ListAliases", "*"), s.listAliases),
	}
}

// target finds the key of an alias to be, which is named by id or ARN and not by another alias.
func (s *Service) target(in *aliasIn) (*key, error) {
	if err := checkAlias(in.AliasName); err != nil {
		return nil, err
	}
	if strings.Contains(in.TargetKeyId, "alias/") {
		return nil, invalid("Aliases must refer to keys. Not aliases")
	}
	k, err := s.find(in.TargetKeyId)
	if err != nil {
		return nil, err
	}
	return k, k.notDeleted()
}

func (s *Service) createAlias(_ context.Context, _ *wire.Call, in *aliasIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.target(in)
	if err != nil {
		return nil, err
	}
	if s.aliases[in.AliasName] != nil {
		return nil, wire.Errf("AlreadyExistsException", "An alias with the name %s already exists", s.aliasARN(in.AliasName))
	}
	now := time.Now()
	s.aliases[in.AliasName] = &alias{in.AliasName, k.id, now, now}
	return &none{}, nil
}

func (s *Service) updateAlias(_ context.Context, _ *wire.Call, in *aliasIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.target(in)
	if err != nil {
		return nil, err
	}
	a := s.aliases[in.AliasName]
	if a == nil {
		return nil, noAlias(s.aliasARN(in.AliasName))
	}
	if old := s.keys[a.target]; old.spec != k.spec || old.usage != k.usage {
		return nil, invalid("Cannot update alias %s: the keys are of different types or usage", in.AliasName)
	}
	a.target, a.updated = k.id, time.Now()
	return &none{}, nil
}

func (s *Service) listAliases(_ context.Context, _ *wire.Call, in *aliasIn) (*aliasesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := ""
	if in.KeyId != "" {
		k, err := s.find(in.KeyId)
		if err != nil {
			return nil, err
		}
		id = k.id
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.aliases)), func(n string) bool { return id != "" && s.aliases[n].target != id })
	names, next, err := page(names, func(n string) string { return n }, in.Marker, in.Limit, 100)
	if err != nil {
		return nil, err
	}
	out := &aliasesOut{Aliases: []aliasOut{}, NextMarker: next, Truncated: next != ""}
	for _, n := range names {
		a := s.aliases[n]
		out.Aliases = append(out.Aliases, aliasOut{s.aliasARN(n), n, a.target, wire.At(a.created), wire.At(a.updated)})
	}
	return out, nil
}
