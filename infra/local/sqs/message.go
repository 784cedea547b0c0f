package sqs

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Attribute is a message attribute as it travels.
type Attribute struct {
	DataType         string
	StringValue      *string  `json:",omitempty"`
	BinaryValue      []byte   `json:",omitempty"`
	StringListValues []string `json:",omitempty"`
	BinaryListValues [][]byte `json:",omitempty"`
}

// message is one copy of a message in one queue.
type message struct {
	serial   uint64 // order of sending, and the copy's identity within its queue
	id       string
	body     string
	attrs    map[string]Attribute
	trace    string // AWSTraceHeader
	sender   string
	sent     time.Time
	enqueued time.Time // when retention began
	group    string
	dedup    string
	source   string // DeadLetterQueueSourceArn

	receives      int
	firstReceived time.Time
	nonce         string // of the newest receipt handle
	visibleAt     time.Time
	inflight      bool
	pile          *pile
	pos           int
}

// handle names this receipt: queue, copy, nonce.
func (m *message) handle(q *queue) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s %d %s", q.arn, m.serial, m.nonce))
}

// parseHandle reads a receipt handle of queue q.
func (q *queue) parseHandle(handle string) (serial uint64, nonce string, err error) {
	raw, e := base64.StdEncoding.DecodeString(handle)
	p := strings.Split(string(raw), " ")
	if e != nil || len(p) != 3 || p[0] != q.arn {
		return 0, "", badHandle(handle)
	}
	serial, e = strconv.ParseUint(p[1], 10, 64)
	if e != nil {
		return 0, "", badHandle(handle)
	}
	return serial, p[2], nil
}

// systemAttributes are all attributes that ReceiveMessage can return.
func (m *message) systemAttributes(q *queue) map[string]string {
	a := map[string]string{
		"SenderId":                         m.sender,
		"SentTimestamp":                    strconv.FormatInt(m.sent.UnixMilli(), 10),
		"ApproximateReceiveCount":          strconv.Itoa(m.receives),
		"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.firstReceived.UnixMilli(), 10),
	}
	for k, v := range map[string]string{"AWSTraceHeader": m.trace, "DeadLetterQueueSourceArn": m.source, "MessageGroupId": m.group, "MessageDeduplicationId": m.dedup} {
		if v != "" {
			a[k] = v
		}
	}
	if q.fifo {
		a["SequenceNumber"] = m.sequence()
	}
	return a
}

// sequence is the FIFO sequence number: 20 digits, growing.
func (m *message) sequence() string { return fmt.Sprintf("188%017d", m.serial) }

func (m *message) size() int {
	n := len(m.body)
	for name, a := range m.attrs {
		n += len(name) + len(a.DataType) + len(a.BinaryValue)
		if a.StringValue != nil {
			n += len(*a.StringValue)
		}
	}
	return n
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes is the digest that SDKs compare: names in order, each with its type, a transport byte and its value.
func md5OfAttributes(attrs map[string]Attribute) string {
	if len(attrs) == 0 {
		return ""
	}
	h := md5.New()
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		a := attrs[name]
		lengthAnd(h, name)
		lengthAnd(h, a.DataType)
		if a.StringValue != nil {
			h.Write([]byte{1})
			lengthAnd(h, *a.StringValue)
		} else {
			h.Write([]byte{2})
			lengthAnd(h, string(a.BinaryValue))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func lengthAnd(h hash.Hash, s string) {
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
	h.Write([]byte(s))
}

func checkBody(body string) *wire.Error {
	if body == "" {
		return missing("MessageBody")
	}
	for i, r := range body {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(body[i:]); n > 1 {
				continue // U+FFFD itself is allowed
			}
		}
		if r == utf8.RuneError || r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return &wire.Error{Code: "InvalidMessageContents", QueryCode: "InvalidMessageContents",
				Message: "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF."}
		}
	}
	return nil
}

func checkAttributes(attrs map[string]Attribute) *wire.Error {
	if len(attrs) > 10 {
		return invalid("MessageAttributes", len(attrs), "Number of message attributes exceeds the allowed maximum of 10.")
	}
	for name, a := range attrs {
		low := strings.ToLower(name)
		if name == "" || len(name) > 256 || strings.HasPrefix(low, "aws.") || strings.HasPrefix(low, "amazon.") ||
			strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") ||
			strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") != "" {
			return invalid("MessageAttributeName", name, "The name is not valid.")
		}
		if len(a.StringListValues)+len(a.BinaryListValues) > 0 {
			return unsupported("Message attribute list values in SendMessage operation are not supported.")
		}
		base, _, _ := strings.Cut(a.DataType, ".")
		wrong := func(reason string) *wire.Error {
			return &wire.Error{Code: "InvalidParameterValueException", QueryCode: "InvalidParameterValue", Message: fmt.Sprintf("The message attribute '%s' %s", name, reason)}
		}
		switch {
		case a.DataType == "":
			return wrong("must contain non-empty message attribute type.")
		case base == "String" || base == "Number":
			if a.StringValue == nil || *a.StringValue == "" {
				return wrong(fmt.Sprintf("must contain non-empty message attribute value for message attribute type '%s'.", a.DataType))
			}
			if base == "Number" {
				if _, err := strconv.ParseFloat(*a.StringValue, 64); err != nil {
					return wrong("Could not cast message attribute value to number.")
				}
			}
		case base == "Binary":
			if len(a.BinaryValue) == 0 {
				return wrong(fmt.Sprintf("must contain non-empty message attribute value for message attribute type '%s'.", a.DataType))
			}
		default:
			return wrong("has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.")
		}
	}
	return nil
}
