package eks

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// entry maps an IAM principal to a Kubernetes user and groups.
type entry struct {
	principal, arn    string
	kind              string
	username          string
	groups            []string
	tags              tags
	created, modified time.Time
	effective         time.Time // the authenticator learns of a new entry a little later
	token, params     string
	policies          map[string]*association // by policy ARN
	automatic         bool                    // made by EKS for a managed node group's role
}

// Types of access entries.
const (
	standard      = "STANDARD"
	ec2Linux      = "EC2_LINUX"
	ec2Windows    = "EC2_WINDOWS"
	fargateLinux  = "FARGATE_LINUX"
	ec2Auto       = "EC2" // nodes of EKS Auto Mode with a node class of the customer's
	hybridLinux   = "HYBRID_LINUX"
	hyperpodLinux = "HYPERPOD_LINUX"
)

// nodeIdentities are the user name and the groups that EKS gives to nodes, by the type of their access entry.
var nodeIdentities = map[string]struct {
	username string
	groups   []string
}{
	ec2Linux:      {"system:node:{{EC2PrivateDNSName}}", []string{"system:nodes"}},
	ec2Windows:    {"system:node:{{EC2PrivateDNSName}}", []string{"eks:kube-proxy-windows", "system:nodes"}},
	fargateLinux:  {"system:node:{{SessionName}}", []string{"system:node-proxier", "system:nodes"}},
	ec2Auto:       {"system:node:{{EC2PrivateDNSName}}", []string{"system:nodes"}},
	hybridLinux:   {"system:node:{{SessionName}}", []string{"system:nodes"}},
	hyperpodLinux: {"system:node:{{SessionName}}", []string{"system:nodes"}},
}

type association struct {
	scope        accessScope
	at, modified time.Time
}

type accessScope struct {
	Type       string   `json:"type"`
	Namespaces []string `json:"namespaces"`
}

type entryShape struct {
	ClusterName      string     `json:"clusterName"`
	PrincipalARN     string     `json:"principalArn"`
	KubernetesGroups []string   `json:"kubernetesGroups"`
	AccessEntryARN   string     `json:"accessEntryArn"`
	CreatedAt        *wire.Time `json:"createdAt"`
	ModifiedAt       *wire.Time `json:"modifiedAt"`
	Tags             tags       `json:"tags"`
	Username         string     `json:"username"`
	Type             string     `json:"type"`
}

type entryOut struct {
	AccessEntry entryShape `json:"accessEntry"`
}

type createEntryIn struct {
	Name               string   `json:"-" path:"name"`
	PrincipalARN       string   `json:"principalArn"`
	KubernetesGroups   []string `json:"kubernetesGroups"`
	Tags               tags     `json:"tags"`
	ClientRequestToken string   `json:"clientRequestToken"`
	Username           string   `json:"username"`
	Type               string   `json:"type"`
}

type entryName struct {
	Name         string `json:"-" path:"name"`
	PrincipalARN string `json:"-" path:"principalArn"`
}

type updateEntryIn struct {
	Name             string    `json:"-" path:"name"`
	PrincipalARN     string    `json:"-" path:"principalArn"`
	KubernetesGroups *[]string `json:"kubernetesGroups"`
	Username         string    `json:"username"`
}

type listEntriesIn struct {
	Name                string `json:"-" path:"name"`
	AssociatedPolicyARN string `json:"-" param:"associatedPolicyArn"`
	MaxResults          *int   `json:"-" param:"maxResults"`
	NextToken           string `json:"-" param:"nextToken"`
}

type listEntriesOut struct {
	AccessEntries []string `json:"accessEntries"`
	NextToken     *string  `json:"nextToken,omitempty"`
}

func (s *Service) accessOps() []wire.Op {
	const entries, one, policies = "/clusters/{name}/access-entries", "/clusters/{name}/access-entries/{principalArn}", "/clusters/{name}/access-entries/{principalArn}/access-policies"
	return []wire.Op{
		wire.Handle("CreateAccessEntry", s.needCreateEntry, s.createEntry).REST("POST", entries),
		wire.Handle("DescribeAccessEntry", s.needEntry("DescribeAccessEntry"), s.describeEntry).REST("GET", one),
		wire.Handle("ListAccessEntries", s.needListEntries, s.listEntries).REST("GET", entries),
		wire.Handle("UpdateAccessEntry", s.needUpdateEntry, s.updateEntry).REST("POST", one),
		wire.Handle("DeleteAccessEntry", s.needEntry("DeleteAccessEntry"), s.deleteEntry).REST("DELETE", one),
		wire.Handle("AssociateAccessPolicy", s.needAssociate, s.associate).REST("POST", policies),
		wire.Handle("DisassociateAccessPolicy", s.needDisassociate, s.disassociate).REST("DELETE", policies+"/{policyArn}"),
		wire.Handle("ListAssociatedAccessPolicies", s.needListAssociated, s.listAssociated).REST("GET", policies),
		wire.Handle("ListAccessPolicies", wire.On[listIn]("eks:ListAccessPolicies", "*"), s.listAccessPolicies).REST("GET", "/access-policies"),
	}
}

