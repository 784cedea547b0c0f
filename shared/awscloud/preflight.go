package awscloud

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Preflight reads what is to be known before a cluster is made, in one Region: see package decide/preflight.
type Preflight struct {
	region *Region
	kms    *kms.Client
	quotas *servicequotas.Client
	// global has the quotas of IAM, which are in one Region of a partition.
	global *servicequotas.Client
	facts  map[string]func(ctx context.Context, name string) (fleet.Props, error)
}

// NewPreflight makes a Preflight of a configuration's Region.
func NewPreflight(cfg Config) *Preflight {
	p := &Preflight{
		region: NewRegion(cfg), kms: kms.NewFromConfig(cfg), quotas: servicequotas.NewFromConfig(cfg),
		global: servicequotas.NewFromConfig(InRegion(cfg, globalRegion(cfg.Region))),
	}
	p.facts = map[string]func(context.Context, string) (fleet.Props, error){
		"quota": p.quota, "use": p.use, "zones": p.zones, "types": p.types, "offerings": p.offerings, "images": p.images,
		"role": p.role, "principal": p.principal, "policy": p.policy, "profile": p.profile, "key": p.key,
		"vpc": p.given("givenvpc"), "subnets": p.given("givensubnets"), "routes": p.given("givenroutes"), "endpoints": p.endpoints,
		"peerings": p.peerings, "groups": p.groups, "groupname": p.groupName, "template": p.template, "templatename": p.templateName,
		"keypair": p.keyPair, "placement": p.placement, "loggroup": p.given("loggroup"),
		"versions": p.versions, "addon": p.addon,
	}
	return p
}

// globalRegion is where the quotas of a partition's global services are.
func globalRegion(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "cn-northwest-1"
	case strings.HasPrefix(region, "us-gov-"):
		return "us-gov-west-1"
	}
	return "us-east-1"
}

// Fact reads one fact. What does not exist is fault.NotFound.
func (p *Preflight) Fact(ctx context.Context, kind, name string) (fleet.Props, error) {
	read, ok := p.facts[kind]
	if !ok {
		return nil, fault.New(fault.Invalid, "nobody knows how to read %s %s", kind, name)
	}
	return read(ctx, name)
}

// given reads what decisions read as well.
func (p *Preflight) given(kind string) func(context.Context, string) (fleet.Props, error) {
	return func(ctx context.Context, name string) (fleet.Props, error) {
		r, err := p.region.Read(ctx, "", fleet.Ref{Kind: kind, Name: name})
		return r.Props, err
	}
}

func absent(what string) error { return fault.New(fault.NotFound, "there is no %s", what) }

// listed are the items of an answer under a name.
func listed[Item any](name string, items []Item) fleet.Props {
	list := make([]any, 0, len(items))
	for _, i := range items {
		list = append(list, props(i))
	}
	return fleet.Props{name: list}
}

// everything reads all pages.
func everything[Out, Item, Option any](ctx context.Context, api string, pages pager[Out, Option], items func(*Out) []Item) ([]Item, error) {
	var out []Item
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify(api, err)
		}
		out = append(out, items(page)...)
	}
	return out, nil
}

func where(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: aws.String(name), Values: values}}
}

func (p *Preflight) zones(ctx context.Context, _ string) (fleet.Props, error) {
	out, err := p.region.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{AllAvailabilityZones: aws.Bool(true)})
	if err != nil {
		return nil, classify("ec2:DescribeAvailabilityZones", err)
	}
	return listed("zones", out.AvailabilityZones), nil
}

// atOnce is how many values one filter of EC2 takes.
const atOnce = 200

