package local

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// In returns the services of a Region, which are made when they are first asked for: by this or by a call of an API.
func (c *Cloud) In(region string) (*Regional, error) {
	known, err := world.FindRegion(region)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.regions[region]; r != nil {
		return r, nil
	}
	if c.closing {
		return nil, errors.New("the embedded cloud has ended")
	}
	// The home Region has the data folder itself. The short name is short for the sake of the sockets below.
	r := newRegional(c, c.World.In(region), filepath.Join(c.options.DataDir, known.Short()))
	c.regions[region] = r
	return r, nil
}

// elsewhere is In for the gateway.
func (c *Cloud) elsewhere(region string) ([]*wire.Service, error) {
	r, err := c.In(region)
	if err != nil {
		return nil, err
	}
	return slices.Concat(c.Global.apis(), r.apis()), nil
}

// used returns the services of all Regions that are in use: the home Region first, then by name.
func (c *Cloud) used() []*Regional {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.regions {
		if name != c.World.Region {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	all := []*Regional{c.Regional}
	for _, name := range names {
		all = append(all, c.regions[name])
	}
	return all
}

// Clusters lists the EKS clusters of all Regions.
func (c *Cloud) Clusters() []eks.ClusterInfo {
	var all []eks.ClusterInfo
	for _, r := range c.used() {
		all = append(all, r.EKS.Clusters()...)
	}
	return all
}

// machines is the EC2 that has an instance. Where none has it, it is the home Region's, which then says so.
func (c *Cloud) machines(instanceID string) *ec2.Service {
	for _, r := range c.used() {
		if _, ok := r.EC2.Instance(instanceID); ok {
			return r.EC2
		}
	}
	return c.EC2
}

// machinesIn is the EC2 of a zone; of the home Region when no zone is named.
func (c *Cloud) machinesIn(zone string) (*ec2.Service, error) {
	if zone == "" {
		return c.EC2, nil
	}
	for _, r := range world.Regions() {
		if slices.ContainsFunc(r.Zones, func(z world.Zone) bool { return z.Name == zone }) {
			in, err := c.In(r.Name)
			if err != nil {
				return nil, err
			}
			return in.EC2, nil
		}
	}
	return nil, wire.Errf("InvalidParameterValue", "Invalid availability zone: [%s]", zone)
}

// end ends the services of all Regions. No new ones are made after.
func (c *Cloud) end() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	all := c.used()
	var wg sync.WaitGroup
	for _, r := range all {
		wg.Go(r.EKS.Close) // each may wait for many processes
	}
	wg.Wait()
	c.World.Close()
	for _, r := range all {
		r.Lambda.Close()
	}
}
