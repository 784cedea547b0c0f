package dynamodb

import (
	"cmp"
	"slices"
	"strconv"

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

func (s *Service) query(in *query) (*queried, error) {
	if in.Segment != nil || in.TotalSegments != nil {
		return nil, invalid("Segment and TotalSegments are parameters of Scan")
	}
	r, err := s.prepareReading(in, true)
	if err != nil {
		return nil, err
	}
	hash, sort, err := r.keyTerms()
	if err != nil {
		return nil, err
	}
	start, _, err := r.start()
	if err != nil {
		return nil, err
	}
	if start != nil {
		if h := in.ExclusiveStartKey[r.schema.hash.name]; !item.Equal(h, hash) {
			return nil, invalid("The provided starting key is outside query boundaries based on provided conditions")
		}
	}
	part := s.read(r.table, in.ConsistentRead).views[in.IndexName].parts[hash.Key()]
	forward := in.ScanIndexForward == nil || *in.ScanIndexForward
	p := &pager{reading: r}
	for i := range part {
		e := part[i]
		if !forward {
			e = part[len(part)-1-i]
		}
		if start != nil {
			if c := before(e, *start); forward && c <= 0 || !forward && c >= 0 {
				continue
			}
		}
		if sort != nil && !sort.Matches(e.sort) {
			continue
		}
		if !p.take(e) {
			break
		}
	}
	return p.result(), nil
}

// start is the place after which the reading begins; nil is the beginning.
func (r *reading) start() (*entry, string, error) {
	k := r.in.ExclusiveStartKey
	if k == nil {
		return nil, "", nil
	}
	bad := invalid("The provided starting key is invalid")
	want := map[string]item.Kind{}
	for _, d := range slices.Concat(r.table.schemas[0].keys(), r.schema.keys()) {
		want[d.name] = d.kind
	}
	if len(k) != len(want) {
		return nil, "", bad
	}
	for name, kind := range want {
		if v, ok := k[name]; !ok || v.Kind != kind {
			return nil, "", bad
		}
	}
	v := &view{schema: r.schema}
	part, e, _ := v.place(r.table.keyOf(k), k)
	return &e, part, nil
}

func (s *Service) scan(in *query) (*queried, error) {
	if in.KeyConditionExpression != nil || in.ScanIndexForward != nil {
		return nil, invalid("KeyConditionExpression and ScanIndexForward are parameters of Query")
	}
	r, err := s.prepareReading(in, false)
	if err != nil {
		return nil, err
	}
	segment, total, err := in.segments()
	if err != nil {
		return nil, err
	}
	start, startPart, err := r.start()
	if err != nil {
		return nil, err
	}
	v := s.read(r.table, in.ConsistentRead).views[in.IndexName]
	p := &pager{reading: r}
	for _, name := range v.partitions() {
		if scatter(name)%uint32(total) != uint32(segment) || start != nil && byScatter(name, startPart) < 0 {
			continue
		}
		for _, e := range v.parts[name] {
			if start != nil && name == startPart && before(e, *start) <= 0 {
				continue
			}
			if !p.take(e) {
				return p.result(), nil
			}
		}
	}
	return p.result(), nil
}

func (in *query) segments() (segment, total int, err error) {
	switch {
	case in.Segment == nil && in.TotalSegments == nil:
		return 0, 1, nil
	case in.Segment == nil:
		return 0, 0, invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case in.TotalSegments == nil:
		return 0, 0, invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case *in.TotalSegments < 1 || *in.TotalSegments > 1000000:
		return 0, 0, invalid("1 validation error detected: Value '%d' at 'totalSegments' failed to satisfy constraint: Member must have value between 1 and 1000000", *in.TotalSegments)
	case *in.Segment < 0 || *in.Segment >= *in.TotalSegments:
		return 0, 0, invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %s is not less than TotalSegments: %s", strconv.Itoa(*in.Segment), strconv.Itoa(*in.TotalSegments))
	}
	return *in.Segment, *in.TotalSegments, nil
}

// maxPage is how much one Query or Scan reads.
const maxPage = 1 << 20

// pager collects one page.
type pager struct {
	*reading
	items   []item.Item
	matched int
	scanned int
	bytes   int
	last    *entry // set once the page is full
}

// take reads one more item and tells whether there is room for another.
func (p *pager) take(e entry) bool {
	it := e.item
	if p.schema.projected != nil && (!p.schema.local || p.in.Select != "ALL_ATTRIBUTES" && p.projection == nil) {
		it = keep(it, p.schema.projected)
	}
	p.scanned++
	p.bytes += it.Size()
	if p.filter == nil || p.filter.Holds(it) {
		p.matched++
		if p.in.Select != "COUNT" {
			p.items = append(p.items, p.projection.Apply(it))
		}
	}
	// A full page ends with a LastEvaluatedKey even if nothing follows: DynamoDB does not look ahead.
	if p.scanned == p.limit || p.bytes >= maxPage {
		p.last = &e
		return false
	}
	return true
}

func keep(it item.Item, names []string) item.Item {
	out := item.Item{}
	for _, n := range names {
		if v, ok := it[n]; ok {
			out[n] = v
		}
	}
	return out
}

func (p *pager) result() *queried {
	out := &queried{Count: p.matched, ScannedCount: p.scanned}
	if p.in.Select != "COUNT" {
		if p.items == nil {
			p.items = []item.Item{}
		}
		out.Items = &p.items
	}
	if p.last != nil {
		out.LastEvaluatedKey = keep(p.last.item, slices.Concat(p.table.schemas[0].names(), p.schema.names()))
	}
	out.ConsumedCapacity = p.table.capacity(p.in.ReturnConsumedCapacity, p.in.IndexName, readUnits(p.bytes, p.in.ConsistentRead))
	return out
}
