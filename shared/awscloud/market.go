package awscloud

import (
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// maxFilterValues is how many values EC2 takes in one filter.
const maxFilterValues = 200

// Machines are the instance types of the current generation that offer what a selector asks for, with the zones in which
// they are to be had.
func (r *Region) Machines(ctx context.Context, s fleet.InstanceSelector) ([]fleet.InstanceType, error) {
	filters := []types.Filter{{Name: aws.String("current-generation"), Values: []string{"true"}}}
	with := func(name, value string) {
		if value != "" && value != "0" {
			filters = append(filters, types.Filter{Name: &name, Values: []string{value}})
		}
	}
	with("processor-info.supported-architecture", s.Arch)
	with("vcpu-info.default-vcpus", strconv.Itoa(s.VCPUs))
	with("memory-info.size-in-mib", strconv.Itoa(s.MemoryMiB))
	found := map[string]*fleet.InstanceType{}
	var names []string
	pages := ec2.NewDescribeInstanceTypesPaginator(r.ec2, &ec2.DescribeInstanceTypesInput{Filters: filters})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeInstanceTypes", err)
		}
		for _, t := range page.InstanceTypes {
			m := machine(t)
			found[m.Name], names = &m, append(names, m.Name)
		}
	}
	slices.Sort(names)
	for some := range slices.Chunk(names, maxFilterValues) {
		if err := r.offerings(ctx, some, found); err != nil {
			return nil, err
		}
	}
	var out []fleet.InstanceType
	for _, name := range names {
		slices.Sort(found[name].Zones)
		out = append(out, *found[name])
	}
	return out, nil
}

func machine(t types.InstanceTypeInfo) fleet.InstanceType {
	m := fleet.InstanceType{Name: string(t.InstanceType)}
	if t.VCpuInfo != nil {
		m.VCPUs = int(deref(t.VCpuInfo.DefaultVCpus))
	}
	if t.MemoryInfo != nil {
		m.MemoryMiB = int(deref(t.MemoryInfo.SizeInMiB))
	}
	if t.GpuInfo != nil {
		for _, g := range t.GpuInfo.Gpus {
			m.GPUs += int(deref(g.Count))
		}
	}
	if t.NeuronInfo != nil {
		for _, d := range t.NeuronInfo.NeuronDevices {
			m.Neuron += int(deref(d.Count))
		}
	}
	if t.InferenceAcceleratorInfo != nil && m.Neuron == 0 { // Inferentia of the first generation
		for _, d := range t.InferenceAcceleratorInfo.Accelerators {
			m.Neuron += int(deref(d.Count))
		}
	}
	if t.ProcessorInfo != nil {
		for _, a := range t.ProcessorInfo.SupportedArchitectures {
			m.Arch = append(m.Arch, string(a))
		}
	}
	return m
}

// offerings fills in where types are to be had.
func (r *Region) offerings(ctx context.Context, names []string, found map[string]*fleet.InstanceType) error {
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(r.ec2, &ec2.DescribeInstanceTypeOfferingsInput{
		LocationType: types.LocationTypeAvailabilityZone, Filters: []types.Filter{{Name: aws.String("instance-type"), Values: names}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return classify("ec2:DescribeInstanceTypeOfferings", err)
		}
		for _, o := range page.InstanceTypeOfferings {
			if t := found[string(o.InstanceType)]; t != nil {
				t.Zones = append(t.Zones, deref(o.Location))
			}
		}
	}
	return nil
}

// Image is the id of the newest image, by the name of the public parameter that has it; "" if there is no such image.
func (r *Region) Image(ctx context.Context, parameter string) (string, error) {
	out, err := r.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &parameter})
	if err = classify("ssm:GetParameter", err); err != nil {
		return "", fault.Ignore(err, fault.NotFound)
	}
	return deref(out.Parameter.Value), nil
}
