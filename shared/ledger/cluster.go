package ledger

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Desired is what a cluster's owner has asked for.
type Desired struct {
	fleet.ClusterID
	Text   string       `json:"text"` // the cluster's own YAML documents
	Policy fleet.Policy `json:"policy"`
	// Delete asks for the cluster's end; Prune for the end of what is not in the text any more. See package decide/cluster.
	Delete      bool      `json:"delete,omitempty"`
	Force       bool      `json:"force,omitempty"` // delete although Kubernetes has left something behind
	Prune       bool      `json:"prune,omitempty"`
	RequestID   string    `json:"requestId"`
	RunID       string    `json:"runId"`
	EventID     string    `json:"eventId,omitempty"`
	RequestedAt time.Time `json:"requestedAt"`
	// Superseded are earlier requests, newest last. One of them that is delivered again changes nothing.
	Superseded []string `json:"superseded,omitempty"`
}

// maxSuperseded bounds the list: SQS keeps a message for 14 days at most, and nobody asks a hundred times in it.
const maxSuperseded = 100

// clusters is the partition in which there is one small document for each cluster.
const clusters = "clusters"

func desiredKey(cluster fleet.ClusterID) Key { return Key{"cluster#" + cluster.String(), "spec"} }

// Desired reads what is asked for. Nothing was if its RequestID is empty.
func (l *Ledger) Desired(ctx context.Context, cluster fleet.ClusterID) (Desired, error) {
	d, _, err := l.desired(ctx, cluster)
	return d, err
}

func (l *Ledger) desired(ctx context.Context, cluster fleet.ClusterID) (d Desired, version int64, err error) {
	doc, err := l.Store.Get(ctx, desiredKey(cluster))
	if err != nil || doc.Version == 0 {
		return Desired{}, 0, err
	}
	if err := json.Unmarshal(doc.Data, &d); err != nil {
		return Desired{}, 0, fault.New(fault.Invalid, "the ledger's spec of cluster %s is damaged: %v", cluster, err)
	}
	return d, doc.Version, nil
}

// Desire records a request. It is false when a newer one is there: then nothing is changed. The same request twice is
// once.
func (l *Ledger) Desire(ctx context.Context, d Desired) (accepted bool, err error) {
	for range conflictTries {
		old, version, err := l.desired(ctx, d.ClusterID)
		if err != nil {
			return false, err
		}
		if old.RequestID == d.RequestID && version > 0 {
			if d.Delete { // the cluster may have left the list meanwhile
				return true, nil
			}
			return true, l.know(ctx, d.ClusterID)
		}
		if slices.Contains(old.Superseded, d.RequestID) || d.RequestedAt.Before(old.RequestedAt) {
			return false, nil
		}
		next := d
		next.Superseded = nil
		if version > 0 {
			next.Superseded = append(slices.Clone(old.Superseded), old.RequestID)
			next.Superseded = next.Superseded[max(0, len(next.Superseded)-maxSuperseded):]
		}
		data, err := json.Marshal(next)
		if err != nil {
			return false, err
		}
		err = l.Store.Put(ctx, Document{Key: desiredKey(d.ClusterID), Version: version, Data: data})
		if fault.Is(err, fault.Conflict) {
			continue // somebody was faster: whose request is newer?
		}
		if err != nil {
			return false, err
		}
		return true, l.know(ctx, d.ClusterID)
	}
	return false, fault.New(fault.Conflict, "the spec of cluster %s is being changed by many at once", d.ClusterID)
}

const conflictTries = 5

// listed is a cluster's document on the list of clusters.
type listed struct {
	// Gone: the cluster was deleted. The document stays for a while: the ledger deletes nothing.
	Gone bool `json:"gone,omitempty"`
}

// know puts a cluster on the list of clusters.
func (l *Ledger) know(ctx context.Context, cluster fleet.ClusterID) error {
	return l.list(ctx, cluster, listed{})
}

