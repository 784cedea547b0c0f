package awscloud

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// maxObject is the longest object that is read: what an SQS message could hold as well.
const maxObject = 1 << 20

// Objects reads files that users put into S3.
type Objects struct{ api *s3.Client }

// NewObjects makes Objects.
func NewObjects(cfg Config) *Objects {
	return &Objects{s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // an endpoint of one's own has one name, and buckets none
	})}
}

// Read reads an object, in one version where one is named. What is not there is fault.NotFound, what is longer than a spec
// can be is fault.Invalid.
func (o *Objects) Read(ctx context.Context, bucket, key, version string) ([]byte, error) {
	const op = "s3:GetObject"
	out, err := o.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(version)})
	if err != nil {
		return nil, classify(op, err)
	}
	defer func() { _ = out.Body.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(out.Body, maxObject+1))
	if err != nil {
		return nil, &fault.Error{Class: fault.Transient, Op: op, Err: fmt.Errorf("s3://%s/%s broke off: %w", bucket, key, err)}
	}
	if len(text) > maxObject {
		return nil, fault.New(fault.Invalid, "s3://%s/%s has more than %d bytes: a spec that long is none", bucket, key, maxObject)
	}
	return text, nil
}
