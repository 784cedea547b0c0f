package ec2

// InstanceTypes returns the catalogue, by name.
func InstanceTypes() []InstanceType {
	var out []InstanceType
	for _, name := range typeNames {
		out = append(out, catalogue[name])
	}
	return out
}
