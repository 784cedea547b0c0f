// Package iam is the embedded cloud's Identity and Access Management: roles, policies and instance profiles, the
// credentials of who calls, and the decision whether they may. It is the gateway's wire.Credentials and wire.Authorizer.
//
// Root credentials, which a developer uses, may do everything. Every other caller is a session of a role, and each of its
// calls is evaluated against the role's policies. Which statement allowed what is counted, so that what is granted and
// never used can be told.
package iam

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Options are the account's fixed parts.
type Options struct {
	// AccessKeyID and SecretAccessKey are the root user's. Empty means DefaultAccessKeyID and DefaultSecretAccessKey.
	AccessKeyID, SecretAccessKey string
}

// The root user's credentials unless Options say otherwise. They open nothing but an embedded cloud.
const (
	DefaultAccessKeyID     = "AKIAEKSPEDITELOCAL01"
	DefaultSecretAccessKey = "ekspedite/local/not/a/secret/EXAMPLEKEY1"
)

// Service is IAM of one account.
type Service struct {
	w    *world.World
	opts Options

	mu        sync.Mutex
	roles     map[string]*role
	policies  map[string]*managed // customer managed, by ARN
	profiles  map[string]*profile
	providers map[string]*oidcProvider // by ARN
	users     map[string]user          // by name
	sessions  map[string]*session      // by access key id
	deletions map[string]bool          // tasks of DeleteServiceLinkedRole
	used      map[Grant]int            // Calls is 0 in the keys
	denials   map[Denial]int           // Calls is 0 in the keys
}

type role struct {
	name, path, id, arn string
	description         string
	created             time.Time
	usable              time.Time // from when on other services know the role
	maxSession          time.Duration
	trust               policy.Document
	trustText           string
	inline              map[string]text
	attached            []string // ARNs, in order of attachment
	boundary            string   // ARN
	tags                []Tag
	serviceLinked       string // the service that owns the role
	lastUsed            time.Time
}

// text is a policy document as it was written and as it was understood.
type text struct {
	raw string
	doc policy.Document
}

type managed struct {
	name, path, id, arn, description string
	created, updated                 time.Time
	text                             text // of the default version
	versions                         []version
	fallback                         int // the default version's number
	last                             int // number given last: numbers are not used again
	tags                             []Tag
}

type version struct {
	number  int
	text    text
	created time.Time
}

type profile struct {
	name, path, id, arn string
	created             time.Time
	role                string // name, or ""
	tags                []Tag
}

type oidcProvider struct {
	arn, url            string
	clients, thumbprint []string
	created             time.Time
	tags                []Tag
}

// Tag is a tag of an IAM resource.
type Tag struct {
	Key, Value string
}

// New makes an account without roles.
func New(w *world.World, opts Options) *Service {
	if opts.AccessKeyID == "" {
		opts.AccessKeyID, opts.SecretAccessKey = DefaultAccessKeyID, DefaultSecretAccessKey
	}
	return &Service{
		w: w, opts: opts, roles: map[string]*role{}, policies: map[string]*managed{}, profiles: map[string]*profile{},
		providers: map[string]*oidcProvider{}, users: map[string]user{}, sessions: map[string]*session{}, deletions: map[string]bool{}, used: map[Grant]int{}, denials: map[Denial]int{},
	}
}

// RootCredentials are the account's own: no policy binds them.
func (s *Service) RootCredentials() (accessKeyID, secretAccessKey string) {
	return s.opts.AccessKeyID, s.opts.SecretAccessKey
}

// id makes a unique id as IAM has them: AROA and 17 letters and digits.
func (s *Service) id(prefix string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	b := []byte(prefix)
	for range 17 {
		b = append(b, alphabet[s.w.IntN(len(alphabet))])
	}
	return string(b)
}

func (s *Service) arn(resource string) string { return "arn:aws:iam::" + s.w.Account + ":" + resource }

// roleByARN finds a role. The caller holds s.mu.
func (s *Service) roleByARN(arn string) (*role, error) {
	_, path, ok := strings.Cut(arn, ":role/")
	if !ok {
		return nil, fmt.Errorf("%q is not a role's ARN", arn)
	}
	r := s.roles[path[strings.LastIndexByte(path, '/')+1:]]
	if r == nil || r.arn != arn {
		return nil, fmt.Errorf("the role %s does not exist", arn)
	}
	return r, nil
}

// documents are the identity policies and the boundary of a role. The caller holds s.mu.
func (s *Service) documents(r *role) (identity []policy.Document, boundary *policy.Document) {
	for _, name := range sorted(r.inline) {
		identity = append(identity, r.inline[name].doc)
	}
	for _, arn := range r.attached {
		if d, ok := s.managedDocument(arn); ok {
			identity = append(identity, d)
		}
	}
	if r.boundary != "" {
		d, _ := s.managedDocument(r.boundary) // without the policy, the empty document: nothing is within it
		boundary = &d
	}
	return identity, boundary
}

func (s *Service) managedDocument(arn string) (policy.Document, bool) {
	if p := s.policies[arn]; p != nil {
		return p.text.doc, true
	}
	p, ok := awsManaged()[arn]
	return p.doc, ok
}

func (s *Service) policyExists(arn string) bool {
	_, ok := s.managedDocument(arn)
	return ok
}

// ProfileRole returns the ARN of the role in an instance profile, given by name or ARN; empty if there is none.
func (s *Service) ProfileRole(nameOrARN string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.profiles[nameOrARN[strings.LastIndexByte(nameOrARN, '/')+1:]]
	if p == nil || p.role == "" {
		return ""
	}
	return s.roles[p.role].arn
}

func parse(name, raw string, kind policy.Kind) (text, error) {
	d, err := policy.Parse([]byte(raw))
	if err == nil {
		err = d.Check(kind)
	}
	if err != nil {
		return text{}, wire.Errf("MalformedPolicyDocument", "%v", err)
	}
	d.Name = name
	return text{raw: raw, doc: d}, nil
}

// EvaluateResourcePolicy tells whether a resource's policy lets an AWS service do an action: for queues, buses and
// functions that others deliver to.
func EvaluateResourcePolicy(document json.RawMessage, principalService, action, resource string, context map[string][]string) bool {
	d, err := policy.Parse(document)
	if err != nil {
		return false
	}
	return policy.Evaluate(nil, nil, &d, policy.Request{
		Principal: policy.Principal{Service: principalService}, Action: action, Resource: resource, Context: context,
	}).Allowed
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
