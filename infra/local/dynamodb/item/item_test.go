package item

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

func TestNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "-0": "0", "001.500": "1.5", "1e3": "1000", "-1.5E-3": "-0.0015", ".5": "0.5", "5.": "5", "+7": "7", "1E125": "1" + strings.Repeat("0", 125),
		"12345678901234567890123456789012345678": "12345678901234567890123456789012345678",
		"1E-130":                                 "0." + strings.Repeat("0", 129) + "1", "100": "100", "0.10": "0.1",
	} {
		n, err := ParseNumber(in)
		if err != nil || n.String() != want {
			t.Errorf("%s: got %v %v, want %s", in, n, err, want)
		}
	}
	for in, want := range map[string]string{
		"": "cannot be converted", "abc": "cannot be converted", "1e": "cannot be converted", "0x10": "cannot be converted", "Infinity": "cannot be converted",
		"1E126": "overflow", "1E-131": "underflow", "1E999999999": "overflow", "-1E-999999999": "underflow", strings.Repeat("1", 39): "38 significant digits", strings.Repeat("1", 2000): "38 significant digits",
	} {
		if _, err := ParseNumber(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
	a, _ := ParseNumber("0.1")
	b, _ := ParseNumber("0.2")
	if c, err := a.Add(b); err != nil || c.String() != "0.3" {
		t.Errorf("got %v %v", c, err)
	}
	if c, err := a.Sub(b); err != nil || c.String() != "-0.1" || a.Compare(b) >= 0 {
		t.Errorf("got %v %v", c, err)
	}
}

func FuzzNumber(f *testing.F) {
	f.Add("1.5e10")
	f.Add("-00.00123E-5")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNumber(s)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(s)
		got, ok2 := new(big.Rat).SetString(n.String())
		if !ok || !ok2 || want.Cmp(got) != 0 {
			t.Errorf("%q became %s", s, n)
		}
		again, err := ParseNumber(n.String())
		if err != nil || again.Compare(n) != 0 || again.String() != n.String() {
			t.Errorf("%s is not stable: %v %v", n, again, err)
		}
	})
}

func TestValues(t *testing.T) {
	for in, want := range map[string]string{
		`{"S":"x"}`: `{"S":"x"}`, `{"N":"1.0"}`: `{"N":"1"}`, `{"B":"AAE="}`: `{"B":"AAE="}`, `{"BOOL":false}`: `{"BOOL":false}`, `{"NULL":true}`: `{"NULL":true}`,
		`{"L":[]}`: `{"L":[]}`, `{"M":{}}`: `{"M":{}}`, `{"SS":["b","a"]}`: `{"SS":["a","b"]}`, `{"NS":["10","9"]}`: `{"NS":["9","10"]}`, `{"M":{"a":{"L":[{"S":"x"}]}}}`: `{"M":{"a":{"L":[{"S":"x"}]}}}`,
	} {
		var v Value
		if err := json.Unmarshal([]byte(in), &v); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if out, err := json.Marshal(v); err != nil || string(out) != want {
			t.Errorf("%s: got %s %v, want %s", in, out, err, want)
		}
	}
	for in, want := range map[string]string{
		`{}`: "is empty", `null`: "is empty", `{"S":"a","N":"1"}`: "more than one datatypes", `{"X":1}`: "is empty", `{"NULL":false}`: "must have the value of true",
		`{"SS":[]}`: "may not be empty", `{"NS":["1","1.0"]}`: "contains duplicates", `{"N":"x"}`: "cannot be converted",
		strings.Repeat(`{"L":[`, 40) + `{"S":""}` + strings.Repeat(`]}`, 40): "Nesting Levels",
	} {
		var v Value
		if err := json.Unmarshal([]byte(in), &v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", in, err, want)
		}
	}
}

func TestSize(t *testing.T) {
	var it Item
	if err := json.Unmarshal([]byte(`{"pk":{"S":"abc"},"n":{"N":"12345"},"b":{"BOOL":true},"l":{"L":[{"S":"xy"}]}}`), &it); err != nil {
		t.Fatal(err)
	}
	if got := it.Size(); got != 2+3+1+4+1+1+1+3+1+2 {
		t.Errorf("got %d", got)
	}
}