// list writes a cluster's document on the list of clusters, unless it is there already.
func (l *Ledger) list(ctx context.Context, cluster fleet.ClusterID, is listed) error {
	for range conflictTries {
		doc, err := l.Store.Get(ctx, Key{clusters, cluster.String()})
		if err != nil {
			return err
		}
		if was, err := listing(doc); err != nil || doc.Version > 0 && was == is {
			return err
		}
		if doc.Data, err = json.Marshal(is); err != nil {
			return err
		}
		doc.Key, doc.Expires = Key{clusters, cluster.String()}, time.Time{}
		if is.Gone {
			doc.Expires = l.Now().Add(Retention)
		}
		if err = l.Store.Put(ctx, doc); !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return fault.New(fault.Conflict, "the list of clusters is being changed by many at once: %s", cluster)
}

func listing(doc Document) (is listed, err error) {
	if doc.Version == 0 {
		return is, nil
	}
	if err := json.Unmarshal(doc.Data, &is); err != nil {
		return is, fault.New(fault.Invalid, "the ledger's entry of cluster %s is damaged: %v", doc.Key.Sort, err)
	}
	return is, nil
}

// Forget takes a cluster that was deleted for a request off the list of clusters, unless somebody has asked for it anew. What
// was done for it stays recorded.
func (l *Ledger) Forget(ctx context.Context, cluster fleet.ClusterID, requestID string) error {
	if err := l.list(ctx, cluster, listed{Gone: true}); err != nil {
		return err
	}
	d, err := l.Desired(ctx, cluster) // after the write: whoever asks from now on sees it, and puts the cluster back
	if err != nil || d.RequestID == requestID {
		return err
	}
	return l.know(ctx, cluster)
}

// Clusters lists the clusters that were asked for and are not deleted, in the order of their names.
func (l *Ledger) Clusters(ctx context.Context) ([]fleet.ClusterID, error) {
	docs, err := l.Store.Query(ctx, clusters, "")
	if err != nil {
		return nil, err
	}
	ids := make([]fleet.ClusterID, 0, len(docs))
	for _, d := range docs {
		is, err := listing(d)
		if err != nil {
			return nil, err
		}
		if !is.Gone {
			ids = append(ids, fleet.ParseClusterID(d.Key.Sort))
		}
	}
	return ids, nil
}

// Policy is what the owner of a cluster has decided, or the default. A cluster that is to end is not scaled any more.
func (l *Ledger) Policy(ctx context.Context, cluster fleet.ClusterID) (fleet.Policy, error) {
	d, err := l.Desired(ctx, cluster)
	if err != nil {
		return fleet.Policy{}, err
	}
	if d.RequestID == "" {
		return fleet.DefaultPolicy(), nil
	}
	if d.Delete { // pods that lose their nodes shall not get new ones
		d.Policy.Scaling.Mode = fleet.ScalingOff
	}
	if d.Policy.Upgrade.Mode == "" { // it was asked for before there were upgrades
		d.Policy.Upgrade = fleet.DefaultUpgradePolicy()
	}
	d.Policy.Interruption = d.Policy.Interruption.Grown()
	d.Policy.Interruption = d.Policy.Interruption.WithSignals()
	if d.Policy.Interruption.LoadBalancers == (fleet.LoadBalancerPolicy{}) { // or before load balancers were thought of
		d.Policy.Interruption.LoadBalancers = fleet.DefaultLoadBalancerPolicy()
	}
	return d.Policy, nil
}

// ClusterRun is what is remembered of the work on a cluster between looks.
type ClusterRun struct {
	RunID     string    `json:"runId"`
	RequestID string    `json:"requestId,omitempty"` // "" when a sweep began it
	EventID   string    `json:"eventId,omitempty"`
	EventTime time.Time `json:"eventTime,omitzero"`
	StartedAt time.Time `json:"startedAt"`

	// Begun is the run of the last request that was begun, by this run or one before it.
	Begun string `json:"begun,omitempty"`

	Attempt  int       `json:"attempt"`  // looks that are over
	From     int       `json:"from"`     // the attempt of the message that led to the last look
	Idle     int       `json:"idle"`     // of which the last ones saw no change
	NextLook time.Time `json:"nextLook"` // when the continuation is due
	Fence    int64     `json:"fence"`    // the lease under which it was written

	Reason   string                   `json:"reason,omitempty"`  // of the last plan
	Waiting  []string                 `json:"waiting,omitempty"` // resources that AWS is working on
	Acted    bool                     `json:"acted,omitempty"`   // the last plan had actions
	Made     map[string]fleet.Making  `json:"made,omitempty"`
	Troubles map[string]fleet.Trouble `json:"troubles,omitempty"`
	Checked  bool                     `json:"checked,omitempty"` // preflight has been made
	Refused  bool                     `json:"refused,omitempty"` // preflight has ended the run: nothing was written
	FullAt   time.Time                `json:"fullAt,omitzero"`   // when everything was last looked at
	// Updates are changes that AWS goes on with, by resource.
	Updates map[string]fleet.Update `json:"updates,omitempty"`
	Writes  int                     `json:"writes"` // actions carried out
	// Converged is a hash of the text that the cluster was last brought to.
	Converged string `json:"converged,omitempty"`
	// Stays is what a removal leaves, since it is not ekspedite's or holds data.
	Stays []string `json:"stays,omitempty"`
	// Scaled: a policy has asked for the scaling function, in this run or one before it. Written before anything is made for it.
	Scaled bool `json:"scaled,omitempty"`
	// ReadyAt is when resources that were waited for were first seen ready.
	ReadyAt map[string]time.Time `json:"readyAt,omitempty"`
	Outcome string               `json:"outcome,omitempty"` // set when the run is over
	// Lines are the last things that the run has told.
	Lines []Line `json:"lines,omitempty"`

	version int64
}

// Over tells whether the run has ended.
func (r ClusterRun) Over() bool { return r.Outcome != "" }

func clusterRunKey(cluster fleet.ClusterID) Key { return Key{"cluster#" + cluster.String(), "work"} }

// ClusterRun reads the latest run on a cluster; the zero ClusterRun if there was none.
func (l *Ledger) ClusterRun(ctx context.Context, cluster fleet.ClusterID) (ClusterRun, error) {
	doc, err := l.Store.Get(ctx, clusterRunKey(cluster))
	if err != nil || doc.Version == 0 {
		return ClusterRun{}, err
	}
	var r ClusterRun
	if err := json.Unmarshal(doc.Data, &r); err != nil {
		return ClusterRun{}, fault.New(fault.Invalid, "the ledger's run on cluster %s is damaged: %v", cluster, err)
	}
	r.version = doc.Version
	return r, nil
}

// SaveClusterRun writes a run that was read from the ledger, or follows one that was. A write of a lease that was lost is
// fault.Conflict: the later holder's fencing token is greater, and its write has changed the version.
func (l *Ledger) SaveClusterRun(ctx context.Context, cluster fleet.ClusterID, r ClusterRun) (ClusterRun, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	if err := l.Store.Put(ctx, Document{Key: clusterRunKey(cluster), Version: r.version, Data: data}); err != nil {
		return r, err
	}
	r.version++
	return r, nil
}

// Follow is a new run that will be saved over the one before. What that one made may not be visible yet.
func (r ClusterRun) Follow(next ClusterRun) ClusterRun {
	next.version, next.Converged, next.FullAt, next.Scaled = r.version, r.Converged, r.FullAt, r.Scaled
	next.Made, next.Updates = map[string]fleet.Making{}, maps.Clone(r.Updates)
	for id, m := range r.Made {
		next.Made[id] = fleet.Making{At: m.At, Name: m.Name}
	}
	return next
}

// Looked is the run with the time of another look at everything.
func (r ClusterRun) Looked(at time.Time) ClusterRun {
	r.FullAt = at
	return r
}
