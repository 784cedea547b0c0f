package kms

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type policyIn struct {
	KeyId, PolicyName, Policy      string
	BypassPolicyLockoutSafetyCheck bool
	Limit                          *int
	Marker                         string
}

func (in *policyIn) key() string { return in.KeyId }

type policyOut struct{ Policy, PolicyName string }

type policyNamesOut struct {
	PolicyNames []string
	Truncated   bool
}

// policyOps are the policies of keys. A key has one, whose name is "default".
func (s *Service) policyOps() []wire.Op {
	named := func(name string) error {
		if name != "" && name != "default" {
			return wire.Errf("NotFoundException", "No such policy exists")
		}
		return nil
	}
	return []wire.Op{
		onKey(s, "GetKeyPolicy", (*policyIn).key, func(_ *wire.Call, in *policyIn, k *key) (*policyOut, error) {
			return &policyOut{k.policy, "default"}, named(in.PolicyName)
		}),
		onKey(s, "PutKeyPolicy", (*policyIn).key, func(c *wire.Call, in *policyIn, k *key) (*none, error) {
			if err := s.customers(k); err != nil {
				return nil, err
			}
			if err := named(in.PolicyName); err != nil {
				return nil, err
			}
			if err := checkPolicy(c, k, in.Policy, in.BypassPolicyLockoutSafetyCheck); err != nil {
				return nil, err
			}
			k.policy = in.Policy
			return &none{}, nil
		}),
		onKey(s, "ListKeyPolicies", (*policyIn).key, func(*wire.Call, *policyIn, *key) (*policyNamesOut, error) {
			return &policyNamesOut{PolicyNames: []string{"default"}}, nil
		}),
	}
}

type tagIn struct {
	KeyId   string
	Tags    []tag
	TagKeys []string
	Limit   *int
	Marker  string
}

func (in *tagIn) key() string { return in.KeyId }

type tagsOut struct {
	Tags       []tag
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func requestTags(tags []tag) map[string][]string {
	ctx := map[string][]string{}
	for _, t := range tags {
		ctx["aws:RequestTag/"+t.TagKey] = []string{t.TagValue}
		ctx["aws:TagKeys"] = append(ctx["aws:TagKeys"], t.TagKey)
	}
	return ctx
}

// checkedTags sets tags among those there are.
func checkedTags(have map[string]string, set []tag) (map[string]string, error) {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]string{}
	}
	for _, t := range set {
		if t.TagKey == "" || len(t.TagKey) > 128 || len(t.TagValue) > 256 || strings.HasPrefix(strings.ToLower(t.TagKey), "aws:") {
			return nil, wire.Errf("TagException", "The tag key %q or its value is not valid.", t.TagKey)
		}
		out[t.TagKey] = t.TagValue
	}
	if len(out) > 50 {
		return nil, wire.Errf("LimitExceededException", "A key can have no more than 50 tags.")
	}
	return out, nil
}

func (s *Service) tagOps() []wire.Op {
	// An operation's tags are condition keys besides those of the key.
	tagged := func(op string, do func(*tagIn, *key) error) wire.Op {
		return wire.Handle(op, func(c *wire.Call, in *tagIn) []wire.Need {
			s.mu.Lock()
			defer s.mu.Unlock()
			needs := s.need(c, op, in.KeyId)
			for _, n := range needs {
				maps.Copy(n.Context, requestTags(in.Tags))
				if in.TagKeys != nil {
					n.Context["aws:TagKeys"] = in.TagKeys
				}
			}
			return needs
		}, func(_ context.Context, _ *wire.Call, in *tagIn) (*none, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			k, err := s.find(in.KeyId)
			if err == nil {
				err = s.customers(k)
			}
			if err != nil {
				return nil, err
			}
			return &none{}, do(in, k)
		})
	}
	return []wire.Op{
		tagged("TagResource", func(in *tagIn, k *key) error {
			tags, err := checkedTags(k.tags, in.Tags)
			if err == nil {
				k.tags = tags
			}
			return err
		}),
		tagged("UntagResource", func(in *tagIn, k *key) error {
			maps.DeleteFunc(k.tags, func(t, _ string) bool { return slices.Contains(in.TagKeys, t) })
			return nil
		}),
		onKey(s, "ListResourceTags", (*tagIn).key, func(_ *wire.Call, in *tagIn, k *key) (*tagsOut, error) {
			names, next, err := page(slices.Sorted(maps.Keys(k.tags)), func(n string) string { return n }, in.Marker, in.Limit, 50)
			out := &tagsOut{Tags: []tag{}, NextMarker: next, Truncated: next != ""}
			for _, n := range names {
				out.Tags = append(out.Tags, tag{n, k.tags[n]})
			}
			return out, err
		}),
	}
}
