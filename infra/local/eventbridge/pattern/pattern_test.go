package pattern

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// The tables' patterns and events are those of AWS's user guide ("Comparison operators", "Null values", "Arrays"),
// with a near miss beside each.
var matchTable = []struct {
	operator, pattern, event string
	want                     bool
}{
	{"exact", `{"source":["aws.ec2"],"detail-type":["EC2 Instance State-change Notification"],"detail":{"state":["terminated"]}}`,
		`{"version":"0","source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"i-1","state":"terminated"}}`, true},
	{"exact", `{"detail":{"state":["terminated"]}}`, `{"detail":{"state":"running"}}`, false},
	{"exact", `{"detail":{"state":["terminated"]}}`, `{"detail":{"state":"Terminated"}}`, false},
	{"exact", `{"detail":{"state":["terminated"]}}`, `{"detail":{}}`, false},
	{"exact", `{"detail":{"state":["terminated"]}}`, `{"detail":"terminated"}`, false},
	{"exact", `{"Price":[{"numeric":["=",100]}]}`, `{"Price":100}`, true},
	{"exact number", `{"a":[300]}`, `{"a":300}`, true},
	{"exact number", `{"a":[300]}`, `{"a":300.0}`, false},
	{"exact number", `{"a":[300]}`, `{"a":"300"}`, false},
	{"exact bool", `{"a":[true]}`, `{"a":true}`, true},
	{"exact bool", `{"a":[true]}`, `{"a":"true"}`, false},
	{"or of values", `{"PaymentType":["Credit","Debit"]}`, `{"PaymentType":"Debit"}`, true},
	{"null", `{"detail":{"responseElements":[null]}}`, `{"detail":{"eventVersion":"","responseElements":null}}`, true},
	{"null", `{"detail":{"eventVersion":[null]}}`, `{"detail":{"eventVersion":"","responseElements":null}}`, false},
	{"null", `{"detail":{"eventVersion":[null]}}`, `{"detail":{}}`, false},
	{"empty", `{"detail":{"eventVersion":[""]}}`, `{"detail":{"eventVersion":"","responseElements":null}}`, true},
	{"empty", `{"detail":{"responseElements":[""]}}`, `{"detail":{"eventVersion":"","responseElements":null}}`, false},

	{"prefix", `{"time":[{"prefix":"2017-10-02"}]}`, `{"time":"2017-10-02T18:43:48Z"}`, true},
	{"prefix", `{"time":[{"prefix":"2017-10-02"}]}`, `{"time":"2017-10-03T18:43:48Z"}`, false},
	{"prefix", `{"time":[{"prefix":"2017"}]}`, `{"time":2017}`, false},
	{"prefix ignore case", `{"detail":{"service":[{"prefix":{"equals-ignore-case":"EventB"}}]}}`, `{"detail":{"service":"eventbridge"}}`, true},
	{"prefix ignore case", `{"detail":{"service":[{"prefix":{"equals-ignore-case":"EventB"}}]}}`, `{"detail":{"service":"EVENTBRIDGE"}}`, true},
	{"prefix ignore case", `{"detail":{"service":[{"prefix":{"equals-ignore-case":"EventB"}}]}}`, `{"detail":{"service":"xEVENTB"}}`, false},
	{"suffix", `{"FileName":[{"suffix":".png"}]}`, `{"FileName":"logo.png"}`, true},
	{"suffix", `{"FileName":[{"suffix":".png"}]}`, `{"FileName":"logo.PNG"}`, false},
	{"suffix ignore case", `{"FileName":[{"suffix":{"equals-ignore-case":".png"}}]}`, `{"FileName":"logo.PNG"}`, true},
	{"equals-ignore-case", `{"Name":[{"equals-ignore-case":"alice"}]}`, `{"Name":"Alice"}`, true},
	{"equals-ignore-case", `{"Name":[{"equals-ignore-case":"alice"}]}`, `{"Name":"Alicea"}`, false},

	{"anything-but", `{"detail":{"state":[{"anything-but":"initializing"}]}}`, `{"detail":{"state":"running"}}`, true},
	{"anything-but", `{"detail":{"state":[{"anything-but":"initializing"}]}}`, `{"detail":{"state":"initializing"}}`, false},
	{"anything-but", `{"detail":{"state":[{"anything-but":"initializing"}]}}`, `{"detail":{}}`, false},
	{"anything-but", `{"detail":{"state":[{"anything-but":"initializing"}]}}`, `{"detail":{"state":null}}`, true},
	{"anything-but", `{"detail":{"state":[{"anything-but":"initializing"}]}}`, `{"detail":{"state":["initializing","running"]}}`, true},
	{"anything-but number", `{"detail":{"x-limit":[{"anything-but":123}]}}`, `{"detail":{"x-limit":456}}`, true},
	{"anything-but number", `{"detail":{"x-limit":[{"anything-but":123}]}}`, `{"detail":{"x-limit":123}}`, false},
	{"anything-but list", `{"detail":{"state":[{"anything-but":["stopped","overloaded"]}]}}`, `{"detail":{"state":"overloaded"}}`, false},
	{"anything-but list", `{"detail":{"state":[{"anything-but":["stopped","overloaded"]}]}}`, `{"detail":{"state":"running"}}`, true},
	{"anything-but list", `{"detail":{"x-limit":[{"anything-but":[100,200,300]}]}}`, `{"detail":{"x-limit":200}}`, false},
	{"anything-but list", `{"detail":{"x-limit":[{"anything-but":[100,200,300]}]}}`, `{"detail":{"x-limit":201}}`, true},
	{"anything-but ignore case", `{"detail":{"state":[{"anything-but":{"equals-ignore-case":"initializing"}}]}}`, `{"detail":{"state":"INITIALIZING"}}`, false},
	{"anything-but ignore case", `{"detail":{"state":[{"anything-but":{"equals-ignore-case":["initializing","stopped"]}}]}}`, `{"detail":{"state":"Stopped"}}`, false},
	{"anything-but ignore case", `{"detail":{"state":[{"anything-but":{"equals-ignore-case":["initializing","stopped"]}}]}}`, `{"detail":{"state":"running"}}`, true},
	{"anything-but prefix", `{"detail":{"state":[{"anything-but":{"prefix":"init"}}]}}`, `{"detail":{"state":"initializing"}}`, false},
	{"anything-but prefix", `{"detail":{"state":[{"anything-but":{"prefix":"init"}}]}}`, `{"detail":{"state":"running"}}`, true},
	{"anything-but prefix", `{"detail":{"state":[{"anything-but":{"prefix":["init","error"]}}]}}`, `{"detail":{"state":"error-1"}}`, false},
	{"anything-but suffix", `{"detail":{"FileName":[{"anything-but":{"suffix":".txt"}}]}}`, `{"detail":{"FileName":"a.txt"}}`, false},
	{"anything-but suffix", `{"detail":{"FileName":[{"anything-but":{"suffix":[".txt",".rtf"]}}]}}`, `{"detail":{"FileName":"a.rtf"}}`, false},
	{"anything-but suffix", `{"detail":{"FileName":[{"anything-but":{"suffix":[".txt",".rtf"]}}]}}`, `{"detail":{"FileName":"a.png"}}`, true},
	{"anything-but wildcard", `{"detail":{"FilePath":[{"anything-but":{"wildcard":"*/lib/*"}}]}}`, `{"detail":{"FilePath":"usr/lib/x"}}`, false},
	{"anything-but wildcard", `{"detail":{"FilePath":[{"anything-but":{"wildcard":["*/lib/*","*/bin/*"]}}]}}`, `{"detail":{"FilePath":"usr/bin/x"}}`, false},
	{"anything-but wildcard", `{"detail":{"FilePath":[{"anything-but":{"wildcard":["*/lib/*","*/bin/*"]}}]}}`, `{"detail":{"FilePath":"usr/share/x"}}`, true},

	{"numeric", `{"detail":{"c-count":[{"numeric":[">",0,"<=",5]}],"d-count":[{"numeric":["<",10]}],"x-limit":[{"numeric":["=",3.018e2]}]}}`, `{"detail":{"c-count":5,"d-count":-1,"x-limit":301.8}}`, true},
	{"numeric", `{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":0}`, false},
	{"numeric", `{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":5.0001}`, false},
	{"numeric", `{"a":[{"numeric":[">=",0]}]}`, `{"a":0}`, true},
	{"numeric", `{"a":[{"numeric":["<",10]}]}`, `{"a":"5"}`, false},
	{"numeric", `{"a":[{"numeric":[">",10]}]}`, `{"a":5000000001}`, false},

	{"cidr", `{"detail":{"source-ip":[{"cidr":"10.0.0.0/24"}]}}`, `{"detail":{"source-ip":"10.0.0.255"}}`, true},
	{"cidr", `{"detail":{"source-ip":[{"cidr":"10.0.0.0/24"}]}}`, `{"detail":{"source-ip":"10.0.1.0"}}`, false},
	{"cidr", `{"detail":{"source-ip":[{"cidr":"10.0.0.0/24"}]}}`, `{"detail":{"source-ip":"ten"}}`, false},
	{"cidr", `{"a":[{"cidr":"2001:db8::/32"}]}`, `{"a":"2001:db8::1"}`, true},

	{"exists", `{"detail":{"state":[{"exists":true}]}}`, `{"detail":{"state":null}}`, true},
	{"exists", `{"detail":{"c-count":[{"exists":true}]}}`, `{"detail":{"c-count":{"c1":100}}}`, false}, // leaves only
	{"exists", `{"detail":{"c-count":[{"exists":false}]}}`, `{"detail":{"c-count":{"c1":100}}}`, true},
	{"exists", `{"detail":{"state":[{"exists":false}]}}`, `{"detail":{"state":"x"}}`, false},
	{"exists", `{"detail":{"state":[{"exists":false}]}}`, `{"other":1}`, true},
	{"exists", `{"a":[{"exists":false},"x"]}`, `{"a":"x"}`, true},
	{"exists", `{"a":[{"exists":false},"x"]}`, `{"b":"x"}`, true},
	{"exists", `{"a":[{"exists":false},"x"]}`, `{"a":"y"}`, false},
	{"exists", `{"a":[{"exists":true}]}`, `{"a":[]}`, false},

	{"wildcard", `{"FileName":[{"wildcard":"dir/*.png"}]}`, `{"FileName":"dir/sub/logo.png"}`, true},
	{"wildcard", `{"FileName":[{"wildcard":"dir/*.png"}]}`, `{"FileName":"dir/logo.jpg"}`, false},
	{"wildcard", `{"a":[{"wildcard":"*"}]}`, `{"a":""}`, true},
	{"wildcard", `{"a":[{"wildcard":"a*a"}]}`, `{"a":"a"}`, false},
	{"wildcard", `{"a":[{"wildcard":"*ab*ab*"}]}`, `{"a":"xabab"}`, true},
	{"wildcard", `{"a":[{"wildcard":"*ab*ab*"}]}`, `{"a":"xabb"}`, false},
	{"wildcard", `{"a":[{"wildcard":"lit\\*\\\\*"}]}`, `{"a":"lit*\\tail"}`, true},
	{"wildcard", `{"a":[{"wildcard":"lit\\*"}]}`, `{"a":"lit!"}`, false},

	{"$or", `{"source":["aws.cloudwatch"],"$or":[{"metricName":["CPUUtilization","ReadLatency"]},{"namespace":["AWS/EC2","AWS/ES"]}]}`, `{"source":"aws.cloudwatch","namespace":"AWS/ES"}`, true},
	{"$or", `{"source":["aws.cloudwatch"],"$or":[{"metricName":["CPUUtilization"]},{"namespace":["AWS/EC2"]}]}`, `{"source":"aws.x","namespace":"AWS/EC2"}`, false},
	{"$or", `{"detail":{"$or":[{"c-count":[{"numeric":[">",0,"<=",5]}]},{"d-count":[{"numeric":["<",10]}]},{"x-limit":[{"numeric":["=",3.018e2]}]}]}}`, `{"detail":{"c-count":9,"x-limit":301.8}}`, true},
	{"$or", `{"detail":{"$or":[{"c-count":[{"numeric":[">",0,"<=",5]}]},{"d-count":[{"numeric":["<",10]}]}]}}`, `{"detail":{"c-count":9,"d-count":10}}`, false},
	{"$or", `{"$or":[{"a":[1],"b":[2]},{"$or":[{"c":[3]},{"d":[4]}]}]}`, `{"a":1,"d":4}`, true},
	{"$or", `{"$or":[{"a":[1],"b":[2]},{"c":[3]}]}`, `{"a":1,"b":3}`, false},

	{"array", `{"resources":["arn:a","arn:b"]}`, `{"resources":["arn:x","arn:b"]}`, true},
	{"array", `{"resources":["arn:a","arn:b"]}`, `{"resources":["arn:x"]}`, false},
	{"array of arrays", `{"a":["x"]}`, `{"a":[["y"],["x"]]}`, true},
	{"array of objects", `{"e":{"first":["Anna"],"last":["Jones"]}}`, `{"e":[{"first":"Bob","last":"Jones"},{"first":"Anna","last":"Jones"}]}`, true},
	{"array of objects", `{"e":{"first":["Anna"],"last":["Smith"]}}`, `{"e":[{"first":"Anna","last":"Jones"},{"first":"Bob","last":"Smith"}]}`, false},
	{"array of objects", `{"e":{"first":["Anna"],"x":{"y":[1],"z":[2]}}}`, `{"e":[{"first":"Anna","x":[{"y":1,"z":3},{"y":1,"z":2}]}]}`, true},
	{"array of objects", `{"e":{"first":["Anna"],"x":{"y":[1],"z":[2]}}}`, `{"e":[{"first":"Anna","x":[{"y":1},{"z":2}]}]}`, false},
}

