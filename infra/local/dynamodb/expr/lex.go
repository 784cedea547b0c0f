// Package expr is DynamoDB's expression language: conditions, filters, key conditions, updates and projections. It is
// pure. Errors are *item.Invalid with DynamoDB's own messages.
package expr

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

//go:embed reserved.txt
var reservedText string

var reserved = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	_, words, _ := strings.Cut(reservedText, "\n") // the first line is a comment
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
})

type kind int

const (
	end kind = iota
	word
	nameRef  // #name
	valueRef // :value
	number
	punct // = <> < <= > >= ( ) , . [ ] + -
)

type token struct {
	kind kind
	text string
}

// maxExpression is how long an expression may be.
const maxExpression = 4096

func invalid(format string, args ...any) error {
	return &item.Invalid{Reason: fmt.Sprintf(format, args...)}
}

// lex splits an expression into tokens. what is the expression's parameter: "ConditionExpression".
func lex(what, text string) ([]token, error) {
	if strings.TrimSpace(text) == "" {
		return nil, invalid("Invalid %s: The expression can not be empty;", what)
	}
	if len(text) > maxExpression {
		return nil, invalid("Invalid %s: Expression size has exceeded the maximum allowed size; expression size: %d", what, len(text))
	}
	var out []token
	for i := 0; i < len(text); {
		c := text[i]
		j := i + 1
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '#' || c == ':':
			for j < len(text) && letter(text[j], true) {
				j++
			}
			if j == i+1 {
				return nil, syntax(what, text[i:j], text)
			}
			k := nameRef
			if c == ':' {
				k = valueRef
			}
			out = append(out, token{k, text[i:j]})
		case letter(c, false):
			for j < len(text) && letter(text[j], true) {
				j++
			}
			out = append(out, token{word, text[i:j]})
		case c >= '0' && c <= '9':
			for j < len(text) && text[j] >= '0' && text[j] <= '9' {
				j++
			}
			out = append(out, token{number, text[i:j]})
		case strings.IndexByte("=<>(),.[]+-", c) >= 0:
			if j < len(text) && (c == '<' && (text[j] == '=' || text[j] == '>') || c == '>' && text[j] == '=') {
				j++
			}
			out = append(out, token{punct, text[i:j]})
		default:
			return nil, syntax(what, text[i:j], text[max(0, i-8):min(len(text), j+8)])
		}
		i = j
	}
	return append(out, token{end, "<EOF>"}), nil
}

func letter(c byte, inside bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || inside && c >= '0' && c <= '9'
}

func syntax(what, token, near string) error {
	return invalid("Invalid %s: Syntax error; token: %q, near: %q", what, token, near)
}
