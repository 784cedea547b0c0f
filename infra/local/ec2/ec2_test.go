package ec2

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// bus records events.
type bus struct {
	mu     sync.Mutex
	events []event
}

type event struct {
	at                 time.Time
	source, detailType string
	resources          []string
	detail             any
}

func (b *bus) Emit(source, detailType string, resources []string, detail any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, event{time.Now(), source, detailType, resources, detail})
}

func (b *bus) of(detailType string) []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.events), func(e event) bool { return e.detailType != detailType })
}

// rig is an EC2 with a network of one subnet, in a synctest bubble.
type rig struct {
	*Service
	t      *testing.T
	bus    *bus
	vpc    string
	subnet string
}

func inBubble(t *testing.T, options Options, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New("123456789012", "us-east-1", world.Fast, 1, slog.New(slog.DiscardHandler))
		defer w.Close()
		b := &bus{}
		r := &rig{Service: New(w, b, options), t: t, bus: b}
		v := must(r.createVPC(&createVPCIn{CidrBlock: "10.0.0.0/16"}))
		r.vpc = v.Vpc.VpcID
		r.subnet = must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.1.0/24", AvailabilityZone: "us-east-1b"})).Subnet.SubnetID
		f(t, r)
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func code(err error) string {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		return e.Code
	}
	return fmt.Sprint(err)
}

func (r *rig) wantCode(err error, want string) {
	r.t.Helper()
	if got := code(err); got != want {
		r.t.Errorf("error %q, want %q (%v)", got, want, err)
	}
}

func (r *rig) state(id string) string {
	i, _ := r.Instance(id)
	return i.State
}

func TestInstanceLife(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		var seen []string
		r.OnStateChange(func(i Instance) { seen = append(seen, i.State) })
		i := must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet}))[0]
		if i.State != "pending" || i.PrivateIP != "10.0.1.4" || i.PrivateDNSName != "ip-10-0-1-4.ec2.internal" || i.AZ != "us-east-1b" || i.VPCID != r.vpc {
			t.Errorf("a new instance: %+v", i)
		}
		time.Sleep(world.Fast.InstancePending)
		synctest.Wait()
		if got := r.state(i.ID); got != "running" {
			t.Errorf("after InstancePending: %s", got)
		}
		must(r.stopInstances(&changeIn{InstanceIDs: []string{i.ID}}))
		time.Sleep(world.Fast.InstanceShutdown)
		synctest.Wait()
		must(r.startInstances(&changeIn{InstanceIDs: []string{i.ID}}))
		_, err := r.stopInstances(&changeIn{InstanceIDs: []string{i.ID}})
		r.wantCode(err, "IncorrectInstanceState")
		r.Terminate(i.ID) // while pending: the timer to running must do nothing
		time.Sleep(time.Minute)
		synctest.Wait()
		if want := []string{"pending", "running", "stopping", "stopped", "pending", "shutting-down", "terminated"}; !slices.Equal(seen, want) {
			t.Errorf("states %v, want %v", seen, want)
		}
		if got := len(r.bus.of("EC2 Instance State-change Notification")); got != 7 {
			t.Errorf("%d state change events", got)
		}
		if n, _ := r.Subnet(r.subnet); n.FreeAddresses != 251 {
			t.Errorf("%d free addresses after the end, want 251", n.FreeAddresses)
		}
		x := must(r.describeInstances(&describeInstancesIn{InstanceIDs: []string{i.ID}})).Reservations[0].Instances[0]
		if x.State.Name != "terminated" || x.SubnetID != "" || x.PrivateIPAddress != "" || x.StateReason.Code != "Client.UserInitiatedShutdown" {
			t.Errorf("terminated: %+v", x)
		}
		time.Sleep(terminatedVisible)
		_, err = r.describeInstances(&describeInstancesIn{InstanceIDs: []string{i.ID}})
		r.wantCode(err, "InvalidInstanceID.NotFound")
	})
}