func (p *Preflight) types(ctx context.Context, names string) (fleet.Props, error) {
	var all []types.InstanceTypeInfo
	for list := range slices.Chunk(strings.Split(names, ","), atOnce) {
		found, err := everything(ctx, "ec2:DescribeInstanceTypes", ec2.NewDescribeInstanceTypesPaginator(p.region.ec2, &ec2.DescribeInstanceTypesInput{
			Filters: where("instance-type", list...),
		}), func(o *ec2.DescribeInstanceTypesOutput) []types.InstanceTypeInfo { return o.InstanceTypes })
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return listed("instanceTypes", all), nil
}

func (p *Preflight) offerings(ctx context.Context, names string) (fleet.Props, error) {
	var all []types.InstanceTypeOffering
	for list := range slices.Chunk(strings.Split(names, ","), atOnce) {
		found, err := everything(ctx, "ec2:DescribeInstanceTypeOfferings", ec2.NewDescribeInstanceTypeOfferingsPaginator(p.region.ec2, &ec2.DescribeInstanceTypeOfferingsInput{
			LocationType: types.LocationTypeAvailabilityZone, Filters: where("instance-type", list...),
		}), func(o *ec2.DescribeInstanceTypeOfferingsOutput) []types.InstanceTypeOffering {
			return o.InstanceTypeOfferings
		})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return listed("offerings", all), nil
}

func (p *Preflight) images(ctx context.Context, ids string) (fleet.Props, error) {
	found, err := everything(ctx, "ec2:DescribeImages", ec2.NewDescribeImagesPaginator(p.region.ec2, &ec2.DescribeImagesInput{
		IncludeDeprecated: aws.Bool(true), // they can still be launched
		Filters:           where("image-id", strings.Split(ids, ",")...),
	}), func(o *ec2.DescribeImagesOutput) []types.Image { return o.Images })
	return listed("images", found), err
}

// role reads a role by its ARN, with its trust policy as "trust". A role of the same name with another path is found, too.
func (p *Preflight) role(ctx context.Context, arn string) (fleet.Props, error) {
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	out, err := p.region.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return nil, classify("iam:GetRole", err)
	}
	r := props(*out.Role)
	if err := decoded(r, "assumeRolePolicyDocument"); err != nil {
		return nil, err
	}
	var trust fleet.Props
	if err := json.Unmarshal([]byte(fleet.Text(r, "assumeRolePolicyDocument")), &trust); err != nil {
		return nil, fault.New(fault.Transient, "iam: trust policy of %s: %v", name, err)
	}
	r["trust"] = trust
	return r, nil
}

// principal reads a role or a user by its ARN.
func (p *Preflight) principal(ctx context.Context, arn string) (fleet.Props, error) {
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	if strings.Contains(arn, ":user/") {
		out, err := p.region.iam.GetUser(ctx, &iam.GetUserInput{UserName: &name})
		if err != nil {
			return nil, classify("iam:GetUser", err)
		}
		return props(*out.User), nil
	}
	return p.role(ctx, arn)
}

func (p *Preflight) policy(ctx context.Context, arn string) (fleet.Props, error) {
	out, err := p.region.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &arn})
	if err != nil {
		return nil, classify("iam:GetPolicy", err)
	}
	return props(*out.Policy), nil
}

func (p *Preflight) profile(ctx context.Context, name string) (fleet.Props, error) {
	out, err := p.region.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &name})
	if err != nil {
		return nil, classify("iam:GetInstanceProfile", err)
	}
	return props(*out.InstanceProfile), nil
}

func (p *Preflight) key(ctx context.Context, arn string) (fleet.Props, error) {
	out, err := p.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &arn})
	if err != nil {
		return nil, classify("kms:DescribeKey", err)
	}
	return props(*out.KeyMetadata), nil
}

func (p *Preflight) endpoints(ctx context.Context, vpc string) (fleet.Props, error) {
	found, err := everything(ctx, "ec2:DescribeVpcEndpoints", ec2.NewDescribeVpcEndpointsPaginator(p.region.ec2, &ec2.DescribeVpcEndpointsInput{Filters: inVPC(vpc)}),
		func(o *ec2.DescribeVpcEndpointsOutput) []types.VpcEndpoint { return o.VpcEndpoints })
	return listed("vpcEndpoints", found), err
}

// peerings are the VPCs that are connected to one, with their ranges: {"peers": [{vpcId, cidrs}]}.
func (p *Preflight) peerings(ctx context.Context, vpc string) (fleet.Props, error) {
	var peers []any
	for _, side := range []string{"requester-vpc-info.vpc-id", "accepter-vpc-info.vpc-id"} {
		found, err := everything(ctx, "ec2:DescribeVpcPeeringConnections", ec2.NewDescribeVpcPeeringConnectionsPaginator(p.region.ec2, &ec2.DescribeVpcPeeringConnectionsInput{
			Filters: append(where(side, vpc), where("status-code", "active", "pending-acceptance", "provisioning")...),
		}), func(o *ec2.DescribeVpcPeeringConnectionsOutput) []types.VpcPeeringConnection {
			return o.VpcPeeringConnections
		})
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			for _, peer := range []*types.VpcPeeringConnectionVpcInfo{c.RequesterVpcInfo, c.AccepterVpcInfo} {
				if peer == nil || deref(peer.VpcId) == vpc {
					continue
				}
				var cidrs []string
				for _, b := range peer.CidrBlockSet {
					cidrs = append(cidrs, deref(b.CidrBlock))
				}
				if len(cidrs) == 0 && peer.CidrBlock != nil {
					cidrs = []string{*peer.CidrBlock}
				}
				peers = append(peers, fleet.Props{"vpcId": deref(peer.VpcId), "cidrs": fleet.Strings(cidrs)})
			}
		}
	}
	return fleet.Props{"peers": peers}, nil
}

