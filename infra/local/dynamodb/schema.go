package dynamodb

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// checkKeys builds the schemas.
func (t *table) checkKeys() error {
	kinds := map[string]item.Kind{}
	for _, a := range t.attributes {
		if !slices.Contains([]string{"S", "N", "B"}, a.AttributeType) {
			return oneOf("attributeDefinitions.1.member.attributeType", a.AttributeType, "B", "N", "S")
		}
		kinds[a.AttributeName] = item.Kind(a.AttributeType)
	}
	used := map[string]bool{}
	build := func(index string, elements []keyElement) (*schema, error) {
		sc := &schema{index: index}
		if n := len(elements); n < 1 || n > 2 || elements[0].KeyType != "HASH" || n == 2 && elements[1].KeyType != "RANGE" {
			return nil, parameter("Invalid KeySchema: The first KeySchemaElement is not a HASH key type, or there are too many elements")
		}
		for i, e := range elements {
			kind, ok := kinds[e.AttributeName]
			if !ok {
				return nil, parameter("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]", e.AttributeName, strings.Join(attributeNames(t.attributes), ", "))
			}
			used[e.AttributeName] = true
			if i == 0 {
				sc.hash = key{e.AttributeName, kind}
			} else {
				sc.sort = &key{e.AttributeName, kind}
			}
		}
		return sc, nil
	}
	primary, err := build("", t.keySchema)
	if err != nil {
		return err
	}
	t.schemas = []*schema{primary}
	for i, d := range slices.Concat(t.global, t.local) {
		sc, err := build(d.IndexName, d.KeySchema)
		if err != nil {
			return err
		}
		sc.local = i >= len(t.global)
		if err := t.addIndex(sc, d); err != nil {
			return err
		}
	}
	if len(used) != len(kinds) {
		return parameter("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return nil
}

func (t *table) addIndex(sc *schema, d indexDefinition) error {
	primary := t.schemas[0]
	switch {
	case !tableNamePattern.MatchString(sc.index):
		return invalid("1 validation error detected: Value '%s' at 'indexName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+", sc.index)
	case t.schema(sc.index) != nil:
		return parameter("Duplicate index name: %s", sc.index)
	case sc.local && (sc.hash != primary.hash || sc.sort == nil):
		return parameter("Table KeySchema and index %s must share the hash key, and a local secondary index needs a range key", sc.index)
	case d.Projection == nil:
		return parameter("Unknown ProjectionType: null")
	}
	switch d.Projection.ProjectionType {
	case "ALL":
	case "KEYS_ONLY", "INCLUDE":
		sc.projected = slices.Concat(primary.names(), sc.names(), d.Projection.NonKeyAttributes)
	default:
		return parameter("Unknown ProjectionType: %s", d.Projection.ProjectionType)
	}
	t.schemas = append(t.schemas, sc)
	return nil
}

func attributeNames(list []attributeDefinition) []string {
	var out []string
	for _, a := range list {
		out = append(out, a.AttributeName)
	}
	return out
}

// schema finds the table's ("") or an index's.
func (t *table) schema(index string) *schema {
	for _, sc := range t.schemas {
		if sc.index == index {
			return sc
		}
	}
	return nil
}
