// Package servicequotas is the embedded cloud's Service Quotas: what an account may have of what. The values are those
// of an account in use; Set and RequestServiceQuotaIncrease change them.
package servicequotas

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// EC2 is the service that enforces its quotas, those of VPC among them: it says what is in force, by code.
type EC2 interface {
	Quotas() map[string]int
	SetQuota(code string, limit int) bool // false: it enforces no such quota
}

// Service is Service Quotas of one account in one Region.
type Service struct {
	w   *world.World
	ec2 EC2

	mu       sync.Mutex
	applied  map[string]float64 // by service/code, where they are not the catalogue's
	requests []*change
}

// globalRegion is where the quotas of global services are.
const globalRegion = "us-east-1"

// New makes an account with the catalogue's quotas, and EC2's. ec2 may be nil.
func New(w *world.World, ec2 EC2) *Service {
	return &Service{w: w, ec2: ec2, applied: map[string]float64{}}
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	onQuota := func(_ *wire.Call, in *request) []wire.Need {
		return []wire.Need{{Action: "servicequotas:RequestServiceQuotaIncrease", Resource: s.arn(in.ServiceCode, in.QuotaCode), Context: map[string][]string{"servicequotas:service": {in.ServiceCode}}}}
	}
	return &wire.Service{
		Name: "servicequotas", Protocol: wire.JSON11, TargetPrefix: "ServiceQuotasV20190624",
		Ops: []wire.Op{
			wire.Handle("GetServiceQuota", wire.On[request]("servicequotas:GetServiceQuota", "*"), s.getQuota(true)),
			wire.Handle("GetAWSDefaultServiceQuota", wire.On[request]("servicequotas:GetAWSDefaultServiceQuota", "*"), s.getQuota(false)),
			wire.Handle("ListServiceQuotas", wire.On[request]("servicequotas:ListServiceQuotas", "*"), s.listQuotas(true)),
			wire.Handle("ListAWSDefaultServiceQuotas", wire.On[request]("servicequotas:ListAWSDefaultServiceQuotas", "*"), s.listQuotas(false)),
			wire.Handle("ListServices", wire.On[request]("servicequotas:ListServices", "*"), s.listServices),
			wire.Handle("RequestServiceQuotaIncrease", onQuota, s.requestIncrease),
			wire.Handle("GetRequestedServiceQuotaChange", wire.On[request]("servicequotas:GetRequestedServiceQuotaChange", "*"), s.getChange),
		},
	}
}

type request struct {
	ServiceCode, QuotaCode, RequestId string
	QuotaAppliedAtLevel, ContextId    string
	DesiredValue                      *float64
	MaxResults                        *int
	NextToken                         string
}

type quota struct {
	ServiceCode         string
	ServiceName         string
	QuotaArn            string
	QuotaCode           string
	QuotaName           string
	Value               float64
	Unit                string
	Adjustable          bool
	GlobalQuota         bool
	QuotaAppliedAtLevel string `json:",omitempty"`
}

type quotaOut struct{ Quota quota }

type quotasOut struct {
	Quotas    []quota
	NextToken string `json:",omitempty"`
}

func (s *Service) arn(service, code string) string { return s.w.ARN("servicequotas", service+"/"+code) }

// visible tells whether a service's quotas are in this Region: those of global services are in one only.
func (s *Service) visible(service string) bool {
	return service != "iam" || s.w.Region == globalRegion
}

// find finds a quota that this Region shows.
func (s *Service) find(service, code string) (entry, error) {
	if _, ok := services[service]; !ok || !s.visible(service) {
		return entry{}, noService()
	}
	i := slices.IndexFunc(catalogue, func(e entry) bool { return e.service == service && e.code == code })
	if i < 0 {
		return entry{}, wire.Errf("NoSuchResourceException", "The request failed because the specified service quota does not exist.")
	}
	return catalogue[i], nil
}

