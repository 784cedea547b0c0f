package dynamodb

import (
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type batchKeys struct {
	Keys                     []item.Item
	ConsistentRead           bool
	ProjectionExpression     *string           `json:",omitempty"`
	ExpressionAttributeNames map[string]string `json:",omitempty"`
}

type batchGet struct {
	RequestItems           map[string]batchKeys
	ReturnConsumedCapacity string
}

type batchGot struct {
	Responses        map[string][]item.Item
	UnprocessedKeys  map[string]batchKeys
	ConsumedCapacity []capacity `json:",omitempty"`
}

type writeRequest struct {
	PutRequest    *struct{ Item item.Item } `json:",omitempty"`
	DeleteRequest *struct{ Key item.Item }  `json:",omitempty"`
}

type batchWrite struct {
	RequestItems                map[string][]writeRequest
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

type batchWritten struct {
	UnprocessedItems map[string][]writeRequest
	ConsumedCapacity []capacity `json:",omitempty"`
}

const (
	maxBatchGet   = 100
	maxBatchWrite = 25
	maxBatchBytes = 16 << 20 // of an answer to BatchGetItem; what is beyond comes back unprocessed
)

func (s *Service) batchOps() []wire.Op {
	return []wire.Op{
		op(s, "BatchGetItem", func(in *batchGet) []wire.Need {
			var needs []wire.Need
			for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
				r := in.RequestItems[name]
				needs = append(needs, s.batchNeed("BatchGetItem", name, r.Keys, projected(r.ProjectionExpression, r.ExpressionAttributeNames)))
			}
			return needs
		}, s.batchGet),
		op(s, "BatchWriteItem", func(in *batchWrite) []wire.Need {
			var needs []wire.Need
			for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
				var keys []item.Item
				for _, r := range in.RequestItems[name] {
					if r.PutRequest != nil {
						keys = append(keys, r.PutRequest.Item)
					}
					if r.DeleteRequest != nil {
						keys = append(keys, r.DeleteRequest.Key)
					}
				}
				needs = append(needs, s.batchNeed("BatchWriteItem", name, keys, nil))
			}
			return needs
		}, s.batchWrite),
	}
}

func (s *Service) batchNeed(action, name string, keys []item.Item, attributes []string) wire.Need {
	n := s.need(action, name)[0]
	if t := s.tables[bare(name)]; t != nil {
		for _, k := range keys {
			if v, ok := k[t.schemas[0].hash.name]; ok {
				n.Context["dynamodb:LeadingKeys"] = append(n.Context["dynamodb:LeadingKeys"], leading(v))
			}
		}
	}
	if attributes != nil {
		n.Context["dynamodb:Attributes"] = attributes
	}
	return n
}

func (s *Service) batchGet(in *batchGet) (*batchGot, error) {
	if err := checkReturns(in.ReturnConsumedCapacity, ""); err != nil {
		return nil, err
	}
	n := 0
	for _, r := range in.RequestItems {
		n += len(r.Keys)
	}
	if len(in.RequestItems) == 0 || n == 0 {
		return nil, invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if n > maxBatchGet {
		return nil, invalid("Too many items requested for the BatchGetItem call")
	}
	out := &batchGot{Responses: map[string][]item.Item{}, UnprocessedKeys: map[string]batchKeys{}}
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		r := in.RequestItems[name]
		seen := map[string]bool{}
		used := 0.0
		out.Responses[name] = []item.Item{}
		rest := r
		rest.Keys = nil
		for _, k := range r.Keys {
			t, it, err := s.get(name, k, r.ConsistentRead, r.ProjectionExpression, r.ExpressionAttributeNames)
			if err != nil {
				return nil, err
			}
			if seen[t.keyOf(k)] {
				return nil, invalid("Provided list of item keys contains duplicates")
			}
			seen[t.keyOf(k)] = true
			if bytes += it.whole.Size(); bytes > maxBatchBytes {
				rest.Keys = append(rest.Keys, k)
				continue
			}
			used += readUnits(it.whole.Size(), r.ConsistentRead)
			if it.whole != nil {
				out.Responses[name] = append(out.Responses[name], it.shown)
			}
		}
		if rest.Keys != nil {
			out.UnprocessedKeys[name] = rest
		}
		if t := s.tables[bare(name)]; t != nil {
			if c := t.capacity(in.ReturnConsumedCapacity, "", used); c != nil {
				out.ConsumedCapacity = append(out.ConsumedCapacity, *c)
			}
		}
	}
	return out, nil
}

func (s *Service) batchWrite(in *batchWrite) (*batchWritten, error) {
	if err := checkReturns(in.ReturnConsumedCapacity, in.ReturnItemCollectionMetrics); err != nil {
		return nil, err
	}
	n := 0
	for _, r := range in.RequestItems {
		n += len(r)
	}
	if n == 0 {
		return nil, invalid("1 validation error detected: Value '{}' at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if n > maxBatchWrite {
		return nil, invalid("1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to %d, Member must have length greater than or equal to 1]", maxBatchWrite)
	}
	var all []mutation
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		for _, r := range in.RequestItems[name] {
			var m mutation
			var err error
			switch {
			case (r.PutRequest == nil) == (r.DeleteRequest == nil):
				return nil, invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes: a WriteRequest is either a PutRequest or a DeleteRequest")
			case r.PutRequest != nil:
				m, err = s.preparePut(name, r.PutRequest.Item, placeholders{}, condition{})
			default:
				m, err = s.prepareDelete(name, r.DeleteRequest.Key, placeholders{}, condition{})
			}
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(all, m.sameItem) {
				return nil, invalid("Provided list of item keys contains duplicates")
			}
			all = append(all, m)
		}
	}
	// Nothing holds the writes of a batch together, but here none of them can fail any more.
	out := &batchWritten{UnprocessedItems: map[string][]writeRequest{}}
	used := map[*table]float64{}
	for _, m := range all {
		old := m.table.data.items[m.key]
		it, err := m.next(old)
		if err != nil {
			return nil, err
		}
		m.table.write(m.key, it, s.w.Profile.Settle)
		used[m.table] += writeUnits(old, it)
	}
	for _, name := range slices.Sorted(maps.Keys(in.RequestItems)) {
		t := s.tables[bare(name)]
		if c := t.capacity(in.ReturnConsumedCapacity, "", used[t]); c != nil {
			out.ConsumedCapacity = append(out.ConsumedCapacity, *c)
		}
	}
	return out, nil
}

func (m mutation) sameItem(o mutation) bool { return m.table == o.table && m.key == o.key }
