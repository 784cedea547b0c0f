package ec2

import (
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type attachInterfaceIn struct {
	DryRun              bool
	ID                  string `query:"NetworkInterfaceId"`
	InstanceID          string `query:"InstanceId"`
	DeviceIndex         *int
	NetworkCardIndex    int
	EnaQueueCount       *form.Unsupported
	EnaSrdSpecification *form.Unsupported
}

type attachInterfaceOut struct {
	ID   string `xml:"attachmentId"`
	Card int    `xml:"networkCardIndex"`
}

type detachInterfaceIn struct {
	DryRun       bool
	AttachmentID string `query:"AttachmentId"`
	Force        bool
}

func (s *Service) attachmentOps() []wire.Op {
	return []wire.Op{
		handle("AttachNetworkInterface", func(in *attachInterfaceIn) []wire.Need {
			return s.needs("ec2:AttachNetworkInterface", in.ID, in.InstanceID)
		}, s.attachInterface),
		handle("DetachNetworkInterface", func(in *detachInterfaceIn) []wire.Need {
			return s.needs("ec2:DetachNetworkInterface", s.attachedBy(in.AttachmentID)...)
		}, s.detachInterface),
	}
}

func noAttachment(id string) error {
	return wire.Errf("InvalidAttachmentID.NotFound", "The networkInterface attachment ID '%s' does not exist", id)
}

func (s *Service) attachInterface(in *attachInterfaceIn) (*attachInterfaceOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*networkInterface](s, kindInterface, in.ID)
	if err != nil {
		return nil, err
	}
	i, err := get[*instance](s, kindInstance, in.InstanceID)
	switch {
	case err != nil:
		return nil, err
	case in.DeviceIndex == nil:
		return nil, missing("DeviceIndex")
	case n.attached != nil:
		return nil, invalid("Interface: [%s] in use.", n.id)
	case i.state != "running" && i.state != "stopped":
		return nil, wire.Errf("IncorrectState", "Instance '%s' is not 'running' or 'stopped'", i.id)
	case n.subnet.az != i.az:
		return nil, invalid("You may not attach a network interface to an instance if they are not in the same availability zone")
	case len(i.nics) >= i.typ.MaxENI:
		return nil, wire.Errf("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(i.nics)+1, i.typ.Name)
	case slices.ContainsFunc(i.nics, func(o *networkInterface) bool { return o.attached.index == *in.DeviceIndex }):
		return nil, invalid("Instance '%s' already has an interface attached at device index '%d'.", i.id, *in.DeviceIndex)
	}
	s.attach(n, i, *in.DeviceIndex, in.NetworkCardIndex, false)
	return &attachInterfaceOut{n.attached.id, in.NetworkCardIndex}, nil
}

// attach puts an interface on an instance. The lock is held.
func (s *Service) attach(n *networkInterface, i *instance, index, card int, deleteOnTermination bool) {
	n.attached = &attachment{"eni-attach-" + s.w.Hex(17), i, index, card, time.Now(), deleteOnTermination}
	i.nics = append(i.nics, n)
}

// findAttachment finds an interface by what it is on. The lock is held.
func (s *Service) findAttachment(id string) *networkInterface {
	for _, n := range all[*networkInterface](s) {
		if n.attached != nil && n.attached.id == id {
			return n
		}
	}
	return nil
}

func (s *Service) attachedBy(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.findAttachment(id)
	switch {
	case n == nil:
		return nil
	case n.attached.instance == nil:
		return []string{n.id}
	}
	return []string{n.id, n.attached.instance.id}
}

func (s *Service) detachInterface(in *detachInterfaceIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.findAttachment(in.AttachmentID)
	switch {
	case n == nil:
		return nil, noAttachment(in.AttachmentID)
	case n.attached.instance == nil:
		return nil, wire.Errf("OperationNotPermitted", "You are not allowed to manage 'ela-attach' attachments.")
	case n.attached.instance.nic == n:
		return nil, wire.Errf("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
	}
	i := n.attached.instance
	i.nics = slices.DeleteFunc(i.nics, func(o *networkInterface) bool { return o == n })
	n.attached = nil
	return &done{true}, nil
}
