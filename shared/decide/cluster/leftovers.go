package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Kubernetes makes things in AWS for what runs in it, and deletes them with it: load balancers with their security groups,
// volumes, machines. Without a control plane nobody does. And people put things of their own into a VPC that is ekspedite's.

// leftovers is what else than ekspedite's own is there.
type leftovers struct {
	blockers []plan.Failure      // what has to be settled first, unless by force
	forced   []fleet.Resource    // what goes by force
	kept     []string            // what stays in spite of force
	dangling []fleet.Resource    // what goes without being asked for: nobody uses it any more
	inTheWay map[string][]string // what keeps our own from going, by its name in the graph
}

// strange are the kinds that are not ekspedite's own.
var strange = []string{"balancer", "classic", "volume", "instance", "kubesg", "interface", "vpngateway"}

// of tells whether a resource is a leftover.
func (leftovers) of(have fleet.Resource) bool { return slices.Contains(strange, have.Kind) }

// kubernetes tells whether tags say that something belongs to the cluster's Kubernetes: by the cloud provider's, the load
// balancer controller's, EKS Auto Mode's, the VPC CNI's.
func kubernetes(cluster string, tags map[string]string) bool {
	return tags["kubernetes.io/cluster/"+cluster] == "owned" || tags["elbv2.k8s.aws/cluster"] == cluster ||
		tags["eks:eks-cluster-name"] == cluster || tags["cluster.k8s.amazonaws.com/name"] == cluster
}

// madeFor is what in Kubernetes has made something, as its tags tell.
func madeFor(tags map[string]string) string {
	for _, t := range []struct{ tag, kind string }{
		{"kubernetes.io/service-name", "Service"}, {"service.k8s.aws/stack", "Service"}, {"service.eks.amazonaws.com/stack", "Service"},
		{"ingress.k8s.aws/stack", "Ingress"}, {"ingress.eks.amazonaws.com/stack", "Ingress"}, {"karpenter.sh/nodepool", "NodePool"},
	} {
		if name := tags[t.tag]; name != "" {
			return t.kind + " " + name
		}
	}
	if claim := tags["kubernetes.io/created-for/pvc/name"]; claim != "" {
		return "PersistentVolumeClaim " + tags["kubernetes.io/created-for/pvc/namespace"] + "/" + claim
	}
	return ""
}

// leftovers sorts what is not ekspedite's own.
func (b *builder) leftovers() leftovers {
	rest := leftovers{inTheWay: map[string][]string{}}
	working := b.o.Working()
	for _, have := range b.o.all() {
		ofKubernetes, here := kubernetes(b.s.Name, have.Tags), b.within(have)
		switch have.Kind {
		case "balancer", "classic":
			b.leftBalancer(&rest, have, ofKubernetes, here, working)
		case "volume":
			if ofKubernetes && !attachedForLife(have) {
				rest.block(have, "holds data", "delete it ("+b.advice(have, working)+"), or let it stay by --force")
				rest.kept = append(rest.kept, fmt.Sprintf("volume %s stays: it holds data%s", have.Physical, by(have)))
			}
		case "instance":
			switch {
			case !ofKubernetes || have.Tags["aws:autoscaling:groupName"] != "" || have.Tags["eks:eks-cluster-name"] != "": // goes with its group, or with EKS Auto Mode
			case have.Status == "shutting-down", have.Tags[fleet.TagPool] != "": // the planner's go with the cluster that they are for
				rest.dangling = append(rest.dangling, have)
			default:
				rest.block(have, "was launched from within the cluster", "delete it ("+b.advice(have, working)+"), or use --force")
				rest.forced = append(rest.forced, have)
			}
		case "kubesg":
			b.leftGroup(&rest, have, ofKubernetes, here)
		case "interface":
			b.leftInterface(&rest, have, here)
		case "vpngateway":
			if b.attachedTo(have) != "" {
				rest.dangling = append(rest.dangling, have)
			}
		}
	}
	return rest
}

func (rest *leftovers) block(have fleet.Resource, why, instead string) {
	rest.blockers = append(rest.blockers, blocker(have.ID, fmt.Sprintf("%s %s %s%s", noun(have.Kind), named(have), why, by(have)), instead))
}

func noun(kind string) string {
	if r := removalOf(kind); r != nil {
		return r.noun
	}
	return kind
}

func by(have fleet.Resource) string {
	if m := madeFor(have.Tags); m != "" {
		return " (" + m + ")"
	}
	return ""
}

