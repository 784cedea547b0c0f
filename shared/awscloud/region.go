package awscloud

import (
	"context"
	"maps"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Region reads and writes what clusters are made of, in one Region of one account. What it makes carries its tags from the
// first moment, and is found again by them or by its name.
type Region struct {
	ec2  *ec2.Client
	eks  *eks.Client
	iam  *iam.Client
	logs *cloudwatchlogs.Client
	// scaling is Auto Scaling, ssm Systems Manager, of which public parameters are read.
	scaling *autoscaling.Client
	ssm     *ssm.Client
	// elb and elbv2 find the load balancers that Kubernetes has made.
	elb   *elb.Client
	elbv2 *elbv2.Client
	// alarms are CloudWatch's.
	alarms queryAPI

	calls   map[string]operation // by API: "ec2:CreateVpc"
	readers map[string]reader    // by kind, what is found by name
	finders map[string]finder    // by kind, what is found by tag
	// issuers are the clusters that were read, as they were then: what their OIDC provider is called follows from them.
	issuers sync.Map
	// addons are the names of clusters' add-ons, listed once for each time that the cluster is read.
	addons sync.Map
}

// reader reads a resource by its name.
type reader func(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error)

// NewRegion makes a Region of a configuration's.
func NewRegion(cfg Config) *Region {
	r := &Region{
		ec2: ec2.NewFromConfig(cfg), eks: eks.NewFromConfig(cfg), iam: iam.NewFromConfig(cfg), logs: cloudwatchlogs.NewFromConfig(cfg),
		scaling: autoscaling.NewFromConfig(cfg), ssm: ssm.NewFromConfig(cfg),
		elb: elb.NewFromConfig(cfg), elbv2: elbv2.NewFromConfig(cfg),
		alarms: queryAPI{cfg: cfg, signing: "monitoring", host: "monitoring", version: "2010-08-01"},
	}
	r.calls = map[string]operation{}
	for _, table := range []map[string]operation{r.ec2Calls(), r.eksCalls(), r.iamCalls(), r.logsCalls(), r.podCalls(), r.groupCalls(), r.removalCalls(), r.alarmCalls(), r.authorityCalls()} {
		for api, op := range table {
			r.calls[api] = op
		}
	}
	r.readers, r.finders = r.readersByName(), r.findersByTag()
	maps.Copy(r.readers, r.podReaders())
	maps.Copy(r.readers, r.groupReaders())
	return r
}

// Read reads what is found by its name. What does not exist is fault.NotFound.
func (r *Region) Read(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	read, ok := r.readers[ref.Kind]
	if !ok {
		return fleet.Resource{}, fault.New(fault.Invalid, "nobody knows how to read %s %s", ref.Kind, ref.Name)
	}
	have, err := read(ctx, cluster, ref)
	have.Ref = ref
	return have, err
}

// Tagged reads all of the kinds that carries the cluster's tag, a call or more for each kind, in parallel.
func (r *Region) Tagged(ctx context.Context, cluster string, kinds []string) ([]fleet.Resource, error) {
	found, errs := make([][]fleet.Resource, len(kinds)), make([]error, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		find, ok := r.finders[kind]
		if !ok {
			return nil, fault.New(fault.Invalid, "nobody knows how to find a %s", kind)
		}
		wg.Go(func() { found[i], errs[i] = find(ctx, tagged(fleet.TagCluster, cluster)) })
	}
	wg.Wait()
	var out []fleet.Resource
	for i := range kinds {
		if errs[i] != nil {
			return nil, errs[i]
		}
		out = append(out, found[i]...)
	}
	return out, nil
}

// Call makes a call. See apply.Caller.
func (r *Region) Call(ctx context.Context, c plan.Call) (fleet.Update, error) {
	op, ok := r.calls[c.API]
	if !ok {
		return fleet.Update{}, fault.New(fault.Invalid, "nobody knows how to call %s", c.API)
	}
	if c.Unless {
		kind := fleet.KindOf(c.ID)
		find, ok := r.finders[kind]
		if !ok {
			return fleet.Update{}, fault.New(fault.Invalid, "nobody knows how to find a %s", kind)
		}
		have, err := find(ctx, tagged(fleet.TagCluster, c.Cluster, fleet.TagResource, c.ID))
		if err != nil || len(have) > 0 {
			return fleet.Update{}, err
		}
	}
	out, err := op(ctx, c.API, c.Input)
	if err != nil {
		return fleet.Update{}, err
	}
	return update(fleet.At(props(out), "update")), nil
}

func update(v any) fleet.Update {
	p, _ := v.(fleet.Props)
	return fleet.Update{ID: fleet.Text(p, "id"), Type: fleet.Text(p, "type"), Status: fleet.Text(p, "status"), Errors: issues(p, "errors")}
}
