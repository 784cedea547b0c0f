package wire

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// anyone is an account in which everybody may do what is asked in eu-west-1.
type anyone struct{ asked []Need }

func (*anyone) Lookup(id string) (secret, token string, who Principal, ok bool) {
	return "secret", "", Principal{ARN: "arn:aws:iam::123456789012:user/" + id}, true
}

func (a *anyone) Authorize(_ Principal, n Need) error {
	a.asked = append(a.asked, n)
	return nil
}

// whereabouts is a service that says which Region it was made for and in which it was called.
func whereabouts(name, made string, global bool) *Service {
	type out struct{ Made, Called string }
	return &Service{Name: name, Protocol: JSON11, Global: global, Ops: []Op{
		Handle("Where", On[struct{}](name+":Where", "*"), func(_ context.Context, c *Call, _ *struct{}) (*out, error) { return &out{made, c.Region}, nil }),
	}}
}

func signed(region, service string, presigned bool) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:1/", strings.NewReader("{}"))
	r.Header.Set("X-Amz-Target", "T.Where")
	now := time.Now().UTC().Truncate(time.Second)
	s := &Signature{AccessKeyID: "AKIA", Date: now.Format("20060102"), Region: region, Service: service, Time: now, headers: []string{"host"}, presigned: presigned}
	credential := strings.Join([]string{s.AccessKeyID, s.Date, region, service, "aws4_request"}, "/")
	if presigned {
		q := url.Values{"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Credential": {credential}, "X-Amz-Date": {now.Format(amzTime)}, "X-Amz-SignedHeaders": {"host"}}
		r.URL.RawQuery = q.Encode()
		q.Set("X-Amz-Signature", s.sign("secret", s.canonical(r, []byte("{}"))))
		r.URL.RawQuery = q.Encode()
		return r
	}
	r.Header.Set("X-Amz-Date", now.Format(amzTime))
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+credential+", SignedHeaders=host, Signature="+s.sign("secret", s.canonical(r, []byte("{}"))))
	return r
}

func TestCallsGoToTheRegionOfTheirSignature(t *testing.T) {
	policy := &anyone{}
	var made []string
	var records []Record
	g := &Gateway{
		Region: "us-east-1", Credentials: policy, Authorizer: policy, Log: slog.New(slog.DiscardHandler), NewID: func() string { return "id" },
		After: func(r Record) { records = append(records, r) },
		Elsewhere: func(region string) ([]*Service, error) {
			if region != "eu-west-1" {
				return nil, Errf("Unknown", "AWS has no Region %q", region)
			}
			made = append(made, region)
			return []*Service{whereabouts("near", region, false), whereabouts("all", "all", true)}, nil
		},
	}
	g.Register(whereabouts("near", "us-east-1", false), whereabouts("all", "all", true))
	for _, c := range []struct{ region, service, want, policy string }{
		{"us-east-1", "near", `{"Made":"us-east-1","Called":"us-east-1"}`, "us-east-1"},
		{"eu-west-1", "near", `{"Made":"eu-west-1","Called":"eu-west-1"}`, "eu-west-1"},
		{"eu-west-1", "all", `{"Made":"all","Called":"us-east-1"}`, "us-east-1"},
		{"eu-west-1", "other", `does not implement other:Where`, ""},
		{"eu-west-9", "near", `UnrecognizedClientException`, ""},
		{"eu-west-9", "other", `AWS has no Region \"eu-west-9\"`, ""},
	} {
		for _, presigned := range []bool{false, true} {
			policy.asked, records = nil, nil
			w := httptest.NewRecorder()
			g.ServeHTTP(w, signed(c.region, c.service, presigned))
			if got := w.Body.String(); !strings.Contains(got, c.want) {
				t.Errorf("%+v: %d %s", c, w.Code, got)
			}
			if c.policy == "" {
				if w.Code == http.StatusOK || len(policy.asked) != 0 {
					t.Errorf("%+v: %d after %+v", c, w.Code, policy.asked)
				}
				continue
			}
			if len(policy.asked) != 1 || policy.asked[0].Context["aws:RequestedRegion"][0] != c.policy {
				t.Errorf("%+v: %+v", c, policy.asked)
			}
			if len(records) != 1 || records[0].Region != c.policy {
				t.Errorf("%+v: records %+v", c, records)
			}
		}
	}
	if len(made) != 1 {
		t.Errorf("the services were made %d times", len(made))
	}
}

func TestNeedInLeavesTheNeedAlone(t *testing.T) {
	n := Need{Action: "ec2:RunInstances", Context: map[string][]string{"ec2:Region": {"eu-west-1"}}}
	if in := n.In("eu-west-1"); len(in.Context) != 2 || len(n.Context) != 1 {
		t.Errorf("%v of %v", in.Context, n.Context)
	}
}
