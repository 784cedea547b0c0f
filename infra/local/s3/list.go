package s3

import (
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (s *Service) listOps() []wire.Op {
	return []wire.Op{
		s.onBucket("ListObjectsV2", "ListBucket", s.listObjects),
		s.onBucket("ListObjectVersions", "ListBucketVersions", s.listVersions),
	}
}

type commonPrefix struct{ Prefix string }

type listedObject struct {
	Key          string
	LastModified wire.Time
	ETag         string
	Size         int
	StorageClass string
	Owner        *owner `xml:",omitempty"`
}

// listing is what both lists have in common.
type listing struct {
	Name, Prefix   string
	Delimiter      string `xml:",omitempty"`
	MaxKeys        int
	IsTruncated    bool
	EncodingType   string         `xml:",omitempty"`
	CommonPrefixes []commonPrefix `xml:",omitempty"`
}

func (in *request) listing() (listing, error) {
	l := listing{Name: in.bucket, Prefix: in.query.Get("prefix"), Delimiter: in.query.Get("delimiter"), MaxKeys: 1000, EncodingType: in.query.Get("encoding-type")}
	if v := in.query.Get("max-keys"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return l, invalidArgument("max-keys", v, "Provided max-keys not an integer or within integer range")
		}
		l.MaxKeys = min(n, 1000)
	}
	if l.EncodingType != "" && l.EncodingType != "url" {
		return l, invalidArgument("encoding-type", l.EncodingType, "Invalid Encoding Method specified in Request")
	}
	return l, nil
}

// text encodes a key for the answer, where the client asked for it.
func (l *listing) text(key string) string {
	if l.EncodingType == "" {
		return key
	}
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

// group returns the common prefix under which the list shows a key, if it does.
func (l *listing) group(key string) (string, bool) {
	if l.Delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(l.Prefix):], l.Delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(l.Prefix)+i+len(l.Delimiter)], true
}

func (s *Service) listObjects(_ *wire.Call, in *request, b *bucket) (*response, error) {
	l, err := in.listing()
	if err != nil {
		return nil, err
	}
	after := in.query.Get("start-after")
	token := in.query.Get("continuation-token")
	if token != "" {
		raw, err := base64.URLEncoding.DecodeString(token)
		if err != nil {
			return nil, invalidArgument("continuation-token", token, "The continuation token provided is incorrect")
		}
		after = string(raw)
	}
	var out struct {
		listing
		KeyCount              int
		StartAfter            string `xml:",omitempty"`
		ContinuationToken     string `xml:",omitempty"`
		NextContinuationToken string `xml:",omitempty"`
		Contents              []listedObject
	}
	last, seen := "", "" // the last entry listed; the last common prefix
	for _, key := range sorted(b.objects) {
		v := b.current(key)
		// Behind a common prefix, everything that it stands for has been listed.
		if v == nil || !strings.HasPrefix(key, l.Prefix) || key <= after || l.Delimiter != "" && strings.HasSuffix(after, l.Delimiter) && strings.HasPrefix(key, after) {
			continue
		}
		prefix, grouped := l.group(key)
		if grouped && prefix == seen {
			continue
		}
		if out.KeyCount == l.MaxKeys {
			l.IsTruncated = l.MaxKeys > 0
			break
		}
		out.KeyCount++
		if grouped {
			seen, last = prefix, prefix
			l.CommonPrefixes = append(l.CommonPrefixes, commonPrefix{l.text(prefix)})
			continue
		}
		last = key
		o := listedObject{Key: l.text(key), LastModified: wire.Time{Time: v.modified}, ETag: v.etag, Size: len(v.body), StorageClass: "STANDARD"}
		if in.query.Get("fetch-owner") == "true" {
			own := s.owner()
			o.Owner = &own
		}
		out.Contents = append(out.Contents, o)
	}
	if l.IsTruncated {
		out.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
	}
	out.StartAfter, out.ContinuationToken = l.text(in.query.Get("start-after")), token
	l.Prefix, l.Delimiter = l.text(l.Prefix), l.text(l.Delimiter)
	out.listing = l
	return document("ListBucketResult", out)
}

type listedVersion struct {
	Key          string
	VersionId    string
	IsLatest     bool
	LastModified wire.Time
	ETag         string `xml:",omitempty"`
	Size         *int   `xml:",omitempty"`
	StorageClass string `xml:",omitempty"`
	Owner        owner
}

func (s *Service) listVersions(_ *wire.Call, in *request, b *bucket) (*response, error) {
	l, err := in.listing()
	if err != nil {
		return nil, err
	}
	if l.Delimiter != "" {
		return nil, notImplemented("ListObjectVersions with a delimiter")
	}
	var out struct {
		listing
		KeyMarker           string
		VersionIdMarker     string
		NextKeyMarker       string          `xml:",omitempty"`
		NextVersionIdMarker string          `xml:",omitempty"`
		Version             []listedVersion `xml:",omitempty"`
		DeleteMarker        []listedVersion `xml:",omitempty"`
	}
	out.KeyMarker, out.VersionIdMarker = in.query.Get("key-marker"), in.query.Get("version-id-marker")
	n := 0
keys:
	for _, key := range sorted(b.objects) {
		if !strings.HasPrefix(key, l.Prefix) || key < out.KeyMarker || key == out.KeyMarker && out.VersionIdMarker == "" && out.KeyMarker != "" {
			continue
		}
		all := b.objects[key]
		start := len(all) - 1
		if key == out.KeyMarker && out.VersionIdMarker != "" {
			start = slices.IndexFunc(all, func(v *version) bool { return v.id == out.VersionIdMarker }) - 1
		}
		for i := start; i >= 0; i-- { // newest first
			v := all[i]
			if n == l.MaxKeys {
				l.IsTruncated = l.MaxKeys > 0
				break keys
			}
			n++
			out.NextKeyMarker, out.NextVersionIdMarker = key, v.id
			e := listedVersion{Key: l.text(key), VersionId: v.id, IsLatest: i == len(all)-1, LastModified: wire.Time{Time: v.modified}, Owner: s.owner()}
			if v.marker {
				out.DeleteMarker = append(out.DeleteMarker, e)
				continue
			}
			size := len(v.body)
			e.ETag, e.Size, e.StorageClass = v.etag, &size, "STANDARD"
			out.Version = append(out.Version, e)
		}
	}
	if !l.IsTruncated {
		out.NextKeyMarker, out.NextVersionIdMarker = "", ""
	}
	out.listing = l
	return document("ListVersionsResult", out)
}
