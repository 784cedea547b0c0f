package autoscaling

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// bus records events and queue messages.
type bus struct {
	mu       sync.Mutex
	events   []event
	messages []string
	broken   error // what sending to a queue gives
}

type event struct {
	at         time.Time
	detailType string
	resources  []string
	detail     map[string]any
}

func (b *bus) Emit(_, detailType string, resources []string, detail any) {
	raw, err := json.Marshal(detail)
	if err != nil {
		panic(err)
	}
	e := event{time.Now(), detailType, resources, nil}
	if err := json.Unmarshal(raw, &e.detail); err != nil {
		panic(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

func (b *bus) Send(_, body string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken == nil {
		b.messages = append(b.messages, body)
	}
	return b.broken
}

func (b *bus) of(detailType string) []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.events), func(e event) bool { return e.detailType != detailType })
}

// rig is an Auto Scaling on an EC2 with a subnet in each of three zones, in a synctest bubble.
type rig struct {
	*Service
	t        *testing.T
	bus      *bus
	machines *ec2.Service
	subnets  []string
	template string
}

func inBubble(t *testing.T, seed uint64, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New("123456789012", "us-east-1", world.Fast, seed, slog.New(slog.DiscardHandler))
		defer w.Close()
		b := &bus{}
		machines := ec2.New(w, b, ec2.Options{})
		r := &rig{Service: New(w, machines, b, b), t: t, bus: b, machines: machines}
		vpc := element(call(machines.API(), "CreateVpc", "CidrBlock", "10.0.0.0/16"), "vpcId")
		for i, az := range []string{"a", "b", "c"} {
			r.subnets = append(r.subnets, element(call(machines.API(), "CreateSubnet", "VpcId", vpc, "CidrBlock", fmt.Sprintf("10.0.%d.0/24", i), "AvailabilityZone", "us-east-1"+az), "subnetId"))
		}
		var err error
		if r.template, err = machines.CreateLaunchTemplateFor("web", nil, ec2.LaunchTemplateData{ImageID: "ami-1", InstanceType: "m5.large"}); err != nil {
			t.Fatal(err)
		}
		f(t, r)
	})
}

// root is everybody's credentials.
type root struct{}

func (root) Lookup(string) (string, string, wire.Principal, bool) {
	return "secret", "", wire.Principal{Account: "123456789012", Root: true}, true
}

// call makes an API call, with parameters in pairs, through the gateway and returns the body of the answer.
func call(api *wire.Service, operation string, parameters ...string) string {
	form := url.Values{"Action": {operation}}
	for i := 0; i < len(parameters); i += 2 {
		form.Set(parameters[i], parameters[i+1])
	}
	body := form.Encode()
	r := httptest.NewRequest(http.MethodPost, "http://cloud/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	stamp := time.Now().UTC().Format("20060102T150405Z")
	r.Header.Set("X-Amz-Date", stamp)
	scope := stamp[:8] + "/us-east-1/" + api.Name + "/aws4_request"
	payload := sha256.Sum256([]byte(body))
	canonical := sha256.Sum256(fmt.Appendf(nil, "POST\n/\n\nhost:cloud\nx-amz-date:%s\n\nhost;x-amz-date\n%x", stamp, payload))
	key := []byte("AWS4secret")
	for _, part := range append(strings.Split(scope, "/"), fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", stamp, scope, canonical)) {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIA/%s, SignedHeaders=host;x-amz-date, Signature=%x", scope, key))
	g := &wire.Gateway{Account: "123456789012", Region: "us-east-1", Credentials: root{}, Log: slog.New(slog.DiscardHandler), NewID: func() string { return "id" }}
	g.Register(api)
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w.Body.String()
}

// element returns the text of the first element of a name, or "".
func element(body, name string) string {
	_, rest, _ := strings.Cut(body, "<"+name+">")
	value, _, _ := strings.Cut(rest, "<")
	return value
}

// call makes a call that must succeed.
func (r *rig) call(operation string, parameters ...string) string {
	r.t.Helper()
	body := call(r.API(), operation, parameters...)
	if strings.Contains(body, "<Error>") {
		r.t.Fatalf("%s: %s", operation, body)
	}
	return body
}

// refused makes a call that must fail with the code and a message that contains the text.
func (r *rig) refused(code, text, operation string, parameters ...string) {
	r.t.Helper()
	body := call(r.API(), operation, parameters...)
	if element(body, "Code") != code || !strings.Contains(body, text) {
		r.t.Errorf("%s: want %s %q, got %s", operation, code, text, body)
	}
}

// group makes a group of a number of instances and waits until they are in service.
func (r *rig) group(spec GroupSpec) {
	r.t.Helper()
	if spec.Name == "" {
		spec.Name = "g"
	}
	if spec.SubnetIDs == nil {
		spec.SubnetIDs = r.subnets
	}
	spec.LaunchTemplateID = r.template
	if err := r.CreateGroup(spec); err != nil {
		r.t.Fatal(err)
	}
	r.wait(time.Minute)
}

// wait lets time pass and everything that is due happen.
func (r *rig) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// states counts a group's members by lifecycle state.
func (r *rig) states() map[string]int {
	g, _ := r.Group("g")
	m := map[string]int{}
	for _, i := range g.Instances {
		m[i.LifecycleState]++
	}
	return m
}

func (r *rig) wantStates(want map[string]int) {
	r.t.Helper()
	if got := r.states(); !maps.Equal(got, want) {
		r.t.Errorf("members %v, want %v", got, want)
	}
}

// members lists the ids of the members in a state.
func (r *rig) members(state string) []string {
	g, _ := r.Group("g")
	var ids []string
	for _, i := range g.Instances {
		if i.LifecycleState == state {
			ids = append(ids, i.ID)
		}
	}
	return ids
}
