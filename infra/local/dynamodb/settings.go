package dynamodb

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type ttl struct {
	attribute string
	status    string // "", ENABLING, ENABLED, DISABLING
}

type ttlSpecification struct {
	AttributeName string
	Enabled       bool
}

type ttlDescription struct {
	TimeToLiveStatus string
	AttributeName    string `json:",omitempty"`
}

func (t *table) describeTTL() ttlDescription {
	if t.ttl.status == "" {
		return ttlDescription{TimeToLiveStatus: "DISABLED"}
	}
	return ttlDescription{t.ttl.status, t.ttl.attribute}
}

type updateTTL struct {
	TableName               string
	TimeToLiveSpecification ttlSpecification
}

type recoveryOut struct {
	ContinuousBackupsDescription struct {
		ContinuousBackupsStatus        string
		PointInTimeRecoveryDescription struct {
			PointInTimeRecoveryStatus string
			EarliestRestorableDateTime,
			LatestRestorableDateTime *wire.Time `json:",omitempty"`
		}
	}
}

type updateBackups struct {
	TableName                        string
	PointInTimeRecoverySpecification struct{ PointInTimeRecoveryEnabled bool }
}

type resourceARN struct{ ResourceArn, NextToken string }

// settingOps are TTL, backups and tags.
func (s *Service) settingOps() []wire.Op {
	return []wire.Op{
		op(s, "UpdateTimeToLive", func(in *updateTTL) []wire.Need { return s.need("UpdateTimeToLive", in.TableName) },
			func(in *updateTTL) (*struct{ TimeToLiveSpecification ttlSpecification }, error) {
				t, err := s.usable(in.TableName)
				if err != nil {
					return nil, err
				}
				return &struct{ TimeToLiveSpecification ttlSpecification }{in.TimeToLiveSpecification}, s.setTTL(t, in.TimeToLiveSpecification)
			}),
		op(s, "DescribeTimeToLive", s.onTable("DescribeTimeToLive"), func(in *tableName) (*struct{ TimeToLiveDescription ttlDescription }, error) {
			t, err := s.existing(in.TableName)
			if err != nil {
				return nil, err
			}
			return &struct{ TimeToLiveDescription ttlDescription }{t.describeTTL()}, nil
		}),
		op(s, "DescribeContinuousBackups", s.onTable("DescribeContinuousBackups"), func(in *tableName) (*recoveryOut, error) {
			t, err := s.backedUp(in.TableName)
			if err != nil {
				return nil, err
			}
			return t.describeBackups(), nil
		}),
		op(s, "UpdateContinuousBackups", func(in *updateBackups) []wire.Need { return s.need("UpdateContinuousBackups", in.TableName) },
			func(in *updateBackups) (*recoveryOut, error) {
				t, err := s.backedUp(in.TableName)
				if err != nil {
					return nil, err
				}
				t.recovery = in.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled
				return t.describeBackups(), nil
			}),
		op(s, "TagResource", func(in *tagResource) []wire.Need {
			n := s.need("TagResource", in.ResourceArn)
			maps.Copy(n[0].Context, requestTags(in.Tags))
			return n
		}, func(in *tagResource) (*struct{}, error) {
			t, err := s.existing(in.ResourceArn)
			if err != nil {
				return nil, err
			}
			for _, g := range in.Tags {
				t.tags[g.Key] = g.Value
			}
			return &struct{}{}, nil
		}),
		op(s, "UntagResource", func(in *untagResource) []wire.Need {
			n := s.need("UntagResource", in.ResourceArn)
			n[0].Context["aws:TagKeys"] = in.TagKeys
			return n
		}, func(in *untagResource) (*struct{}, error) {
			t, err := s.existing(in.ResourceArn)
			if err != nil {
				return nil, err
			}
			for _, k := range in.TagKeys {
				delete(t.tags, k)
			}
			return &struct{}{}, nil
		}),
		op(s, "ListTagsOfResource", func(in *resourceARN) []wire.Need { return s.need("ListTagsOfResource", in.ResourceArn) },
			func(in *resourceARN) (*struct{ Tags []tag }, error) {
				t, err := s.existing(in.ResourceArn)
				if err != nil {
					return nil, err
				}
				out := &struct{ Tags []tag }{[]tag{}}
				for _, k := range slices.Sorted(maps.Keys(t.tags)) {
					out.Tags = append(out.Tags, tag{k, t.tags[k]})
				}
				return out, nil
			}),
	}
}

