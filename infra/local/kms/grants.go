package kms

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type grant struct {
	id, token, name, grantee, retiring string
	operations                         []string
	constraints                        json.RawMessage
	created                            time.Time
}

// operations are what a grant can allow.
var operations = []string{
	"CreateGrant", "Decrypt", "DeriveSharedSecret", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext",
	"GenerateDataKeyWithoutPlaintext", "GenerateMac", "GetPublicKey", "ReEncryptFrom", "ReEncryptTo", "RetireGrant", "Sign", "Verify", "VerifyMac",
}

// granted tells whether a grant allows an operation to the caller.
func (k *key) granted(who wire.Principal, operation string) bool {
	return slices.ContainsFunc(k.grants, func(g *grant) bool {
		return slices.Contains(g.operations, operation) && is(who, g.grantee)
	})
}

// is tells whether a principal that a grant names is the caller: the session, or the role behind it.
func is(who wire.Principal, arn string) bool {
	return arn != "" && (arn == who.ARN || arn == who.RoleARN)
}

type grantIn struct {
	KeyId, GrantId, GrantToken, Name    string
	GranteePrincipal, RetiringPrincipal string
	Operations                          []string
	Constraints                         json.RawMessage
	GrantTokens                         []string
	DryRun                              bool
	Limit                               *int
	Marker                              string
}

func (in *grantIn) key() string { return in.KeyId }

type grantOut struct{ GrantId, GrantToken string }

type grantEntry struct {
	KeyId, GrantId, GranteePrincipal, IssuingAccount string
	Name                                             string `json:",omitempty"`
	RetiringPrincipal                                string `json:",omitempty"`
	Operations                                       []string
	Constraints                                      json.RawMessage `json:",omitempty"`
	CreationDate                                     *wire.Time
}

