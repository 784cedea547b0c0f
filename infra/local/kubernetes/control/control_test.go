package control

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local/kubernetes/kubelet"
	"github.com/ekspedite/ekspedite/infra/local/kubernetes/plane"
)

// recorder notes the calls and knows one machine, "one".
type recorder struct{ calls []string }

func (r *recorder) Put(m kubelet.Machine) error {
	r.calls = append(r.calls, fmt.Sprintf("put %s %s %d", m.Name, m.Taints[0].Effect, m.RegisterDelayMillis))
	if m.InternalIP == "" {
		return errors.New("internalIP is missing")
	}
	return nil
}

func (r *recorder) Delete(_ context.Context, name string) error {
	r.calls = append(r.calls, "delete "+name)
	return nil
}

func (r *recorder) Stop(name string) error  { return r.known("stop", name) }
func (r *recorder) Start(name string) error { return r.known("start", name) }

func (r *recorder) known(verb, name string) error {
	r.calls = append(r.calls, verb+" "+name)
	if name != "one" {
		return fmt.Errorf("%w: %s", kubelet.ErrUnknown, name)
	}
	return nil
}

func (r *recorder) List() []kubelet.Status {
	return []kubelet.Status{{Name: "one", ProviderID: "aws:///a/i-1", State: kubelet.Running}}
}

func TestHandler(t *testing.T) {
	const taints = `"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]`
	for _, test := range []struct {
		method, path, body string
		code               int
		answer, call       string
	}{
		{"GET", "/healthz", "", 200, `"ok"`, ""},
		{"GET", "/nodes", "", 200, `{"nodes":[{"name":"one","providerID":"aws:///a/i-1","state":"running"}]}`, ""},
		{"PUT", "/nodes/ip-1.ec2.internal", `{"registerDelayMillis":5,"internalIP":"1.2.3.4",` + taints + `}`, 202, "{}", "put ip-1.ec2.internal NoSchedule 5"},
		{"PUT", "/nodes/a", `{` + taints + `}`, 400, "internalIP is missing", "put a NoSchedule 0"},
		{"PUT", "/nodes/a", `{"name":"b"}`, 400, `about node \"b\"`, ""},
		{"PUT", "/nodes/a", `{"label":{}}`, 400, `unknown field \"label\"`, ""},
		{"PUT", "/nodes/a", `{`, 400, "body", ""},
		{"POST", "/deprecated", "", 200, `{"calls":[{"group":"g",`, ""},
		{"GET", "/deprecated", "", 404, "no such operation", ""},
		{"DELETE", "/nodes/a", "", 200, "{}", "delete a"},
		{"POST", "/nodes/one/stop", "", 200, "{}", "stop one"},
		{"POST", "/nodes/one/start", "", 200, "{}", "start one"},
		{"POST", "/nodes/two/stop", "", 404, "no such machine: two", "stop two"},
		{"POST", "/nodes/one/explode", "", 404, "no such operation", ""},
	} {
		t.Run(test.method+" "+test.path+" "+test.body, func(t *testing.T) {
			machines := &recorder{}
			w := httptest.NewRecorder()
			Handler(machines, func() []plane.DeprecatedCall { return []plane.DeprecatedCall{{Group: "g", Count: 2}} }).ServeHTTP(w, httptest.NewRequest(test.method, test.path, strings.NewReader(test.body)))
			if w.Code != test.code || !strings.Contains(w.Body.String(), test.answer) {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, test.code, test.answer)
			}
			if got := strings.Join(machines.calls, "; "); got != test.call {
				t.Errorf("calls %q, want %q", got, test.call)
			}
		})
	}
}
