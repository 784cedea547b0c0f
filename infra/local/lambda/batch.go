package lambda

import (
	"bytes"
	"encoding/json"
)

// sqsEvent is the event that functions get for a batch of SQS messages:
// https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
type sqsEvent struct {
	Records []sqsRecord `json:"Records"`
}

type sqsRecord struct {
	MessageID              string                  `json:"messageId"`
	ReceiptHandle          string                  `json:"receiptHandle"`
	Body                   string                  `json:"body"`
	Attributes             map[string]string       `json:"attributes"`
	MessageAttributes      map[string]sqsAttribute `json:"messageAttributes"`
	MD5OfMessageAttributes string                  `json:"md5OfMessageAttributes,omitempty"`
	MD5OfBody              string                  `json:"md5OfBody"`
	EventSource            string                  `json:"eventSource"`
	EventSourceARN         string                  `json:"eventSourceARN"`
	AWSRegion              string                  `json:"awsRegion"`
}

type sqsAttribute struct {
	StringValue      string   `json:"stringValue,omitempty"`
	BinaryValue      []byte   `json:"binaryValue,omitempty"`
	StringListValues []string `json:"stringListValues"`
	BinaryListValues [][]byte `json:"binaryListValues"`
	DataType         string   `json:"dataType"`
}

func event(batch []Message, queueARN, region string) []byte {
	var ev sqsEvent
	for _, m := range batch {
		attributes := map[string]sqsAttribute{}
		for name, a := range m.MessageAttributes {
			attributes[name] = sqsAttribute{StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: a.DataType,
				StringListValues: []string{}, BinaryListValues: [][]byte{}}
		}
		ev.Records = append(ev.Records, sqsRecord{
			MessageID: m.ID, ReceiptHandle: m.ReceiptHandle, Body: m.Body, Attributes: m.Attributes, MessageAttributes: attributes,
			MD5OfMessageAttributes: m.MD5OfAttributes, MD5OfBody: m.MD5OfBody, EventSource: "aws:sqs", EventSourceARN: queueARN, AWSRegion: region,
		})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(ev) // strings only
	return bytes.TrimRight(b.Bytes(), "\n")
}

// failures reads a partial batch response. All is true when the whole batch counts as failed: the response is not JSON,
// or names an item by a wrong key, by null, by an empty string or by an id that was not in the batch. An empty response,
// null, {} and an empty list mean success:
// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
func failures(payload []byte, batch []Message) (failed map[string]bool, all bool) {
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || string(payload) == "null" {
		return nil, false
	}
	var r struct {
		Failures []struct {
			ID *string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, true
	}
	known := map[string]bool{}
	for _, m := range batch {
		known[m.ID] = true
	}
	failed = map[string]bool{}
	for _, f := range r.Failures {
		if f.ID == nil || !known[*f.ID] {
			return nil, true
		}
		failed[*f.ID] = true
	}
	return failed, false
}
