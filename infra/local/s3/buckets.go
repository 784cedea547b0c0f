package s3

import (
	"cmp"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// maxBuckets is the default quota of an account.
const maxBuckets = 10_000

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func checkName(name string) error {
	bad := !bucketName.MatchString(name) || strings.Contains(name, "..") || net.ParseIP(name) != nil ||
		strings.HasPrefix(name, "xn--") || strings.HasPrefix(name, "sthree-") || strings.HasPrefix(name, "amzn-s3-demo-") ||
		strings.HasSuffix(name, "-s3alias") || strings.HasSuffix(name, "--ol-s3") || strings.HasSuffix(name, "--x-s3") || strings.HasSuffix(name, ".mrap")
	if bad {
		e := fail(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid.")
		e.Fields = map[string]any{"BucketName": name}
		return e
	}
	return nil
}

func (s *Service) bucketOps() []wire.Op {
	return []wire.Op{
		s.op("CreateBucket", s.needBucket("CreateBucket"), s.apiCreate),
		s.onBucket("DeleteBucket", "DeleteBucket", func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
			if len(b.objects) > 0 {
				e := fail(http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty")
				if b.versioning != "" {
					e.Message += ". You must delete all versions in the bucket."
				}
				e.Fields = map[string]any{"BucketName": b.name}
				return nil, e
			}
			delete(s.buckets, b.name)
			return &response{status: http.StatusNoContent}, nil
		}),
		s.onBucket("HeadBucket", "ListBucket", func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
			return &response{header: headers("X-Amz-Bucket-Region", b.region, "X-Amz-Access-Point-Alias", "false", "Content-Type", "application/xml")}, nil
		}),
		// The location can be asked for in every Region: it is how a client learns the right one.
		s.op("GetBucketLocation", s.needBucket("GetBucketLocation"), func(_ *wire.Call, in *request) (*response, error) {
			b := s.buckets[in.bucket]
			if b == nil {
				return nil, noBucket(in.bucket)
			}
			location := b.region
			if location == "us-east-1" { // as it was when S3 had one Region
				location = ""
			}
			return document("LocationConstraint", struct {
				Region string `xml:",chardata"`
			}{location})
		}),
		s.op("ListBuckets", func(*request) []wire.Need {
			return []wire.Need{{Action: "s3:ListAllMyBuckets", Resource: "*"}}
		}, s.listBuckets),
	}
}

func (s *Service) apiCreate(c *wire.Call, in *request) (*response, error) {
	for _, h := range []string{"X-Amz-Acl", "X-Amz-Grant-Full-Control", "X-Amz-Bucket-Object-Lock-Enabled"} {
		if v := in.header.Get(h); v != "" && v != "private" && v != "false" {
			return nil, notImplemented(h)
		}
	}
	var p struct {
		LocationConstraint string
		Location, Bucket   *struct{} // of directory buckets
	}
	if len(in.body) > 0 {
		if err := in.parseXML(&p); err != nil {
			return nil, err
		}
	}
	if p.Location != nil || p.Bucket != nil {
		return nil, notImplemented("directory buckets")
	}
	region := c.Region
	if p.LocationConstraint == "EU" { // as it was called once
		p.LocationConstraint = "eu-west-1"
	}
	_, unknown := world.FindRegion(cmp.Or(p.LocationConstraint, region))
	switch {
	case unknown != nil:
		return nil, fail(http.StatusBadRequest, "InvalidLocationConstraint", "The specified location-constraint is not valid")
	case p.LocationConstraint == "" && region != "us-east-1":
		return nil, fail(http.StatusBadRequest, "IllegalLocationConstraintException", "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to.")
	case p.LocationConstraint == "us-east-1":
		return nil, fail(http.StatusBadRequest, "InvalidLocationConstraint", "The specified location-constraint is not valid")
	case p.LocationConstraint != "" && region == "us-east-1": // its endpoint makes buckets anywhere
		region = p.LocationConstraint
	case p.LocationConstraint != "" && p.LocationConstraint != region:
		return nil, fail(http.StatusBadRequest, "IllegalLocationConstraintException", "The "+p.LocationConstraint+" location constraint is incompatible for the region specific endpoint this request was sent to.")
	}
	if old := s.buckets[in.bucket]; old != nil && old.region == region && region == "us-east-1" {
		return &response{header: headers("Location", "/"+in.bucket)}, nil // so us-east-1 has always answered
	}
	if _, err := s.create(in.bucket, region); err != nil {
		return nil, err
	}
	return &response{header: headers("Location", "/"+in.bucket)}, nil
}

// create makes a bucket. The caller holds s.mu.
func (s *Service) create(name, region string) (*bucket, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if s.buckets[name] != nil {
		e := fail(http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
		e.Fields = map[string]any{"BucketName": name}
		return nil, e
	}
	if len(s.buckets) >= maxBuckets {
		return nil, fail(http.StatusBadRequest, "TooManyBuckets", "You have attempted to create more buckets than allowed")
	}
	b := &bucket{name: name, region: region, created: time.Now(), documents: map[string][]byte{}, objects: map[string][]*version{}}
	s.buckets[name] = b
	return b, nil
}

func (s *Service) listBuckets(_ *wire.Call, in *request) (*response, error) {
	type entry struct {
		Name         string
		CreationDate wire.Time
		BucketRegion string
	}
	var out struct {
		Owner   owner
		Buckets []entry `xml:"Buckets>Bucket"`
		Prefix  string  `xml:",omitempty"`
	}
	out.Owner, out.Prefix = s.owner(), in.query.Get("prefix")
	region := in.query.Get("bucket-region")
	for _, name := range sorted(s.buckets) {
		b := s.buckets[name]
		if strings.HasPrefix(name, out.Prefix) && (region == "" || region == b.region) {
			out.Buckets = append(out.Buckets, entry{name, wire.Time{Time: b.created}, b.region})
		}
	}
	return document("ListAllMyBucketsResult", out)
}

type owner struct{ ID string }

// owner is the account's canonical user.
func (s *Service) owner() owner { return owner{strings.Repeat(s.w.Account, 6)[:64]} }
