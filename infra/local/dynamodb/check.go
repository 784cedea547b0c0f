package dynamodb

import (
	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// DynamoDB's limits.
const (
	maxItem    = 400 << 10
	maxHashKey = 2048
	maxSortKey = 1024
)

// keyOf is the text under which an item is stored. The length keeps two keys from running into each other.
func (t *table) keyOf(it item.Item) string {
	sc := t.schemas[0]
	k := it[sc.hash.name].Key()
	if sc.sort == nil {
		return k
	}
	return k + "\x00" + it[sc.sort.name].Key() + "\x00" + string(rune(len(k)))
}

// checkKey checks the Key of a request: the table's key attributes and nothing else.
func (t *table) checkKey(k item.Item) (string, error) {
	sc := t.schemas[0]
	mismatch := invalid("The provided key element does not match the schema")
	if len(k) > len(sc.names()) {
		return "", invalid("The number of conditions on the keys is invalid")
	}
	for i, def := range sc.keys() {
		v, ok := k[def.name]
		if !ok || v.Kind != def.kind {
			return "", mismatch
		}
		if err := checkKeyValue(def, v, i); err != nil {
			return "", err
		}
	}
	return t.keyOf(k), nil
}

func (s *schema) keys() []key {
	if s.sort == nil {
		return []key{s.hash}
	}
	return []key{s.hash, *s.sort}
}

func checkKeyValue(def key, v item.Value, position int) error {
	if v.Kind == item.N {
		return nil
	}
	if v.Text == "" {
		what := "string"
		if v.Kind == item.B {
			what = "binary"
		}
		return invalid("One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty %s value. Key: %s", what, def.name)
	}
	if limit := []int{maxHashKey, maxSortKey}[position]; len(v.Text) > limit {
		if position == 0 {
			return parameter("Size of hashkey has exceeded the maximum size limit of %d bytes", limit)
		}
		return parameter("Aggregated size of all range keys has exceeded the size limit of %d bytes", limit)
	}
	return nil
}

// checkItem checks a whole item: its keys and those of the indexes that it is in.
func (t *table) checkItem(it item.Item) error {
	for i, def := range t.schemas[0].keys() {
		v, ok := it[def.name]
		if !ok {
			return parameter("Missing the key %s in the item", def.name)
		}
		if v.Kind != def.kind {
			return parameter("Type mismatch for key %s expected: %s actual: %s", def.name, def.kind, v.Kind)
		}
		if err := checkKeyValue(def, v, i); err != nil {
			return err
		}
	}
	for _, sc := range t.schemas[1:] {
		for _, def := range sc.keys() {
			v, ok := it[def.name]
			if !ok {
				continue
			}
			if v.Kind != def.kind {
				return parameter("Type mismatch for Index Key %s Expected: %s Actual: %s IndexName: %s", def.name, def.kind, v.Kind, sc.index)
			}
			if v.Kind != item.N && v.Text == "" {
				return invalid("One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: %s, IndexKey: %s", sc.index, def.name)
			}
		}
	}
	if _, ok := it[""]; ok {
		return parameter("Attribute name must not be empty")
	}
	return nil
}
