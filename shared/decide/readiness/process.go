package readiness

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var processChecks = []check{
	{id: "OPS01", title: "Window and ring", severity: Block, reads: "the policy's windows, blackouts, freezes and rings", when: func(l *look) bool { return l.o.Process != nil }, run: process},
	{id: "OPS03", title: "AWS Health", severity: Block, reads: "open events of EKS, EC2 and Auto Scaling", parts: []Part{PartHealth}, optional: true, run: health},
	{id: "OPS04", title: "Alarms", severity: Block, reads: "the policy's CloudWatch alarms", parts: []Part{PartAlarms}, when: func(l *look) bool { return len(l.p.Health.Alarms) > 0 }, run: alarms},
	{id: "OPS05", title: "Access to the API server", severity: Block, reads: "whether the API server answers, and knows us", run: access},
}

// quoted is a text as a shell takes it for one word, whatever is in it.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// days until a moment, as people count them.
func days(now, t time.Time) int { return int(t.Sub(now).Hours() / 24) }

func daysText(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// supportEnds warns, and never blocks: what a cluster near its end needs most is the upgrade that a block would hold up.
func supportEnds(l *look) (out outcome) {
	v, ok := l.o.EKS.Find(l.from)
	if !ok {
		out.unknown = "EKS does not know " + l.from.String()
		return out
	}
	out.remedy = fixed("ekspedite upgrade plan --cluster " + l.cluster())
	soon := int(l.p.Lead.Hours() / 24)
	switch {
	case v.StandardEnds.IsZero():
	case l.now.Before(v.StandardEnds):
		if n := days(l.now, v.StandardEnds); n <= soon {
			out.one = fmt.Sprintf("standard support of %s ends in %s; then it costs $%.2f an hour instead of $%.2f", l.from, daysText(n), fleet.ClusterExtendedHourly, fleet.ClusterHourly)
			out.add("cluster", "standard support until "+date(v.StandardEnds))
		}
	case !v.ExtendedEnds.IsZero() && l.now.Before(v.ExtendedEnds):
		out.one = fmt.Sprintf("%s is in extended support, which costs $%.0f a month more", l.from, (fleet.ClusterExtendedHourly-fleet.ClusterHourly)*hoursPerMonth)
		out.add("cluster", fmt.Sprintf("EKS upgrades it by itself from %s, in %s, without notice", date(v.ExtendedEnds), daysText(days(l.now, v.ExtendedEnds))))
	case !v.ExtendedEnds.IsZero():
		out.one = l.from.String() + " is out of support: EKS upgrades the cluster at any time"
		out.add("cluster", "extended support ended on "+date(v.ExtendedEnds))
	}
	return out
}

// forcedAt is when EKS upgrades the cluster by itself; zero if that is not known.
func (l *look) forcedAt() time.Time {
	v, _ := l.o.EKS.Find(l.from)
	if l.o.EKS.SupportType == "STANDARD" {
		return v.StandardEnds
	}
	return v.ExtendedEnds
}

func supportType(l *look) (out outcome) {
	out.one = "EKS will upgrade the cluster by itself at the end of standard support"
	out.remedy = fixed(l.aws("eks update-cluster-config --name NAME --upgrade-policy supportType=EXTENDED") + "   # if there may be no time to upgrade before")
	at := l.forcedAt()
	if l.o.EKS.SupportType == "STANDARD" && !at.IsZero() && at.Sub(l.now) <= l.p.Lead {
		out.add("cluster", "support type STANDARD; from "+date(at))
	}
	return out
}

func forcedInBlackout(l *look) (out outcome) {
	out.one, out.many = "EKS would upgrade the cluster by itself in a blackout", "EKS would upgrade the cluster by itself in %d blackouts"
	out.remedy = fixed("Upgrade before: ekspedite upgrade plan --cluster " + l.cluster())
	at := l.forcedAt()
	for _, b := range l.p.Blackouts {
		// Those that come again are the calendar's.
		if !at.IsZero() && !b.From.IsZero() && !at.Before(b.From) && at.Before(b.Until) {
			out.add(b.Name, date(at)+" is between "+date(b.From)+" and "+date(b.Until))
		}
	}
	return out
}

// authorityNotice is how long before its end, or before what EKS does with it, a certificate authority is told of: ours.
const authorityNotice = 30 * 24 * time.Hour

func authorities(l *look) (out outcome) {
	out.one, out.many = "a certificate authority changes soon", "certificate authorities change soon: %d times"
	out.remedy = fixed("Renew it first, not during the upgrade: " + l.aws("eks create-certificate-authority --cluster-name NAME"))
	for _, a := range l.o.Authorities {
		if !a.Expires.IsZero() && a.Expires.Sub(l.now) < authorityNotice {
			out.add(a.ID, "ends on "+date(a.Expires))
		}
		for _, e := range a.Scheduled {
			if d := e.At.Sub(l.now); d > 0 && d < authorityNotice {
				out.add(a.ID, e.What+" on "+date(e.At))
			}
		}
	}
	return out
}

func process(l *look) (out outcome) {
	out.one, out.many = "it is not the time for it", "it is not the time for it"
	out.remedy = fixed("ekspedite upgrade calendar --cluster " + l.cluster())
	if p := l.o.Process; !p.WindowOpen {
		out.add("window", p.Window)
	}
	if p := l.o.Process; !p.RingReady {
		out.add("ring", p.Ring)
	}
	return out
}

func health(l *look) (out outcome) {
	out.one, out.many = "AWS has an open issue with a service that the upgrade needs", "AWS has %d open issues with services that the upgrade needs"
	out.remedy = fixed("Wait for its end: https://health.aws.amazon.com/health/home")
	if l.o.Health == nil {
		out.unknown = "nobody has told of AWS Health's events"
	}
	for _, e := range l.o.Health {
		if e.Category != "issue" || e.Status != "open" || !slices.Contains([]string{"EKS", "EC2", "AUTOSCALING"}, strings.ToUpper(e.Service)) {
			continue
		}
		if e.Affected {
			out.add(e.Code, "open since "+e.From.UTC().Format("2006-01-02 15:04"))
		} else {
			out.at(Warn, e.Code, "open since "+e.From.UTC().Format("2006-01-02 15:04")+", of others")
		}
	}
	return out
}

func alarms(l *look) (out outcome) {
	out.one, out.many = "an alarm of the policy is in ALARM, or cannot say", "%d alarms of the policy are in ALARM, or cannot say"
	out.remedy = func(name string) string { return l.aws("cloudwatch describe-alarms --alarm-names " + quoted(name)) }
	for _, a := range l.o.Alarms {
		switch a.State {
		case "ALARM":
			out.add(a.Name, "ALARM since "+a.Since.UTC().Format("2006-01-02 15:04"))
		case "INSUFFICIENT_DATA":
			out.at(Warn, a.Name, a.State)
		}
	}
	for _, name := range l.o.UnknownAlarms {
		out.add(name, "there is no such alarm: it would watch over nothing")
	}
	return out
}

func access(l *look) (out outcome) {
	a := l.o.Access
	out.one = "ekspedite does not get into the cluster: it can neither check nor watch it"
	switch {
	case !a.Asked:
		out.unknown = "nobody has asked the API server"
	case !a.Reached:
		out.add("endpoint", a.Why)
		out.remedy = fixed("Attach the functions to a network that reaches the private endpoint, or open the public one to them")
	case !a.Entry:
		out.add("access entry", a.Why)
		out.remedy = fixed(l.aws("eks create-access-entry --cluster-name NAME --principal-arn ROLE"))
	}
	return out
}
