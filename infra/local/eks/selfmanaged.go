package eks

import (
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// Flags of the kubelet in user data: as nodeadm's NodeConfig and the bootstrap.sh of older images hold them.
var (
	nodeLabelsFlag = regexp.MustCompile(`--node-labels=([^\s"'\\]+)`)
	maxPodsFlag    = regexp.MustCompile(`--max-pods=(\d+)`)
	nodeTaintsFlag = regexp.MustCompile(`--register-with-taints=([^\s"'\\]+)`)
)

// bottlerocketTable and bottlerocketLine are what of TOML Bottlerocket's settings of nodes need.
var (
	bottlerocketTable = regexp.MustCompile(`^\s*\[\s*(?:settings\.)?kubernetes\.(node-labels|node-taints)\s*\]\s*$`)
	bottlerocketOther = regexp.MustCompile(`^\s*\[`)
	bottlerocketLine  = regexp.MustCompile(`^\s*"?([^"=\s]+)"?\s*=\s*(.+?)\s*$`)
	quotedText        = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)
)

// ownNode is what a machine outside managed node groups tells its own kubelet.
type ownNode struct {
	labels  map[string]string
	taints  []NodeTaint
	maxPods int // 0: not told
}

// userDataNode reads a machine's user data. What it does not understand it passes over, as a kubelet that was never told
// does.
func userDataNode(userData string) ownNode {
	labels := map[string]string{}
	taints, maxPods := nodeadmKubelet(userData)
	if m := maxPodsFlag.FindStringSubmatch(userData); m != nil {
		maxPods, _ = strconv.Atoi(m[1]) // digits; too many of them are no number of pods
	}
	for _, m := range nodeLabelsFlag.FindAllStringSubmatch(userData, -1) {
		for pair := range strings.SplitSeq(m[1], ",") {
			if k, v, ok := strings.Cut(pair, "="); ok && k != "" {
				labels[k] = v
			}
		}
	}
	for _, m := range nodeTaintsFlag.FindAllStringSubmatch(userData, -1) {
		for one := range strings.SplitSeq(m[1], ",") {
			taints = appendTaint(taints, one)
		}
	}
	table := ""
	for line := range strings.Lines(userData) {
		line = strings.TrimSuffix(line, "\n")
		switch m := bottlerocketTable.FindStringSubmatch(line); {
		case m != nil:
			table = m[1]
			continue
		case bottlerocketOther.MatchString(line):
			table = ""
		}
		m := bottlerocketLine.FindStringSubmatch(line)
		if table == "" || m == nil {
			continue
		}
		for _, q := range quotedText.FindAllStringSubmatch(m[2], -1) { // a text, or a list of texts
			if value := q[1] + q[2]; table == "node-labels" {
				labels[m[1]] = value
			} else {
				taints = appendTaint(taints, m[1]+"="+value)
			}
		}
	}
	return ownNode{labels, taints, maxPods}
}

// nodeadmKubelet reads the kubelet's configuration in nodeadm's NodeConfig, which is one part of a MIME message or all of the
// user data.
func nodeadmKubelet(userData string) (taints []NodeTaint, maxPods int) {
	const start = "apiVersion: node.eks.aws/"
	for at := strings.Index(userData, start); at >= 0; at = strings.Index(userData, start) {
		text := userData[at:]
		text, _, _ = strings.Cut(text, "\n--") // the next part
		var c struct {
			Spec struct {
				Kubelet struct {
					Config struct {
						MaxPods            int         `json:"maxPods"`
						RegisterWithTaints []NodeTaint `json:"registerWithTaints"`
					} `json:"config"`
				} `json:"kubelet"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal([]byte(text), &c); err == nil {
			taints, maxPods = append(taints, c.Spec.Kubelet.Config.RegisterWithTaints...), max(maxPods, c.Spec.Kubelet.Config.MaxPods)
		}
		userData = userData[at+len(start):]
	}
	return taints, maxPods
}

// appendTaint reads key=value:Effect or key:Effect.
func appendTaint(taints []NodeTaint, text string) []NodeTaint {
	at := strings.LastIndexByte(text, ':')
	if at <= 0 || at == len(text)-1 {
		return taints
	}
	key, value, _ := strings.Cut(text[:at], "=")
	return append(taints, NodeTaint{Key: key, Value: value, Effect: text[at+1:]})
}
