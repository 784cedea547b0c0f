package s3

import (
	"net/http"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Object is one version of an object, for a service that reads it in somebody's name.
type Object struct {
	Body      []byte
	VersionID string // "null" in a bucket that is not versioned
	ETag      string // without quotes
}

// Object reads a version of an object of a Region's bucket, the latest if none is named. Whether the reader may is Need's to say.
func (s *Service) Object(region, bucket, key, version string) (Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.find(&wire.Call{Region: region}, bucket)
	if err != nil {
		return Object{}, err
	}
	v, err := b.version(key, version)
	if err != nil {
		return Object{}, err
	}
	return Object{Body: slices.Clone(v.body), VersionID: v.id, ETag: v.etag[1 : len(v.etag)-1]}, nil
}

// Store writes an object into a Region's bucket, for a service that does so in somebody's name.
func (s *Service) Store(region, bucket, key string, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &wire.Call{Region: region, Account: s.w.Account, RequestID: s.w.UUID()}
	b, err := s.find(c, bucket)
	if err != nil {
		return err
	}
	v := &version{id: s.versionID(b), body: slices.Clone(body), etag: etag(body), headers: http.Header{"Content-Type": {"application/zip"}}}
	s.add(b, key, v)
	s.emit(c, &request{}, b, "Object Created", "PutObject", "", b.event(key, v))
	return nil
}

// Need is what it takes to do an action, such as GetObject, with an object, or with the bucket where key is empty.
func (s *Service) Need(action, bucket, key string) wire.Need {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.need(action, bucket, key)
}
