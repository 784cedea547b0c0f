package policy

import (
	"strings"
	"testing"
)

func parse(t *testing.T, raw string) Document {
	t.Helper()
	d, err := Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	d.Name = "test"
	return d
}

const (
	queue = "arn:aws:sqs:eu-west-1:123456789012:orders"
	role  = "arn:aws:iam::123456789012:role/worker"
)

var worker = Principal{Account: "123456789012", RoleARN: role, ARN: "arn:aws:sts::123456789012:assumed-role/worker/s"}

func TestEvaluate(t *testing.T) {
	allow := func(rest string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow",` + rest + `}}`
	}
	send := `"Action":"sqs:SendMessage","Resource":"` + queue + `"`
	deny := strings.Replace(allow(send), "Allow", "Deny", 1)
	for _, c := range []struct {
		name               string
		identity, resource string
		boundary           string
		context            map[string][]string
		want               bool
		reason             string
	}{
		{name: "nothing", reason: "because no identity-based policy allows the sqs:SendMessage action"},
		{name: "exact", identity: allow(send), want: true},
		{name: "action in another case", identity: allow(`"Action":"SQS:sendmessage","Resource":"*"`), want: true},
		{name: "wildcards", identity: allow(`"Action":"sqs:Send*","Resource":"arn:aws:sqs:*:*:ord?rs"`), want: true},
		{name: "a wildcard does not reach over a colon", identity: allow(`"Action":"sqs:*","Resource":"arn:aws:*:orders"`), reason: "because no identity"},
		{name: "NotAction", identity: allow(`"NotAction":"iam:*","Resource":"*"`), want: true},
		{name: "NotResource", identity: allow(`"Action":"*","NotResource":"` + queue + `"`), reason: "because no identity"},
		{name: "deny wins over a resource policy", identity: deny, resource: allow(`"Principal":"*",` + send), reason: "with an explicit deny in an identity-based policy"},
		{name: "boundary", identity: allow(send), boundary: allow(`"Action":"s3:*","Resource":"*"`), reason: "because no permissions boundary allows the sqs:SendMessage action"},
		{name: "resource policy for the role", resource: allow(`"Principal":{"AWS":"` + role + `"},` + send), want: true},
		{name: "resource policy for the role outside its boundary", boundary: allow(`"Action":"s3:*","Resource":"*"`), resource: allow(`"Principal":{"AWS":"` + role + `"},` + send), reason: "because no"},
		{name: "resource policy for the account delegates", resource: allow(`"Principal":{"AWS":"123456789012"},` + send), reason: "because no identity"},
		{name: "condition", identity: allow(send + `,"Condition":{"StringEquals":{"AWS:requestTag/Team":["a","b"]}}`), context: map[string][]string{"aws:RequestTag/team": {"b"}}, want: true},
		{name: "condition without its key", identity: allow(send + `,"Condition":{"StringEquals":{"aws:RequestTag/team":"a"}}`), reason: "because no"},
		{name: "negated condition without its key", identity: allow(send + `,"Condition":{"StringNotEquals":{"aws:RequestTag/team":"a"}}`), want: true},
		{name: "IfExists", identity: allow(send + `,"Condition":{"StringLikeIfExists":{"aws:RequestTag/team":"a*"}}`), want: true},
		{name: "ForAllValues", identity: allow(send + `,"Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`), context: map[string][]string{"aws:TagKeys": {"a", "c"}}, reason: "because no"},
		{name: "ForAllValues of none", identity: allow(send + `,"Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`), want: true},
		{name: "ForAnyValue", identity: allow(send + `,"Condition":{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}`), context: map[string][]string{"aws:TagKeys": {"a", "c"}}, want: true},
		{name: "ForAnyValue of none", identity: allow(send + `,"Condition":{"ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}}`), reason: "because no"},
		{name: "Null", identity: allow(send + `,"Condition":{"Null":{"aws:TokenIssueTime":"true"}}`), want: true},
		{name: "Numeric", identity: allow(send + `,"Condition":{"NumericLessThanEquals":{"x:n":10}}`), context: map[string][]string{"x:n": {"9.5"}}, want: true},
		{name: "Date", identity: allow(send + `,"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01"}}`), context: map[string][]string{"aws:CurrentTime": {"2026-02-01T00:00:00Z"}}, want: true},
		{name: "Bool", identity: allow(send + `,"Condition":{"Bool":{"aws:SecureTransport":false}}`), context: map[string][]string{"aws:SecureTransport": {"true"}}, reason: "because no"},
		{name: "IpAddress", identity: allow(send + `,"Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/8"]}}`), context: map[string][]string{"aws:SourceIp": {"10.1.2.3"}}, want: true},
		{name: "ArnLike", identity: allow(send + `,"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/w*"}}`), context: map[string][]string{"aws:PrincipalArn": {role}}, want: true},
		{name: "variable in the resource", identity: allow(`"Action":"sqs:*","Resource":"arn:aws:sqs:*:${aws:PrincipalAccount}:orders"`), context: map[string][]string{"aws:PrincipalAccount": {"123456789012"}}, want: true},
		{name: "variable's star is text", identity: allow(`"Action":"sqs:*","Resource":"arn:aws:sqs:*:*:${x:name}"`), context: map[string][]string{"x:name": {"*"}}, reason: "because no"},
		{name: "variable without value", identity: allow(`"Action":"sqs:*","Resource":"arn:aws:sqs:*:*:${x:name}"`), reason: "because no"},
		{name: "variable's default", identity: allow(`"Action":"sqs:*","Resource":"arn:aws:sqs:*:*:${x:name, 'orders'}"`), want: true},
		{name: "no variables in the old version", identity: strings.Replace(allow(`"Action":"sqs:*","Resource":"arn:aws:sqs:*:*:${x:name}"`), "2012-10-17", "2008-10-17", 1), context: map[string][]string{"x:name": {"orders"}}, reason: "because no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var identity []Document
			var boundary, resource *Document
			if c.identity != "" {
				identity = append(identity, parse(t, c.identity))
			}
			if c.boundary != "" {
				d := parse(t, c.boundary)
				boundary = &d
			}
			if c.resource != "" {
				d := parse(t, c.resource)
				resource = &d
			}
			got := Evaluate(identity, boundary, resource, Request{Principal: worker, Action: "sqs:SendMessage", Resource: queue, Context: c.context})
			if got.Allowed != c.want || !strings.HasPrefix(got.Reason, c.reason) {
				t.Errorf("got %+v, want %v %q", got, c.want, c.reason)
			}
			if got.Allowed && len(got.Granted) == 0 {
				t.Error("allowed by no statement")
			}
		})
	}
}

