package spec

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// notificationFields are those of a policy's notifications: of a ClusterPolicy's and of the FleetPolicy's.
const notificationFields = `notifications
  name
  type
  topicArn
  parameter
  url
  on
  functions
  outcomes
  template
  headers
    name
    value
    parameter
`

const (
	maxTargets = 20
	maxHeaders = 10
)

var (
	topicARN      = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:([A-Za-z0-9_-]{1,256})$`)
	parameterName = regexp.MustCompile(`^` + fleet.ParameterPrefix + `[A-Za-z0-9_./-]{1,200}$`)
	headerName    = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	headerValue   = regexp.MustCompile(`^[ -~]{1,1000}$`)
	outcomeWord   = regexp.MustCompile(`^[A-Z][A-Za-z]{1,40}$`)
)

// ownHeaders are set by whoever sends.
var ownHeaders = []string{"host", "content-length", "transfer-encoding", "connection", "user-agent"}

// tokenHosts are those whose webhooks' URLs are secrets: whoever has one can post.
var tokenHosts = []string{"hooks.slack.com", "hooks.slack-gov.com", "webhook.office.com", "logic.azure.com", "api.powerplatform.com", "discord.com", "events.pagerduty.com"}

// notifications reads who is told of runs.
func (v value) notifications() (out []fleet.NotificationTarget) {
	names := newNames()
	for _, item := range v.mappings() {
		out = append(out, item.target(names))
	}
	if len(out) > maxTargets {
		v.wrong("has %d targets: %d at most", len(out), maxTargets)
		return out[:maxTargets]
	}
	return out
}

func (v value) target(names names) fleet.NotificationTarget {
	t := fleet.NotificationTarget{Name: names.of(v, "notifications")}
	kind := v.at("type")
	t.Type = fleet.NotificationType(kind.oneOf("", string(fleet.NotifySNS), string(fleet.NotifySlack), string(fleet.NotifyTeams), string(fleet.NotifyWebhook)))
	if !kind.there() {
		v.wrong("says no type: SNS, Slack, Teams or Webhook")
	}
	if t.Type == fleet.NotifySNS {
		t.TopicARN = v.at("topicArn").topic()
		v.excludes("type SNS", "parameter", "url")
	} else {
		t.Parameter, t.URL = v.at("parameter").parameter(), v.at("url").webhookURL()
		v.excludes("type "+string(t.Type), "topicArn")
		switch url := v.at("url"); {
		case t.Parameter != "" && t.URL != "":
			url.wrong("and parameter exclude each other: drop one")
		case !v.has("parameter") && !v.has("url"):
			v.wrong("says no address: put the webhook's URL into an SSM parameter, a SecureString below %s, and name it as parameter", fleet.ParameterPrefix)
		}
	}
	t.On = v.moments()
	t.Functions = v.at("functions").someOf(fleet.NotifiedFunctions, fleet.NotifiedUnlessSaidElse)
	for i, o := range v.at("outcomes").texts() {
		if !outcomeWord.MatchString(o) {
			v.at("outcomes").items()[i].wrong("%q must be the outcome of a run, like PartiallyDrained", clip(o))
		}
		t.Outcomes = append(t.Outcomes, o)
	}
	if t.Type != fleet.NotifyWebhook {
		v.excludes("type "+string(t.Type), "template", "headers")
		return t
	}
	t.Headers = v.at("headers").headers()
	if text := v.at("template"); text.there() {
		t.Template = text.text("")
		text.webhookTemplate(t)
	}
	return t
}

func (v value) topic() string {
	arn := v.text("")
	switch m := topicARN.FindStringSubmatch(arn); {
	case !v.there():
		v.wrong("is missing: the topic's ARN")
	case m == nil:
		v.wrong("%q must be the ARN of a standard SNS topic", clip(arn))
	case !strings.HasPrefix(m[1], fleet.TopicPrefix):
		v.wrong("the topic %s cannot be published to: ekspedite may use topics only whose names begin with %s", clip(m[1]), fleet.TopicPrefix)
	}
	return arn
}

// parameter is the name of an SSM parameter with a secret.
func (v value) parameter() string {
	name := v.text("")
	if v.there() && !parameterName.MatchString(name) {
		// The text is not repeated: somebody may have put the secret itself here.
		v.wrong("must be the name of an SSM parameter below %s, a SecureString: ekspedite can read no others", fleet.ParameterPrefix)
		return ""
	}
	return name
}

// webhookURL is an address that is no secret. What is wrong with it is said without it.
func (v value) webhookURL() string {
	text := v.text("")
	if !v.there() {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		v.wrong("must be a URL, like https://hooks.example.com/ekspedite")
		return ""
	}
	ip := net.ParseIP(u.Hostname())
	switch loopback := ip != nil && ip.IsLoopback(); {
	case u.User != nil:
		v.wrong("has a user or a password in it: put the URL into an SSM parameter and name that as parameter")
		return ""
	case loopback:
		v.warn("is on the loopback interface: that works on the embedded cloud only")
	case u.Scheme != "https":
		v.wrong("must begin with https://")
	case ip != nil && (ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast()):
		v.wrong("is an address that nothing is sent to: link-local, multicast or none")
	case slices.ContainsFunc(tokenHosts, func(h string) bool { return u.Hostname() == h || strings.HasSuffix(u.Hostname(), "."+h) }):
		v.warn("looks like a webhook whose URL is a secret: whoever reads the file can post there. Put it into an SSM parameter and name that as parameter")
	}
	return text
}

func (v value) moments() []fleet.Moment {
	all := []string{string(fleet.MomentStarted), string(fleet.MomentFinished), string(fleet.MomentFailed)}
	var out []fleet.Moment
	for _, m := range v.at("on").someOf(all, all[:2]) {
		out = append(out, fleet.Moment(m))
	}
	return out
}

// someOf are texts out of a choice.
func (v value) someOf(choice, otherwise []string) []string {
	if !v.there() {
		return slices.Clone(otherwise)
	}
	list := v.texts()
	for i, item := range v.items() {
		if i < len(list) {
			list[i] = item.oneOf(list[i], choice...)
		}
	}
	if len(list) == 0 {
		v.wrong("is empty: then nobody is told. Drop the target, or name some of %s", strings.Join(choice, ", "))
	}
	return list
}

func (v value) headers() (out []fleet.NotificationHeader) {
	had := map[string]bool{}
	for _, item := range v.mappings() {
		name, given := item.at("name"), item.at("value")
		h := fleet.NotificationHeader{Name: name.text(""), Value: given.text(""), Parameter: item.at("parameter").parameter()}
		lower := strings.ToLower(h.Name)
		switch {
		case !headerName.MatchString(h.Name):
			name.wrong("must be a header's name: letters, digits and -")
		case slices.Contains(ownHeaders, lower):
			name.wrong("%s is set by ekspedite", h.Name)
		case had[lower]:
			name.wrong("%s is there twice: drop one", h.Name)
		case h.Value != "" && h.Parameter != "":
			given.wrong("and parameter exclude each other: drop one")
		case !item.has("value") && !item.has("parameter"):
			item.wrong("has no value: give value, or parameter if it is a secret")
		case h.Value != "" && !headerValue.MatchString(h.Value):
			given.wrong("must be printable letters of ASCII, 1000 at most")
		case h.Value != "" && (lower == "authorization" || lower == "x-api-key"):
			given.warn("looks like a secret: whoever reads the file knows it. Put it into an SSM parameter and name that as parameter")
		}
		had[lower] = true
		out = append(out, h)
	}
	if len(out) > maxHeaders {
		v.wrong("has %d headers: %d at most", len(out), maxHeaders)
	}
	return out
}

// webhookTemplate tries a webhook's template, and says in which line of the file it is wrong.
func (v value) webhookTemplate(t fleet.NotificationTarget) {
	err := notify.CheckTemplate(t)
	if err == nil {
		return
	}
	at := v
	if wrong, ok := errors.AsType[*notify.TemplateError](err); ok && wrong.Line > 0 && v.n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		at.line = v.n.Line + wrong.Line // a block's text begins in the line after its mark
	}
	at.wrong("%s", err)
}
