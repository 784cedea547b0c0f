package dynamodb

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// key is one attribute of a key schema.
type key struct {
	name string
	kind item.Kind
}

// schema is the key of a table or an index, and what an index projects.
type schema struct {
	index string // "" for the table itself
	hash  key
	sort  *key
	local bool
	// projected are the attributes that the index carries; nil is all.
	projected []string
}

func (s *schema) names() []string {
	if s.sort == nil {
		return []string{s.hash.name}
	}
	return []string{s.hash.name, s.sort.name}
}

// entry is an item's place in a partition.
type entry struct {
	sort item.Value // zero without a sort key
	key  string     // of the item in the table
	item item.Item
}

func before(a, b entry) int {
	c, _ := item.Compare(a.sort, b.sort)
	return cmp.Or(c, cmp.Compare(a.key, b.key))
}

// view is the items of a table in the order of one schema. Items without the schema's keys are not in it.
type view struct {
	schema *schema
	parts  map[string][]entry
}

func (v *view) place(key string, it item.Item) (partition string, e entry, ok bool) {
	hash, ok := it[v.schema.hash.name]
	if !ok {
		return "", e, false
	}
	e = entry{key: key, item: it}
	if v.schema.sort != nil {
		if e.sort, ok = it[v.schema.sort.name]; !ok {
			return "", e, false
		}
	}
	return hash.Key(), e, true
}

func (v *view) add(key string, it item.Item) {
	if p, e, ok := v.place(key, it); ok {
		i, _ := slices.BinarySearchFunc(v.parts[p], e, before)
		v.parts[p] = slices.Insert(v.parts[p], i, e)
	}
}

func (v *view) remove(key string, it item.Item) {
	p, e, ok := v.place(key, it)
	if !ok {
		return
	}
	i, _ := slices.BinarySearchFunc(v.parts[p], e, before)
	v.parts[p] = slices.Delete(v.parts[p], i, i+1)
	if len(v.parts[p]) == 0 {
		delete(v.parts, p)
	}
}

// scatter is a partition's place in a scan: by a hash of its key, as DynamoDB does, so that nobody relies on an order.
func scatter(partition string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(partition)) // never fails
	return h.Sum32()
}

// partitions lists a view's partitions in the order of a scan.
func (v *view) partitions() []string {
	return slices.SortedFunc(maps.Keys(v.parts), byScatter)
}

func byScatter(a, b string) int {
	return cmp.Or(cmp.Compare(scatter(a), scatter(b)), cmp.Compare(a, b))
}

// data is the contents of a table.
type data struct {
	items map[string]item.Item // by key
	views map[string]*view     // by index; "" is the table
}

func newData(schemas []*schema) *data {
	d := &data{items: map[string]item.Item{}, views: map[string]*view{}}
	for _, s := range schemas {
		d.views[s.index] = &view{schema: s, parts: map[string][]entry{}}
	}
	return d
}

// put stores an item under its key; nil deletes.
func (d *data) put(key string, it item.Item) {
	if old := d.items[key]; old != nil {
		for _, v := range d.views {
			v.remove(key, old)
		}
		delete(d.items, key)
	}
	if it == nil {
		return
	}
	d.items[key] = it
	for _, v := range d.views {
		v.add(key, it)
	}
}

// change is what a write replaced.
type change struct {
	at  time.Time
	key string
	old item.Item
}

// write changes an item and remembers what it was, as long as a stale read may want it.
func (t *table) write(key string, it item.Item, settle time.Duration) {
	now := time.Now()
	old := t.data.items[key]
	t.bytes += it.Size() - old.Size()
	i := 0
	for i < len(t.recent) && now.Sub(t.recent[i].at) > settle {
		i++
	}
	t.recent = append(t.recent[i:], change{now, key, old})
	t.data.put(key, it)
}

// asOf is the contents as they were settle ago.
func (t *table) asOf(settle time.Duration) *data {
	now := time.Now()
	i := slices.IndexFunc(t.recent, func(c change) bool { return now.Sub(c.at) <= settle })
	if i < 0 {
		return t.data
	}
	old := newData(t.schemas)
	for key, it := range t.data.items {
		old.put(key, it)
	}
	for _, c := range slices.Backward(t.recent[i:]) {
		old.put(c.key, c.old)
	}
	return old
}

// read is the contents for a read.
func (s *Service) read(t *table, consistent bool) *data {
	if consistent || !s.opts.Stale() {
		return t.data
	}
	return t.asOf(s.w.Profile.Settle)
}
