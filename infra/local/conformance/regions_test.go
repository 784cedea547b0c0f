package conformance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/ekspedite/ekspedite/infra/local"
	localeks "github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

const home, away = "us-east-1", "eu-west-1"

// launched remembers what control planes were started.
type launched struct {
	mu     sync.Mutex
	specs  []localeks.Spec
	planes []localeks.ControlPlane
}

func (l *launched) Launch(ctx context.Context, spec localeks.Spec) (localeks.ControlPlane, error) {
	plane, err := planes{}.Launch(ctx, spec)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.specs, l.planes = append(l.specs, spec), append(l.planes, plane)
	return plane, err
}

// regionsCloud is an embedded cloud of the test's own: what the tests do in a second Region is seen by nobody else. No
// control plane of any Region may outlive it.
func regionsCloud(t *testing.T) (*local.Cloud, *launched) {
	t.Helper()
	if os.Getenv("ENDPOINT") != "" {
		t.Skip("this is about the embedded cloud: others have the Regions that they have")
	}
	planes := &launched{}
	c, err := local.Start(context.Background(), local.Options{
		Region: home, Seed: 1, Faults: &faults.None, Launcher: planes, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for i, p := range planes.planes {
			select {
			case <-p.Done():
			default:
				t.Errorf("the control plane of %+v outlives the cloud", planes.specs[i])
			}
		}
	})
	return c, planes
}

func regionTarget(t *testing.T, c *local.Cloud, region string) Target {
	t.Helper()
	tg := Target{Endpoint: c.Endpoint(), Region: region, Embedded: true}
	tg.Config = configuration(t, tg, credentials.NewStaticCredentialsProvider(c.AccessKey(), c.SecretKey(), ""))
	return tg
}

func TestRegionsAreApart(t *testing.T) {
	c, _ := regionsCloud(t)
	ctx := t.Context()
	vpcs := map[string]string{}
	for region, zones := range map[string]string{
		home: "us-east-1a=use1-az6 us-east-1b=use1-az1 us-east-1c=use1-az2 us-east-1d=use1-az4 us-east-1e=use1-az3 us-east-1f=use1-az5",
		away: "eu-west-1a=euw1-az3 eu-west-1b=euw1-az1 eu-west-1c=euw1-az2",
	} {
		api := ec2.NewFromConfig(regionTarget(t, c, region).Config)
		vpc := must(api.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc
		vpcs[region] = *vpc.VpcId
		subnet := must(api.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String(region + "b")}))(t).Subnet
		if want := "arn:aws:ec2:" + region + ":123456789012:subnet/" + *subnet.SubnetId; *subnet.SubnetArn != want || *subnet.AvailabilityZone != region+"b" {
			t.Errorf("got %s in %s, want %s", *subnet.SubnetArn, *subnet.AvailabilityZone, want)
		}
		var got []string
		for _, z := range must(api.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{}))(t).AvailabilityZones {
			got = append(got, *z.ZoneName+"="+*z.ZoneId)
		}
		if strings.Join(got, " ") != zones {
			t.Errorf("zones of %s: %v", region, got)
		}
		run := must(api.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), InstanceType: "t3.micro", SubnetId: subnet.SubnetId, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}))(t)
		domain := map[string]string{home: ".ec2.internal", away: ".eu-west-1.compute.internal"}[region]
		if name := *run.Instances[0].PrivateDnsName; !strings.HasSuffix(name, domain) {
			t.Errorf("an instance in %s is called %s", region, name)
		}
	}
	for region, other := range map[string]string{home: vpcs[away], away: vpcs[home]} {
		api := ec2.NewFromConfig(regionTarget(t, c, region).Config)
		if seen := must(api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{}))(t).Vpcs; len(seen) != 1 || *seen[0].VpcId != vpcs[region] {
			t.Errorf("%s shows %+v", region, seen)
		}
		_, err := api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{other}})
		wantEC2(t, err, "InvalidVpcID.NotFound")
		_, err = api.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: aws.String(vpcs[region]), CidrBlock: aws.String("10.0.1.0/24"), AvailabilityZone: aws.String("us-west-2a")})
		wantEC2(t, err, "InvalidParameterValue")
	}
	all := must(ec2.NewFromConfig(regionTarget(t, c, away).Config).DescribeRegions(ctx, &ec2.DescribeRegionsInput{}))(t).Regions
	for _, want := range []string{home, away} {
		if !slices.ContainsFunc(all, func(r ec2types.Region) bool { return *r.RegionName == want }) {
			t.Errorf("DescribeRegions lacks %s", want)
		}
	}
	_, err := sqs.NewFromConfig(regionTarget(t, c, home).Config).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("orders")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = sqs.NewFromConfig(regionTarget(t, c, away).Config).GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String("orders")})
	refusedWith(t, err, "AWS.SimpleQueueService.NonExistentQueue")
}

