package ec2

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// says checks an error's code and text: customers match on both.
func (r *rig) says(err error, want string, args ...any) {
	r.t.Helper()
	if got := fmt.Sprint(err); got != fmt.Sprintf(want, args...) {
		r.t.Errorf("error %q\nwant  %q", got, fmt.Sprintf(want, args...))
	}
}

// TestDeletionInTheWrongOrder makes the network of a cluster and takes it away from the wrong end first.
func TestDeletionInTheWrongOrder(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		igw := must(r.createGateway(&createGatewayIn{})).Gateway.ID
		must(r.attachGateway(&gatewayIn{InternetGatewayID: igw, VpcID: r.vpc}))
		table := must(r.createRouteTable(&createRouteTableIn{VpcID: r.vpc})).RouteTable.ID
		association := must(r.associate(&associateIn{RouteTableID: table, SubnetID: r.subnet})).AssociationID
		must(r.createRoute(&routeIn{RouteTableID: table, DestinationCidrBlock: "0.0.0.0/0", GatewayID: igw}))
		eip := must(r.allocate(&allocateIn{})).AllocationID
		nat := must(r.createNAT(&createNATIn{SubnetID: r.subnet, AllocationID: eip})).Gateway.ID
		a := must(r.CreateSecurityGroupFor(r.vpc, "a", "a", nil))
		b := must(r.CreateSecurityGroupFor(r.vpc, "b", "b", nil))
		r.addRule(r.byID[a].(*securityGroup), allows{protocol: "-1", from: -1, to: -1, peer: b}, "", nil)

		_, err := r.deleteVPC(&vpcIn{VpcID: r.vpc})
		r.says(err, "DependencyViolation: The vpc '%s' has dependencies and cannot be deleted.", r.vpc)
		_, err = r.deleteSubnet(&subnetIn{SubnetID: r.subnet})
		r.says(err, "DependencyViolation: The subnet '%s' has dependencies and cannot be deleted.", r.subnet)
		_, err = r.deleteSecurityGroup(&groupIn{GroupID: b})
		r.says(err, "DependencyViolation: resource %s has a dependent object", b)
		_, err = r.deleteRouteTable(&routeTableIn{RouteTableID: table})
		r.says(err, "DependencyViolation: The routeTable '%s' has dependencies and cannot be deleted.", table)
		_, err = r.deleteGateway(&gatewayIn{InternetGatewayID: igw})
		r.says(err, "DependencyViolation: The internetGateway '%s' has dependencies and cannot be deleted.", igw)
		_, err = r.detachGateway(&gatewayIn{InternetGatewayID: igw, VpcID: r.vpc})
		r.says(err, "DependencyViolation: Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", r.vpc)
		_, err = r.release(&releaseIn{AllocationID: eip})
		r.says(err, "AuthFailure: You do not have permission to access the specified resource.")

		must(r.deleteNAT(&natIn{ID: nat}))
		_, err = r.deleteSubnet(&subnetIn{SubnetID: r.subnet})
		r.wantCode(err, "DependencyViolation") // the gateway's interface stays until it is deleted
		time.Sleep(time.Minute)
		synctest.Wait()
		must(r.release(&releaseIn{AllocationID: eip}))
		must(r.detachGateway(&gatewayIn{InternetGatewayID: igw, VpcID: r.vpc}))
		must(r.deleteGateway(&gatewayIn{InternetGatewayID: igw}))
		must(r.disassociate(&associateIn{AssociationID: association}))
		must(r.deleteRouteTable(&routeTableIn{RouteTableID: table}))
		must(r.deleteSecurityGroup(&groupIn{GroupID: a}))
		must(r.deleteSecurityGroup(&groupIn{GroupID: b}))
		must(r.deleteSubnet(&subnetIn{SubnetID: r.subnet}))
		must(r.deleteVPC(&vpcIn{VpcID: r.vpc}))
		for _, o := range r.order { // the NAT gateway is shown for an hour
			if _, ok := o.(*natGateway); !ok {
				t.Errorf("%s is left", o.rec().id)
			}
		}
	})
}
