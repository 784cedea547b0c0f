package policy

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// values is a request's context: condition key, in lower case, to values.
type values map[string][]string

// Condition is one key of one operator of a Condition element.
type Condition struct {
	Operator string // as written: "ForAllValues:StringLikeIfExists"
	Key      string
	Values   []string

	set      string // "", "forallvalues", "foranyvalue"
	ifExists bool
	op       operator
}

// operator compares one value of the request with one of the policy.
type operator struct {
	negated   bool
	wildcards bool // the policy's value may have * and ?
	variables bool // …and policy variables
	null      bool
	match     func(pattern []rune, value string) bool
	valid     func(policyValue string) error
}

var operators = map[string]operator{
	"stringequals":              {variables: true, match: equal},
	"stringnotequals":           {variables: true, negated: true, match: equal},
	"stringequalsignorecase":    {variables: true, match: equalFold},
	"stringnotequalsignorecase": {variables: true, negated: true, match: equalFold},
	"stringlike":                {variables: true, wildcards: true, match: like},
	"stringnotlike":             {variables: true, wildcards: true, negated: true, match: like},
	"arnequals":                 {variables: true, wildcards: true, match: arnLike}, // ArnEquals and ArnLike are the same
	"arnlike":                   {variables: true, wildcards: true, match: arnLike},
	"arnnotequals":              {variables: true, wildcards: true, negated: true, match: arnLike},
	"arnnotlike":                {variables: true, wildcards: true, negated: true, match: arnLike},
	"numericequals":             numeric(false, func(c int) bool { return c == 0 }),
	"numericnotequals":          numeric(true, func(c int) bool { return c == 0 }),
	"numericlessthan":           numeric(false, func(c int) bool { return c < 0 }),
	"numericlessthanequals":     numeric(false, func(c int) bool { return c <= 0 }),
	"numericgreaterthan":        numeric(false, func(c int) bool { return c > 0 }),
	"numericgreaterthanequals":  numeric(false, func(c int) bool { return c >= 0 }),
	"dateequals":                date(false, func(c int) bool { return c == 0 }),
	"datenotequals":             date(true, func(c int) bool { return c == 0 }),
	"datelessthan":              date(false, func(c int) bool { return c < 0 }),
	"datelessthanequals":        date(false, func(c int) bool { return c <= 0 }),
	"dategreaterthan":           date(false, func(c int) bool { return c > 0 }),
	"dategreaterthanequals":     date(false, func(c int) bool { return c >= 0 }),
	"bool":                      {match: equalFold, valid: oneOfBool},
	"binaryequals":              {match: equal, valid: validBase64},
	"ipaddress":                 {match: inNetwork, valid: validNetwork},
	"notipaddress":              {match: inNetwork, valid: validNetwork, negated: true},
	"null":                      {null: true, valid: oneOfBool},
}

func parseConditions(raw json.RawMessage) ([]Condition, error) {
	byOperator, err := object(raw)
	if err != nil {
		return nil, err
	}
	var out []Condition
	for _, name := range keys(byOperator) {
		c := Condition{Operator: name}
		rest := strings.ToLower(name)
		if set, op, ok := strings.Cut(rest, ":"); ok {
			if set != "forallvalues" && set != "foranyvalue" {
				return nil, fmt.Errorf("%q is not a condition operator", name)
			}
			c.set, rest = set, op
		}
		rest, c.ifExists = strings.CutSuffix(rest, "ifexists")
		op, ok := operators[rest]
		if !ok || op.null && (c.ifExists || c.set != "") {
			return nil, fmt.Errorf("%q is not a condition operator", name)
		}
		c.op = op
		byKey, err := object(byOperator[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, key := range keys(byKey) {
			c.Key = key
			if c.Values, err = texts(byKey[key]); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", name, key, err)
			}
			for _, v := range c.Values {
				if op.valid == nil {
					break
				}
				if err := op.valid(v); err != nil {
					return nil, fmt.Errorf("%s: %s: %w", name, key, err)
				}
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func (c *Condition) holds(ctx values, variables bool) bool {
	got := ctx[strings.ToLower(c.Key)]
	if c.op.null {
		return slices.ContainsFunc(c.Values, func(v string) bool { return strings.EqualFold(v, "true") == (len(got) == 0) })
	}
	if len(got) == 0 {
		// Without the key, a positive comparison fails and a negated one holds; ForAllValues holds for no value at all,
		// ForAnyValue never does.
		switch {
		case c.ifExists, c.set == "forallvalues":
			return true
		case c.set == "foranyvalue":
			return false
		}
		return c.op.negated
	}
	one := func(v string) bool {
		matched := slices.ContainsFunc(c.Values, func(text string) bool {
			p, ok := compile(text, variables && c.op.variables, c.op.wildcards, ctx)
			return ok && c.op.match(p, v)
		})
		return matched != c.op.negated
	}
	every := !slices.ContainsFunc(got, func(v string) bool { return !one(v) })
	switch {
	case c.set == "forallvalues", c.set == "" && c.op.negated:
		return every
	}
	return slices.ContainsFunc(got, one)
}

func equal(p []rune, v string) bool     { return string(p) == v }
func equalFold(p []rune, v string) bool { return strings.EqualFold(string(p), v) }
func like(p []rune, v string) bool      { return glob(p, []rune(v)) }
func arnLike(p []rune, v string) bool   { return arnGlob(p, []rune(v)) }

func numeric(negated bool, holds func(int) bool) operator {
	parse := func(s string) (*big.Rat, bool) { return new(big.Rat).SetString(s) }
	return operator{negated: negated,
		match: func(p []rune, v string) bool {
			want, _ := parse(string(p))
			have, ok := parse(v)
			return ok && holds(have.Cmp(want))
		},
		valid: func(s string) error {
			if _, ok := parse(s); !ok {
				return fmt.Errorf("%q is not a number", s)
			}
			return nil
		}}
}

func date(negated bool, holds func(int) bool) operator {
	return operator{negated: negated,
		match: func(p []rune, v string) bool {
			want, _ := parseDate(string(p))
			have, err := parseDate(v)
			return err == nil && holds(have.Compare(want))
		},
		valid: func(s string) error { _, err := parseDate(s); return err }}
}

// parseDate reads W3C's ISO 8601 profile, or epoch seconds.
func parseDate(s string) (time.Time, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) > 4 {
		return time.Unix(n, 0), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date", s)
}

func inNetwork(p []rune, v string) bool {
	network, _ := parseNetwork(string(p))
	addr, err := netip.ParseAddr(v)
	return err == nil && network.Contains(addr)
}

func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not an address or CIDR", s)
	}
	return p, nil
}

func validNetwork(s string) error { _, err := parseNetwork(s); return err }

func oneOfBool(s string) error {
	if !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
		return fmt.Errorf("%q is neither true nor false", s)
	}
	return nil
}

func validBase64(s string) error {
	_, err := base64.StdEncoding.DecodeString(s)
	return err
}
