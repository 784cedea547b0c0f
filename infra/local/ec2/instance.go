package ec2

import (
	"encoding/base64"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// terminatedVisible is how long a terminated instance stays in describes: "about an hour" in the EC2 user guide.
const terminatedVisible = time.Hour

// instance is one machine, and the record of one for an hour after its end.
type instance struct {
	record
	typ        InstanceType
	subnet     *subnet
	az         string
	state      string
	reason     stateReason
	launched   time.Time
	ended      time.Time
	transition int        // counts state changes, so that a timer of an earlier one does nothing
	privateIP  netip.Addr // of nic; kept when that is gone
	publicIP   string     // lent by EC2 while the instance runs
	nic        *networkInterface
	nics       []*networkInterface // nic among them
	disks      []*volume           // the root first
	lent       bool                // a public address, whenever it runs
	image, key string
	rootDevice string
	names      nameOptions
	block      bool // of a capacity block
	trouble    trouble
	// inReservation is the capacity reservation or block that it runs in.
	inReservation string
	placement     string
	userData      string
	profile       *profile
	role          string    // ARN of the profile's role at launch
	template      *template // that it was launched from
	spotRequest   string    // sir-…; empty for on-demand
	market        marketOptions
	reservation   string
	index         int
	clientToken   string
	metadata      metadataOptions
	monitoring    bool
}

type stateReason struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
}

// stateCodes are the low bytes of EC2's instance states.
var stateCodes = map[string]int{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

// Instance is what others may know of an instance.
type Instance struct {
	ID, Type, AZ, SubnetID, VPCID   string
	PrivateIP, PrivateDNSName       string
	Lifecycle                       string // "spot" or ""
	State                           string
	LaunchTemplateID, ImageID, Arch string
	StateReason                     string // code of the last change: Client.UserInitiatedShutdown, Server.SpotInstanceTermination, …
	Tags                            map[string]string
	LaunchTime                      time.Time
	InstanceProfile                 string // name or ARN, as it was launched with
	Role                            string // ARN of the profile's role; empty without a profile
	UserData                        string // plain
	IPv6                            string // empty without
	SecurityGroups                  []string
}

func (i *instance) dnsName(region string) string {
	name := ipName(i.privateIP, region)
	if i.names.HostnameType == "resource-name" {
		return i.id + name[strings.IndexByte(name, '.'):]
	}
	return name
}

func (s *Service) export(i *instance) Instance {
	out := Instance{
		ID: i.id, Type: i.typ.Name, AZ: i.az, SubnetID: i.subnet.id, VPCID: i.subnet.vpc.id, PrivateIP: i.privateIP.String(),
		PrivateDNSName: i.dnsName(s.w.Region), State: i.state, ImageID: i.image, Arch: i.typ.Arch, StateReason: i.reason.Code,
		Tags: maps.Clone(i.tags), LaunchTime: i.launched,
	}
	switch {
	case i.spotRequest != "":
		out.Lifecycle = "spot"
	case i.block:
		out.Lifecycle = "capacity-block"
	}
	if i.profile != nil {
		out.InstanceProfile, out.Role = i.profile.Arn+i.profile.Name, i.role
	}
	if raw, err := base64.StdEncoding.DecodeString(i.userData); err == nil { // it was checked at launch
		out.UserData = string(raw)
	}
	if i.nic != nil {
		out.SecurityGroups = slices.Clone(i.nic.groups)
		if len(i.nic.ipv6) > 0 {
			out.IPv6 = i.nic.ipv6[0].String()
		}
	}
	if i.template != nil {
		out.LaunchTemplateID = i.template.id
	}
	return out
}

// Instance finds an instance by id; a terminated one for as long as describes show it.
func (s *Service) Instance(id string) (Instance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.byID[id].(*instance)
	if !ok {
		return Instance{}, false
	}
	return s.export(i), true
}

// OnStateChange registers a listener for every state change, the first pending included. Listeners are called one after
// another in a goroutine of their own, in order, without locks; a slow one delays the others.
func (s *Service) OnStateChange(f func(Instance)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, f)
}

// enter moves an instance to a state and has everybody told. The lock is held.
func (s *Service) enter(i *instance, state string) {
	i.state = state
	i.transition++
	seen, listeners := s.export(i), slices.Clone(s.listeners)
	s.outbox.Post(func() {
		for _, f := range listeners {
			f(seen)
		}
		s.events.Emit("aws.ec2", "EC2 Instance State-change Notification", []string{s.arn("instance", seen.ID)},
			map[string]string{"instance-id": seen.ID, "state": seen.State})
	})
}

// later moves an instance on after d, unless it went elsewhere by then. The lock is held.
func (s *Service) later(i *instance, d time.Duration, state string) {
	step := i.transition
	s.w.After(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if i.transition != step {
			return
		}
		if state == "terminated" {
			i.ended = time.Now()
			i.publicIP = ""
			s.letGo(i)
		}
		if state == "stopped" {
			i.publicIP = ""
		}
		s.enter(i, state)
	})
}

