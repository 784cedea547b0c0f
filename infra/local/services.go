package local

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/autoscaling"
	"github.com/ekspedite/ekspedite/infra/local/codepipeline"
	"github.com/ekspedite/ekspedite/infra/local/dynamodb"
	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/ecs"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/elb"
	"github.com/ekspedite/ekspedite/infra/local/eventbridge"
	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/kms"
	"github.com/ekspedite/ekspedite/infra/local/lambda"
	"github.com/ekspedite/ekspedite/infra/local/logs"
	"github.com/ekspedite/ekspedite/infra/local/pricing"
	"github.com/ekspedite/ekspedite/infra/local/s3"
	"github.com/ekspedite/ekspedite/infra/local/scheduler"
	"github.com/ekspedite/ekspedite/infra/local/servicequotas"
	"github.com/ekspedite/ekspedite/infra/local/sns"
	"github.com/ekspedite/ekspedite/infra/local/sqs"
	"github.com/ekspedite/ekspedite/infra/local/ssm"
	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/sts"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Services are the emulated services of a cloud: those that all Regions have in common, and those of the home Region.
type Services struct {
	Global
	*Regional
}

// Global are the services of which there is one, which answers in every Region.
type Global struct {
	IAM     *iam.Service
	STS     *sts.Service
	S3      *s3.Service // names are global, buckets are not: each says which Region is its own
	Pricing *pricing.Service
}

func newGlobal(c *Cloud, o Options) Global {
	var s Global
	w := c.World
	s.IAM = iam.New(w, iam.Options{AccessKeyID: o.AccessKey, SecretAccessKey: o.SecretKey})
	s.STS = sts.New(w, s.IAM)
	s.S3 = s3.New(w, c.bus)
	s.Pricing = pricing.New(priced)
	return s
}

func (s Global) apis() []*wire.Service {
	return []*wire.Service{s.IAM.API(), s.STS.API(), s.S3.API(), s.Pricing.API()}
}

// Regional are the services that every Region has for itself. They know nothing of those in other Regions: not their
// resources, and not their events, which go to the Region's own default bus.
type Regional struct {
	SQS         *sqs.Service
	Logs        *logs.Service
	Lambda      *lambda.Service
	EventBridge *eventbridge.Service
	Scheduler   *scheduler.Service
	DynamoDB    *dynamodb.Service
	EC2         *ec2.Service
	AutoScaling *autoscaling.Service
	EKS         *eks.Service
	ECS         *ecs.Service

	KMS           *kms.Service
	ServiceQuotas *servicequotas.Service
	SSM           *ssm.Service
	ELB           *elb.Service
	CodePipeline  *codepipeline.Service
	SNS           *sns.Service
}

// newRegional makes the services of the Region that w is seen from, each after those that it uses. dir is for the
// clusters' data.
func newRegional(c *Cloud, w *world.World, dir string) *Regional {
	o, f, roles := c.options, c.Faults, roles{c.IAM, w.Region}
	s := new(Regional)
	s.SQS = sqs.New(w, c.Endpoint, iam.EvaluateResourcePolicy, sqs.Faults{Duplicate: f.Duplicate, Reorder: f.Reorder})
	s.Logs = logs.New(w)
	host := o.Lambda
	host.Endpoint, host.BinDir = c.endpoint, o.BinDir
	if c.https != nil {
		host.Serve = c.https.serve
	}
	s.Lambda = lambda.New(w, roles, s.Logs, queues{s.SQS}, host)
	s.Logs.SendTo(s.Lambda)
	s.EventBridge = eventbridge.New(w, watchedQueues{s.SQS, c.events}, watchedFunctions{s.Lambda, c.events}, s.Logs, roles, eventbridge.Faults{Duplicate: f.Duplicate, Delay: f.Delay})
	s.EventBridge.Watch(func(bus string, event []byte) {
		c.events.add(seen{Time: time.Now(), Kind: "event", Bus: bus, Event: event})
	})
	s.EC2 = ec2.New(w, s.EventBridge, ec2.Options{
		Stale: f.Stale, ProfileRole: c.IAM.ProfileRole,
		Insufficient: func(string, string, string) bool { return f.InsufficientCapacity() },
	})
	s.Scheduler = scheduler.New(w, s.SQS, s.Lambda, s.EventBridge, roles, scheduler.Faults{Duplicate: f.Duplicate})
	s.DynamoDB = dynamodb.New(w, dynamodb.Options{Stale: f.Stale})
	s.KMS = kms.New(w)
	s.ServiceQuotas = servicequotas.New(w, s.EC2)
	s.SSM = ssm.New(w, func() []ssm.Image { return images(s.EC2) })
	s.ELB = elb.New(w, s.EC2)
	s.SNS = sns.New(w, topicQueues{s.SQS})
	s.CodePipeline = codepipeline.New(w, s.Lambda, codepipeline.Neighbours{Roles: roles, Objects: objects{c.S3, w.Region}, Events: s.EventBridge})
	s.AutoScaling = autoscaling.New(w, s.EC2, s.EventBridge, notifications{s.SQS})
	s.ECS = ecs.New(w, s.EC2, s.EventBridge)
	s.AutoScaling.Balance(s.ELB)
	s.EKS = eks.New(w, eks.Options{
		Launcher: o.launcher(c.CertificateFile()), EC2: eks.OnEC2(s.EC2), AutoScaling: eks.OnAutoScaling(s.AutoScaling), IAM: roles, STS: c.STS, Logs: s.Logs, Keys: s.KMS, Dir: dir,
		TokenWebhook: func(cluster string) string {
			return c.endpoint + adminPrefix + "/tokenreview/" + w.Region + "/" + cluster
		},
		PlatformUpdate: f.PlatformUpdate, Events: s.EventBridge,
	})
	return s
}

