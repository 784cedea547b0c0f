package maintenance

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// RollbackWindow is how long after an upgrade EKS can take a control plane back (user guide, "Roll back a cluster"). Nothing
// that can wait is begun in it: the next upgrade would end it.
const RollbackWindow = 7 * 24 * time.Hour

// Facts are what is known of a cluster as far as when it is to be upgraded is concerned.
type Facts struct {
	Version fleet.Minor
	// SupportType is EKS's upgradePolicy: STANDARD or EXTENDED; "" is EKS's default, EXTENDED.
	SupportType string
	// UpgradedAt is when it came to its version, by an upgrade; zero if it was made so.
	UpgradedAt time.Time
	Versions   []fleet.KubernetesVersion
}

// StandardSupportOnly is the support type with which EKS upgrades a cluster by itself at the end of standard support.
const StandardSupportOnly = "STANDARD"

// Ends is when the support that the cluster has for a minor ends: EKS then upgrades it by itself, with no further notice. Zero
// if it is not known.
func (f Facts) Ends(m fleet.Minor) time.Time {
	v, _ := f.find(m)
	if f.SupportType == StandardSupportOnly {
		return v.StandardEnds
	}
	return v.ExtendedEnds
}

func (f Facts) find(m fleet.Minor) (fleet.KubernetesVersion, bool) {
	for _, v := range f.Versions {
		if v.Minor == m {
			return v, true
		}
	}
	return fleet.KubernetesVersion{}, false
}

// DueUpgrade is an upgrade that the policy wants.
type DueUpgrade struct {
	To fleet.Minor `json:"to"`
	// From is since when, or from when on, it is due.
	From time.Time `json:"from"`
	// By is when it is to be done at the latest; zero if nothing depends on it. Forced is when EKS does it by itself, by one minor
	// and without the nodes; zero if that is not known.
	By     time.Time `json:"by,omitzero"`
	Forced time.Time `json:"forced,omitzero"`
	// Why is a sentence: "standard support of 1.34 ends at 2026-12-02".
	Why string `json:"why"`
}

// Due is the upgrade that is due now, if there is one. A cluster that is where it is to be, or beyond, has none.
func Due(now time.Time, f Facts, p fleet.UpgradePolicy) (DueUpgrade, bool) {
	d, ok := Ahead(now, f, p)
	return d, ok && !d.From.After(now)
}

// Ahead is the next upgrade that the policy wants, now or later, as of the versions that are known now.
func Ahead(now time.Time, f Facts, p fleet.UpgradePolicy) (d DueUpgrade, ok bool) {
	ends := f.Ends(f.Version)
	d = DueUpgrade{From: now, Forced: ends, By: ends}
	offered := f.offered(now)
	switch {
	case p.Version != 0:
		d.To, d.Why = p.Version, fmt.Sprintf("the policy wants %s", p.Version)
		if v, known := f.find(p.Version); known && v.Released.After(now) {
			d.From = v.Released
		}
	case p.Channel == fleet.ChannelNewest && len(offered) > 0:
		d.To = offered[0].Minor
		d.Why = fmt.Sprintf("%s is the newest version", d.To)
	case p.Channel == fleet.ChannelStable && len(offered) > 1:
		d.To = offered[1].Minor
		d.Why = fmt.Sprintf("%s is the newest version but one", d.To)
	}
	// Whatever the policy wants, the end of support comes.
	if d.To <= f.Version {
		if p.Version != 0 || ends.IsZero() {
			return DueUpgrade{}, false
		}
		d.From = ends.Add(-p.Lead)
		at := d.From
		if now.After(at) {
			at = now
		}
		if d.To = f.next(at, p.Lead, offered); d.To <= f.Version {
			return DueUpgrade{}, false
		}
		d.Why = fmt.Sprintf("%s support of %s ends at %s", f.support(), f.Version, ends.UTC().Format(time.DateOnly))
	}
	if hold := f.UpgradedAt.Add(RollbackWindow); !f.UpgradedAt.IsZero() && d.From.Before(hold) && (d.By.IsZero() || hold.Before(d.By)) {
		d.From = hold // a rollback stays possible
	}
	return d, true
}

func (f Facts) support() string {
	if f.SupportType == StandardSupportOnly {
		return "standard"
	}
	return "extended"
}

// offered are the minors that a cluster can be upgraded to, newest first.
func (f Facts) offered(now time.Time) (out []fleet.KubernetesVersion) {
	for _, v := range f.Versions {
		if v.Released.After(now) || v.Status == fleet.Unsupported || !v.ExtendedEnds.IsZero() && !v.ExtendedEnds.After(now) {
			continue
		}
		i := 0
		for i < len(out) && out[i].Minor > v.Minor {
			i++
		}
		out = append(out[:i], append([]fleet.KubernetesVersion{v}, out[i:]...)...)
	}
	return out
}

// next is the first minor after the cluster's whose own support is not about to end at that time, too; or the newest.
func (f Facts) next(at time.Time, lead time.Duration, offered []fleet.KubernetesVersion) fleet.Minor {
	for i := len(offered) - 1; i >= 0; i-- {
		m := offered[i].Minor
		if m <= f.Version {
			continue
		}
		if ends := f.Ends(m); i == 0 || ends.IsZero() || ends.Add(-lead).After(at) {
			return m
		}
	}
	return 0
}
