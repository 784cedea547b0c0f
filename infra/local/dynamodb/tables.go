package dynamodb

import (
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type table struct {
	name, id   string
	status     string
	created    time.Time
	attributes []attributeDefinition
	keySchema  []keyElement
	global     []indexDefinition
	local      []indexDefinition
	schemas    []*schema // the table's, then its indexes'
	billing    string
	throughput throughput
	protected  bool
	class      string
	sse        *sseSpecification
	tags       map[string]string
	recovery   bool // point in time
	ttl        ttl
	data       *data
	recent     []change // the latest writes, oldest first
	bytes      int
	sweeping   bool // the TTL sweeper runs
}

type attributeDefinition struct{ AttributeName, AttributeType string }

type keyElement struct{ AttributeName, KeyType string }

type projection struct {
	ProjectionType   string   `json:",omitempty"`
	NonKeyAttributes []string `json:",omitempty"`
}

type throughput struct {
	ReadCapacityUnits, WriteCapacityUnits int64
}

type onDemand struct {
	MaxReadRequestUnits, MaxWriteRequestUnits *int64 `json:",omitempty"`
}

type indexDefinition struct {
	IndexName             string
	KeySchema             []keyElement
	Projection            *projection `json:",omitempty"`
	ProvisionedThroughput *throughput `json:",omitempty"`
	OnDemandThroughput    *onDemand   `json:",omitempty"`
}

type sseSpecification struct {
	Enabled        bool
	SSEType        string `json:",omitempty"`
	KMSMasterKeyId string `json:",omitempty"`
}

type tag struct{ Key, Value string }

type createTable struct {
	TableName                 string
	AttributeDefinitions      []attributeDefinition
	KeySchema                 []keyElement
	GlobalSecondaryIndexes    []indexDefinition
	LocalSecondaryIndexes     []indexDefinition
	BillingMode               string
	ProvisionedThroughput     *throughput
	OnDemandThroughput        *onDemand
	DeletionProtectionEnabled bool
	TableClass                string
	SSESpecification          *sseSpecification
	StreamSpecification       *struct {
		StreamEnabled  bool
		StreamViewType string
	}
	Tags []tag
}

type tableName struct{ TableName string }

type throughputOut struct {
	NumberOfDecreasesToday, ReadCapacityUnits, WriteCapacityUnits int64
}

type indexOut struct {
	IndexName             string
	KeySchema             []keyElement
	Projection            *projection
	IndexStatus           string         `json:",omitempty"`
	ProvisionedThroughput *throughputOut `json:",omitempty"`
	IndexSizeBytes        int
	ItemCount             int
	IndexArn              string
}

type tableOut struct {
	TableName, TableArn, TableId, TableStatus string
	CreationDateTime                          wire.Time
	AttributeDefinitions                      []attributeDefinition
	KeySchema                                 []keyElement
	GlobalSecondaryIndexes                    []indexOut `json:",omitempty"`
	LocalSecondaryIndexes                     []indexOut `json:",omitempty"`
	ItemCount, TableSizeBytes                 int
	ProvisionedThroughput                     throughputOut
	BillingModeSummary                        *struct{ BillingMode string } `json:",omitempty"`
	DeletionProtectionEnabled                 bool
	TableClassSummary                         *struct{ TableClass string }      `json:",omitempty"`
	SSEDescription                            *struct{ Status, SSEType string } `json:",omitempty"`
}

func (s *Service) onTable(action string) func(*tableName) []wire.Need {
	return func(in *tableName) []wire.Need { return s.need(action, in.TableName) }
}

func (s *Service) need(action, name string) []wire.Need {
	return []wire.Need{{Action: "dynamodb:" + action, Resource: s.arn(bare(name)), Context: s.resourceTags(name)}}
}

func (s *Service) resourceTags(name string) map[string][]string {
	ctx := map[string][]string{}
	if t := s.tables[bare(name)]; t != nil {
		for k, v := range t.tags {
			ctx["aws:ResourceTag/"+k] = []string{v}
		}
	}
	return ctx
}

func (s *Service) tableOps() []wire.Op {
	type described struct{ TableDescription tableOut }
	return []wire.Op{
		op(s, "CreateTable", func(in *createTable) []wire.Need {
			needs := []wire.Need{{Action: "dynamodb:CreateTable", Resource: s.arn(bare(in.TableName)), Context: requestTags(in.Tags)}}
			if len(in.Tags) > 0 {
				needs = append(needs, wire.Need{Action: "dynamodb:TagResource", Resource: s.arn(bare(in.TableName)), Context: requestTags(in.Tags)})
			}
			return needs
		}, func(in *createTable) (*described, error) {
			t, err := s.newTable(in)
			if err != nil {
				return nil, err
			}
			s.w.After(s.w.Profile.Settle, func() { // creation takes AWS some seconds; there is no field for it in the profile
				s.mu.Lock()
				defer s.mu.Unlock()
				if t.status == "CREATING" {
					t.status = "ACTIVE"
				}
			})
			return &described{s.describe(t)}, nil
		}),
		op(s, "DescribeTable", s.onTable("DescribeTable"), func(in *tableName) (*struct{ Table tableOut }, error) {
			t, err := s.existing(in.TableName)
			if err != nil {
				return nil, err
			}
			return &struct{ Table tableOut }{s.describe(t)}, nil
		}),
		op(s, "DeleteTable", s.onTable("DeleteTable"), func(in *tableName) (*described, error) {
			t, err := s.deleteTable(in.TableName)
			if err != nil {
				return nil, err
			}
			return &described{s.describe(t)}, nil
		}),
		op(s, "ListTables", func(*listTables) []wire.Need { return []wire.Need{{Action: "dynamodb:ListTables", Resource: "*"}} }, s.listTables),
	}
}

func requestTags(tags []tag) map[string][]string {
	ctx := map[string][]string{}
	for _, t := range tags {
		ctx["aws:RequestTag/"+t.Key] = []string{t.Value}
		ctx["aws:TagKeys"] = append(ctx["aws:TagKeys"], t.Key)
	}
	return ctx
}

type listTables struct {
	ExclusiveStartTableName string
	Limit                   *int
}

type listedTables struct {
	TableNames             []string
	LastEvaluatedTableName string `json:",omitempty"`
}

func (s *Service) listTables(in *listTables) (*listedTables, error) {
	limit := 100
	if in.Limit != nil {
		if limit = *in.Limit; limit < 1 || limit > 100 {
			return nil, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and 100", limit)
		}
	}
	out := &listedTables{TableNames: []string{}}
	for name := range s.tables {
		if name > in.ExclusiveStartTableName {
			out.TableNames = append(out.TableNames, name)
		}
	}
	slices.Sort(out.TableNames)
	if len(out.TableNames) > limit {
		out.TableNames = out.TableNames[:limit]
		out.LastEvaluatedTableName = out.TableNames[limit-1]
	}
	return out, nil
}

func (s *Service) deleteTable(name string) (*table, error) {
	t, err := s.existing(name)
	switch {
	case err != nil:
		return nil, err
	case t.protected:
		return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	case t.status != "ACTIVE":
		return nil, wire.Errf("ResourceInUseException", "Attempt to change a resource which is still in use: Table is being %s: %s", map[string]string{"CREATING": "created", "DELETING": "deleted"}[t.status], t.name)
	}
	t.status = "DELETING"
	s.w.After(s.w.Profile.Settle, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.tables, t.name)
	})
	return t, nil
}

var tableNamePattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)

func (s *Service) newTable(in *createTable) (*table, error) {
	name := bare(in.TableName)
	if !tableNamePattern.MatchString(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", name)
	}
	if st := in.StreamSpecification; st != nil && st.StreamEnabled {
		return nil, wire.Errf("NotImplemented", "CreateTable: the embedded cloud has no DynamoDB Streams").WithStatus(http.StatusNotImplemented)
	}
	t := &table{
		name: name, id: s.w.UUID(), status: "CREATING", created: time.Now(), attributes: in.AttributeDefinitions, keySchema: in.KeySchema,
		global: in.GlobalSecondaryIndexes, local: in.LocalSecondaryIndexes, billing: in.BillingMode, protected: in.DeletionProtectionEnabled,
		class: in.TableClass, sse: in.SSESpecification, tags: map[string]string{},
	}
	if err := t.checkBilling(in.ProvisionedThroughput); err != nil {
		return nil, err
	}
	if err := t.checkKeys(); err != nil {
		return nil, err
	}
	for _, g := range in.Tags {
		t.tags[g.Key] = g.Value
	}
	if s.tables[name] != nil {
		return nil, wire.Errf("ResourceInUseException", "Table already exists: %s", name)
	}
	t.data = newData(t.schemas)
	s.tables[name] = t
	return t, nil
}