func TestSpotInterruption(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		od := must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet}))[0]
		spot := must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet, Spot: true}))[0]
		r.wantCode(r.Interrupt(spot.ID, ""), "IncorrectInstanceState")
		time.Sleep(time.Second)
		r.wantCode(r.Interrupt(od.ID, ""), "UnsupportedOperation")
		r.wantCode(r.Interrupt(spot.ID, "explode"), "InvalidParameterValue")
		if err := r.Recommend(spot.ID); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		if err := r.Interrupt(spot.ID, "terminate"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(world.Fast.SpotNotice - time.Millisecond)
		synctest.Wait()
		if got := r.state(spot.ID); got != "running" {
			t.Errorf("before the notice is over: %s", got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if i, _ := r.Instance(spot.ID); i.State != "shutting-down" || i.StateReason != "Server.SpotInstanceTermination" {
			t.Errorf("after the notice: %s %s", i.State, i.StateReason)
		}
		w := r.bus.of("EC2 Spot Instance Interruption Warning")
		if len(w) != 1 || w[0].source != "aws.ec2" || !w[0].at.Equal(at) || w[0].resources[0] != "arn:aws:ec2:us-east-1b:instance/"+spot.ID ||
			fmt.Sprint(w[0].detail) != "map[instance-action:terminate instance-id:"+spot.ID+"]" {
			t.Errorf("warnings: %+v", w)
		}
		if n := len(r.bus.of("EC2 Instance Rebalance Recommendation")); n != 1 {
			t.Errorf("%d recommendations", n)
		}
	})
}

func TestInterruptionOfAnInstanceThatWentBefore(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		i := must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet, Spot: true}))[0]
		time.Sleep(time.Second)
		if err := r.Interrupt(i.ID, "stop"); err != nil {
			t.Fatal(err)
		}
		r.Terminate(i.ID)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got, _ := r.Instance(i.ID); got.State != "terminated" || got.StateReason != "Client.UserInitiatedShutdown" {
			t.Errorf("%s %s", got.State, got.StateReason)
		}
	})
}

func TestCapacity(t *testing.T) {
	inBubble(t, Options{Insufficient: func(typ, _, _ string) bool { return typ == "c5.large" }}, func(t *testing.T, r *rig) {
		r.SetCapacity("m5.large", "us-east-1b", "spot", false)
		_, err := r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet, Spot: true})
		r.wantCode(err, "InsufficientInstanceCapacity")
		must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet}))
		_, err = r.Run(RunSpec{Type: "c5.large", SubnetID: r.subnet})
		r.wantCode(err, "InsufficientInstanceCapacity")
		r.SetCapacity("m5.large", "us-east-1b", "spot", true)
		must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet, Spot: true}))
		old := must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.9.0/28", AvailabilityZone: "us-east-1e"})).Subnet.SubnetID
		_, err = r.Run(RunSpec{Type: "m5.large", SubnetID: old})
		r.wantCode(err, "Unsupported")
	})
}

func TestAddressesOfASubnet(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		small := must(r.createSubnet(&createSubnetIn{VpcID: r.vpc, CidrBlock: "10.0.2.0/28"})).Subnet.SubnetID
		got := must(r.Run(RunSpec{Type: "m5.large", SubnetID: small, Count: 11}))
		if got[0].PrivateIP != "10.0.2.4" || got[10].PrivateIP != "10.0.2.14" {
			t.Errorf("from %s to %s", got[0].PrivateIP, got[10].PrivateIP)
		}
		_, err := r.Run(RunSpec{Type: "m5.large", SubnetID: small})
		r.wantCode(err, "InsufficientFreeAddressesInSubnet")
		_, err = r.deleteSubnet(&subnetIn{SubnetID: small})
		r.wantCode(err, "DependencyViolation")
		r.Terminate(got[3].ID)
		time.Sleep(time.Minute)
		if again := must(r.Run(RunSpec{Type: "m5.large", SubnetID: small}))[0]; again.PrivateIP != got[3].PrivateIP {
			t.Errorf("the free address is %s, given %s", got[3].PrivateIP, again.PrivateIP)
		}
	})
}

