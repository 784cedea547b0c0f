// Package item is DynamoDB's data model: attribute values, their wire form, their order and their size. It is pure.
package item

import (
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// Number is a decimal of up to 38 significant digits: coefficient × 10^exponent, without trailing zeros.
type Number struct {
	coefficient *big.Int // never changed once made
	exponent    int
}

const (
	maxDigits   = 38
	maxExponent = 125  // of the first digit: 9.9…E+125 is the largest
	minExponent = -130 // 1E-130 is the smallest positive
)

var numberForm = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?$`)

// ParseNumber reads a number as DynamoDB does; its errors are DynamoDB's.
func ParseNumber(s string) (Number, error) {
	if !numberForm.MatchString(s) {
		return Number{}, fmt.Errorf("The parameter cannot be converted to a numeric value: %s", s)
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		exponent, _ = strconv.Atoi(s[i+1:]) // the pattern has seen to it
	}
	if i := strings.IndexByte(mantissa, '.'); i >= 0 {
		exponent -= len(mantissa) - i - 1
		mantissa = mantissa[:i] + mantissa[i+1:]
	}
	if len(mantissa) > 1000 {
		return Number{}, errDigits
	}
	c, _ := new(big.Int).SetString(mantissa, 10)
	return normal(c, exponent)
}

var errDigits = fmt.Errorf("Attempting to store more than %d significant digits in a Number", maxDigits)

func normal(c *big.Int, exponent int) (Number, error) {
	if c.Sign() == 0 {
		return Number{new(big.Int), 0}, nil
	}
	text := c.String()
	trimmed := strings.TrimRight(text, "0")
	if drop := len(text) - len(trimmed); drop > 0 {
		c, _ = new(big.Int).SetString(trimmed, 10)
		exponent += drop
	}
	digits := len(strings.TrimPrefix(trimmed, "-"))
	switch first := exponent + digits - 1; {
	case digits > maxDigits:
		return Number{}, errDigits
	case first > maxExponent:
		return Number{}, fmt.Errorf("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case first < minExponent:
		return Number{}, fmt.Errorf("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	return Number{c, exponent}, nil
}

// String writes plain digits, never an exponent, as DynamoDB does.
func (n Number) String() string {
	text := n.coefficient.String()
	if n.exponent >= 0 {
		return text + strings.Repeat("0", n.exponent)
	}
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	if missing := 1 - n.exponent - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	return sign + text[:len(text)+n.exponent] + "." + text[len(text)+n.exponent:]
}

// align brings two numbers to one exponent.
func align(a, b Number) (x, y *big.Int, exponent int) {
	exponent = min(a.exponent, b.exponent)
	scale := func(n Number) *big.Int {
		if n.exponent == exponent {
			return n.coefficient
		}
		f := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.exponent-exponent)), nil)
		return f.Mul(f, n.coefficient)
	}
	return scale(a), scale(b), exponent
}

// Compare orders numbers.
func (n Number) Compare(o Number) int {
	x, y, _ := align(n, o)
	return x.Cmp(y)
}

// Add adds exactly, or fails.
func (n Number) Add(o Number) (Number, error) {
	x, y, e := align(n, o)
	return normal(new(big.Int).Add(x, y), e)
}

// Sub subtracts exactly, or fails.
func (n Number) Sub(o Number) (Number, error) {
	x, y, e := align(n, o)
	return normal(new(big.Int).Sub(x, y), e)
}

// Int is the number's whole part, as far as it fits; for TTL times.
func (n Number) Int() (int64, bool) {
	v, err := strconv.ParseInt(strings.SplitN(n.String(), ".", 2)[0], 10, 64)
	return v, err == nil
}

// size in bytes, after DynamoDB's documentation: one for two digits and one more.
func (n Number) size() int {
	return (len(n.coefficient.String())+1)/2 + 1
}

// FromInt makes a number.
func FromInt(i int) Number {
	n, _ := normal(big.NewInt(int64(i)), 0) // 64 bits have fewer than 38 digits
	return n
}
