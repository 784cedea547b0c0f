package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// apiError checks the code of an SDK's error.
func apiError(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// bucketFor makes a bucket that goes away with the test, with all that is in it.
func bucketFor(t *testing.T, tg Target) (*s3.Client, *string) {
	t.Helper()
	c := s3.NewFromConfig(tg.Config, func(o *s3.Options) { o.UsePathStyle = true })
	name := aws.String(fmt.Sprintf("conformance-%d", time.Now().UnixNano()))
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: name}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		all, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: name})
		if err != nil {
			return // the test has deleted it
		}
		var ids []types.ObjectIdentifier
		for _, v := range all.Versions {
			ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, v := range all.DeleteMarkers {
			ids = append(ids, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		if len(ids) > 0 {
			_, err = c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)}})
		}
		if _, err2 := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: name}); err != nil || err2 != nil {
			t.Errorf("the bucket stays: %v %v", err, err2)
		}
	})
	return c, name
}

func put(t *testing.T, c *s3.Client, bucket *string, key, body string) *s3.PutObjectOutput {
	t.Helper()
	out, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestS3Objects(t *testing.T) {
	tg := target(t, "s3")
	c, bucket := bucketFor(t, tg)
	ctx := t.Context()
	key := "team a/clusters/ä+b.yaml"
	out, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("hello"), ContentType: aws.String("text/yaml"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, Metadata: map[string]string{"owner": "me"}})
	if err != nil {
		t.Fatal(err)
	}
	if *out.ETag != `"5d41402abc4b2a76b9719d911017c592"` || aws.ToString(out.ChecksumSHA256) != "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=" {
		t.Errorf("put: %s %s", *out.ETag, aws.ToString(out.ChecksumSHA256))
	}
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil || string(body) != "hello" || aws.ToString(got.ContentType) != "text/yaml" || got.Metadata["owner"] != "me" || aws.ToString(got.ChecksumSHA256) == "" {
		t.Errorf("got %q %v %+v", body, err, got)
	}
	head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: &key})
	if err != nil || aws.ToInt64(head.ContentLength) != 5 || time.Since(*head.LastModified) > time.Hour {
		t.Errorf("head %+v %v", head, err)
	}
	part, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key, Range: aws.String("bytes=1-2")})
	if err != nil {
		t.Fatal(err)
	}
	if body, _ = io.ReadAll(part.Body); string(body) != "el" || aws.ToString(part.ContentRange) != "bytes 1-2/5" {
		t.Errorf("range: %q %v", body, part.ContentRange)
	}
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("other"), IfNoneMatch: aws.String("*")})
	apiError(t, err, "PreconditionFailed")

	// A key is text, not a path.
	odd := aws.String("a//../b/")
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: odd, Body: strings.NewReader("odd")}); err != nil {
		t.Error(err)
	}
	if list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("a//")}); err != nil || len(list.Contents) != 1 || *list.Contents[0].Key != *odd {
		t.Errorf("%+v %v", list, err)
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: odd}); err != nil {
		t.Error(err)
	}

	missing := aws.String("missing")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: missing})
	apiError(t, err, "NoSuchKey")
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: missing})
	apiError(t, err, "NotFound")
	if _, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: missing}); err != nil {
		t.Errorf("deleting nothing: %v", err)
	}
	_, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket})
	apiError(t, err, "BucketNotEmpty")
	if _, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key}); err != nil {
		t.Error(err)
	}
	if _, err = c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Error(err)
	}
	_, err = c.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket})
	apiError(t, err, "NotFound")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
	apiError(t, err, "NoSuchBucket")
}

