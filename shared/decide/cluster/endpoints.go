package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// idServices is what AWS offers as VPC endpoints in the Region, read while endpoints are made.
const idServices = "endpointservices"

const gatewayService = "s3" // whose endpoint is a route

// endpointServices are the services that a cluster without a way to the internet reaches by VPC endpoints: eksctl's list.
// The control plane's logs go their own way, and eksctl has the endpoint for whoever reads them. Pods that get their IAM
// role by EKS Pod Identity ask eks-auth for it, which is newer than that list.
func endpointServices(s fleet.ClusterSpec) []string {
	out := []string{"ec2", "ecr.api", "ecr.dkr", gatewayService, "sts"}
	if s.Outpost != nil {
		out = append(out, "ssm", "ssmmessages", "ec2messages", "secretsmanager")
	}
	out = union(out, s.Network.ExtraEndpoints)
	if len(s.Logging) > 0 {
		out = union(out, []string{"logs"})
	}
	identities := len(s.IAM.PodIdentities) > 0 || s.IAM.AutoApplyAddonPodIdentity
	for _, a := range s.Addons {
		identities = identities || len(a.PodIdentities) > 0 || a.UseDefaultPodIdentity || a.Name == "eks-pod-identity-agent"
	}
	if identities {
		out = union(out, []string{"eks-auth"})
	}
	return out
}

// wantsEndpoints tells whether VPC endpoints are made.
func wantsEndpoints(s fleet.ClusterSpec) bool {
	return s.Network.FullyPrivate && !s.Network.NoEndpoints
}

// serviceName is a service's name for VPC endpoints. Some have other names in some partitions.
func serviceName(region, service string) string {
	prefix := "com.amazonaws"
	for _, p := range []struct {
		regions, prefix string
		services        []string
	}{
		{"cn-", "cn.com.amazonaws", []string{"ec2", "ecr.api", "ecr.dkr", "sts", "cloudformation"}},
		{"us-iso-", "gov.ic.c2s", []string{"ec2", "ecr.api", "ecr.dkr", "autoscaling"}},
		{"us-isob-", "gov.sgov.sc2s", []string{"ec2", "ecr.api", "ecr.dkr", "autoscaling"}},
		{"eu-isoe-", "uk.adc-e.cloud", []string{"ecr.api", "ecr.dkr"}},
		{"us-isof-", "gov.ic.hci.csp", []string{"ecr.api", "ecr.dkr"}},
	} {
		if strings.HasPrefix(region, p.regions) && slices.Contains(p.services, service) {
			prefix = p.prefix
		}
	}
	return prefix + "." + region + "." + service
}

// endpoints adds the VPC endpoints of a fully private cluster, in its private subnets.
func (b *builder) endpoints(n *network) {
	if !wantsEndpoints(b.s) {
		return
	}
	var names []string
	services := endpointServices(b.s)
	for _, s := range services {
		names = append(names, serviceName(b.s.Region, s))
	}
	b.add(thing{Ref: fleet.Ref{ID: idServices, Kind: idServices, Name: strings.Join(names, ",")}, area: "network"})
	b.endpointsGroup()
	for _, s := range services {
		id := "endpoint/" + s
		n.doors = append(n.doors, id)
		if s == gatewayService {
			b.gatewayEndpoint(id, n)
		} else {
			b.interfaceEndpoint(id, s, n)
		}
	}
	for i, s := range n.subnets {
		if !s.public {
			n.subnets[i].ways = append(n.subnets[i].ways, n.doors...)
		}
	}
}

// endpointsGroup adds the security group that lets the VPC reach the endpoints.
func (b *builder) endpointsGroup() {
	id := idVPC
	if b.s.Network.VPC != "" {
		id = idGivenVPC
	}
	var ranges []string
	if v := b.o.first(id); v != nil {
		ranges = vpcRanges(v.Props)
	} else if g := b.o.first(idEndpointsGroup); g != nil { // a look that did not read the VPC
		for r := range letIn(g.Props) {
			ranges = append(ranges, r)
		}
	} else if b.s.Network.VPC == "" {
		ranges = []string{b.s.Network.CIDR}
	}
	b.securityGroup(idEndpointsGroup, "VPC endpoints of EKS cluster "+b.s.Name, ranges, "use the VPC endpoints")
}

// offered are the zones in which a service has endpoints; known is false while that was not read, and here while there are
// no such endpoints.
func (b *builder) offered(service string) (zones []string, known, here bool) {
	have := b.o.first(idServices)
	if have == nil {
		return nil, false, true
	}
	for _, d := range fleet.Items(have.Props, "serviceDetails") {
		for _, t := range fleet.Items(d, "serviceType") {
			if fleet.Text(d, "serviceName") == serviceName(b.s.Region, service) && (fleet.Text(t, "serviceType") == "Gateway") == (service == gatewayService) {
				return fleet.Texts(d, "availabilityZones"), true, true
			}
		}
	}
	return nil, true, false
}

