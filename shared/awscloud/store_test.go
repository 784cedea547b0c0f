package awscloud

import (
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/ledger/storetest"
)

// TestStore runs the ledger's contract against DynamoDB at EKSPEDITE_TEST_ENDPOINT, such as the embedded cloud or moto. It
// makes a table for itself and deletes it.
func TestStore(t *testing.T) {
	endpoint := os.Getenv("EKSPEDITE_TEST_ENDPOINT")
	if endpoint == "" {
		t.Skip("EKSPEDITE_TEST_ENDPOINT is not set")
	}
	key, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if key == "" {
		key, secret = "test", "test"
	}
	cfg := Static(endpoint, "us-east-1", key, secret)
	api, table := dynamodb.NewFromConfig(cfg), "ekspedite-storetest-"+time.Now().UTC().Format("20060102150405.000000000")
	_, err := api.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = api.DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: &table}) }()
	if err := dynamodb.NewTableExistsWaiter(api).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &table}, time.Minute); err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, NewStore(cfg, table))
}

func TestAnItemThatIsNotOurs(t *testing.T) {
	_, cfg := open(t, map[string]string{"GetItem": `200 {"Item":{"pk":{"S":"p"},"sk":{"S":"s"},"version":{"S":"1"}}}`})
	if _, err := NewStore(cfg, "table").Get(t.Context(), ledger.Key{Partition: "p", Sort: "s"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestStoreRequests(t *testing.T) {
	c, cfg := open(t, map[string]string{"Query": `200 {"Items":[]}`})
	s := NewStore(cfg, "table")
	doc := ledger.Document{Key: ledger.Key{Partition: "p", Sort: "s"}, Data: []byte(`{}`)}
	if err := s.Put(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	if in := c.sent(t, "PutItem"); in["ConditionExpression"] != "attribute_not_exists(pk)" || in["Item"].(map[string]any)["expiresAt"] != nil {
		t.Errorf("%v", in)
	}
	delete(c.requests, "PutItem")
	doc.Version, doc.Expires = 4, time.Unix(1700000000, 5)
	if err := s.Put(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	in := c.sent(t, "PutItem")
	item := in["Item"].(map[string]any)
	if in["ConditionExpression"] != "#version = :version" || item["version"].(map[string]any)["N"] != "5" || item["expiresAt"].(map[string]any)["N"] != "1700000000" {
		t.Errorf("%v", in)
	}
	if _, err := s.Get(t.Context(), doc.Key); err != nil {
		t.Fatal(err)
	}
	if in := c.sent(t, "GetItem"); in["ConsistentRead"] != true {
		t.Errorf("%v", in)
	}
	if _, err := s.Query(t.Context(), "p", ""); err != nil {
		t.Fatal(err)
	}
	if in := c.sent(t, "Query"); in["KeyConditionExpression"] != "pk = :pk" || in["ConsistentRead"] != true {
		t.Errorf("%v", in)
	}
}
