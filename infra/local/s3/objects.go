package s3

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func (s *Service) objectOps() []wire.Op {
	return []wire.Op{
		s.op("PutObject", func(in *request) []wire.Need {
			n := s.need("PutObject", in.bucket, in.key)
			for _, h := range []string{"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id", "x-amz-storage-class"} {
				if v := in.header.Get(h); v != "" {
					n.Context["s3:"+h] = []string{v}
				}
			}
			return []wire.Need{n}
		}, s.putObject),
		s.op("GetObject", s.needRead, s.getObject),
		s.op("HeadObject", s.needRead, s.getObject),
		s.op("DeleteObject", func(in *request) []wire.Need {
			return []wire.Need{s.needDelete(in.bucket, in.key, in.query.Get("versionId"))}
		}, func(c *wire.Call, in *request) (*response, error) {
			b, err := s.find(c, in.bucket)
			if err != nil {
				return nil, err
			}
			d := s.remove(c, in, b, in.key, in.query.Get("versionId"))
			h := headers("X-Amz-Version-Id", d.VersionId)
			if d.DeleteMarker {
				h.Set("X-Amz-Delete-Marker", "true")
				h.Set("X-Amz-Version-Id", d.DeleteMarkerVersionId)
			}
			return &response{status: http.StatusNoContent, header: h}, nil
		}),
		s.op("DeleteObjects", s.needDeleteMany, s.deleteMany),
	}
}

// needRead asks for the object and, where there is none, for the permission to know that.
func (s *Service) needRead(in *request) []wire.Need {
	action, id := "GetObject", in.query.Get("versionId")
	if id != "" {
		action = "GetObjectVersion"
	}
	out := []wire.Need{s.need(action, in.bucket, in.key)}
	if id != "" {
		out[0].Context["s3:VersionId"] = []string{id}
	}
	if b := s.buckets[in.bucket]; b != nil && id == "" && b.current(in.key) == nil {
		out = append(out, s.need("ListBucket", in.bucket, ""))
	}
	return out
}

func (s *Service) needDelete(bucketName, key, id string) wire.Need {
	if id == "" {
		return s.need("DeleteObject", bucketName, key)
	}
	n := s.need("DeleteObjectVersion", bucketName, key)
	n.Context["s3:VersionId"] = []string{id}
	return n
}

// current is the version that a reader without a version id gets; nil where there is none.
func (b *bucket) current(key string) *version {
	all := b.objects[key]
	if len(all) == 0 || all[len(all)-1].marker {
		return nil
	}
	return all[len(all)-1]
}

// kept are the request headers of PutObject that GetObject gives back.
var kept = []string{"Cache-Control", "Content-Disposition", "Content-Language", "Content-Type", "Expires", "X-Amz-Website-Redirect-Location"}

// refused are headers of PutObject that change what an object is, and are not implemented.
var refused = []string{
	"X-Amz-Acl", "X-Amz-Grant-Full-Control", "X-Amz-Grant-Read", "X-Amz-Tagging", "X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Legal-Hold",
	"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Write-Offset-Bytes",
}

