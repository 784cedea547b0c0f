package conformance

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// An object that lands in a bucket is an event on the default bus, once the bucket is told to send them.
func TestS3ObjectCreatedEvent(t *testing.T) {
	tg := target(t, "s3")
	if !exact(tg) {
		t.Skip("moto sends no such events")
	}
	events := newEvents(t)
	c, bucket := bucketFor(t, tg)
	put(t, c, bucket, "silent", "v")
	_, err := c.PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{Bucket: bucket,
		NotificationConfiguration: &types.NotificationConfiguration{EventBridgeConfiguration: &types.EventBridgeConfiguration{}}})
	if err != nil {
		t.Fatal(err)
	}
	url, arn := events.queue("s3")
	events.rule("default", `{"source":["aws.s3"],"detail-type":["Object Created"],"detail":{"bucket":{"name":["`+*bucket+`"]},"object":{"key":[{"suffix":".yaml"}]}}}`,
		ebtypes.Target{Id: aws.String("q"), Arn: &arn})
	deadline := time.Now().Add(2 * time.Minute) // AWS takes a while until a bucket sends events
	for time.Now().Before(deadline) {
		out := put(t, c, bucket, "specs/a b.yaml", "hello")
		got, err := events.sqs.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 5})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Messages) == 0 {
			continue
		}
		var e struct {
			Source     string
			DetailType string `json:"detail-type"`
			Resources  []string
			Detail     struct {
				Version, Reason, Requester string
				Bucket                     struct{ Name string }
				Object                     struct {
					Key, ETag, Sequencer string
					Size                 int
				}
			}
		}
		if err := json.Unmarshal([]byte(*got.Messages[0].Body), &e); err != nil {
			t.Fatal(err)
		}
		d := e.Detail
		if e.Source != "aws.s3" || e.DetailType != "Object Created" || e.Resources[0] != "arn:aws:s3:::"+*bucket || d.Version != "0" || d.Reason != "PutObject" ||
			d.Bucket.Name != *bucket || d.Object.Key != "specs/a b.yaml" || d.Object.Size != 5 || `"`+d.Object.ETag+`"` != *out.ETag || d.Object.Sequencer == "" || d.Requester == "" {
			t.Errorf("got %s", *got.Messages[0].Body)
		}
		return
	}
	t.Error("no event arrived")
}

func TestS3WrongCredentials(t *testing.T) {
	tg := target(t, "s3")
	if !exact(tg) {
		t.Skip("moto takes any credentials")
	}
	_, bucket := bucketFor(t, tg)
	own, err := tg.Config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for code, provider := range map[string]aws.CredentialsProvider{
		"InvalidAccessKeyId":    credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
		"SignatureDoesNotMatch": credentials.NewStaticCredentialsProvider(own.AccessKeyID, "wrong", own.SessionToken),
	} {
		cfg := tg.Config.Copy()
		cfg.Credentials = provider
		c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
		_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
		apiError(t, err, code)
	}
}

// A bucket answers in its own Region and says elsewhere which that is.
func TestS3Regions(t *testing.T) {
	tg := target(t, "s3")
	if !tg.Embedded {
		t.Skip("on AWS the endpoint decides, not the signature")
	}
	_, bucket := bucketFor(t, tg)
	cfg := tg.Config.Copy()
	cfg.Region = "eu-west-1"
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
	apiError(t, err, "PermanentRedirect")
	_, err = c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(*bucket + "-eu")})
	apiError(t, err, "IllegalLocationConstraintException")
	eu := &s3.CreateBucketInput{Bucket: aws.String(*bucket + "-eu"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}}
	if _, err = c.CreateBucket(t.Context(), eu); err != nil {
		t.Fatal(err)
	}
	if l, err := c.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: eu.Bucket}); err != nil || l.LocationConstraint != "eu-west-1" {
		t.Errorf("%+v %v", l, err)
	}
	if _, err = c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: eu.Bucket}); err != nil {
		t.Error(err)
	}
}
