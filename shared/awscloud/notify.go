package awscloud

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Topics publishes to SNS topics. It tries once: a message whose answer was lost may have been delivered.
type Topics struct {
	cfg Config

	mu      sync.Mutex
	regions map[string]*sns.Client
}

// NewTopics makes Topics of a configuration, whose Region does not matter: a topic's ARN says its own.
func NewTopics(cfg Config) *Topics { return &Topics{cfg: cfg, regions: map[string]*sns.Client{}} }

// Publish sends a message. fault.Unsure tells whether it may have been taken although there is an error.
func (t *Topics) Publish(ctx context.Context, topicARN string, b notify.Body) error {
	parts := strings.Split(topicARN, ":")
	if len(parts) != 6 {
		return fault.New(fault.Invalid, "sns:Publish: %q is no topic's ARN", topicARN)
	}
	ctx, cancel := context.WithTimeout(ctx, fleet.NotifyTimeout)
	defer cancel()
	in := &sns.PublishInput{TopicArn: &topicARN, Subject: &b.Subject, Message: aws.String(string(b.Data)), MessageAttributes: map[string]snstypes.MessageAttributeValue{}}
	for name, value := range b.Attributes {
		in.MessageAttributes[name] = snstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	_, err := t.in(parts[3]).Publish(ctx, in)
	return once("sns:Publish", err)
}

// in is the client of a Region, which never retries.
func (t *Topics) in(region string) *sns.Client {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.regions[region]
	if !ok {
		c = sns.NewFromConfig(InRegion(t.cfg, region), func(o *sns.Options) { o.Retryer = aws.NopRetryer{} })
		t.regions[region] = c
	}
	return c
}

// once classifies an error of a call that is not safe to repeat.
func once(op string, err error) error {
	err = classify(op, err)
	classed, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	_, answered := errors.AsType[smithy.APIError](classed.Err)
	dial, tried := errors.AsType[*net.OpError](classed.Err)
	answered = answered || classed.Code != ""
	classed.Unsure = !answered && !(tried && dial.Op == "dial")
	return classed
}

// Secrets reads parameters of the Systems Manager that hold secrets.
type Secrets struct{ api *ssm.Client }

// NewSecrets makes Secrets of the configuration's Region.
func NewSecrets(cfg Config) *Secrets { return &Secrets{ssm.NewFromConfig(cfg)} }

// Secret reads a parameter, decrypted.
func (s *Secrets) Secret(ctx context.Context, parameter string) (string, error) {
	out, err := s.api.GetParameter(ctx, &ssm.GetParameterInput{Name: &parameter, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", classify("ssm:GetParameter "+parameter, err)
	}
	return strings.TrimSpace(deref(out.Parameter.Value)), nil
}
