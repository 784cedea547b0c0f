package ledger

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// Line is one thing that a run on a cluster has done or seen, for whoever follows it by reading the ledger: nobody can
// listen to the bus without making something in the account first.
type Line struct {
	N        int       `json:"n"` // counts the run's lines, from 1: a gap is what was dropped meanwhile
	At       time.Time `json:"at"`
	Resource string    `json:"resource,omitempty"` // its name in the graph
	Step     string    `json:"step"`
	Detail   string    `json:"detail,omitempty"`
}

// The lines are written with every look, and an item may have 400 KB.
const (
	maxLines  = 200
	maxDetail = 300 // bytes
)

// Tell adds a line to the run, and drops the oldest when there are too many.
func (r *ClusterRun) Tell(l Line) { r.Lines = tell(r.Lines, l) }

func tell(lines []Line, l Line) []Line {
	l.N = 1
	if n := len(lines); n > 0 {
		l.N = lines[n-1].N + 1
	}
	if len(l.Detail) > maxDetail {
		end := maxDetail
		for !utf8.RuneStart(l.Detail[end]) {
			end--
		}
		l.Detail = l.Detail[:end] + "…"
	}
	return append(slices.Clip(lines[max(0, len(lines)-maxLines+1):]), l)
}

// histories is the partition in which there is one small document for each cluster that a run was recorded of. Clusters has
// only those that were asked for and are not deleted.
const histories = "histories"

// remember puts a cluster on the list of those with runs.
func (l *Ledger) remember(ctx context.Context, cluster string) error {
	err := l.Store.Put(ctx, Document{Key: Key{histories, "cluster#" + cluster}, Data: json.RawMessage(`{}`)})
	return fault.Ignore(err, fault.Conflict) // it is there
}

// Histories lists the names of the clusters that a run was recorded of, in their order; "" for runs on what belongs to no
// cluster.
func (l *Ledger) Histories(ctx context.Context) ([]string, error) {
	docs, err := l.Store.Query(ctx, histories, "")
	if err != nil {
		return nil, err
	}
	names := make([]string, len(docs))
	for i, d := range docs {
		names[i] = strings.TrimPrefix(d.Key.Sort, "cluster#")
	}
	return names, nil
}

// maxDays is how many days are asked for one by one. Beyond that one query for all is cheaper.
const maxDays = 14

// ahead is how far the clock of whoever wrote a run may be ahead of the reader's.
const ahead = time.Hour

// RunsSince lists a cluster's recorded runs that began at a time or later, oldest first; all if the time is zero.
func (l *Ledger) RunsSince(ctx context.Context, cluster string, since time.Time) ([]Run, error) {
	from := since.UTC().Truncate(24 * time.Hour)
	if l.Now().Sub(from) > maxDays*24*time.Hour {
		list, err := l.Runs(ctx, cluster)
		return slices.DeleteFunc(list, func(r Run) bool { return r.StartedAt.Before(since) }), err
	}
	var out []Run
	for day := from; !day.After(l.Now().Add(ahead)); day = day.Add(24 * time.Hour) {
		list, err := l.runs(ctx, cluster, day.Format(time.DateOnly))
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return slices.DeleteFunc(out, func(r Run) bool { return r.StartedAt.Before(since) }), nil
}

// FindRun reads one recorded run by its id and when it began. An absent one is fault.NotFound.
func (l *Ledger) FindRun(ctx context.Context, cluster, id string, startedAt time.Time) (Run, error) {
	list, err := l.runs(ctx, cluster, startedAt.UTC().Format(sortable)+"#"+id)
	if err == nil && len(list) == 0 {
		err = fault.New(fault.NotFound, "no run %s of cluster %s is recorded", id, cluster)
	}
	if err != nil {
		return Run{}, err
	}
	return list[0], nil
}