func noService() error {
	return wire.Errf("NoSuchResourceException", "The request failed because the specified service does not exist.")
}

// value is what the account has. The caller holds s.mu.
func (s *Service) value(e entry) float64 {
	if s.ec2 != nil && (e.service == "ec2" || e.service == "vpc") {
		if n, ok := s.ec2.Quotas()[e.code]; ok {
			return float64(n)
		}
	}
	if v, ok := s.applied[e.service+"/"+e.code]; ok {
		return v
	}
	return cmp.Or(e.applied, e.value)
}

// Value returns the account's value of a quota, for services that enforce it.
func (s *Service) Value(service, code string) (float64, bool) {
	e, err := s.find(service, code)
	if err != nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value(e), true
}

// Set gives the account another value of a quota, as AWS support does.
func (s *Service) Set(service, code string, value float64) error {
	if _, err := s.find(service, code); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(service, code, value)
	return nil
}

// set changes the account's value, where it is enforced too. The caller holds s.mu.
func (s *Service) set(service, code string, value float64) {
	if s.ec2 != nil && (service == "ec2" || service == "vpc") && s.ec2.SetQuota(code, int(value)) {
		return
	}
	s.applied[service+"/"+code] = value
}

// show is a quota on the wire. The caller holds s.mu.
func (s *Service) show(e entry, applied bool) quota {
	q := quota{ServiceCode: e.service, ServiceName: services[e.service], QuotaArn: s.arn(e.service, e.code), QuotaCode: e.code, QuotaName: e.name,
		Value: e.value, Unit: "None", Adjustable: !e.fixed, GlobalQuota: e.service == "iam"}
	if applied {
		q.Value, q.QuotaAppliedAtLevel = s.value(e), "ACCOUNT"
	} else { // the default is everybody's: its ARN has no account
		q.QuotaArn = "arn:aws:servicequotas:" + s.w.Region + "::" + e.service + "/" + e.code
	}
	return q
}

func missing(name string) error {
	return wire.Errf("IllegalArgumentException", "1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", name)
}

func (in *request) check() error {
	switch {
	case in.ServiceCode == "":
		return missing("serviceCode")
	case in.ContextId != "" || in.QuotaAppliedAtLevel != "" && in.QuotaAppliedAtLevel != "ACCOUNT":
		return wire.Errf("NotImplemented", "the embedded cloud has quotas of the account only, not of resources").WithStatus(http.StatusNotImplemented)
	}
	return nil
}

func (s *Service) getQuota(applied bool) func(context.Context, *wire.Call, *request) (*quotaOut, error) {
	return func(_ context.Context, _ *wire.Call, in *request) (*quotaOut, error) {
		if err := in.check(); err != nil {
			return nil, err
		}
		if in.QuotaCode == "" {
			return nil, missing("quotaCode")
		}
		e, err := s.find(in.ServiceCode, in.QuotaCode)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return &quotaOut{s.show(e, applied)}, nil
	}
}

