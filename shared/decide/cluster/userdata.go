package cluster

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// joining is what a machine has to know to join its cluster.
type joining struct {
	endpoint, ca, cidr, dns string
}

// bootstraps tells whether the group's machines have to be told how to join. EKS tells those of its own images itself, and
// adds that to what is said here.
func (m maker) bootstraps() bool { return m.g.SelfManaged || m.g.AMIType == "CUSTOM" }

// joining is what EKS says of the control plane.
func (m maker) joining() joining {
	j := joining{
		endpoint: m.ofCluster("cluster.endpoint", "endpoint"), ca: m.ofCluster("cluster.ca", "certificateAuthority", "data"),
		cidr: m.ofCluster("cluster.serviceCidr", "kubernetesNetworkConfig", "serviceIpv4Cidr"),
	}
	if m.ipv6() {
		j.cidr = m.ofCluster("cluster.serviceCidr", "kubernetesNetworkConfig", "serviceIpv6Cidr")
	}
	j.dns = m.g.Machine.ClusterDNS
	if j.dns == "" {
		j.dns = dnsAddress(j.cidr)
	}
	return j
}

// dnsAddress is where EKS has the cluster's DNS: the tenth address of the services' range. In IPv6 it is written ::a.
func dnsAddress(cidr string) string {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return plan.Unknown("cluster.dns")
	}
	a := p.Masked().Addr()
	for range 10 {
		a = a.Next()
	}
	return a.String()
}

func (j joining) known() bool {
	return !slices.ContainsFunc([]string{j.endpoint, j.ca, j.cidr, j.dns}, plan.IsUnknown)
}

func base64Text(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// userData is what a machine does when it starts, as EC2 takes it; "" where it needs nothing.
func (m maker) userData() string {
	var j joining
	if m.bootstraps() {
		if j = m.joining(); !j.known() {
			return plan.Unknown("cluster.endpoint")
		}
	}
	text := m.startup(j)
	if text == "" {
		return ""
	}
	return base64Text(text)
}

// startup is the same as text, in the form of the group's family.
func (m maker) startup(j joining) string {
	switch {
	case isBottlerocket(m.g):
		return m.rocket(j)
	case isWindows(m.g):
		return m.powershell(j)
	case isAL2023(m.g):
		return mime(m.nodeConfigs(j)...)
	}
	return mime(m.script(j)...)
}

// startDocument is one of the documents of user data, with its type.
type startDocument struct{ kind, text string }

const (
	kindNodeConfig = "application/node.eks.aws"
	kindScript     = `text/x-shellscript; charset="us-ascii"`
)

// mime puts documents together in the way of cloud-init; "" without any. EKS takes no other form to add its own to.
func mime(list ...startDocument) string {
	if len(list) == 0 {
		return ""
	}
	const boundary = "==ekspedite=="
	var b strings.Builder
	b.WriteString("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"" + boundary + "\"\n\n")
	for _, d := range list {
		b.WriteString("--" + boundary + "\nContent-Type: " + d.kind + "\n\n" + strings.TrimRight(d.text, "\n") + "\n")
	}
	b.WriteString("--" + boundary + "--\n")
	return b.String()
}

// nodeLabels are the labels that a kubelet gives to its node. Those of managed groups are EKS's to give, apart from the one
// by which it knows the group.
func (m maker) nodeLabels() map[string]string {
	if !m.g.SelfManaged {
		return map[string]string{"eks.amazonaws.com/nodegroup": m.g.Name}
	}
	return m.g.Labels
}

func commaList(labels map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, k+"="+labels[k])
	}
	return strings.Join(out, ",")
}

// nodeTaints are the taints that a kubelet gives to its node: those that are there before EKS sees it.
func (m maker) nodeTaints() string {
	if !m.g.SelfManaged {
		return ""
	}
	var out []string
	for _, t := range m.g.Taints {
		out = append(out, t.Key+"="+t.Value+":"+t.Effect)
	}
	return strings.Join(out, ",")
}

// kubeletFlags are labels, taints, and the number of pods where it is wanted as a flag.
func (m maker) kubeletFlags(pods bool) (out []string) {
	if l := commaList(m.nodeLabels()); l != "" {
		out = append(out, "--node-labels="+l)
	}
	if t := m.nodeTaints(); t != "" {
		out = append(out, "--register-with-taints="+t)
	}
	if n := m.g.Machine.MaxPods; n > 0 && pods {
		out = append(out, "--max-pods="+strconv.Itoa(n))
	}
	return out
}

