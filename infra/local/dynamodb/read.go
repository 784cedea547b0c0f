package dynamodb

import (
	"cmp"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/expr"
	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type getItem struct {
	TableName                string
	Key                      item.Item
	ConsistentRead           bool
	ProjectionExpression     *string
	ExpressionAttributeNames map[string]string
	ReturnConsumedCapacity   string
}

type gotItem struct {
	Item             item.Item `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

func (s *Service) readOps() []wire.Op {
	return []wire.Op{
		op(s, "GetItem", func(in *getItem) []wire.Need {
			return s.itemNeed("GetItem", in.TableName, in.Key, projected(in.ProjectionExpression, in.ExpressionAttributeNames), "")
		}, func(in *getItem) (*gotItem, error) {
			t, it, err := s.get(in.TableName, in.Key, in.ConsistentRead, in.ProjectionExpression, in.ExpressionAttributeNames)
			if err != nil {
				return nil, err
			}
			if err := checkReturns(in.ReturnConsumedCapacity, ""); err != nil {
				return nil, err
			}
			return &gotItem{it.shown, t.capacity(in.ReturnConsumedCapacity, "", readUnits(it.whole.Size(), in.ConsistentRead))}, nil
		}),
		op(s, "Query", func(in *query) []wire.Need { return s.queryNeed("Query", in) }, s.query),
		op(s, "Scan", func(in *query) []wire.Need { return s.queryNeed("Scan", in) }, s.scan),
	}
}

func projected(expression *string, names map[string]string) []string {
	if expression == nil {
		return nil
	}
	env, err := expr.NewEnv(names, nil)
	if err != nil {
		return nil // the operation refuses it
	}
	p, err := env.Projection(*expression)
	if err != nil {
		return nil
	}
	return p.Attributes()
}

// found is an item and the part of it that was asked for.
type found struct{ whole, shown item.Item }

func (s *Service) get(name string, key item.Item, consistent bool, projection *string, names map[string]string) (*table, found, error) {
	env, err := placeholders{ExpressionAttributeNames: names}.env(projection != nil)
	if err != nil {
		return nil, found{}, err
	}
	var p *expr.Projection
	if projection != nil {
		if p, err = env.Projection(*projection); err != nil {
			return nil, found{}, err
		}
	}
	if err := env.Unused(); err != nil {
		return nil, found{}, err
	}
	t, err := s.usable(name)
	if err != nil {
		return nil, found{}, err
	}
	k, err := t.checkKey(key)
	if err != nil {
		return nil, found{}, err
	}
	it := s.read(t, consistent).items[k]
	return t, found{it, p.Apply(it)}, nil
}

// query is the parameters of Query and Scan.
type query struct {
	TableName, IndexName   string
	KeyConditionExpression *string // of Query
	FilterExpression       *string
	ProjectionExpression   *string
	placeholders
	ConsistentRead         bool
	ScanIndexForward       *bool // of Query
	Limit                  *int
	ExclusiveStartKey      item.Item
	Select                 string
	ReturnConsumedCapacity string
	Segment, TotalSegments *int // of Scan
}

type queried struct {
	Items            *[]item.Item `json:",omitempty"`
	Count            int
	ScannedCount     int
	LastEvaluatedKey item.Item `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

func (s *Service) queryNeed(action string, in *query) []wire.Need {
	n := s.need(action, in.TableName)
	if in.IndexName != "" {
		n[0].Resource += "/index/" + in.IndexName
	}
	if in.Select != "" {
		n[0].Context["dynamodb:Select"] = []string{in.Select}
	}
	if a := projected(in.ProjectionExpression, in.ExpressionAttributeNames); a != nil {
		n[0].Context["dynamodb:Attributes"] = a
	}
	t := s.tables[bare(in.TableName)]
	if action != "Query" || t == nil || t.schema(in.IndexName) == nil || in.KeyConditionExpression == nil {
		return n
	}
	env, err := in.env(true)
	if err != nil {
		return n // the operation refuses it
	}
	terms, err := env.KeyCondition(*in.KeyConditionExpression)
	if err != nil {
		return n
	}
	for _, k := range terms {
		if k.Attribute == t.schema(in.IndexName).hash.name {
			n[0].Context["dynamodb:LeadingKeys"] = []string{leading(k.Values[0])}
		}
	}
	return n
}

// reading is a Query or Scan that has been understood.
type reading struct {
	in         *query
	table      *table
	schema     *schema
	filter     *expr.Condition
	projection *expr.Projection
	terms      []expr.KeyTerm
	limit      int
}

func (s *Service) prepareReading(in *query, isQuery bool) (*reading, error) {
	env, err := in.env(in.KeyConditionExpression != nil || in.FilterExpression != nil || in.ProjectionExpression != nil)
	if err != nil {
		return nil, err
	}
	r := &reading{in: in}
	if isQuery {
		if in.KeyConditionExpression == nil {
			return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
		}
		if r.terms, err = env.KeyCondition(*in.KeyConditionExpression); err != nil {
			return nil, err
		}
	}
	if in.FilterExpression != nil {
		if r.filter, err = env.Condition("FilterExpression", *in.FilterExpression); err != nil {
			return nil, err
		}
	}
	if in.ProjectionExpression != nil {
		if r.projection, err = env.Projection(*in.ProjectionExpression); err != nil {
			return nil, err
		}
	}
	if err := env.Unused(); err != nil {
		return nil, err
	}
	if r.table, err = s.usable(in.TableName); err != nil {
		return nil, err
	}
	return r, r.check(isQuery)
}

func (r *reading) check(isQuery bool) error {
	in := r.in
	if r.schema = r.table.schema(in.IndexName); r.schema == nil {
		return invalid("The table does not have the specified index: %s", in.IndexName)
	}
	if in.ConsistentRead && in.IndexName != "" && !r.schema.local {
		return invalid("Consistent reads are not supported on global secondary indexes")
	}
	if in.Limit != nil {
		if r.limit = *in.Limit; r.limit < 1 {
			return invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", r.limit)
		}
	}
	if err := oneOf("select", in.Select, "SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"); err != nil {
		return err
	}
	switch {
	case in.Select == "SPECIFIC_ATTRIBUTES" && r.projection == nil:
		return invalid("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case in.Select != "" && in.Select != "SPECIFIC_ATTRIBUTES" && r.projection != nil:
		return invalid("Cannot specify the ProjectionExpression when choosing to get %s", in.Select)
	case in.Select == "ALL_PROJECTED_ATTRIBUTES" && in.IndexName == "":
		return parameter("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	case in.Select == "ALL_ATTRIBUTES" && r.schema.projected != nil && !r.schema.local:
		return parameter("Select type ALL_ATTRIBUTES is not supported for global secondary index %s because its projection type is not ALL", in.IndexName)
	}
	if r.schema.projected != nil && !r.schema.local && r.projection != nil {
		for _, a := range r.projection.Attributes() {
			if !slices.Contains(r.schema.projected, a) {
				return parameter("Global secondary index %s does not project [%s]", in.IndexName, a)
			}
		}
	}
	if isQuery && r.filter != nil {
		for _, a := range r.filter.Attributes() {
			if slices.Contains(r.schema.names(), a) {
				return invalid("Filter Expression can only contain non-primary key attributes: Primary key attribute: %s", a)
			}
		}
	}
	return checkReturns(in.ReturnConsumedCapacity, "")
}

// keyTerms sorts the key condition out: an equality on the hash key and perhaps a condition on the sort key.
func (r *reading) keyTerms() (hash item.Value, sort *expr.KeyTerm, err error) {
	var h *expr.KeyTerm
	for i, k := range r.terms {
		switch {
		case k.Attribute == r.schema.hash.name:
			h = &r.terms[i]
		case r.schema.sort != nil && k.Attribute == r.schema.sort.name:
			sort = &r.terms[i]
		default:
			if h == nil && !slices.ContainsFunc(r.terms, func(k expr.KeyTerm) bool { return k.Attribute == r.schema.hash.name }) {
				return hash, nil, invalid("Query condition missed key schema element: %s", r.schema.hash.name)
			}
			return hash, nil, invalid("Query condition missed key schema element: %s", cmp.Or(sortName(r.schema), r.schema.hash.name))
		}
	}
	if h == nil {
		return hash, nil, invalid("Query condition missed key schema element: %s", r.schema.hash.name)
	}
	if h.Op != "=" {
		return hash, nil, invalid("Query key condition not supported")
	}
	for _, d := range r.schema.keys() {
		for _, k := range r.terms {
			for _, v := range k.Values {
				if k.Attribute == d.name && v.Kind != d.kind {
					return hash, nil, parameter("Condition parameter type does not match schema type")
				}
			}
		}
	}
	return h.Values[0], sort, nil
}

func sortName(s *schema) string {
	if s.sort == nil {
		return ""
	}
	return s.sort.name
}
