package cluster

import (
	"cmp"
	"context"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/handler"
)

// file is a wish that was put into the bucket for specs: it is read, and goes on as a request. One version of a file is one
// request, however often S3 tells of it; of two versions, the one that was put last stands.
func (w *Work) file(ctx context.Context, d handler.Delivery, p *events.SpecFileCreated) handler.Outcome {
	bucket, o := p.Bucket.Name, p.Object
	text, err := w.Files.Read(ctx, bucket, o.Key, o.VersionID)
	if fault.Is(err, fault.NotFound) {
		return w.nothing(ctx, "s3://"+bucket+"/"+o.Key+" is gone: "+err.Error())
	}
	if err != nil {
		return handler.Failed(err)
	}
	// Without versions, the event's id stands for what was put.
	return w.request(ctx, d, &events.ClusterApplyRequested{
		RequestID: bucket + "/" + o.Key + "/" + cmp.Or(o.VersionID, d.Event.ID), Spec: string(text),
	})
}
