package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

type ddbItem = map[string]types.AttributeValue

func ddbS(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func ddbN(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }

// ddbPlain makes values comparable: S, N and containers of them as text.
func ddbPlain(v types.AttributeValue) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint(v.Value)
	case *types.AttributeValueMemberSS:
		l := slices.Sorted(slices.Values(v.Value))
		return "{" + strings.Join(l, " ") + "}"
	case *types.AttributeValueMemberL:
		var l []string
		for _, e := range v.Value {
			l = append(l, ddbPlain(e))
		}
		return "[" + strings.Join(l, " ") + "]"
	case *types.AttributeValueMemberM:
		var l []string
		for k, e := range v.Value {
			l = append(l, k+"="+ddbPlain(e))
		}
		slices.Sort(l)
		return "<" + strings.Join(l, " ") + ">"
	case nil:
		return "nil"
	}
	return fmt.Sprintf("%T", v)
}

func ddbText(it ddbItem) string { return ddbPlain(&types.AttributeValueMemberM{Value: it}) }

// exact tells whether a target is held to what other implementations are known to lack.
func exact(tg Target) bool { return tg.Embedded || tg.Endpoint == "" }

func refusedWith(t *testing.T, err error, code string, contains ...string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, c := range contains {
		if !strings.Contains(e.ErrorMessage(), c) {
			t.Errorf("message %q lacks %q", e.ErrorMessage(), c)
		}
	}
}

// ddbTable makes a table with keys pk and sk and an index over gpk and n.
func ddbTable(t *testing.T) (*dynamodb.Client, string, Target) {
	t.Helper()
	tg := target(t, "dynamodb")
	api := dynamodb.NewFromConfig(tg.Config)
	name := fmt.Sprintf("conformance-%d", time.Now().UnixNano())
	attribute := func(n string, k types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &n, AttributeType: k}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange}}
	}
	_, err := api.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, KeySchema: keys("pk", "sk"),
		AttributeDefinitions: []types.AttributeDefinition{attribute("pk", "S"), attribute("sk", "S"), attribute("gpk", "S"), attribute("n", "N")},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: aws.String("byn"), KeySchema: keys("gpk", "n"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := api.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Errorf("deleting the table: %v", err)
		}
	})
	err = dynamodb.NewTableExistsWaiter(api, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond }).
		Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return api, name, tg
}

func ddbKey(pk, sk string) ddbItem { return ddbItem{"pk": ddbS(pk), "sk": ddbS(sk)} }

func TestDynamoDBItems(t *testing.T) {
	api, table, tg := ddbTable(t)
	ctx := t.Context()
	whole := ddbItem{"pk": ddbS("a"), "sk": ddbS("1"), "num": ddbN("1.50"), "flag": &types.AttributeValueMemberBOOL{Value: true},
		"none": &types.AttributeValueMemberNULL{Value: true}, "bin": &types.AttributeValueMemberB{Value: []byte{0, 1}},
		"set":  &types.AttributeValueMemberSS{Value: []string{"b", "a"}},
		"list": &types.AttributeValueMemberL{Value: []types.AttributeValue{ddbS("x"), ddbN("2"), ddbS("z")}},
		"map":  &types.AttributeValueMemberM{Value: ddbItem{"in": ddbItemM("deep", ddbS("down")), "other": ddbN("1")}}}
	if _, err := api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: whole}); err != nil {
		t.Fatal(err)
	}
	get := func(projection *string, names map[string]string) ddbItem {
		t.Helper()
		out, err := api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: ddbKey("a", "1"), ConsistentRead: aws.Bool(true), ProjectionExpression: projection, ExpressionAttributeNames: names})
		if err != nil {
			t.Fatal(err)
		}
		return out.Item
	}
	got := get(nil, nil)
	if len(got) != len(whole) || ddbPlain(got["set"]) != "{a b}" || ddbPlain(got["list"]) != "[x 2 z]" {
		t.Errorf("got %s", ddbText(got))
	}
	if exact(tg) && ddbPlain(got["num"]) != "1.5" {
		t.Errorf("the number is not normalised: %s", ddbPlain(got["num"]))
	}
	got = get(aws.String("#m.#in.deep, sk"), map[string]string{"#m": "map", "#in": "in"})
	if s := ddbText(got); s != "<map=<in=<deep=down>> sk=1>" {
		t.Errorf("projection: %s", s)
	}
	if exact(tg) {
		got = get(aws.String("#l[2], #l[0], sk"), map[string]string{"#l": "list"})
		if s := ddbText(got); s != "<list=[x z] sk=1>" {
			t.Errorf("projection of a list: %s", s)
		}
	}
	out, err := api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: ddbKey("a", "1"), ReturnValues: types.ReturnValueAllOld})
	if err != nil || len(out.Attributes) != len(whole) {
		t.Fatalf("%v %v", out, err)
	}
	if got := get(nil, nil); got != nil {
		t.Errorf("still there: %v", got)
	}
	_, err = api.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("no-such-table"), Key: ddbKey("a", "1")})
	refusedWith(t, err, "ResourceNotFoundException")
	_, err = api.GetItem(ctx, &dynamodb.GetItemInput{TableName: &table, Key: ddbItem{"pk": ddbS("a")}})
	if exact(tg) {
		refusedWith(t, err, "ValidationException", "does not match the schema")
	}
	_, err = api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: ddbItem{"pk": ddbS("a")}})
	refusedWith(t, err, "ValidationException", "Missing the key sk in the item")
	_, err = api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: ddbItem{"pk": ddbS("a"), "sk": ddbS("1"), "big": ddbS(strings.Repeat("x", 400<<10))}})
	refusedWith(t, err, "ValidationException", "Item size has exceeded the maximum allowed size")
}

