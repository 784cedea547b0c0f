package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// mute is a store whose writes are made, and whose answers to them are lost.
type mute struct {
	ledger.Store
	lost int
}

func (m *mute) Put(ctx context.Context, d ledger.Document) error {
	err := m.Store.Put(ctx, d)
	if m.lost > 0 && err == nil {
		m.lost--
		return errors.New("connection reset")
	}
	return err
}

func TestANoticeIsClaimedOnce(t *testing.T) {
	now := time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC)
	store := &mute{Store: &ledger.Memory{}}
	l, ctx := &ledger.Ledger{Store: store, Now: func() time.Time { return now }}, t.Context()
	claim := func(by string) (ledger.Notice, bool) {
		t.Helper()
		n, ok, err := l.ClaimNotice(ctx, ledger.Notice{RunID: "run-1", Moment: "Started", Target: "slack", By: by})
		if err != nil {
			t.Fatal(err)
		}
		return n, ok
	}
	first, ok := claim("a")
	if !ok || first.State != ledger.NoticeSending {
		t.Fatalf("%+v", first)
	}
	if other, ok := claim("b"); ok || other.State != ledger.NoticeSending || other.By != "a" {
		t.Errorf("claimed twice: %+v", other)
	}
	if again, ok := claim("a"); !ok || again.Tries != 1 {
		t.Errorf("who has not heard the answer asks again: %+v", again)
	}
	// What was refused can be tried again, by one.
	if err := l.SettleNotice(ctx, first, ledger.NoticeRefused, "it answered 503"); err != nil {
		t.Fatal(err)
	}
	second, ok := claim("c")
	if !ok || second.Tries != 2 || second.Reason != "" {
		t.Errorf("%+v", second)
	}
	if _, ok := claim("d"); ok {
		t.Error("claimed twice")
	}
	if err := l.SettleNotice(ctx, first, ledger.NoticeSent, ""); err != nil { // a late word of the first attempt
		t.Fatal(err)
	}
	if list, err := l.Notices(ctx, "run-1"); err != nil || len(list) != 1 || list[0].By != "c" || list[0].State != ledger.NoticeSending {
		t.Errorf("a late word counts: %+v %v", list, err)
	}
	for _, state := range []ledger.NoticeState{ledger.NoticeSent, ledger.NoticeUnknown} {
		n, ok, err := l.ClaimNotice(ctx, ledger.Notice{RunID: "run-2", Moment: "Finished", Target: string(state), By: "a"})
		if err == nil && ok {
			err = l.SettleNotice(ctx, n, state, "")
		}
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		if _, ok, err := l.ClaimNotice(ctx, ledger.Notice{RunID: "run-2", Moment: "Finished", Target: string(state), By: "b"}); ok || err != nil {
			t.Errorf("%s: claimed again, %v", state, err)
		}
	}
	list, err := l.Notices(ctx, "run-2")
	if err != nil || len(list) != 2 || list[0].Target != "Sent" || list[0].Moment != "Finished" || list[0].RunID != "run-2" {
		t.Errorf("%+v %v", list, err)
	}
	store.lost = 1
	if n, ok, err := l.ClaimNotice(ctx, ledger.Notice{RunID: "run-3", Moment: "Started", Target: "x", By: "a"}); !ok || err != nil || l.SettleNotice(ctx, n, ledger.NoticeSent, "") != nil {
		t.Errorf("a claim whose answer was lost: %+v %t %v", n, ok, err)
	}
	if list, _ := l.Notices(ctx, "run-3"); len(list) != 1 || list[0].State != ledger.NoticeSent {
		t.Errorf("%+v", list)
	}
}

func TestADamagedNoticeIsNotSent(t *testing.T) {
	store := &ledger.Memory{}
	l := &ledger.Ledger{Store: store, Now: time.Now}
	if err := store.Put(t.Context(), ledger.Document{Key: ledger.Key{Partition: "notice#run-1", Sort: "Started#slack"}, Data: []byte(`{"state":`)}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := l.ClaimNotice(t.Context(), ledger.Notice{RunID: "run-1", Moment: "Started", Target: "slack", By: "a"}); ok || !fault.Is(err, fault.Invalid) {
		t.Errorf("%t %v", ok, err)
	}
}