// nodeConfigs are what nodeadm, which starts Amazon Linux 2023's machines, is told, and scripts to be run before.
// https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/
func (m maker) nodeConfigs(j joining) (out []startDocument) {
	s := m.g.Machine
	if len(s.PreBootstrapCommands) > 0 {
		out = append(out, startDocument{kindScript, commands(s.PreBootstrapCommands)})
	}
	kubelet := fleet.Props{"config": s.Kubelet}
	if s.MaxPods > 0 || s.ClusterDNS != "" {
		config := maps.Clone(s.Kubelet)
		if config == nil {
			config = fleet.Props{}
		}
		if s.MaxPods > 0 {
			config["maxPods"] = s.MaxPods
		}
		if s.ClusterDNS != "" {
			config["clusterDNS"] = []any{s.ClusterDNS}
		}
		kubelet["config"] = config
	}
	spec := fleet.Props{}
	if m.bootstraps() {
		spec["cluster"] = fleet.Props{"name": m.s.Name, "apiServerEndpoint": j.endpoint, "certificateAuthority": j.ca, "cidr": j.cidr}
		kubelet["flags"] = fleet.Strings(m.kubeletFlags(false))
	}
	spec["kubelet"] = kubelet
	if spec = fleet.Drop(spec); len(spec) > 0 {
		out = append(out, startDocument{kindNodeConfig, "---\napiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec:\n" + yamlText(spec, 1)})
	}
	switch override := s.OverrideBootstrap; {
	case override == "":
	case strings.Contains(override, "kind: NodeConfig"): // nodeadm merges it into what is before it
		out = append(out, startDocument{kindNodeConfig, override})
	default:
		out = append(out, startDocument{kindScript, shebang(override)})
	}
	return out
}

func shebang(script string) string {
	if strings.HasPrefix(script, "#!") {
		return script
	}
	return "#!/bin/bash\nset -o errexit\n" + script
}

func commands(list []string) string { return shebang(strings.Join(list, "\n") + "\n") }

// helper is where eksctl's files expect the settings of the machine, which their own commands begin with: source …
const helper = "/var/lib/cloud/scripts/eksctl/bootstrap.helper.sh"

// script starts machines of Amazon Linux 2 and Ubuntu, whose images have /etc/eks/bootstrap.sh.
func (m maker) script(j joining) (out []startDocument) {
	s := m.g.Machine
	if len(s.PreBootstrapCommands) > 0 {
		out = append(out, startDocument{kindScript, commands(s.PreBootstrapCommands)})
	}
	switch {
	case !m.bootstraps():
		if s.MaxPods > 0 { // EKS's own call of bootstrap.sh has none
			out = append(out, startDocument{kindScript, commands([]string{
				`sed -i 's/^USE_MAX_PODS=.*/USE_MAX_PODS="false"/' /etc/eks/bootstrap.sh`, kubeletSettings(fleet.Props{"maxPods": s.MaxPods})})})
		}
		return out
	case s.OverrideBootstrap != "":
		return append(out, startDocument{kindScript, commands(append(m.helper(j), s.OverrideBootstrap))})
	}
	var lines []string
	if len(s.Kubelet) > 0 {
		lines = append(lines, kubeletSettings(s.Kubelet))
	}
	line := fmt.Sprintf("/etc/eks/bootstrap.sh %s --apiserver-endpoint %s --b64-cluster-ca %s --dns-cluster-ip %s", quoted(m.s.Name), quoted(j.endpoint), quoted(j.ca), quoted(j.dns))
	if m.ipv6() {
		line += " --ip-family ipv6 --service-ipv6-cidr " + quoted(j.cidr)
	}
	if s.MaxPods > 0 {
		line += " --use-max-pods false"
	}
	if flags := m.kubeletFlags(true); len(flags) > 0 {
		line += " --kubelet-extra-args " + quoted(strings.Join(flags, " "))
	}
	return append(out, startDocument{kindScript, commands(append(lines, line))})
}