type grantsOut struct {
	Grants     []grantEntry
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

func (s *Service) grantOps() []wire.Op {
	return []wire.Op{
		wire.Handle("CreateGrant", func(c *wire.Call, in *grantIn) []wire.Need {
			s.mu.Lock()
			defer s.mu.Unlock()
			needs := s.need(c, "CreateGrant", in.KeyId)
			for _, n := range needs {
				n.Context["kms:GrantOperations"] = in.Operations
				n.Context["kms:GranteePrincipal"] = []string{in.GranteePrincipal}
				n.Context["kms:GrantIsForAWSResource"] = []string{"false"}
				if in.RetiringPrincipal != "" {
					n.Context["kms:RetiringPrincipal"] = []string{in.RetiringPrincipal}
				}
			}
			return needs
		}, s.createGrant),
		onKey(s, "ListGrants", (*grantIn).key, func(_ *wire.Call, in *grantIn, k *key) (*grantsOut, error) {
			all := slices.DeleteFunc(slices.Clone(k.grants), func(g *grant) bool {
				return in.GrantId != "" && in.GrantId != g.id || in.GranteePrincipal != "" && in.GranteePrincipal != g.grantee
			})
			return s.grantList(k, all, in)
		}),
		onKey(s, "RevokeGrant", (*grantIn).key, func(_ *wire.Call, in *grantIn, k *key) (*none, error) {
			return &none{}, k.drop(in.GrantId, in.DryRun)
		}),
		wire.Handle("RetireGrant", s.needRetire, s.retireGrant),
	}
}

func (s *Service) createGrant(_ context.Context, _ *wire.Call, in *grantIn) (*grantOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(in.KeyId, "alias/") {
		return nil, invalid("Invalid keyId %s", in.KeyId) // only an id or an ARN will do
	}
	k, err := s.find(in.KeyId)
	if err != nil {
		return nil, err
	}
	if err := k.notDeleted(); err != nil {
		return nil, err
	}
	if k.state == disabledState {
		return nil, wire.Errf("DisabledException", "%s is disabled.", k.arn)
	}
	for _, p := range []string{in.GranteePrincipal, in.RetiringPrincipal} {
		if p != "" && !strings.HasPrefix(p, "arn:aws:iam::") && !strings.HasPrefix(p, "arn:aws:sts::") {
			return nil, wire.Errf("InvalidArnException", "Grant principal %s is not valid", p)
		}
	}
	if in.GranteePrincipal == "" || len(in.Operations) == 0 {
		return nil, invalid("GranteePrincipal and Operations must be specified")
	}
	for _, o := range in.Operations {
		if !slices.Contains(operations, o) {
			return nil, invalid("1 validation error detected: Value '%v' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: %v]", in.Operations, operations)
		}
	}
	g := &grant{id: s.w.Hex(64), token: s.w.Hex(96), name: in.Name, grantee: in.GranteePrincipal, retiring: in.RetiringPrincipal,
		operations: slices.Clone(in.Operations), constraints: in.Constraints, created: time.Now()}
	// A grant with a name is made once: again, it is the same grant.
	for _, old := range k.grants {
		if in.Name != "" && old.name == in.Name && old.grantee == g.grantee && old.retiring == g.retiring &&
			slices.Equal(old.operations, g.operations) && reflect.DeepEqual(old.constraints, g.constraints) {
			return &grantOut{old.id, old.token}, nil
		}
	}
	if in.DryRun {
		return nil, dryRun()
	}
	k.grants = append(k.grants, g)
	return &grantOut{g.id, g.token}, nil
}

func dryRun() error {
	return wire.Errf("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.").WithStatus(412)
}

func (s *Service) grantList(k *key, all []*grant, in *grantIn) (*grantsOut, error) {
	all, next, err := page(all, func(g *grant) string { return g.id }, in.Marker, in.Limit, 100)
	if err != nil {
		return nil, err
	}
	out := &grantsOut{Grants: []grantEntry{}, NextMarker: next, Truncated: next != ""}
	for _, g := range all {
		out.Grants = append(out.Grants, grantEntry{KeyId: k.arn, GrantId: g.id, GranteePrincipal: g.grantee, IssuingAccount: "arn:aws:iam::" + s.w.Account + ":root",
			Name: g.name, RetiringPrincipal: g.retiring, Operations: g.operations, Constraints: g.constraints, CreationDate: wire.At(g.created)})
	}
	return out, nil
}

func (k *key) drop(id string, dry bool) error {
	i := slices.IndexFunc(k.grants, func(g *grant) bool { return g.id == id })
	if i < 0 {
		return wire.Errf("NotFoundException", "Grant ID %s not found", id)
	}
	if dry {
		return dryRun()
	}
	k.grants = slices.Delete(k.grants, i, i+1)
	return nil
}

// granted finds the grant that a RetireGrant names. The caller holds s.mu.
func (s *Service) granted(in *grantIn) (*key, *grant, error) {
	if in.GrantToken != "" {
		for _, k := range s.keys {
			for _, g := range k.grants {
				if g.token == in.GrantToken {
					return k, g, nil
				}
			}
		}
		return nil, nil, wire.Errf("InvalidGrantTokenException", "Invalid grant token.")
	}
	k, err := s.find(in.KeyId)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(k.grants, func(g *grant) bool { return g.id == in.GrantId })
	if i < 0 {
		return nil, nil, wire.Errf("NotFoundException", "Grant ID %s not found", in.GrantId)
	}
	return k, k.grants[i], nil
}

// needRetire lets those retire a grant whom the grant names for it; others need the permission.
func (s *Service) needRetire(c *wire.Call, in *grantIn) []wire.Need {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, g, err := s.granted(in)
	if err != nil {
		return nil // there is nothing to protect: the operation says what is wrong
	}
	if is(c.Caller, g.retiring) || is(c.Caller, g.grantee) && slices.Contains(g.operations, "RetireGrant") {
		return nil
	}
	return s.need(c, "RetireGrant", k.arn)
}

func (s *Service) retireGrant(_ context.Context, _ *wire.Call, in *grantIn) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, g, err := s.granted(in)
	if err != nil {
		return nil, err
	}
	return &none{}, k.drop(g.id, in.DryRun)
}
