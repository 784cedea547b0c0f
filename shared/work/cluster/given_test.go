package cluster_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
)

// given makes what a file names as existing, and puts the ids that it got into the file.
func (r *rig) given(text string) string {
	// A bubble's clock stands in the year 2000, and a waiver is for a year at most.
	text = strings.ReplaceAll(text, "until: 2027-03-01T00:00", "until: "+time.Now().AddDate(0, 3, 0).Format("2006-01-02T15:04"))
	r.T.Helper()
	text = strings.ReplaceAll(text, "111122223333", account)
	g := &giver{r: r, region: regexp.MustCompile(`\bregion: ([\w-]+)`).FindStringSubmatch(text)[1]}
	g.ec2 = ec2.NewFromConfig(r.ConfigIn(g.region, r.Cloud))
	for _, m := range regexp.MustCompile(`[a-z]+-[a-z]+-\d-[a-z]{3}-1[ab]`).FindAllString(text, -1) {
		_, err := g.ec2.ModifyAvailabilityZoneGroup(ctx, &ec2.ModifyAvailabilityZoneGroupInput{
			GroupName: aws.String(m[:len(m)-1]), OptInStatus: ec2types.ModifyAvailabilityZoneOptInStatusOptedIn,
		})
		g.must(err)
	}
	text = g.each(text, `arn:aws:iam::123456789012:role/([\w-]+)`, g.role)
	text = g.each(text, `arn:aws:iam::123456789012:user/([\w-]+)`, g.person)
	text = g.each(text, `arn:aws:iam::123456789012:policy/([\w-]+)`, g.policy)
	text = g.each(text, `arn:aws:kms:([\w-]+):123456789012:key/[\w-]+`, g.key)
	text = g.each(text, `\b1234abcd(-\w+){4}\b`, func([]string) string {
		arn := g.key([]string{"", g.region})
		return arn[strings.LastIndexByte(arn, '/')+1:]
	})
	text = g.each(text, `\bvpc-0\w{16}\b`, g.vpc)
	text = g.each(text, `\bsubnet-0\w{16}\b`, g.subnet)
	g.exit()
	text = g.each(text, `\bsg-0\w{16}\b`, g.group)
	text = g.each(text, `\blt-0\w{16}\b`, g.template)
	text = g.each(text, `\bami-0\w{16}\b`, g.image)
	text = g.each(text, `publicKeyName: (\w+)`, g.keyPair)
	text = g.each(text, `arn:aws:elasticloadbalancing:[\w-]+:\d+:targetgroup/web/\w+`, g.targets)
	text = g.each(text, `classicLoadBalancerNames: \[([\w-]+)\]`, g.balancer)
	text = g.each(text, `\btgw-0\w{16}\b`, g.transit)
	text = g.each(text, `placement: \{groupName: ([\w-]+)\}`, g.placement)
	r.strangers = r.orphans(g.region)
	return text
}

// giver makes things in one Region.
type giver struct {
	r       *rig
	region  string
	ec2     *ec2.Client
	lastVPC string
	first   string // subnet
	subnets int
	done    map[string]string
}

// each replaces every match by what make gives for it, the same for the same.
func (g *giver) each(text, pattern string, make func(match []string) string) string {
	re := regexp.MustCompile(pattern)
	if g.done == nil {
		g.done = map[string]string{}
	}
	return re.ReplaceAllStringFunc(text, func(m string) string {
		if _, ok := g.done[m]; !ok {
			g.done[m] = make(re.FindStringSubmatch(m))
		}
		return g.done[m]
	})
}

func (g *giver) must(err error) {
	g.r.T.Helper()
	if err != nil {
		g.r.T.Fatal(err)
	}
}

var ctx = context.Background()