func (p *Preflight) securityGroups(ctx context.Context, filters []types.Filter) ([]types.SecurityGroup, error) {
	return everything(ctx, "ec2:DescribeSecurityGroups", ec2.NewDescribeSecurityGroupsPaginator(p.region.ec2, &ec2.DescribeSecurityGroupsInput{Filters: filters}),
		func(o *ec2.DescribeSecurityGroupsOutput) []types.SecurityGroup { return o.SecurityGroups })
}

func (p *Preflight) groups(ctx context.Context, ids string) (fleet.Props, error) {
	found, err := p.securityGroups(ctx, where("group-id", strings.Split(ids, ",")...))
	return listed("securityGroups", found), err
}

func (p *Preflight) groupName(ctx context.Context, name string) (fleet.Props, error) {
	vpc, group, _ := strings.Cut(name, "/")
	found, err := p.securityGroups(ctx, append(inVPC(vpc), where("group-name", group)...))
	return first(found, err, "security group "+group)
}

// first is the first of what was found; none is fault.NotFound.
func first[Item any](found []Item, err error, what string) (fleet.Props, error) {
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, absent(what)
	}
	return props(found[0]), nil
}

func (p *Preflight) template(ctx context.Context, name string) (fleet.Props, error) {
	id, version, _ := strings.Cut(name, "/")
	out, err := p.region.ec2.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: &id, Versions: []string{cmp.Or(version, "$Default")},
	})
	if err != nil {
		return nil, classify("ec2:DescribeLaunchTemplateVersions", err)
	}
	return first(out.LaunchTemplateVersions, nil, "version of launch template "+id)
}

func (p *Preflight) templateName(ctx context.Context, name string) (fleet.Props, error) {
	out, err := p.region.ec2.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{Filters: where("launch-template-name", name)})
	if err != nil {
		return nil, classify("ec2:DescribeLaunchTemplates", err)
	}
	return first(out.LaunchTemplates, nil, "launch template "+name)
}

func (p *Preflight) keyPair(ctx context.Context, name string) (fleet.Props, error) {
	out, err := p.region.ec2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: where("key-name", name)})
	if err != nil {
		return nil, classify("ec2:DescribeKeyPairs", err)
	}
	return first(out.KeyPairs, nil, "key pair "+name)
}

func (p *Preflight) placement(ctx context.Context, name string) (fleet.Props, error) {
	out, err := p.region.ec2.DescribePlacementGroups(ctx, &ec2.DescribePlacementGroupsInput{Filters: where("group-name", name)})
	if err != nil {
		return nil, classify("ec2:DescribePlacementGroups", err)
	}
	return first(out.PlacementGroups, nil, "placement group "+name)
}

// versions are those of Kubernetes that EKS offers.
func (p *Preflight) versions(ctx context.Context, _ string) (fleet.Props, error) {
	pages := eks.NewDescribeClusterVersionsPaginator(p.region.eks, &eks.DescribeClusterVersionsInput{})
	var list []any
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("eks:DescribeClusterVersions", err)
		}
		for _, v := range page.ClusterVersions {
			list = append(list, props(v))
		}
	}
	return fleet.Props{"clusterVersions": list}, nil
}

// addon is what versions there are of an add-on, NAME@KUBERNETES; without a version of Kubernetes, for any.
func (p *Preflight) addon(ctx context.Context, name string) (fleet.Props, error) {
	addon, kubernetes, _ := strings.Cut(name, "@")
	in := &eks.DescribeAddonVersionsInput{AddonName: &addon, KubernetesVersion: optional(kubernetes)}
	var versions []string
	for pages := eks.NewDescribeAddonVersionsPaginator(p.region.eks, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("eks:DescribeAddonVersions", err)
		}
		for _, a := range page.Addons {
			for _, v := range a.AddonVersions {
				versions = append(versions, deref(v.AddonVersion))
			}
		}
	}
	return fleet.Props{"versions": fleet.Strings(versions)}, nil
}
