package kms

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type tag struct{ TagKey, TagValue string }

type keyIn struct {
	KeyId       string
	Description string
	Limit       *int
	Marker      string

	PendingWindowInDays *int
	GrantTokens         []string
}

type none struct{}

type metadata struct {
	AWSAccountId                string
	Arn                         string
	CreationDate                *wire.Time
	CurrentKeyMaterialId        string `json:",omitempty"`
	CustomerMasterKeySpec       string
	DeletionDate                *wire.Time `json:",omitempty"`
	Description                 string
	Enabled                     bool
	EncryptionAlgorithms        []string `json:",omitempty"`
	KeyId                       string
	KeyManager                  string
	KeySpec                     string
	KeyState                    string
	KeyUsage                    string
	MultiRegion                 bool
	Origin                      string
	PendingDeletionWindowInDays int      `json:",omitempty"`
	SigningAlgorithms           []string `json:",omitempty"`
	MacAlgorithms               []string `json:",omitempty"`
}

type keyOut struct{ KeyMetadata metadata }

// algorithms are those of the key specs that exist here, for the first usage that a spec allows.
var specs = map[string]struct {
	usages     []string
	algorithms []string
}{
	symmetricSpec:   {[]string{"ENCRYPT_DECRYPT"}, []string{"SYMMETRIC_DEFAULT"}},
	"RSA_2048":      {[]string{"ENCRYPT_DECRYPT"}, []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}},
	"RSA_4096":      {[]string{"ENCRYPT_DECRYPT"}, []string{"RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"}},
	"ECC_NIST_P256": {[]string{"SIGN_VERIFY"}, []string{"ECDSA_SHA_256"}},
	"HMAC_256":      {[]string{"GENERATE_VERIFY_MAC"}, []string{"HMAC_SHA_256"}},
}

func (s *Service) metadata(k *key) metadata {
	m := metadata{
		AWSAccountId: s.w.Account, Arn: k.arn, CreationDate: wire.At(k.created), CustomerMasterKeySpec: k.spec, Description: k.description,
		Enabled: k.state == enabledState, KeyId: k.id, KeyManager: "CUSTOMER", KeySpec: k.spec, KeyState: k.state, KeyUsage: k.usage,
		MultiRegion: k.multiRegion, Origin: "AWS_KMS",
	}
	if k.managed {
		m.KeyManager = "AWS"
	}
	if k.state == pendingState {
		m.DeletionDate = wire.At(k.deletion)
	}
	switch list := specs[k.spec].algorithms; k.usage {
	case "SIGN_VERIFY":
		m.SigningAlgorithms = list
	case "GENERATE_VERIFY_MAC":
		m.MacAlgorithms = list
	default:
		m.EncryptionAlgorithms = list
	}
	return m
}

// onKey makes an operation on an existing key. do runs with s.mu held.
func onKey[In any, Out any](s *Service, name string, id func(*In) string, do func(*wire.Call, *In, *key) (*Out, error)) wire.Op {
	return wire.Handle(name, func(c *wire.Call, in *In) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.need(c, name, id(in))
	}, func(_ context.Context, c *wire.Call, in *In) (*Out, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if id(in) == "" {
			return nil, invalid("1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null")
		}
		k, err := s.find(id(in))
		if err != nil {
			return nil, err
		}
		return do(c, in, k)
	})
}

func (in *keyIn) key() string { return in.KeyId }

type listKeysOut struct {
	Keys       []listedKey
	NextMarker string `json:",omitempty"`
	Truncated  bool
}

type listedKey struct{ KeyArn, KeyId string }

type scheduledOut struct {
	KeyId               string
	KeyState            string
	DeletionDate        *wire.Time `json:",omitempty"`
	PendingWindowInDays int        `json:",omitempty"`
}

type rotationOut struct{ KeyRotationEnabled bool }

func (s *Service) keyOps() []wire.Op {
	return []wire.Op{
		wire.Handle("CreateKey", s.needCreate, s.createKey),
		onKey(s, "DescribeKey", (*keyIn).key, func(_ *wire.Call, _ *keyIn, k *key) (*keyOut, error) {
			return &keyOut{s.metadata(k)}, nil
		}),
		wire.Handle("ListKeys", wire.On[keyIn]("kms:ListKeys", "*"), s.listKeys),
		onKey(s, "UpdateKeyDescription", (*keyIn).key, func(_ *wire.Call, in *keyIn, k *key) (*none, error) {
			if err := k.notDeleted(); err != nil {
				return nil, err
			}
			k.description = in.Description
			return &none{}, nil
		}),
		s.toState("EnableKey", enabledState),
		s.toState("DisableKey", disabledState),
		onKey(s, "ScheduleKeyDeletion", (*keyIn).key, s.scheduleDeletion),
		onKey(s, "CancelKeyDeletion", (*keyIn).key, func(_ *wire.Call, _ *keyIn, k *key) (*scheduledOut, error) {
			if k.state != pendingState {
				return nil, wire.Errf("KMSInvalidStateException", "%s is not pending deletion.", k.arn)
			}
			k.state = disabledState // so AWS leaves it
			k.scheduled++
			return &scheduledOut{KeyId: k.arn}, nil
		}),
		s.rotate("EnableKeyRotation", true),
		s.rotate("DisableKeyRotation", false),
		onKey(s, "GetKeyRotationStatus", (*keyIn).key, func(_ *wire.Call, _ *keyIn, k *key) (*rotationOut, error) {
			return &rotationOut{k.rotation}, nil
		}),
	}
}

