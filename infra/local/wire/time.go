package wire

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// Time is a timestamp on the wire: seconds since 1970 in JSON protocols, ISO 8601 in XML.
type Time struct{ time.Time }

// At wraps a time.
func At(t time.Time) *Time { return &Time{t} }

// MarshalJSON writes epoch seconds with milliseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', -1, 64), nil
}

// UnmarshalJSON reads epoch seconds, or an RFC 3339 string as some tools send.
func (t *Time) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return t.UnmarshalText(bytes.Trim(b, `"`))
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("timestamp %q is neither epoch seconds nor RFC 3339", b)
	}
	t.Time = time.UnixMilli(int64(f * 1000)).UTC()
	return nil
}

// MarshalText writes ISO 8601, for XML.
func (t Time) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// UnmarshalText reads RFC 3339.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339Nano, string(b))
	t.Time = v
	return err
}
