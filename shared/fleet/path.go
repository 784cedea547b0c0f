package fleet

// RolePath is the IAM path of all that is made for a cluster, by which it is found again and told from what is others'.
// Roles have no Region, so that their paths need one.
func RolePath(id ClusterID) string { return "/ekspedite/" + id.Region + "/" + id.Name + "/" }