func (s *Service) toState(name, state string) wire.Op {
	return onKey(s, name, (*keyIn).key, func(_ *wire.Call, _ *keyIn, k *key) (*none, error) {
		if err := s.customers(k); err != nil {
			return nil, err
		}
		k.state = state
		return &none{}, nil
	})
}

func (s *Service) rotate(name string, on bool) wire.Op {
	return onKey(s, name, (*keyIn).key, func(_ *wire.Call, _ *keyIn, k *key) (*none, error) {
		if err := s.customers(k); err != nil {
			return nil, err
		}
		if k.spec != symmetricSpec {
			return nil, wire.Errf("UnsupportedOperationException", "The operation is not supported for keys of the spec %s.", k.spec)
		}
		if k.state == disabledState {
			return nil, wire.Errf("DisabledException", "%s is disabled.", k.arn)
		}
		k.rotation = on
		return &none{}, nil
	})
}

// customers refuses changes of keys that are AWS's, or that wait for their deletion.
func (s *Service) customers(k *key) error {
	if k.managed {
		return wire.Errf("AccessDeniedException", "The operation is not permitted on an AWS managed key: %s", k.arn)
	}
	return k.notDeleted()
}

type createIn struct {
	Description, KeySpec, CustomerMasterKeySpec, KeyUsage, Origin, Policy string
	CustomKeyStoreId, XksKeyId                                            string
	BypassPolicyLockoutSafetyCheck, MultiRegion                           bool
	Tags                                                                  []tag
}

func (in *createIn) defaults() {
	if in.KeySpec == "" {
		in.KeySpec = in.CustomerMasterKeySpec
	}
	if in.KeySpec == "" {
		in.KeySpec = symmetricSpec
	}
	if in.KeyUsage == "" {
		in.KeyUsage = "ENCRYPT_DECRYPT"
	}
}

func (s *Service) needCreate(c *wire.Call, in *createIn) []wire.Need {
	in.defaults()
	n := wire.Need{Action: "kms:CreateKey", Resource: "*", Context: requestTags(in.Tags)}
	maps.Copy(n.Context, map[string][]string{
		"kms:CallerAccount": {c.Account}, "kms:KeySpec": {in.KeySpec}, "kms:KeyUsage": {in.KeyUsage}, "kms:KeyOrigin": {"AWS_KMS"},
	})
	if len(in.Tags) == 0 {
		return []wire.Need{n}
	}
	return []wire.Need{n, {Action: "kms:TagResource", Resource: "*", Context: n.Context}}
}

func (s *Service) createKey(_ context.Context, c *wire.Call, in *createIn) (*keyOut, error) {
	in.defaults()
	if in.CustomKeyStoreId+in.XksKeyId != "" || in.Origin != "" && in.Origin != "AWS_KMS" {
		return nil, notImplemented("keys of another origin than AWS_KMS")
	}
	if _, ok := specs[in.KeySpec]; !ok {
		return nil, notImplemented("the key spec " + in.KeySpec)
	}
	if !slices.Contains(specs[in.KeySpec].usages, in.KeyUsage) {
		return nil, invalid("KeyUsage %s is not compatible with KeySpec %s", in.KeyUsage, in.KeySpec)
	}
	tags, err := checkedTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.newKey()
	if in.Policy == "" {
		k.policy = defaultPolicy(s.w.Account)
	} else if err := checkPolicy(c, k, in.Policy, in.BypassPolicyLockoutSafetyCheck); err != nil {
		delete(s.keys, k.id)
		return nil, err
	} else {
		k.policy = in.Policy
	}
	if in.MultiRegion {
		delete(s.keys, k.id)
		k.id = "mrk-" + strings.ReplaceAll(k.id, "-", "")
		k.arn, k.multiRegion = s.w.ARN("kms", "key/"+k.id), true
		s.keys[k.id] = k
	}
	k.description, k.spec, k.usage, k.tags = in.Description, in.KeySpec, in.KeyUsage, tags
	return &keyOut{s.metadata(k)}, nil
}

func (s *Service) listKeys(_ context.Context, _ *wire.Call, in *keyIn) (*listKeysOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, next, err := page(slices.Sorted(maps.Keys(s.keys)), func(id string) string { return id }, in.Marker, in.Limit, 1000)
	if err != nil {
		return nil, err
	}
	out := &listKeysOut{Keys: []listedKey{}, NextMarker: next, Truncated: next != ""}
	for _, id := range ids {
		out.Keys = append(out.Keys, listedKey{s.keys[id].arn, id})
	}
	return out, nil
}

// scheduleDeletion lets a key wait for its end, 7 to 30 days as on AWS: nobody should get used to less.
func (s *Service) scheduleDeletion(_ *wire.Call, in *keyIn, k *key) (*scheduledOut, error) {
	days := 30
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < 7 || days > 30 {
		return nil, invalid("1 validation error detected: Value '%d' at 'pendingWindowInDays' failed to satisfy constraint: Member must have value between 7 and 30", days)
	}
	if err := s.customers(k); err != nil {
		return nil, err
	}
	k.state = pendingState
	k.deletion = time.Now().Add(time.Duration(days) * 24 * time.Hour)
	k.scheduled++
	turn := k.scheduled
	s.w.After(time.Until(k.deletion), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if k.scheduled != turn || k.state != pendingState {
			return
		}
		delete(s.keys, k.id)
		maps.DeleteFunc(s.aliases, func(_ string, a *alias) bool { return a.target == k.id })
	})
	return &scheduledOut{KeyId: k.arn, KeyState: k.state, DeletionDate: wire.At(k.deletion), PendingWindowInDays: days}, nil
}
