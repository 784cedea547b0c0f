package awscloud

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/fault"
)

func TestObjects(t *testing.T) {
	cloud, err := local.Start(t.Context(), local.Options{Faults: &faults.None, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close() //nolint:errcheck // the test is over
	cfg := Static(cloud.Endpoint(), "us-east-1", cloud.AccessKey(), cloud.SecretKey())
	o, bucket := NewObjects(cfg), aws.String("specs-of-a-test")
	if _, err := o.api.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	for key, size := range map[string]int{"short": 3, "longest": maxObject, "long": maxObject + 1} {
		if _, err := o.api.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(strings.Repeat("x", size))}); err != nil {
			t.Fatal(err)
		}
		text, err := o.Read(t.Context(), *bucket, key, "")
		if size > maxObject {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %d bytes, %v", key, len(text), err)
			}
		} else if err != nil || len(text) != size {
			t.Errorf("%s: %d bytes, %v", key, len(text), err)
		}
	}
	for _, c := range [][2]string{{*bucket, "nothing"}, {"no-such-bucket-of-a-test", "short"}} {
		if _, err := o.Read(t.Context(), c[0], c[1], ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %v", c, err)
		}
	}
}
