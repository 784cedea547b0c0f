package conformance

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestDynamoDBBatches(t *testing.T) {
	api, table, tg := ddbTable(t)
	ctx := t.Context()
	var writes []types.WriteRequest
	var keys []ddbItem
	for i := range 25 {
		k := ddbKey("b", fmt.Sprint(i))
		keys = append(keys, k)
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: k}})
	}
	if _, err := api.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: writes}}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: {{DeleteRequest: &types.DeleteRequest{Key: keys[0]}}}}}); err != nil {
		t.Fatal(err)
	}
	out, err := api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true)}}})
	if err != nil || len(out.Responses[table]) != 24 || len(out.UnprocessedKeys) != 0 {
		t.Fatalf("%v %v", out, err)
	}
	if !exact(tg) {
		return
	}
	_, err = api.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: append(writes, writes[0])}})
	refusedWith(t, err, "ValidationException")
	_, err = api.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: {writes[0], writes[0]}}})
	refusedWith(t, err, "ValidationException", "contains duplicates")
}

func TestDynamoDBTransactions(t *testing.T) {
	api, table, tg := ddbTable(t)
	ctx := t.Context()
	write := func(token string, items ...types.TransactWriteItem) error {
		in := &dynamodb.TransactWriteItemsInput{TransactItems: items}
		if token != "" {
			in.ClientRequestToken = &token
		}
		_, err := api.TransactWriteItems(ctx, in)
		return err
	}
	put := func(sk string) types.TransactWriteItem {
		return types.TransactWriteItem{Put: &types.Put{TableName: &table, Item: ddbKey("t", sk), ConditionExpression: aws.String("attribute_not_exists(pk)")}}
	}
	count := func(sk string) types.TransactWriteItem {
		return types.TransactWriteItem{Update: &types.Update{TableName: &table, Key: ddbKey("t", sk), UpdateExpression: aws.String("ADD cnt :one"), ExpressionAttributeValues: ddbItem{":one": ddbN("1")}}}
	}
	if err := write("", put("1"), count("c")); err != nil {
		t.Fatal(err)
	}
	err := write("", put("2"), put("1"), count("c"))
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		t.Fatal(err)
	}
	var codes []string
	for _, r := range cancelled.CancellationReasons {
		codes = append(codes, aws.ToString(r.Code))
	}
	if strings.Join(codes, " ") != "None ConditionalCheckFailed None" {
		t.Errorf("reasons: %v", codes)
	}
	token := fmt.Sprintf("token-%d", time.Now().UnixNano())
	for range 2 {
		if err := write(token, count("c")); err != nil {
			t.Fatal(err)
		}
	}
	out, err := api.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
		{Get: &types.Get{TableName: &table, Key: ddbKey("t", "2")}}, {Get: &types.Get{TableName: &table, Key: ddbKey("t", "c")}}}})
	if err != nil {
		t.Fatal(err)
	}
	if out.Responses[0].Item != nil {
		t.Error("a cancelled transaction has written")
	}
	if got := ddbPlain(out.Responses[1].Item["cnt"]); got != "2" && exact(tg) {
		t.Errorf("counted %s, want 2: once in the first transaction and once for the token", got)
	}
	if exact(tg) {
		refusedWith(t, write(token, count("d")), "IdempotentParameterMismatchException")
	}
	refusedWith(t, write("", count("x"), put("x")), "ValidationException", "multiple operations on one item")
}

func TestDynamoDBTableLifecycle(t *testing.T) {
	api, table, tg := ddbTable(t)
	ctx := t.Context()
	d, err := api.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil || d.Table.BillingModeSummary.BillingMode != types.BillingModePayPerRequest || len(d.Table.GlobalSecondaryIndexes) != 1 {
		t.Fatalf("%+v %v", d, err)
	}
	if _, err := api.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &table, TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String("exp"), Enabled: aws.Bool(true)}}); err != nil {
		t.Fatal(err)
	}
	ttl, err := api.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &table})
	if err != nil || aws.ToString(ttl.TimeToLiveDescription.AttributeName) != "exp" {
		t.Fatalf("%+v %v", ttl, err)
	}
	it := ddbKey("old", "1")
	it["exp"] = ddbN(fmt.Sprint(time.Now().Unix() - 1))
	if _, err := api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: it}); err != nil {
		t.Fatal(err)
	}
	got, err := api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: ddbKey("old", "1"), ConsistentRead: aws.Bool(true)})
	if err != nil || got.Item == nil {
		t.Errorf("an expired item is gone at once: %v %v", got, err)
	}
	if _, err := api.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &table}); err != nil {
		t.Error(err)
	}
	if _, err := api.TagResource(ctx, &dynamodb.TagResourceInput{ResourceArn: d.Table.TableArn, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err != nil {
		t.Fatal(err)
	}
	tags, err := api.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: d.Table.TableArn})
	if err != nil || len(tags.Tags) != 1 {
		t.Errorf("%+v %v", tags, err)
	}
	_, err = api.CreateTable(ctx, &dynamodb.CreateTableInput{TableName: &table, BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("a"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("a"), AttributeType: "S"}}})
	refusedWith(t, err, "ResourceInUseException")
	_, err = api.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String("no-such-table")})
	refusedWith(t, err, "ResourceNotFoundException", "no-such-table not found")
	if exact(tg) {
		_, err = api.Scan(ctx, &dynamodb.ScanInput{TableName: &table, ScanFilter: map[string]types.Condition{"a": {ComparisonOperator: "NULL"}}})
		refusedWith(t, err, "NotImplemented", "ScanFilter")
	}
}