func (s *Service) listQuotas(applied bool) func(context.Context, *wire.Call, *request) (*quotasOut, error) {
	return func(_ context.Context, _ *wire.Call, in *request) (*quotasOut, error) {
		if err := in.check(); err != nil {
			return nil, err
		}
		if _, ok := services[in.ServiceCode]; !ok || !s.visible(in.ServiceCode) {
			return nil, noService()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		out := &quotasOut{Quotas: []quota{}}
		for _, e := range catalogue {
			if e.service == in.ServiceCode && (in.QuotaCode == "" || in.QuotaCode == e.code) {
				out.Quotas = append(out.Quotas, s.show(e, applied))
			}
		}
		var err error
		out.Quotas, out.NextToken, err = page(out.Quotas, in)
		return out, err
	}
}

// page cuts a list; the token is the position at which the next page starts.
func page[T any](all []T, in *request) ([]T, string, error) {
	limit := 100
	if in.MaxResults != nil {
		if limit = *in.MaxResults; limit < 1 || limit > 100 {
			return nil, "", wire.Errf("IllegalArgumentException", "MaxResults must be between 1 and 100.")
		}
	}
	start := 0
	if in.NextToken != "" {
		var err error
		if start, err = strconv.Atoi(in.NextToken); err != nil || start < 0 || start > len(all) {
			return nil, "", wire.Errf("InvalidPaginationTokenException", "Invalid pagination token.")
		}
	}
	end := min(start+limit, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}

type serviceInfo struct{ ServiceCode, ServiceName string }

type servicesOut struct {
	Services  []serviceInfo
	NextToken string `json:",omitempty"`
}

func (s *Service) listServices(_ context.Context, _ *wire.Call, in *request) (*servicesOut, error) {
	out := &servicesOut{}
	for _, code := range slices.Sorted(maps.Keys(services)) {
		if s.visible(code) {
			out.Services = append(out.Services, serviceInfo{code, services[code]})
		}
	}
	var err error
	out.Services, out.NextToken, err = page(out.Services, in)
	return out, err
}

// change is a request to raise a quota.
type change struct {
	entry
	id, requester string
	desired       float64
	created       time.Time
	decided       time.Time // zero while it is open
}

type changeInfo struct {
	Id, ServiceCode, ServiceName, QuotaCode, QuotaName, QuotaArn, Requester, Status, Unit string
	DesiredValue                                                                          float64
	GlobalQuota                                                                           bool
	Created, LastUpdated                                                                  *wire.Time
}

type changeOut struct{ RequestedQuota changeInfo }

func (s *Service) showChange(c *change) *changeOut {
	out := changeInfo{Id: c.id, ServiceCode: c.service, ServiceName: services[c.service], QuotaCode: c.code, QuotaName: c.name, QuotaArn: s.arn(c.service, c.code),
		Requester: c.requester, Status: "PENDING", Unit: "None", DesiredValue: c.desired, GlobalQuota: c.service == "iam", Created: wire.At(c.created), LastUpdated: wire.At(c.created)}
	if !c.decided.IsZero() {
		out.Status, out.LastUpdated = "APPROVED", wire.At(c.decided)
	}
	return &changeOut{out}
}

// requestIncrease grants what is asked for, after a while: AWS would think about it for minutes or days.
func (s *Service) requestIncrease(_ context.Context, call *wire.Call, in *request) (*changeOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.DesiredValue == nil {
		return nil, missing("desiredValue")
	}
	e, err := s.find(in.ServiceCode, in.QuotaCode)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.fixed:
		return nil, wire.Errf("IllegalArgumentException", "The quota %s is not adjustable.", e.code)
	case *in.DesiredValue <= s.value(e):
		return nil, wire.Errf("IllegalArgumentException", "You must provide a quota value greater than or equal to the current quota value")
	case slices.ContainsFunc(s.requests, func(c *change) bool { return c.service == e.service && c.code == e.code && c.decided.IsZero() }):
		return nil, wire.Errf("ResourceAlreadyExistsException", "Only one open service quota increase request is allowed per quota.")
	}
	c := &change{entry: e, id: s.w.Hex(32) + s.w.Hex(8), requester: `{"accountId":"` + call.Account + `","callerArn":"` + call.Caller.ARN + `"}`, desired: *in.DesiredValue, created: time.Now()}
	s.requests = append(s.requests, c)
	s.w.After(s.w.Profile.ConfigUpdate, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.decided = time.Now()
		s.set(e.service, e.code, c.desired)
	})
	return s.showChange(c), nil
}

func (s *Service) getChange(_ context.Context, _ *wire.Call, in *request) (*changeOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.requests, func(c *change) bool { return c.id == in.RequestId })
	if i < 0 {
		return nil, wire.Errf("NoSuchResourceException", "The request failed because the specified quota request does not exist.")
	}
	return s.showChange(s.requests[i]), nil
}
