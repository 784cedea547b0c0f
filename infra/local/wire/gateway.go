package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Authorizer decides whether a principal may do what a call needs. It returns an *Error of the service's own
// access-denied kind.
type Authorizer interface {
	Authorize(who Principal, need Need) error
}

// Record is one call that the gateway served: the embedded cloud's CloudTrail.
type Record struct {
	Time      time.Time     `json:"time"`
	Region    string        `json:"region"`
	Service   string        `json:"service"`
	Operation string        `json:"operation"`
	Caller    string        `json:"caller"` // the principal's ARN
	RequestID string        `json:"requestId"`
	Status    int           `json:"status"`
	ErrorCode string        `json:"errorCode,omitempty"`
	Message   string        `json:"message,omitempty"`
	Took      time.Duration `json:"tookNanos"`
}

// Gateway is the HTTP front of all services. The credential scope of a call's signature says in which Region it is made,
// whatever the URL: on AWS the two agree.
type Gateway struct {
	Account string
	Region  string // the home Region, where the registered services are
	// Elsewhere returns all services of a Region other than the home Region, for the first call there, or why there is no
	// such Region. Without it, the registered services answer for every Region.
	Elsewhere   func(region string) ([]*Service, error)
	Credentials Credentials
	Authorizer  Authorizer
	Log         *slog.Logger
	NewID       func() string
	// Before may fail or delay a call: fault injection. It runs before authorisation and the operation, as throttling does.
	Before func(ctx context.Context, c *Call) error
	// After is told of every call served. It must be quick.
	After func(Record)

	services map[string]*route // by signing name

	mu      sync.Mutex
	regions map[string]map[string]*route // those elsewhere
}

type restKey struct{}

// maxBody is the largest request that any emulated API takes: 1 MiB of SQS and some slack for JSON.
const maxBody = 8 << 20

type restMatch struct {
	op  Op
	req *http.Request // with path values
}

// ServeHTTP serves one API call.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	call := &Call{RequestID: g.NewID(), Account: g.Account, Region: g.Region, Endpoint: "http://" + r.Host}
	w.Header().Set("X-Amzn-Requestid", call.RequestID)
	w.Header().Set("X-Amz-Request-Id", call.RequestID) // Amazon S3's

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request too large or cut off", http.StatusRequestEntityTooLarge)
		return
	}
	sig, err := ParseSignature(r)
	if err != nil {
		g.fail(w, &Service{Protocol: JSON10}, call, err, start)
		return
	}
	call.Service, call.Region = sig.Service, sig.Region
	routes, err := g.routes(sig.Region)
	svc, ok := routes[sig.Service]
	if err != nil {
		svc, ok = g.services[sig.Service] // an error in the service's own form
	}
	if !ok {
		svc = &route{Service: &Service{Name: sig.Service, Protocol: guess(r)}}
	}
	if err == nil && !ok {
		err = notImplemented(sig.Service, operationName(r, body))
	}
	if err != nil {
		call.Operation = operationName(r, body)
		g.fail(w, svc.Service, call, err, start)
		return
	}
	if svc.Global {
		call.Region = globalRegion
	}
	out, err := g.serve(r, body, sig, svc, call)
	if err != nil {
		g.fail(w, svc.Service, call, err, start)
		return
	}
	if err := write(w, svc.Service, call, out); err != nil {
		g.fail(w, svc.Service, call, fmt.Errorf("encoding the response: %w", err), start)
		return
	}
	g.record(call, http.StatusOK, nil, start)
}

func (g *Gateway) serve(r *http.Request, body []byte, sig *Signature, svc *route, call *Call) (any, error) {
	op, decode, err := svc.match(r, body)
	call.Operation = op.Name
	if err != nil {
		return nil, err
	}
	if call.Caller, err = sig.Verify(r, body, g.Credentials, time.Now()); err != nil {
		return nil, err
	}
	authorize := func(needs []Need) error {
		if call.Caller.Root {
			return nil
		}
		for _, n := range needs {
			if err := g.Authorizer.Authorize(call.Caller, n.In(call.Region)); err != nil {
				return err
			}
		}
		return nil
	}
	if g.Before != nil {
		if err := g.Before(r.Context(), call); err != nil {
			return nil, err
		}
	}
	return op.invoke(r.Context(), call, decode, authorize)
}

