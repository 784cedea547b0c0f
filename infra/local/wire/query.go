package wire

import (
	"encoding"
	"encoding/xml"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// decodeForm fills the struct that v points to from a query request's form. A field's parameter name is its `query` tag
// or else its Go name. Lists are NAME.member.1 (query) or NAME.1 (ec2), structures NAME.Field, maps
// NAME.entry.1.key and .value, which are read as a list whose name ends with .entry. Unknown parameters are ignored, as AWS does.
func decodeForm(form url.Values, v any, ec2 bool) error {
	d := formDecoder{form: form, list: ".member."}
	if ec2 {
		d.list = "."
	}
	return d.structure("", reflect.ValueOf(v).Elem())
}

type formDecoder struct {
	form url.Values
	list string
}

func (d formDecoder) structure(prefix string, v reflect.Value) error {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Tag.Get("query") == "-" {
			continue
		}
		name := f.Tag.Get("query")
		if name == "" {
			name = f.Name
		}
		if err := d.value(prefix+name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// present tells whether any parameter stands at or below name.
func (d formDecoder) present(name string) bool {
	if d.form.Has(name) {
		return true
	}
	for k := range d.form {
		if strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}

func (d formDecoder) value(name string, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		if !d.present(name) {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(name, v.Elem())
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if s := d.form.Get(name); s != "" {
			return wrapParam(name, u.UnmarshalText([]byte(s)))
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.structure(name+".", v)
	case reflect.Slice:
		for n := 1; ; n++ {
			item := name + d.list + strconv.Itoa(n)
			if strings.HasSuffix(name, ".entry") { // a map, read as a list of its entries
				item = name + "." + strconv.Itoa(n)
			}
			if !d.present(item) {
				return nil
			}
			e := reflect.New(v.Type().Elem()).Elem()
			if err := d.value(item, e); err != nil {
				return err
			}
			v.Set(reflect.Append(v, e))
		}
	}
	s, ok := d.form[name]
	if !ok {
		return nil
	}
	return wrapParam(name, setScalar(v, s[0]))
}

func setScalar(v reflect.Value, s string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(s)
		v.SetBool(b)
		return err
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		v.SetInt(n)
		return err
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		v.SetFloat(f)
		return err
	default:
		return fmt.Errorf("a field of kind %s cannot be read from a form", v.Kind())
	}
	return nil
}

func wrapParam(name string, err error) error {
	if err == nil {
		return nil
	}
	return Errf("MalformedQueryString", "parameter %s: %v", name, err)
}

// encodeXML writes a query or ec2 response. Outputs carry encoding/xml tags: "reservationSet>item" in ec2,
// "AutoScalingGroups>member" in query.
func encodeXML(s *Service, op, requestID string, out any) ([]byte, error) {
	body, err := xml.Marshal(out)
	if err != nil {
		return nil, err
	}
	inner := stripRoot(body)
	var b strings.Builder
	b.WriteString(xml.Header)
	fmt.Fprintf(&b, "<%sResponse xmlns=%q>", op, s.XMLNamespace)
	if s.Protocol == EC2Query {
		fmt.Fprintf(&b, "<requestId>%s</requestId>%s", requestID, inner)
	} else {
		fmt.Fprintf(&b, "<%sResult>%s</%sResult><ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata>", op, inner, op, requestID)
	}
	fmt.Fprintf(&b, "</%sResponse>", op)
	return []byte(b.String()), nil
}

// stripRoot drops the outermost element, whose name is the Go type's and not the protocol's.
func stripRoot(b []byte) string {
	s := string(b)
	start := strings.IndexByte(s, '>')
	if start < 0 || s[start-1] == '/' {
		return ""
	}
	return s[start+1 : strings.LastIndex(s, "</")]
}

func encodeXMLError(s *Service, e *Error, requestID string) []byte {
	var code, msg strings.Builder
	_ = xml.EscapeText(&code, []byte(e.Code))
	_ = xml.EscapeText(&msg, []byte(e.Message))
	if s.Protocol == EC2Query {
		return fmt.Appendf(nil, "%s<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>",
			xml.Header, code.String(), msg.String(), requestID)
	}
	fault := "Sender"
	if e.status() >= 500 {
		fault = "Receiver"
	}
	return fmt.Appendf(nil, "%s<ErrorResponse xmlns=%q><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>",
		xml.Header, s.XMLNamespace, fault, code.String(), msg.String(), requestID)
}
