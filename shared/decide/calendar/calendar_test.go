package calendar

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // a Monday

func cluster(t *testing.T, name string, version fleet.Minor, change func(*Input)) Input {
	t.Helper()
	nights, err := fleet.ParseCron("0 2 * * tue")
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Cluster: fleet.ClusterID{Region: "eu-west-1", Name: name}, Policy: fleet.DefaultUpgradePolicy(), Facts: maintenance.Facts{Version: version, Versions: Known()}}
	in.Policy.Mode = fleet.UpgradeAct
	in.Policy.Windows = []fleet.MaintenanceWindow{{Name: "tuesdays", Recurrence: fleet.Recurrence{Cron: nights}, For: 4 * time.Hour}}
	if change != nil {
		change(&in)
	}
	return in
}

func lines(entries []Entry, kinds ...Kind) string {
	var out []string
	for _, e := range entries {
		for _, k := range kinds {
			if e.Kind == k {
				out = append(out, fmt.Sprintf("%s %s %s: %s (%s)", e.At.Format("2006-01-02 15:04"), strings.TrimPrefix(e.Cluster, "eu-west-1/"), e.Kind, e.Title, e.Detail))
			}
		}
	}
	return strings.Join(out, "\n")
}

// TestYear: what is foreseen of one cluster, case by case.
func TestYear(t *testing.T) {
	for name, c := range map[string]struct {
		version fleet.Minor
		change  func(*Input)
		kinds   []Kind
		want    string
	}{
		"the end of extended support comes in three days": {31, nil, []Kind{KindUpgrade, KindSupport, KindWarning},
			`2026-11-24 02:00 a Upgrade: upgrade from 1.31 to 1.32 (extended support of 1.31 ends at 2026-11-26)
2027-01-26 02:00 a Upgrade: upgrade from 1.32 to 1.33 (extended support of 1.32 ends at 2027-03-23)`},
		"and there is no window before it": {31, func(in *Input) { in.Policy.Windows[0].Cron, _ = fleet.ParseCron("0 2 * * fri") }, []Kind{KindUpgrade, KindSupport, KindWarning},
			`2026-11-23 12:00 a Warning: the deadline is 2026-11-26, and no window fits before it (extended support of 1.31 ends at 2026-11-26; the first that fits opens at 2026-11-27 02:00 UTC. Make one earlier, or ask with --now)
2026-11-26 00:00 a Support: support of 1.31 ends: EKS upgrades the control plane by itself (without further notice, at any time from then on, and without the nodes)
2026-11-27 02:00 a Upgrade: upgrade from 1.31 to 1.32 (extended support of 1.31 ends at 2026-11-26)
2027-01-22 02:00 a Upgrade: upgrade from 1.32 to 1.33 (extended support of 1.32 ends at 2027-03-23)`},
		"a blackout does not keep EKS": {31, func(in *Input) {
			in.Policy.Blackouts = []fleet.Blackout{{Name: "trade", From: now, Until: now.AddDate(0, 0, 8)}}
			in.Facts.Versions = Known()[:4]
		}, []Kind{KindUpgrade, KindSupport, KindWarning, KindBlackout},
			`2026-11-23 12:00 a Blackout: blackout trade ()
2026-11-23 12:00 a Warning: the deadline is 2026-11-26, and no window fits before it (extended support of 1.31 ends at 2026-11-26; the first that fits opens at 2026-12-08 02:00 UTC. Make one earlier, or ask with --now)
2026-11-26 00:00 a Support: support of 1.31 ends: EKS upgrades the control plane by itself (without further notice, at any time from then on, and without the nodes)
2026-11-26 00:00 a Warning: EKS's own upgrade falls into the blackout trade (which binds ekspedite, and not EKS: upgrade before 2026-11-26)
2026-12-08 02:00 a Upgrade: upgrade from 1.31 to 1.32 (extended support of 1.31 ends at 2026-11-26)`},
		"mode Off": {31, func(in *Input) { in.Policy.Mode = fleet.UpgradeOff }, []Kind{KindUpgrade, KindWarning, KindPatch},
			`2026-11-23 12:00 a Warning: an upgrade to 1.32 is due, and nothing does it (extended support of 1.31 ends at 2026-11-26; the policy's mode is Off: ekspedite upgrade start --cluster a --to 1.32)`},
		"mode Plan": {35, func(in *Input) { in.Policy.Mode, in.Policy.Channel = fleet.UpgradePlan, fleet.ChannelNewest }, []Kind{KindUpgrade, KindWarning},
			`2026-11-24 02:00 a Upgrade: upgrade from 1.35 to 1.36 (1.36 is the newest version; mode Plan: nothing is done)`},
		"standard support ends and is paid for": {34, nil, []Kind{KindUpgrade, KindSupport, KindWarning},
			`2026-12-02 00:00 a Support: standard support of 1.34 ends (extended support costs $365 a month more)`},
		"standard support only": {34, func(in *Input) { in.Facts.SupportType = "STANDARD" }, []Kind{KindUpgrade, KindSupport, KindWarning},
			`2026-11-24 02:00 a Upgrade: upgrade from 1.34 to 1.35 (standard support of 1.34 ends at 2026-12-02)
2027-01-26 02:00 a Upgrade: upgrade from 1.35 to 1.36 (standard support of 1.35 ends at 2027-03-27)`},
		"windows that are too short": {31, func(in *Input) { in.Policy.Windows[0].For = 12 * time.Minute }, []Kind{KindUpgrade, KindWarning},
			`2026-11-23 12:00 a Warning: the upgrade to 1.32 never fits (extended support of 1.31 ends at 2026-11-26; the window tuesdays opens at 2026-11-24 02:00 UTC; the step takes 15m, and the longest window is 12m: make it longer, or ask with --now)`},
		"no windows": {36, func(in *Input) { in.Policy.Windows = nil }, []Kind{KindUpgrade, KindWarning, KindPatch, KindWindow},
			`2026-11-23 12:00 a Warning: no maintenance windows (nothing is started by itself: give the policy windows)`},
		"its version is not known": {0, nil, []Kind{KindUpgrade, KindWarning, KindWindow},
			`2026-11-23 12:00 a Warning: its version is not known (no upgrade can be foreseen: name it in the file, metadata.version)
2026-11-24 02:00 a Window: window tuesdays (the next of 13 until 2027-02-21)`},
		"a freeze without an end": {31, func(in *Input) { in.Freezes = []fleet.Freeze{{Name: "audit", From: now, Reason: "auditors"}} }, []Kind{KindUpgrade, KindFreeze},
			`2026-11-23 12:00 a Freeze: freeze audit (auditors; it holds until it is lifted: ekspedite upgrade unfreeze --name audit)`},
		"what expires": {36, func(in *Input) {
			in.Policy.Checks.Waivers = []fleet.Waiver{{Check: "WL05", Until: now.AddDate(0, 0, 5), Reason: "one replica"}, {Check: "WL06", Until: now.AddDate(0, 0, 100)}, {Check: "WL07", Until: now.AddDate(0, 0, -1)}}
			in.Expires, in.Running = []Expiry{{now.AddDate(0, 0, 9), "the certificate authority expires"}}, "baking 1.36"
		}, []Kind{KindExpiry, KindRunning},
			`2026-11-23 12:00 a Running: a run is under way (baking 1.36)
2026-11-28 12:00 a Expiry: the waiver of WL05 ends (one replica; from then on the check holds again)
2026-12-02 12:00 a Expiry: the certificate authority expires ()`},
	} {
		got := lines(Year(now, now.AddDate(0, 0, 90), fleet.DefaultFleetPolicy(), []Input{cluster(t, "a", c.version, c.change)}), c.kinds...)
		if got != c.want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestPatchesOnceAWeek(t *testing.T) {
	in := cluster(t, "a", 36, func(in *Input) {
		in.Policy.Windows[0].Cron, _ = fleet.ParseCron("0 2 * * *")
		in.Policy.Patches.Addons = false
	})
	got := lines(Year(now, now.AddDate(0, 0, 20), fleet.DefaultFleetPolicy(), []Input{in}), KindPatch)
	want := "2026-11-24 02:00 a Patch: patch node images ()\n2026-12-01 02:00 a Patch: patch node images ()\n2026-12-08 02:00 a Patch: patch node images ()"
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestRings: a ring after the other, with its soak, and no more at a time than a ring takes.
func TestRings(t *testing.T) {
	newest := func(ring string) func(*Input) {
		return func(in *Input) { in.Policy.Channel, in.Policy.Ring = fleet.ChannelNewest, ring }
	}
	all := fleet.FleetPolicy{Rings: []fleet.Ring{{Name: "canary", AtOnce: 1, Soak: 24 * time.Hour}, {Name: "rest", AtOnce: 2}}}
	year := Year(now, now.AddDate(0, 0, 90), all, []Input{
		cluster(t, "r1", 35, newest("rest")), cluster(t, "r2", 35, newest("rest")), cluster(t, "r3", 35, newest("rest")),
		cluster(t, "c1", 35, newest("canary")), cluster(t, "c2", 35, newest("canary")), cluster(t, "alone", 35, newest("nowhere")),
	})
	want := `2026-11-24 02:00 alone Upgrade: upgrade from 1.35 to 1.36 (1.36 is the newest version)
2026-11-24 02:00 c1 Upgrade: upgrade from 1.35 to 1.36 (1.36 is the newest version)
2026-11-24 04:10 c2 Upgrade: upgrade from 1.35 to 1.36 (1.36 is the newest version; ring canary takes 1 at a time)
2026-12-01 02:00 r1 Upgrade: upgrade from 1.35 to 1.36 (1.36 is the newest version; after ring canary)
2026-12-01 02:00 r2 Upgrade: upgrade from 1.35 to 1.36 (1.36 is the newest version; after ring canary)
2026-12-01 04:10 r3 Upgrade: upgrade from 1.35 to 1.36 (1.36 is the newest version; ring rest takes 2 at a time)`
	if got := lines(year, KindUpgrade); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestKnown(t *testing.T) {
	for i, v := range Known() {
		months := func(from, to time.Time) int { return (to.Year()-from.Year())*12 + int(to.Month()-from.Month()) }
		if months(v.StandardEnds, v.ExtendedEnds) != 12 || v.StandardEnds.Day() != v.ExtendedEnds.Day() || months(v.Released, v.StandardEnds) != 14 || int(v.Minor) != 29+i {
			t.Errorf("%+v", v)
		}
	}
}

func BenchmarkThousand(b *testing.B) {
	nights, _ := fleet.ParseCron("0 2 * * *")
	var in []Input
	for i := range 1000 {
		c := Input{Cluster: fleet.ClusterID{Region: "eu-west-1", Name: fmt.Sprint("c", i)}, Policy: fleet.DefaultUpgradePolicy(), Facts: maintenance.Facts{Version: 31 + fleet.Minor(i%6), Versions: Known()}}
		c.Policy.Mode, c.Policy.Channel, c.Policy.Ring = fleet.UpgradeAct, fleet.ChannelStable, []string{"canary", "early", "rest"}[i%3]
		c.Policy.Windows = []fleet.MaintenanceWindow{{Name: "n", Recurrence: fleet.Recurrence{Cron: nights}, For: 4 * time.Hour}}
		in = append(in, c)
	}
	for b.Loop() {
		Year(now, now.AddDate(0, 0, 90), fleet.DefaultFleetPolicy(), in)
	}
}