func (s *Regional) apis() []*wire.Service {
	return []*wire.Service{s.SQS.API(), s.Logs.API(), s.Logs.AlarmAPI(), s.Lambda.API(), s.EventBridge.API(), s.Scheduler.API(), s.DynamoDB.API(),
		s.EC2.API(), s.AutoScaling.API(), s.EKS.API(), s.ECS.API(), s.KMS.API(), s.ServiceQuotas.API(), s.SSM.API(), s.ELB.API(), s.CodePipeline.API(), s.SNS.API()}
}

// providers make the resources of templates.
func (s Services) providers() stack.Providers {
	all := stack.Providers{}
	for _, p := range []stack.Providers{s.IAM.Providers(), s.SQS.Providers(), s.Logs.Providers(), s.Lambda.Providers(),
		s.EventBridge.Providers(), s.Scheduler.Providers(), s.DynamoDB.Providers(), s.S3.Providers(), s.CodePipeline.Providers()} {
		maps.Copy(all, p)
	}
	return all
}

// roles is IAM as the services of a Region use it: what they do in a role's name, they do in their own Region.
type roles struct {
	*iam.Service
	region string
}

func (r roles) AuthorizeRole(roleARN string, need wire.Need) error {
	return r.Service.AuthorizeRole(roleARN, need.In(r.region))
}

// objects is S3 as CodePipeline uses it: buckets of its own Region.
type objects struct {
	*s3.Service
	region string
}

func (o objects) Read(bucket, key, version string) (body []byte, versionID, etag string, err error) {
	got, err := o.Object(o.region, bucket, key, version)
	return got.Body, got.VersionID, got.ETag, err
}

func (o objects) Write(bucket, key string, body []byte) error {
	return o.Store(o.region, bucket, key, body)
}

// topicQueues is SQS as SNS uses it.
type topicQueues struct{ *sqs.Service }

func (q topicQueues) Deliver(queueARN, body string, attributes map[string]string, topicARN string) error {
	return q.Send(queueARN, body, attributes, sqs.Sender{ServicePrincipal: "sns.amazonaws.com", SourceARN: topicARN})
}

// launcher starts control planes: the one given, or else real Kubernetes, which believes the cloud's own certificate, too.
func (o Options) launcher(certificate string) eks.Launcher {
	if o.Launcher != nil {
		return o.Launcher
	}
	binary := o.KubernetesBinary
	if binary == nil {
		binary = func(context.Context) (string, error) {
			return "", errors.New("the embedded cloud was started without a Kubernetes control plane")
		}
	}
	return eks.Kubernetes{Binary: binary, CertificateFile: certificate}
}

// notifications is SQS as Auto Scaling uses it.
type notifications struct{ *sqs.Service }

func (n notifications) Send(queueARN, body string) error {
	return n.SendAuthorized(queueARN, body, "", nil)
}

// queues is SQS as Lambda uses it.
type queues struct{ *sqs.Service }

func (q queues) Receive(ctx context.Context, arn string, limit int, wait time.Duration) ([]lambda.Message, error) {
	got, err := q.Service.Receive(ctx, arn, limit, wait)
	out := make([]lambda.Message, len(got))
	for i, m := range got {
		out[i] = lambda.Message{ID: m.ID, ReceiptHandle: m.ReceiptHandle, Body: m.Body, MD5OfBody: m.MD5OfBody,
			MD5OfAttributes: m.MD5OfMessageAttributes, Attributes: m.Attributes, MessageAttributes: map[string]lambda.MessageAttribute{}}
		for name, a := range m.MessageAttributes {
			to := lambda.MessageAttribute{DataType: a.DataType, BinaryValue: a.BinaryValue}
			if a.StringValue != nil {
				to.StringValue = *a.StringValue
			}
			out[i].MessageAttributes[name] = to
		}
	}
	return out, err
}

func (q queues) Delete(_ context.Context, arn string, handles []string) error {
	return q.Service.Delete(arn, handles)
}

func (q queues) Send(_ context.Context, arn, body string, attributes map[string]string) error {
	return q.SendAuthorized(arn, body, "", attributes)
}
