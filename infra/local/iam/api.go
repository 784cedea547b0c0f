package iam

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "iam", Global: true, Protocol: wire.Query, XMLNamespace: "https://iam.amazonaws.com/doc/2010-05-08/",
		Ops: slices.Concat(s.roleOps(), s.linkedRoleOps(), s.rolePolicyOps(), s.policyOps(), s.versionOps(), s.profileOps(), s.providerOps(), s.userOps(), s.simulateOps()),
	}
}

// request is the parameters of every operation: the query protocol's parameters are flat, and a name means the same
// everywhere.
type request struct {
	RoleName, PolicyName, PolicyArn, PolicyDocument, InstanceProfileName, UserName string
	AssumeRolePolicyDocument, Path, PathPrefix, Description, PermissionsBoundary   string
	MaxSessionDuration                                                             *int
	AWSServiceName, CustomSuffix, VersionId, Scope                                 string
	OnlyAttached                                                                   bool
	Url, OpenIDConnectProviderArn                                                  string
	ClientIDList, ThumbprintList, TagKeys                                          []string
	Thumbprint, ClientID, DeletionTaskId, PolicyUsageFilter, EntityFilter          string
	SetAsDefault                                                                   bool
	Tags                                                                           []Tag
	PolicySourceArn, ResourcePolicy, CallerArn, ResourceOwner                      string
	ActionNames, ResourceArns, PolicyInputList, PermissionsBoundaryPolicyInputList []string
	ResourceHandlingOption                                                         string
	ContextEntries                                                                 []contextEntry
	Marker                                                                         string
	MaxItems                                                                       int
}

// op makes an operation. Both functions run with s.mu held.
func (s *Service) op(name string, needs func(*request) []wire.Need, do func(*request) (any, error)) wire.Op {
	return wire.Handle(name, func(_ *wire.Call, in *request) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		return needs(in)
	}, func(_ context.Context, _ *wire.Call, in *request) (*answer, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		out, err := do(in)
		return &answer{out}, err
	})
}

// answer lets unnamed structs, which encoding/xml refuses as roots, be answers. A nil value is an answer without content.
type answer struct{ value any }

// MarshalXML implements xml.Marshaler.
func (a *answer) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if a.value == nil {
		a.value = struct{}{}
	}
	return e.EncodeElement(a.value, start)
}

func notFound(format string, args ...any) error {
	return wire.Errf("NoSuchEntity", format, args...).WithStatus(http.StatusNotFound)
}

func exists(format string, args ...any) error {
	return wire.Errf("EntityAlreadyExists", format, args...).WithStatus(http.StatusConflict)
}

func conflict(format string, args ...any) error {
	return wire.Errf("DeleteConflict", format, args...).WithStatus(http.StatusConflict)
}

var (
	namePattern = regexp.MustCompile(`^[\w+=,.@-]+$`)
	pathPattern = regexp.MustCompile(`^(/|/[\x21-\x7e]+/)$`)
)

func checkName(field, name string, limit int) error {
	if !namePattern.MatchString(name) {
		return wire.Errf("ValidationError", "The specified value for %s is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-", field)
	}
	if len(name) > limit {
		return wire.Errf("ValidationError", "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", field, limit)
	}
	return nil
}

func checkPath(path *string) error {
	if *path == "" {
		*path = "/"
	}
	if !pathPattern.MatchString(*path) {
		return wire.Errf("ValidationError", "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.")
	}
	return nil
}

// checkTags also refuses what IAM refuses: more than 50, the same key twice in any case, the aws: prefix.
func checkTags(tags []Tag) error {
	if len(tags) > 50 {
		return wire.Errf("LimitExceeded", "The number of tags has reached the maximum limit.").WithStatus(http.StatusConflict)
	}
	seen := map[string]bool{}
	for _, t := range tags {
		k := strings.ToLower(t.Key)
		switch {
		case t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256:
			return wire.Errf("ValidationError", "tag key %q or its value has an invalid length", t.Key)
		case strings.HasPrefix(k, "aws:"):
			return wire.Errf("InvalidInput", "Tag keys that start with aws: are reserved for system use")
		case seen[k]:
			return wire.Errf("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[k] = true
	}
	return nil
}

// merge sets tags by key; keys are compared without case, as IAM does.
func merge(have, set []Tag) []Tag {
	out := remove(have, tagKeys(set))
	out = append(out, set...)
	slices.SortFunc(out, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func remove(have []Tag, keys []string) []Tag {
	return slices.DeleteFunc(slices.Clone(have), func(t Tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

func tagKeys(tags []Tag) []string {
	var out []string
	for _, t := range tags {
		out = append(out, t.Key)
	}
	return out
}

// requestTags are the condition keys of tags in a request.
func requestTags(tags []Tag) map[string][]string {
	ctx := map[string][]string{}
	for _, t := range tags {
		ctx["aws:RequestTag/"+t.Key] = []string{t.Value}
	}
	if len(tags) > 0 {
		ctx["aws:TagKeys"] = tagKeys(tags)
	}
	return ctx
}

func resourceTags(ctx map[string][]string, tags []Tag) map[string][]string {
	for _, t := range tags {
		ctx["aws:ResourceTag/"+t.Key] = []string{t.Value}
		ctx["iam:ResourceTag/"+t.Key] = []string{t.Value}
	}
	return ctx
}

// encoded writes a policy document as IAM returns it: URL-encoded after RFC 3986.
func encoded(document string) string {
	return strings.ReplaceAll(url.QueryEscape(document), "+", "%20")
}

// Page is the tail of a list's answer.
type Page struct {
	IsTruncated bool
	Marker      string `xml:",omitempty"`
}

// page cuts a list whose items are in the order of their names. The marker is the name of the last item returned.
func page[T any](items []T, name func(T) string, marker string, limit int) ([]T, Page, error) {
	if limit == 0 {
		limit = 100
	}
	if limit < 1 || limit > 1000 {
		return nil, Page{}, wire.Errf("ValidationError", "1 validation error detected: Value '%d' at 'maxItems' failed to satisfy constraint: Member must have value between 1 and 1000", limit)
	}
	if marker != "" {
		i := slices.IndexFunc(items, func(t T) bool { return name(t) > marker })
		if i < 0 {
			i = len(items)
		}
		items = items[i:]
	}
	if len(items) <= limit {
		return items, Page{}, nil
	}
	return items[:limit], Page{IsTruncated: true, Marker: name(items[limit-1])}, nil
}

// pageAt cuts a list whose items have no order of their own. The marker is the position of the next item.
func pageAt[T any](items []T, marker string, limit int) ([]T, Page, error) {
	type at struct {
		position string
		item     T
	}
	var all []at
	for i, item := range items {
		all = append(all, at{fmt.Sprintf("%08d", i), item})
	}
	cut, p, err := page(all, func(a at) string { return a.position }, marker, limit)
	var out []T
	for _, a := range cut {
		out = append(out, a.item)
	}
	return out, p, err
}
