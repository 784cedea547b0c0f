package awscloud

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// NewestImage is the newest AMI release of an AMI type for a minor. Where there is none it is fault.NotFound.
func (u *Upgrades) NewestImage(ctx context.Context, amiType string, minor fleet.Minor) (upgradepath.Image, error) {
	name := cluster.ReleaseParameter(amiType, minor.String())
	if name == "" {
		return upgradepath.Image{}, fault.New(fault.NotFound, "AWS publishes no image of type %s", amiType)
	}
	out, err := u.region.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &name})
	if err != nil {
		return upgradepath.Image{}, classify("ssm:GetParameter", err)
	}
	release := deref(out.Parameter.Value)
	at := dated(release)
	if at.IsZero() { // Bottlerocket's say no date: that of the parameter is when it was published in the Region
		at = deref(out.Parameter.LastModifiedDate)
	}
	return upgradepath.Image{Release: release, Released: at.UTC()}, nil
}

var releaseDay = regexp.MustCompile(`-(\d{4})\.?(\d{2})\.?(\d{2})$`)

// dated is the day of a release: of 1.36.6-20261112, or 1.36-2026.11.12. Zero if it says none.
func dated(release string) time.Time {
	m := releaseDay.FindStringSubmatch(release)
	if m == nil {
		return time.Time{}
	}
	at, err := time.Parse("20060102", m[1]+m[2]+m[3])
	if err != nil {
		return time.Time{}
	}
	return at
}

// NodeImages reads what AMI types and releases images are, by the images' ids. Those that AWS has not made for EKS, or that are
// gone, are CUSTOM. An image never changes: it is read once.
func (u *Upgrades) NodeImages(ctx context.Context, ids []string) (map[string]fleet.NodeImage, error) {
	var unknown []string
	u.mu.Lock()
	for _, id := range ids {
		if _, ok := u.images[id]; !ok && !slices.Contains(unknown, id) {
			unknown = append(unknown, id)
		}
	}
	u.mu.Unlock()
	for some := range slices.Chunk(unknown, atOnce) {
		found, err := everything(ctx, "ec2:DescribeImages", ec2.NewDescribeImagesPaginator(u.region.ec2, &ec2.DescribeImagesInput{Filters: where("image-id", some...), IncludeDeprecated: aws.Bool(true)}),
			func(o *ec2.DescribeImagesOutput) []ec2types.Image { return o.Images })
		if err != nil {
			return nil, err
		}
		u.mu.Lock()
		for _, id := range some {
			u.images[id] = fleet.NodeImage{AMIType: customAMI}
		}
		for _, i := range found {
			u.images[deref(i.ImageId)] = imageNamed(deref(i.Name), deref(i.Description))
		}
		u.mu.Unlock()
	}
	out := map[string]fleet.NodeImage{}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range ids {
		out[id] = u.images[id]
	}
	return out, nil
}

const customAMI = string(ekstypes.AMITypesCustom)

// How AWS names its images for EKS.
var (
	al2023Name       = regexp.MustCompile(`^amazon-eks-node-al2023-(x86_64|arm64)-(standard|nvidia|neuron)-(1\.\d+)-v(\d{8})$`)
	al2Name          = regexp.MustCompile(`^amazon-eks-(?:(arm64|gpu)-)?node-(1\.\d+)-v(\d{8})$`)
	bottlerocketName = regexp.MustCompile(`^bottlerocket-aws-k8s-(1\.\d+)((?:-nvidia)?(?:-fips)?)-(x86_64|aarch64|arm64)-v(\d+\.\d+\.\d+-[0-9a-f]{8})$`)
	windowsName      = regexp.MustCompile(`^Windows_Server-(\d{4})-English-(Core|Full)-EKS_Optimized-(1\.\d+)-(\d{4}\.\d{2}\.\d{2})$`)
	// describedPatch: "EKS-optimized Kubernetes node based on Amazon Linux 2023, (k8s: 1.36.6, containerd: 2.1.*)"
	describedPatch = regexp.MustCompile(`\(k8s: (1\.\d+\.\d+)`)
)

// imageNamed tells what an image is by its name and description. Amazon Linux's releases have the patch version of Kubernetes,
// which only the description says.
func imageNamed(name, description string) fleet.NodeImage {
	amazon := func(amiType, minor, day string) fleet.NodeImage {
		release := minor + "-" + day
		if m := describedPatch.FindStringSubmatch(description); m != nil {
			release = m[1] + "-" + day
		}
		return fleet.NodeImage{AMIType: amiType, Minor: minorOf(minor), Release: release}
	}
	arch := func(name string) string {
		if name == "x86_64" {
			return name
		}
		return "ARM_64"
	}
	if m := al2023Name.FindStringSubmatch(name); m != nil {
		return amazon("AL2023_"+arch(m[1])+"_"+strings.ToUpper(m[2]), m[3], m[4])
	}
	if m := al2Name.FindStringSubmatch(name); m != nil {
		return amazon(map[string]string{"": "AL2_x86_64", "gpu": "AL2_x86_64_GPU", "arm64": "AL2_ARM_64"}[m[1]], m[2], m[3])
	}
	if m := bottlerocketName.FindStringSubmatch(name); m != nil {
		return fleet.NodeImage{AMIType: "BOTTLEROCKET_" + arch(m[3]) + strings.ToUpper(strings.ReplaceAll(m[2], "-", "_")), Minor: minorOf(m[1]), Release: m[4]}
	}
	if m := windowsName.FindStringSubmatch(name); m != nil {
		return fleet.NodeImage{AMIType: "WINDOWS_" + strings.ToUpper(m[2]) + "_" + m[1] + "_x86_64", Minor: minorOf(m[3]), Release: m[3] + "-" + m[4]}
	}
	return fleet.NodeImage{AMIType: customAMI}
}

// minorOf reads what an expression has matched.
func minorOf(text string) fleet.Minor {
	m, _ := fleet.ParseMinor(text)
	return m
}