// helper writes the settings of the machine where eksctl has them, for the user's own command.
func (m maker) helper(j joining) []string {
	pods := ""
	if n := m.g.Machine.MaxPods; n > 0 {
		pods = strconv.Itoa(n)
	}
	lines := []string{"mkdir -p " + helper[:strings.LastIndexByte(helper, '/')], "cat >" + helper + " <<'EKSPEDITE'"}
	for _, v := range [][2]string{{"CLUSTER_NAME", m.s.Name}, {"API_SERVER_URL", j.endpoint}, {"B64_CLUSTER_CA", j.ca}, {"CLUSTER_DNS", j.dns},
		{"NODE_LABELS", commaList(m.nodeLabels())}, {"NODE_TAINTS", m.nodeTaints()}, {"MAX_PODS", pods}, {"KUBELET_EXTRA_ARGS", strings.Join(m.kubeletFlags(true), " ")}} {
		lines = append(lines, "export "+v[0]+"="+quoted(v[1]))
	}
	return append(lines, "EKSPEDITE", "source "+helper)
}

// kubeletSettings is a command that puts settings into the kubelet's configuration.
func kubeletSettings(p fleet.Props) string {
	const file = "/etc/kubernetes/kubelet/kubelet-config.json"
	return "settings=" + quoted(document(p)) + "\njq --argjson settings \"$settings\" '. * $settings' " + file + " >/tmp/kubelet-config.json\nmv /tmp/kubelet-config.json " + file
}

// quoted is a word for the shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// powershell starts Windows machines.
func (m maker) powershell(j joining) string {
	lines := slices.Clone(m.g.Machine.PreBootstrapCommands)
	word := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	switch {
	case !m.bootstraps():
	case m.g.Machine.OverrideBootstrap != "":
		lines = append(lines, m.g.Machine.OverrideBootstrap)
	default:
		args := fmt.Sprintf("-EKSClusterName %s -APIServerEndpoint %s -Base64ClusterCA %s -DNSClusterIP %s -ServiceCIDR %s",
			word(m.s.Name), word(j.endpoint), word(j.ca), word(j.dns), word(j.cidr))
		if flags := m.kubeletFlags(true); len(flags) > 0 {
			args += " -KubeletExtraArgs " + word(strings.Join(flags, " "))
		}
		lines = append(lines, `& "$env:ProgramFiles\Amazon\EKS\Start-EKSBootstrap.ps1" `+args+" 3>&1 4>&1 5>&1 6>&1")
	}
	if len(lines) == 0 {
		return ""
	}
	return "<powershell>\n" + strings.Join(lines, "\n") + "\n</powershell>\n"
}

// rocket is Bottlerocket's settings. https://bottlerocket.dev/en/os/latest/api/settings/kubernetes/
func (m maker) rocket(j joining) string {
	s := m.g.Machine
	settings := maps.Clone(s.Bottlerocket)
	if settings == nil {
		settings = fleet.Props{}
	}
	kubernetes := fleet.Props{}
	if k, ok := settings["kubernetes"].(fleet.Props); ok {
		kubernetes = maps.Clone(k)
	}
	settings["kubernetes"] = kubernetes
	if s.MaxPods > 0 {
		kubernetes["max-pods"] = s.MaxPods
	}
	if s.ClusterDNS != "" {
		kubernetes["cluster-dns-ip"] = s.ClusterDNS
	}
	if m.bootstraps() {
		kubernetes["cluster-name"], kubernetes["api-server"], kubernetes["cluster-certificate"] = m.s.Name, j.endpoint, j.ca
		if kubernetes["cluster-dns-ip"] == nil {
			kubernetes["cluster-dns-ip"] = j.dns
		}
		labels, taints := fleet.Props{}, fleet.Props{}
		for k, v := range m.nodeLabels() {
			labels[k] = v
		}
		if m.g.SelfManaged {
			for _, t := range m.g.Taints {
				list, _ := taints[t.Key].([]any)
				taints[t.Key] = append(list, t.Value+":"+t.Effect)
			}
		}
		kubernetes["node-labels"], kubernetes["node-taints"] = labels, taints
	}
	if s.AdminContainer != nil {
		hosts := fleet.Props{}
		if h, ok := settings["host-containers"].(fleet.Props); ok {
			hosts = maps.Clone(h)
		}
		admin := fleet.Props{}
		if a, ok := hosts["admin"].(fleet.Props); ok {
			admin = maps.Clone(a)
		}
		admin["enabled"] = *s.AdminContainer
		hosts["admin"], settings["host-containers"] = admin, hosts
	}
	return tomlText(fleet.Drop(settings), "settings")
}
