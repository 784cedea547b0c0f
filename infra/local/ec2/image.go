package ec2

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Image is an AMI. Those that EC2 itself knows are the ones that clusters' nodes start from, one a Kubernetes minor, kind
// and architecture; AddImage adds the account's own.
type Image struct {
	ID, Name, Description string
	Owner                 string // account id
	OwnerAlias            string // "amazon", or empty
	Arch                  string // "x86_64" or "arm64"
	Windows               bool
	Created               time.Time
	RootDevice            string
	SizeGiB               int
	Parameter             string // Systems Manager's public parameter that holds the id; empty for the account's own
	Minor                 string // of Kubernetes: "1.36"
	Release               string // AMI release version: "1.36.6-20261112"
	AMIType               string // EKS's name for its kind; empty where EKS has none
}

// minors are the Kubernetes minors with images, each with the patch level of its newest.
var minors = [][2]string{
	{"1.31", "1.31.14"}, {"1.32", "1.32.13"}, {"1.33", "1.33.13"}, {"1.34", "1.34.13"}, {"1.35", "1.35.10"}, {"1.36", "1.36.6"}, {"1.37", "1.37.2"},
}

// AWS brings new images of all minors about every two weeks. When a cloud starts, the newest are those of firstDay; two older
// releases are still there, and a newer one comes with every two weeks that the cloud runs, or when PublishImages is called.
var firstDay = time.Date(2026, 11, 12, 18, 30, 0, 0, time.UTC)

const (
	imagePeriod = 14 * 24 * time.Hour
	olderImages = 2
)

// imageDay is when a release comes out: 0 is firstDay, -1 the one before.
func imageDay(release int) time.Time { return firstDay.AddDate(0, 0, 14*release) }

// patchOf moves a minor's patch level with the releases: every second one brings the next.
func patchOf(patch string, release int) string {
	i := strings.LastIndexByte(patch, '.')
	n, err := strconv.Atoi(patch[i+1:])
	if err != nil {
		panic(err) // the table is wrong
	}
	return patch[:i+1] + strconv.Itoa(max(0, n+(release-release&1)/2))
}

// Owners of public images.
const (
	ownerEKS          = "602401143452"
	ownerBottlerocket = "092701018921"
	ownerCanonical    = "099720109477"
	ownerWindows      = "801119661308"
)

// ImageID makes the id of an image of AWS's out of the public parameter that holds it. It is the same in every run, and,
// unlike on AWS, in every Region.
func ImageID(parameter string) string { return "ami-" + stableHex(17, parameter) }

var arches = []struct{ ec2, eks, other string }{{"x86_64", "x86_64", "amd64"}, {"arm64", "arm64", "arm64"}}

// publicImages are AWS's and Canonical's of the release with which a cloud starts, oldest minor first.
var publicImages = buildImages(0)

// built are the releases that somebody has asked for.
var built struct {
	sync.Mutex
	images map[int][]Image
}

// imagesOf are the images of a release.
func imagesOf(release int) []Image {
	if release == 0 {
		return publicImages
	}
	built.Lock()
	defer built.Unlock()
	if built.images == nil {
		built.images = map[int][]Image{}
	}
	if built.images[release] == nil {
		built.images[release] = buildImages(release)
	}
	return built.images[release]
}

func buildImages(release int) []Image {
	var out []Image
	day := imageDay(release)
	stamp := day.Format("20060102")
	bottlerocket := fmt.Sprintf("1.%d.0", 51+release)
	hash := stableHex(8, "bottlerocket")
	if release != 0 {
		hash = stableHex(8, "bottlerocket/"+stamp)
	}
	add := func(i Image, minor [2]string) {
		i.ID, i.Created, i.Minor = ImageID(i.Parameter), day, minor[0]
		if release != 0 {
			i.ID = ImageID(i.Parameter + "@" + stamp)
		}
		if i.Release == "" {
			i.Release = minor[1] + "-" + stamp
		}
		out = append(out, i)
	}
	for _, m := range minors {
		m[1] = patchOf(m[1], release)
		for _, arch := range arches {
			for _, variant := range []string{"standard", "nvidia", "neuron"} {
				if variant == "neuron" && arch.ec2 == "arm64" {
					continue
				}
				t := "AL2023_" + eksArch(arch.ec2) + "_" + strings.ToUpper(variant)
				add(Image{
					Name:        fmt.Sprintf("amazon-eks-node-al2023-%s-%s-%s-v%s", arch.eks, variant, m[0], stamp),
					Description: fmt.Sprintf("EKS-optimized Kubernetes node based on Amazon Linux 2023, (k8s: %s)", m[1]),
					Owner:       ownerEKS, OwnerAlias: "amazon", Arch: arch.ec2, RootDevice: "/dev/xvda", SizeGiB: 20, AMIType: t,
					Parameter: fmt.Sprintf("/aws/service/eks/optimized-ami/%s/amazon-linux-2023/%s/%s/recommended/image_id", m[0], arch.eks, variant),
				}, m)
			}
			for _, variant := range []string{"", "-nvidia", "-fips", "-nvidia-fips"} {
				add(Image{
					Name:        fmt.Sprintf("bottlerocket-aws-k8s-%s%s-%s-v%s-%s", m[0], variant, arch.eks, bottlerocket, hash),
					Description: "Bottlerocket", Release: bottlerocket + "-" + hash,
					Owner: ownerBottlerocket, OwnerAlias: "amazon", Arch: arch.ec2, RootDevice: "/dev/xvda", SizeGiB: 2,
					AMIType:   "BOTTLEROCKET_" + eksArch(arch.ec2) + strings.ToUpper(strings.ReplaceAll(variant, "-", "_")),
					Parameter: fmt.Sprintf("/aws/service/bottlerocket/aws-k8s-%s%s/%s/latest/image_id", m[0], variant, arch.eks),
				}, m)
			}
			for _, u := range [][2]string{{"22.04", "jammy"}, {"24.04", "noble"}} {
				add(Image{
					Name:        fmt.Sprintf("ubuntu-eks/k8s_%s/images/hvm-ssd-gp3/ubuntu-%s-%s-%s-server-%s", m[0], u[1], u[0], arch.other, stamp),
					Description: fmt.Sprintf("Canonical, Ubuntu EKS Node OS (k8s_%s), %s LTS, %s %s image", m[0], u[0], arch.other, u[1]),
					Owner:       ownerCanonical, Arch: arch.ec2, RootDevice: "/dev/sda1", SizeGiB: 20,
					Parameter: fmt.Sprintf("/aws/service/canonical/ubuntu/eks/%s/%s/stable/current/%s/hvm/ebs-gp3/ami-id", u[0], m[0], arch.other),
				}, m)
			}
		}
		for _, year := range []string{"2019", "2022", "2025"} {
			for _, kind := range []string{"Core", "Full"} {
				add(Image{
					Name:        fmt.Sprintf("Windows_Server-%s-English-%s-EKS_Optimized-%s-%s", year, kind, m[0], day.Format("2006.01.02")),
					Description: fmt.Sprintf("Microsoft Windows Server %s %s Locale English with EKS Optimized for %s AMI provided by Amazon", year, kind, m[0]),
					Owner:       ownerWindows, OwnerAlias: "amazon", Arch: "x86_64", Windows: true, RootDevice: "/dev/sda1", SizeGiB: 50,
					Release: m[0] + "-" + day.Format("2006.01.02"), AMIType: "WINDOWS_" + strings.ToUpper(kind) + "_" + year + "_x86_64",
					Parameter: fmt.Sprintf("/aws/service/ami-windows-latest/Windows_Server-%s-English-%s-EKS_Optimized-%s/image_id", year, kind, m[0]),
				}, m)
			}
		}
	}
	return out
}

