package notify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Body is a message in a target's form.
type Body struct {
	// Subject is an SNS message's: at most 100 letters of ASCII.
	Subject string
	// Attributes are an SNS message's, by which subscriptions filter.
	Attributes map[string]string
	// ContentType and Data are what is sent; of SNS, Data is the text.
	ContentType string
	Data        []byte
}

const jsonType = "application/json"

// Compose makes one message of reports that belong together, in a target's form.
func Compose(t fleet.NotificationTarget, reports []Report, l Links) (Body, error) {
	m := say(reports, l)
	switch t.Type {
	case fleet.NotifySNS:
		return m.sns(reports), nil
	case fleet.NotifySlack:
		return encode(m.slack())
	case fleet.NotifyTeams:
		return encode(m.teams())
	case fleet.NotifyWebhook:
		return webhook(t, newData(m, reports))
	}
	return Body{}, fmt.Errorf("%q is no type of target", t.Type)
}

func encode(v any) (Body, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return Body{ContentType: jsonType, Data: bytes.TrimSpace(b.Bytes())}, err
}

// SNS: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
const (
	maxSubject = 100       // letters, ASCII, no line breaks
	maxText    = 200 << 10 // of the 256 KiB that a message may have with its attributes
)

func (m message) sns(reports []Report) Body {
	b := Body{ContentType: "text/plain", Subject: subject(m.title), Data: []byte(cut(m.plain(), maxText)), Attributes: map[string]string{}}
	for name, of := range map[string]func(Report) string{
		"moment": func(r Report) string { return string(r.Moment) }, "function": func(r Report) string { return r.Function },
		"cluster": func(r Report) string { return r.Cluster }, "outcome": func(r Report) string { return r.Outcome },
	} {
		value := of(reports[0])
		for _, r := range reports {
			if of(r) != value {
				value = "" // of a digest only what all have in common
			}
		}
		if value != "" {
			b.Attributes[name] = value
		}
	}
	return b
}

func subject(title string) string {
	out := make([]byte, 0, maxSubject)
	for _, r := range title {
		if r < ' ' || r > '~' {
			r = '?'
		}
		out = append(out, byte(r))
		if len(out) == maxSubject {
			break
		}
	}
	return strings.TrimSpace(string(out))
}

type object = map[string]any

// Slack: https://docs.slack.dev/reference/block-kit/blocks. What comes from outside is escaped as Slack asks for, so that no name
// of a node can call a channel or pretend to be a link.
const (
	maxHeader  = 150
	maxField   = 2000
	maxSection = 3000
	maxFields  = 10 // of one section
)

var slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// slackText escapes and then cuts, never through an escape.
func slackText(s string, most int) string {
	out := slackEscapes.Replace(s)
	for n := most; len(out) > most; n-- {
		out = slackEscapes.Replace(cut(s, n))
	}
	return out
}

func (m message) slack() object {
	mrkdwn := func(s string) object { return object{"type": "mrkdwn", "text": s} }
	blocks := []any{object{"type": "header", "text": object{"type": "plain_text", "text": cut(m.title, maxHeader), "emoji": false}}}
	var fields []any
	for _, f := range m.facts {
		fields = append(fields, mrkdwn("*"+slackText(f.name, 100)+"*\n"+slackText(f.value, maxField-110)))
		if len(fields) == maxFields {
			blocks, fields = append(blocks, object{"type": "section", "fields": fields}), nil
		}
	}
	if len(fields) > 0 {
		blocks = append(blocks, object{"type": "section", "fields": fields})
	}
	if len(m.lines) > 0 {
		lines := make([]string, len(m.lines))
		for i, l := range m.lines {
			lines[i] = "• " + slackText(l, maxSection/(shown+1)-5)
		}
		blocks = append(blocks, object{"type": "section", "text": mrkdwn(strings.Join(lines, "\n"))})
	}
	var links []string
	for _, l := range m.links {
		links = append(links, "<"+l.url+"|"+l.text+">")
	}
	if len(links) > 0 {
		blocks = append(blocks, object{"type": "context", "elements": []any{mrkdwn(strings.Join(links, " · "))}})
	}
	return object{"text": slackText(m.title, maxSection), "blocks": blocks}
}

// Teams: an Adaptive Card in the shape that Workflows' "when a Teams webhook request is received" takes. A card has 28 KB at most:
// https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
const maxCardText = 400

// teamsEscapes keep what comes from outside from being Markdown.
var teamsEscapes = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`, "`", "\\`", "#", `\#`, "<", "&lt;", ">", "&gt;", "&", "&amp;")

func teamsText(s string) string { return teamsEscapes.Replace(cut(s, maxCardText)) }

func (m message) teams() object {
	text := func(s string, more object) object {
		block := object{"type": "TextBlock", "text": s, "wrap": true}
		for k, v := range more {
			block[k] = v
		}
		return block
	}
	body := []any{text(teamsText(m.title), object{"weight": "Bolder", "size": "Medium"})}
	var facts []any
	for _, f := range m.facts {
		facts = append(facts, object{"title": teamsText(f.name), "value": teamsText(f.value)})
	}
	if len(facts) > 0 {
		body = append(body, object{"type": "FactSet", "facts": facts})
	}
	for _, l := range m.lines {
		body = append(body, text("- "+teamsText(l), object{"spacing": "None"}))
	}
	card := object{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	var actions []any
	for _, l := range m.links {
		actions = append(actions, object{"type": "Action.OpenUrl", "title": l.text, "url": l.url})
	}
	if len(actions) > 0 {
		card["actions"] = actions
	}
	return object{"type": "message", "attachments": []any{object{
		"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": nil, "content": card,
	}}}
}

// cut shortens a text to so many bytes, without breaking a letter.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const ellipsis = "…"
	end := max(0, most-len(ellipsis))
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}
