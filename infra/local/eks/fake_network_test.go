package eks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (f *fakeEC2) Zones() map[string]string {
	return map[string]string{"us-east-1a": "use1-az1", "us-east-1b": "use1-az2", "us-east-1e": "use1-az3"}
}

func (f *fakeEC2) VPC(string) (string, bool) { return "10.0.0.0/16", true }

func (f *fakeEC2) SecurityGroupVPC(id string) (string, bool) {
	vpc, ok := map[string]string{"sg-1": "vpc-1", "sg-2": "vpc-1", "sg-x": "vpc-2"}[id]
	return vpc, ok
}

func (f *fakeEC2) CreateControlPlaneInterfaces(_ string, subnetIDs, groups []string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return nil, errors.New("InsufficientFreeAddressesInSubnet")
	}
	var ids []string
	for _, subnet := range subnetIDs {
		f.enis++
		id := fmt.Sprintf("eni-%04d", f.enis)
		f.interfaces[id] = subnet + " " + strings.Join(groups, " ")
		ids = append(ids, id)
	}
	return ids, nil
}

func (f *fakeEC2) DeleteInterfaces(ids []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		delete(f.interfaces, id)
	}
	return nil
}

// inSubnets lists the control plane's network interfaces: subnet and security groups.
func (f *fakeEC2) inSubnets() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Values(f.interfaces))
}
