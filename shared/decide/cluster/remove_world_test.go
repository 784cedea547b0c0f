package cluster

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// slow are the kinds that AWS works on, with the status that they have meanwhile.
var slow = map[string]string{"cluster": "DELETING", "nodegroup": "DELETING", "fargate": "DELETING", "capability": "DELETING", "asg": "DELETING", "nat": "deleting", "transit": "deleting", "vpngateway": "detaching", "endpoint": "deleting", "instance": "shutting-down"}

// users are the kinds that AWS would not let a kind go with. It is written from AWS's documentation and not from removals.
var users = map[string][]string{
	"cluster":  {"nodegroup", "fargate", "capability"},
	"subnet":   {"transit", "cluster", "nodegroup", "fargate", "asg", "instance", "nat", "endpoint", "balancer", "classic", "interface"},
	"routes":   {"subnet"},
	"address":  {"nat"},
	"template": {"asg"},
	"role":     {"profile", "cluster", "nodegroup", "fargate", "capability", "asg"}, // which would stop working
	"profile":  {"asg"},
	"sg":       {"cluster", "endpoint", "balancer", "classic", "interface", "asg"},
	"kubesg":   {"balancer", "classic", "interface"},
	"igw":      {"nat", "address", "balancer", "classic"},
	"vpc":      {"subnet", "routes", "igw", "egress", "sg", "kubesg", "endpoint", "nat", "interface", "cluster", "transit", "vpngateway"},
	"balancer": {"cluster"}, // would make it anew
	"nat":      {"nodegroup", "asg", "fargate", "cluster"},
	"endpoint": {"nodegroup", "asg", "fargate", "cluster"},
}

// world is an observation that deletions change as they would change AWS.
type doomedWorld struct {
	t    testing.TB
	o    Observation
	all  []string
	kept []string
}

// withPhysical finds something by its kind and id at AWS.
func (w *doomedWorld) withPhysical(kind, physical string) *fleet.Resource {
	for _, id := range slices.Sorted(maps.Keys(w.o.Found)) {
		for i := range w.o.Found[id] {
			if r := &w.o.Found[id][i]; r.Kind == kind && r.Physical == physical {
				return r
			}
		}
	}
	return nil
}

func (w *doomedWorld) remove(gone *fleet.Resource) {
	id := gone.ID
	w.o.Found[id] = slices.DeleteFunc(slices.Clone(w.o.Found[id]), func(r fleet.Resource) bool { return r.Physical == gone.Physical })
	if len(w.o.Found[id]) == 0 {
		delete(w.o.Found, id)
	}
}

var deletion = map[string]struct{ kind, field string }{
	"eks:DeleteCluster": {"cluster", "name"}, "eks:DeleteNodegroup": {"nodegroup", "nodegroupName"}, "eks:DeleteFargateProfile": {"fargate", "fargateProfileName"},
	"eks:DeleteCapability": {"capability", "capabilityName"}, "autoscaling:DeleteAutoScalingGroup": {"asg", "autoScalingGroupName"},
	"ec2:DeleteVpc": {"vpc", "vpcId"}, "ec2:DeleteSubnet": {"subnet", "subnetId"}, "ec2:DeleteRouteTable": {"routes", "routeTableId"},
	"ec2:DeleteInternetGateway": {"igw", "internetGatewayId"}, "ec2:DeleteEgressOnlyInternetGateway": {"egress", "egressOnlyInternetGatewayId"},
	"ec2:DeleteNatGateway": {"nat", "natGatewayId"}, "ec2:ReleaseAddress": {"address", "allocationId"}, "ec2:DeleteSecurityGroup": {"sg", "groupId"},
	"ec2:DeleteLaunchTemplate": {"template", "launchTemplateId"}, "ec2:DeleteKeyPair": {"keypair", "keyPairId"}, "ec2:DeleteNetworkInterface": {"interface", "networkInterfaceId"},
	"iam:DeleteRole": {"role", "roleName"}, "iam:DeleteInstanceProfile": {"profile", "instanceProfileName"},
	"iam:DeleteOpenIDConnectProvider": {"oidc", "openIDConnectProviderArn"}, "logs:DeleteLogGroup": {"loggroup", "logGroupName"},
	"ec2:DetachVpnGateway": {"vpngateway", "vpnGatewayId"}, "ec2:DeleteTransitGatewayVpcAttachment": {"transit", "transitGatewayAttachmentId"},
	"elbv2:DeleteLoadBalancer": {"balancer", "loadBalancerArn"}, "elb:DeleteLoadBalancer": {"classic", "loadBalancerName"},
}