func TestFreshResourcesMayNotBeFound(t *testing.T) {
	stale := true
	inBubble(t, Options{Stale: func() bool { return stale }}, func(t *testing.T, r *rig) {
		i := must(r.Run(RunSpec{Type: "m5.large", SubnetID: r.subnet}))[0]
		in := &describeInstancesIn{InstanceIDs: []string{i.ID}}
		_, err := r.describeInstances(in)
		r.wantCode(err, "InvalidInstanceID.NotFound")
		time.Sleep(world.Fast.Settle)
		must(r.describeInstances(in))
		stale = false
	})
}

func TestNATGatewayLife(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		eip := must(r.allocate(&allocateIn{})).AllocationID
		nat := must(r.createNAT(&createNATIn{SubnetID: r.subnet, AllocationID: eip})).Gateway.ID
		state := func() string { return must(r.describeNATs(&describeNATsIn{IDs: []string{nat}})).Gateways[0].State }
		if got := state(); got != "pending" {
			t.Errorf("new: %s", got)
		}
		time.Sleep(world.Fast.NATGatewayCreate)
		synctest.Wait()
		if got := state(); got != "available" {
			t.Errorf("later: %s", got)
		}
		_, err := r.release(&releaseIn{AllocationID: eip})
		r.wantCode(err, "AuthFailure") // a NAT gateway has it
		must(r.deleteNAT(&natIn{ID: nat}))
		time.Sleep(world.Fast.NATGatewayCreate)
		synctest.Wait()
		if got := state(); got != "deleted" {
			t.Errorf("in the end: %s", got)
		}
		must(r.release(&releaseIn{AllocationID: eip}))
		must(r.deleteSubnet(&subnetIn{SubnetID: r.subnet}))
		time.Sleep(2 * natVisible)
		_, err = r.describeNATs(&describeNATsIn{IDs: []string{nat}})
		r.wantCode(err, "NatGatewayNotFound")
	})
}

func TestRunNeeds(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r *rig) {
		id := must(r.CreateLaunchTemplateFor("web", map[string]string{"team": "a"}, LaunchTemplateData{ImageID: "ami-1", InstanceType: "m5.large", InstanceProfile: "node", InstanceTags: map[string]string{"app": "x"}}))
		needs := r.runNeeds(&runIn{MinCount: 1, MaxCount: 1, SubnetID: r.subnet, LaunchTemplate: &templateRef{LaunchTemplateID: id}})
		got := map[string]bool{}
		for _, n := range needs {
			got[n.Action+" "+n.Resource] = true
		}
		for _, want := range []string{
			"ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:instance/*", "ec2:CreateTags arn:aws:ec2:us-east-1:123456789012:instance/*",
			"ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:volume/*", "ec2:RunInstances arn:aws:ec2:us-east-1::image/ami-1",
			"ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:subnet/" + r.subnet, "ec2:RunInstances arn:aws:ec2:us-east-1:123456789012:launch-template/" + id,
			"iam:PassRole arn:aws:iam::123456789012:role/node",
		} {
			if !got[want] {
				t.Errorf("no need %q in %v", want, got)
			}
		}
	})
}

func TestZones(t *testing.T) {
	for region, want := range map[string]string{"us-east-1": "use1-az6", "ap-southeast-1": "apse1-az1", "eu-central-1": "euc1-az1", "us-west-2": "usw2-az1"} {
		s := &Service{w: world.New("123456789012", region, world.Fast, 1, slog.New(slog.DiscardHandler))}
		if got := s.zones()[0].id; got != want {
			t.Errorf("%s: %s, want %s", region, got, want)
		}
	}
}

func TestCatalogue(t *testing.T) {
	for name, pods := range map[string]int{"m5.large": 29, "t3.medium": 17, "m6g.medium": 8, "c5.18xlarge": 737, "t4g.nano": 4, "r5.4xlarge": 234} {
		if got := catalogue[name].MaxPods; got != pods {
			t.Errorf("%s takes %d pods, want %d", name, got, pods)
		}
	}
}