type tagResource struct {
	ResourceArn string
	Tags        []tag
}

type untagResource struct {
	ResourceArn string
	TagKeys     []string
}

func (s *Service) backedUp(name string) (*table, error) {
	t := s.tables[bare(name)]
	if t == nil {
		return nil, wire.Errf("TableNotFoundException", "Table not found: %s", bare(name))
	}
	return t, nil
}

func (t *table) describeBackups() *recoveryOut {
	out := new(recoveryOut)
	d := &out.ContinuousBackupsDescription
	d.ContinuousBackupsStatus, d.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus = "ENABLED", "DISABLED"
	if t.recovery {
		d.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus = "ENABLED"
		d.PointInTimeRecoveryDescription.EarliestRestorableDateTime = wire.At(t.created)
		d.PointInTimeRecoveryDescription.LatestRestorableDateTime = wire.At(time.Now())
	}
	return out
}

// setTTL turns TTL on or off. AWS takes up to an hour for it.
func (s *Service) setTTL(t *table, spec ttlSpecification) error {
	switch {
	case spec.AttributeName == "":
		return parameter("TimeToLiveSpecification's AttributeName must not be empty")
	case t.ttl.status == "ENABLING" || t.ttl.status == "DISABLING":
		return invalid("Time to live has been modified multiple times within a fixed interval")
	case spec.Enabled && t.ttl.status == "ENABLED":
		return invalid("TimeToLive is already enabled")
	case !spec.Enabled && t.ttl.status == "":
		return invalid("TimeToLive is already disabled")
	case !spec.Enabled && t.ttl.attribute != spec.AttributeName:
		return invalid("TimeToLive is active on a different AttributeName: current AttributeName is %s", t.ttl.attribute)
	}
	next := ttl{attribute: spec.AttributeName, status: "ENABLED"}
	t.ttl = ttl{attribute: spec.AttributeName, status: "ENABLING"}
	if !spec.Enabled {
		next, t.ttl.status = ttl{}, "DISABLING"
	}
	s.w.After(s.w.Profile.Settle, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.enableTTL(t, next)
	})
	return nil
}

// enableTTL makes the setting effective and starts the sweeper. The caller holds s.mu.
func (s *Service) enableTTL(t *table, next ttl) {
	t.ttl = next
	if next.status == "ENABLED" && !t.sweeping {
		t.sweeping = true
		s.w.Go(func(ctx context.Context) { s.sweep(ctx, t) })
	}
}

// maxTTLAge: an item whose time lies more than five years back is not deleted, as AWS documents, in case the attribute is
// something else.
const maxTTLAge = 5 * 365 * 24 * time.Hour

// sweep deletes expired items, late, until the table or its TTL is gone.
func (s *Service) sweep(ctx context.Context, t *table) {
	tick := time.NewTicker(s.opts.TTLDelay / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if !s.sweepOnce(t, now) {
				return
			}
		}
	}
}

func (s *Service) sweepOnce(t *table, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.ttl.status != "ENABLED" || s.tables[t.name] != t {
		t.sweeping = false
		return false
	}
	for key, it := range t.data.items {
		if t.expired(it, now.Add(-s.opts.TTLDelay)) {
			t.write(key, nil, s.w.Profile.Settle)
		}
	}
	return true
}

func (t *table) expired(it item.Item, now time.Time) bool {
	v, ok := it[t.ttl.attribute]
	if !ok || v.Kind != item.N {
		return false
	}
	seconds, ok := v.Num.Int()
	at := time.Unix(seconds, 0)
	return ok && at.Before(now) && now.Sub(at) < maxTTLAge
}
