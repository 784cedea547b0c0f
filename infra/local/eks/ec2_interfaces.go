package eks

import "errors"

func (e onEC2) Zones() map[string]string { return e.svc.Zones() }

func (e onEC2) VPC(id string) (string, bool) { return e.svc.VPC(id) }

func (e onEC2) SecurityGroupVPC(id string) (string, bool) { return e.svc.SecurityGroupVPC(id) }

func (e onEC2) CreateControlPlaneInterfaces(cluster string, subnetIDs, groups []string) ([]string, error) {
	var ids []string
	for _, subnet := range subnetIDs {
		id, err := e.svc.CreateServiceInterface(subnet, "Amazon EKS "+cluster, groups, nil)
		if err != nil {
			return nil, errors.Join(err, e.DeleteInterfaces(ids))
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (e onEC2) DeleteInterfaces(ids []string) error {
	var errs []error
	for _, id := range ids {
		errs = append(errs, e.svc.DeleteServiceInterface(id))
	}
	return errors.Join(errs...)
}