func ddbItemM(k string, v types.AttributeValue) types.AttributeValue {
	return &types.AttributeValueMemberM{Value: ddbItem{k: v}}
}

func TestDynamoDBConditions(t *testing.T) {
	api, table, tg := ddbTable(t)
	ctx := t.Context()
	it := ddbKey("a", "1")
	it["version"], it["title"], it["tags"], it["size"] = ddbN("3"), ddbS("hello"), &types.AttributeValueMemberSS{Value: []string{"x"}}, ddbN("10")
	if _, err := api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)")}); err != nil {
		t.Fatal(err)
	}
	check := func(condition string, names map[string]string, values ddbItem) error {
		_, err := api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: it, ConditionExpression: &condition,
			ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
		return err
	}
	size := map[string]string{"#s": "size"}
	for condition, c := range map[string]struct {
		names  map[string]string
		values ddbItem
		want   bool
	}{
		"version = :v":                             {nil, ddbItem{":v": ddbN("3.0")}, true},
		"version <> :v":                            {nil, ddbItem{":v": ddbN("3")}, false},
		"absent <> :v":                             {nil, ddbItem{":v": ddbN("3")}, true},
		"absent < :v":                              {nil, ddbItem{":v": ddbN("3")}, false},
		"version BETWEEN :a AND :b":                {nil, ddbItem{":a": ddbN("1"), ":b": ddbN("3")}, true},
		"title IN (:a, :b)":                        {nil, ddbItem{":a": ddbS("x"), ":b": ddbS("hello")}, true},
		"begins_with(title, :p)":                   {nil, ddbItem{":p": ddbS("hel")}, true},
		"contains(tags, :x)":                       {nil, ddbItem{":x": ddbS("x")}, true},
		"contains(title, :x)":                      {nil, ddbItem{":x": ddbS("ell")}, true},
		"size(title) > :n":                         {nil, ddbItem{":n": ddbN("4")}, true},
		"attribute_type(tags, :t)":                 {nil, ddbItem{":t": ddbS("SS")}, true},
		"NOT attribute_exists(absent)":             {nil, nil, true},
		"NOT version = :v AND title = :t":          {nil, ddbItem{":v": ddbN("4"), ":t": ddbS("hello")}, true},
		"version = :v OR title = :t AND #s = :v":   {size, ddbItem{":v": ddbN("3"), ":t": ddbS("no")}, true},
		"(version = :v OR title = :t) AND #s = :v": {size, ddbItem{":v": ddbN("3"), ":t": ddbS("no")}, false},
	} {
		err := check(condition, c.names, c.values)
		if c.want {
			if err != nil {
				t.Errorf("%s: %v", condition, err)
			}
			continue
		}
		var failed *types.ConditionalCheckFailedException
		if !errors.As(err, &failed) {
			t.Errorf("%s: %v", condition, err)
		} else if ddbPlain(failed.Item["title"]) != "hello" {
			t.Errorf("%s: the failure lacks the item: %v", condition, failed.Item)
		}
	}
	if !exact(tg) {
		return // what follows are documented refusals that other implementations miss
	}
	err := check("size = :v", nil, ddbItem{":v": ddbN("3")})
	refusedWith(t, err, "ValidationException")
	err = check("version = :v AND", nil, ddbItem{":v": ddbN("3")})
	refusedWith(t, err, "ValidationException")
	err = check("version = :w", nil, ddbItem{":v": ddbN("3")})
	refusedWith(t, err, "ValidationException")
	if err := check("title > :n", nil, ddbItem{":n": ddbN("1")}); err == nil {
		t.Error("a string is greater than a number")
	}
	err = check("version = :v", nil, ddbItem{":v": ddbN("3"), ":w": ddbN("4")})
	refusedWith(t, err, "ValidationException", "unused in expressions: keys: {:w}")
	err = check("nosuch(version)", nil, nil)
	refusedWith(t, err, "ValidationException", "Invalid function name; function: nosuch")
	err = check("((version = :v))", nil, ddbItem{":v": ddbN("3")})
	refusedWith(t, err, "ValidationException", "redundant parentheses")
	err = check("version BETWEEN :b AND :a", nil, ddbItem{":a": ddbN("1"), ":b": ddbN("3")})
	refusedWith(t, err, "ValidationException", "upper bound to be greater than or equal to lower bound")
}