// carryOut does what AWS would do, and fails the test where AWS would refuse.
func (w *doomedWorld) carryOut(c plan.Call) {
	w.t.Helper()
	w.all = append(w.all, c.API+" "+c.ID)
	if why := w.refuses(c); why != "" {
		w.t.Errorf("%s %v: %s", c.API, c.Input, why)
	}
	in := func(field string) string { return fleet.Text(c.Input, field) }
	without := func(r *fleet.Resource, field, key, value string) {
		r.Props = maps.Clone(r.Props)
		list, _ := r.Props[field].([]any)
		r.Props[field] = slices.DeleteFunc(slices.Clone(list), func(v any) bool {
			p, ok := v.(fleet.Props)
			return !ok && v == value || ok && p[key] == value
		})
	}
	switch c.API {
	case "iam:DetachRolePolicy":
		without(w.withPhysical("role", in("roleName")), "attachedPolicies", "", in("policyArn"))
	case "iam:DeleteRolePolicy":
		r := w.withPhysical("role", in("roleName"))
		r.Props = maps.Clone(r.Props)
		delete(r.Props, "inlinePolicies")
	case "iam:RemoveRoleFromInstanceProfile":
		without(w.withPhysical("profile", in("instanceProfileName")), "roles", "roleName", in("roleName"))
	case "ec2:DetachInternetGateway":
		without(w.withPhysical("igw", in("internetGatewayId")), "attachments", "vpcId", in("vpcId"))
	case "ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress":
		field := "ipPermissions"
		if strings.HasSuffix(c.API, "Egress") {
			field += "Egress"
		}
		g := w.group(in("groupId"))
		g.Props = maps.Clone(g.Props)
		var left []any
		for _, have := range fleet.Items(g.Props, field) {
			if !slices.ContainsFunc(fleet.Items(c.Input, "ipPermissions"), func(rule fleet.Props) bool { return fleet.Covers(have, rule) }) {
				left = append(left, have)
			}
		}
		if len(left) == len(fleet.Items(g.Props, field)) {
			w.t.Errorf("%v revokes nothing of %v", c.Input, g.Props)
		}
		g.Props[field] = left
	case "ec2:TerminateInstances":
		w.goes(w.withPhysical("instance", fleet.Texts(c.Input, "instanceIds")[0]))
	case "ec2:DeleteVpcEndpoints":
		w.goes(w.withPhysical("endpoint", fleet.Texts(c.Input, "vpcEndpointIds")[0]))
	case "ec2:DeleteSecurityGroup":
		w.goes(w.group(in("groupId")))
	case "eks:UpdateClusterConfig":
		c := w.o.Control()
		c.Props = maps.Clone(c.Props)
		c.Props["deletionProtection"] = false
	default:
		d, ok := deletion[c.API]
		if !ok {
			w.t.Fatalf("%s is not a deletion", c.API)
		}
		w.goes(w.withPhysical(d.kind, in(d.field)))
	}
}

func (w *doomedWorld) group(id string) *fleet.Resource {
	if g := w.withPhysical("sg", id); g != nil {
		return g
	}
	return w.withPhysical("kubesg", id)
}

