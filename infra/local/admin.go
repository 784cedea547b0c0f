package local

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/iam"
	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// adminPrefix is where the embedded cloud's own API is, which AWS does not have.
const adminPrefix = "/_ekspedite"

// admin is the API with which to watch and poke the cloud. It asks for no signature, so it must be out of reach of web
// pages: see guard. What it shows is of all Regions, but for functions, metrics and alarms: these are the home Region's.
func (c *Cloud) admin() http.Handler {
	mux := http.NewServeMux()
	handle := func(method, path string, h http.HandlerFunc) { mux.HandleFunc(method+" "+adminPrefix+path, h) }
	get := func(path string, f func() any) {
		handle("GET", path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, f()) })
	}
	get("/health", func() any { return c.health() })
	handle("GET", "/calls", c.calls.serve)
	handle("GET", "/events", c.events.serve)
	get("/faults", func() any { return c.Faults.Config() })
	handle("PUT", "/faults", c.putFaults)
	get("/grants", func() any { return c.grants() })
	get("/lambda", func() any { return c.Lambda.Stats() })
	get("/metrics", func() any { return c.metrics() })
	get("/alarms", func() any { return c.Logs.Alarms() })
	get("/stack", func() any { return c.resources() })
	get("/clusters", func() any { return c.Clusters() })
	handle("POST", "/tokenreview/{region}/{cluster}", c.tokenReview)
	handle("POST", "/interrupt", post(func(in struct{ InstanceID, Action string }) error {
		return c.machines(in.InstanceID).Interrupt(in.InstanceID, in.Action)
	}))
	handle("POST", "/events", post(c.emit))
	handle("POST", "/rebalance", post(func(in struct{ InstanceID string }) error {
		return c.machines(in.InstanceID).Recommend(in.InstanceID)
	}))
	handle("POST", "/capacity", post(func(in struct {
		InstanceType, AZ, Market string
		Available                bool
		Limit                    *int // instances at once; instead of Available
	}) error {
		machines, err := c.machinesIn(in.AZ)
		switch {
		case err != nil:
			return err
		case in.Limit != nil:
			machines.LimitCapacity(in.InstanceType, in.AZ, in.Market, *in.Limit)
		default:
			machines.SetCapacity(in.InstanceType, in.AZ, in.Market, in.Available)
		}
		return nil
	}))
	c.upgradeAdmin(handle)
	c.signalAdmin(handle)
	return guard(mux)
}

// emitted is an event in EventBridge's envelope; what the cloud itself decides (id, time, account, Region) is ignored.
type emitted struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"`
	Time       string          `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// emit puts an event on the default bus as if an AWS service had sent it, which PutEvents refuses to customers.
func (c *Cloud) emit(in emitted) error {
	if in.Source == "" || in.DetailType == "" || len(in.Detail) == 0 {
		return wire.Errf("ValidationException", "source, detail-type and detail are required")
	}
	c.EventBridge.Emit(in.Source, in.DetailType, in.Resources, in.Detail)
	return nil
}

// guard lets only programs of this machine through. A web page in the developer's browser can send requests to loopback
// addresses too: its browser then says where the page is from (Origin), or, when a name was pointed at 127.0.0.1 after the
// page was loaded (DNS rebinding), shows that name as the Host.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" || !isLoopback(strings.Trim(host, "[]")) {
			writeJSON(w, http.StatusForbidden, problem{"this API is for programs on this machine, not for web pages"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

type problem struct {
	Message string `json:"message"`
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller went away: its loss
}

// post makes a handler that decodes its body, does something and says whether it worked.
func post[In any](do func(In) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if !decode(w, r, &in) {
			return
		}
		if err := do(in); err != nil {
			status := http.StatusBadRequest
			var e *wire.Error
			if errors.As(err, &e) && e.Status != 0 {
				status = e.Status
			}
			writeJSON(w, status, problem{err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, struct{}{})
	}
}

func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		writeJSON(w, http.StatusBadRequest, problem{err.Error()})
		return false
	}
	return true
}

func (c *Cloud) health() any {
	return struct {
		Status   string  `json:"status"`
		Endpoint string  `json:"endpoint"`
		Account  string  `json:"account"`
		Region   string  `json:"region"`
		Profile  string  `json:"profile"`
		Uptime   float64 `json:"uptimeSeconds"`
	}{"ok", c.endpoint, c.World.Account, c.World.Region, c.World.Profile.Name, time.Since(c.started).Seconds()}
}

// putFaults replaces the rates; those that the body does not name stay.
func (c *Cloud) putFaults(w http.ResponseWriter, r *http.Request) {
	config := c.Faults.Config()
	if !decode(w, r, &config) {
		return
	}
	if err := config.Validate(); err != nil {
		writeJSON(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	c.Faults.Set(config)
	writeJSON(w, http.StatusOK, config)
}

// Grants says what the roles' policies were good for.
type Grants struct {
	All    []iam.Grant  `json:"all"`
	Unused []iam.Grant  `json:"unused"`
	Denied []iam.Denial `json:"denied"`
}

func (c *Cloud) grants() Grants {
	return Grants{All: c.IAM.Report(), Unused: c.IAM.Unused(), Denied: c.IAM.Denied()}
}

func (c *Cloud) metrics() any {
	malformed, problems := c.Logs.Metrics().Malformed()
	return struct {
		Series    any      `json:"series"`
		Malformed int      `json:"malformed"`
		Problems  []string `json:"problems"`
	}{c.Logs.Metrics().All(), malformed, problems}
}

func (c *Cloud) resources() any {
	if c.Stack == nil {
		return struct{}{}
	}
	return struct {
		Resources []stack.Resource  `json:"resources"`
		Outputs   map[string]string `json:"outputs"`
	}{c.Stack.Resources, c.Stack.Outputs}
}

// tokenReview is the webhook by which a cluster's API server asks whose bearer token it was shown.
func (c *Cloud) tokenReview(w http.ResponseWriter, r *http.Request) {
	region, err := c.In(r.PathValue("region"))
	if err != nil {
		writeJSON(w, http.StatusNotFound, problem{err.Error()})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		writeJSON(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(region.EKS.Review(r.PathValue("cluster"), body))
}
