package awscloud

import (
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/handler"
)

// SQS's limits of one SendMessageBatch: ten messages, and for all of them together what one may have. The limit was 256 KiB until
// 2025 and is 1 MiB now; what a function says to itself has a few hundred bytes, so that the smaller one costs nothing.
const (
	maxBatch      = 10
	maxBatchBytes = 256 << 10
)

// SendAll sends bodies to the function's own queue, ten with a call.
func (q *Queue) SendAll(ctx context.Context, list []handler.Message) error {
	for len(list) > 0 {
		n, size := 0, 0
		for n < min(len(list), maxBatch) && (n == 0 || size+len(list[n].Body) <= maxBatchBytes) {
			size += len(list[n].Body)
			n++
		}
		if err := q.sendBatch(ctx, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (q *Queue) sendBatch(ctx context.Context, list []handler.Message) error {
	in := &sqs.SendMessageBatchInput{QueueUrl: &q.queueURL}
	for i, m := range list {
		id := strconv.Itoa(i)
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &m.Body, DelaySeconds: seconds(m.Delay)})
	}
	out, err := q.api.SendMessageBatch(ctx, in)
	if err != nil {
		return classify("sqs:SendMessage", err)
	}
	if len(out.Failed) == 0 {
		return nil
	}
	class := fault.Transient
	if slices.ContainsFunc(out.Failed, func(f types.BatchResultErrorEntry) bool { return f.SenderFault }) {
		class = fault.Invalid // the same again will not do
	}
	f := out.Failed[0]
	return &fault.Error{Class: class, Op: "sqs:SendMessage", Code: deref(f.Code),
		Err: fault.New(class, "%d of %d messages were not taken: %s: %s", len(out.Failed), len(list), deref(f.Code), deref(f.Message))}
}
