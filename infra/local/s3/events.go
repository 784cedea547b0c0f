package s3

import (
	"fmt"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// eventObject is the object in an event. Keys are as they are: EventBridge's events, other than S3's own notifications,
// do not escape them.
type eventObject struct {
	Key       string `json:"key"`
	Size      *int   `json:"size,omitempty"`
	ETag      string `json:"etag,omitempty"`
	VersionID string `json:"version-id,omitempty"`
	Sequencer string `json:"sequencer"`
}

type eventDetail struct {
	Version string `json:"version"`
	Bucket  struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object          eventObject `json:"object"`
	RequestID       string      `json:"request-id"`
	Requester       string      `json:"requester"`
	SourceIPAddress string      `json:"source-ip-address"`
	Reason          string      `json:"reason"`
	DeletionType    string      `json:"deletion-type,omitempty"`
}

// emit sends an event of a bucket that is to send events to EventBridge. The caller's answer does not wait for it. The
// caller holds s.mu.
func (s *Service) emit(c *wire.Call, in *request, b *bucket, kind, reason, deletion string, o eventObject) {
	if !b.eventBridge {
		return
	}
	d := eventDetail{Version: "0", Object: o, RequestID: c.RequestID, Requester: c.Account, SourceIPAddress: in.client, Reason: reason, DeletionType: deletion}
	d.Bucket.Name = b.name
	resources, region := []string{bucketARN(b.name)}, b.region
	s.w.After(0, func() { s.bus(region).Emit("aws.s3", kind, resources, d) })
}

func (b *bucket) event(key string, v *version) eventObject {
	size := len(v.body)
	o := eventObject{Key: key, Size: &size, ETag: v.etag[1 : len(v.etag)-1], Sequencer: sequencer(v.sequence)}
	if b.versioning != "" {
		o.VersionID = v.id
	}
	return o
}

// sequencer orders the events of one key: as text, padded to the same length, the later is the greater.
func sequencer(n uint64) string { return fmt.Sprintf("%018X", n) }