func TestMatch(t *testing.T) {
	for i, c := range matchTable {
		t.Run(fmt.Sprintf("%s/%d", c.operator, i), func(t *testing.T) {
			p, err := Compile([]byte(c.pattern))
			if err != nil {
				t.Fatalf("Compile(%s): %v", c.pattern, err)
			}
			got, err := p.Match([]byte(c.event))
			if err != nil || got != c.want {
				t.Errorf("%s on %s = %v, %v; want %v", c.pattern, c.event, got, err, c.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct{ pattern, reason string }{
		{`{`, "not valid JSON"},
		{`{} {}`, "not valid JSON"},
		{`[]`, "Filter is not an object"},
		{`{}`, "Empty objects are not allowed"},
		{`{"detail":{}}`, "Empty objects are not allowed"},
		{`{"source":"aws.ec2"}`, `"source" must be an object or an array`},
		{`{"source":[]}`, "Empty arrays are not allowed"},
		{`{"a":[["x"]]}`, "Match value must be"},
		{`{"a":[{}]}`, "Match expression name not found"},
		{`{"a":[{"prefix":"x","suffix":"y"}]}`, "Only one key allowed"},
		{`{"a":[{"contains":"x"}]}`, "Unrecognized match type contains"},
		{`{"a":[{"prefix":1}]}`, "prefix match pattern must be a string"},
		{`{"a":[{"prefix":{"wildcard":"x"}}]}`, "Unsupported prefix pattern: wildcard"},
		{`{"a":[{"suffix":{"equals-ignore-case":1}}]}`, "must be a string"},
		{`{"a":[{"exists":"true"}]}`, "must be either true or false"},
		{`{"a":[{"cidr":"10.0.0.0"}]}`, "Malformed CIDR"},
		{`{"a":[{"cidr":4}]}`, "must be a string"},
		{`{"a":[{"anything-but":null}]}`, "start|null|boolean is not supported"},
		{`{"a":[{"anything-but":["x",1]}]}`, "mixed type is not supported"},
		{`{"a":[{"anything-but":[]}]}`, "at least one value"},
		{`{"a":[{"anything-but":{"cidr":"10.0.0.0/8"}}]}`, "Unsupported anything-but pattern: cidr"},
		{`{"a":[{"anything-but":{"prefix":""}}]}`, "Null prefix/suffix"},
		{`{"a":[{"anything-but":{"wildcard":"**"}}]}`, "Consecutive wildcard"},
		{`{"a":[{"numeric":5}]}`, "must be an array"},
		{`{"a":[{"numeric":[]}]}`, "Invalid member"},
		{`{"a":[{"numeric":["!=",5]}]}`, "Unrecognized numeric range operator: !="},
		{`{"a":[{"numeric":["<","5"]}]}`, "Value of < must be numeric"},
		{`{"a":[{"numeric":["<"]}]}`, "Value of < must be numeric"},
		{`{"a":[{"numeric":["<",5,">",1]}]}`, "Too many terms"},
		{`{"a":[{"numeric":[">",5,"<",1]}]}`, "Bottom must be less than top"},
		{`{"a":[{"numeric":["=",6e9]}]}`, "between -5.0e9 and +5.0e9"},
		{`{"a":[{"wildcard":"a**b"}]}`, "Consecutive wildcard"},
		{`{"a":[{"wildcard":"a\\b"}]}`, "Invalid escape"},
		{`{"a":[{"wildcard":"a\\"}]}`, "Invalid escape"},
		{`{"$or":{"a":[1]}}`, "must be an Array"},
		{`{"$or":[{"a":[1]}]}`, "at least 2 Objects"},
		{`{"$or":[{"a":[1]},2]}`, "Only JSON object"},
		{`{"$or":[{"numeric":[1]},{"prefix":["a"]}]}`, "reserved fieldName"},
		{`{"a":[1],"a":[2]}`, "cannot be allowed multiple times"},
		{`{"$or":[` + strings.Repeat(`{"a":[1]},`, 40) + `{"a":[1]}],"x":{"$or":[` + strings.Repeat(`{"a":[1]},`, 40) + `{"a":[1]}]}}`, "more than 1000"},
	} {
		if _, err := Compile([]byte(c.pattern)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("Compile(%.80s) = %v; want a reason with %q", c.pattern, err, c.reason)
		}
	}
}

func TestMatchRefusesWhatIsNoObject(t *testing.T) {
	p, err := Compile([]byte(`{"a":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{``, `[]`, `null`, `"x"`, `{"a":1} {}`, `{`} {
		if _, err := p.Match([]byte(e)); err == nil {
			t.Errorf("Match(%q) gave no error", e)
		}
	}
}

// TestProperties draws events and patterns derived from them: the pattern of an event's own values matches it, and with
// one value replaced by something that is nowhere in the event it does not.
func TestProperties(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		event := randomObject(r, 3)
		good := own(r, event)
		if len(good) == 0 {
			continue
		}
		eb, _ := json.Marshal(event)
		check := func(p any, want bool) {
			pb, _ := json.Marshal(p)
			c, err := Compile(pb)
			if err != nil {
				t.Fatalf("seed %d: Compile(%s): %v", seed, pb, err)
			}
			if got, err := c.Match(eb); err != nil || got != want {
				t.Fatalf("seed %d: %s on %s = %v, %v; want %v", seed, pb, eb, got, err, want)
			}
		}
		check(good, true)
		never := map[string]any{"zz": []any{"never"}}
		check(map[string]any{"$or": []any{never, good}}, true)
		good["zz"] = []any{"never"}
		check(good, false)
	}
}

func randomObject(r *rand.Rand, depth int) map[string]any {
	o := map[string]any{}
	for range 1 + r.IntN(4) {
		o[string(rune('a'+r.IntN(6)))] = randomValue(r, depth)
	}
	return o
}

func randomValue(r *rand.Rand, depth int) any {
	switch n := r.IntN(8); {
	case n == 0 && depth > 0:
		return randomObject(r, depth-1)
	case n == 1 && depth > 0:
		var l []any
		for range 1 + r.IntN(3) {
			l = append(l, randomValue(r, depth-1))
		}
		return l
	case n == 2:
		return nil
	case n == 3:
		return r.IntN(2) == 0
	case n == 4:
		return r.IntN(1000)
	}
	return fmt.Sprint("s", r.IntN(1000))
}

// own makes a pattern that the object itself satisfies, choosing one element of every array.
func own(r *rand.Rand, o map[string]any) map[string]any {
	p := map[string]any{}
	for k, v := range o {
		for {
			l, ok := v.([]any)
			if !ok {
				break
			}
			v = l[r.IntN(len(l))]
		}
		if m, ok := v.(map[string]any); ok {
			if inner := own(r, m); len(inner) > 0 {
				p[k] = inner
			}
			continue
		}
		p[k] = []any{v}
		if s, ok := v.(string); ok {
			p[k] = []any{[]any{s, map[string]any{"prefix": s[:2]}, map[string]any{"wildcard": "*" + s[1:]}, map[string]any{"anything-but": "never"}}[r.IntN(4)]}
		}
	}
	return p
}

// FuzzCompileMatch: no input panics, and what compiles can be matched against any JSON object.
func FuzzCompileMatch(f *testing.F) {
	for _, c := range matchTable {
		f.Add(c.pattern, c.event)
	}
	f.Fuzz(func(t *testing.T, pattern, event string) {
		p, err := Compile([]byte(pattern))
		if err != nil {
			return
		}
		var o map[string]any
		_, err = p.Match([]byte(event))
		if json.Unmarshal([]byte(event), &o) == nil && o != nil && err != nil {
			t.Errorf("Match(%q): %v", event, err)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	p, err := Compile([]byte(`{"source":["aws.ec2"],"detail-type":["EC2 Spot Instance Interruption Warning"],"detail":{"instance-action":[{"anything-but":"stop"}]}}`))
	if err != nil {
		b.Fatal(err)
	}
	e := []byte(`{"version":"0","id":"12345678-1234-1234-1234-123456789012","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"123456789012","time":"2026-01-01T00:00:00Z","region":"us-east-2","resources":["arn:aws:ec2:us-east-2a:instance/i-1234567890abcdef0"],"detail":{"instance-id":"i-1234567890abcdef0","instance-action":"terminate"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if ok, _ := p.Match(e); !ok {
			b.Fatal("no match")
		}
	}
}