// principalOf is the IAM principal behind a caller: the role of a session, else the user or the account's root.
func principalOf(p wire.Principal) string {
	if p.RoleARN != "" {
		return p.RoleARN
	}
	return p.ARN
}

var principalForm = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:((role|user)/.+|root)$`)

// newEntry has the defaults of its kind. The caller holds s.mu.
func (s *Service) newEntry(c *cluster, principal, kind string) *entry {
	now := time.Now()
	parts := strings.SplitN(principal, ":", 6)
	resource := parts[5]
	// The ARN of an entry has the principal's kind, account and bare name: no path.
	typ, name := resource, ""
	if i := strings.IndexByte(resource, '/'); i >= 0 {
		typ, name = resource[:i], resource[strings.LastIndexByte(resource, '/')+1:]
	}
	e := &entry{
		principal: principal, kind: kind, created: now, modified: now, effective: now.Add(s.w.Profile.Settle), groups: []string{},
		tags: tags{}, policies: map[string]*association{}, username: principal,
		arn: s.w.ARN("eks", "access-entry/"+c.name+"/"+typ+"/"+parts[4]+"/"+name+"/"+s.w.UUID()),
	}
	switch {
	case kind != standard:
		e.username, e.groups = nodeIdentities[kind].username, nodeIdentities[kind].groups
	case typ == "role":
		e.username = "arn:aws:sts::" + parts[4] + ":assumed-role/" + name + "/{{SessionName}}"
	}
	return e
}

func (s *Service) addAdmin(c *cluster, principal string) {
	e := s.newEntry(c, principal, standard)
	e.policies[clusterAdminPolicy] = &association{scope: accessScope{Type: "cluster", Namespaces: []string{}}, at: e.created, modified: e.created}
	c.entries[principal] = e
}

// nodeEntryKind is the type of the access entry for a node group's role.
func nodeEntryKind(ami string) string {
	if isWindows(ami) {
		return ec2Windows
	}
	return ec2Linux
}

// nodeRoleEntry is what CreateNodegroup and CreateFargateProfile do for the nodes' role. The caller holds s.mu.
func (s *Service) nodeRoleEntry(c *cluster, role, kind string) {
	if c.access.AuthenticationMode != modeAPI {
		c.configMapRoles[role] = kind
	}
	if c.access.AuthenticationMode != modeConfigMap && c.entries[role] == nil {
		e := s.newEntry(c, role, kind)
		e.automatic = true
		c.entries[role] = e
	}
}

// forgetRole undoes nodeRoleEntry when no node group and no Fargate profile has the role any more. The caller holds s.mu.
func (s *Service) forgetRole(c *cluster, role string) {
	for _, g := range c.nodegroups {
		if g.role == role {
			return
		}
	}
	for _, f := range c.fargate {
		if f.role == role {
			return
		}
	}
	delete(c.configMapRoles, role)
	if e := c.entries[role]; e != nil && e.automatic {
		delete(c.entries, role)
	}
}

// entriesOf finds the cluster for an operation on access entries. The caller holds s.mu.
func (s *Service) entriesOf(name string) (*cluster, error) {
	c := s.clusters[name]
	if c == nil {
		return nil, noCluster(name)
	}
	if c.access.AuthenticationMode == modeConfigMap {
		return nil, invalidRequest(name, "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.")
	}
	return c, nil
}

func (s *Service) entryOf(name, principal string) (*cluster, *entry, error) {
	c, err := s.entriesOf(name)
	if err != nil {
		return nil, nil, err
	}
	e := c.entries[principal]
	if e == nil {
		return nil, nil, notFound(name, "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.")
	}
	return c, e, nil
}

func (s *Service) createEntry(_ context.Context, _ *wire.Call, in *createEntryIn) (*entryOut, error) {
	kind := cmp.Or(in.Type, standard)
	_, isNode := nodeIdentities[kind]
	switch {
	case !isNode && kind != standard:
		return nil, invalidParameter(in.Name, "The type %s is not a valid access entry type", kind)
	case !principalForm.MatchString(in.PrincipalARN):
		return nil, invalidParameter(in.Name, "The specified principalArn is invalid: invalid principal")
	case strings.Contains(in.PrincipalARN, ":role/aws-service-role/"):
		return nil, invalidParameter(in.Name, "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role")
	case isNode && !strings.HasPrefix(in.PrincipalARN, "arn:aws:iam::"+s.w.Account+":role/"):
		return nil, invalidParameter(in.Name, "The principalArn of an access entry of type %s must be an IAM role in the cluster's account", kind)
	case isNode && (len(in.KubernetesGroups) > 0 || in.Username != ""):
		return nil, invalidParameter(in.Name, "The kubernetesGroups and username of an access entry can only be set if type is STANDARD")
	}
	if err := checkIdentity(in.Name, in.Username, in.KubernetesGroups); err != nil {
		return nil, err
	}
	params := fingerprint(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.entriesOf(in.Name)
	if err != nil {
		return nil, err
	}
	if c.status == creating || c.status == deleting || c.status == failed {
		return nil, notActive(c.name)
	}
	if old := c.entries[in.PrincipalARN]; old != nil {
		if in.ClientRequestToken == "" || old.token != in.ClientRequestToken {
			return nil, inUse(in.Name, "The specified access entry resource is already in use on this cluster.")
		}
		if old.params != params {
			return nil, tokenReused(in.Name)
		}
		return &entryOut{old.view(c)}, nil
	}
	e := s.newEntry(c, in.PrincipalARN, kind)
	e.token, e.params = in.ClientRequestToken, params
	if in.Username != "" {
		e.username = in.Username
	}
	if kind == standard {
		e.groups = append(e.groups, in.KubernetesGroups...)
	}
	maps.Copy(e.tags, in.Tags)
	c.entries[e.principal] = e
	s.kick(c.name)
	s.touch()
	return &entryOut{e.view(c)}, nil
}

// checkIdentity refuses names that Kubernetes or EKS keep for themselves.
func checkIdentity(cluster, username string, groups []string) error {
	for _, prefix := range []string{"system:", "eks:", "aws:", "amazon:", "iam:"} {
		if strings.HasPrefix(username, prefix) {
			return invalidParameter(cluster, "The username %s is invalid: it cannot start with %s", username, prefix)
		}
		for _, g := range groups {
			if strings.HasPrefix(g, prefix) {
				return invalidParameter(cluster, "The kubernetes group name %s is invalid, it cannot start with %s", g, prefix)
			}
		}
	}
	if before, _, session := strings.Cut(username, "{{SessionName"); session && !strings.Contains(before, ":") {
		return invalidParameter(cluster, "The username %s is invalid: it must include a colon before {{SessionName}} or {{SessionNameRaw}}", username)
	}
	return nil
}

func (s *Service) describeEntry(_ context.Context, _ *wire.Call, in *entryName) (*entryOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e, err := s.entryOf(in.Name, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	return &entryOut{e.view(c)}, nil
}

func (s *Service) listEntries(_ context.Context, _ *wire.Call, in *listEntriesIn) (*listEntriesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.entriesOf(in.Name)
	if err != nil {
		return nil, err
	}
	names := sortedKeys(c.entries)
	if in.AssociatedPolicyARN != "" {
		names = slices.DeleteFunc(names, func(n string) bool { return c.entries[n].policies[in.AssociatedPolicyARN] == nil })
	}
	part, next, err := page(names, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listEntriesOut{part, next}, nil
}

func (s *Service) updateEntry(_ context.Context, _ *wire.Call, in *updateEntryIn) (*entryOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e, err := s.entryOf(in.Name, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	var groups []string
	if in.KubernetesGroups != nil {
		groups = *in.KubernetesGroups
	}
	if e.kind != standard {
		return nil, invalidRequest(c.name, "The access entry of type %s cannot be updated", e.kind)
	}
	if err := checkIdentity(c.name, in.Username, groups); err != nil {
		return nil, err
	}
	if in.KubernetesGroups != nil {
		e.groups = append([]string{}, groups...)
	}
	if in.Username != "" {
		e.username = in.Username
	}
	e.modified = time.Now()
	return &entryOut{e.view(c)}, nil
}

func (s *Service) deleteEntry(_ context.Context, _ *wire.Call, in *entryName) (*empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, e, err := s.entryOf(in.Name, in.PrincipalARN)
	if err != nil {
		return nil, err
	}
	delete(c.entries, e.principal)
	s.enforce(c)
	return &empty{}, nil
}

func (e *entry) view(c *cluster) entryShape {
	return entryShape{
		ClusterName: c.name, PrincipalARN: e.principal, KubernetesGroups: e.groups, AccessEntryARN: e.arn,
		CreatedAt: wire.At(e.created), ModifiedAt: wire.At(e.modified), Tags: e.tags, Username: e.username, Type: e.kind,
	}
}

// isMachine tells whether the entry lets EC2 instances join. Nodes of EKS Auto Mode need an access policy besides.
func (e *entry) isMachine() bool {
	return e.kind == ec2Linux || e.kind == ec2Windows || e.kind == ec2Auto && e.policies[autoNodePolicy] != nil
}
