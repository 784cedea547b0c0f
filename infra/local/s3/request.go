package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// request is the input of every operation.
type request struct {
	bucket, key string
	query       url.Values
	header      http.Header // trailers of a chunked body included
	body        []byte
	client      string // IP address
}

// FromHTTP implements wire.HTTPInput.
func (in *request) FromHTTP(r *http.Request, body []byte) error {
	in.bucket, in.key = address(r)
	in.query, in.header, in.body = r.URL.Query(), r.Header.Clone(), body
	in.client, _, _ = net.SplitHostPort(r.RemoteAddr)
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if strings.HasPrefix(payload, "STREAMING-") {
		return in.unchunk()
	}
	sum := sha256.Sum256(body)
	if payload != "" && payload != "UNSIGNED-PAYLOAD" && payload != hex.EncodeToString(sum[:]) {
		e := fail(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
		e.Fields = map[string]any{"ClientComputedContentSHA256": payload, "S3ComputedContentSHA256": hex.EncodeToString(sum[:])}
		return e
	}
	return nil
}

// unchunk takes an aws-chunked body apart: chunks of "SIZE[;chunk-signature=…]", and trailing headers. The signature of
// the request itself is checked; those of the chunks are not, for on loopback nobody is in between.
func (in *request) unchunk() error {
	bad := fail(http.StatusBadRequest, "IncompleteBody", "The request body terminated unexpectedly")
	rest, plain := in.body, []byte(nil)
	for {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		digits, _, _ := strings.Cut(string(line), ";")
		size, err := strconv.ParseInt(digits, 16, 64)
		if !ok || err != nil || size < 0 || size > int64(len(after)) {
			return bad
		}
		if size == 0 {
			rest = after
			break
		}
		plain, rest = append(plain, after[:size]...), after[size:]
		if rest, ok = bytes.CutPrefix(rest, []byte("\r\n")); !ok {
			return bad
		}
	}
	for line := range bytes.SplitSeq(rest, []byte("\r\n")) {
		if name, value, ok := strings.Cut(string(line), ":"); ok {
			in.header.Set(name, strings.TrimSpace(value))
		}
	}
	if length := in.header.Get("X-Amz-Decoded-Content-Length"); length != "" && length != strconv.Itoa(len(plain)) {
		return bad
	}
	if trailer := in.header.Get("X-Amz-Trailer"); trailer != "" && in.header.Get(trailer) == "" {
		return fail(http.StatusBadRequest, "MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")
	}
	in.body = plain
	return nil
}

// address finds the bucket and the key: in the path or, in the virtual-host style, the bucket in the host.
func address(r *http.Request) (bucketName, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if net.ParseIP(host) == nil {
		for _, base := range []string{".s3.", ".localhost"} {
			if i := strings.LastIndex(host, base); i > 0 {
				return host[:i], path
			}
		}
	}
	bucketName, key, _ = strings.Cut(path, "/")
	return bucketName, key
}

// subresources are the query parameters that choose what of a bucket a request is about, with the names in operations.
var subresources = map[string]string{
	"accelerate": "BucketAccelerateConfiguration", "acl": "BucketAcl", "analytics": "BucketAnalyticsConfiguration", "cors": "BucketCors",
	"encryption": "BucketEncryption", "intelligent-tiering": "BucketIntelligentTieringConfiguration", "inventory": "BucketInventoryConfiguration",
	"lifecycle": "BucketLifecycleConfiguration", "location": "BucketLocation", "logging": "BucketLogging", "metrics": "BucketMetricsConfiguration",
	"notification": "BucketNotificationConfiguration", "object-lock": "ObjectLockConfiguration", "ownershipControls": "BucketOwnershipControls",
	"policy": "BucketPolicy", "policyStatus": "BucketPolicyStatus", "publicAccessBlock": "PublicAccessBlock", "replication": "BucketReplication",
	"requestPayment": "BucketRequestPayment", "tagging": "BucketTagging", "versioning": "BucketVersioning", "website": "BucketWebsite",
}

// objectSubresources are the same of objects.
var objectSubresources = map[string]string{
	"acl": "ObjectAcl", "attributes": "ObjectAttributes", "legal-hold": "ObjectLegalHold", "restore": "Restore", "retention": "ObjectRetention",
	"tagging": "ObjectTagging", "torrent": "ObjectTorrent",
}

var verbs = map[string]string{http.MethodGet: "Get", http.MethodPut: "Put", http.MethodDelete: "Delete", http.MethodHead: "Head", http.MethodPost: "Post"}

// route names the operation of a request, also where it is not implemented.
func route(r *http.Request) string {
	bucketName, key := address(r)
	q := r.URL.Query()
	verb := verbs[r.Method]
	switch {
	case bucketName == "":
		return "ListBuckets"
	case key == "":
		return bucketOperation(r.Method, verb, q)
	}
	for name, operation := range objectSubresources {
		if q.Has(name) {
			return verb + operation
		}
	}
	switch {
	case q.Has("uploads"):
		return "CreateMultipartUpload"
	case q.Has("uploadId") && r.Method == http.MethodPut:
		return "UploadPart"
	case q.Has("uploadId") && r.Method == http.MethodPost:
		return "CompleteMultipartUpload"
	case q.Has("uploadId"):
		return "AbortMultipartUpload"
	case r.Header.Get("X-Amz-Copy-Source") != "":
		return "CopyObject"
	}
	return verb + "Object"
}

func bucketOperation(method, verb string, q url.Values) string {
	for name, operation := range subresources {
		if !q.Has(name) {
			continue
		}
		if name == "lifecycle" && method == http.MethodDelete {
			return "DeleteBucketLifecycle"
		}
		return verb + operation
	}
	switch {
	case method == http.MethodPut:
		return "CreateBucket"
	case method == http.MethodPost && q.Has("delete"):
		return "DeleteObjects"
	case method != http.MethodGet:
		return verb + "Bucket"
	case q.Has("versions"):
		return "ListObjectVersions"
	case q.Has("uploads"):
		return "ListMultipartUploads"
	case q.Get("list-type") == "2":
		return "ListObjectsV2"
	}
	return "ListObjects"
}

// parseXML reads a body into v.
func (in *request) parseXML(v any) error {
	if err := xml.Unmarshal(in.body, v); err != nil {
		return malformedXML()
	}
	return nil
}

func malformedXML() *wire.Error {
	return fail(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}