// eksArch is an architecture in EKS's names of AMI types.
func eksArch(arch string) string {
	if arch == "arm64" {
		return "ARM_64"
	}
	return arch
}

// Images returns AWS's public images of cluster nodes as they are when a cloud starts. Each names the public parameter of Systems
// Manager that holds it.
func Images() []Image { return slices.Clone(publicImages) }

// FindImage finds the newest image of one of EKS's AMI types for a Kubernetes minor, such as "1.36", when a cloud starts.
func FindImage(amiType, minor string) (Image, bool) { return findImage(publicImages, amiType, minor) }

func findImage(in []Image, amiType, minor string) (Image, bool) {
	for _, i := range in {
		if i.AMIType == amiType && amiType != "" && i.Minor == minor {
			return i, true
		}
	}
	return Image{}, false
}

// PublishImages brings the next release out ahead of its time.
func (s *Service) PublishImages() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead++
}

// newest is the newest release that is out. The lock is held.
func (s *Service) newest() int { return s.ahead + int(time.Since(s.started)/imagePeriod) }

// NewestImages are the public images of the newest release that is out.
func (s *Service) NewestImages() []Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(imagesOf(s.newest()))
}

// NewestImage is the image of an AMI type and a Kubernetes minor that AWS recommends at this moment.
func (s *Service) NewestImage(amiType, minor string) (Image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return findImage(imagesOf(s.newest()), amiType, minor)
}

// ReleasedImage finds the image of an AMI type, a Kubernetes minor and an AMI release that is out.
func (s *Service) ReleasedImage(amiType, minor, release string) (Image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := s.newest(); n >= -olderImages; n-- {
		if i, ok := findImage(imagesOf(n), amiType, minor); ok && i.Release == release {
			return i, true
		}
	}
	return Image{}, false
}

// published are all public images that are out, the oldest release first. The lock is held.
func (s *Service) published() (all []Image) {
	for n := -olderImages; n <= s.newest(); n++ {
		all = append(all, imagesOf(n)...)
	}
	return all
}

// AddImage adds an image of the account's own, or somebody's that it may use. Without an id it gets one; it returns that.
func (s *Service) AddImage(i Image) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.ID == "" {
		i.ID = "ami-" + s.w.Hex(17)
	}
	own := Image{Owner: s.w.Account, RootDevice: "/dev/xvda", SizeGiB: rootSize, Created: time.Now()}
	set(&own.Owner, i.Owner)
	set(&own.RootDevice, i.RootDevice)
	set(&own.SizeGiB, i.SizeGiB)
	set(&own.Created, i.Created)
	i.Owner, i.RootDevice, i.SizeGiB, i.Created = own.Owner, own.RootDevice, own.SizeGiB, own.Created
	s.images = append(s.images, i)
	return i.ID
}

// image finds an image. Those that nobody added can be launched all the same: which images an account has is not EC2's
// to know here. The lock is held.
func (s *Service) image(id string) (Image, bool) {
	find := func(in []Image) (Image, bool) {
		for _, i := range in {
			if i.ID == id {
				return i, true
			}
		}
		return Image{}, false
	}
	if i, ok := find(s.images); ok {
		return i, true
	}
	for n := s.newest(); n >= -olderImages; n-- {
		if i, ok := find(imagesOf(n)); ok {
			return i, true
		}
	}
	return Image{}, false
}

// NodeImage finds an image of which it is known for which Kubernetes minor it is: AWS's, and of the account's own those of which
// that was said.
func (s *Service) NodeImage(id string) (Image, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.image(id)
	return i, ok && i.Minor != ""
}