func TestDynamoDBUpdates(t *testing.T) {
	api, table, tg := ddbTable(t)
	ctx := t.Context()
	update := func(expression string, names map[string]string, values ddbItem, want types.ReturnValue) (string, error) {
		out, err := api.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: &table, Key: ddbKey("u", "1"), UpdateExpression: &expression,
			ExpressionAttributeNames: names, ExpressionAttributeValues: values, ReturnValues: want})
		if err != nil {
			return "", err
		}
		return ddbText(out.Attributes), nil
	}
	list := &types.AttributeValueMemberL{Value: []types.AttributeValue{ddbN("1"), ddbN("2"), ddbN("3")}}
	for _, c := range []struct {
		expression string
		names      map[string]string
		values     ddbItem
		returns    types.ReturnValue
		want       string
	}{
		{"SET cnt = if_not_exists(cnt, :zero) + :one, l = :l", nil, ddbItem{":zero": ddbN("0"), ":one": ddbN("1"), ":l": list}, types.ReturnValueAllNew, "<cnt=1 l=[1 2 3] pk=u sk=1>"},
		{"SET cnt = if_not_exists(cnt, :zero) + :one", nil, ddbItem{":zero": ddbN("0"), ":one": ddbN("1")}, types.ReturnValueUpdatedNew, "<cnt=2>"},
		{"SET cnt = cnt - :d", nil, ddbItem{":d": ddbN("0.5")}, types.ReturnValueUpdatedOld, "<cnt=2>"},
		{"ADD cnt :one, tags :t", nil, ddbItem{":one": ddbN("1"), ":t": &types.AttributeValueMemberSS{Value: []string{"x", "y"}}}, types.ReturnValueUpdatedNew, "<cnt=2.5 tags={x y}>"},
		{"DELETE tags :t", nil, ddbItem{":t": &types.AttributeValueMemberSS{Value: []string{"x", "z"}}}, types.ReturnValueUpdatedNew, "<tags={y}>"},
		{"SET l = list_append(:l, l)", nil, ddbItem{":l": &types.AttributeValueMemberL{Value: []types.AttributeValue{ddbN("0")}}}, types.ReturnValueUpdatedNew, "<l=[0 1 2 3]>"},
		{"REMOVE l[0], l[2]", nil, nil, types.ReturnValueAllNew, "<cnt=2.5 l=[1 3] pk=u sk=1 tags={y}>"},
		{"SET #m = :m REMOVE l, tags", map[string]string{"#m": "map"}, ddbItem{":m": ddbItemM("k", ddbS("v"))}, types.ReturnValueAllNew, "<cnt=2.5 map=<k=v> pk=u sk=1>"},
		{"SET #m.k = :v, #m.n = cnt", map[string]string{"#m": "map"}, ddbItem{":v": ddbS("w")}, types.ReturnValueAllNew, "<cnt=2.5 map=<k=w n=2.5> pk=u sk=1>"},
	} {
		got, err := update(c.expression, c.names, c.values, c.returns)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s %v, want %s", c.expression, got, err, c.want)
		}
	}
	one := ddbItem{":v": ddbN("1")}
	for expression, message := range map[string]string{
		"SET pk = :v":           "Cannot update attribute pk",
		"SET a = absent + :v":   "does not exist in the item",
		"SET nope.deep = :v":    "document path provided in the update expression is invalid",
		"SET a = :v SET b = :v": "",
		"SET a = :v, a.b = :v":  "Two document paths overlap",
		"SET a :v":              "Syntax error",
	} {
		_, err := update(expression, nil, one, types.ReturnValueNone)
		if expression == "SET a = :v SET b = :v" && !exact(tg) {
			continue
		}
		refusedWith(t, err, "ValidationException", message)
	}
	_, err := update("SET cnt = cnt + :s", nil, ddbItem{":s": ddbS("x")}, types.ReturnValueNone)
	refusedWith(t, err, "ValidationException")
	if exact(tg) {
		_, err = update("SET big = :a + :b", nil, ddbItem{":a": ddbN("1E100"), ":b": ddbN("1")}, types.ReturnValueNone)
		refusedWith(t, err, "ValidationException", "38 significant digits")
	}
}

