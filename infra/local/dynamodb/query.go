package dynamodb

import (
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

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
