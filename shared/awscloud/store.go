package awscloud

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Store keeps the ledger's documents in a DynamoDB table with the keys pk and sk. It implements ledger.Store.
type Store struct {
	api   *dynamodb.Client
	table string
}

// NewStore makes a Store of the table's name.
func NewStore(cfg Config, table string) *Store { return &Store{dynamodb.NewFromConfig(cfg), table} }

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func key(k ledger.Key) item { return item{"pk": text(k.Partition), "sk": text(k.Sort)} }

// Get reads a document, consistently.
func (s *Store) Get(ctx context.Context, k ledger.Key) (ledger.Document, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key(k), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return ledger.Document{}, classify("dynamodb:GetItem", err)
	}
	if len(out.Item) == 0 {
		return ledger.Document{Key: k}, nil
	}
	return document(out.Item)
}

// Put writes a document if the stored version is still the one that was read.
func (s *Store) Put(ctx context.Context, d ledger.Document) error {
	it := key(d.Key)
	it["version"], it["data"] = number(d.Version+1), text(string(d.Data))
	if !d.Expires.IsZero() {
		it["expiresAt"] = number(d.Expires.Unix())
	}
	in := &dynamodb.PutItemInput{TableName: &s.table, Item: it}
	in.ConditionExpression, in.ExpressionAttributeNames, in.ExpressionAttributeValues = unchanged(d)
	_, err := s.api.PutItem(ctx, in)
	return classify("dynamodb:PutItem", err)
}

// Query lists a partition's documents by the prefix of their sort keys, consistently.
func (s *Store) Query(ctx context.Context, partition, prefix string) ([]ledger.Document, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true),
		KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: item{":pk": text(partition)},
	}
	if prefix != "" { // which DynamoDB does not accept as a key's value
		in.KeyConditionExpression = aws.String("pk = :pk AND begins_with(sk, :sk)")
		in.ExpressionAttributeValues[":sk"] = text(prefix)
	}
	pages := dynamodb.NewQueryPaginator(s.api, in)
	var list []ledger.Document
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("dynamodb:Query", err)
		}
		for _, it := range page.Items {
			d, err := document(it)
			if err != nil {
				return nil, err
			}
			list = append(list, d)
		}
	}
	return list, nil
}

// unchanged is the condition under which a write holds.
func unchanged(d ledger.Document) (*string, map[string]string, item) {
	if d.Version == 0 {
		return aws.String("attribute_not_exists(pk)"), nil, nil
	}
	return aws.String("#version = :version"), map[string]string{"#version": "version"}, item{":version": number(d.Version)}
}

func document(it item) (ledger.Document, error) {
	var d ledger.Document
	str := func(name string) string {
		v, _ := it[name].(*types.AttributeValueMemberS)
		if v == nil {
			return ""
		}
		return v.Value
	}
	num := func(name string) int64 {
		v, _ := it[name].(*types.AttributeValueMemberN)
		if v == nil {
			return 0
		}
		n, _ := strconv.ParseInt(v.Value, 10, 64)
		return n
	}
	d.Key = ledger.Key{Partition: str("pk"), Sort: str("sk")}
	d.Version, d.Data = num("version"), []byte(str("data"))
	if s := num("expiresAt"); s > 0 {
		d.Expires = time.Unix(s, 0)
	}
	if d.Version == 0 {
		return d, fault.New(fault.Invalid, "the ledger's item %s/%s has no version: it was not written by ekspedite", d.Key.Partition, d.Key.Sort)
	}
	return d, nil
}
