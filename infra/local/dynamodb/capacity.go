package dynamodb

import (
	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

type units struct{ CapacityUnits float64 }

type capacity struct {
	TableName              string
	CapacityUnits          float64
	Table                  *units           `json:",omitempty"`
	GlobalSecondaryIndexes map[string]units `json:",omitempty"`
	LocalSecondaryIndexes  map[string]units `json:",omitempty"`
}

func checkReturns(consumed, metrics string) error {
	if err := oneOf("returnConsumedCapacity", consumed, "INDEXES", "TOTAL", "NONE"); err != nil {
		return err
	}
	return oneOf("returnItemCollectionMetrics", metrics, "SIZE", "NONE")
}

// capacity is the answer to ReturnConsumedCapacity; nil if it was not asked for. What writes cost in indexes is not
// counted.
func (t *table) capacity(want, index string, n float64) *capacity {
	if want != "TOTAL" && want != "INDEXES" {
		return nil
	}
	c := &capacity{TableName: t.name, CapacityUnits: n}
	if want == "TOTAL" {
		return c
	}
	c.Table = &units{n}
	if index == "" {
		return c
	}
	c.Table.CapacityUnits = 0
	if t.schema(index).local {
		c.LocalSecondaryIndexes = map[string]units{index: {n}}
	} else {
		c.GlobalSecondaryIndexes = map[string]units{index: {n}}
	}
	return c
}

func writeUnits(old, it item.Item) float64 {
	return blocks(max(old.Size(), it.Size()), 1<<10)
}

func readUnits(bytes int, consistent bool) float64 {
	n := blocks(bytes, 4<<10)
	if !consistent {
		n /= 2
	}
	return n
}

func blocks(bytes, size int) float64 { return float64(max(1, (bytes+size-1)/size)) }