// advice is how somebody makes a leftover go.
func (b *builder) advice(have fleet.Resource, working bool) string {
	if m := madeFor(have.Tags); m != "" && working {
		kind, name, _ := strings.Cut(m, " ")
		if namespace, object, ok := strings.Cut(name, "/"); ok {
			return fmt.Sprintf("kubectl -n %s delete %s %s", namespace, strings.ToLower(kind), object)
		}
		return "kubectl delete " + strings.ToLower(kind) + " " + name
	}
	switch have.Kind {
	case "balancer":
		return "aws elbv2 delete-load-balancer --load-balancer-arn " + have.Physical
	case "classic":
		return "aws elb delete-load-balancer --load-balancer-name " + have.Physical
	case "volume":
		return "aws ec2 delete-volume --volume-id " + have.Physical
	case "instance":
		return "aws ec2 terminate-instances --instance-ids " + have.Physical
	case "kubesg":
		return "aws ec2 delete-security-group --group-id " + have.Physical
	}
	return "in the service that made it"
}

// within tells whether something is in a VPC that is ekspedite's, and would keep it from going.
func (b *builder) within(have fleet.Resource) bool {
	vpc := fleet.Text(have.Props, "vpcId")
	return vpc != "" && slices.ContainsFunc(b.o.Found[idVPC], func(v fleet.Resource) bool { return v.Physical == vpc })
}

// attachedTo is the VPC of ekspedite's that a virtual private gateway is attached to; "" without.
func (b *builder) attachedTo(gateway fleet.Resource) string {
	for _, a := range fleet.Items(gateway.Props, "vpcAttachments") {
		if b.within(fleet.Resource{Props: a}) && fleet.Text(a, "state") != "detached" {
			return fleet.Text(a, "vpcId")
		}
	}
	return ""
}

func (b *builder) leftBalancer(rest *leftovers, have fleet.Resource, ofKubernetes, here, working bool) {
	switch {
	case ofKubernetes:
		rest.block(have, "was made by Kubernetes", "delete what it is for ("+b.advice(have, working)+"), or use --force")
		rest.forced = append(rest.forced, have)
	case here:
		b.stranger(rest, have, "is in the cluster's VPC and not ekspedite's", idVPC)
	}
}

func (b *builder) leftGroup(rest *leftovers, have fleet.Resource, ofKubernetes, here bool) {
	switch {
	case have.Tags["aws:eks:cluster-name"] == b.s.Name:
		if b.o.Control() == nil && here { // EKS deletes its group with the cluster, unless somebody uses it
			b.stranger(rest, have, "of EKS was left behind, because something used it", idVPC)
		}
	case ofKubernetes:
		rest.block(have, "was made by Kubernetes", "delete what it is for, or use --force")
		rest.forced = append(rest.forced, have)
	case here && fleet.Text(have.Props, "groupName") != "default":
		b.stranger(rest, have, "("+fleet.Text(have.Props, "groupName")+") is in the cluster's VPC and not ekspedite's", idVPC)
	}
}

// leftInterface judges a network interface: the cluster's own go with what they belong to.
func (b *builder) leftInterface(rest *leftovers, have fleet.Resource, here bool) {
	switch {
	case have.Status == "available" && have.Tags["cluster.k8s.amazonaws.com/name"] == b.s.Name:
		rest.dangling = append(rest.dangling, have) // of a node that went before its CNI could clean up
	case here && !b.ownInterface(have):
		subnet := fleet.Text(have.Props, "subnetId")
		for id, list := range b.o.Found {
			if fleet.KindOf(id) == "subnet" && list[0].Physical == subnet {
				b.stranger(rest, have, fmt.Sprintf("(%s) is in subnet %s and not ekspedite's", describes(have), subnet), id)
			}
		}
	}
}

// stranger is what somebody else has put into the VPC. Nothing deletes it but who made it.
func (b *builder) stranger(rest *leftovers, have fleet.Resource, why, where string) {
	text := fmt.Sprintf("%s %s %s", noun(have.Kind), have.Physical, why)
	rest.blockers = append(rest.blockers, blocker(have.ID, text, "delete it ("+b.advice(have, false)+"), and delete the cluster again"))
	rest.inTheWay[where] = append(rest.inTheWay[where], text)
}