func TestNoResourceLevelNeedsAStar(t *testing.T) {
	r := Request{Principal: worker, Action: "ec2:DescribeInstances", Resource: "*"}
	narrow := parse(t, `{"Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:*:*:instance/*"}]}`)
	if Evaluate([]Document{narrow}, nil, nil, r).Allowed {
		t.Error("a resource pattern grants an action that has no resource level")
	}
	wide := parse(t, `{"Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`)
	if !Evaluate([]Document{wide}, nil, nil, r).Allowed {
		t.Error("* does not grant it")
	}
}

func TestGrantedNamesEveryPattern(t *testing.T) {
	d := parse(t, `{"Statement":[{"Sid":"A","Effect":"Allow","Action":["sqs:*","sqs:SendMessage","sqs:Delete*"],"Resource":["`+queue+`","arn:aws:s3:::x"]}]}`)
	got := Evaluate([]Document{d}, nil, nil, Request{Principal: worker, Action: "sqs:SendMessage", Resource: queue}).Granted
	if len(got) != 2 || got[0].Sid != "A" || got[0].Action != "sqs:*" || got[0].Resource != queue {
		t.Errorf("got %+v", got)
	}
	if p := d.Patterns(); len(p) != 6 {
		t.Errorf("patterns: %+v", p)
	}
}

func TestParseNamesWhatIsWrong(t *testing.T) {
	statement := func(rest string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*",` + rest + `}]}`
	}
	for want, raw := range map[string]string{
		"Conditions: not an element":  statement(`"Conditions":{}`),
		`"StringLikes" is not a cond`: statement(`"Condition":{"StringLikes":{"a":"b"}}`),
		`"NullIfExists" is not`:       statement(`"Condition":{"NullIfExists":{"a":"true"}}`),
		`"x" is not a number`:         statement(`"Condition":{"NumericEquals":{"a":"x"}}`),
		"exactly one of Action":       statement(`"NotAction":"a:c"`),
		"Sid stands there twice":      statement(`"Sid":"a","Sid":"b"`),
		"is not a policy version":     `{"Version":"2025-01-01","Statement":[]}`,
		"has no Statement":            `{"Version":"2012-10-17"}`,
		"not a JSON object":           `[]`,
		"prefaced by a vendor":        `{"Statement":{"Effect":"Allow","Action":"nothing","Resource":"*"}}`,
		"neither Allow nor Deny":      `{"Statement":{"Effect":"allow","Action":"a:b","Resource":"*"}}`,
		"not a kind of principal":     statement(`"Principal":{"Group":"x"}`),
	} {
		if _, err := Parse([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
	}
}

func TestTrust(t *testing.T) {
	d := parse(t, `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":["eks.amazonaws.com"]}},
		{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Condition":{"StringEquals":{"sts:ExternalId":"x"}}}]}`)
	if err := d.Check(Trust); err != nil {
		t.Error(err)
	}
	ask := func(p Principal, external string) Decision {
		return Trusts(d, Request{Principal: p, Action: "sts:AssumeRole", Context: map[string][]string{"sts:ExternalId": {external}}})
	}
	if !ask(Principal{Service: "eks.amazonaws.com"}, "").Allowed || ask(Principal{Service: "ec2.amazonaws.com"}, "").Allowed {
		t.Error("wrong services trusted")
	}
	if got := ask(worker, "x"); !got.Allowed || !TrustsOnlyAccount(d, worker, got) {
		t.Errorf("got %+v", got)
	}
	if ask(worker, "y").Allowed {
		t.Error("trusted with a wrong external id")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:*","Resource":"arn:aws:s3:::${a,'b'}*","Condition":{"ForAnyValue:ArnLikeIfExists":{"k":"arn:*"}}}]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		d, err := Parse([]byte(raw))
		if err != nil {
			return
		}
		Evaluate([]Document{d}, &d, &d, Request{Principal: worker, Action: "a:b", Resource: queue, Context: map[string][]string{"k": {"v", "1"}}})
	})
}
