package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// PlannedDrain is what is remembered of a machine's announced end. Plan is the decision package's, kept as JSON so that the ledger
// needs no opinion on it.
//
// A step is saved before what follows from it is sent, with the event By whose delivery took it: if that event comes back, nothing
// is sure to have been sent, and it is sent again. See Drain.
type PlannedDrain struct {
	InstanceID string          `json:"instanceId"`
	Region     string          `json:"region"`
	Cluster    string          `json:"cluster"`
	Plan       json.RawMessage `json:"plan"`
	// NextAt is when something is to be done; zero: nothing any more.
	NextAt time.Time `json:"nextAt,omitzero"`
	Why    string    `json:"why,omitempty"` // of NextAt, a sentence
	By     string    `json:"by,omitempty"`
	// What the last step had to send, under the id SentID; nil for a step that sends nothing.
	SentID  string                       `json:"sentId,omitempty"`
	Removal *events.NodeRemovalRequested `json:"removal,omitempty"`
	Signal  *events.MachineSignal        `json:"signal,omitempty"`

	version int64
}

// Known tells whether the ledger had it.
func (p PlannedDrain) Known() bool { return p.version > 0 }

// plannedDrains is the partition in which there is a document for each machine whose end was announced.
const plannedDrains = "planned"

// plannedKept is how long a plan is remembered of which nothing is left to do: EC2 shows events that are over for a week.
const plannedKept = 8 * 24 * time.Hour

func plannedKey(region, instanceID string) Key { return Key{plannedDrains, region + "/" + instanceID} }

// PlannedDrain reads what is planned for a machine; one that is not Known if nothing ever was.
func (l *Ledger) PlannedDrain(ctx context.Context, region, instanceID string) (PlannedDrain, error) {
	p := PlannedDrain{InstanceID: instanceID, Region: region}
	var err error
	p.version, err = l.read(ctx, plannedKey(region, instanceID), &p, "planned drain of "+instanceID)
	return p, err
}

// SavePlannedDrain writes what was read from the ledger. If somebody else wrote it meanwhile, the error's class is fault.Conflict.
func (l *Ledger) SavePlannedDrain(ctx context.Context, p PlannedDrain) (PlannedDrain, error) {
	expires := l.Now().Add(plannedKept)
	if !p.NextAt.IsZero() {
		expires = p.NextAt.Add(Retention)
	}
	err := l.write(ctx, plannedKey(p.Region, p.InstanceID), p.version, p, expires)
	if err == nil {
		p.version++
	}
	return p, err
}

// PlannedDrains lists all, those included of which nothing is left to do.
func (l *Ledger) PlannedDrains(ctx context.Context) ([]PlannedDrain, error) {
	docs, err := l.Store.Query(ctx, plannedDrains, "")
	if err != nil {
		return nil, err
	}
	out := make([]PlannedDrain, len(docs))
	for i, d := range docs {
		if err := json.Unmarshal(d.Data, &out[i]); err != nil {
			return nil, fault.New(fault.Invalid, "the ledger's planned drain %s is damaged: %v", d.Key.Sort, err)
		}
		out[i].version = d.Version
	}
	return out, nil
}

// HealthPage names one message of AWS Health: the same one arrives more than once, and in a backup Region.
type HealthPage struct {
	EventARN, CommunicationID, Account string
	Page                               int64
}

func (p HealthPage) key() Key {
	sum := sha256.Sum256([]byte(p.EventARN))
	return Key{"health#" + hex.EncodeToString(sum[:10]), fmt.Sprintf("%s#%d#%s", p.CommunicationID, p.Page, p.Account)}
}

type heard struct {
	By string `json:"by"` // the event that was worked on
}

// HealthPageBy is the id of the event by which a page was heard; "" if it was not.
func (l *Ledger) HealthPageBy(ctx context.Context, p HealthPage) (string, error) {
	var h heard
	_, err := l.read(ctx, p.key(), &h, "page of a Health event")
	return h.By, err
}

// HeardHealthPage remembers by which event a page was heard. The first one counts.
func (l *Ledger) HeardHealthPage(ctx context.Context, p HealthPage, eventID string) error {
	return fault.Ignore(l.write(ctx, p.key(), 0, heard{eventID}, l.Now().Add(Retention)), fault.Conflict)
}

// PodTermination is what is remembered of a Fargate pod that EKS is going to delete, between attempts to evict it. It is kept as Drain
// is: Attempt and Outcome are saved before what follows from them is sent.
type PodTermination struct {
	RunID     string          `json:"runId"`
	PodUID    string          `json:"podUid"`
	StartedAt time.Time       `json:"startedAt"`
	Deadline  time.Time       `json:"deadline"`
	Attempt   int             `json:"attempt"`
	Refused   int             `json:"refused,omitempty"` // evictions that a budget held
	LookedBy  string          `json:"lookedBy,omitempty"`
	Outcome   string          `json:"outcome,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`

	version int64
}

func podKey(cluster fleet.ClusterID, pod string) Key {
	return Key{"pod#" + cluster.String() + "/" + pod, "termination"}
}

// PodTermination reads what is remembered of a pod, "namespace/name"; the zero PodTermination if there is nothing.
func (l *Ledger) PodTermination(ctx context.Context, cluster fleet.ClusterID, pod string) (p PodTermination, err error) {
	p.version, err = l.read(ctx, podKey(cluster, pod), &p, "termination of pod "+pod)
	return p, err
}

// SavePodTermination writes what was read from the ledger. If somebody else wrote it meanwhile, the error's class is fault.Conflict.
func (l *Ledger) SavePodTermination(ctx context.Context, cluster fleet.ClusterID, pod string, p PodTermination) (PodTermination, error) {
	err := l.write(ctx, podKey(cluster, pod), p.version, p, l.Now().Add(Retention))
	if err == nil {
		p.version++
	}
	return p, err
}

// Follow is the record of another pod of the same name, to be saved over this one.
func (p PodTermination) Follow(next PodTermination) PodTermination {
	next.version = p.version
	return next
}

// Told is a hash of what was reported last of a cluster and a subject, so that the same is not told at every sweep.
func (l *Ledger) Told(ctx context.Context, cluster fleet.ClusterID, subject string) (string, error) {
	var h heard
	_, err := l.read(ctx, toldKey(cluster, subject), &h, "last report on "+subject)
	return h.By, err
}

// Tell remembers what was reported.
func (l *Ledger) Tell(ctx context.Context, cluster fleet.ClusterID, subject, hash string) error {
	return l.replace(ctx, toldKey(cluster, subject), heard{hash}, l.Now().Add(Retention))
}

func toldKey(cluster fleet.ClusterID, subject string) Key {
	return Key{"cluster#" + cluster.String(), "told#" + subject}
}
