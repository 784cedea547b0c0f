package ec2

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// kind is a type of resource: its name in ARNs and tag specifications, and the errors that AWS has for its ids.
type kind struct {
	name     string // "vpc"
	prefix   string // "vpc-"
	notFound func(ids []string) *wire.Error
	bad      string // code for an id that cannot be one
}

func kindOf(name, prefix, code, noun string) *kind {
	return &kind{name: name, prefix: prefix, bad: code + ".Malformed", notFound: func(ids []string) *wire.Error {
		if len(ids) > 1 {
			return wire.Errf(code+".NotFound", "The %ss '%s' do not exist", noun, strings.Join(ids, ", "))
		}
		return wire.Errf(code+".NotFound", "The %s '%s' does not exist", noun, ids[0])
	}}
}

// The kinds of resources.
var (
	kindVPC       = kindOf("vpc", "vpc-", "InvalidVpcID", "vpc ID")
	kindSubnet    = kindOf("subnet", "subnet-", "InvalidSubnetID", "subnet ID")
	kindIGW       = kindOf("internet-gateway", "igw-", "InvalidInternetGatewayID", "internetGateway ID")
	kindRoutes    = kindOf("route-table", "rtb-", "InvalidRouteTableID", "routeTable ID")
	kindAddress   = kindOf("elastic-ip", "eipalloc-", "InvalidAllocationID", "allocation ID")
	kindInterface = kindOf("network-interface", "eni-", "InvalidNetworkInterfaceID", "networkInterface ID")
	kindInstance  = kindOf("instance", "i-", "InvalidInstanceID", "instance ID")
	kindEgress    = kindOf("egress-only-internet-gateway", "eigw-", "InvalidEgressOnlyInternetGatewayId", "egressOnlyInternetGateway ID")
	kindVPN       = kindOf("vpn-gateway", "vgw-", "InvalidVpnGatewayID", "vpnGateway ID")
	kindEndpoint  = kindOf("vpc-endpoint", "vpce-", "InvalidVpcEndpointId", "Vpc Endpoint Id")
	kindVolume    = &kind{name: "volume", prefix: "vol-", bad: "InvalidParameterValue", notFound: func(ids []string) *wire.Error {
		return wire.Errf("InvalidVolume.NotFound", "The volume '%s' does not exist.", ids[0])
	}}
	kindRule      = kindOf("security-group-rule", "sgr-", "InvalidSecurityGroupRuleId", "security group rule ID")
	kindKey       = kindOf("key-pair", "key-", "InvalidKeyPair", "key pair")
	kindPlacement = kindOf("placement-group", "pg-", "InvalidPlacementGroup", "Placement Group")
	kindFleet     = kindOf("fleet", "fleet-", "InvalidFleetId", "fleet ID")
	kindGroup     = &kind{name: "security-group", prefix: "sg-", bad: "InvalidGroupId.Malformed", notFound: func(ids []string) *wire.Error {
		return wire.Errf("InvalidGroup.NotFound", "The security group '%s' does not exist", ids[0])
	}}
	kindNAT = &kind{name: "natgateway", prefix: "nat-", bad: "NatGatewayMalformed", notFound: func(ids []string) *wire.Error {
		return wire.Errf("NatGatewayNotFound", "NatGateway %s was not found", ids[0])
	}}
	kindTransit = &kind{name: "transit-gateway", prefix: "tgw-", bad: "InvalidTransitGatewayID.Malformed", notFound: func(ids []string) *wire.Error {
		return wire.Errf("InvalidTransitGatewayID.NotFound", "Transit Gateway %s was deleted or does not exist.", ids[0])
	}}
	kindTransitAttachment = &kind{name: "transit-gateway-attachment", prefix: "tgw-attach-", bad: "InvalidTransitGatewayAttachmentID.Malformed", notFound: func(ids []string) *wire.Error {
		return wire.Errf("InvalidTransitGatewayAttachmentID.NotFound", "Transit Gateway Attachment %s was deleted or does not exist.", ids[0])
	}}
	kindTemplate = &kind{name: "launch-template", prefix: "lt-", bad: "InvalidLaunchTemplateId.Malformed", notFound: func(ids []string) *wire.Error {
		return wire.Errf("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID %s, does not exist.", ids[0])
	}}
)

// kinds are all of them, for ids of which only the form is known: the last whose prefix fits.
var kinds = []*kind{
	kindVPC, kindSubnet, kindIGW, kindEgress, kindRoutes, kindAddress, kindInterface, kindInstance, kindGroup, kindRule, kindNAT, kindEndpoint,
	kindVolume, kindKey, kindPlacement, kindTemplate, kindFleet, kindVPN, kindTransit, kindTransitAttachment,
}

// record is what all resources have.
type record struct {
	kind    *kind
	id      string
	seq     int
	created time.Time
	visible time.Time // describes by id do not find it before
	tags    map[string]string
}

type resource interface{ rec() *record }

func (r *record) rec() *record { return r }

