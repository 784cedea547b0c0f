// Package pricing is the embedded cloud's price list: what instances, clusters and what stands around them cost on
// demand. The prices of instances are those of the embedded EC2. On AWS this API answers in three Regions only, and for
// all of them; here it answers in every Region.
package pricing

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Service is the price list.
type Service struct {
	instances func() []Instance
}

// New makes a price list. instances gives the instance types; nil means that there are none.
func New(instances func() []Instance) *Service { return &Service{instances: instances} }

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "pricing", Protocol: wire.JSON11, TargetPrefix: "AWSPriceListService",
		Ops: []wire.Op{
			wire.Handle("GetProducts", wire.On[request]("pricing:GetProducts", "*"), s.getProducts),
			wire.Handle("DescribeServices", wire.On[request]("pricing:DescribeServices", "*"), s.describeServices),
			wire.Handle("GetAttributeValues", wire.On[request]("pricing:GetAttributeValues", "*"), s.getAttributeValues),
		},
	}
}

type request struct {
	ServiceCode, AttributeName, FormatVersion string
	Filters                                   []filter
	MaxResults                                *int
	NextToken                                 string
}

type filter struct{ Field, Type, Value string }

func invalid(format string, args ...any) error {
	return wire.Errf("InvalidParameterException", format, args...)
}

func (in *request) check() error {
	if in.ServiceCode == "" {
		return invalid("ServiceCode is required.")
	}
	if services[in.ServiceCode] == "" {
		return invalid("Invalid Service Code: %s is not in the embedded cloud's price list, which has only %s.", in.ServiceCode, strings.Join(slices.Sorted(maps.Keys(services)), ", "))
	}
	if v := in.FormatVersion; v != "" && v != "aws_v1" {
		return invalid("Format Version %s is not supported.", v)
	}
	for _, f := range in.Filters {
		if !slices.Contains([]string{"TERM_MATCH", "EQUALS", "CONTAINS", "ANY_OF", "NONE_OF"}, f.Type) {
			return invalid("Filter type %s is not supported.", f.Type)
		}
		if f.Field == "" || f.Value == "" {
			return invalid("A filter needs Field and Value.")
		}
	}
	return nil
}

// matches tells whether a product has what a filter asks for. An attribute that it lacks equals nothing. TERM_MATCH and
// EQUALS are the same.
func (f filter) matches(p product) bool {
	have, ok := p.attributes[f.Field]
	switch f.Field {
	case "productFamily":
		have, ok = p.family, p.family != ""
	case "ServiceCode":
		have, ok = p.service, true
	case "sku":
		have, ok = p.sku(), true
	}
	list := strings.Split(f.Value, ",")
	switch f.Type {
	case "CONTAINS":
		return ok && strings.Contains(have, f.Value)
	case "ANY_OF":
		return ok && slices.Contains(list, have)
	case "NONE_OF":
		return !ok || !slices.Contains(list, have)
	}
	return ok && have == f.Value
}

// find finds the products of a request, in the order of the price list.
func (s *Service) find(in *request) []product {
	var out []product
	for _, l := range locations {
		// A location that a filter excludes need not be made up.
		probe := product{service: in.ServiceCode, attributes: attributes(in.ServiceCode, l)}
		if slices.ContainsFunc(in.Filters, func(f filter) bool {
			return (f.Field == "location" || f.Field == "regionCode") && !f.matches(probe)
		}) {
			continue
		}
		for _, p := range s.products(in.ServiceCode, l) {
			if !slices.ContainsFunc(in.Filters, func(f filter) bool { return !f.matches(p) }) {
				out = append(out, p)
			}
		}
	}
	return out
}

type productsOut struct {
	FormatVersion string
	PriceList     []string
	NextToken     string `json:",omitempty"`
}

func (s *Service) getProducts(_ context.Context, _ *wire.Call, in *request) (*productsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	found, next, err := page(s.find(in), in)
	if err != nil {
		return nil, err
	}
	out := &productsOut{FormatVersion: "aws_v1", PriceList: []string{}, NextToken: next}
	for _, p := range found {
		raw, err := json.Marshal(p.entry())
		if err != nil {
			return nil, err
		}
		out.PriceList = append(out.PriceList, string(raw))
	}
	return out, nil
}

// page cuts a list; the token is the position at which the next page starts.
func page[T any](all []T, in *request) ([]T, string, error) {
	limit := 100
	if in.MaxResults != nil {
		if limit = *in.MaxResults; limit < 1 || limit > 100 {
			return nil, "", invalid("MaxResults must be between 1 and 100.")
		}
	}
	start := 0
	if in.NextToken != "" {
		var err error
		if start, err = strconv.Atoi(in.NextToken); err != nil || start < 0 || start > len(all) {
			return nil, "", wire.Errf("InvalidNextTokenException", "The pagination token is invalid.")
		}
	}
	end := min(start+limit, len(all))
	if end == len(all) {
		return all[start:], "", nil
	}
	return all[start:end], strconv.Itoa(end), nil
}

type serviceInfo struct {
	ServiceCode    string
	AttributeNames []string
}

type servicesOut struct {
	FormatVersion string
	Services      []serviceInfo
	NextToken     string `json:",omitempty"`
}

func (s *Service) describeServices(_ context.Context, _ *wire.Call, in *request) (*servicesOut, error) {
	if in.ServiceCode != "" {
		if err := in.check(); err != nil {
			return nil, err
		}
	}
	out := &servicesOut{FormatVersion: "aws_v1", Services: []serviceInfo{}}
	for _, code := range slices.Sorted(maps.Keys(services)) {
		if code != cmp.Or(in.ServiceCode, code) {
			continue
		}
		names := map[string]bool{"productFamily": true}
		for _, p := range s.products(code, locations[0]) {
			for k := range p.attributes {
				names[k] = true
			}
		}
		out.Services = append(out.Services, serviceInfo{code, slices.Sorted(maps.Keys(names))})
	}
	var err error
	out.Services, out.NextToken, err = page(out.Services, in)
	return out, err
}

type value struct{ Value string }

type valuesOut struct {
	AttributeValues []value
	NextToken       string `json:",omitempty"`
}

func (s *Service) getAttributeValues(_ context.Context, _ *wire.Call, in *request) (*valuesOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.AttributeName == "" {
		return nil, invalid("AttributeName is required.")
	}
	seen := map[string]bool{}
	for _, p := range s.find(&request{ServiceCode: in.ServiceCode}) {
		v, ok := p.attributes[in.AttributeName]
		if in.AttributeName == "productFamily" {
			v, ok = p.family, p.family != ""
		}
		if ok && v != "" {
			seen[v] = true
		}
	}
	names, next, err := page(slices.Sorted(maps.Keys(seen)), in)
	if err != nil {
		return nil, err
	}
	out := &valuesOut{AttributeValues: []value{}, NextToken: next}
	for _, n := range names {
		out.AttributeValues = append(out.AttributeValues, value{n})
	}
	return out, nil
}
