package maintenance

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func day(t *testing.T, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// eks is the release calendar of November 2026, and 1.37 as it may come.
func eks(t *testing.T) (out []fleet.KubernetesVersion) {
	for _, v := range []struct {
		minor                        fleet.Minor
		released, standard, extended string
	}{
		{36, "2026-06-02", "2027-08-02", "2028-08-02"}, // in no order
		{31, "2024-09-26", "2025-11-26", "2026-11-26"}, {32, "2025-01-23", "2026-03-23", "2027-03-23"}, {33, "2025-05-29", "2026-07-29", "2027-07-29"},
		{34, "2025-10-02", "2026-12-02", "2027-12-02"}, {35, "2026-01-27", "2027-03-27", "2028-03-27"}, {37, "2026-12-10", "2028-02-10", "2029-02-10"},
	} {
		out = append(out, fleet.KubernetesVersion{Minor: v.minor, Released: day(t, v.released), StandardEnds: day(t, v.standard), ExtendedEnds: day(t, v.extended)})
	}
	return out
}

// TestDue: what is due on the 23rd of November 2026, and when what is not due will be.
func TestDue(t *testing.T) {
	for name, c := range map[string]struct {
		version  fleet.Minor
		support  string
		upgraded string
		policy   func(*fleet.UpgradePolicy)
		to       fleet.Minor
		from, by string
		due      bool
	}{
		"supported: nothing for now":          {version: 35, to: 36, from: "2028-01-27", by: "2028-03-27"},
		"standard support ends in nine days":  {version: 34, support: "STANDARD", to: 35, from: "2026-10-03", by: "2026-12-02", due: true},
		"the same with extended support":      {version: 34, support: "EXTENDED", to: 35, from: "2027-10-03", by: "2027-12-02"},
		"extended support ends in three days": {version: 31, to: 32, from: "2026-09-27", by: "2026-11-26", due: true},
		"and the next one soon, too": {version: 31, policy: func(p *fleet.UpgradePolicy) { p.Lead = 200 * 24 * time.Hour },
			to: 33, from: "2026-05-10", by: "2026-11-26", due: true},
		"the next ones are out of standard support": {version: 31, support: "STANDARD", to: 35, from: "2025-09-27", by: "2025-11-26", due: true},
		"a named version":                 {version: 34, policy: func(p *fleet.UpgradePolicy) { p.Version = 36 }, to: 36, from: "2026-11-23", by: "2027-12-02", due: true},
		"a named version that is there":   {version: 36, policy: func(p *fleet.UpgradePolicy) { p.Version = 36 }},
		"a named version that is passed":  {version: 36, policy: func(p *fleet.UpgradePolicy) { p.Version = 35 }},
		"a named version that is to come": {version: 36, policy: func(p *fleet.UpgradePolicy) { p.Version = 37 }, to: 37, from: "2026-12-10", by: "2028-08-02"},
		"the newest":                      {version: 34, policy: func(p *fleet.UpgradePolicy) { p.Channel = fleet.ChannelNewest }, to: 36, from: "2026-11-23", by: "2027-12-02", due: true},
		"the newest is there":             {version: 36, policy: func(p *fleet.UpgradePolicy) { p.Channel = fleet.ChannelNewest }},
		"the newest but one":              {version: 34, policy: func(p *fleet.UpgradePolicy) { p.Channel = fleet.ChannelStable }, to: 35, from: "2026-11-23", by: "2027-12-02", due: true},
		"it is there: the end of support counts": {version: 35, support: "STANDARD", policy: func(p *fleet.UpgradePolicy) { p.Channel = fleet.ChannelStable },
			to: 36, from: "2027-01-26", by: "2027-03-27"},
		"upgraded yesterday: a rollback stays possible": {version: 35, upgraded: "2026-11-22", policy: func(p *fleet.UpgradePolicy) { p.Channel = fleet.ChannelNewest },
			to: 36, from: "2026-11-29", by: "2028-03-27"},
		"unless the end comes first": {version: 31, upgraded: "2026-11-22", to: 32, from: "2026-09-27", by: "2026-11-26", due: true},
		"EKS does not know it":       {version: 40},
		"no lead at all":             {version: 31, policy: func(p *fleet.UpgradePolicy) { p.Lead = 0 }, to: 32, from: "2026-11-26", by: "2026-11-26"},
	} {
		p := fleet.DefaultUpgradePolicy()
		if c.policy != nil {
			c.policy(&p)
		}
		f := Facts{Version: c.version, SupportType: c.support, Versions: eks(t)}
		if c.upgraded != "" {
			f.UpgradedAt = day(t, c.upgraded)
		}
		now := day(t, "2026-11-23")
		d, ok := Ahead(now, f, p)
		if ok != (c.to != 0) {
			t.Errorf("%s: %+v, %t", name, d, ok)
			continue
		}
		if _, due := Due(now, f, p); due != c.due {
			t.Errorf("%s: due %t: %+v", name, due, d)
		}
		if c.to == 0 {
			continue
		}
		if d.To != c.to || d.From.Format(time.DateOnly) != c.from || d.By.Format(time.DateOnly) != c.by || d.Why == "" || !d.Forced.Equal(f.Ends(c.version)) {
			t.Errorf("%s: %+v; want %s from %s by %s", name, d, c.to, c.from, c.by)
		}
	}
}

// TestDueEnds: a cluster that does what is due, when it is, is never forced and gets to a version from which nothing is due.
func TestDueEnds(t *testing.T) {
	for version := fleet.Minor(31); version <= 36; version++ {
		for _, support := range []string{"STANDARD", "EXTENDED"} {
			for _, channel := range []fleet.UpgradeChannel{fleet.ChannelSupported, fleet.ChannelStable, fleet.ChannelNewest} {
				p := fleet.DefaultUpgradePolicy()
				p.Channel = channel
				f := Facts{Version: version, SupportType: support, Versions: eks(t)}
				for now := day(t, "2026-11-23"); now.Before(day(t, "2028-06-01")); now = now.AddDate(0, 0, 1) {
					d, due := Due(now, f, p)
					if !due {
						continue
					}
					if d.To <= f.Version || d.To > 37 {
						t.Fatalf("%s %s from %s: to %s", support, channel, f.Version, d.To)
					}
					f.Version, f.UpgradedAt = d.To, now
				}
				if ends := f.Ends(f.Version); f.Version < 37 && !ends.After(day(t, "2028-06-01")) {
					t.Errorf("%s %s: at %s, whose support ended at %s", support, channel, f.Version, ends)
				}
			}
		}
	}
}
