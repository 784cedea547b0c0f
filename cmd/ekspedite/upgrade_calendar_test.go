package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/calendarview"
	"github.com/ekspedite/ekspedite/shared/decide/calendar"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// oldFile is a cluster at a version whose support is over, whatever the day, with windows on every night.
const oldFile = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: old, region: us-east-1, version: "1.31"}
---
apiVersion: ekspedite.dev/v1alpha1
kind: ClusterPolicy
upgrade:
  mode: Act
  ring: canary
  windows: [{name: nights, cron: "0 2 * * *", for: 4h}]
---
apiVersion: ekspedite.dev/v1alpha1
kind: FleetPolicy
rings: [{name: canary}, {name: rest}]
`

// TestUpgradeCalendarOfFiles needs neither AWS nor a ledger.
func TestUpgradeCalendarOfFiles(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	file := filepath.Join(t.TempDir(), "old.yaml")
	if err := os.WriteFile(file, []byte(oldFile), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, 0, []string{"us-east-1/old  Upgrade", "upgrade from 1.31 to ", "extended support of 1.31 ends at 2026-11-26", calendar.AsOf}, "", "upgrade", "calendar", "-f", file)
	want(t, 0, []string{"fleet", "blackout year-end", "eu-central-1/upgrades"}, "", "upgrade", "calendar", "--days", "400", "-f", filepath.Join("..", "..", "examples", "clusters", "upgrades.yaml"))
	y := calendarOf(t, "-f", file, "--days", "30")
	if n := len(y.Entries); n == 0 || y.Until.Sub(y.Now) != 30*24*time.Hour || !strings.HasPrefix(y.Dates, "ekspedite's own table") {
		t.Errorf("%+v", y)
	}
	ics := want(t, 0, nil, oldFile, "upgrade", "calendar", "-f", "-", "-o", "ics").out
	if !strings.HasPrefix(ics, "BEGIN:VCALENDAR\r\n") || !strings.HasSuffix(ics, "END:VCALENDAR\r\n") || !strings.Contains(ics, "SUMMARY:us-east-1/old: upgrade from 1.31 to ") {
		t.Error(ics)
	}
	want(t, exitUsage, []string{"use text, json or ics"}, "", "upgrade", "calendar", "-f", file, "-o", "xml")
	want(t, exitUsage, []string{"1 to 400 are possible"}, "", "upgrade", "calendar", "-f", file, "--days", "0")
	want(t, exitUsage, []string{"is nothing that ekspedite reads"}, "kind: nothing\n", "upgrade", "calendar", "-f", "-")
	want(t, exitFailed, []string{"there is no cluster older"}, "", "upgrade", "calendar", "-f", file, "--cluster", "older")
	want(t, exitUsage, []string{"upgrade.windows[0].cron", "five fields"}, strings.Replace(oldFile, "0 2 * * *", "0 2 * *", 1), "upgrade", "calendar", "-f", "-")
}

// TestFleetPolicyAlone: files without a cluster are right, and there is nothing to plan or to delete.
func TestFleetPolicyAlone(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	policy := oldFile[strings.LastIndex(oldFile, "---"):]
	want(t, 0, []string{"the fleet's policy is right"}, policy, "cluster", "validate", "-f", "-")
	want(t, 0, []string{"would take the place"}, policy, "cluster", "plan", "-f", "-")
	want(t, exitUsage, []string{"there is no cluster in the files"}, policy, "cluster", "delete", "-f", "-")
	late := strings.Replace(oldFile, "  ring: canary\n", "  checks: {waivers: [{check: WL01, until: 2199-01-01T00:00, reason: r}]}\n", 1)
	want(t, exitUsage, []string{"<stdin>:9: error: upgrade.checks.waivers[0].until: is more than a year ahead"}, late, "cluster", "validate", "-f", "-")
}

func calendarOf(t *testing.T, args ...string) calendarview.Year {
	t.Helper()
	return wantJSON[calendarview.Year](t, 0, "", append([]string{"upgrade", "calendar"}, args...)...)
}

// TestUpgradeCalendar: of what was asked for, with what EKS says of it, and what is frozen.
func TestUpgradeCalendar(t *testing.T) {
	r := newRig(t)
	want(t, 0, []string{"there is no cluster yet"}, "", "upgrade", "calendar")
	want(t, 0, []string{"the fleet's policy: run ", "rings canary, rest"}, oldFile[strings.LastIndex(oldFile, "---"):], "cluster", "apply", "-f", "-", "--timeout", "60s")
	text := strings.NewReplacer(`"1.31"`, `"1.36"`, "name: old", "name: small").Replace(oldFile)
	want(t, 0, nil, text, "cluster", "apply", "-f", "-", "--timeout", "300s")

	y := calendarOf(t, "--cluster", "small")
	has := func(kind calendar.Kind) (out []calendar.Entry) {
		for _, e := range y.Entries {
			if e.Kind == kind && e.Cluster == r.cloud.World.Region+"/small" {
				out = append(out, e)
			}
		}
		return out
	}
	if y.Dates != "EKS" || len(has(calendar.KindPatch)) < 10 || len(has(calendar.KindWindow)) != 1 || len(has(calendar.KindWarning)) != 0 {
		t.Errorf("%+v", y)
	}
	freeze := fleet.Freeze{Name: "audit", Ring: "canary", From: time.Now(), Reason: "auditors are in"}
	if err := r.work.Ledger.Freeze(t.Context(), freeze); err != nil {
		t.Fatal(err)
	}
	if y = calendarOf(t, "--offline"); len(has(calendar.KindFreeze)) != 1 || len(has(calendar.KindPatch)) != 0 || !strings.HasPrefix(y.Dates, "ekspedite's own") {
		t.Errorf("%+v", y)
	}
}
