package expr

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

func object(t testing.TB, raw string) item.Item {
	t.Helper()
	var it item.Item
	if err := json.Unmarshal([]byte(raw), &it); err != nil {
		t.Fatal(err)
	}
	return it
}

func text(t testing.TB, it item.Item) string {
	t.Helper()
	raw, err := json.Marshal(it)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func env(t testing.TB, names map[string]string, values string) *Env {
	t.Helper()
	e, err := NewEnv(names, object(t, values))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

const sample = `{"pk":{"S":"a"},"num":{"N":"5"},"txt":{"S":"hello"},"yes":{"BOOL":true},"tags":{"SS":["x","y"]},
	"lst":{"L":[{"N":"1"},{"M":{"inn":{"S":"v"}}},{"S":"z"}]},"map1":{"M":{"a":{"N":"1"},"b":{"M":{"c":{"S":"deep"}}}}}}`

const literals = `{":n":{"N":"5"},":m":{"N":"7"},":s":{"S":"hello"},":h":{"S":"he"},":x":{"S":"x"},":b":{"BOOL":true},":ss":{"SS":["y","z"]},":l":{"L":[{"N":"9"}]},":t":{"S":"N"}}`

func TestConditions(t *testing.T) {
	it := object(t, sample)
	for text, want := range map[string]bool{
		"num = :n":                              true,
		":n = num":                              true,
		"num < :m AND num >= :n":                true,
		"num = :n OR nothing = :n AND txt = :h": true,
		"(num = :m OR txt = :s) AND yes = :b":   true,
		"NOT num = :m":                          true,
		"not (num = :n and txt = :s)":           false,
		"num between :n and :m":                 true,
		"NOT num BETWEEN :m AND :m":             true,
		"txt IN (:x, :s)":                       true,
		"attribute_exists(map1.b.c)":            true,
		"attribute_exists(lst[1].inn)":          true,
		"attribute_not_exists(lst[3])":          true,
		"attribute_type(num, :t)":               true,
		"begins_with(txt, :h)":                  true,
		"begins_with(num, :h)":                  false,
		"contains(tags, :x)":                    true,
		"contains(lst, :x)":                     false,
		"size(tags) < :n":                       true,
		"size(nothing) < :n":                    false,
		"nothing <> :n":                         true,
		"nothing = :n":                          false,
		"lst[0] < map1.a":                       false,
		"lst[0] = map1.a":                       true,
		"num = :s":                              false,
		"num <> :s":                             true,
		"txt > :n":                              false,
	} {
		c, err := env(t, nil, literals).Condition("ConditionExpression", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if c.Holds(it) != want {
			t.Errorf("%s: got %v", text, !want)
		}
	}
	c, err := env(t, nil, `{}`).Condition("ConditionExpression", "attribute_not_exists(pk)")
	if err != nil || !c.Holds(nil) {
		t.Errorf("an absent item has an attribute: %v", err)
	}
}

func TestConditionErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "The expression can not be empty;",
		"num =":                       `Syntax error; token: "<EOF>", near: "="`,
		"num == :n":                   `Syntax error; token: "=", near: "= = :n"`,
		"num = :n )":                  `Syntax error; token: ")", near: ":n )"`,
		"num ! :n":                    `Syntax error; token: "!"`,
		"status = :n":                 "Attribute name is a reserved keyword; reserved keyword: status",
		"num = :zzz":                  "An expression attribute value used in expression is not defined; attribute value: :zzz",
		"#zzz = :n":                   "An expression attribute name used in the document path is not defined; attribute name: #zzz",
		"((num = :n))":                "The expression has redundant parentheses;",
		"size(num)":                   "Syntax error",
		"size(num) = size(size(txt))": "The function is not allowed to be used this way in an expression; function: size",
		"foo(num)":                    "Invalid function name; function: foo",
		"num = attribute_exists(txt)": "The function is not allowed to be used this way in an expression; function: attribute_exists",
		"if_not_exists(num, :n)":      "The function is not allowed in a condition expression; function: if_not_exists",
		"begins_with(txt)":            "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
		"begins_with(txt, :n)":        "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
		"num < :b":                    "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
		"attribute_exists(:n)":        "Operator or function requires a document path; operator or function: attribute_exists",
		"attribute_type(num, :h)":     "Invalid attribute type name found; type: he",
		"num = num":                   "The first operand must be distinct from the remaining operands",
		"num BETWEEN :m AND :n":       "upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:7}, upper bound operand: AttributeValue: {N:5}",
		"num BETWEEN :n AND :s":       "requires same data type",
		"lst[x] = :n":                 "Syntax error",
		strings.Repeat("a", 5000):     "Expression size has exceeded the maximum allowed size",
	} {
		_, err := env(t, nil, literals).Condition("ConditionExpression", text)
		if err == nil || !strings.HasPrefix(err.Error(), "Invalid ConditionExpression: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestUpdates(t *testing.T) {
	base := `{"pk":{"S":"a"},"num":{"N":"5"},"tags":{"SS":["x","y"]},"lst":{"L":[{"N":"1"},{"N":"2"},{"M":{"inn":{"S":"v"}}}]}}`
	for text_, want := range map[string]string{
		"SET num = num + :n":                        `"num":{"N":"10"}`,
		"SET num = :m - num":                        `"num":{"N":"2"}`,
		"SET fresh = if_not_exists(fresh, :n) + :n": `"fresh":{"N":"10"}`,
		"SET a = num, num = :m":                     `"a":{"N":"5"}`,
		"SET lst = list_append(lst, :l)":            `{"M":{"inn":{"S":"v"}}},{"N":"9"}]`,
		"SET lst[1] = :s, lst[9] = :s":              `[{"N":"1"},{"S":"hello"},{"M":{"inn":{"S":"v"}}},{"S":"hello"}]`,
		"SET lst[2].inn = :n":                       `{"M":{"inn":{"N":"5"}}}`,
		"REMOVE lst[0], lst[1]":                     `"lst":{"L":[{"M":{"inn":{"S":"v"}}}]}`,
		"REMOVE lst[0], lst[2].inn":                 `"lst":{"L":[{"N":"2"},{"M":{}}]}`,
		"REMOVE tags, nothing":                      `{"lst":`,
		"ADD num :n, tags :ss, fresh :n":            `"num":{"N":"10"},"pk":{"S":"a"},"tags":{"SS":["x","y","z"]}`,
		"DELETE tags :ss":                           `"tags":{"SS":["x"]}`,
		"DELETE nothing :ss":                        `"tags":{"SS":["x","y"]}`,
		"set num = (num + :n) remove tags":          `"num":{"N":"10"},"pk":{"S":"a"}}`,
	} {
		it := object(t, base)
		u, err := env(t, nil, literals).Update(text_)
		if err != nil {
			t.Errorf("%s: %v", text_, err)
			continue
		}
		got, err := u.Apply(it)
		if err != nil || !strings.Contains(text(t, got), want) {
			t.Errorf("%s: got %s %v", text_, text(t, got), err)
		}
		if text(t, it) != text(t, object(t, base)) {
			t.Errorf("%s: changed the item given", text_)
		}
	}
	u, err := env(t, nil, `{":all":{"SS":["x","y"]}}`).Update("DELETE tags :all")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.Apply(object(t, base)); err != nil || strings.Contains(text(t, got), "tags") {
		t.Errorf("an empty set stays: %s %v", text(t, got), err)
	}
	for text, want := range map[string]string{
		"SET num = nothing":               "refers to an attribute that does not exist in the item",
		"SET num = num + pk":              "An operand in the update expression has an incorrect data type",
		"SET nothing.a = :n":              "document path provided in the update expression is invalid",
		"SET num[0] = :n":                 "document path provided in the update expression is invalid",
		"REMOVE nothing.a":                "document path provided in the update expression is invalid",
		"ADD pk :n":                       "An operand in the update expression has an incorrect data type",
		"ADD num :s":                      "operator: ADD, operand type: STRING",
		"SET num = num + :s":              "operator or function: +, operand type: S",
		"SET num = list_append(lst)":      "number of operands: 1",
		"SET num = size(lst)":             "The function is not allowed in an update expression; function: size",
		"SET num = if_not_exists(:n, :n)": "requires a document path",
		"SET a = :n, a = :n":              "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
		"SET a.b = :n REMOVE a[0]":        "Two document paths conflict with each other",
		"SET a = :n SET b = :n":           `The "SET" section can only be used once`,
		"PUT a = :n":                      `Syntax error; token: "PUT"`,
		"SET a = :n,":                     `Syntax error; token: "<EOF>"`,
	} {
		u, err := env(t, nil, literals).Update(text)
		if err == nil {
			_, err = u.Apply(object(t, base))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestProjection(t *testing.T) {
	p, err := env(t, map[string]string{"#m": "map1"}, `{}`).Projection("#m.b.c, lst[2], lst[0], nothing, num")
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, p.Apply(object(t, sample))); got != `{"lst":{"L":[{"N":"1"},{"S":"z"}]},"map1":{"M":{"b":{"M":{"c":{"S":"deep"}}}}},"num":{"N":"5"}}` {
		t.Error(got)
	}
	if _, err := env(t, nil, `{}`).Projection("a.b, a"); err == nil || !strings.Contains(err.Error(), "overlap") {
		t.Errorf("got %v", err)
	}
}

func TestUnused(t *testing.T) {
	e := env(t, map[string]string{"#a": "a", "#b": "b"}, `{":n":{"N":"1"}}`)
	if _, err := e.Condition("FilterExpression", "#a = :n"); err != nil {
		t.Fatal(err)
	}
	if err := e.Unused(); err == nil || err.Error() != "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}" {
		t.Errorf("got %v", err)
	}
}

// words are what the property test makes expressions of.
var words = []string{"num", "txt", "lst", "map1", "tags", "nothing", "#r", ":n", ":m", ":s", ":ss", ":l", ":b", ":t", "(", ")", "[0]", "[2]", "[99]", ".a", ".b.c", ",", "=", "<>", "<", "<=",
	">", ">=", "+", "-", "AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE", "attribute_exists(", "attribute_type(", "begins_with(", "contains(", "size(", "if_not_exists(", "list_append("}

// grammar makes expressions that are mostly well-formed, so that evaluation is reached.
type grammar struct{ r *rand.Rand }

func (g grammar) of(choices ...string) string { return choices[g.r.IntN(len(choices))] }
func (g grammar) path() string {
	return g.of("num", "txt", "lst", "lst[0]", "lst[1].inn", "map1.a", "map1.b.c", "tags", "nothing", "#r", "lst[7]")
}
func (g grammar) value() string   { return g.of(":n", ":m", ":s", ":h", ":ss", ":l", ":b") }
func (g grammar) operand() string { return g.of(g.path(), g.path(), g.value(), "size("+g.path()+")") }

func (g grammar) condition(depth int) string {
	if depth > 0 && g.r.IntN(2) == 0 {
		return g.of("NOT "+g.condition(depth-1), "("+g.condition(depth-1)+")", g.condition(depth-1)+" AND "+g.condition(depth-1), g.condition(depth-1)+" OR "+g.condition(depth-1))
	}
	return g.of(g.operand()+" "+g.of("=", "<>", "<", "<=", ">", ">=")+" "+g.operand(), g.path()+" BETWEEN "+g.operand()+" AND "+g.operand(), g.operand()+" IN ("+g.value()+", "+g.operand()+")",
		"contains("+g.path()+", "+g.operand()+")", "begins_with("+g.path()+", "+g.operand()+")", "attribute_type("+g.path()+", :t)")
}

func (g grammar) term() string {
	return g.of(g.path(), g.value(), "if_not_exists("+g.path()+", "+g.value()+")", "list_append("+g.path()+", "+g.value()+")", g.path()+" + "+g.value())
}

func (g grammar) update() string {
	var parts []string
	for _, clause := range []string{"SET", "REMOVE", "ADD", "DELETE"} {
		if g.r.IntN(2) == 0 {
			continue
		}
		var actions []string
		for range 1 + g.r.IntN(2) {
			switch clause {
			case "SET":
				actions = append(actions, g.path()+" = "+g.term())
			case "REMOVE":
				actions = append(actions, g.path())
			default:
				actions = append(actions, g.path()+" "+g.value())
			}
		}
		parts = append(parts, clause+" "+strings.Join(actions, ", "))
	}
	return strings.Join(parts, " ")
}

// TestRandomExpressions: no expression panics; a condition and its negation disagree; an update leaves its input alone.
func TestRandomExpressions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := map[string]string{"#r": "map1"}
	it := object(t, sample)
	before := text(t, it)
	g := grammar{r}
	understood := 0
	for range 6000 {
		var soup []string
		for range 1 + r.IntN(12) {
			soup = append(soup, words[r.IntN(len(words))])
		}
		condition, update := g.condition(3), g.update()
		if r.IntN(4) == 0 {
			condition, update = strings.Join(soup, " "), strings.Join(soup, " ")
		}
		if c, err := env(t, names, literals).Condition("ConditionExpression", condition); err == nil {
			understood++
			n, err := env(t, names, literals).Condition("ConditionExpression", "NOT ("+condition+")")
			if err == nil && n.Holds(it) == c.Holds(it) {
				t.Fatalf("%s: its negation agrees with it", condition)
			}
			c.Holds(nil)
		}
		if u, err := env(t, names, literals).Update(update); err == nil {
			understood++
			if _, err := u.Apply(it); err == nil {
				u.Touched(it)
			}
		}
		_, _ = env(t, names, literals).KeyCondition(condition)
		_, _ = env(t, names, literals).Projection(strings.Join(soup, ""))
	}
	if text(t, it) != before {
		t.Error("an update changed its input")
	}
	if understood < 2000 {
		t.Errorf("only %d of the expressions were well-formed: the test tests little", understood)
	}
}

func FuzzExpressions(f *testing.F) {
	f.Add("num = :n AND size(lst[0].a) < :m")
	f.Add("SET a = if_not_exists(b, :n) + :m REMOVE c[1] ADD d :ss")
	f.Fuzz(func(t *testing.T, s string) {
		e := env(t, map[string]string{"#r": "map1"}, literals)
		it := object(t, sample)
		if c, err := e.Condition("ConditionExpression", s); err == nil {
			c.Holds(it)
		}
		if u, err := e.Update(s); err == nil {
			_, _ = u.Apply(it)
		}
		_, _ = e.KeyCondition(s)
		if p, err := e.Projection(s); err == nil {
			p.Apply(it)
		}
	})
}
