package cluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// names are the clusters of a file.
func (r *rig) names(text string) (ids []fleet.ClusterID) {
	r.T.Helper()
	specs, said := spec.Parse([]byte(text))
	if err := said.Err(); err != nil {
		r.T.Fatal(err)
	}
	for _, s := range specs {
		ids = append(ids, fleet.ClusterID{Region: s.Cluster.Region, Name: s.Cluster.Name})
	}
	return ids
}

// nothingLeft checks that nothing of ekspedite's is there, by listing and without regard to any cluster: only what was
// there before may be.
func (r *rig) nothingLeft(t *testing.T, text string, before map[string]bool, what string) {
	t.Helper()
	for _, id := range r.names(text) {
		reach := awscloud.NewRegion(r.ConfigIn(id.Region, r.Cloud))
		o, err := observe.Clusters{AWS: reach, Now: time.Now}.Everything(context.Background(), id, observe.ForRemoval, observe.Hints{})
		if err != nil {
			t.Fatal(err)
		}
		for name, list := range o.Found {
			if list[0].Kind != "volume" && !before[list[0].Physical] && (list[0].Kind != "classic" || len(list[0].Tags) > 0) { // an untagged one is the user's
				t.Errorf("%s: %s is left: %+v", what, name, list)
			}
		}
		for name := range r.everywhere(id.Region) {
			if !before[name] {
				t.Errorf("%s: %s is left", what, name)
			}
		}
	}
	l := &ledger.Ledger{Store: r.Store, Now: time.Now}
	if ids, err := l.Clusters(context.Background()); err != nil || len(ids) > 0 {
		t.Errorf("%s: the list of clusters has %v (%v)", what, ids, err)
	}
	if len(r.Queue.Dead()) > 0 {
		t.Errorf("%s: rejected: %v", what, r.Queue.Dead())
	}
}

// everywhere are the ids of all that is in a Region and can belong to a cluster, whoever has made it.
func (r *rig) everywhere(region string) map[string]bool {
	out := map[string]bool{}
	ctx, cfg := context.Background(), r.ConfigIn(region, r.Cloud)
	c, roles := ec2.NewFromConfig(cfg), iam.NewFromConfig(cfg)
	check := func(err error) {
		if err != nil {
			r.T.Fatal(err)
		}
	}
	vpcs, err := c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	check(err)
	for _, v := range vpcs.Vpcs {
		out[*v.VpcId] = true
	}
	subnets, err := c.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
	check(err)
	for _, v := range subnets.Subnets {
		out[*v.SubnetId] = true
	}
	igws, err := c.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{})
	check(err)
	for _, v := range igws.InternetGateways {
		out[*v.InternetGatewayId] = true
	}
	tables, err := c.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{})
	check(err)
	for _, v := range tables.RouteTables {
		out[*v.RouteTableId] = true
	}
	groups, err := c.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})
	check(err)
	for _, v := range groups.SecurityGroups {
		out[*v.GroupId] = true
	}
	addresses, err := c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
	check(err)
	for _, v := range addresses.Addresses {
		out[*v.AllocationId] = true
	}
	interfaces, err := c.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{})
	check(err)
	for _, v := range interfaces.NetworkInterfaces {
		out[*v.NetworkInterfaceId] = true
	}
	templates, err := c.DescribeLaunchTemplates(ctx, &ec2.DescribeLaunchTemplatesInput{})
	check(err)
	for _, v := range templates.LaunchTemplates {
		out[*v.LaunchTemplateId] = true
	}
	list, err := roles.ListRoles(ctx, &iam.ListRolesInput{PathPrefix: aws.String("/ekspedite/")})
	check(err)
	for _, v := range list.Roles {
		out[*v.Arn] = true
	}
	providers, err := roles.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
	check(err)
	for _, v := range providers.OpenIDConnectProviderList {
		out[*v.Arn] = true
	}
	return out
}

// end asks for the end of all clusters of a file.
func (r *rig) end(text, request string, force bool) {
	for _, id := range r.names(text) {
		r.Send(&events.ClusterDeleteRequested{RequestID: request, Cluster: id.Name, Region: id.Region, Force: force})
	}
	r.run()
}

// ended is the last report.
func (r *rig) ended() events.RunFinished {
	done := r.Finished()
	if len(done) == 0 {
		r.T.Fatal("nobody said that a run is over")
	}
	return done[len(done)-1]
}