func TestUnknownRegionIsRefused(t *testing.T) {
	c, _ := regionsCloud(t)
	cfg := regionTarget(t, c, "eu-west-9").Config
	_, err := ec2.NewFromConfig(cfg).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	refusedWith(t, err, "UnrecognizedClientException", `AWS has no Region "eu-west-9"`)
	_, err = eks.NewFromConfig(cfg).ListClusters(t.Context(), &eks.ListClustersInput{})
	refusedWith(t, err, "UnrecognizedClientException", `AWS has no Region "eu-west-9"`)
	if c, err := local.Start(t.Context(), local.Options{Region: "mars-north-1"}); err == nil {
		_ = c.Close()
		t.Error("a cloud runs on Mars")
	}
	if _, err := c.In("eu-west-9"); err == nil {
		t.Error("the unknown Region is there from Go")
	}
}

func TestFaultsAreInjectedEverywhere(t *testing.T) {
	c, _ := regionsCloud(t)
	c.Faults.Set(faults.Config{Throttle: 1})
	api := ec2.NewFromConfig(regionTarget(t, c, away).Config, func(o *ec2.Options) { o.RetryMaxAttempts = 1 })
	_, err := api.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	wantEC2(t, err, "RequestLimitExceeded")
}

// TestClustersOfOneNameInTwoRegions share nothing but the name.
func TestClustersOfOneNameInTwoRegions(t *testing.T) {
	c, planes := regionsCloud(t)
	suites := map[string]*eksSuite{}
	for _, region := range []string{home, away} {
		cfg := regionTarget(t, c, region).Config
		s := &eksSuite{Client: eks.NewFromConfig(cfg), t: t, embedded: true}
		s.network(ec2.NewFromConfig(cfg))
		s.clusterRole = s.role(iam.NewFromConfig(cfg), "cluster-"+region, "eks.amazonaws.com", "AmazonEKSClusterPolicy")
		suites[region] = s
	}
	_, err := suites[away].CreateCluster(t.Context(), suites[home].input("demo")) // the role is everywhere, the subnets are not
	if err == nil || !strings.Contains(err.Error(), suites[home].subnets[0]) && !strings.Contains(err.Error(), "could not be assumed") {
		t.Errorf("a cluster of %s has subnets of %s: %v", away, home, err)
	}
	suites[home].create(suites[home].input("demo"))
	suites[home].active("demo")
	if l := must(suites[away].ListClusters(t.Context(), &eks.ListClustersInput{}))(t).Clusters; len(l) != 0 {
		t.Errorf("%s shows %v", away, l)
	}
	must(suites[away].CreateCluster(t.Context(), suites[away].input("demo")))(t) // which the cloud's end must end
	for region, s := range suites {
		if got, want := *s.active("demo").Arn, "arn:aws:eks:"+region+":123456789012:cluster/demo"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	planes.mu.Lock()
	specs := planes.specs
	planes.mu.Unlock()
	if len(specs) != 2 || filepath.Dir(specs[0].Dir) == filepath.Dir(specs[1].Dir) {
		t.Fatalf("control planes %+v", specs)
	}

	// A token for the name is good for both clusters, as on AWS; whose webhook is asked decides on the access entries.
	token := eksToken(t, regionTarget(t, c, away).Config, eksSigner{header: "x-k8s-aws-id", cluster: "demo", expires: "60"})
	for _, spec := range specs {
		if ok, text := review(t, spec.TokenWebhook, token); !ok {
			t.Errorf("%s: %s", spec.TokenWebhook, text)
		}
	}
	if _, err := suites[home].DeleteCluster(t.Context(), &eks.DeleteClusterInput{Name: aws.String("demo")}); err != nil {
		t.Fatal(err)
	}
	w := eks.NewClusterDeletedWaiter(suites[home].Client, func(o *eks.ClusterDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, eksPoll })
	if err := w.Wait(t.Context(), &eks.DescribeClusterInput{Name: aws.String("demo")}, eksPatience); err != nil {
		t.Fatal(err)
	}
	if got := c.Clusters(); len(got) != 1 || got[0].Region != away || got[0].Status != "ACTIVE" {
		t.Errorf("after the deletion in %s: %+v", home, got)
	}
	if ok, text := review(t, specs[1].TokenWebhook, token); !ok {
		t.Errorf("%s: %s", away, text)
	}
	if ok, text := review(t, specs[0].TokenWebhook, token); ok || !strings.Contains(text, "no cluster named demo") {
		t.Errorf("%s: %v %s", home, ok, text)
	}
}

// review asks a cluster's token webhook.
func review(t *testing.T, url, token string) (ok bool, text string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"`+token+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Status struct{ Authenticated bool }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return answer.Status.Authenticated, string(body)
}

func TestEKSTokensPerRegion(t *testing.T) {
	c, _ := regionsCloud(t)
	demo := eksSigner{header: "x-k8s-aws-id", cluster: "demo", expires: "60"}
	own := regionTarget(t, c, away).Config
	amazon := configuration(t, Target{Region: away}, own.Credentials) // signed for sts.eu-west-1.amazonaws.com
	for _, token := range []string{eksToken(t, own, demo), eksToken(t, amazon, demo)} {
		if who, err := c.STS.VerifyEKSToken(token, "demo", time.Now()); err != nil || !who.Root {
			t.Errorf("%+v %v", who, err)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(eksToken(t, amazon, demo), "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(raw), "https://sts.eu-west-1.amazonaws.com/") {
		t.Fatalf("the SDK made %s", raw)
	}
	for _, host := range []string{"sts.us-east-1.amazonaws.com", "sts.amazonaws.com"} {
		token := "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "sts.eu-west-1.amazonaws.com", host, 1)))
		if _, err := c.STS.VerifyEKSToken(token, "demo", time.Now()); err == nil || !strings.Contains(err.Error(), "Credential should be scoped to a valid region") {
			t.Errorf("with the host %s: %v", host, err)
		}
	}
	_, err = c.STS.VerifyEKSToken(eksToken(t, regionTarget(t, c, "eu-west-9").Config, demo), "demo", time.Now())
	if err == nil || !strings.Contains(err.Error(), `AWS has no Region "eu-west-9"`) {
		t.Errorf("a token of nowhere: %v", err)
	}
	// The presigned call itself is one that STS answers, in whatever Region it is signed for.
	raw, err = base64.RawURLEncoding.DecodeString(strings.TrimPrefix(eksToken(t, own, demo), "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, string(raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-k8s-aws-id", "demo")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), ":root</Arn>") {
		t.Errorf("%s %v: %s", resp.Status, err, body)
	}
}

func TestRequestedRegion(t *testing.T) {
	c, _ := regionsCloud(t)
	tg := regionTarget(t, c, home)
	name, arn := iamRole(t, tg, trustOwnAccount(t, tg, ""))
	_, next := iamRole(t, tg, trustOwnAccount(t, tg, ""))
	iamOK(t, tg, "PutRolePolicy", "RoleName", name, "PolicyName", "in", "PolicyDocument", fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
	  {"Effect":"Allow","Action":["ec2:DescribeVpcs","sts:AssumeRole"],"Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":%q}}},
	  {"Effect":"Allow","Action":"iam:GetRole","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}}]}`, away))
	session, _, err := assume(t, tg, arn, nil)
	if err != nil {
		t.Fatal(err)
	}
	in := func(region string) aws.Config {
		cfg := session.Copy()
		cfg.Region = region
		return cfg
	}
	for region, allowed := range map[string]bool{away: true, home: false, "ap-southeast-2": false} {
		_, err := ec2.NewFromConfig(in(region)).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
		if allowed && err != nil {
			t.Errorf("%s: %v", region, err)
		}
		if !allowed {
			wantEC2(t, err, "UnauthorizedOperation")
		}
		_, err = sts.NewFromConfig(in(region)).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &next, RoleSessionName: aws.String("chained")})
		if allowed && err != nil {
			t.Errorf("%s: %v", region, err)
		}
		if !allowed {
			refusedWith(t, err, "AccessDenied", "sts:AssumeRole")
		}
		// IAM is in us-east-1 for all.
		if _, err := iam.NewFromConfig(in(region)).GetRole(t.Context(), &iam.GetRoleInput{RoleName: &name}); err != nil {
			t.Errorf("%s: %v", region, err)
		}
	}
}