// add gives a new resource its id and keeps it. The lock is held.
func (s *Service) add(k *kind, r resource, tags map[string]string) {
	s.seq++
	now := time.Now()
	id := r.rec().id // of a kind with ids in another form
	if id == "" {
		id = k.prefix + s.w.Hex(17)
	}
	*r.rec() = record{kind: k, id: id, seq: s.seq, created: now, visible: now, tags: maps.Clone(tags)}
	if r.rec().tags == nil {
		r.rec().tags = map[string]string{}
	}
	if s.opts.Stale != nil && s.opts.Stale() {
		r.rec().visible = now.Add(s.w.Profile.Settle)
	}
	s.byID[r.rec().id] = r
	s.order = append(s.order, r)
}

func (s *Service) remove(r resource) {
	delete(s.byID, r.rec().id)
	s.order = slices.DeleteFunc(s.order, func(o resource) bool { return o.rec() == r.rec() })
}

// all returns the resources of one type, oldest first. The lock is held.
func all[T resource](s *Service) []T {
	var out []T
	for _, r := range s.order {
		if t, ok := r.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

// get finds a resource by id, for operations that work on it. The lock is held.
func get[T resource](s *Service, k *kind, id string) (T, error) {
	t, ok := s.byID[id].(T)
	if ok {
		return t, nil
	}
	if !strings.HasPrefix(id, k.prefix) {
		return t, wire.Errf(k.bad, "Invalid id: %q (expecting %q)", id, k.prefix+"...")
	}
	return t, k.notFound([]string{id})
}

// filter is one filter of a describe: all filters must match, in each any value.
type filter struct {
	Name   string
	Values []string `query:"Value"`
}

// filters maps the names of the filters that a describe knows to a resource's values.
type filters[T any] map[string]func(T) []string

func one[T any](f func(T) string) func(T) []string {
	return func(t T) []string { return []string{f(t)} }
}

func tagsOf(t any) map[string]string {
	switch t := t.(type) {
	case resource:
		return t.rec().tags
	case tagDescription:
		return map[string]string{t.Key: t.Value}
	}
	return nil
}

// keep returns the items that match all filters. Filters on tags are known for every resource.
func (known filters[T]) keep(items []T, fs []filter) ([]T, error) {
	for _, f := range fs {
		values, ok := known[f.Name]
		switch key, isTag := strings.CutPrefix(f.Name, "tag:"); {
		case ok:
		case isTag:
			values = func(t T) []string {
				if v, ok := tagsOf(t)[key]; ok {
					return []string{v}
				}
				return nil
			}
		case f.Name == "tag-key":
			values = func(t T) []string { return slices.Collect(maps.Keys(tagsOf(t))) }
		default:
			return nil, invalid("The filter '%s' is invalid", f.Name)
		}
		if len(f.Values) == 0 {
			return nil, invalid("The filter '%s' must have a value", f.Name)
		}
		var kept []T
		for _, t := range items {
			if form.MatchAny(f.Values, values(t)) {
				kept = append(kept, t)
			}
		}
		items = kept
	}
	return items, nil
}

// query is how resources are asked for.
type query struct {
	ids     []string
	filters []filter
	max     *int
	least   int // the least MaxResults that the operation takes; 5 if not set
	token   string
}

// describe finds resources. A resource whose creation has not settled yet is not found by id. The lock is held.
func describe[T resource](s *Service, k *kind, known filters[T], q query) ([]T, string, error) {
	items := all[T](s)
	if len(q.ids) > 0 {
		var absent []string
		items = nil
		for _, id := range q.ids {
			t, err := get[T](s, k, id)
			if e, ok := err.(*wire.Error); ok && e.Code == k.bad {
				return nil, "", err
			}
			if err != nil || time.Now().Before(t.rec().visible) {
				absent = append(absent, id)
				continue
			}
			items = append(items, t)
		}
		if len(absent) > 0 {
			return nil, "", k.notFound(absent)
		}
		slices.SortFunc(items, func(a, b T) int { return a.rec().seq - b.rec().seq })
		items = slices.CompactFunc(items, func(a, b T) bool { return a.rec() == b.rec() })
	}
	items, err := known.keep(items, q.filters)
	if err != nil {
		return nil, "", err
	}
	return paged(items, func(t T) string { return fmt.Sprintf("%012d", t.rec().seq) }, q)
}

// paged cuts a page out of items, as MaxResults and NextToken ask.
func paged[T any](items []T, key func(T) string, q query) ([]T, string, error) {
	size := 1000
	if q.least == 0 {
		q.least = 5
	}
	if q.max != nil {
		if size = *q.max; size < q.least {
			return nil, "", invalid("Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than or equal to %d.", size, q.least)
		}
	}
	page, next, ok := form.Page(items, key, min(size, 1000), q.token)
	if !ok {
		return nil, "", wire.Errf("InvalidNextToken", "The specified NextToken is not valid.")
	}
	return page, next, nil
}

// fingerprint tells two requests apart.
func fingerprint(in any) string {
	b, err := json.Marshal(in)
	if err != nil {
		panic(fmt.Sprintf("a request of type %T has no JSON form: %v", in, err)) // a programming error: they are plain structs
	}
	return string(b)
}
