// Package local is the embedded cloud: all emulated AWS services in one process behind one loopback endpoint, wired
// together by the synthesized CloudFormation templates. Software reaches it by AWS_ENDPOINT_URL and real credentials;
// nothing it is asked for is ever passed on to AWS.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/infra/local/lambda"
	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Options say what cloud to start. The zero value is a working one without templates.
type Options struct {
	Listen string // loopback only; 127.0.0.1:0 when empty
	// InMemory opens no port: calls come by RoundTrip. A test can then run the cloud in a synctest bubble.
	InMemory bool
	Region   string        // the home Region, where templates are loaded; us-east-1 when empty
	Account  string        // 123456789012 when empty
	Profile  world.Profile // world.Fast when empty
	Seed     uint64
	Faults   *faults.Config // faults.Hostile when nil

	// AccessKey and SecretKey of the account's root user; well-known ones when empty.
	AccessKey, SecretKey string

	// TemplateDir holds synthesized templates; Templates are given directly. Both may be empty.
	TemplateDir string
	Templates   []stack.Template
	Parameters  map[string]string // of the templates

	// BinDir holds the functions' executables as <handler>/bootstrap. Empty: functions exist and cannot run.
	BinDir string
	// DataDir holds the clusters' data; a temporary folder when empty. Keep its path short: unix sockets are made in it.
	DataDir string
	// KubernetesBinary returns the path of the control plane's program, building it if need be. Nil: no EKS cluster can
	// become active.
	KubernetesBinary func(context.Context) (string, error)
	// Launcher starts control planes instead of KubernetesBinary's, for tests that need no Kubernetes.
	Launcher eks.Launcher
	// Lambda adjusts the function host; its Endpoint and BinDir are set from here.
	Lambda lambda.Options

	Log *slog.Logger // slog.Default when nil
}

// Cloud is a running embedded cloud. Its own services are the home Region's: see In for others.
type Cloud struct {
	Services
	World  *world.World
	Faults *faults.Injector
	Stack  *stack.Stack // nil without templates

	options              Options
	endpoint             string
	accessKey, secretKey string
	server               *http.Server
	https                *httpsServers // nil in memory
	calls, events        *feed
	temporary            string // folder to remove
	started              time.Time

	mu      sync.Mutex
	regions map[string]*Regional // those in use, by name
	closing bool

	once    sync.Once
	stopped chan struct{}
}

// Start starts a cloud. It ends with Close, or when ctx ends.
func Start(ctx context.Context, o Options) (*Cloud, error) {
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:0")
	if err := loopback(o.Listen); err != nil {
		return nil, err
	}
	o.Region = cmp.Or(o.Region, "us-east-1")
	if _, err := world.FindRegion(o.Region); err != nil {
		return nil, err
	}
	if o.Profile.Name == "" {
		o.Profile = world.Fast
	}
	if o.Faults == nil {
		o.Faults = &faults.Hostile
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := o.Faults.Validate(); err != nil {
		return nil, err
	}
	c := &Cloud{calls: newFeed(), events: newFeed(), stopped: make(chan struct{}), started: time.Now()}
	if o.DataDir == "" {
		dir, err := os.MkdirTemp("", "eksp")
		if err != nil {
			return nil, err
		}
		o.DataDir, c.temporary = dir, dir
	}
	var listener net.Listener
	if c.endpoint = "http://embedded.invalid"; !o.InMemory {
		var err error
		if listener, err = net.Listen("tcp", o.Listen); err != nil {
			return nil, errors.Join(err, c.removeTemporary())
		}
		c.endpoint = "http://" + listener.Addr().String()
		if c.https, err = newHTTPSServers(o.DataDir); err != nil {
			return nil, errors.Join(err, listener.Close(), c.removeTemporary())
		}
	}
	c.options = o
	c.World = world.New(cmp.Or(o.Account, "123456789012"), o.Region, o.Profile, o.Seed, o.Log)
	c.Faults = faults.New(c.World, *o.Faults)
	c.Global = newGlobal(c, o)
	c.Regional = newRegional(c, c.World, o.DataDir)
	c.regions = map[string]*Regional{o.Region: c.Regional}
	c.accessKey, c.secretKey = c.IAM.RootCredentials()

	gateway := &wire.Gateway{
		Account: c.World.Account, Region: c.World.Region, Elsewhere: c.elsewhere, Credentials: c.IAM, Authorizer: c.IAM, Log: o.Log, NewID: c.World.UUID,
		Before: c.Faults.Before, After: func(r wire.Record) { c.calls.add(r) },
	}
	gateway.Register(slices.Concat(c.Global.apis(), c.Regional.apis())...)
	admin := c.admin()
	// No ServeMux: it redirects paths such as those of S3 keys with "//" or "..".
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, adminPrefix+"/") {
			admin.ServeHTTP(w, r)
			return
		}
		gateway.ServeHTTP(w, r)
	})
	c.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if listener != nil {
		go func() { _ = c.server.Serve(listener) }() // ends with Close
	}

	if err := c.load(o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	context.AfterFunc(ctx, func() { _ = c.Close() })
	return c, nil
}

func (c *Cloud) load(o Options) error {
	templates := o.Templates
	if o.TemplateDir != "" {
		more, err := stack.ReadDir(o.TemplateDir)
		if err != nil {
			return err
		}
		templates = append(templates, more...)
	}
	if len(templates) == 0 {
		return nil
	}
	var err error
	c.Stack, err = stack.Load(templates, o.Parameters, c.Services.providers(), stack.Pseudo{Account: c.World.Account, Region: c.World.Region})
	if err != nil {
		return fmt.Errorf("the templates do not load into the embedded cloud:\n%w", err)
	}
	return nil
}

// loopback refuses any address that others could reach: what runs here has no other protection worth the name.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen address %q: %w", address, err)
	}
	if !isLoopback(host) {
		return fmt.Errorf("listen address %q is not on the loopback interface: the embedded cloud serves this machine only", address)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// RoundTrip serves a call in the caller's own goroutine, without the network. It is a http.RoundTripper.
func (c *Cloud) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer in.Body.Close() //nolint:errcheck // it was read
	w := httptest.NewRecorder()
	c.server.Handler.ServeHTTP(w, in)
	return w.Result(), nil
}

// Endpoint is the base URL of all services: AWS_ENDPOINT_URL.
func (c *Cloud) Endpoint() string { return c.endpoint }

// CertificateFile is the certificate, PEM, that function URLs are to be believed by; "" in memory, where nobody serves them.
func (c *Cloud) CertificateFile() string {
	if c.https == nil {
		return ""
	}
	return c.https.file
}

// AccessKey and SecretKey are the root user's credentials.
func (c *Cloud) AccessKey() string { return c.accessKey }

// SecretKey belongs to AccessKey.
func (c *Cloud) SecretKey() string { return c.secretKey }

// Done is closed when the cloud has ended.
func (c *Cloud) Done() <-chan struct{} { return c.stopped }

// Close ends the cloud and all of its processes.
func (c *Cloud) Close() error {
	var err error
	c.once.Do(func() {
		c.end()
		err = c.server.Close()
		if c.https != nil {
			err = errors.Join(err, c.https.close())
		}
		err = errors.Join(err, c.removeTemporary())
		close(c.stopped)
	})
	<-c.stopped
	return err
}

func (c *Cloud) removeTemporary() error {
	if c.temporary == "" {
		return nil
	}
	return os.RemoveAll(c.temporary)
}