// match finds the operation and how to decode its input. The operation's name is set even when it is not implemented.
func (s *route) match(r *http.Request, body []byte) (Op, func(any) error, error) {
	name := operationName(r, body)
	switch s.Protocol {
	case RESTJSON:
		m := new(restMatch)
		ctx := context.WithValue(r.Context(), restKey{}, &m)
		s.mux.ServeHTTP(discard{http.Header{}}, trimSlash(r.WithContext(ctx)))
		if m.req == nil {
			return Op{Name: name}, nil, notImplemented(s.Name, name)
		}
		return m.op, func(v any) error { return decodeREST(m.req, body, v) }, nil
	case Query, EC2Query:
		op, ok := s.ops[name]
		if !ok {
			return Op{Name: name}, nil, notImplemented(s.Name, name)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return op, nil, Errf("MalformedQueryString", "%v", err)
		}
		for k, v := range r.URL.Query() { // presigned and GET requests carry the parameters in the URL
			form[k] = v
		}
		return op, func(v any) error { return decodeForm(form, v, s.Protocol == EC2Query) }, nil
	}
	if s.Protocol == RESTXML {
		return s.matchXML(r, body)
	}
	op, ok := s.ops[name]
	if !ok {
		return Op{Name: name}, nil, notImplemented(s.Name, name)
	}
	return op, func(v any) error {
		if err := json.Unmarshal(body, v); err != nil {
			return Errf("SerializationException", "the request's body is not valid JSON for %s: %v", name, err)
		}
		return nil
	}, nil
}

// trimSlash drops a trailing slash: some SDKs send one where others do not, as for Lambda's ListFunctions.
func trimSlash(r *http.Request) *http.Request {
	if len(r.URL.Path) > 1 && strings.HasSuffix(r.URL.Path, "/") {
		u := *r.URL
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
		r.URL = &u // r is a copy already
	}
	return r
}

func operationName(r *http.Request, body []byte) string {
	if t := r.Header.Get("X-Amz-Target"); t != "" {
		return t[strings.LastIndexByte(t, '.')+1:]
	}
	if a := r.URL.Query().Get("Action"); a != "" {
		return a
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if form, err := url.ParseQuery(string(body)); err == nil {
			return form.Get("Action")
		}
	}
	return r.Method + " " + r.URL.Path
}

func guess(r *http.Request) Protocol {
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		return JSON10
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return Query
	}
	return RESTJSON
}

func notImplemented(service, op string) *Error {
	return &Error{Code: "NotImplemented", Status: http.StatusNotImplemented,
		Message: fmt.Sprintf("the embedded cloud does not implement %s:%s (it never calls AWS instead)", service, op)}
}

func write(w http.ResponseWriter, s *Service, call *Call, out any) error {
	var body []byte
	var err error
	switch s.Protocol {
	case Query, EC2Query:
		body, err = encodeXML(s, call.Operation, call.RequestID, out)
		w.Header().Set("Content-Type", "text/xml")
	case RESTJSON, RESTXML:
		if raw, ok := out.(RawResponse); ok {
			status, header, body := raw.Raw()
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			_, _ = w.Write(body)
			return nil
		}
		body, err = json.Marshal(out)
		w.Header().Set("Content-Type", "application/json")
	default:
		body, err = json.Marshal(out)
		w.Header().Set("Content-Type", jsonType(s))
	}
	if err != nil {
		return err
	}
	s.sum(w, body)
	_, _ = w.Write(body) // the caller went away: its loss
	return nil
}

func jsonType(s *Service) string {
	if s.Protocol == JSON11 {
		return "application/x-amz-json-1.1"
	}
	return "application/x-amz-json-1.0"
}

func (g *Gateway) fail(w http.ResponseWriter, s *Service, call *Call, err error, start time.Time) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
		g.Log.Error("embedded cloud: internal failure", "service", call.Service, "operation", call.Operation, "error", err)
	}
	g.record(call, e.status(), e, start)
	if s.Protocol == RESTXML {
		failXML(w, e, call.RequestID)
		return
	}
	if s.Protocol == Query || s.Protocol == EC2Query {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(e.status())
		_, _ = w.Write(encodeXMLError(s, e, call.RequestID))
		return
	}
	body := map[string]any{"message": e.Message}
	for k, v := range e.Fields {
		body[k] = v
	}
	if s.Protocol == RESTJSON {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amzn-Errortype", e.Code)
	} else {
		w.Header().Set("Content-Type", jsonType(s))
		body["__type"] = e.Code
		if s.ErrorPrefix != "" {
			body["__type"] = s.ErrorPrefix + "#" + e.Code
		}
		if e.QueryCode != "" {
			w.Header().Set("X-Amzn-Query-Error", e.QueryCode+";Sender")
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte("{}") // a field that JSON cannot carry: the code in the header or status must do
	}
	s.sum(w, text)
	w.WriteHeader(e.status())
	_, _ = w.Write(text)
}

// sum adds the checksum header of services that have one.
func (s *Service) sum(w http.ResponseWriter, body []byte) {
	if s.CRC32 {
		w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	}
}

func (g *Gateway) record(call *Call, status int, e *Error, start time.Time) {
	if g.After == nil {
		return
	}
	r := Record{Time: start, Region: call.Region, Service: call.Service, Operation: call.Operation, Caller: call.Caller.ARN,
		RequestID: call.RequestID, Status: status, Took: time.Since(start)}
	if e != nil {
		r.ErrorCode, r.Message = e.Code, e.Message
	}
	g.After(r)
}

// discard takes what the mux writes when nothing matches.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
