package eks

import (
	"regexp"
	"strings"
)

// Flags of the kubelet in user data: as nodeadm's NodeConfig and the bootstrap.sh of older images hold them.
var (
	nodeLabelsFlag = regexp.MustCompile(`--node-labels=([^\s"'\\]+)`)
	nodeTaintsFlag = regexp.MustCompile(`--register-with-taints=([^\s"'\\]+)`)
)

// bottlerocketTable and bottlerocketLine are what of TOML Bottlerocket's settings of nodes need.
var (
	bottlerocketTable = regexp.MustCompile(`^\s*\[\s*(?:settings\.)?kubernetes\.(node-labels|node-taints)\s*\]\s*$`)
	bottlerocketOther = regexp.MustCompile(`^\s*\[`)
	bottlerocketLine  = regexp.MustCompile(`^\s*"?([^"=\s]+)"?\s*=\s*(.+?)\s*$`)
	quotedText        = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)
)

// userDataNode reads the labels and taints that a machine outside managed node groups gives its own Node, from its user
// data. What it does not understand it passes over, as a kubelet that was never told does.
func userDataNode(userData string) (labels map[string]string, taints []NodeTaint) {
	labels = map[string]string{}
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
	return labels, taints
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
