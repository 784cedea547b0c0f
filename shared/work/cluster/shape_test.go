package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// found is all that is there of the clusters of a file, read by the root user past every script.
func (r *rig) found(text string) (out []fleet.Resource) {
	r.T.Helper()
	specs, said := spec.Parse([]byte(text))
	if err := said.Err(); err != nil {
		r.T.Fatal(err)
	}
	for _, s := range specs {
		aws := awscloud.NewRegion(r.ConfigIn(s.Cluster.Region, r.Cloud))
		list, err := aws.Tagged(context.Background(), s.Cluster.Name, cluster.Kinds(cluster.Full, s.Cluster))
		if err != nil {
			r.T.Fatal(err)
		}
		out = append(out, list...)
		for _, ref := range cluster.Wanted(s.Cluster, cluster.Options{Account: account, InterruptionRole: drainer}) {
			if ref.Kind == "kubernetes" {
				continue
			}
			ref.Glance = false // all of it
			have, err := aws.Read(context.Background(), s.Cluster.Name, ref)
			if fault.Ignore(err, fault.NotFound) != nil {
				r.T.Fatal(ref, err)
			}
			if err == nil {
				out = append(out, have)
			}
		}
	}
	return out
}

// volatile is what differs from one making to the next.
var volatile = []string{
	"createdAt", "modifiedAt", "createDate", "createTime", "creationTime", "associatedAt", "roleId", "clientToken", "clientRequestToken", "endpoint", "certificateAuthority", "identity",
	"natGatewayAddresses", "publicIp", "privateIpAddress", "networkInterfaceId", "associationId", "allocationId", "routeTableAssociationId", "availableIpAddressCount",
	"resources", "releaseVersion", "id", "roleLastUsed", "createdBy", "networkInterfaceIds", "creationTimestamp", "dnsEntries", "subnetArn", "vpcEndpointArn", "securityGroupArn",
	"arn", "nodegroupArn", "addonArn", "accessEntryArn", "associationArn", "fargateProfileArn", "platformVersion", "clusterSecurityGroupId", "scalingConfig", "groupId", "launchTemplateId",
}

// shape is what is there without ids and times: a line for each resource.
func (r *rig) shape(text string) []string {
	list := r.found(text)
	names := map[string]string{}
	for _, have := range list {
		if have.Physical != "" && !strings.Contains(have.Physical, "/") {
			names[have.Physical] = "<" + have.ID + ">"
		}
	}
	var out []string
	for _, have := range list {
		line, err := json.Marshal(stable(named(have.Props, names)))
		if err != nil {
			r.T.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %s %v %v %s", have.ID, have.Status, have.Tags, have.Issues, line))
	}
	there := r.inside.All()
	for _, k := range slices.Sorted(maps.Keys(there)) {
		line, err := json.Marshal(there[k])
		if err != nil {
			r.T.Fatal(err)
		}
		out = append(out, k+" "+string(line))
	}
	slices.Sort(out)
	return out
}

// random are names that AWS makes up: of issuers, of associations.
var random = regexp.MustCompile(`\b([0-9A-F]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b`)

var ids = regexp.MustCompile(`\b(vpc|subnet|igw|rtb|rtbassoc|nat|eipalloc|eigw|sg|sgr|vpce|lt|key|eni|a|acl|dopt)-[0-9a-z]{8,}\b`)

// named gives resources their names in the graph instead of their ids.
func named(v any, names map[string]string) any {
	switch v := v.(type) {
	case fleet.Props:
		out := fleet.Props{}
		for k, item := range v {
			out[k] = named(item, names)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = named(item, names)
		}
		return out
	case string:
		v = random.ReplaceAllString(v, "<some>")
		return ids.ReplaceAllStringFunc(v, func(id string) string {
			if name := names[id]; name != "" {
				return name
			}
			return "<some " + id[:strings.IndexByte(id, '-')] + ">"
		})
	}
	return v
}

func stable(v any) any {
	switch v := v.(type) {
	case fleet.Props:
		out := fleet.Props{}
		for k, item := range v {
			if !slices.Contains(volatile, k) {
				out[k] = stable(item)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = stable(item)
		}
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return out
	}
	return v
}

// orphans are EC2 resources that nobody would find again: without our tag, and not made by AWS itself.
func (r *rig) orphans(region string) (out []string) {
	c := ec2.NewFromConfig(r.ConfigIn(region, r.Cloud))
	ctx := context.Background()
	ours := func(kind, id string, tagged bool) {
		if !tagged {
			out = append(out, kind+" "+id)
		}
	}
	vpcs, err := c.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{})
	if err != nil {
		r.T.Fatal(err)
	}
	for _, v := range vpcs.Vpcs {
		ours("vpc", *v.VpcId, len(v.Tags) > 0 || v.IsDefault != nil && *v.IsDefault)
	}
	igws, err := c.DescribeInternetGateways(ctx, &ec2.DescribeInternetGatewaysInput{})
	if err != nil {
		r.T.Fatal(err)
	}
	for _, v := range igws.InternetGateways {
		ours("internet gateway", *v.InternetGatewayId, len(v.Tags) > 0)
	}
	addresses, err := c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
	if err != nil {
		r.T.Fatal(err)
	}
	for _, v := range addresses.Addresses {
		ours("address", *v.AllocationId, len(v.Tags) > 0)
	}
	return out
}

// complete checks that the clusters of a file are as they should be, whatever happened on the way: the same shape as
// undisturbed, nothing twice, nothing lost, and one run that ended well.
func (r *rig) complete(t *testing.T, text string, want []string, what string) {
	t.Helper()
	if got := r.shape(text); !slices.Equal(got, want) {
		t.Errorf("%s: the end is another one:\n%s\n%s", what, diff(got, want), r.Told())
	}
	if lost := r.orphans(region); !slices.Equal(lost, r.strangers) {
		t.Errorf("%s: lost: %v", what, lost)
	}
	done := r.Finished()
	if len(done) == 0 {
		t.Fatalf("%s: nobody said that the run is over\n%s", what, r.Told())
	}
	for _, d := range done {
		if d.Outcome != events.OutcomeActive || d.RunID != done[0].RunID {
			t.Errorf("%s: run %s ended %s: %s", what, d.RunID, d.Outcome, d.Reason)
		}
	}
	if len(r.Queue.Dead()) > 0 {
		t.Errorf("%s: rejected: %v", what, r.Queue.Dead())
	}
	l := &ledger.Ledger{Store: r.Store, Now: nil}
	run, err := l.ClusterRun(context.Background(), fleet.ClusterID{Region: done[0].Subject.Region, Name: done[0].Subject.Cluster})
	if err != nil || run.Outcome != events.OutcomeActive {
		t.Errorf("%s: the ledger's last run is %q (%v)", what, run.Outcome, err)
	}
}

func diff(got, want []string) string {
	var b strings.Builder
	for _, g := range got {
		if !slices.Contains(want, g) {
			fmt.Fprintf(&b, "+ %s\n", g)
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			fmt.Fprintf(&b, "- %s\n", w)
		}
	}
	for i := 1; i < len(got); i++ {
		if got[i] == got[i-1] {
			fmt.Fprintf(&b, "twice: %s\n", got[i])
		}
	}
	return b.String()
}