// letGo takes an instance's interfaces and volumes away, or leaves those behind that are to outlive it. The lock is held.
func (s *Service) letGo(i *instance) {
	for _, n := range i.nics {
		if n.attached.deleteOnTermination {
			s.dropInterface(n)
		} else {
			n.attached = nil
		}
	}
	i.nics = nil
	for _, v := range i.disks {
		if v.deleteOnTermination {
			s.remove(v)
		} else {
			v.on = nil
		}
	}
	i.disks = nil
}

func (s *Service) terminate(i *instance, reason stateReason) {
	if i.state == "shutting-down" || i.state == "terminated" {
		return
	}
	i.reason = reason
	s.enter(i, "shutting-down")
	s.later(i, s.w.Profile.InstanceShutdown, "terminated")
}

func (s *Service) stop(i *instance, reason stateReason) {
	i.reason = reason
	s.enter(i, "stopping")
	s.later(i, s.w.Profile.InstanceShutdown, "stopped")
}

// forget drops instances that ended long ago. The lock is held.
func (s *Service) forget() {
	for _, i := range all[*instance](s) {
		if i.state == "terminated" && time.Since(i.ended) > terminatedVisible {
			s.remove(i)
		}
	}
}

var (
	byUser     = stateReason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
	bySpot     = stateReason{"Server.SpotInstanceTermination", "Server.SpotInstanceTermination: Spot instance termination"}
	bySpotStop = stateReason{"Server.SpotInstanceShutdown", "Server.SpotInstanceShutdown: Spot instance shutdown"}
)

type changeIn struct {
	DryRun         bool
	InstanceIDs    []string `query:"InstanceId"`
	Force          bool
	Hibernate      bool
	SkipOsShutdown bool
}

type stateXML struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

func stateOf(name string) stateXML { return stateXML{stateCodes[name], name} }

type changeXML struct {
	InstanceID string   `xml:"instanceId"`
	Current    stateXML `xml:"currentState"`
	Previous   stateXML `xml:"previousState"`
}

type changeOut struct {
	Instances []changeXML `xml:"instancesSet>item"`
}

// change does to all instances of a request what check allows for each of them, or to none.
func (s *Service) change(in *changeIn, check func(*instance) error, do func(*instance)) (*changeOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.InstanceIDs) == 0 {
		return nil, missing("InstanceId")
	}
	s.forget()
	items, _, err := describe(s, kindInstance, filters[*instance]{}, query{ids: in.InstanceIDs})
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		if err := check(i); err != nil {
			return nil, err
		}
	}
	out := &changeOut{}
	for _, i := range items {
		x := changeXML{InstanceID: i.id, Previous: stateOf(i.state)}
		do(i)
		x.Current = stateOf(i.state)
		out.Instances = append(out.Instances, x)
	}
	return out, nil
}

func (s *Service) terminateInstances(in *changeIn) (*changeOut, error) {
	return s.change(in, func(*instance) error { return nil }, func(i *instance) { s.terminate(i, byUser) })
}

func (s *Service) stopInstances(in *changeIn) (*changeOut, error) {
	if in.Hibernate {
		return nil, wire.Errf("UnsupportedHibernationConfiguration", "Hibernation is not configured for this instance")
	}
	return s.change(in, func(i *instance) error {
		switch {
		case i.spotRequest != "":
			return wire.Errf("UnsupportedOperation", "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.", i.id)
		case i.state == "running" || i.state == "stopping" || i.state == "stopped":
			return nil
		}
		return wire.Errf("IncorrectInstanceState", "This instance '%s' is not in a state from which it can be stopped.", i.id)
	}, func(i *instance) {
		if i.state == "running" {
			s.stop(i, byUser)
		}
	})
}

func (s *Service) startInstances(in *changeIn) (*changeOut, error) {
	return s.change(in, func(i *instance) error {
		switch {
		case i.spotRequest != "" && i.state != "running":
			return wire.Errf("IncorrectSpotRequestState", "You can't start the Spot Instance '%s' because the associated Spot Instance request is not in an appropriate state to support start.", i.id)
		case i.state == "stopped" || i.state == "running" || i.state == "pending":
			return nil
		}
		return wire.Errf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", i.id)
	}, func(i *instance) {
		if i.state == "stopped" {
			i.launched, i.reason = time.Now(), stateReason{}
			if i.nic.address == nil && i.lent {
				i.publicIP = s.publicIP()
			}
			s.enter(i, "pending")
			s.later(i, s.w.Profile.InstancePending, "running")
		}
	})
}

// Terminate ends instances, as a user's call does; ids that do not exist are passed over.
func (s *Service) Terminate(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if i, ok := s.byID[id].(*instance); ok {
			s.terminate(i, byUser)
		}
	}
}