func (t *table) checkBilling(p *throughput) error {
	if err := oneOf("billingMode", t.billing, "PROVISIONED", "PAY_PER_REQUEST"); err != nil {
		return err
	}
	if err := oneOf("tableClass", t.class, "STANDARD", "STANDARD_INFREQUENT_ACCESS"); err != nil {
		return err
	}
	if t.billing == "PAY_PER_REQUEST" {
		if p != nil {
			return parameter("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		return nil
	}
	t.billing = "PROVISIONED"
	if p == nil || p.ReadCapacityUnits < 1 || p.WriteCapacityUnits < 1 {
		return parameter("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
	}
	t.throughput = *p
	return nil
}

func (s *Service) describe(t *table) tableOut {
	out := tableOut{
		TableName: t.name, TableArn: s.arn(t.name), TableId: t.id, TableStatus: t.status, CreationDateTime: wire.Time{Time: t.created},
		AttributeDefinitions: t.attributes, KeySchema: t.keySchema, ItemCount: len(t.data.items), TableSizeBytes: t.bytes,
		ProvisionedThroughput:     throughputOut{ReadCapacityUnits: t.throughput.ReadCapacityUnits, WriteCapacityUnits: t.throughput.WriteCapacityUnits},
		DeletionProtectionEnabled: t.protected,
	}
	if t.billing == "PAY_PER_REQUEST" {
		out.BillingModeSummary = &struct{ BillingMode string }{t.billing}
	}
	if t.class != "" {
		out.TableClassSummary = &struct{ TableClass string }{t.class}
	}
	if t.sse != nil && t.sse.Enabled {
		out.SSEDescription = &struct{ Status, SSEType string }{"ENABLED", "KMS"}
	}
	describe := func(list []indexDefinition, status string) []indexOut {
		var outs []indexOut
		for _, d := range list {
			o := indexOut{IndexName: d.IndexName, KeySchema: d.KeySchema, Projection: d.Projection, IndexStatus: status, IndexArn: s.arn(t.name) + "/index/" + d.IndexName}
			for _, part := range t.data.views[d.IndexName].parts {
				for _, e := range part {
					o.ItemCount++
					o.IndexSizeBytes += e.item.Size()
				}
			}
			if status != "" {
				o.ProvisionedThroughput = &throughputOut{}
				if d.ProvisionedThroughput != nil {
					o.ProvisionedThroughput.ReadCapacityUnits, o.ProvisionedThroughput.WriteCapacityUnits = d.ProvisionedThroughput.ReadCapacityUnits, d.ProvisionedThroughput.WriteCapacityUnits
				}
			}
			outs = append(outs, o)
		}
		return outs
	}
	out.GlobalSecondaryIndexes, out.LocalSecondaryIndexes = describe(t.global, t.status), describe(t.local, "")
	return out
}