// refuses is why AWS would refuse a call.
func (w *doomedWorld) refuses(c plan.Call) string {
	kind := deletion[c.API].kind
	if c.API == "ec2:DetachInternetGateway" {
		kind = "igw"
	}
	if c.API == "ec2:DeleteVpcEndpoints" {
		kind = "endpoint"
	}
	for _, r := range w.o.all() {
		switch {
		case r.Kind == "interface" && kind == "subnet" && r.Props["subnetId"] != c.Input["subnetId"], r.Kind == "interface" && kind == "sg" && len(fleet.Items(r.Props, "groups")) == 0:
		case slices.Contains(users[kind], r.Kind) && !slices.Contains(w.kept, r.ID):
			return r.ID + " still needs it"
		case kind == "fargate" && r.Kind == "fargate" && r.Status == "DELETING":
			return r.ID + " is being deleted"
		case kind == "sg" && (r.Kind == "sg" || r.Kind == "kubesg") && refersTo(r, fleet.Text(c.Input, "groupId")):
			return r.ID + " refers to it"
		case kind == "role" && r.Physical == c.Input["roleName"] && len(fleet.Texts(r.Props, "attachedPolicies"))+len(fleet.Text(r.Props, "inlinePolicies", "own")) > 0:
			return "it has policies"
		case kind == "profile" && r.Physical == c.Input["instanceProfileName"] && len(fleet.Items(r.Props, "roles")) > 0:
			return "it has roles"
		case c.API == "ec2:DeleteInternetGateway" && r.Kind == "igw" && len(fleet.Items(r.Props, "attachments")) > 0:
			return "it is attached"
		case kind == "cluster" && r.Kind == "cluster" && fleet.Flag(r.Props, "deletionProtection"):
			return "it is protected"
		}
	}
	return ""
}

func refersTo(r fleet.Resource, group string) bool {
	for _, p := range append(fleet.Items(r.Props, "ipPermissions"), fleet.Items(r.Props, "ipPermissionsEgress")...) {
		for _, pair := range fleet.Items(p, "userIdGroupPairs") {
			if pair["groupId"] == group && r.Physical != group {
				return true
			}
		}
	}
	return false
}

// goes makes something disappear, or AWS work on that.
func (w *doomedWorld) goes(r *fleet.Resource) {
	w.t.Helper()
	switch {
	case r == nil:
		w.t.Error("something was deleted that is not there")
	case slow[r.Kind] != "":
		r.Status = slow[r.Kind]
	default:
		w.remove(r)
	}
}

// passes lets AWS finish what it works on.
func (w *doomedWorld) passes(random *rand.Rand) {
	for _, r := range w.o.all() {
		if r.Status != "" && r.Status == slow[r.Kind] && random.IntN(2) == 0 {
			if r.Kind == "cluster" {
				for _, other := range w.o.all() { // EKS's own go with it
					if other.Physical == "eni-cp" || other.Physical == "sg-eks" || InCluster(other.Kind) {
						w.remove(&other)
					}
				}
			}
			w.remove(&r)
		}
	}
	if len(w.o.Found["nodegroup/spot"]) == 0 {
		for _, id := range []string{"instance/i-2", "interface/eni-node", "volume/vol-root"} {
			delete(w.o.Found, id)
		}
	}
}

// end removes until the run is over.
func (w *doomedWorld) end(seed uint64, force bool) plan.Plan {
	w.t.Helper()
	random, at := rand.New(rand.NewPCG(seed, 5)), now
	w.o.Made, w.o.Troubles = map[string]fleet.Making{}, map[string]fleet.Trouble{}
	for range 300 {
		p, err := Remove(at, w.o, doomed, opt, force)
		if err != nil {
			w.t.Fatal(err)
		}
		if p.Outcome != "" {
			return p
		}
		if p.Empty() && len(Leaving(at, w.o, doomed, opt, force)) == 0 {
			w.t.Fatalf("waits for nothing: %s", p)
		}
		for _, step := range p.Steps {
			for _, a := range step.Actions {
				c := a.(plan.Call)
				w.carryOut(c)
				w.o.Made[Memory(c)] = fleet.Making{At: at, Times: w.o.Made[Memory(c)].Times + 1}
			}
		}
		if random.IntN(4) == 0 { // killed: what was done is not remembered
			w.o.Made = map[string]fleet.Making{}
		}
		at = at.Add(time.Duration(1+random.IntN(30)) * time.Second)
		w.passes(random)
	}
	w.t.Fatalf("does not end; there is still %v", slices.Sorted(maps.Keys(w.o.Found)))
	return plan.Plan{}
}
