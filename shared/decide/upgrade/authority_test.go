package upgrade

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const day = 24 * time.Hour

// endingWorld has one managed group with old nodes, and an authority that ends in 200 days.
func endingWorld(t *testing.T) *world {
	w := newWorld(t)
	w.request.To, w.request.From, w.request.Patch = 0, 34, true
	w.policy.Patches.Addons, w.policy.Patches.Images, w.policy.Nodes.Groups = false, false, nil
	w.o.Groups, w.o.Addons = w.o.Groups[:1], nil
	w.made["web"] = noon.Add(-500 * day)
	w.nodes()
	w.o.Authorities = []upgradepath.Authority{{
		ID: "ca-1", CreatedAt: noon.AddDate(-9, 0, 0), ActivatedAt: noon.AddDate(-9, 0, 0), Expires: noon.Add(200 * day), Distribution: "COMPLETE", Signing: "IN_USE",
	}}
	return w
}

// authorities takes the calls about certificate authorities as EKS does.
func (w *world) authorities(api string, in fleet.Props) (id, refused string) {
	token, which := fleet.Text(in, "clientRequestToken"), fleet.Text(in, "certificateAuthorityId")
	at := slices.IndexFunc(w.o.Authorities, func(a upgradepath.Authority) bool { return a.ID == which })
	if token == "" || fleet.Text(in, "clusterName") != "demo" || at < 0 && api != "eks:CreateCertificateAuthority" {
		w.t.Fatalf("%s %v", api, in)
	}
	const typ = "CertificateAuthorityUpdate"
	switch api {
	case "eks:CreateCertificateAuthority":
		if len(w.o.Authorities) > 1 {
			w.t.Fatal("a third authority")
		}
		made := upgradepath.Authority{ID: "ca-2", CreatedAt: w.now, CreatedBy: "CUSTOMER", Expires: w.now.AddDate(5, 0, 0), Distribution: "IN_PROGRESS", Signing: "NOT_USED"}
		w.o.Authorities = append(w.o.Authorities, made)
		return w.begin("control-plane", typ, 10*time.Minute, "", nil)
	case "eks:ActivateCertificateAuthority":
		if w.o.Authorities[at].Distribution != "COMPLETE" {
			w.t.Fatal("activated before it is distributed")
		}
		for _, n := range w.o.Nodes {
			if !n.CreatedAt.After(w.o.Authorities[at].CreatedAt) {
				w.t.Fatalf("node %s does not trust it", n.Name)
			}
		}
		return w.begin("control-plane", typ, 10*time.Minute, "", func() {
			for i := range w.o.Authorities {
				w.o.Authorities[i].Signing = "NOT_USED"
			}
			w.o.Authorities[at].Signing, w.o.Authorities[at].ActivatedAt = "IN_USE", w.now
		})
	default:
		return w.begin("control-plane", typ, time.Minute, "", func() { w.o.Authorities = slices.Delete(w.o.Authorities, at, at+1) })
	}
}

// TestAuthorityRenewal: three maintenances replace the authority: the first makes the successor, one that comes when it is
// distributed replaces the nodes, and activates it once clients have had their time.
func TestAuthorityRenewal(t *testing.T) {
	w := endingWorld(t)
	again := func(after time.Duration) Decision {
		t.Helper()
		w.advance(after)
		w.memory, w.request.RunID = Memory{}, w.now.String()
		return w.run()
	}
	if d := w.run(); d.Outcome != OutcomeUpgraded || len(w.o.Authorities) != 2 || len(w.calls) != 1 {
		t.Fatalf("%s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
	if d := again(time.Hour); d.Outcome != OutcomeNothingToDo {
		t.Fatalf("while it is distributed: %s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
	w.o.Authorities[1].Distribution = "COMPLETE"
	if d := again(2 * day); d.Outcome != OutcomeUpgraded || !strings.HasSuffix(w.calls[len(w.calls)-1], "eks:UpdateNodegroupVersion nodegroup/web/1.34.1-20260101/authority 1.34.1-20260101") {
		t.Fatalf("%s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
	if d := again(day); d.Outcome != OutcomeNothingToDo {
		t.Fatalf("clients have time: %s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
	if d := again(30 * day); d.Outcome != OutcomeUpgraded || w.o.Authorities[1].Signing != "IN_USE" || len(w.calls) != 3 {
		t.Fatalf("%s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
	if d := again(day); d.Outcome != OutcomeNothingToDo {
		t.Errorf("it is done: %s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
}

// TestAuthorityLostAnswer: the answer to the call is lost, and there is one successor.
func TestAuthorityLostAnswer(t *testing.T) {
	w := endingWorld(t)
	w.lost = func(n int) bool { return n == 1 }
	if d := w.run(); d.Outcome != OutcomeUpgraded || len(w.o.Authorities) != 2 {
		t.Fatalf("%s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
}

// TestAuthorityIsSkipped: who skips the step leaves it to EKS.
func TestAuthorityIsSkipped(t *testing.T) {
	w := endingWorld(t)
	w.order(CommandSkip, "authority/ca-1/succeed")
	if d := w.run(); len(w.calls) > 0 || d.Outcome == "" {
		t.Fatalf("%s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
}

// TestAuthorityIsRefused: EKS's update is in the way, and the step waits for it.
func TestAuthorityIsRefused(t *testing.T) {
	w := endingWorld(t)
	w.fail = func(n int, _ plan.Call) (string, string) {
		if n == 1 {
			return "Blocked", ""
		}
		return "", ""
	}
	if d := w.run(); d.Outcome != OutcomeUpgraded || w.n != 2 {
		t.Fatalf("%s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
}

// TestAuthorityThatIsNotTrusted: nodes that fall over under a new authority halt the run, which says how it is taken back.
func TestAuthorityThatIsNotTrusted(t *testing.T) {
	w := endingWorld(t)
	w.made["web"] = noon.Add(-day)
	w.nodes()
	w.o.Authorities = append(w.o.Authorities, upgradepath.Authority{
		ID: "ca-2", CreatedAt: noon.Add(-100 * day), CreatedBy: "EKS", Expires: noon.AddDate(4, 0, 0), Distribution: "COMPLETE", Signing: "NOT_USED",
	})
	w.healthy = func(h *Health) {
		if w.o.Authorities[1].Signing == "IN_USE" {
			h.NotReady = []fleet.NotReady{{Name: "web-0", Since: w.o.Authorities[1].ActivatedAt}, {Name: "web-1", Since: w.o.Authorities[1].ActivatedAt}}
		}
	}
	d := w.run()
	if d.Outcome != "" || !strings.Contains(d.Halted, "--certificate-authority-id ca-1") {
		t.Fatalf("%s %s: %s\n%s", d.Outcome, d.Phase, d.Halted, w.told())
	}
}
