// Package kms is the embedded cloud's AWS Key Management Service: keys with their states, policies, aliases and grants.
// It encrypts nothing: those who use it here ask whether a key exists, what state it is in, and who may use it.
package kms

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Service is KMS of one account in one Region.
type Service struct {
	w *world.World

	mu      sync.Mutex
	keys    map[string]*key   // by id
	aliases map[string]*alias // by name: "alias/secrets"
}

type key struct {
	id, arn, description string
	created              time.Time
	state                string // Enabled, Disabled, PendingDeletion
	spec, usage          string
	multiRegion, managed bool // managed by AWS
	rotation             bool
	policy               string
	tags                 map[string]string
	grants               []*grant
	deletion             time.Time // while pending deletion
	scheduled            int       // counts schedulings, so that a cancelled one does nothing
}

type alias struct {
	name, target     string
	created, updated time.Time
}

// New makes a KMS without customer keys. Those that AWS manages come to be when they are asked for.
func New(w *world.World) *Service {
	return &Service{w: w, keys: map[string]*key{}, aliases: map[string]*alias{}}
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "kms", Protocol: wire.JSON11, TargetPrefix: "TrentService",
		Ops: slices.Concat(s.keyOps(), s.policyOps(), s.aliasOps(), s.grantOps(), s.tagOps()),
	}
}

// DescribeKey tells, for services that are given a key, whether it exists and can be used. It may be named by id, ARN,
// alias or alias ARN.
func (s *Service) DescribeKey(arnOrID string) (enabled, symmetric, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.find(arnOrID)
	if err != nil {
		return false, false, false
	}
	return k.state == enabledState, k.spec == symmetricSpec, true
}

const (
	enabledState  = "Enabled"
	disabledState = "Disabled"
	pendingState  = "PendingDeletion"

	symmetricSpec = "SYMMETRIC_DEFAULT"
)

func (s *Service) aliasARN(name string) string { return s.w.ARN("kms", name) }

// find finds a key by id, ARN, alias or alias ARN. The caller holds s.mu.
func (s *Service) find(name string) (*key, error) {
	given := name
	if strings.HasPrefix(name, "arn:") {
		prefix := s.w.ARN("kms", "")
		if parts := strings.SplitN(name, ":", 6); len(parts) != 6 || parts[2] != "kms" {
			return nil, wire.Errf("InvalidArnException", "Invalid arn %s", name)
		}
		local, ok := strings.CutPrefix(name, prefix)
		if !ok {
			if strings.Contains(name, ":alias/") {
				return nil, noAlias(name)
			}
			return nil, noKey(name)
		}
		name = strings.TrimPrefix(local, "key/")
	}
	if strings.HasPrefix(name, "alias/") {
		if strings.HasPrefix(name, "alias/aws/") {
			return s.awsKey(name), nil
		}
		a := s.aliases[name]
		if a == nil {
			return nil, noAlias(s.aliasARN(name))
		}
		return s.keys[a.target], nil
	}
	if k := s.keys[name]; k != nil {
		return k, nil
	}
	if !strings.HasPrefix(given, "arn:") {
		given = s.w.ARN("kms", "key/"+given)
	}
	return nil, noKey(given)
}

// awsKey is the key of one of AWS's own aliases, such as alias/aws/ebs: AWS makes it at the first use.
func (s *Service) awsKey(name string) *key {
	if a := s.aliases[name]; a != nil {
		return s.keys[a.target]
	}
	k := s.newKey()
	k.managed, k.rotation = true, true
	k.description = "Default key that protects my " + strings.TrimPrefix(name, "alias/aws/") + " data when no other key is defined"
	k.policy = defaultPolicy(s.w.Account)
	s.aliases[name] = &alias{name: name, target: k.id, created: k.created, updated: k.created}
	return k
}

// newKey makes a symmetric key. The caller holds s.mu.
func (s *Service) newKey() *key {
	k := &key{id: s.w.UUID(), created: time.Now(), state: enabledState, spec: symmetricSpec, usage: "ENCRYPT_DECRYPT", tags: map[string]string{}}
	k.arn = s.w.ARN("kms", "key/"+k.id)
	s.keys[k.id] = k
	return k
}

