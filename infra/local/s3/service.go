// Package s3 is the embedded cloud's Amazon S3: buckets in memory, their objects with versions and checksums, their
// policies, and the events that they send to EventBridge.
//
// Clients may use the path style or, where the host name resolves, the virtual-host style. Requests are at most as
// large as the gateway takes (8 MiB): what is kept here is configuration, not data lakes. Multipart uploads, ACLs and
// object locks do not exist.
package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Events is the default event bus of a Region.
type Events interface {
	Emit(source, detailType string, resources []string, detail any)
}

// Service is S3 of one account.
type Service struct {
	w   *world.World
	bus func(region string) Events

	mu       sync.Mutex
	buckets  map[string]*bucket
	sequence uint64 // of all writes: sequencers in events
}

type bucket struct {
	name, region string
	created      time.Time
	versioning   string // "", "Enabled" or "Suspended"
	policy       []byte
	eventBridge  bool
	documents    map[string][]byte // other configurations, by sub-resource, as they were put
	objects      map[string][]*version
}

// version is one version of an object: the last in a key's list is the current one.
type version struct {
	id       string // "null" where the bucket was not versioned
	marker   bool   // a delete marker
	body     []byte
	etag     string // with quotes
	modified time.Time
	headers  http.Header // what GetObject answers: content type, metadata, checksums
	sequence uint64
}

// New makes an account without buckets. bus finds the default event bus of a bucket's Region.
func New(w *world.World, bus func(region string) Events) *Service {
	return &Service{w: w, bus: bus, buckets: map[string]*bucket{}}
}

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "s3", Protocol: wire.RESTXML, Route: route,
		Ops: slices.Concat(s.bucketOps(), s.configurationOps(), s.objectOps(), s.listOps()),
	}
}

// op makes an operation. do runs with s.mu held.
func (s *Service) op(name string, needs func(*request) []wire.Need, do func(*wire.Call, *request) (*response, error)) wire.Op {
	return wire.Handle(name, func(_ *wire.Call, in *request) []wire.Need {
		s.mu.Lock()
		defer s.mu.Unlock()
		return needs(in)
	}, func(_ context.Context, c *wire.Call, in *request) (*response, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return do(c, in)
	})
}

// onBucket is an operation on an existing bucket. The action is IAM's, whose names differ from the API's.
func (s *Service) onBucket(name, action string, do func(*wire.Call, *request, *bucket) (*response, error)) wire.Op {
	return s.op(name, s.needBucket(action), func(c *wire.Call, in *request) (*response, error) {
		b, err := s.find(c, in.bucket)
		if err != nil {
			return nil, err
		}
		return do(c, in, b)
	})
}

func bucketARN(name string) string { return "arn:aws:s3:::" + name }

// need is one action on a bucket or an object in it, with the bucket's policy. The caller holds s.mu.
func (s *Service) need(action, bucketName, key string) wire.Need {
	n := wire.Need{Action: "s3:" + action, Resource: bucketARN(bucketName), Context: map[string][]string{}}
	if key != "" {
		n.Resource += "/" + key
	}
	if b := s.buckets[bucketName]; b != nil {
		n.Policy = b.policy
	}
	return n
}

func (s *Service) needBucket(action string) func(*request) []wire.Need {
	return func(in *request) []wire.Need {
		n := s.need(action, in.bucket, "")
		for parameter, key := range map[string]string{"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"} {
			if in.query.Has(parameter) {
				n.Context[key] = []string{in.query.Get(parameter)}
			}
		}
		return []wire.Need{n}
	}
}

// find finds the bucket of a call, which must have come to the bucket's Region. The caller holds s.mu.
func (s *Service) find(c *wire.Call, name string) (*bucket, error) {
	b := s.buckets[name]
	if b == nil {
		return nil, noBucket(name)
	}
	if b.region != c.Region {
		e := fail(http.StatusMovedPermanently, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.")
		e.Fields = map[string]any{"Bucket": name, "Endpoint": name + ".s3." + b.region + ".amazonaws.com", "header:X-Amz-Bucket-Region": b.region}
		return nil, e
	}
	return b, nil
}

func fail(status int, code, message string) *wire.Error {
	return wire.Errf(code, "%s", message).WithStatus(status)
}

func noBucket(name string) *wire.Error {
	e := fail(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	e.Fields = map[string]any{"BucketName": name}
	return e
}

func invalidArgument(name, value, message string) *wire.Error {
	e := fail(http.StatusBadRequest, "InvalidArgument", message)
	e.Fields = map[string]any{"ArgumentName": name, "ArgumentValue": value}
	return e
}

func notImplemented(what string) *wire.Error {
	return fail(http.StatusNotImplemented, "NotImplemented", "the embedded cloud's S3 does not implement "+what)
}

// response is an answer of any operation.
type response struct {
	status int // 0 means 200
	header http.Header
	body   []byte
}

// Raw implements wire.RawResponse.
func (r *response) Raw() (int, http.Header, []byte) {
	if r.status == 0 {
		return http.StatusOK, r.header, r.body
	}
	return r.status, r.header, r.body
}

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			h.Set(pairs[i], pairs[i+1])
		}
	}
	return h
}

// document answers with an XML document whose root element has the name.
func document(root string, v any) (*response, error) {
	var b strings.Builder
	b.WriteString(xml.Header)
	start := xml.StartElement{Name: xml.Name{Local: root}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}}
	if err := xml.NewEncoder(&b).EncodeElement(v, start); err != nil {
		return nil, err
	}
	return &response{header: headers("Content-Type", "application/xml"), body: []byte(b.String())}, nil
}

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