func TestDynamoDBQueryAndScan(t *testing.T) {
	api, table, tg := ddbTable(t)
	ctx := t.Context()
	for i := range 10 {
		it := ddbKey("p", fmt.Sprintf("s%02d", i))
		it["gpk"], it["n"], it["odd"] = ddbS("g"), ddbN(fmt.Sprint(100-i)), &types.AttributeValueMemberBOOL{Value: i%2 == 1}
		if _, err := api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: it}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: ddbKey("q", "s00")}); err != nil {
		t.Fatal(err)
	}
	query := func(in *dynamodb.QueryInput) (string, int, int) {
		t.Helper()
		in.TableName = &table
		var keys []string
		pages, scanned := 0, 0
		p := dynamodb.NewQueryPaginator(api, in)
		for p.HasMorePages() {
			out, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			pages, scanned = pages+1, scanned+int(out.ScannedCount)
			for _, it := range out.Items {
				keys = append(keys, strings.TrimPrefix(ddbPlain(it["sk"]), "s0"))
			}
		}
		return strings.Join(keys, ""), pages, scanned
	}
	key := func(rest string, values ddbItem) *dynamodb.QueryInput {
		if values == nil {
			values = ddbItem{}
		}
		values[":p"] = ddbS("p")
		return &dynamodb.QueryInput{KeyConditionExpression: aws.String("pk = :p" + rest), ExpressionAttributeValues: values, ConsistentRead: aws.Bool(true)}
	}
	if got, pages, _ := query(key("", nil)); got != "0123456789" || pages != 1 {
		t.Errorf("all: %s in %d pages", got, pages)
	}
	in := key(" AND sk BETWEEN :a AND :b", ddbItem{":a": ddbS("s03"), ":b": ddbS("s06")})
	in.ScanIndexForward = aws.Bool(false)
	if got, _, _ := query(in); got != "6543" {
		t.Errorf("between, backwards: %s", got)
	}
	in = key(" AND begins_with(sk, :a)", ddbItem{":a": ddbS("s0"), ":t": &types.AttributeValueMemberBOOL{Value: true}})
	in.FilterExpression, in.Limit = aws.String("odd = :t"), aws.Int32(3)
	if got, pages, scanned := query(in); got != "13579" || pages < 4 || scanned != 10 {
		t.Errorf("filtered pages: %s in %d pages, %d scanned", got, pages, scanned)
	}
	in = &dynamodb.QueryInput{IndexName: aws.String("byn"), KeyConditionExpression: aws.String("gpk = :g AND n > :n"),
		ExpressionAttributeValues: ddbItem{":g": ddbS("g"), ":n": ddbN("95")}, Limit: aws.Int32(2)}
	if got, _, _ := query(in); got != "43210" {
		t.Errorf("index: %s", got)
	}
	if exact(tg) {
		out, err := api.Query(ctx, &dynamodb.QueryInput{TableName: &table, IndexName: aws.String("byn"), KeyConditionExpression: aws.String("gpk = :g"), ExpressionAttributeValues: ddbItem{":g": ddbS("g")}, Limit: aws.Int32(1)})
		if err != nil || ddbText(out.Items[0]) != "<gpk=g n=91 pk=p sk=s09>" || len(out.LastEvaluatedKey) != 4 {
			t.Errorf("KEYS_ONLY: %v %v", out, err)
		}
	}
	for _, segments := range []int32{1, 3} {
		seen := map[string]int{}
		for segment := range segments {
			scan := &dynamodb.ScanInput{TableName: &table, Limit: aws.Int32(2), ConsistentRead: aws.Bool(true)}
			if segments > 1 {
				scan.Segment, scan.TotalSegments = aws.Int32(segment), aws.Int32(segments)
			}
			p := dynamodb.NewScanPaginator(api, scan)
			for p.HasMorePages() {
				out, err := p.NextPage(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range out.Items {
					seen[ddbPlain(it["pk"])+ddbPlain(it["sk"])]++
				}
			}
		}
		if len(seen) != 11 {
			t.Errorf("scan in %d segments saw %v", segments, seen)
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("scan in %d segments saw %s %d times", segments, k, n)
			}
		}
	}
	_, err := api.Query(ctx, &dynamodb.QueryInput{TableName: &table, KeyConditionExpression: aws.String("sk = :a"), ExpressionAttributeValues: ddbItem{":a": ddbS("x")}})
	refusedWith(t, err, "ValidationException", "missed key schema element: pk")
	if !exact(tg) {
		return
	}
	_, err = api.Query(ctx, &dynamodb.QueryInput{TableName: &table, IndexName: aws.String("none"), KeyConditionExpression: aws.String("pk = :a"), ExpressionAttributeValues: ddbItem{":a": ddbS("x")}})
	refusedWith(t, err, "ValidationException")
}
