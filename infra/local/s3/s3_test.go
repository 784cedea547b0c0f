package s3

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// bus keeps what a Region's event bus gets.
type bus struct {
	region string
	got    *emitted
}

type emitted struct {
	mu     sync.Mutex
	events []string
}

func (e *emitted) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.events)
}

func (b bus) Emit(source, detailType string, resources []string, detail any) {
	raw, err := json.Marshal(detail)
	if err != nil {
		panic(err)
	}
	b.got.mu.Lock()
	defer b.got.mu.Unlock()
	b.got.events = append(b.got.events, strings.Join([]string{b.region, source, detailType, resources[0], string(raw)}, " "))
}

func newService() (*Service, *emitted) {
	got := new(emitted)
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	return New(w, func(region string) Events { return bus{region, got} }), got
}

// do runs an operation as the gateway does once the caller is authorised.
func do(t *testing.T, s *Service, region, method, url, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	in := new(request)
	if err := in.FromHTTP(r, []byte(body)); err != nil {
		return err.(*wire.Error).Status, nil, err.Error()
	}
	call := &wire.Call{Account: "123456789012", Region: region, RequestID: "REQUEST"}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out *response
	var err error
	switch name := route(r); name {
	case "CreateBucket":
		out, err = s.apiCreate(call, in)
	case "PutObject":
		out, err = s.putObject(call, in)
	case "GetObject":
		out, err = s.getObject(call, in)
	case "DeleteObject":
		b, e := s.find(call, in.bucket)
		if e != nil {
			return e.(*wire.Error).Status, nil, e.Error()
		}
		s.remove(call, in, b, in.key, in.query.Get("versionId"))
		out = &response{}
	default:
		t.Fatalf("no %s here", name)
	}
	if err != nil {
		return err.(*wire.Error).Status, nil, err.Error()
	}
	status, h, b := out.Raw()
	return status, h, string(b)
}

func provide(t *testing.T, s *Service, kind, properties string) string {
	t.Helper()
	c, err := s.Providers()[kind]("SpecBucket1A2B", json.RawMessage(properties))
	if err != nil {
		t.Fatal(err)
	}
	return c.Ref
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got := newService()
		provide(t, s, "AWS::S3::Bucket", `{"BucketName":"specs","NotificationConfiguration":{"EventBridgeConfiguration":{"EventBridgeEnabled":true}}}`)
		provide(t, s, "AWS::S3::Bucket", `{"BucketName":"silent","NotificationConfiguration":{"EventBridgeConfiguration":{"EventBridgeEnabled":false}}}`)
		do(t, s, "eu-west-1", "PUT", "/silent/k", "v")
		do(t, s, "eu-west-1", "PUT", "/specs/a%20b.yaml", "hello")
		synctest.Wait()
		do(t, s, "eu-west-1", "DELETE", "/specs/a%20b.yaml", "")
		synctest.Wait()
		want := []string{
			`eu-west-1 aws.s3 Object Created arn:aws:s3:::specs {"version":"0","bucket":{"name":"specs"},"object":{"key":"a b.yaml","size":5,"etag":"5d41402abc4b2a76b9719d911017c592","sequencer":"000000000000000002"},"request-id":"REQUEST","requester":"123456789012","source-ip-address":"192.0.2.1","reason":"PutObject"}`,
			`eu-west-1 aws.s3 Object Deleted arn:aws:s3:::specs {"version":"0","bucket":{"name":"specs"},"object":{"key":"a b.yaml","sequencer":"000000000000000003"},"request-id":"REQUEST","requester":"123456789012","source-ip-address":"192.0.2.1","reason":"DeleteObject","deletion-type":"Permanently Deleted"}`,
		}
		if all := got.all(); !slices.Equal(all, want) {
			t.Errorf("got %s", strings.Join(all, "\n"))
		}
	})
}

func TestEventOfAVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, got := newService()
		provide(t, s, "AWS::S3::Bucket", `{"BucketName":"specs","VersioningConfiguration":{"Status":"Enabled"},"NotificationConfiguration":{"EventBridgeConfiguration":{}}}`)
		_, h, _ := do(t, s, "eu-west-1", "PUT", "/specs/k", "v")
		synctest.Wait()
		if id := h.Get("X-Amz-Version-Id"); id == "" || len(got.all()) != 1 || !strings.Contains(got.all()[0], `"version-id":"`+id+`"`) {
			t.Errorf("version %q, events %v", id, got.all())
		}
	})
}

func TestRegions(t *testing.T) {
	s, _ := newService()
	elsewhere := `<CreateBucketConfiguration xmlns="` + namespace + `"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`
	for _, c := range []struct {
		region, body, want string
		status             int
	}{
		{"eu-west-1", "", "IllegalLocationConstraintException", 400},
		{"us-west-2", elsewhere, "IllegalLocationConstraintException", 400},
		{"eu-west-1", elsewhere, "", 200},
		{"eu-west-1", elsewhere, "BucketAlreadyOwnedByYou", 409},
	} {
		if status, _, body := do(t, s, c.region, "PUT", "/regional", c.body); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("in %s: %d %s", c.region, status, body)
		}
	}
	if status, _, body := do(t, s, "us-east-1", "GET", "/regional/k", ""); status != 301 || !strings.Contains(body, "PermanentRedirect") {
		t.Errorf("from another Region: %d %s", status, body)
	}
	for range 2 { // us-east-1 makes what is there, and buckets of all Regions
		if status, _, body := do(t, s, "us-east-1", "PUT", "/classic", ""); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	}
}

