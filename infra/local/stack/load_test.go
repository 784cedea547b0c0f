package stack

import (
	"encoding/json"
	"strings"
	"testing"
)

// echo is a provider that remembers what it was given and in which order.
type echo struct {
	order []string
	got   map[string]map[string]any
}

func (e *echo) provider(id string, p json.RawMessage) (Created, error) {
	var v map[string]any
	if err := json.Unmarshal(p, &v); err != nil {
		return Created{}, err
	}
	e.order = append(e.order, id)
	if e.got == nil {
		e.got = map[string]map[string]any{}
	}
	e.got[id] = v
	return Created{Ref: "ref-" + id, Attributes: map[string]string{"Arn": "arn:aws:x:::" + id}}, nil
}

var pseudo = Pseudo{Account: "123456789012", Region: "us-east-1"}

func load(t *testing.T, params map[string]string, bodies ...string) (*Stack, *echo, error) {
	t.Helper()
	e := &echo{}
	var ts []Template
	for i, b := range bodies {
		ts = append(ts, Template{Name: "stack" + string(rune('a'+i)), Body: []byte(b)})
	}
	st, err := Load(ts, params, Providers{"X::A": e.provider, "X::B": e.provider}, pseudo)
	return st, e, err
}

func TestFunctionsResolve(t *testing.T) {
	st, e, err := load(t, map[string]string{"Env": "prod"}, `{
	"Parameters": {
	  "Env": {"Type": "String", "Default": "dev", "AllowedValues": ["dev", "prod"]},
	  "Zones": {"Type": "CommaDelimitedList", "Default": "a, b"},
	  "Boot": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/cdk/version"}},
	"Mappings": {"M": {"us-east-1": {"size": 3}}},
	"Conditions": {"Prod": {"Fn::Equals": [{"Ref": "Env"}, "prod"]}, "Dev": {"Fn::Not": [{"Condition": "Prod"}]},
	  "Both": {"Fn::And": [{"Condition": "Prod"}, {"Condition": "Dev"}]}, "Any": {"Fn::Or": [{"Condition": "Prod"}, {"Condition": "Dev"}]}},
	"Resources": {
	  "Z": {"Type": "X::A", "Properties": {}},
	  "Absent": {"Type": "X::Unknown", "Condition": "Dev"},
	  "Meta": {"Type": "AWS::CDK::Metadata", "Properties": {"Analytics": "x"}},
	  "A": {"Type": "X::A", "DependsOn": ["Z"], "Properties": {
	    "Ref": {"Ref": "Z"}, "Att": {"Fn::GetAtt": ["Z", "Arn"]}, "AttText": {"Fn::GetAtt": "Z.Arn"},
	    "Sub": {"Fn::Sub": "${AWS::Region}/${AWS::AccountId}/${Z}/${Z.Arn}/${!Literal}/${Env}"},
	    "SubMap": {"Fn::Sub": ["${V}-${Env}", {"V": {"Ref": "Z"}}]},
	    "Join": {"Fn::Join": [":", ["arn", {"Ref": "AWS::Partition"}, {"Fn::Select": [1, {"Fn::Split": [":", {"Fn::GetAtt": ["Z", "Arn"]}]}]}]]},
	    "JoinList": {"Fn::Join": ["+", {"Ref": "Zones"}]},
	    "If": {"Fn::If": ["Prod", "yes", {"Ref": "Absent"}]}, "None": {"Fn::If": ["Both", 1, {"Ref": "AWS::NoValue"}]},
	    "Map": {"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "size"]}, "B64": {"Fn::Base64": "hi"},
	    "List": [1, {"Ref": "AWS::NoValue"}, true], "Policy": {"Condition": {"StringEquals": {"a": "b"}}}}}},
	"Outputs": {"O": {"Value": {"Fn::GetAtt": ["A", "Arn"]}, "Export": {"Name": {"Fn::Sub": "${AWS::StackName}:O"}}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(e.got["A"])
	want := `{"Att":"arn:aws:x:::Z","AttText":"arn:aws:x:::Z","B64":"aGk=","If":"yes","Join":"arn:aws:aws","JoinList":"a+b",` +
		`"List":[1,true],"Map":3,"Policy":{"Condition":{"StringEquals":{"a":"b"}}},"Ref":"ref-Z",` +
		`"Sub":"us-east-1/123456789012/ref-Z/arn:aws:x:::Z/${Literal}/prod","SubMap":"ref-Z-prod"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if st.Exports["stacka:O"] != "arn:aws:x:::A" || st.Outputs["stacka.O"] != "arn:aws:x:::A" {
		t.Errorf("exports %v, outputs %v", st.Exports, st.Outputs)
	}
	if a, ok := st.Find("A"); !ok || a.Type != "X::A" || a.Ref != "ref-A" {
		t.Errorf("A: %+v %v", a, ok)
	}
}

func TestImportsOrderTemplates(t *testing.T) {
	_, e, err := load(t, nil,
		`{"Resources": {"User": {"Type": "X::A", "Properties": {"T": {"Fn::ImportValue": "table"}}}}}`,
		`{"Resources": {"Table": {"Type": "X::B"}}, "Outputs": {"T": {"Value": {"Ref": "Table"}, "Export": {"Name": "table"}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(e.order, ",") != "Table,User" || e.got["User"]["T"] != "ref-Table" {
		t.Errorf("order %v, got %v", e.order, e.got)
	}
}

// The value is known from the start, the name only once the resource is.
func TestExportWaitsForItsName(t *testing.T) {
	st, _, err := load(t, nil, `{"Resources": {"A": {"Type": "X::A"}},
	"Outputs": {"O": {"Value": "v", "Export": {"Name": {"Fn::Sub": "${A}-name"}}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(st.Exports) != 1 || st.Exports[st.Resources[0].Created.Ref+"-name"] != "v" {
		t.Errorf("exports %v", st.Exports)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, e, err := load(t, map[string]string{"Foreign": "1"}, `{
	"Parameters": {"Needed": {"Type": "String"}},
	"Resources": {
	  "Odd": {"Type": "X::Unknown"},
	  "Fn": {"Type": "X::A", "Properties": {"V": {"Fn::Cidr": []}, "W": {"Ref": "Nobody"}, "P": {"Ref": "Needed"}}},
	  "One": {"Type": "X::A", "Properties": {"V": {"Ref": "Two"}}},
	  "Two": {"Type": "X::A", "DependsOn": "One"},
	  "Imp": {"Type": "X::A", "Properties": {"V": {"Fn::ImportValue": "nothing"}}},
	  "Dep": {"Type": "X::A", "DependsOn": "Gone"}}}`,
		`{"Resources": {"A": {"Type": "X::A"}}, "Transform": "AWS::Serverless-2016-10-31"}`)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Odd: the embedded cloud has no resource type X::Unknown", "function Fn::Cidr is not implemented",
		"there is no resource or parameter Nobody", "One → stacka.Two → stacka.One", "no template exports nothing",
		"there is no resource Gone", "parameter Needed has no value", "parameter Foreign is in no template", `unknown field "Transform"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if len(e.order) != 0 {
		t.Errorf("created %v", e.order)
	}
}

func TestFailuresOfProviders(t *testing.T) {
	e := &echo{}
	fail := func(id string, _ json.RawMessage) (Created, error) { return Created{}, &json.SyntaxError{} }
	_, err := Load([]Template{{Name: "s", Body: []byte(`{"Resources": {
	  "Bad": {"Type": "X::B"}, "Worse": {"Type": "X::B"}, "After": {"Type": "X::A", "Properties": {"V": {"Ref": "Bad"}}},
	  "Att": {"Type": "X::A", "Properties": {"V": {"Fn::GetAtt": ["Fine", "Nope"]}}}, "Fine": {"Type": "X::A"}}}`)}},
		nil, Providers{"X::A": e.provider, "X::B": fail}, pseudo)
	if err == nil || strings.Count(err.Error(), "\n") != 2 || !strings.Contains(err.Error(), "Fine (X::A) has no attribute Nope") {
		t.Errorf("want three problems: %v", err)
	}
	if strings.Join(e.order, ",") != "Fine" {
		t.Errorf("created %v", e.order)
	}
}

func TestDecode(t *testing.T) {
	var v struct {
		Timeout int
		Name    string
		On      *bool
		Tags    []struct{ Key, Value string }
		Doc     json.RawMessage
		Vars    map[string]string
		Mode    string `json:"mode"`
	}
	err := Decode(json.RawMessage(`{"Timeout":"300","Name":5,"On":"true","Tags":[{"Key":"a","Value":"b"}],"Doc":{"x":[1]},"Vars":{"A":1},"mode":"m"}`), &v)
	if err != nil || v.Timeout != 300 || v.Name != "5" || !*v.On || v.Tags[0].Value != "b" || string(v.Doc) != `{"x":[1]}` || v.Vars["A"] != "1" || v.Mode != "m" {
		t.Errorf("%+v %v", v, err)
	}
	err = Decode(json.RawMessage(`{"Timeuot":1,"Tags":[{"Kye":"a"}],"On":"perhaps"}`), &v)
	for _, want := range []string{"property Timeuot is not", "property Tags[0].Kye is not", "property On:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}
