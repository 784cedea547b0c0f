package dynamodb

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type transactItem struct {
	ConditionCheck *struct {
		TableName string
		Key       item.Item
		placeholders
		condition
	} `json:",omitempty"`
	Put *struct {
		TableName string
		Item      item.Item
		placeholders
		condition
	} `json:",omitempty"`
	Delete *struct {
		TableName string
		Key       item.Item
		placeholders
		condition
	} `json:",omitempty"`
	Update *struct {
		TableName        string
		Key              item.Item
		UpdateExpression *string
		placeholders
		condition
	} `json:",omitempty"`
}

type transactWrite struct {
	TransactItems               []transactItem
	ClientRequestToken          string `json:",omitempty"`
	ReturnConsumedCapacity      string
	ReturnItemCollectionMetrics string
}

type transactWritten struct {
	ConsumedCapacity []capacity `json:",omitempty"`
}

type transactGet struct {
	TransactItems []struct {
		Get *struct {
			TableName                string
			Key                      item.Item
			ProjectionExpression     *string
			ExpressionAttributeNames map[string]string
		}
	}
	ReturnConsumedCapacity string
}

type itemResponse struct {
	Item item.Item `json:",omitempty"`
}

type transactGot struct {
	Responses        []itemResponse
	ConsumedCapacity []capacity `json:",omitempty"`
}

// usedToken is what a ClientRequestToken was first used for.
type usedToken struct {
	request string
	until   time.Time
}

const (
	maxTransact      = 100
	maxTransactBytes = 4 << 20
	tokenLife        = 10 * time.Minute
)

func (s *Service) transactOps() []wire.Op {
	return []wire.Op{
		op(s, "TransactWriteItems", func(in *transactWrite) []wire.Need {
			var needs []wire.Need
			for _, i := range in.TransactItems {
				switch {
				case i.Put != nil:
					needs = append(needs, s.itemNeed("PutItem", i.Put.TableName, i.Put.Item, i.Put.Item.Names(), "")...)
				case i.Update != nil:
					u := updateItem{Key: i.Update.Key, UpdateExpression: i.Update.UpdateExpression, placeholders: i.Update.placeholders}
					needs = append(needs, s.itemNeed("UpdateItem", i.Update.TableName, i.Update.Key, u.attributes(), "")...)
				case i.Delete != nil:
					needs = append(needs, s.itemNeed("DeleteItem", i.Delete.TableName, i.Delete.Key, i.Delete.Key.Names(), "")...)
				case i.ConditionCheck != nil:
					needs = append(needs, s.itemNeed("ConditionCheckItem", i.ConditionCheck.TableName, i.ConditionCheck.Key, i.ConditionCheck.Key.Names(), "")...)
				}
			}
			return needs
		}, s.transactWrite),
		op(s, "TransactGetItems", func(in *transactGet) []wire.Need {
			var needs []wire.Need
			for _, i := range in.TransactItems {
				if g := i.Get; g != nil {
					needs = append(needs, s.itemNeed("GetItem", g.TableName, g.Key, projected(g.ProjectionExpression, g.ExpressionAttributeNames), "")...)
				}
			}
			return needs
		}, s.transactGet),
	}
}

func checkTransact(n int) error {
	if n < 1 || n > maxTransact {
		return invalid("1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to %d and greater than or equal to 1", maxTransact)
	}
	return nil
}

// prepareTransact understands one item of a transaction.
func (s *Service) prepareTransact(i transactItem) (mutation, error) {
	n := 0
	for _, there := range []bool{i.ConditionCheck != nil, i.Put != nil, i.Delete != nil, i.Update != nil} {
		if there {
			n++
		}
	}
	switch {
	case n != 1:
		return mutation{}, invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	case i.Put != nil:
		return s.preparePut(i.Put.TableName, i.Put.Item, i.Put.placeholders, i.Put.condition)
	case i.Delete != nil:
		return s.prepareDelete(i.Delete.TableName, i.Delete.Key, i.Delete.placeholders, i.Delete.condition)
	case i.Update != nil:
		if i.Update.UpdateExpression == nil {
			return mutation{}, invalid("1 validation error detected: Value null at 'transactItems.1.member.update.updateExpression' failed to satisfy constraint: Member must not be null")
		}
		return s.prepareUpdate(i.Update.TableName, i.Update.Key, i.Update.UpdateExpression, i.Update.placeholders, i.Update.condition)
	}
	c := i.ConditionCheck
	if c.ConditionExpression == nil {
		return mutation{}, invalid("1 validation error detected: Value null at 'transactItems.1.member.conditionCheck.conditionExpression' failed to satisfy constraint: Member must not be null")
	}
	m, err := s.prepareDelete(c.TableName, c.Key, c.placeholders, c.condition)
	m.next = nil
	return m, err
}

// reason is why one item of a transaction cancelled it.
type reason struct {
	Code    string
	Message string    `json:",omitempty"`
	Item    item.Item `json:",omitempty"`
}