func (s *Service) putObject(c *wire.Call, in *request) (*response, error) {
	b, err := s.find(c, in.bucket)
	if err != nil {
		return nil, err
	}
	for _, h := range refused {
		if v := in.header.Get(h); v != "" && !(h == "X-Amz-Acl" && (v == "private" || v == "bucket-owner-full-control")) {
			return nil, notImplemented(h)
		}
	}
	if len(in.key) > 1024 {
		return nil, fail(http.StatusBadRequest, "KeyTooLongError", "Your key is too long")
	}
	sums, err := in.checksums()
	if err != nil {
		return nil, err
	}
	if err := precondition(in, b.current(in.key)); err != nil {
		return nil, err
	}
	v := &version{id: s.versionID(b), body: in.body, etag: etag(in.body), headers: http.Header{}}
	for _, h := range kept {
		if value := in.header.Get(h); value != "" {
			v.headers.Set(h, value)
		}
	}
	if v.headers.Get("Content-Type") == "" {
		v.headers.Set("Content-Type", "binary/octet-stream")
	}
	if encoding := contentEncoding(in.header.Get("Content-Encoding")); encoding != "" {
		v.headers.Set("Content-Encoding", encoding)
	}
	size := 0
	for name, values := range in.header {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			v.headers[name] = values
			size += len(name) - len("X-Amz-Meta-") + len(values[0])
		}
	}
	if size > 2048 {
		return nil, fail(http.StatusBadRequest, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	v.headers.Set("X-Amz-Server-Side-Encryption", "AES256")
	if sse := in.header.Get("X-Amz-Server-Side-Encryption"); sse != "" {
		v.headers.Set("X-Amz-Server-Side-Encryption", sse)
	}
	maps.Copy(v.headers, sums)
	s.add(b, in.key, v)
	s.emit(c, in, b, "Object Created", "PutObject", "", b.event(in.key, v))

	h := headers("Etag", v.etag, "X-Amz-Server-Side-Encryption", v.headers.Get("X-Amz-Server-Side-Encryption"))
	maps.Copy(h, sums)
	if b.versioning == "Enabled" {
		h.Set("X-Amz-Version-Id", v.id)
	}
	return &response{header: h}, nil
}

// contentEncoding drops aws-chunked, which is the transfer's and not the object's.
func contentEncoding(v string) string {
	parts := slices.DeleteFunc(strings.Split(v, ","), func(p string) bool { return strings.TrimSpace(p) == "aws-chunked" })
	return strings.TrimSpace(strings.Join(parts, ","))
}

// precondition is that of conditional writes.
func precondition(in *request, now *version) error {
	match, none := in.header.Get("If-Match"), in.header.Get("If-None-Match")
	if none != "" && none != "*" {
		return notImplemented("If-None-Match of a write with another value than *")
	}
	failed := fail(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	switch {
	case none != "" && now != nil:
		failed.Fields = map[string]any{"Condition": "If-None-Match"}
		return failed
	case match != "" && now == nil:
		return noKey(in.key)
	case match != "" && strings.Trim(match, `"`) != strings.Trim(now.etag, `"`):
		failed.Fields = map[string]any{"Condition": "If-Match"}
		return failed
	}
	return nil
}

func noKey(key string) *wire.Error {
	e := fail(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	e.Fields = map[string]any{"Key": key}
	return e
}

func (s *Service) versionID(b *bucket) string {
	if b.versioning != "Enabled" {
		return "null"
	}
	return s.w.Hex(32)
}

// add makes a version the current one. A null version takes the place of the one before it.
func (s *Service) add(b *bucket, key string, v *version) {
	s.sequence++
	v.sequence, v.modified = s.sequence, time.Now()
	all := b.objects[key]
	if v.id == "null" {
		all = slices.DeleteFunc(all, func(o *version) bool { return o.id == "null" })
	}
	b.objects[key] = append(all, v)
}

func (s *Service) getObject(c *wire.Call, in *request) (*response, error) {
	b, err := s.find(c, in.bucket)
	if err != nil {
		return nil, err
	}
	if in.query.Has("partNumber") {
		return nil, notImplemented("partNumber")
	}
	v, err := b.version(in.key, in.query.Get("versionId"))
	if err != nil {
		return nil, err
	}
	h := v.headers.Clone()
	h.Set("Etag", v.etag)
	h.Set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	if b.versioning != "" {
		h.Set("X-Amz-Version-Id", v.id)
	}
	for parameter := range in.query {
		if name, ok := strings.CutPrefix(parameter, "response-"); ok {
			h.Set(name, in.query.Get(parameter))
		}
	}
	if in.header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
		maps.DeleteFunc(h, func(name string, _ []string) bool { return strings.HasPrefix(name, checksumPrefix) })
	}
	etags := func(header string) bool {
		return slices.ContainsFunc(strings.Split(in.header.Get(header), ","), func(t string) bool {
			t = strings.Trim(strings.TrimSpace(t), `"`)
			return t == "*" || `"`+t+`"` == v.etag
		})
	}
	if in.header.Get("If-Match") != "" && !etags("If-Match") {
		return nil, fail(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	}
	if in.header.Get("If-None-Match") != "" && etags("If-None-Match") {
		return &response{status: http.StatusNotModified, header: h}, nil
	}
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if in.header.Get(name) != "" {
			return nil, notImplemented(name)
		}
	}
	if r := in.header.Get("Range"); r != "" {
		return ranged(r, v.body, h)
	}
	h.Set("Content-Length", strconv.Itoa(len(v.body)))
	return &response{header: h, body: v.body}, nil
}

// version finds the version that a reader asks for.
func (b *bucket) version(key, id string) (*version, error) {
	all := b.objects[key]
	if id == "" {
		if v := b.current(key); v != nil {
			return v, nil
		}
		e := noKey(key)
		if len(all) > 0 {
			e.Fields["header:X-Amz-Delete-Marker"], e.Fields["header:X-Amz-Version-Id"] = "true", all[len(all)-1].id
		}
		return nil, e
	}
	i := slices.IndexFunc(all, func(v *version) bool { return v.id == id })
	if i < 0 {
		e := fail(http.StatusNotFound, "NoSuchVersion", "The specified version does not exist.")
		e.Fields = map[string]any{"Key": key, "VersionId": id}
		return nil, e
	}
	if all[i].marker {
		e := fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
		e.Fields = map[string]any{"Method": "GET", "ResourceType": "DeleteMarker", "header:X-Amz-Delete-Marker": "true", "header:Allow": "DELETE"}
		return nil, e
	}
	return all[i], nil
}

// ranged answers with part of a body: one range, as S3 takes it. What is no range is ignored, as HTTP has it.
func ranged(header string, body []byte, h http.Header) (*response, error) {
	whole := func() (*response, error) {
		h.Set("Content-Length", strconv.Itoa(len(body)))
		return &response{header: h, body: body}, nil
	}
	spec, ok := strings.CutPrefix(header, "bytes=")
	from, to, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return whole()
	}
	start, err1 := strconv.Atoi(from)
	end, err2 := strconv.Atoi(to)
	switch {
	case from == "" && err2 == nil: // the last bytes
		start, end = max(0, len(body)-end), len(body)-1
	case err1 != nil || to != "" && err2 != nil || to != "" && end < start:
		return whole()
	case to == "" || end >= len(body):
		end = len(body) - 1
	}
	if start >= len(body) || end < start {
		e := fail(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable")
		e.Fields = map[string]any{"RangeRequested": header, "ActualObjectSize": len(body)}
		return nil, e
	}
	for name := range h { // the checksums are those of the whole
		if strings.HasPrefix(name, checksumPrefix) {
			h.Del(name)
		}
	}
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end, len(body)))
	h.Set("Content-Length", strconv.Itoa(end-start+1))
	return &response{status: http.StatusPartialContent, header: h, body: body[start : end+1]}, nil
}

