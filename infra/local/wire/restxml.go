package wire

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// HTTPInput is the input of an operation of a RESTXML service. It reads the request itself: what Amazon S3 puts into
// the path, the query, the headers and the body differs too much from call to call for tags.
type HTTPInput interface {
	FromHTTP(r *http.Request, body []byte) error
}

// matchXML finds the operation of a RESTXML service by its Route.
func (s *route) matchXML(r *http.Request, body []byte) (Op, func(any) error, error) {
	name := s.Route(r)
	op, ok := s.ops[name]
	if !ok {
		return Op{Name: name}, nil, notImplemented(s.Name, name)
	}
	return op, func(v any) error {
		in, ok := v.(HTTPInput)
		if !ok {
			return fmt.Errorf("the input of %s:%s is no HTTPInput", s.Name, name)
		}
		return in.FromHTTP(r, body)
	}, nil
}

// s3Codes are Amazon S3's own names for what the other services call differently.
var s3Codes = map[string]string{
	"UnrecognizedClientException": "InvalidAccessKeyId",
	"ExpiredTokenException":       "RequestTimeTooSkewed",
	"InternalFailure":             "InternalError",
}

// failXML writes an error as Amazon S3 does. Error.Fields become elements, those named "header:…" headers.
func failXML(w http.ResponseWriter, e *Error, requestID string) {
	w.Header().Set("Content-Type", "application/xml")
	var b strings.Builder
	element := func(name, text string) {
		b.WriteString("<" + name + ">")
		_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes all
		b.WriteString("</" + name + ">")
	}
	b.WriteString(xml.Header + "<Error>")
	element("Code", cmp.Or(s3Codes[e.Code], e.Code))
	element("Message", e.Message)
	for _, k := range slices.Sorted(maps.Keys(e.Fields)) {
		if header, ok := strings.CutPrefix(k, "header:"); ok {
			w.Header().Set(header, fmt.Sprint(e.Fields[k]))
			continue
		}
		element(k, fmt.Sprint(e.Fields[k]))
	}
	element("RequestId", requestID)
	element("HostId", "ekspedite")
	b.WriteString("</Error>")
	w.WriteHeader(e.status())
	_, _ = w.Write([]byte(b.String())) // the caller went away: its loss
}