func (s *Service) transactWrite(in *transactWrite) (*transactWritten, error) {
	if err := checkTransact(len(in.TransactItems)); err != nil {
		return nil, err
	}
	if err := checkReturns(in.ReturnConsumedCapacity, in.ReturnItemCollectionMetrics); err != nil {
		return nil, err
	}
	fingerprint, again, err := s.repeated(in)
	if err != nil {
		return nil, err
	}
	var all []mutation
	for _, i := range in.TransactItems {
		m, err := s.prepareTransact(i)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, m.sameItem) {
			return nil, invalid("Transaction request cannot include multiple operations on one item")
		}
		all = append(all, m)
	}
	results := make([]item.Item, len(all))
	if !again {
		if err := evaluate(all, results); err != nil {
			return nil, err
		}
	}
	used := map[string]float64{}
	for i, m := range all {
		used[m.table.name] += 2 * writeUnits(m.table.data.items[m.key], results[i])
		if m.next != nil && !again {
			m.table.write(m.key, results[i], s.w.Profile.Settle)
		}
	}
	if in.ClientRequestToken != "" {
		s.tokens[in.ClientRequestToken] = usedToken{fingerprint, time.Now().Add(tokenLife)}
	}
	return &transactWritten{s.capacities(in.ReturnConsumedCapacity, used)}, nil
}

// evaluate computes every result, or says for every item whether it cancels the transaction.
func evaluate(all []mutation, results []item.Item) error {
	reasons := make([]reason, len(all))
	codes := make([]string, len(all))
	failed, bytes := false, 0
	for i, m := range all {
		reasons[i].Code = "None"
		old := m.table.data.items[m.key]
		if m.condition != nil && !m.condition.Holds(old) {
			failed = true
			reasons[i] = reason{Code: "ConditionalCheckFailed", Message: "The conditional request failed"}
			if m.onFailure == "ALL_OLD" {
				reasons[i].Item = old
			}
		} else if m.next != nil {
			it, err := m.next(old)
			if err != nil {
				failed = true
				reasons[i] = reason{Code: "ValidationError", Message: message(err)}
			}
			results[i] = it
			bytes += it.Size()
		}
		codes[i] = reasons[i].Code
	}
	if bytes > maxTransactBytes {
		return invalid("Collective size of items in the transaction exceeded the maximum allowed size of %d bytes", maxTransactBytes)
	}
	if !failed {
		return nil
	}
	e := wire.Errf("TransactionCanceledException", "Transaction cancelled, please refer cancellation reasons for specific reasons [%s]", strings.Join(codes, ", "))
	e.Fields = map[string]any{"CancellationReasons": reasons}
	return e
}

func message(err error) string {
	var e *wire.Error
	if errors.As(validation(err), &e) {
		return e.Message
	}
	return err.Error()
}

// repeated tells whether the request's token was used for the same request within the last ten minutes.
func (s *Service) repeated(in *transactWrite) (fingerprint string, again bool, err error) {
	now := time.Now()
	for k, u := range s.tokens {
		if now.After(u.until) {
			delete(s.tokens, k)
		}
	}
	if in.ClientRequestToken == "" {
		return "", false, nil
	}
	raw, err := json.Marshal(in.TransactItems)
	if err != nil {
		return "", false, err
	}
	u, used := s.tokens[in.ClientRequestToken]
	if used && u.request != string(raw) {
		return "", false, wire.Errf("IdempotentParameterMismatchException", "An error occurred (IdempotentParameterMismatchException): the request uses the same client token as a previous, but non-identical request")
	}
	return string(raw), used, nil
}

func (s *Service) capacities(want string, used map[string]float64) []capacity {
	var out []capacity
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if c := s.tables[name].capacity(want, "", used[name]); c != nil {
			out = append(out, *c)
		}
	}
	return out
}

func (s *Service) transactGet(in *transactGet) (*transactGot, error) {
	if err := checkTransact(len(in.TransactItems)); err != nil {
		return nil, err
	}
	if err := checkReturns(in.ReturnConsumedCapacity, ""); err != nil {
		return nil, err
	}
	out := &transactGot{}
	used, seen := map[string]float64{}, map[string]bool{}
	for _, i := range in.TransactItems {
		if i.Get == nil {
			return nil, invalid("1 validation error detected: Value null at 'transactItems.1.member.get' failed to satisfy constraint: Member must not be null")
		}
		t, it, err := s.get(i.Get.TableName, i.Get.Key, true, i.Get.ProjectionExpression, i.Get.ExpressionAttributeNames)
		if err != nil {
			return nil, err
		}
		id := t.name + "/" + t.keyOf(i.Get.Key)
		if seen[id] {
			return nil, invalid("Transaction request cannot include multiple operations on one item")
		}
		seen[id] = true
		used[t.name] += 2 * readUnits(it.whole.Size(), true)
		out.Responses = append(out.Responses, itemResponse{it.shown})
	}
	out.ConsumedCapacity = s.capacities(in.ReturnConsumedCapacity, used)
	return out, nil
}
