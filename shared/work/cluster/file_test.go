package cluster_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// files are what is in S3, by bucket/key?version.
type files map[string]string

func (f files) Read(_ context.Context, bucket, key, version string) ([]byte, error) {
	text, ok := f[bucket+"/"+key+"?"+version]
	if !ok {
		return nil, fault.New(fault.NotFound, "NoSuchVersion")
	}
	return []byte(text), nil
}

// TestFile: a file in the bucket for specs is a request, once for each version.
func TestFile(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := example(t, "demo.yaml")
		e, err := events.Decode(samples.Body("SpecFileCreated"))
		if err != nil {
			t.Fatal(err)
		}
		e.Account, e.Region, e.Time = account, region, time.Now()
		put := e.Payload.(*events.SpecFileCreated)
		const object, version = "amzn-s3-demo-bucket1/clusters/blue.yaml", "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"
		s := &cloudtest.Session{Rig: r.Rig}
		w := r.work(s)
		w.Files = files{object + "?" + version: text, object + "?wrong": "kind: nothing"}
		deliver := func() handler.Outcome {
			return w.Handle(t.Context(), handler.Delivery{Event: e, MessageID: "1", Received: 1})
		}

		o := deliver()
		if o.Err != nil || o.Next == nil {
			t.Fatalf("%+v", o)
		}
		id := r.names(text)[0]
		l := &ledger.Ledger{Store: r.Store, Now: time.Now}
		d, err := l.Desired(t.Context(), id)
		if err != nil || d.RequestID != object+"/"+version || d.Text == "" || d.RunID != ledger.RunID(d.RequestID, id) {
			t.Errorf("%+v, %v", d, err)
		}
		r.Send(o.Next)
		r.run()
		if done := r.Finished(); len(done) != 1 || done[0].Outcome != events.OutcomeActive {
			t.Fatalf("%s", last(r.Told(), 6))
		}

		// S3 tells of it again: it is the same request, and its run is over.
		if o := deliver(); o.Err != nil || o.Next != nil {
			t.Errorf("again: %+v", o)
		}
		if done := r.Finished(); len(done) != 1 {
			t.Errorf("%d runs", len(done))
		}

		put.Object.VersionID = "gone"
		if o := deliver(); o.Err != nil || o.Next != nil {
			t.Errorf("a version that is gone: %+v", o)
		}
		put.Object.VersionID = "wrong"
		if o := deliver(); !fault.Is(o.Err, fault.Invalid) {
			t.Errorf("a file that is no spec: %+v", o)
		}
		if done := r.Finished(); len(done) != 2 || done[1].Outcome != events.OutcomeFailed || done[1].RunID != ledger.RunID(object+"/wrong", fleet.ClusterID{}) {
			t.Errorf("the refusal: %+v", done[1:])
		}
		if !strings.Contains(r.Told(), "Active") {
			t.Error(r.Told())
		}
	})
}