// anyService trusts whoever a given role may be for.
const anyService = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole","sts:TagSession"],"Principal":{"Service":[
"eks.amazonaws.com","ec2.amazonaws.com","eks-fargate-pods.amazonaws.com","pods.eks.amazonaws.com","capabilities.eks.amazonaws.com"]}}]}`

func (g *giver) role(m []string) string {
	out, err := iam.NewFromConfig(g.r.ConfigIn(g.region, g.r.Cloud)).CreateRole(ctx, &iam.CreateRoleInput{RoleName: &m[1], AssumeRolePolicyDocument: aws.String(anyService)})
	g.must(err)
	return *out.Role.Arn
}

func (g *giver) person(m []string) string {
	out, err := iam.NewFromConfig(g.r.ConfigIn(g.region, g.r.Cloud)).CreateUser(ctx, &iam.CreateUserInput{UserName: &m[1]})
	g.must(err)
	return *out.User.Arn
}

// exit gives the VPC's subnets a way out, by a NAT gateway in the first.
func (g *giver) exit() {
	if g.subnets == 0 {
		return
	}
	address, err := g.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{})
	g.must(err)
	gateway, err := g.ec2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})
	g.must(err)
	_, err = g.ec2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: gateway.InternetGateway.InternetGatewayId, VpcId: &g.lastVPC})
	g.must(err)
	nat, err := g.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{SubnetId: &g.first, AllocationId: address.AllocationId})
	g.must(err)
	tables, err := g.ec2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{g.lastVPC}}}})
	g.must(err)
	_, err = g.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{RouteTableId: tables.RouteTables[0].RouteTableId, NatGatewayId: nat.NatGateway.NatGatewayId, DestinationCidrBlock: aws.String("0.0.0.0/0")})
	g.must(err)
}

func (g *giver) policy(m []string) string {
	out, err := iam.NewFromConfig(g.r.ConfigIn(g.region, g.r.Cloud)).CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: &m[1], PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
	})
	g.must(err)
	return *out.Policy.Arn
}

func (g *giver) key(m []string) string {
	out, err := kms.NewFromConfig(g.r.ConfigIn(m[1], g.r.Cloud)).CreateKey(ctx, &kms.CreateKeyInput{})
	g.must(err)
	return *out.KeyMetadata.Arn
}

func (g *giver) vpc([]string) string {
	out, err := g.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("192.168.0.0/16")})
	g.must(err)
	for _, set := range []*ec2.ModifyVpcAttributeInput{
		{VpcId: out.Vpc.VpcId, EnableDnsHostnames: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}},
	} {
		_, err = g.ec2.ModifyVpcAttribute(ctx, set)
		g.must(err)
	}
	g.lastVPC = *out.Vpc.VpcId
	return g.lastVPC
}

// subnet makes subnets in the order of the file: two public ones, two private ones, in two zones.
func (g *giver) subnet([]string) string {
	zones, blocks := []string{"a", "b"}, []string{"192.168.0.0/19", "192.168.32.0/19", "192.168.128.0/19", "192.168.160.0/19"}
	out, err := g.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
		VpcId: &g.lastVPC, AvailabilityZone: aws.String(g.region + zones[g.subnets%2]), CidrBlock: &blocks[g.subnets%4],
	})
	g.must(err)
	if g.subnets < 2 {
		_, err = g.ec2.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: out.Subnet.SubnetId, MapPublicIpOnLaunch: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}})
		g.must(err)
	}
	if g.subnets++; g.first == "" {
		g.first = *out.Subnet.SubnetId
	}
	return *out.Subnet.SubnetId
}

func (g *giver) group(m []string) string {
	vpc := g.lastVPC
	if vpc == "" { // in the VPC that the cluster will have nobody can make one before; the default one has to do
		out, err := g.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
		g.must(err)
		if i := slices.IndexFunc(out.Vpcs, func(v ec2types.Vpc) bool { return v.IsDefault != nil && *v.IsDefault }); i >= 0 {
			vpc = *out.Vpcs[i].VpcId
		} else {
			vpc = g.vpc(nil)
		}
	}
	out, err := g.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("given-" + m[0]), Description: aws.String("given"), VpcId: &vpc})
	g.must(err)
	return *out.GroupId
}

func (g *giver) template([]string) string {
	out, err := g.ec2.CreateLaunchTemplate(ctx, &ec2.CreateLaunchTemplateInput{
		LaunchTemplateName: aws.String("given"), LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "m6i.large"},
	})
	g.must(err)
	for range 2 {
		_, err = g.ec2.CreateLaunchTemplateVersion(ctx, &ec2.CreateLaunchTemplateVersionInput{
			LaunchTemplateId: out.LaunchTemplate.LaunchTemplateId, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{InstanceType: "m6i.large"},
		})
		g.must(err)
	}
	return *out.LaunchTemplate.LaunchTemplateId
}

func (g *giver) image([]string) string {
	out, err := g.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("architecture"), Values: []string{"x86_64"}}}})
	g.must(err)
	return *out.Images[0].ImageId
}

func (g *giver) keyPair(m []string) string {
	_, err := g.ec2.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: &m[1]})
	g.must(err)
	return m[0]
}

func (g *giver) targets([]string) string {
	out, err := elasticloadbalancingv2.NewFromConfig(g.r.ConfigIn(g.region, g.r.Cloud)).CreateTargetGroup(ctx, &elasticloadbalancingv2.CreateTargetGroupInput{
		Name: aws.String("web"), Protocol: elbv2types.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String(g.vpc(nil)),
	})
	g.must(err)
	return *out.TargetGroups[0].TargetGroupArn
}

func (g *giver) balancer(m []string) string {
	_, err := elasticloadbalancing.NewFromConfig(g.r.ConfigIn(g.region, g.r.Cloud)).CreateLoadBalancer(ctx, &elasticloadbalancing.CreateLoadBalancerInput{
		LoadBalancerName: &m[1], Subnets: []string{g.subnet(nil)},
		Listeners: []elbtypes.Listener{{Protocol: aws.String("tcp"), LoadBalancerPort: 80, InstancePort: aws.Int32(80)}},
	})
	g.must(err)
	return m[0]
}

func (g *giver) transit([]string) string {
	out, err := g.ec2.CreateTransitGateway(ctx, &ec2.CreateTransitGatewayInput{})
	g.must(err)
	return *out.TransitGateway.TransitGatewayId
}

func (g *giver) placement(m []string) string {
	_, err := g.ec2.CreatePlacementGroup(ctx, &ec2.CreatePlacementGroupInput{GroupName: &m[1], Strategy: ec2types.PlacementStrategyCluster})
	g.must(err)
	return m[0]
}
