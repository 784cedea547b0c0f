package dynamodb

import (
	"encoding/json"
	"fmt"

	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// Providers makes the tables of templates. CloudFormation waits until a table is ACTIVE, so it is at once.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{
		"AWS::DynamoDB::Table":       s.provideTable,
		"AWS::DynamoDB::GlobalTable": s.provideGlobalTable,
	}
}

type recoveryProperties struct {
	PointInTimeRecoveryEnabled bool
	RecoveryPeriodInDays       *int
}

type streamProperties struct {
	StreamViewType string
	ResourcePolicy json.RawMessage
}

type insights struct {
	Enabled bool
	Mode    string
}

type sseProperties struct {
	SSEEnabled     bool
	SSEType        string
	KMSMasterKeyId string
}

func (p *sseProperties) specification() *sseSpecification {
	if p == nil {
		return nil
	}
	return &sseSpecification{Enabled: p.SSEEnabled, SSEType: p.SSEType, KMSMasterKeyId: p.KMSMasterKeyId}
}

// provide makes a table that is ACTIVE.
func (s *Service) provide(in createTable, spec *ttlSpecification, recovery bool, stream *streamProperties, id string) (stack.Created, error) {
	if stream != nil {
		return stack.Created{}, fmt.Errorf("table %s has a StreamSpecification: the embedded cloud has no DynamoDB Streams", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.TableName == "" {
		in.TableName = id + "-" + s.w.Hex(12)
	}
	t, err := s.newTable(&in)
	if err != nil {
		return stack.Created{}, err
	}
	t.status, t.recovery = "ACTIVE", recovery
	if spec != nil && spec.Enabled {
		s.enableTTL(t, ttl{attribute: spec.AttributeName, status: "ENABLED"})
	}
	return stack.Created{Ref: t.name, Attributes: map[string]string{"Arn": s.arn(t.name), "TableId": t.id}}, nil
}

func (s *Service) provideTable(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		TableName                        string
		AttributeDefinitions             []attributeDefinition
		KeySchema                        []keyElement
		GlobalSecondaryIndexes           []indexDefinition
		LocalSecondaryIndexes            []indexDefinition
		BillingMode                      string
		ProvisionedThroughput            *throughput
		OnDemandThroughput               *onDemand
		DeletionProtectionEnabled        bool
		TableClass                       string
		SSESpecification                 *sseProperties
		StreamSpecification              *streamProperties
		TimeToLiveSpecification          *ttlSpecification
		PointInTimeRecoverySpecification recoveryProperties
		ContributorInsightsSpecification *insights
		Tags                             []tag
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	return s.provide(createTable{
		TableName: p.TableName, AttributeDefinitions: p.AttributeDefinitions, KeySchema: p.KeySchema, GlobalSecondaryIndexes: p.GlobalSecondaryIndexes,
		LocalSecondaryIndexes: p.LocalSecondaryIndexes, BillingMode: p.BillingMode, ProvisionedThroughput: p.ProvisionedThroughput,
		DeletionProtectionEnabled: p.DeletionProtectionEnabled, TableClass: p.TableClass, SSESpecification: p.SSESpecification.specification(), Tags: p.Tags,
	}, p.TimeToLiveSpecification, p.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled, p.StreamSpecification, id)
}

// replica is a GlobalTable's settings for one Region. There is one Region here: this one.
type replica struct {
	Region                           string
	DeletionProtectionEnabled        bool
	PointInTimeRecoverySpecification recoveryProperties
	ContributorInsightsSpecification *insights
	GlobalSecondaryIndexes           []struct {
		IndexName                        string
		ContributorInsightsSpecification *insights
	}
	SSESpecification *struct{ KMSMasterKeyId string }
	TableClass       string
	Tags             []tag
}

func (s *Service) provideGlobalTable(id string, properties json.RawMessage) (stack.Created, error) {
	var p struct {
		TableName                          string
		AttributeDefinitions               []attributeDefinition
		KeySchema                          []keyElement
		GlobalSecondaryIndexes             []indexDefinition
		LocalSecondaryIndexes              []indexDefinition
		BillingMode                        string
		SSESpecification                   *sseProperties
		StreamSpecification                *streamProperties
		TimeToLiveSpecification            *ttlSpecification
		WriteOnDemandThroughputSettings    *onDemand
		WriteProvisionedThroughputSettings *struct{}
		Replicas                           []replica
	}
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	if len(p.Replicas) != 1 || p.Replicas[0].Region != s.w.Region {
		return stack.Created{}, fmt.Errorf("global table %s: in the embedded cloud a table has its only replica in its own Region, %s", id, s.w.Region)
	}
	if p.BillingMode != "PAY_PER_REQUEST" {
		return stack.Created{}, fmt.Errorf("global table %s: the embedded cloud knows BillingMode PAY_PER_REQUEST for global tables only", id)
	}
	r := p.Replicas[0]
	return s.provide(createTable{
		TableName: p.TableName, AttributeDefinitions: p.AttributeDefinitions, KeySchema: p.KeySchema, GlobalSecondaryIndexes: p.GlobalSecondaryIndexes,
		LocalSecondaryIndexes: p.LocalSecondaryIndexes, BillingMode: p.BillingMode, DeletionProtectionEnabled: r.DeletionProtectionEnabled,
		TableClass: r.TableClass, SSESpecification: p.SSESpecification.specification(), Tags: r.Tags,
	}, p.TimeToLiveSpecification, r.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled, p.StreamSpecification, id)
}