func noKey(arn string) *wire.Error {
	return wire.Errf("NotFoundException", "Key '%s' does not exist", arn)
}

func noAlias(arn string) *wire.Error {
	return wire.Errf("NotFoundException", "Alias %s is not found.", arn)
}

func invalid(format string, args ...any) *wire.Error {
	return wire.Errf("ValidationException", format, args...)
}

func notImplemented(what string) *wire.Error {
	return wire.Errf("NotImplemented", "the embedded cloud's KMS does not implement %s", what).WithStatus(http.StatusNotImplemented)
}

// notDeleted refuses keys that wait for their deletion.
func (k *key) notDeleted() error {
	if k.state == pendingState {
		return wire.Errf("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	}
	return nil
}

// defaultPolicy lets the account's IAM policies decide.
func defaultPolicy(account string) string {
	return `{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "arn:aws:iam::` + account + `:root"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}`
}

// need is one action on a key: what the key's policy does not allow to the caller or to the account, no other policy
// can. A grant allows its operations by itself. The caller holds s.mu.
func (s *Service) need(call *wire.Call, action, name string) []wire.Need {
	k, err := s.find(name)
	if err != nil {
		arn := name
		if !strings.HasPrefix(arn, "arn:") {
			arn = s.w.ARN("kms", "key/"+strings.TrimPrefix(name, "key/"))
		}
		return []wire.Need{{Action: "kms:" + action, Resource: arn, Context: map[string][]string{"kms:CallerAccount": {call.Account}}}}
	}
	if k.grants != nil && k.granted(call.Caller, action) {
		return nil
	}
	n := wire.Need{Action: "kms:" + action, Resource: k.arn, Policy: []byte(k.policy), PolicyMust: true, Context: map[string][]string{
		"kms:CallerAccount": {call.Account}, "kms:KeySpec": {k.spec}, "kms:KeyUsage": {k.usage}, "kms:KeyOrigin": {"AWS_KMS"},
	}}
	for _, a := range slices.Sorted(maps.Keys(s.aliases)) {
		if s.aliases[a].target == k.id {
			n.Context["kms:ResourceAliases"] = append(n.Context["kms:ResourceAliases"], a)
		}
	}
	if i := strings.Index(name, "alias/"); i >= 0 {
		n.Context["kms:RequestAlias"] = []string{name[i:]}
	}
	for t, v := range k.tags {
		n.Context["aws:ResourceTag/"+t] = []string{v}
	}
	return []wire.Need{n}
}

// checkPolicy reads a key policy. Unless the caller bypasses the check, it must leave the caller the right to change it.
func checkPolicy(call *wire.Call, k *key, document string, bypass bool) error {
	d, err := policy.Parse([]byte(document))
	if err == nil {
		err = d.Check(policy.Resource)
	}
	if err != nil {
		return wire.Errf("MalformedPolicyDocumentException", "%v", err)
	}
	if len(document) > 32<<10 {
		return wire.Errf("LimitExceededException", "The key policy exceeds 32 KB.")
	}
	who := policy.Principal{Account: call.Account, ARN: call.Caller.ARN, RoleARN: call.Caller.RoleARN}
	allowed := policy.Trusts(d, policy.Request{Principal: who, Action: "kms:PutKeyPolicy", Resource: k.arn, Context: map[string][]string{"kms:CallerAccount": {call.Account}}}).Allowed
	if !bypass && !allowed {
		return wire.Errf("MalformedPolicyDocumentException", "The new key policy will not allow you to update the key policy in the future.")
	}
	return nil
}

// page cuts a list; the marker is the name of the last item returned.
func page[T any](items []T, name func(T) string, marker string, limit *int, most int) (out []T, next string, err error) {
	n := 50
	if limit != nil {
		if n = *limit; n < 1 || n > most {
			return nil, "", invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", n, most)
		}
	}
	if marker != "" {
		i := slices.IndexFunc(items, func(t T) bool { return name(t) == marker })
		if i < 0 {
			return nil, "", wire.Errf("InvalidMarkerException", "Marker %s is not valid.", marker)
		}
		items = items[i+1:]
	}
	if len(items) <= n {
		return items, "", nil
	}
	return items[:n], name(items[n-1]), nil
}
