package interruption

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

const (
	rebootCode     = "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED"
	retirementCode = "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"
)

// noon is a Tuesday.
var noon = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)

// nights has a window of two hours each night at two.
func nights(t *testing.T) maintenance.Calendar {
	t.Helper()
	cron, err := fleet.ParseCron("0 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	return maintenance.Calendar{Windows: []fleet.MaintenanceWindow{{Name: "nights", Recurrence: fleet.Recurrence{Cron: cron}, For: 2 * time.Hour}}}
}

func announced(code string, start time.Time) Planned {
	p, _ := Planned{}.Hear("e", Notice{Cause: "AWSHealthEvent", Code: code, Start: start, SaidAt: noon})
	return p
}

func TestR7_WhenAnAnnouncedEndIsMet(t *testing.T) {
	in := func(d time.Duration) time.Time { return noon.Add(d) }
	day := 24 * time.Hour
	for name, tc := range map[string]struct {
		plan   Planned
		policy func(*fleet.InterruptionPolicy)
		now    time.Time
		do     Verb
		at     time.Time // Wait's At, Begin's Until, Press's Deadline
	}{
		"a reboot in 14 days waits for tonight's window": {plan: announced(rebootCode, in(14*day)), do: Wait, at: in(14 * time.Hour)},
		"in the window it begins, until its end":         {plan: announced(rebootCode, in(14*day)), now: in(14 * time.Hour), do: Begin, at: in(16 * time.Hour)},
		"too late in the window: the next one":           {plan: announced(rebootCode, in(14*day)), now: in(15*time.Hour + 45*time.Minute), do: Wait, at: in(38 * time.Hour)},
		"no window before the lead begins: the lead":     {plan: announced(rebootCode, in(30*time.Hour)), do: Wait, at: in(6 * time.Hour)},
		"in the lead by choice":                          {plan: announced(rebootCode, in(20*time.Hour)), do: Begin, at: in(time.Hour)},
		"a quarter of an hour before, whatever holds":    {plan: announced(rebootCode, in(15*time.Minute)), do: Press, at: in(15 * time.Minute)},
		"it has happened":                                {plan: announced(rebootCode, in(0)), do: Over},
		"nobody said when":                               {plan: announced(rebootCode, time.Time{}), do: Over},
		"a retirement begins at once, by choice":         {plan: announced(retirementCode, in(14*day)), do: Begin, at: in(time.Hour)},
		"a retirement, in EC2's own word":                {plan: announced("instance-retirement", in(14*day)), do: Begin, at: in(time.Hour)},
		"a drive that degrades, without a date":          {plan: announced("AWS_EC2_INSTANCE_STORE_DRIVE_PERFORMANCE_DEGRADED", time.Time{}), do: Begin, at: in(time.Hour)},
		"a retirement whose time has passed":             {plan: announced(retirementCode, in(-time.Hour)), do: Begin, at: in(time.Hour)},
		"BeforeDeadline has no eye for windows":          {plan: announced(rebootCode, in(14*day)), policy: scheduled(fleet.ScheduledBeforeDeadline), do: Wait, at: in(13 * day)},
		"Immediately":                                    {plan: announced(rebootCode, in(14*day)), policy: scheduled(fleet.ScheduledImmediately), do: Begin, at: in(time.Hour)},
		"Immediately, and never beyond the quarter":      {plan: announced(rebootCode, in(45*time.Minute)), policy: scheduled(fleet.ScheduledImmediately), do: Begin, at: in(30 * time.Minute)},
		"Ignore":                                              {plan: announced(retirementCode, in(time.Minute)), policy: scheduled(fleet.ScheduledIgnore), do: Over},
		"a failing machine: now, whatever holds":              {plan: failing(), do: Press, at: in(5 * time.Minute)},
		"closed":                                              {plan: heard(announced(retirementCode, in(14*day)), "e", true), do: Over},
		"of two, the other one is closed":                     {plan: heard(announced(rebootCode, in(14*day)), "other", true), do: Wait, at: in(14 * time.Hour)},
		"of two, the harder counts":                           {plan: announcedToo(announced(rebootCode, in(14*day)), in(10*time.Minute)), do: Press, at: in(10 * time.Minute)},
		"tried in this window: the next one":                  {plan: announced(rebootCode, in(14*day)).Tried(in(14*time.Hour), Step{Until: in(16 * time.Hour)}), now: in(14*time.Hour + time.Minute), do: Wait, at: in(38 * time.Hour)},
		"tried in the lead: again in four hours":              {plan: announced(rebootCode, in(20*time.Hour)).Tried(noon, Step{Until: in(time.Hour)}), now: in(time.Minute), do: Wait, at: in(4 * time.Hour)},
		"tried in the lead, and the quarter comes before":     {plan: announced(rebootCode, in(2*time.Hour)).Tried(noon, Step{Until: in(time.Hour)}), now: in(time.Minute), do: Wait, at: in(105 * time.Minute)},
		"pressed: nothing is left to do":                      {plan: announced(rebootCode, in(10*time.Minute)).Pressed(Step{Name: "e"}), do: Over},
		"a retirement that was tried, and nobody gave way":    {plan: announced(retirementCode, in(14*day)).Tried(noon, Step{Until: in(time.Hour)}), now: in(time.Minute), do: Wait, at: in(4 * time.Hour)},
		"what was said a month ago without a date is too old": {plan: announced("AWS_EC2_INSTANCE_STORE_DRIVE_PERFORMANCE_DEGRADED", time.Time{}), now: in(31 * day), do: Over},
	} {
		t.Run(name, func(t *testing.T) {
			policy := fleet.DefaultPolicy().Interruption
			if tc.policy != nil {
				tc.policy(&policy)
			}
			now := tc.now
			if now.IsZero() {
				now = noon
			}
			s := tc.plan.Next(now, policy, nights(t))
			at := s.At
			switch s.Do {
			case Begin:
				at = s.Until
			case Press:
				at = s.Deadline
			}
			if s.Do != tc.do || !at.Equal(tc.at) || s.Why == "" {
				t.Errorf("%s %s (%s), want %s %s", s.Do, at, s.Why, tc.do, tc.at)
			}
		})
	}
}

func scheduled(a fleet.ScheduledAction) func(*fleet.InterruptionPolicy) {
	return func(p *fleet.InterruptionPolicy) { p.Health.Scheduled = a }
}

func failing() Planned {
	p, _ := Planned{}.Hear("e", Notice{Code: "AWS_EC2_SYSTEM_IMPAIRED", Failing: true, SaidAt: noon})
	return p
}

func heard(p Planned, name string, over bool) Planned {
	p, _ = p.Hear(name, Notice{Code: rebootCode, Over: over, SaidAt: noon.Add(time.Minute)})
	return p
}

func announcedToo(p Planned, start time.Time) Planned {
	p, _ = p.Hear("instance-event-1", Notice{Code: "system-reboot", Start: start, SaidAt: noon})
	return p
}

// An older word does not undo a later one, whichever comes first, and the same one twice is nothing new.
func TestR7_NoticesOutOfOrder(t *testing.T) {
	open := Notice{Code: retirementCode, Start: noon.Add(time.Hour), SaidAt: noon}
	closed := open
	closed.Over, closed.SaidAt = true, noon.Add(time.Second)
	atOnce := open // in the same second
	atOnce.Over = true
	for _, end := range []Notice{closed, atOnce} {
		p, _ := Planned{}.Hear("e", end)
		if q, news := p.Hear("e", open); news || !q.Notices["e"].Over {
			t.Errorf("an old announcement has undone its cancellation: %+v", q)
		}
		p, _ = Planned{}.Hear("e", open)
		q, news := p.Hear("e", end)
		if !news || !q.Notices["e"].Over || p.Notices["e"].Over {
			t.Errorf("news %t: %+v of %+v", news, q, p)
		}
		if _, news := q.Hear("e", end); news {
			t.Error("the same again is no news")
		}
	}
	moved := open
	moved.Start, moved.SaidAt = noon.Add(2*time.Hour), noon.Add(time.Second)
	p, _ := Planned{}.Hear("e", open)
	p = p.Pressed(Step{Name: "e"})
	if q, _ := p.Hear("e", moved); q.Notices["e"].Pressed {
		t.Error("another date is another end")
	}
}

// Whatever is announced and however often it is asked: a plan moves on, nothing begins after the announced end or so late that it
// would reach beyond it, what is by choice ends before the last quarter of an hour, and a plan survives the ledger.
func TestPlansEnd(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		start := noon.Add(time.Duration(rnd.IntN(20*24*60)) * time.Minute)
		code := []string{rebootCode, retirementCode}[rnd.IntN(2)]
		policy := fleet.DefaultPolicy().Interruption
		policy.Health.Scheduled = []fleet.ScheduledAction{fleet.ScheduledWindow, fleet.ScheduledBeforeDeadline, fleet.ScheduledImmediately}[rnd.IntN(3)]
		policy.Health.Lead = time.Duration(20+rnd.IntN(4000)) * time.Minute
		p, now, pressed := announced(code, start), noon, false
		for looks := 0; ; looks++ {
			if looks > 500 {
				t.Fatalf("seed %d: the plan does not end: %+v", seed, p)
			}
			s := p.Next(now, policy, nights(t))
			switch s.Do {
			case Wait:
				if !s.At.After(now) {
					t.Fatalf("seed %d: waits for %s, it is %s", seed, s.At, now)
				}
				now = s.At.Add(time.Duration(rnd.IntN(60)) * time.Second) // the sweep's
			case Begin:
				if s.Until.After(start.Add(-pressLead)) && now.Before(start) || !s.Until.After(now) {
					t.Fatalf("seed %d: at %s, from %s until %s", seed, start, now, s.Until)
				}
				p = p.Tried(now, s)
			case Press:
				pressed = true
				if !now.Before(start) || s.Deadline.After(start) {
					t.Fatalf("seed %d: presses at %s until %s, the machine goes at %s", seed, now, s.Deadline, start)
				}
				p = p.Pressed(s)
			}
			var q Planned
			if b, err := json.Marshal(p); err != nil || json.Unmarshal(b, &q) != nil || !reflect.DeepEqual(p, q) {
				t.Fatalf("seed %d: %+v became %+v", seed, p, q)
			}
			if s.Do == Over {
				break
			}
		}
		if !pressed && start.Sub(noon) > pressLead+time.Minute {
			t.Errorf("seed %d: nobody gave way, and the end came without a SIGTERM", seed)
		}
	}
}

