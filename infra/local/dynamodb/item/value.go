package item

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is the type of an attribute value, in its wire spelling.
type Kind string

// The kinds of value.
const (
	S    Kind = "S"
	N    Kind = "N"
	B    Kind = "B"
	Bool Kind = "BOOL"
	Null Kind = "NULL"
	M    Kind = "M"
	L    Kind = "L"
	SS   Kind = "SS"
	NS   Kind = "NS"
	BS   Kind = "BS"
)

// Value is an attribute value. Values are not changed once made: who edits makes a copy.
type Value struct {
	Kind Kind
	Text string // S, and B's bytes
	Num  Number
	Bool bool
	Map  Item
	List []Value // L; and the elements of a set, sorted
}

// Item maps attribute names to values.
type Item map[string]Value

// Text makes a string value.
func Text(s string) Value { return Value{Kind: S, Text: s} }

// Element is the kind of a set's elements; empty for what is no set.
func (k Kind) Element() Kind {
	switch k {
	case SS:
		return S
	case NS:
		return N
	case BS:
		return B
	}
	return ""
}

// Invalid is a value that DynamoDB refuses with a ValidationException.
type Invalid struct{ Reason string }

func (e *Invalid) Error() string { return e.Reason }

func invalid(format string, args ...any) error { return &Invalid{fmt.Sprintf(format, args...)} }

// MaxDepth is how deep documents may nest.
const MaxDepth = 32

// UnmarshalJSON reads the wire form, {"S": "text"}.
func (v *Value) UnmarshalJSON(raw []byte) error {
	return v.read(raw, 0)
}

func (v *Value) read(raw []byte, depth int) error {
	if depth > MaxDepth {
		return invalid("Nesting Levels have exceeded supported limits")
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	for k, x := range m {
		if bytes.Equal(x, []byte("null")) {
			delete(m, k)
		}
	}
	if len(m) == 0 {
		return invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	if len(m) > 1 {
		return invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for k, x := range m {
		v.Kind = Kind(k)
		return v.readKind(x, depth)
	}
	return nil
}

func (v *Value) readKind(raw []byte, depth int) error {
	switch v.Kind {
	case S, N, B:
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		return v.readScalar(s)
	case Bool:
		return json.Unmarshal(raw, &v.Bool)
	case Null:
		var yes bool
		if err := json.Unmarshal(raw, &yes); err != nil {
			return err
		}
		if !yes {
			return invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
		return nil
	case M:
		var m map[string]json.RawMessage
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		v.Map = Item{}
		for k, x := range m {
			var e Value
			if err := e.read(x, depth+1); err != nil {
				return err
			}
			v.Map[k] = e
		}
		return nil
	case L:
		var l []json.RawMessage
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		for _, x := range l {
			var e Value
			if err := e.read(x, depth+1); err != nil {
				return err
			}
			v.List = append(v.List, e)
		}
		return nil
	case SS, NS, BS:
		return v.readSet(raw)
	}
	return invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
}

func (v *Value) readScalar(s string) error {
	switch v.Kind {
	case N:
		n, err := ParseNumber(s)
		if err != nil {
			return invalid("%v", err)
		}
		v.Num = n
	case B:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return fmt.Errorf("a binary value is not base64: %w", err)
		}
		v.Text = string(b)
	default:
		v.Text = s
	}
	return nil
}

func (v *Value) readSet(raw []byte) error {
	var l []string
	if err := json.Unmarshal(raw, &l); err != nil {
		return err
	}
	if len(l) == 0 {
		return invalid("One or more parameter values were invalid: An %s set  may not be empty", map[Kind]string{SS: "string", NS: "number", BS: "binary"}[v.Kind])
	}
	var elements []Value
	for _, s := range l {
		e := Value{Kind: v.Kind.Element()}
		if err := e.readScalar(s); err != nil {
			return err
		}
		elements = append(elements, e)
	}
	set, ok := Set(v.Kind, elements)
	if !ok {
		return invalid("One or more parameter values were invalid: Input collection [%s] contains duplicates.", strings.Join(l, ", "))
	}
	*v = set
	return nil
}

// Set makes a set. ok is false if an element is there twice; the set then has it once.
func Set(kind Kind, elements []Value) (v Value, ok bool) {
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, func(a, b Value) int { c, _ := Compare(a, b); return c })
	unique := slices.CompactFunc(sorted, Equal)
	return Value{Kind: kind, List: unique}, len(unique) == len(elements)
}

// MarshalJSON writes the wire form.
func (v Value) MarshalJSON() ([]byte, error) {
	var x any
	switch v.Kind {
	case S, N, B:
		x = v.scalar()
	case Bool:
		x = v.Bool
	case Null:
		x = true
	case M:
		x = v.Map
		if v.Map == nil {
			x = Item{}
		}
	case L:
		x = v.List
		if v.List == nil {
			x = []Value{}
		}
	default:
		var l []string
		for _, e := range v.List {
			l = append(l, e.scalar())
		}
		x = l
	}
	return json.Marshal(map[Kind]any{v.Kind: x})
}

func (v Value) scalar() string {
	switch v.Kind {
	case N:
		return v.Num.String()
	case B:
		return base64.StdEncoding.EncodeToString([]byte(v.Text))
	}
	return v.Text
}

// Equal compares deeply; sets without order.
func Equal(a, b Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case N:
		return a.Num.Compare(b.Num) == 0
	case Bool:
		return a.Bool == b.Bool
	case M:
		return maps.EqualFunc(a.Map, b.Map, Equal)
	case L, SS, NS, BS:
		return slices.EqualFunc(a.List, b.List, Equal)
	}
	return a.Text == b.Text
}

// Compare orders two values of one ordered kind: S, N or B.
func Compare(a, b Value) (order int, ok bool) {
	if a.Kind != b.Kind {
		return 0, false
	}
	switch a.Kind {
	case N:
		return a.Num.Compare(b.Num), true
	case S, B:
		return strings.Compare(a.Text, b.Text), true // UTF-8 bytes order as DynamoDB has it
	}
	return 0, false
}

// Size is what DynamoDB charges for an item: names and values.
func (it Item) Size() int {
	n := 0
	for k, v := range it {
		n += len(k) + v.size()
	}
	return n
}

func (v Value) size() int {
	switch v.Kind {
	case S, B:
		return len(v.Text)
	case N:
		return v.Num.size()
	case M:
		return 3 + len(v.Map) + v.Map.Size()
	case L:
		n := 3
		for _, e := range v.List {
			n += 1 + e.size()
		}
		return n
	case SS, NS, BS:
		n := 0
		for _, e := range v.List {
			n += e.size()
		}
		return n
	}
	return 1
}

// Len is what the function size() says; ok is false for kinds that have none.
func (v Value) Len() (n int, ok bool) {
	switch v.Kind {
	case S:
		return len([]rune(v.Text)), true
	case B:
		return len(v.Text), true
	case M:
		return len(v.Map), true
	case L, SS, NS, BS:
		return len(v.List), true
	}
	return 0, false
}

// Key is an injective text of a scalar, to index by.
func (v Value) Key() string {
	return string(v.Kind) + ":" + v.scalar()
}

// Names lists an item's attribute names in order.
func (it Item) Names() []string {
	var out []string
	for k := range it {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// String writes a value as DynamoDB's error messages do: {N:5}.
func (v Value) String() string {
	switch v.Kind {
	case S, N, B:
		return "{" + string(v.Kind) + ":" + v.scalar() + "}"
	}
	return "{" + string(v.Kind) + "}"
}