// deleted says what a deletion did.
type deleted struct {
	Key                   string
	VersionId             string `xml:",omitempty"`
	DeleteMarker          bool   `xml:",omitempty"`
	DeleteMarkerVersionId string `xml:",omitempty"`
}

// remove deletes a version for good, or puts a delete marker on a versioned bucket's key. It succeeds where there is
// nothing. The caller holds s.mu.
func (s *Service) remove(c *wire.Call, in *request, b *bucket, key, id string) deleted {
	d := deleted{Key: key, VersionId: id}
	all := b.objects[key]
	if id == "" && b.versioning != "" {
		marker := &version{id: s.versionID(b), marker: true, etag: `""`}
		s.add(b, key, marker)
		d.DeleteMarker, d.DeleteMarkerVersionId = true, marker.id
		s.emit(c, in, b, "Object Deleted", "DeleteObject", "Delete Marker Created", eventObject{Key: key, VersionID: marker.id, Sequencer: sequencer(marker.sequence)})
		return d
	}
	wanted := id
	if wanted == "" {
		wanted = "null"
	}
	i := slices.IndexFunc(all, func(v *version) bool { return v.id == wanted })
	if i < 0 {
		return d
	}
	if all[i].marker {
		d.DeleteMarker, d.DeleteMarkerVersionId = true, id
	}
	if all = slices.Delete(all, i, i+1); len(all) == 0 {
		delete(b.objects, key)
	} else {
		b.objects[key] = all
	}
	s.sequence++
	s.emit(c, in, b, "Object Deleted", "DeleteObject", "Permanently Deleted", eventObject{Key: key, VersionID: id, Sequencer: sequencer(s.sequence)})
	return d
}

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Object  []struct{ Key, VersionId, ETag string }
}

// needDeleteMany asks for every object at once. S3 refuses them one by one within a successful answer; here one refusal
// is that of the call, which nobody overlooks.
func (s *Service) needDeleteMany(in *request) []wire.Need {
	var p deleteRequest
	if in.parseXML(&p) != nil {
		return []wire.Need{s.need("DeleteObject", in.bucket, "*")}
	}
	var out []wire.Need
	for _, o := range p.Object {
		out = append(out, s.needDelete(in.bucket, o.Key, o.VersionId))
	}
	return out
}

func (s *Service) deleteMany(c *wire.Call, in *request) (*response, error) {
	b, err := s.find(c, in.bucket)
	if err != nil {
		return nil, err
	}
	if _, err := in.checksums(); err != nil {
		return nil, err
	}
	var p deleteRequest
	if err := in.parseXML(&p); err != nil {
		return nil, err
	}
	if len(p.Object) == 0 || len(p.Object) > 1000 {
		return nil, malformedXML()
	}
	var out struct{ Deleted []deleted }
	for _, o := range p.Object {
		if o.ETag != "" {
			return nil, notImplemented("DeleteObjects with an ETag")
		}
		d := s.remove(c, in, b, o.Key, o.VersionId)
		if !p.Quiet {
			out.Deleted = append(out.Deleted, d)
		}
	}
	return document("DeleteResult", out)
}
