package s3

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// Providers makes buckets and their policies from templates.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::S3::Bucket":       s.provideBucket,
		"AWS::S3::BucketPolicy": s.providePolicy,
	}
}

type bucketProperties struct {
	BucketName              string
	VersioningConfiguration struct{ Status string }
	NotificationConfiguration,
	BucketEncryption, PublicAccessBlockConfiguration, LifecycleConfiguration, OwnershipControls, Tags json.RawMessage
}

type notificationProperties struct {
	EventBridgeConfiguration *struct{ EventBridgeEnabled *bool }
}

func (s *Service) provideBucket(id string, properties json.RawMessage) (stack.Created, error) {
	var p bucketProperties
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	var n notificationProperties
	if p.NotificationConfiguration != nil {
		if err := stack.Decode(p.NotificationConfiguration, &n); err != nil {
			return stack.Created{}, fmt.Errorf("NotificationConfiguration: %w", err)
		}
	}
	name := p.BucketName
	if name == "" {
		name = strings.ToLower(id[:min(len(id), 50)] + "-" + s.w.Hex(12))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.create(name, s.w.Region)
	if err != nil {
		return stack.Created{}, err
	}
	b.versioning = p.VersioningConfiguration.Status
	if e := n.EventBridgeConfiguration; e != nil {
		b.eventBridge = e.EventBridgeEnabled == nil || *e.EventBridgeEnabled
	}
	for sub, raw := range map[string]json.RawMessage{
		"encryption": p.BucketEncryption, "publicAccessBlock": p.PublicAccessBlockConfiguration,
		"ownershipControls": p.OwnershipControls, "lifecycle": p.LifecycleConfiguration, "tagging": p.Tags,
	} {
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		text, err := configurationXML(sub, raw)
		if err != nil {
			return stack.Created{}, fmt.Errorf("%s: %w", sub, err)
		}
		b.documents[sub] = text
	}
	domain := name + ".s3.amazonaws.com"
	return stack.Created{Ref: name, Attributes: map[string]string{
		"Arn": bucketARN(name), "DomainName": domain, "RegionalDomainName": name + ".s3." + b.region + ".amazonaws.com",
		"DualStackDomainName": name + ".s3.dualstack." + b.region + ".amazonaws.com", "WebsiteURL": "http://" + name + ".s3-website-" + b.region + ".amazonaws.com",
	}}, nil
}

func (s *Service) providePolicy(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		Bucket         string
		PolicyDocument json.RawMessage
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[p.Bucket]
	if b == nil {
		return stack.Created{}, noBucket(p.Bucket)
	}
	if len(b.policy) > 0 {
		return stack.Created{}, fmt.Errorf("the bucket policy already exists on bucket %s", p.Bucket)
	}
	if err := b.setPolicy(p.PolicyDocument); err != nil {
		return stack.Created{}, err
	}
	return stack.Created{Ref: id}, nil
}

// renamed are the properties of CloudFormation that the API calls something else, by their path from the root.
var renamed = map[string]string{
	"ServerSideEncryptionConfiguration": "Rule", "ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault", "Rules": "Rule",
	"Id": "ID", "Transitions": "Transition", "NoncurrentVersionTransitions": "NoncurrentVersionTransition",
	"ExpirationInDays": "Expiration>Days", "ExpirationDate": "Expiration>Date", "ExpiredObjectDeleteMarker": "Expiration>ExpiredObjectDeleteMarker",
	"TransitionInDays": "Days", "NoncurrentVersionExpirationInDays": "NoncurrentVersionExpiration>NoncurrentDays", "TagFilters": "Filter>Tag",
}

// configurationXML translates a configuration from CloudFormation's JSON to the document that the API gives back.
func configurationXML(sub string, raw json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	if sub == "tagging" {
		tree = map[string]any{"TagSet": map[string]any{"Tag": tree}}
	}
	var b strings.Builder
	root := documents[sub].root
	b.WriteString("<" + root + ` xmlns="` + namespace + `">`)
	m, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("an object was expected")
	}
	writeMembers(&b, m)
	b.WriteString("</" + root + ">")
	return []byte(b.String()), nil
}

func writeMembers(b *strings.Builder, m map[string]any) {
	for _, k := range sorted(m) {
		name := k
		if to, ok := renamed[k]; ok {
			name = to
		}
		outer, inner, nested := strings.Cut(name, ">")
		if nested {
			b.WriteString("<" + outer + ">")
			name = inner
		}
		list, ok := m[k].([]any)
		if !ok {
			list = []any{m[k]}
		}
		for _, v := range list {
			b.WriteString("<" + name + ">")
			if sub, ok := v.(map[string]any); ok {
				writeMembers(b, sub)
			} else {
				_ = xml.EscapeText(b, fmt.Append(nil, v)) // a strings.Builder takes all
			}
			b.WriteString("</" + name + ">")
		}
		if nested {
			b.WriteString("</" + outer + ">")
		}
	}
}
