package s3

import (
	"encoding/xml"
	"net/http"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// stored is a configuration that is kept as it was put: S3 here does not act on it.
type stored struct {
	name, action  string // of the operations and in IAM
	root          string // element
	missing, text string // code and message where there is none
	fallback      string // what a bucket has that was never told
}

var documents = map[string]stored{
	"encryption": {"BucketEncryption", "EncryptionConfiguration", "ServerSideEncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found",
		`<ServerSideEncryptionConfiguration xmlns="` + namespace + `"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`},
	"publicAccessBlock": {"PublicAccessBlock", "BucketPublicAccessBlock", "PublicAccessBlockConfiguration", "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found",
		`<PublicAccessBlockConfiguration xmlns="` + namespace + `"><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`},
	"ownershipControls": {"BucketOwnershipControls", "BucketOwnershipControls", "OwnershipControls", "OwnershipControlsNotFoundError", "The bucket ownership controls were not found",
		`<OwnershipControls xmlns="` + namespace + `"><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>`},
	"lifecycle": {"BucketLifecycleConfiguration", "LifecycleConfiguration", "LifecycleConfiguration", "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", ""},
	"tagging":   {"BucketTagging", "BucketTagging", "Tagging", "NoSuchTagSet", "The TagSet does not exist", ""},
}

// gone marks a configuration that had a fallback and was deleted.
var gone = []byte{}

func (s *Service) configurationOps() []wire.Op {
	var ops []wire.Op
	for _, sub := range sorted(documents) {
		d := documents[sub]
		ops = append(ops,
			s.onBucket("Put"+d.name, "Put"+d.action, func(_ *wire.Call, in *request, b *bucket) (*response, error) {
				var root struct{ XMLName xml.Name }
				if err := in.parseXML(&root); err != nil {
					return nil, err
				}
				if root.XMLName.Local != d.root {
					return nil, malformedXML()
				}
				b.documents[sub] = slices.Clone(in.body)
				return &response{}, nil
			}),
			s.onBucket("Get"+d.name, "Get"+d.action, func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
				body, told := b.documents[sub]
				if !told {
					body = []byte(d.fallback)
				}
				if len(body) == 0 {
					e := fail(http.StatusNotFound, d.missing, d.text)
					e.Fields = map[string]any{"BucketName": b.name}
					return nil, e
				}
				return &response{header: headers("Content-Type", "application/xml"), body: body}, nil
			}),
		)
		name := "Delete" + d.name
		if sub == "lifecycle" {
			name = "DeleteBucketLifecycle"
		}
		// To delete a configuration, S3 asks for the permission to put one.
		ops = append(ops, s.onBucket(name, "Put"+d.action, func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
			b.documents[sub] = gone
			if sub == "encryption" { // every bucket is encrypted
				delete(b.documents, sub)
			}
			return &response{status: http.StatusNoContent}, nil
		}))
	}
	return append(ops,
		s.onBucket("PutBucketVersioning", "PutBucketVersioning", s.putVersioning),
		s.onBucket("GetBucketVersioning", "GetBucketVersioning", func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
			return document("VersioningConfiguration", struct {
				Status string `xml:",omitempty"`
			}{b.versioning})
		}),
		s.onBucket("PutBucketPolicy", "PutBucketPolicy", func(_ *wire.Call, in *request, b *bucket) (*response, error) {
			return &response{status: http.StatusNoContent}, b.setPolicy(in.body)
		}),
		s.onBucket("GetBucketPolicy", "GetBucketPolicy", func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
			if len(b.policy) == 0 {
				e := fail(http.StatusNotFound, "NoSuchBucketPolicy", "The bucket policy does not exist")
				e.Fields = map[string]any{"BucketName": b.name}
				return nil, e
			}
			return &response{header: headers("Content-Type", "application/json"), body: b.policy}, nil
		}),
		s.onBucket("DeleteBucketPolicy", "DeleteBucketPolicy", func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
			b.policy = nil
			return &response{status: http.StatusNoContent}, nil
		}),
		s.onBucket("PutBucketNotificationConfiguration", "PutBucketNotification", s.putNotification),
		s.onBucket("GetBucketNotificationConfiguration", "GetBucketNotification", func(_ *wire.Call, _ *request, b *bucket) (*response, error) {
			var out struct{ EventBridgeConfiguration *struct{} }
			if b.eventBridge {
				out.EventBridgeConfiguration = &struct{}{}
			}
			return document("NotificationConfiguration", out)
		}),
	)
}

// policyLimit is the most bytes of a bucket policy.
const policyLimit = 20 << 10

func (b *bucket) setPolicy(raw []byte) error {
	if len(raw) > policyLimit {
		return fail(http.StatusBadRequest, "PolicyTooLarge", "Policy exceeds the maximum allowed document size.")
	}
	d, err := policy.Parse(raw)
	if err == nil {
		err = d.Check(policy.Resource)
	}
	if err != nil {
		return fail(http.StatusBadRequest, "MalformedPolicy", err.Error())
	}
	arn := bucketARN(b.name)
	for _, st := range d.Statements {
		for _, res := range append(slices.Clone(st.Resources), st.NotResources...) {
			if res != "*" && res != arn && (len(res) <= len(arn) || res[:len(arn)+1] != arn+"/") && res != arn+"*" {
				return fail(http.StatusBadRequest, "MalformedPolicy", "Policy has invalid resource")
			}
		}
	}
	b.policy = slices.Clone(raw)
	return nil
}

func (s *Service) putVersioning(_ *wire.Call, in *request, b *bucket) (*response, error) {
	var p struct{ Status, MfaDelete string }
	if err := in.parseXML(&p); err != nil {
		return nil, err
	}
	if p.MfaDelete == "Enabled" {
		return nil, notImplemented("MFA delete")
	}
	if p.Status != "Enabled" && p.Status != "Suspended" {
		return nil, fail(http.StatusBadRequest, "IllegalVersioningConfigurationException", "The Versioning element must be specified")
	}
	b.versioning = p.Status
	return &response{}, nil
}

func (s *Service) putNotification(_ *wire.Call, in *request, b *bucket) (*response, error) {
	var p struct {
		EventBridgeConfiguration   *struct{}
		TopicConfiguration         []struct{}
		QueueConfiguration         []struct{}
		CloudFunctionConfiguration []struct{}
	}
	if err := in.parseXML(&p); err != nil {
		return nil, err
	}
	if len(p.TopicConfiguration)+len(p.QueueConfiguration)+len(p.CloudFunctionConfiguration) > 0 {
		return nil, notImplemented("notifications to topics, queues and functions, only those to EventBridge")
	}
	b.eventBridge = p.EventBridgeConfiguration != nil
	return &response{}, nil
}
