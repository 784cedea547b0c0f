package calendar

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// AsOf is when Known was read, and Source where. DescribeClusterVersions has what is newer; it needs credentials.
const (
	AsOf   = "2026-11-23"
	Source = "EKS user guide, Kubernetes release calendar; endoflife.date/amazon-eks (2026-08-22)"
)

// Known are the minors of which EKS has published dates: 14 months of standard support, and 12 of extended support after them.
func Known() []fleet.KubernetesVersion {
	d := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	return []fleet.KubernetesVersion{
		{Minor: 29, Released: d(2024, 1, 23), StandardEnds: d(2025, 3, 23), ExtendedEnds: d(2026, 3, 23)},
		{Minor: 30, Released: d(2024, 5, 23), StandardEnds: d(2025, 7, 23), ExtendedEnds: d(2026, 7, 23)},
		{Minor: 31, Released: d(2024, 9, 26), StandardEnds: d(2025, 11, 26), ExtendedEnds: d(2026, 11, 26)},
		{Minor: 32, Released: d(2025, 1, 23), StandardEnds: d(2026, 3, 23), ExtendedEnds: d(2027, 3, 23)},
		{Minor: 33, Released: d(2025, 5, 29), StandardEnds: d(2026, 7, 29), ExtendedEnds: d(2027, 7, 29)},
		{Minor: 34, Released: d(2025, 10, 2), StandardEnds: d(2026, 12, 2), ExtendedEnds: d(2027, 12, 2)},
		{Minor: 35, Released: d(2026, 1, 27), StandardEnds: d(2027, 3, 27), ExtendedEnds: d(2028, 3, 27)},
		{Minor: 36, Released: d(2026, 6, 2), StandardEnds: d(2027, 8, 2), ExtendedEnds: d(2028, 8, 2)},
	}
}
