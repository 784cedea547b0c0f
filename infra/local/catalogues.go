package local

import (
	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/pricing"
	"github.com/ekspedite/ekspedite/infra/local/s3"
	"github.com/ekspedite/ekspedite/infra/local/ssm"
)

// priced are EC2's instance types as the price list has them.
func priced() []pricing.Instance {
	var out []pricing.Instance
	for _, t := range ec2.InstanceTypes() {
		out = append(out, pricing.Instance{Name: t.Name, VCPU: t.VCPU, MemoryMiB: t.MemoryMiB, Arch: t.Arch, Burstable: t.Burstable, Price: t.Price})
	}
	return out
}

// images are EC2's newest public images as Systems Manager publishes them.
func images(in *ec2.Service) []ssm.Image {
	var out []ssm.Image
	for _, i := range in.NewestImages() {
		out = append(out, ssm.Image{Parameter: i.Parameter, ID: i.ID, Name: i.Name, Release: i.Release, Created: i.Created})
	}
	return out
}

// bus is the default event bus of a bucket's Region.
func (c *Cloud) bus(region string) s3.Events {
	r, err := c.In(region)
	if err != nil { // the cloud has ended: nobody listens any more
		return nowhere{}
	}
	return r.EventBridge
}

// nowhere is a bus without rules.
type nowhere struct{}

// Emit implements s3.Events.
func (nowhere) Emit(string, string, []string, any) {}
