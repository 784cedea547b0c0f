package dynamodb

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/expr"
	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// placeholders are the parameters that all expressions share.
type placeholders struct {
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues item.Item
}

// env reads the placeholders. used tells whether the request has an expression at all.
func (p placeholders) env(used bool) (*expr.Env, error) {
	for name, n := range map[string]int{"ExpressionAttributeNames": lengthOrNil(p.ExpressionAttributeNames), "ExpressionAttributeValues": lengthOrNil(p.ExpressionAttributeValues)} {
		switch {
		case n >= 0 && !used:
			return nil, invalid("%s can only be specified when using expressions", name)
		case n == 0:
			return nil, invalid("%s must not be empty", name)
		}
	}
	return expr.NewEnv(p.ExpressionAttributeNames, p.ExpressionAttributeValues)
}

func lengthOrNil[M ~map[K]V, K comparable, V any](m M) int {
	if m == nil {
		return -1
	}
	return len(m)
}

// condition is what conditional writes share.
type condition struct {
	ConditionExpression                 *string
	ReturnValuesOnConditionCheckFailure string
}

// returns are the parameters about what a write answers.
type returns struct {
	ReturnValues                string
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

type putItem struct {
	TableName string
	Item      item.Item
	placeholders
	condition
	returns
}

type deleteItem struct {
	TableName string
	Key       item.Item
	placeholders
	condition
	returns
}

type updateItem struct {
	TableName        string
	Key              item.Item
	UpdateExpression *string
	placeholders
	condition
	returns
}

type written struct {
	Attributes       item.Item `json:",omitempty"`
	ConsumedCapacity *capacity `json:",omitempty"`
}

// mutation is a write that has been understood and not yet been done.
type mutation struct {
	table     *table
	key       string
	condition *expr.Condition
	next      func(old item.Item) (item.Item, error) // nil for a mere check; the result nil deletes
	update    *expr.Update
	onFailure string // ReturnValuesOnConditionCheckFailure
}

func (s *Service) itemOps() []wire.Op {
	return []wire.Op{
		op(s, "PutItem", func(in *putItem) []wire.Need {
			return s.itemNeed("PutItem", in.TableName, in.Item, in.Item.Names(), in.ReturnValues)
		}, func(in *putItem) (*written, error) {
			m, err := s.preparePut(in.TableName, in.Item, in.placeholders, in.condition)
			if err != nil {
				return nil, err
			}
			return s.apply(m, in.returns, "ALL_OLD")
		}),
		op(s, "DeleteItem", func(in *deleteItem) []wire.Need {
			return s.itemNeed("DeleteItem", in.TableName, in.Key, in.Key.Names(), in.ReturnValues)
		}, func(in *deleteItem) (*written, error) {
			m, err := s.prepareDelete(in.TableName, in.Key, in.placeholders, in.condition)
			if err != nil {
				return nil, err
			}
			return s.apply(m, in.returns, "ALL_OLD")
		}),
		op(s, "UpdateItem", func(in *updateItem) []wire.Need {
			return s.itemNeed("UpdateItem", in.TableName, in.Key, in.attributes(), in.ReturnValues)
		}, func(in *updateItem) (*written, error) {
			m, err := s.prepareUpdate(in.TableName, in.Key, in.UpdateExpression, in.placeholders, in.condition)
			if err != nil {
				return nil, err
			}
			return s.apply(m, in.returns, "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
		}),
	}
}

// attributes are what an update names, for dynamodb:Attributes. A wrong expression is refused by the operation.
func (in *updateItem) attributes() []string {
	names := in.Key.Names()
	if env, err := in.env(true); err == nil && in.UpdateExpression != nil {
		if u, err := env.Update(*in.UpdateExpression); err == nil {
			names = append(names, u.Attributes()...)
		}
	}
	return names
}

// itemNeed is the permission for one item, with the condition keys for fine-grained access.
func (s *Service) itemNeed(action, tableName string, key item.Item, attributes []string, returnValues string) []wire.Need {
	n := s.need(action, tableName)
	if t := s.tables[bare(tableName)]; t != nil {
		if v, ok := key[t.schemas[0].hash.name]; ok {
			n[0].Context["dynamodb:LeadingKeys"] = []string{leading(v)}
		}
	}
	if len(attributes) > 0 {
		n[0].Context["dynamodb:Attributes"] = attributes
	}
	if returnValues != "" {
		n[0].Context["dynamodb:ReturnValues"] = []string{returnValues}
	}
	return n
}

func leading(v item.Value) string { return v.Key()[len(v.Kind)+1:] }

func (s *Service) prepare(name string, p placeholders, c condition, used bool) (mutation, *expr.Env, error) {
	m := mutation{onFailure: c.ReturnValuesOnConditionCheckFailure}
	err := oneOf("returnValuesOnConditionCheckFailure", m.onFailure, "ALL_OLD", "NONE")
	if err != nil {
		return m, nil, err
	}
	env, err := p.env(used || c.ConditionExpression != nil)
	if err != nil {
		return m, nil, err
	}
	if c.ConditionExpression != nil {
		if m.condition, err = env.Condition("ConditionExpression", *c.ConditionExpression); err != nil {
			return m, nil, err
		}
	}
	m.table, err = s.usable(name)
	return m, env, err
}

func (s *Service) preparePut(name string, it item.Item, p placeholders, c condition) (mutation, error) {
	m, env, err := s.prepare(name, p, c, false)
	if err != nil {
		return m, err
	}
	if err := env.Unused(); err != nil {
		return m, err
	}
	if err := m.table.checkItem(it); err != nil {
		return m, err
	}
	if it.Size() > maxItem {
		return m, parameter("Item size has exceeded the maximum allowed size")
	}
	m.key = m.table.keyOf(it)
	m.next = func(item.Item) (item.Item, error) { return it, nil }
	return m, nil
}

func (s *Service) prepareDelete(name string, key item.Item, p placeholders, c condition) (mutation, error) {
	m, env, err := s.prepare(name, p, c, false)
	if err != nil {
		return m, err
	}
	if err := env.Unused(); err != nil {
		return m, err
	}
	m.key, err = m.table.checkKey(key)
	m.next = func(item.Item) (item.Item, error) { return nil, nil }
	return m, err
}

func (s *Service) prepareUpdate(name string, key item.Item, update *string, p placeholders, c condition) (mutation, error) {
	m, env, err := s.prepare(name, p, c, update != nil)
	if err != nil {
		return m, err
	}
	if update != nil {
		if m.update, err = env.Update(*update); err != nil {
			return m, err
		}
	}
	if err := env.Unused(); err != nil {
		return m, err
	}
	if m.key, err = m.table.checkKey(key); err != nil {
		return m, err
	}
	if m.update != nil {
		for _, a := range m.update.Attributes() {
			if slices.Contains(m.table.schemas[0].names(), a) {
				return m, parameter("Cannot update attribute %s. This attribute is part of the key", a)
			}
		}
	}
	m.next = func(old item.Item) (item.Item, error) {
		if old == nil {
			old = key
		}
		if m.update == nil {
			return old, nil
		}
		it, err := m.update.Apply(old)
		if err != nil {
			return nil, err
		}
		if it.Size() > maxItem {
			return nil, invalid("Item size to update has exceeded the maximum allowed size")
		}
		return it, m.table.checkItem(it)
	}
	return m, nil
}

// failed is the error of a condition that does not hold.
func (m mutation) failed(old item.Item) *wire.Error {
	e := wire.Errf("ConditionalCheckFailedException", "The conditional request failed")
	if m.onFailure == "ALL_OLD" && old != nil {
		e.Fields = map[string]any{"Item": old}
	}
	return e
}

// apply does a single write.
func (s *Service) apply(m mutation, r returns, allowed ...string) (*written, error) {
	if r.ReturnValues != "NONE" && r.ReturnValues != "" && !slices.Contains(allowed, r.ReturnValues) {
		if err := oneOf("returnValues", r.ReturnValues, "ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"); err != nil {
			return nil, err
		}
		return nil, invalid("ReturnValues can only be ALL_OLD or NONE")
	}
	if err := checkReturns(r.ReturnConsumedCapacity, r.ReturnItemCollectionMetrics); err != nil {
		return nil, err
	}
	old := m.table.data.items[m.key]
	if m.condition != nil && !m.condition.Holds(old) {
		return nil, m.failed(old)
	}
	it, err := m.next(old)
	if err != nil {
		return nil, err
	}
	m.table.write(m.key, it, s.w.Profile.Settle)
	out := &written{ConsumedCapacity: m.table.capacity(r.ReturnConsumedCapacity, "", writeUnits(old, it))}
	switch r.ReturnValues {
	case "ALL_OLD":
		out.Attributes = old
	case "ALL_NEW":
		out.Attributes = it
	case "UPDATED_OLD", "UPDATED_NEW":
		from := it
		if r.ReturnValues == "UPDATED_OLD" {
			from = old
		}
		if m.update != nil && from != nil {
			out.Attributes = m.update.Touched(from)
		}
	}
	return out, nil
}
