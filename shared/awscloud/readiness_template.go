package awscloud

import (
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Template reads a version of a launch template, and whether what it names is there. Of the user data only what the checks want
// to know is kept.
func (r *Readiness) Template(ctx context.Context, group, id, version string) (readiness.Template, error) {
	t := readiness.Template{Group: group, ID: id, Version: version}
	found, err := r.LaunchTemplate(ctx, id, version)
	if fault.Is(err, fault.NotFound) {
		t.Missing = []string{"launch template " + id + " in version " + version}
		return t, nil
	} else if err != nil {
		return t, err
	}
	d, _ := fleet.At(found, "launchTemplateData").(fleet.Props)
	t.ImageID = fleet.Text(d, "imageId")
	if text, err := base64.StdEncoding.DecodeString(fleet.Text(d, "userData")); err == nil {
		t.Bootstrap, t.KubeletFlags = userDataFacts(string(text))
	}
	if err := r.templateImage(ctx, &t); err != nil {
		return t, err
	}
	groups := fleet.Texts(d, "securityGroupIds")
	for _, i := range fleet.Items(d, "networkInterfaces") {
		groups = append(groups, fleet.Texts(i, "groups")...)
	}
	if len(groups) > 0 {
		have, err := r.Fact(ctx, "groups", strings.Join(groups, ","))
		if err != nil {
			return t, err
		}
		for _, id := range groups {
			if !slices.ContainsFunc(fleet.Items(have, "securityGroups"), func(g fleet.Props) bool { return fleet.Text(g, "groupId") == id }) {
				t.Missing = append(t.Missing, "security group "+id)
			}
		}
	}
	profile := fleet.Text(d, "iamInstanceProfile", "name")
	if arn := fleet.Text(d, "iamInstanceProfile", "arn"); profile == "" && arn != "" {
		profile = arn[strings.LastIndexByte(arn, '/')+1:]
	}
	for _, part := range []struct{ kind, what, name string }{{"keypair", "key pair", fleet.Text(d, "keyName")}, {"profile", "instance profile", profile}} {
		if part.name == "" {
			continue
		}
		_, err := r.Fact(ctx, part.kind, part.name)
		if fault.Is(err, fault.NotFound) {
			t.Missing = append(t.Missing, part.what+" "+part.name)
		} else if err != nil {
			return t, err
		}
	}
	return t, nil
}

var (
	// namedMinor finds the version of Kubernetes in an image's name: "my-node-1.36-v3", "k8s_1.36".
	namedMinor = regexp.MustCompile(`(?:^|[^0-9.])v?1\.(2\d|3\d|4\d)(?:[^0-9]|$)`)
	// taggedMinor are tags by which images are marked: Packer's variables of amazon-eks-ami, image-builder's, our own habit.
	taggedMinor = []string{"kubernetes", "kubernetes_version", "kubernetes-version", "k8s_version", "k8s-version", "kubelet", "eks-version"}
)

// templateImage reads a template's image. What Systems Manager resolves is chosen anew at each launch, and cannot be gone.
func (r *Readiness) templateImage(ctx context.Context, t *readiness.Template) error {
	if !strings.HasPrefix(t.ImageID, "ami-") {
		return nil
	}
	found, err := r.Fact(ctx, "images", t.ImageID)
	if err != nil {
		return err
	}
	list := fleet.Items(found, "images")
	if len(list) == 0 {
		t.Missing = append(t.Missing, "image "+t.ImageID)
		return nil
	}
	i := list[0]
	t.ImageName = fleet.Text(i, "name")
	for k, v := range pairs(i, "tags") {
		if slices.Contains(taggedMinor, strings.ToLower(k)) && minorOf(v) > 0 {
			t.ImageKubernetes = minorOf(v)
		}
	}
	if known := imageNamed(t.ImageName, fleet.Text(i, "description")); t.ImageKubernetes == 0 {
		t.ImageKubernetes = known.Minor
	}
	if m := namedMinor.FindStringSubmatch(t.ImageName); t.ImageKubernetes == 0 && m != nil {
		t.ImageKubernetes = minorOf("1." + m[1])
	}
	return nil
}

var (
	kubeletFlag = regexp.MustCompile(`--[a-z][a-z0-9-]*[a-z0-9]`)
	// bootstrapFlags are bootstrap.sh's own, which are not the kubelet's.
	bootstrapFlags = []string{"--kubelet-extra-args", "--b64-cluster-ca", "--apiserver-endpoint", "--use-max-pods", "--dns-cluster-ip", "--ip-family", "--service-ipv6-cidr",
		"--docker-config-json", "--container-runtime-config", "--containerd-config-file", "--pause-container-account", "--pause-container-version", "--enable-local-outpost", "--cluster-id",
		"--local-disks", "--aws-api-retry-attempts", "--mount-bpf-fs", "--no-local-disks"}
	nodeConfig = regexp.MustCompile(`(?m)^apiVersion:\s*["']?node\.eks\.aws/`)
)

// userDataFacts tells how user data starts the kubelet, and which of its flags and settings are named.
func userDataFacts(text string) (bootstrap string, flags []string) {
	switch {
	case strings.Contains(text, "/etc/eks/bootstrap.sh"):
		bootstrap = "bootstrap.sh"
	case nodeConfig.MatchString(text):
		bootstrap = "nodeadm"
	case strings.Contains(text, "settings.kubernetes"):
		bootstrap = "bottlerocket"
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "kubelet") && !strings.HasPrefix(strings.TrimSpace(line), "- --") {
			continue // of other programs
		}
		for _, f := range kubeletFlag.FindAllString(line, -1) {
			if !slices.Contains(bootstrapFlags, f) {
				flags = append(flags, f)
			}
		}
	}
	if at := nodeConfig.FindStringIndex(text); at != nil {
		flags = append(flags, nodeConfigFields(text[at[0]:])...)
	}
	slices.Sort(flags)
	return bootstrap, slices.Compact(flags)
}

// nodeConfigFields are the flags and the fields of the KubeletConfiguration in a NodeConfig, which ends with its part of the
// user data.
func nodeConfigFields(text string) (out []string) {
	var document strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "--") {
			break // a boundary of MIME, or the next document
		}
		document.WriteString(line)
	}
	var c struct {
		Spec struct {
			Kubelet struct {
				Config map[string]any
				Flags  []string
			}
		}
	}
	if yaml.Unmarshal([]byte(document.String()), &c) != nil {
		return nil
	}
	for field := range c.Spec.Kubelet.Config {
		out = append(out, field)
	}
	for _, f := range c.Spec.Kubelet.Flags {
		name, _, _ := strings.Cut(f, "=")
		out = append(out, name)
	}
	return out
}
