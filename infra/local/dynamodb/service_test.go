package dynamodb

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// ledger is the table as the CDK writes it.
const ledger = `{"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST",
	"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}],"DeletionProtectionEnabled":"true",
	"PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true},"SSESpecification":{"SSEEnabled":true},"TimeToLiveSpecification":{"AttributeName":"expiresAt","Enabled":true}}`

func newService(t *testing.T, opts Options) (*Service, string) {
	t.Helper()
	w := world.New("123456789012", "eu-west-1", world.Fast, 1, slog.New(slog.DiscardHandler))
	t.Cleanup(w.Close)
	s := New(w, opts)
	c, err := s.Providers()["AWS::DynamoDB::Table"]("Ledger", json.RawMessage(ledger))
	if err != nil {
		t.Fatal(err)
	}
	if c.Attributes["Arn"] != "arn:aws:dynamodb:eu-west-1:123456789012:table/"+c.Ref || c.Attributes["StreamArn"] != "" {
		t.Errorf("got %+v", c)
	}
	return s, c.Ref
}

func put(t *testing.T, s *Service, table, raw string) {
	t.Helper()
	var it item.Item
	if err := json.Unmarshal([]byte(raw), &it); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.preparePut(table, it, placeholders{}, condition{})
	if err == nil {
		_, err = s.apply(m, returns{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *Service, table string, consistent bool) item.Item {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, it, err := s.get(table, item.Item{"pk": item.Text("a"), "sk": item.Text("1")}, consistent, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return it.shown
}

func TestTTLIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, table := newService(t, Options{})
		put(t, s, table, fmt.Sprintf(`{"pk":{"S":"a"},"sk":{"S":"1"},"expiresAt":{"N":"%d"}}`, time.Now().Add(10*time.Second).Unix()))
		time.Sleep(11 * time.Second)
		if get(t, s, table, true) == nil {
			t.Error("an expired item is gone at once: AWS does not promise that")
		}
		time.Sleep(2 * DefaultTTLDelay)
		if get(t, s, table, true) != nil {
			t.Error("an expired item is never deleted")
		}
		put(t, s, table, `{"pk":{"S":"a"},"sk":{"S":"1"},"expiresAt":{"N":"5"}}`) // more than five years ago
		time.Sleep(time.Hour)
		if get(t, s, table, true) == nil {
			t.Error("an item that expired more than five years ago is deleted")
		}
	})
}

func TestStaleReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, table := newService(t, Options{Stale: func() bool { return true }})
		put(t, s, table, `{"pk":{"S":"a"},"sk":{"S":"1"},"n":{"N":"1"}}`)
		time.Sleep(world.Fast.Settle + 1)
		put(t, s, table, `{"pk":{"S":"a"},"sk":{"S":"1"},"n":{"N":"2"}}`)
		put(t, s, table, `{"pk":{"S":"a"},"sk":{"S":"2"}}`)
		if v := get(t, s, table, true)["n"]; v.Num.String() != "2" {
			t.Errorf("a consistent read got %v", v)
		}
		if v := get(t, s, table, false)["n"]; v.Num.String() != "1" {
			t.Errorf("a stale read got %v", v)
		}
		scan := func() int {
			s.mu.Lock()
			defer s.mu.Unlock()
			out, err := s.scan(&query{TableName: table})
			if err != nil {
				t.Fatal(err)
			}
			return out.Count
		}
		if n := scan(); n != 1 {
			t.Errorf("a stale scan sees %d items", n)
		}
		time.Sleep(world.Fast.Settle + 1)
		if v := get(t, s, table, false)["n"]; v.Num.String() != "2" || scan() != 2 {
			t.Errorf("a read is stale for too long: %v", v)
		}
	})
}

func TestTemplatesRefuse(t *testing.T) {
	s, _ := newService(t, Options{})
	global := `{"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"Replicas":[{"Region":"%s"%s}]}`
	if _, err := s.Providers()["AWS::DynamoDB::GlobalTable"]("G", json.RawMessage(fmt.Sprintf(global, "eu-west-1", `,"DeletionProtectionEnabled":true`))); err != nil {
		t.Error(err)
	}
	for want, properties := range map[string]string{
		"only replica":                     fmt.Sprintf(global, "us-east-1", ""),
		"property Replicas[0].Strange":     fmt.Sprintf(global, "eu-west-1", `,"Strange":1`),
		"has no DynamoDB Streams":          strings.Replace(fmt.Sprintf(global, "eu-west-1", ""), "{", `{"StreamSpecification":{"StreamViewType":"KEYS_ONLY"},`, 1),
		"does not exactly match number of": strings.Replace(fmt.Sprintf(global, "eu-west-1", ""), "[", `[{"AttributeName":"x","AttributeType":"S"},`, 1),
	} {
		if _, err := s.Providers()["AWS::DynamoDB::GlobalTable"]("H", json.RawMessage(properties)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestUnknownParametersAreNamed(t *testing.T) {
	in := new(strict[putItem])
	if err := json.Unmarshal([]byte(`{"TableName":"t","Item":{},"Expected":{}}`), in); err != nil {
		t.Fatal(err)
	}
	var e *wire.Error
	if err := decodeError("PutItem", in.err); !errors.As(err, &e) || e.Code != "NotImplemented" || !strings.Contains(e.Message, `"Expected"`) {
		t.Errorf("got %v", err)
	}
	if err := json.Unmarshal([]byte(`{"TableName":"t","Item":{"a":{"N":"x"}}}`), in); err != nil {
		t.Fatal(err)
	}
	if err := decodeError("PutItem", in.err); !errors.As(err, &e) || e.Code != "ValidationException" {
		t.Errorf("got %v", err)
	}
}

func TestConditionKeys(t *testing.T) {
	s, table := newService(t, Options{})
	s.mu.Lock()
	defer s.mu.Unlock()
	need := s.itemNeed("PutItem", table, item.Item{"pk": item.Text("a"), "sk": item.Text("1")}, []string{"pk", "sk"}, "ALL_OLD")[0]
	if need.Action != "dynamodb:PutItem" || need.Context["dynamodb:LeadingKeys"][0] != "a" || need.Context["dynamodb:ReturnValues"][0] != "ALL_OLD" {
		t.Errorf("got %+v", need)
	}
	condition := "pk = :p"
	q := s.queryNeed("Query", &query{TableName: table, KeyConditionExpression: &condition, placeholders: placeholders{ExpressionAttributeValues: item.Item{":p": item.Text("a")}}})[0]
	if q.Context["dynamodb:LeadingKeys"][0] != "a" {
		t.Errorf("got %+v", q)
	}
	if q = s.queryNeed("Query", &query{TableName: table, IndexName: "byName"})[0]; !strings.HasSuffix(q.Resource, "/index/byName") {
		t.Errorf("got %+v", q)
	}
}