func TestMachinesThatFailStatusChecks(t *testing.T) {
	policy := fleet.DefaultStatusChecks()
	of := func(n int, age time.Duration) (list []fleet.Impairment) {
		for i := range n {
			list = append(list, fleet.Impairment{InstanceID: string(rune('a' + i)), Check: "system", Since: noon.Add(-age)})
		}
		return list
	}
	report := policy
	report.Action = fleet.StatusReport
	for name, tc := range map[string]struct {
		policy   fleet.StatusCheckPolicy
		machines int
		failing  []fleet.Impairment
		drained  int
		reported bool
	}{
		"not for long enough":                 {policy, 10, of(1, 119*time.Second), 0, false},
		"for long enough":                     {policy, 10, of(1, 2*time.Minute), 1, false},
		"nobody says since when":              {policy, 10, []fleet.Impairment{{InstanceID: "a"}}, 0, false},
		"a fifth":                             {policy, 10, of(2, time.Hour), 2, false},
		"more than a fifth":                   {policy, 10, of(3, time.Hour), 0, true},
		"more than a fifth, not all for long": {policy, 10, append(of(1, time.Hour), of(2, time.Second)...), 0, true},
		"the only machine":                    {policy, 1, of(1, time.Hour), 1, false},
		"both machines":                       {policy, 2, of(2, time.Hour), 0, true},
		"report":                              {report, 10, of(1, time.Hour), 0, true},
		"ignore":                              {fleet.StatusCheckPolicy{Action: fleet.StatusIgnore}, 10, of(9, time.Hour), 0, false},
	} {
		got := SortOut(noon, tc.machines, tc.failing, tc.policy)
		if len(got.Drain) != tc.drained || (got.Report != "") != tc.reported {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAFargatePodIsNeverForced(t *testing.T) {
	pod := func(edit func(*fleet.Pod)) *fleet.Pod {
		p := &fleet.Pod{Namespace: "default", Name: "web", UID: "u", Phase: "Running", Budget: "default/web"}
		edit(p)
		return p
	}
	keep := func(*fleet.Pod) {}
	for name, tc := range map[string]struct {
		pod     *fleet.Pod
		left    time.Duration
		attempt int
		outcome string
		again   time.Duration
	}{
		"tried":                      {pod(keep), 48 * time.Hour, 0, "", 30 * time.Second},
		"tried more rarely":          {pod(keep), 48 * time.Hour, 9, "", 15 * time.Minute},
		"for the last time":          {pod(keep), 10 * time.Minute, 9, "", 10*time.Minute - podLastTry},
		"and after that to see":      {pod(keep), 20 * time.Second, 9, "", 20 * time.Second},
		"EKS deletes it":             {pod(keep), 0, 9, PartiallyDrained, 0},
		"it is gone":                 {nil, time.Hour, 0, Drained, 0},
		"another one took its place": {pod(func(p *fleet.Pod) { p.UID = "v" }), time.Hour, 0, Drained, 0},
		"it is going":                {pod(func(p *fleet.Pod) { p.Deleting = true }), time.Hour, 0, Drained, 0},
		"it has finished":            {pod(func(p *fleet.Pod) { p.Phase = "Succeeded" }), time.Hour, 0, NothingToDo, 0},
	} {
		p := DecidePod(noon, PodObservation{Pod: tc.pod, UID: "u", Deadline: noon.Add(tc.left), Attempt: tc.attempt})
		if p.Outcome != tc.outcome || p.LookAgain != tc.again || (len(p.Steps) > 0) != (tc.outcome == "") {
			t.Errorf("%s: %+v", name, p)
		}
		if tc.outcome == PartiallyDrained && (len(p.Left) != 1 || p.Left[0] != "default/web by PodDisruptionBudget default/web") {
			t.Errorf("what held it is not said: %q", p.Left)
		}
	}
}