// interfaceEndpoint adds an endpoint that has an address in each zone, and answers by the service's own name.
func (b *builder) interfaceEndpoint(id, service string, n *network) {
	zones, known, here := b.offered(service)
	if !here {
		b.noService(id, service)
		return
	}
	var subnets, used []string
	for _, s := range n.subnets { // one a zone
		if !s.public && s.regular() && !slices.Contains(used, s.zone) && (!known || slices.Contains(zones, s.zone)) {
			subnets, used = append(subnets, s.id), append(used, s.zone)
		}
	}
	b.endpoint(id, slices.Concat([]string{idServices, idEndpointsGroup, idEndpointsGroup + "/rules"}, n.base, subnets),
		fleet.Props{
			"vpcEndpointType": "Interface", "serviceName": serviceName(b.s.Region, service), "privateDnsEnabled": true,
			"subnetIds": b.physical(subnets), "securityGroupIds": b.physical([]string{idEndpointsGroup}),
		},
		func(have fleet.Resource) fleet.Props {
			change := fleet.Props{}
			if known { // a light look does not know which zones the service has; a new zone is more than it can do anyway
				change["addSubnetIds"] = lacking(b.physical(subnets), fleet.Texts(have.Props, "subnetIds"))
			}
			var groups []string
			for _, g := range fleet.Items(have.Props, "groups") {
				groups = append(groups, fleet.Text(g, "groupId"))
			}
			change["addSecurityGroupIds"] = lacking(b.physical([]string{idEndpointsGroup}), groups)
			if on, said := have.Props["privateDnsEnabled"]; said && on != true {
				change["privateDnsEnabled"] = true
			}
			return change
		})
}

// gatewayEndpoint adds S3's, which is a route in the tables of private subnets.
func (b *builder) gatewayEndpoint(id string, n *network) {
	if _, _, here := b.offered(gatewayService); !here {
		b.noService(id, gatewayService)
		return
	}
	tables, needs := b.physical(n.tables), slices.Concat([]string{idServices}, n.base, n.tables)
	if b.s.Network.VPC != "" {
		var bare []string
		if tables, bare = b.givenTables(n); len(bare) > 0 {
			b.missing(id, "subnet %s uses the main route table of VPC %s, which is not ekspedite's to change: associate a table of its own with it, or set privateCluster.skipEndpointCreation",
				strings.Join(bare, ", "), b.s.Network.VPC)
			return
		}
		needs = append(needs, idGivenRoutes)
	}
	b.endpoint(id, needs,
		fleet.Props{"vpcEndpointType": "Gateway", "serviceName": serviceName(b.s.Region, gatewayService), "routeTableIds": tables},
		func(have fleet.Resource) fleet.Props {
			return fleet.Props{"addRouteTableIds": lacking(tables, fleet.Texts(have.Props, "routeTableIds"))}
		})
}

// givenTables are the route tables of a given VPC's private subnets, and the subnets that have none of their own.
func (b *builder) givenTables(n *network) (tables []any, bare []string) {
	b.add(thing{Ref: fleet.Ref{ID: idGivenRoutes, Kind: idGivenRoutes, Name: b.s.Network.VPC}, area: "network"})
	have := b.o.first(idGivenRoutes)
	if have == nil {
		return nil, nil
	}
	of := map[string]string{}
	for _, t := range fleet.Items(have.Props, "routeTables") {
		for _, a := range fleet.Items(t, "associations") {
			of[fleet.Text(a, "subnetId")] = fleet.Text(t, "routeTableId")
		}
	}
	for _, s := range n.subnets {
		switch table := of[s.known]; {
		case s.public || !s.regular() || s.known == "":
		case table == "":
			bare = append(bare, s.known)
		case !slices.Contains(tables, any(table)):
			tables = append(tables, table)
		}
	}
	return tables, bare
}

func (b *builder) noService(id, service string) {
	b.missing(id, "AWS offers no VPC endpoint for %s in %s, without which a fully private cluster cannot work: choose another Region, or drop it from privateCluster", service, b.s.Region)
}

// endpoint adds an endpoint. wrong is what of it is to be changed, in ModifyVpcEndpoint's words.
func (b *builder) endpoint(id string, needs []string, in fleet.Props, wrong func(have fleet.Resource) fleet.Props) {
	service := strings.TrimPrefix(id, "endpoint/")
	b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "endpoint"}, area: "network", needs: needs,
		create: func() plan.Call {
			in["vpcId"], in["tagSpecifications"] = b.vpcID(), specification("vpc-endpoint", b.tags(id))
			in["clientToken"] = b.token(id, in)
			return b.call(plan.Create, id, "ec2:CreateVpcEndpoint", "create the VPC endpoint of "+service, in)
		},
		differ: func(have fleet.Resource) ([]plan.Call, []string) {
			if change := fleet.Drop(wrong(have)); len(change) > 0 {
				change["vpcEndpointId"] = have.Physical
				return []plan.Call{b.call(plan.Change, id, "ec2:ModifyVpcEndpoint", fmt.Sprintf("extend the VPC endpoint of %s to all private subnets", service), change)}, nil
			}
			return b.retagged(have, b.tags(id)), nil
		},
		remake: func(have fleet.Resource) plan.Call {
			return b.call(plan.Delete, id, "ec2:DeleteVpcEndpoints", "delete VPC endpoint "+have.Physical+", which failed", fleet.Props{"vpcEndpointIds": []any{have.Physical}})
		},
	})
}

// lacking are the ids of a list that are known and that another one does not have.
func lacking(want []any, have []string) (out []any) {
	for _, w := range want {
		if s, _ := w.(string); !plan.IsUnknown(s) && !slices.Contains(have, s) {
			out = append(out, s)
		}
	}
	return out
}