func TestS3Lists(t *testing.T) {
	tg := target(t, "s3")
	c, bucket := bucketFor(t, tg)
	for _, k := range []string{"a/1", "a/2", "b/1", "c", "d e"} {
		put(t, c, bucket, k, k)
	}
	out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, Delimiter: aws.String("/")})
	if err != nil {
		t.Fatal(err)
	}
	var keys, prefixes []string
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	for _, p := range out.CommonPrefixes {
		prefixes = append(prefixes, *p.Prefix)
	}
	if fmt.Sprint(keys, prefixes, *out.KeyCount) != "[c d e] [a/ b/] 4" {
		t.Errorf("got %v %v %v", keys, prefixes, *out.KeyCount)
	}
	for _, delimiter := range []*string{nil, aws.String("/")} {
		var pages [][]string
		p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: bucket, Delimiter: delimiter, MaxKeys: aws.Int32(2)})
		for p.HasMorePages() {
			out, err := p.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range out.CommonPrefixes {
				names = append(names, *p.Prefix)
			}
			for _, o := range out.Contents {
				names = append(names, *o.Key)
			}
			pages = append(pages, names)
		}
		want := "[[a/1 a/2] [b/1 c] [d e]]"
		if delimiter != nil {
			want = "[[a/ b/] [c d e]]"
		}
		if fmt.Sprint(pages) != want {
			t.Errorf("pages %v, want %s", pages, want)
		}
	}
	out, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("a/"), StartAfter: aws.String("a/1")})
	if err != nil || len(out.Contents) != 1 || *out.Contents[0].Key != "a/2" || *out.Contents[0].ETag == "" || *out.Contents[0].Size != 3 {
		t.Errorf("got %+v %v", out, err)
	}
}

func TestS3Versions(t *testing.T) {
	tg := target(t, "s3")
	c, bucket := bucketFor(t, tg)
	ctx := t.Context()
	if v, err := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket}); err != nil || v.Status != "" {
		t.Errorf("before: %v %v", v, err)
	}
	put(t, c, bucket, "k", "zero")
	_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	first, second := put(t, c, bucket, "k", "one"), put(t, c, bucket, "k", "two")
	if first.VersionId == nil || second.VersionId == nil || *first.VersionId == *second.VersionId {
		t.Fatalf("versions %v %v", first.VersionId, second.VersionId)
	}
	read := func(id *string) string {
		t.Helper()
		out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: id})
		if err != nil {
			return err.Error()
		}
		b, _ := io.ReadAll(out.Body)
		return string(b)
	}
	if got := []string{read(nil), read(first.VersionId), read(aws.String("null"))}; fmt.Sprint(got) != "[two one zero]" {
		t.Errorf("got %v", got)
	}
	d, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k")})
	if err != nil || !aws.ToBool(d.DeleteMarker) {
		t.Fatalf("delete: %+v %v", d, err)
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")})
	apiError(t, err, "NoSuchKey")
	if exact(tg) {
		_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: d.VersionId})
		apiError(t, err, "MethodNotAllowed")
	}
	if _, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: d.VersionId}); err != nil {
		t.Fatal(err)
	}
	if got := read(nil); got != "two" {
		t.Errorf("after the marker went: %s", got)
	}
	list, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket})
	if err != nil || len(list.Versions) != 3 || *list.Versions[0].VersionId != *second.VersionId || !*list.Versions[0].IsLatest {
		t.Errorf("list %+v %v", list, err)
	}
}