// TestPokingOtherRegions: the embedded cloud's own API finds instances and zones wherever they are, and what happens to
// them is told to their own Region's default bus only.
func TestPokingOtherRegions(t *testing.T) {
	c, _ := regionsCloud(t)
	api := ec2.NewFromConfig(regionTarget(t, c, away).Config, func(o *ec2.Options) { o.RetryMaxAttempts = 1 })
	ctx := t.Context()
	vpc := must(api.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t).Vpc
	subnet := must(api.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: aws.String("10.0.0.0/24"), AvailabilityZone: aws.String(away + "a")}))(t).Subnet
	there, err := c.In(away)
	if err != nil {
		t.Fatal(err)
	}
	warned := make(chan string, 100)
	there.EventBridge.Watch(func(_ string, event []byte) {
		if strings.Contains(string(event), "EC2 Spot Instance Interruption Warning") {
			warned <- string(event)
		}
	})
	c.EventBridge.Watch(func(_ string, event []byte) { t.Errorf("the home Region sees %s", event) })
	spot := &ec2.RunInstancesInput{
		ImageId: aws.String("ami-12c6146b"), InstanceType: "t3.micro", SubnetId: subnet.SubnetId, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		InstanceMarketOptions: &ec2types.InstanceMarketOptionsRequest{MarketType: "spot"},
	}
	id := *must(api.RunInstances(ctx, spot))(t).Instances[0].InstanceId
	w := ec2.NewInstanceRunningWaiter(api, func(o *ec2.InstanceRunningWaiterOptions) { o.MinDelay, o.MaxDelay = eksPoll, eksPoll })
	if err := w.Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	poke := func(path, body string) int {
		t.Helper()
		resp, err := http.Post(c.Endpoint()+"/_ekspedite"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }() // only read
		return resp.StatusCode
	}
	if got := poke("/interrupt", `{"InstanceID":"`+id+`"}`); got != http.StatusOK {
		t.Fatalf("interrupt: %d", got)
	}
	select {
	case event := <-warned:
		if !strings.Contains(event, `"region":"eu-west-1"`) || !strings.Contains(event, id) {
			t.Errorf("the warning is %s", event)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody is warned")
	}
	if got := poke("/interrupt", `{"InstanceID":"i-0123456789abcdef0"}`); got == http.StatusOK {
		t.Error("an instance of nowhere is interrupted")
	}
	if got := poke("/capacity", `{"AZ":"eu-west-1a"}`); got != http.StatusOK {
		t.Fatalf("capacity: %d", got)
	}
	spot.ClientToken = nil // the SDK has put one in, with which this would be the same call again
	_, err = api.RunInstances(ctx, spot)
	wantEC2(t, err, "InsufficientInstanceCapacity")
	if got := poke("/capacity", `{"AZ":"eu-west-1z"}`); got != http.StatusBadRequest {
		t.Errorf("a zone of nowhere: %d", got)
	}
	if got := poke("/tokenreview/eu-west-9/demo", `{}`); got != http.StatusNotFound {
		t.Errorf("a token review of nowhere: %d", got)
	}
}