func TestProvidedBucket(t *testing.T) {
	s, _ := newService()
	name := provide(t, s, "AWS::S3::Bucket", `{"BucketEncryption":{"ServerSideEncryptionConfiguration":[{"ServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms"}}]},
		"LifecycleConfiguration":{"Rules":[{"Id":"old","Status":"Enabled","NoncurrentVersionExpiration":{"NoncurrentDays":30},"ExpirationInDays":365}]},
		"PublicAccessBlockConfiguration":{"BlockPublicAcls":true},"Tags":[{"Key":"team","Value":"a&b"}]}`)
	if !strings.HasPrefix(name, "specbucket1a2b-") || checkName(name) != nil {
		t.Errorf("name %s", name)
	}
	b := s.buckets[name]
	for sub, want := range map[string]string{
		"encryption":        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>",
		"lifecycle":         "<Rule><Expiration><Days>365</Days></Expiration><ID>old</ID><NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration><Status>Enabled</Status></Rule>",
		"publicAccessBlock": "<BlockPublicAcls>true</BlockPublicAcls>",
		"tagging":           "<TagSet><Tag><Key>team</Key><Value>a&amp;b</Value></Tag></TagSet>",
	} {
		if got := string(b.documents[sub]); !strings.Contains(got, want) {
			t.Errorf("%s: %s", sub, got)
		}
		var any struct{ XMLName xml.Name }
		if err := xml.Unmarshal(b.documents[sub], &any); err != nil || any.XMLName.Local != documents[sub].root {
			t.Errorf("%s: %v %v", sub, any, err)
		}
	}
	provide(t, s, "AWS::S3::BucketPolicy", `{"Bucket":"`+name+`","PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"s3:*","Resource":["arn:aws:s3:::`+name+`","arn:aws:s3:::`+name+`/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}}`)
	if len(b.policy) == 0 {
		t.Error("the bucket has no policy")
	}
	for want, c := range map[string][2]string{
		"does not exist":                          {"AWS::S3::BucketPolicy", `{"Bucket":"nope","PolicyDocument":{}}`},
		"property ReplicationConfiguration is":    {"AWS::S3::Bucket", `{"ReplicationConfiguration":{}}`},
		"property LambdaConfigurations is not im": {"AWS::S3::Bucket", `{"NotificationConfiguration":{"LambdaConfigurations":[]}}`},
	} {
		if _, err := s.Providers()[c[0]]("Id", json.RawMessage(c[1])); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// The check values are those of the algorithms' definitions.
func TestChecksums(t *testing.T) {
	for name, want := range map[string]string{"Crc32": "cbf43926", "Crc32c": "e3069283", "Crc64nvme": "ae8b14860a799888"} {
		if got := hex.EncodeToString(algorithms[name]([]byte("123456789"))); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	s, _ := newService()
	provide(t, s, "AWS::S3::Bucket", `{"BucketName":"sums"}`)
	sum := base64.StdEncoding.EncodeToString(algorithms["Crc32"]([]byte("v")))
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 200}, {[]string{"X-Amz-Checksum-Crc32", sum}, 200}, {[]string{"X-Amz-Checksum-Crc32", "AAAAAA=="}, 400},
		{[]string{"Content-Md5", "AAAAAAAAAAAAAAAAAAAAAA=="}, 400}, {[]string{"Content-Md5", "short"}, 400},
		{[]string{"X-Amz-Content-Sha256", strings.Repeat("0", 64)}, 400}, {[]string{"X-Amz-Tagging", "a=b"}, 501},
	} {
		if status, _, body := do(t, s, "eu-west-1", "PUT", "/sums/k", "v", c.header...); status != c.status {
			t.Errorf("%v: %d %s", c.header, status, body)
		}
	}
}

func TestAddressAndRoute(t *testing.T) {
	for url, want := range map[string]string{
		"GET http://127.0.0.1:4566/":                         "  ListBuckets",
		"GET http://127.0.0.1:4566/b/k/l":                    "b k/l GetObject",
		"GET http://b.localhost:4566/k":                      "b k GetObject",
		"PUT http://b.s3.eu-west-1.amazonaws.com/k":          "b k PutObject",
		"GET http://localhost/b?list-type=2":                 "b  ListObjectsV2",
		"GET http://localhost/b/":                            "b  ListObjects",
		"POST http://localhost/b?delete":                     "b  DeleteObjects",
		"DELETE http://localhost/b?lifecycle":                "b  DeleteBucketLifecycle",
		"PUT http://localhost/b/k?partNumber=1&uploadId=abc": "b k UploadPart",
		"GET http://localhost/b?replication":                 "b  GetBucketReplication",
		"HEAD http://localhost/b":                            "b  HeadBucket",
	} {
		method, target, _ := strings.Cut(url, " ")
		r := httptest.NewRequestWithContext(t.Context(), method, target, &bytes.Buffer{})
		name, key := address(r)
		if got := name + " " + key + " " + route(r); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

// Older SDKs sign each chunk; the signatures stand behind the sizes.
func TestSignedChunks(t *testing.T) {
	s, _ := newService()
	provide(t, s, "AWS::S3::Bucket", `{"BucketName":"chunks"}`)
	signed := []string{"X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "X-Amz-Decoded-Content-Length", "11", "Content-Encoding", "aws-chunked,gzip"}
	for body, status := range map[string]int{
		"6;chunk-signature=aa\r\nhello \r\n5;chunk-signature=bb\r\nworld\r\n0;chunk-signature=cc\r\n\r\n": 200,
		"6;chunk-signature=aa\r\nhello \r\n0;chunk-signature=cc\r\n\r\n":                                  400,
		"6;chunk-signature=aa\r\nhello world":                                                             400,
		"hello world":                                                                                     400,
	} {
		if got, _, text := do(t, s, "eu-west-1", "PUT", "/chunks/k", body, signed...); got != status {
			t.Errorf("%q: %d %s", body, got, text)
		}
	}
	if status, h, body := do(t, s, "eu-west-1", "GET", "/chunks/k", ""); status != 200 || body != "hello world" || h.Get("Content-Encoding") != "gzip" {
		t.Errorf("%d %q %v", status, body, h)
	}
}