func TestS3Configuration(t *testing.T) {
	tg := target(t, "s3")
	c, bucket := bucketFor(t, tg)
	ctx := t.Context()
	n, err := c.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
	if err != nil || n.EventBridgeConfiguration != nil {
		t.Errorf("before: %+v %v", n, err)
	}
	_, err = c.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{Bucket: bucket,
		NotificationConfiguration: &types.NotificationConfiguration{EventBridgeConfiguration: &types.EventBridgeConfiguration{}}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err = c.GetBucketNotificationConfiguration(ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: bucket}); exact(tg) && (err != nil || n.EventBridgeConfiguration == nil) {
		t.Errorf("after: %+v %v", n, err)
	}

	_, err = c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})
	apiError(t, err, "NoSuchBucketPolicy")
	if exact(tg) {
		_, err = c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::another"}]}`)})
		apiError(t, err, "MalformedPolicy")
	}
	doc := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::%s/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`, *bucket)
	if _, err = c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &doc}); err != nil {
		t.Fatal(err)
	}
	if p, err := c.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket}); err != nil || !strings.Contains(*p.Policy, "SecureTransport") {
		t.Errorf("policy %v %v", p, err)
	}
	_, err = c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: bucket, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
		BlockPublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), RestrictPublicBuckets: aws.Bool(false)}})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket}); err != nil || !*b.PublicAccessBlockConfiguration.BlockPublicAcls || *b.PublicAccessBlockConfiguration.RestrictPublicBuckets {
		t.Errorf("block %+v %v", b, err)
	}
	if e, err := c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket}); exact(tg) && (err != nil || e.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256) {
		t.Errorf("encryption %+v %v", e, err)
	}
	_, err = c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
	apiError(t, err, "NoSuchLifecycleConfiguration")
	if l, err := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: bucket}); err != nil || l.LocationConstraint != "" && tg.Region == "us-east-1" {
		t.Errorf("location %v %v", l, err)
	}
	if exact(tg) {
		_, err = c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("Not_A_Bucket")})
		apiError(t, err, "InvalidBucketName")
	}
}

// A bucket's policy allows and denies besides the caller's own policies.
func TestS3BucketPolicy(t *testing.T) {
	tg := target(t, "s3")
	if !exact(tg) {
		t.Skip("needs an implementation that evaluates policies")
	}
	c, bucket := bucketFor(t, tg)
	arn := "arn:aws:s3:::" + *bucket
	session, role := roleSession(t, tg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"`+arn+`/*"}]}`)
	as := s3.NewFromConfig(session, func(o *s3.Options) { o.UsePathStyle = true })
	ctx := t.Context()
	key := aws.String("k")
	put(t, as, bucket, "k", "v")
	_, err := as.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
	apiError(t, err, "AccessDenied")
	doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + role + `"},"Action":"s3:GetObject","Resource":"` + arn + `/*"},
		{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"` + arn + `/locked/*"}]}`
	if _, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: bucket, Policy: &doc}); err != nil {
		t.Fatal(err)
	}
	if _, err := as.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key}); err != nil {
		t.Errorf("what the bucket's policy allows: %v", err)
	}
	// Who may not list learns nothing of what is not there.
	_, err = as.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("missing")})
	apiError(t, err, "AccessDenied")
	_, err = as.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("locked/k"), Body: strings.NewReader("v")})
	apiError(t, err, "AccessDenied")
}

// What SDKs send over TLS: chunks, and the checksum behind them.
func TestS3Chunked(t *testing.T) {
	tg := target(t, "s3")
	c, bucket := bucketFor(t, tg)
	send := func(body string) int {
		t.Helper()
		endpoint := tg.Endpoint
		if endpoint == "" {
			endpoint = "https://s3." + tg.Region + ".amazonaws.com"
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/"+*bucket+"/chunked", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		const payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
		for k, v := range map[string]string{"Content-Encoding": "aws-chunked", "X-Amz-Content-Sha256": payload, "X-Amz-Decoded-Content-Length": "11", "X-Amz-Trailer": "x-amz-checksum-crc32"} {
			req.Header.Set(k, v)
		}
		creds, err := tg.Config.Credentials.Retrieve(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
		if err := signer.SignHTTP(t.Context(), creds, req, payload, "s3", tg.Region, time.Now()); err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	// The CRC-32 of "hello world" is 0x0d4a1185.
	if status := send("6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"); status != 200 {
		t.Fatalf("status %d", status)
	}
	got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("chunked")})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(got.Body); string(b) != "hello world" || aws.ToString(got.ContentEncoding) == "aws-chunked" {
		t.Errorf("got %q %v", b, got.ContentEncoding)
	}
	if status := send("6\r\nhello \r\n5\r\nworlD\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"); status != 400 && exact(tg) {
		t.Errorf("a wrong checksum: status %d", status)
	}
	if status := send("6\r\nhello \r\n5\r\nwor"); status != 400 && exact(tg) {
		t.Errorf("a body cut off: status %d", status)
	}
}

func TestS3Presigned(t *testing.T) {
	tg := target(t, "s3")
	c, bucket := bucketFor(t, tg)
	put(t, c, bucket, "a b", "signed")
	p, err := s3.NewPresignClient(c).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("a b")})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(b) != "signed" {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
}
