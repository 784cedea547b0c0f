package conformance

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/ekspedite/ekspedite/infra/local/lambda"
)

// logGroupFor makes a log group with a stream.
func logGroupFor(t *testing.T, tg Target) (*cloudwatchlogs.Client, string) {
	t.Helper()
	api := cloudwatchlogs.NewFromConfig(tg.Config)
	group := fmt.Sprintf("/aws/eks/c%d/cluster", time.Now().UnixNano())
	if _, err := api.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: aws.String("kube-scheduler-1")}); err != nil {
		t.Fatal(err)
	}
	return api, group
}

func TestLogsSubscriptionFilters(t *testing.T) {
	tg, name := lambdaFunction(t, func(c *lambda.Config) { c.LogGroup = "/test/" + c.Name })
	c := cloud(t)
	if err := c.Logs.CreateGroup("/test/" + name); err != nil {
		t.Fatal(err)
	}
	api, group := logGroupFor(t, tg)
	put := &cloudwatchlogs.PutSubscriptionFilterInput{
		LogGroupName: &group, FilterName: aws.String("bell"), FilterPattern: aws.String(`"Unable to schedule pod"`), DestinationArn: aws.String(c.Lambda.ARN(name)),
	}
	if _, err := api.PutSubscriptionFilter(t.Context(), put); err == nil || !strings.Contains(err.Error(), "Could not execute the lambda function") {
		t.Fatalf("without the function's permission: %v", err)
	}
	if _, err := c.Lambda.Providers()["AWS::Lambda::Permission"]("P", json.RawMessage(`{"FunctionName": "`+name+`", "Action": "lambda:InvokeFunction",
		"Principal": "logs.amazonaws.com", "SourceAccount": "123456789012", "SourceArn": "arn:aws:logs:us-east-1:123456789012:log-group:/aws/eks/*/cluster:*"}`)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is once
		if _, err := api.PutSubscriptionFilter(t.Context(), put); err != nil {
			t.Fatal(err)
		}
	}
	out, err := api.DescribeSubscriptionFilters(t.Context(), &cloudwatchlogs.DescribeSubscriptionFiltersInput{LogGroupName: &group, FilterNamePrefix: aws.String("be")})
	if err != nil || len(out.SubscriptionFilters) != 1 || aws.ToString(out.SubscriptionFilters[0].FilterPattern) != *put.FilterPattern ||
		aws.ToString(out.SubscriptionFilters[0].DestinationArn) != *put.DestinationArn || aws.ToInt64(out.SubscriptionFilters[0].CreationTime) == 0 {
		t.Errorf("%+v, %v", out, err)
	}
	now := aws.Int64(time.Now().UnixMilli())
	if _, err := api.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: aws.String("kube-scheduler-1"), LogEvents: []types.InputLogEvent{
		{Timestamp: now, Message: aws.String("Successfully bound pod to node")}, {Timestamp: now, Message: aws.String(`"Unable to schedule pod; no fit; waiting" pod="a/b"`)},
	}}); err != nil {
		t.Fatal(err)
	}
	lines := subscribedLines(t, name)
	if lines.MessageType != "DATA_MESSAGE" || lines.LogGroup != group || lines.LogStream != "kube-scheduler-1" || lines.Owner != "123456789012" ||
		fmt.Sprint(lines.SubscriptionFilters) != "[bell]" || len(lines.LogEvents) != 1 || !strings.Contains(lines.LogEvents[0].Message, "no fit") {
		t.Errorf("%+v", lines)
	}
	if _, err := api.DeleteSubscriptionFilter(t.Context(), &cloudwatchlogs.DeleteSubscriptionFilterInput{LogGroupName: &group, FilterName: put.FilterName}); err != nil {
		t.Error(err)
	}
	if _, err := api.DeleteSubscriptionFilter(t.Context(), &cloudwatchlogs.DeleteSubscriptionFilterInput{LogGroupName: &group, FilterName: put.FilterName}); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("deleted twice: %v", err)
	}
}

// subscription is what a function gets of a subscription.
type subscription struct {
	MessageType, Owner, LogGroup, LogStream string
	SubscriptionFilters                     []string
	LogEvents                               []struct{ Message string }
}

// subscribedLines waits for a function's first invocation, and unpacks what it was given.
func subscribedLines(t *testing.T, name string) (s subscription) {
	t.Helper()
	var event struct {
		Logs struct{ Data string } `json:"awslogs"`
	}
	deadline := time.Now().Add(30 * time.Second)
	for event.Logs.Data == "" {
		if time.Now().After(deadline) {
			t.Fatal("nothing was sent to the function")
		}
		time.Sleep(20 * time.Millisecond)
		for _, line := range cloud(t).Logs.Lines("/test/" + name) {
			if _, rest, ok := strings.Cut(line, "awslogs "); ok {
				event.Logs.Data = strings.TrimSpace(rest)
			}
		}
	}
	packed, err := base64.StdEncoding.DecodeString(event.Logs.Data)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLogsSubscriptionLimits(t *testing.T) {
	tg, name := lambdaFunction(t, nil)
	c := cloud(t)
	if _, err := c.Lambda.Providers()["AWS::Lambda::Permission"]("P", json.RawMessage(`{"FunctionName": "`+name+`", "Action": "lambda:InvokeFunction", "Principal": "logs.amazonaws.com"}`)); err != nil {
		t.Fatal(err)
	}
	api, group := logGroupFor(t, tg)
	put := func(group, filter, pattern, destination string) error {
		_, err := api.PutSubscriptionFilter(t.Context(), &cloudwatchlogs.PutSubscriptionFilterInput{
			LogGroupName: &group, FilterName: &filter, FilterPattern: &pattern, DestinationArn: &destination})
		return err
	}
	for _, filter := range []string{"one", "two"} {
		if err := put(group, filter, "", c.Lambda.ARN(name)); err != nil {
			t.Error(err)
		}
	}
	for want, err := range map[string]error{
		"LimitExceededException":    put(group, "three", "", c.Lambda.ARN(name)),
		"ResourceNotFoundException": put(group+"x", "one", "", c.Lambda.ARN(name)),
		"NotImplemented":            put(group, "one", `{ $.verb = "patch" }`, c.Lambda.ARN(name)),
		"InvalidParameterException": put(group, "one", "", c.Lambda.ARN("nobody")),
		"501":                       put(group, "one", `"Unable to schedule" "no fit"`, c.Lambda.ARN(name)),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
