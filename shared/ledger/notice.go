package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// NoticeState is what became of a notification.
type NoticeState string

// The states. Only a refused one may be tried again: the target has certainly not taken it.
const (
	NoticeSending NoticeState = "Sending" // somebody is at it, or has died over it: it may have arrived
	NoticeSent    NoticeState = "Sent"
	NoticeRefused NoticeState = "Refused" // certainly not taken
	NoticeUnknown NoticeState = "Unknown" // no answer in time: it may have arrived
)

// Notice is one notification: of one moment of a run, to one target.
type Notice struct {
	RunID  string `json:"-"`
	Moment string `json:"-"`
	Target string `json:"-"`

	State NoticeState `json:"state"`
	At    time.Time   `json:"at"`
	By    string      `json:"by"` // the attempt that wrote it: no two have the same
	Tries int         `json:"tries"`
	// Reason is why it was refused or is unknown. It holds nothing of an address or of an answer's text.
	Reason string `json:"reason,omitempty"`

	version int64
}

// noticeAge is longer than a message can live: 4 days in a queue at most, 14 in a dead-letter queue, and again as long after
// somebody has moved it back.
const noticeAge = 40 * 24 * time.Hour

func (n Notice) key() Key { return Key{"notice#" + n.RunID, n.Moment + "#" + n.Target} }

// ClaimNotice claims a notification for one attempt, before it is sent. It is false if another attempt has sent it, is at it,
// or has died over it. An attempt that asks again, since it has not heard the answer, gets its claim.
func (l *Ledger) ClaimNotice(ctx context.Context, n Notice) (claimed Notice, ok bool, err error) {
	n.State, n.At, n.Tries, n.Reason, n.version = NoticeSending, l.Now(), 1, "", 0
	for range conflictTries {
		wrote := l.putNotice(ctx, n)
		if wrote == nil {
			n.version++
			return n, true, nil
		}
		was := n
		version, err := l.read(ctx, n.key(), &was, "notification")
		switch {
		case err != nil:
			return n, false, err
		case version > 0 && was.By == n.By && was.State == NoticeSending: // ours: only the answer was lost
			was.version = version
			return was, true, nil
		case !fault.Is(wrote, fault.Conflict):
			return n, false, wrote
		case version > 0 && was.State != NoticeRefused:
			return was, false, nil
		}
		n.version, n.Tries = version, was.Tries+1
		if version == 0 { // it has expired meanwhile
			n.Tries = 1
		}
	}
	return n, false, fault.New(fault.Conflict, "notification %s of run %s is claimed by many at once", n.Moment, n.RunID)
}

// SettleNotice notes what became of a notification that was claimed.
func (l *Ledger) SettleNotice(ctx context.Context, n Notice, state NoticeState, reason string) error {
	n.State, n.At, n.Reason = state, l.Now(), reason
	return fault.Ignore(l.putNotice(ctx, n), fault.Conflict) // then the SDK has repeated the write
}

func (l *Ledger) putNotice(ctx context.Context, n Notice) error {
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return l.Store.Put(ctx, Document{Key: n.key(), Version: n.version, Expires: l.Now().Add(noticeAge), Data: data})
}

// Notices lists the notifications of a run, in the order of their moments and targets.
func (l *Ledger) Notices(ctx context.Context, runID string) ([]Notice, error) {
	docs, err := l.Store.Query(ctx, "notice#"+runID, "")
	if err != nil {
		return nil, err
	}
	out := make([]Notice, 0, len(docs))
	for _, d := range docs {
		n := Notice{RunID: runID}
		if err := json.Unmarshal(d.Data, &n); err != nil {
			return nil, fault.New(fault.Invalid, "the ledger's notification %s of run %s is damaged: %v", d.Key.Sort, runID, err)
		}
		for i, c := range d.Key.Sort {
			if c == '#' {
				n.Moment, n.Target = d.Key.Sort[:i], d.Key.Sort[i+1:]
				break
			}
		}
		out = append(out, n)
	}
	return out, nil
}
