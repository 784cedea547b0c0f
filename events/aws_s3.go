package events

// KindSpecFileCreated is a new object in the bucket for specs.
const KindSpecFileCreated Kind = "SpecFileCreated"

// SpecFileCreated says that an object was made, or made anew, in a bucket that sends its events to EventBridge. The rule for
// it leaves the bucket for specs.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
type SpecFileCreated struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object S3Object `json:"object"`
	// Reason is the request that made it, such as PutObject.
	Reason string `json:"reason,omitempty"`
}

// S3Object is an object as S3's events tell of it.
type S3Object struct {
	// Key is as it is: unlike S3's own notifications, these events do not escape it.
	Key  string   `json:"key"`
	Size LooseInt `json:"size,omitempty"`
	ETag string   `json:"etag,omitempty"`
	// VersionID is empty in a bucket without versions.
	VersionID string `json:"version-id,omitempty"`
	// Sequencer orders the events of one key: the later is the greater, as text of one length.
	Sequencer string `json:"sequencer,omitempty"`
}

func (p *SpecFileCreated) check(*Envelope) *fault {
	return required("bucket.name", p.Bucket.Name, "object.key", p.Object.Key)
}
