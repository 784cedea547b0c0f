package notify

import (
	"net/url"
	"strings"
)

// Links say where there is more to be seen.
type Links struct {
	Region    string            // of the functions
	LogGroups map[string]string // by function
	Dashboard string            // its name
}

func (l Links) of(function string) (out []link) {
	if g := l.LogGroups[function]; g != "" {
		out = append(out, link{"Logs", l.console() + "#logsV2:log-groups/log-group/" + inFragment(g)})
	}
	if l.Dashboard != "" {
		out = append(out, link{"Dashboard", l.console() + "#dashboards/dashboard/" + inFragment(l.Dashboard)})
	}
	return out
}

// console is CloudWatch's page, in the Region's partition.
func (l Links) console() string {
	host := "console.aws.amazon.com"
	switch {
	case strings.HasPrefix(l.Region, "cn-"):
		host = "console.amazonaws.cn"
	case strings.HasPrefix(l.Region, "us-gov-"):
		host = "console.amazonaws-us-gov.com"
	}
	return "https://" + l.Region + "." + host + "/cloudwatch/home?region=" + l.Region
}

// inFragment writes a name as CloudWatch's page does: escaped twice, with $ for the second %.
func inFragment(name string) string {
	return strings.ReplaceAll(url.QueryEscape(url.QueryEscape(name)), "%", "$")
}
