package eks

import (
	"context"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Update statuses.
const (
	inProgress = "InProgress"
	successful = "Successful"
	updateFail = "Failed"
)

// update is one asynchronous change, EKS's only reliable witness of what is going on.
type update struct {
	id, status, kind string
	nodegroup, addon string // what it is about; empty for the cluster, as is capability
	capability       string
	params           []updateParam
	errors           []updateError
	created          time.Time
	request          request
	cancel           *cancellation
	stop             chan struct{} // closed to cancel it; nil when it cannot be
}

// request identifies the call that started an update: what it was about, its idempotency token and its parameters.
type request struct{ scope, token, asked string }

type updateParam struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

type updateError struct {
	ErrorCode    string   `json:"errorCode"`
	ErrorMessage string   `json:"errorMessage"`
	ResourceIDs  []string `json:"resourceIds"`
}

type updateShape struct {
	ID        string        `json:"id"`
	Status    string        `json:"status"`
	Type      string        `json:"type"`
	Params    []updateParam `json:"params"`
	CreatedAt *wire.Time    `json:"createdAt"`
	Errors    []updateError `json:"errors"`
	Cancelled *cancellation `json:"cancellation,omitempty"`
}

type updateOut struct {
	Update updateShape `json:"update"`
}

func (u *update) view() *updateOut {
	v := updateShape{
		ID: u.id, Status: u.status, Type: u.kind, Params: append([]updateParam{}, u.params...),
		CreatedAt: wire.At(u.created), Errors: append([]updateError{}, u.errors...),
	}
	if u.cancel != nil {
		c := *u.cancel
		v.Cancelled = &c
	}
	return &updateOut{v}
}

// running is the update in progress of the cluster, node group or add-on. The caller holds s.mu.
func (c *cluster) running(nodegroup, addon string) *update {
	i := slices.IndexFunc(c.updates, func(u *update) bool {
		return u.status == inProgress && u.nodegroup == nodegroup && u.addon == addon && u.capability == ""
	})
	if i < 0 {
		return nil
	}
	return c.updates[i]
}

func (u *update) about(nodegroup, addon, capability string) bool {
	return u.nodegroup == nodegroup && u.addon == addon && u.capability == capability
}

// repeated finds the update that the same request has started already. The caller holds s.mu.
func (c *cluster) repeated(r request) (*update, error) {
	if r.token == "" {
		return nil, nil
	}
	for _, u := range c.updates {
		switch {
		case u.request.token != r.token || u.request.scope != r.scope:
		case u.request.asked != r.asked:
			return nil, tokenReused(c.name)
		default:
			return u, nil
		}
	}
	return nil, nil
}

func (s *Service) begin(c *cluster, u *update) *update {
	u.id, u.status, u.created = s.w.UUID(), inProgress, time.Now()
	c.updates = append(c.updates, u)
	s.touch()
	return u
}

// end closes an update; errs makes it a failed one. The caller holds s.mu.
func (s *Service) end(u *update, errs ...updateError) {
	u.status = successful
	if len(errs) > 0 {
		u.status, u.errors = updateFail, errs
	}
	s.touch()
}

// free refuses a change of the cluster while another one runs, be it the customer's or AWS's own. The caller holds s.mu.
func (s *Service) free(c *cluster, kind string) error {
	if c.status == creating || c.status == deleting || c.status == failed {
		return notActive(c.name)
	}
	if c.running("", "") == nil && s.opt.PlatformUpdate != nil && s.opt.PlatformUpdate() {
		s.patchPlatform(c)
	}
	if u := c.running("", ""); u != nil {
		return inUse(c.name, "Cannot %s because cluster %s currently has update %s in progress", kind, c.name, u.id)
	}
	return nil
}

// patchPlatform is AWS rolling out a new platform version at a time of its own. The cluster stays ACTIVE meanwhile.
func (s *Service) patchPlatform(c *cluster) *update {
	next := c.platform + 1
	u := s.begin(c, &update{kind: "VersionUpdate", params: []updateParam{{"Version", c.version}, {"PlatformVersion", platformVersion(next)}}})
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ClusterUpdate) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		c.platform = next
		s.end(u)
	})
	return u
}

type describeUpdateIn struct {
	Name          string `json:"-" path:"name"`
	UpdateID      string `json:"-" path:"updateId"`
	NodegroupName string `json:"-" param:"nodegroupName"`
	AddonName     string `json:"-" param:"addonName"`
	Capability    string `json:"-" param:"capabilityName"`
}

type listUpdatesIn struct {
	Name          string `json:"-" path:"name"`
	NodegroupName string `json:"-" param:"nodegroupName"`
	AddonName     string `json:"-" param:"addonName"`
	Capability    string `json:"-" param:"capabilityName"`
	MaxResults    *int   `json:"-" param:"maxResults"`
	NextToken     string `json:"-" param:"nextToken"`
}

type listUpdatesOut struct {
	UpdateIDs []string `json:"updateIds"`
	NextToken *string  `json:"nextToken,omitempty"`
}

func (s *Service) updateOps() []wire.Op {
	return []wire.Op{
		wire.Handle("DescribeUpdate", s.needDescribeUpdate, s.describeUpdate).REST("GET", "/clusters/{name}/updates/{updateId}"),
		wire.Handle("ListUpdates", s.needListUpdates, s.listUpdates).REST("GET", "/clusters/{name}/updates"),
	}
}

// subject finds the cluster and checks that the node group, add-on or capability, where one is named, exists. The caller holds s.mu.
func (s *Service) subject(name, nodegroup, addon, capability string) (*cluster, error) {
	c := s.clusters[name]
	switch {
	case c == nil:
		return nil, noCluster(name)
	case capability != "" && c.capabilities[capability] == nil:
		return nil, noCapability(name, capability)
	case nodegroup != "" && c.nodegroups[nodegroup] == nil:
		return nil, noNodegroup(name, nodegroup)
	case addon != "" && c.addons[addon] == nil:
		return nil, noAddon(name, addon)
	}
	return c, nil
}

func (s *Service) describeUpdate(_ context.Context, _ *wire.Call, in *describeUpdateIn) (*updateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.subject(in.Name, in.NodegroupName, in.AddonName, in.Capability)
	if err != nil {
		return nil, err
	}
	for _, u := range c.updates {
		if u.id == in.UpdateID && u.about(in.NodegroupName, in.AddonName, in.Capability) {
			return u.view(), nil
		}
	}
	return nil, notFound(c.name, "No update found for ID: %s", in.UpdateID)
}

func (s *Service) listUpdates(_ context.Context, _ *wire.Call, in *listUpdatesIn) (*listUpdatesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.subject(in.Name, in.NodegroupName, in.AddonName, in.Capability)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range c.updates {
		if u.about(in.NodegroupName, in.AddonName, in.Capability) {
			ids = append(ids, u.id)
		}
	}
	slices.Sort(ids)
	part, next, err := page(ids, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &listUpdatesOut{part, next}, nil
}