// ownInterface tells whether an interface is the cluster's: EKS's, a node's, a pod's, a gateway's or an endpoint's.
func (b *builder) ownInterface(have fleet.Resource) bool {
	if kubernetes(b.s.Name, have.Tags) || have.Tags[fleet.TagCluster] == b.s.Name {
		return true
	}
	switch fleet.Text(have.Props, "interfaceType") {
	case "nat_gateway", "natGateway", "vpc_endpoint", "network_load_balancer", "gateway_load_balancer_endpoint", "transit_gateway":
		return true // what they belong to is judged by itself
	}
	text := fleet.Text(have.Props, "description")
	for _, prefix := range []string{"Amazon EKS ", "aws-K8S-", "aws-k8s-", "ELB ", "VPC Endpoint Interface ", "Interface for NAT Gateway ", "Network Interface for Transit Gateway Attachment "} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	if id := fleet.Text(have.Props, "attachment", "instanceId"); id != "" && len(b.o.Found["instance/"+id]) > 0 {
		return true
	}
	for _, g := range fleet.Items(have.Props, "groups") {
		if b.ownGroup(fleet.Text(g, "groupId")) {
			return true
		}
	}
	return false
}

// ownGroup tells whether a security group is ekspedite's or EKS's for the cluster.
func (b *builder) ownGroup(id string) bool {
	if c := b.o.Control(); c != nil && fleet.Text(c.Props, "resourcesVpcConfig", "clusterSecurityGroupId") == id {
		return true
	}
	for _, have := range b.o.all() {
		if have.Physical == id && (have.Kind == "sg" || have.Kind == "kubesg" && have.Tags["aws:eks:cluster-name"] == b.s.Name) {
			return true
		}
	}
	return false
}

func describes(have fleet.Resource) string {
	text := fleet.Text(have.Props, "description")
	if id := fleet.Text(have.Props, "attachment", "instanceId"); id != "" {
		text = strings.TrimSpace(text + " of instance " + id)
	}
	if text == "" {
		return "without a description"
	}
	return text
}

// attachedForLife tells whether a volume goes with its instance.
func attachedForLife(volume fleet.Resource) bool {
	return slices.ContainsFunc(fleet.Items(volume.Props, "attachments"), func(a fleet.Props) bool { return fleet.Flag(a, "deleteOnTermination") })
}

// inTheWay names what uses something that EC2 does not delete yet.
func (b *builder) inTheWay(id string) string {
	have := b.o.first(id)
	if have == nil {
		return ""
	}
	var out []string
	for _, other := range b.o.all() {
		if other.Kind != "interface" {
			continue
		}
		in := have.Kind == "subnet" && fleet.Text(other.Props, "subnetId") == have.Physical || have.Kind == "vpc" && fleet.Text(other.Props, "vpcId") == have.Physical
		for _, g := range fleet.Items(other.Props, "groups") {
			in = in || fleet.Text(g, "groupId") == have.Physical
		}
		if in {
			out = append(out, "network interface "+other.Physical+" ("+describes(other)+")")
		}
	}
	return strings.Join(out, ", ")
}

// given names what the cluster uses and is somebody else's. It stays.
func (b *builder) given() (kept []string) {
	stays := func(what, id string) {
		if id != "" {
			kept = union(kept, []string{fmt.Sprintf("%s %s stays: it is not ekspedite's", what, id)})
		}
	}
	ours := func(kind, physical string) bool {
		return slices.ContainsFunc(b.o.all(), func(r fleet.Resource) bool { return r.Kind == kind && r.Physical == physical })
	}
	role := func(arn string) {
		if !strings.Contains(arn, ":role"+RolePath(b.s)) {
			stays("role", arn)
		}
	}
	if c := b.o.Control(); c != nil {
		if vpc := fleet.Text(c.Props, "resourcesVpcConfig", "vpcId"); !ours("vpc", vpc) {
			stays("VPC", vpc)
		}
		role(fleet.Text(c.Props, "roleArn"))
	}
	for _, have := range b.o.all() {
		switch have.Kind {
		case "nodegroup":
			role(fleet.Text(have.Props, "nodeRole"))
			if id := fleet.Text(have.Props, "launchTemplate", "id"); !ours("template", id) {
				stays("launch template", id)
			}
		case "fargate":
			role(fleet.Text(have.Props, "podExecutionRoleArn"))
		case "capability":
			role(fleet.Text(have.Props, "roleArn"))
		case "vpngateway":
			if b.attachedTo(have) != "" {
				stays("virtual private gateway", have.Physical)
			}
		}
	}
	return kept
}
