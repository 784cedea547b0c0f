package lambda

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type nameIn struct {
	FunctionName string `json:"-" path:"name"`
	Qualifier    string `json:"-" param:"Qualifier"`
}

// API returns Lambda's operations.
func (s *Service) API() *wire.Service {
	on := func(action string) func(*wire.Call, *nameIn) []wire.Need {
		return func(_ *wire.Call, in *nameIn) []wire.Need { return s.need(action, in.FunctionName) }
	}
	const functions, one = "/2015-03-31/functions", "/2015-03-31/functions/{name}"
	const mappings = "/2015-03-31/event-source-mappings"
	return &wire.Service{Name: "lambda", Protocol: wire.RESTJSON, Ops: []wire.Op{
		wire.Handle("Invoke", func(_ *wire.Call, in *invokeIn) []wire.Need { return s.need("InvokeFunction", in.FunctionName) }, s.apiInvoke).REST("POST", one+"/invocations"),
		wire.Handle("GetFunction", on("GetFunction"), s.getFunction).REST("GET", one),
		wire.Handle("GetFunctionConfiguration", on("GetFunctionConfiguration"), s.getConfiguration).REST("GET", one+"/configuration"),
		wire.Handle("ListFunctions", wire.On[listIn]("lambda:ListFunctions", "*"), s.listFunctions).REST("GET", functions),
		wire.Handle("UpdateFunctionConfiguration", func(_ *wire.Call, in *updateIn) []wire.Need {
			return s.need("UpdateFunctionConfiguration", in.FunctionName)
		},
			s.updateConfiguration).REST("PUT", one+"/configuration"),
		wire.Handle("GetFunctionConcurrency", on("GetFunctionConcurrency"), s.getConcurrency).REST("GET", "/2019-09-30/functions/{name}/concurrency"),
		wire.Handle("PutFunctionConcurrency", func(_ *wire.Call, in *concurrencyIn) []wire.Need {
			return s.need("PutFunctionConcurrency", in.FunctionName)
		},
			s.putConcurrency).REST("PUT", "/2017-10-31/functions/{name}/concurrency"),
		wire.Handle("ListEventSourceMappings", wire.On[listMappingsIn]("lambda:ListEventSourceMappings", "*"), s.listMappings).REST("GET", mappings),
		wire.Handle("GetEventSourceMapping", func(_ *wire.Call, in *mappingIn) []wire.Need { return s.needMapping("GetEventSourceMapping", in.UUID) },
			s.getMapping).REST("GET", mappings+"/{uuid}"),
		wire.Handle("UpdateEventSourceMapping", func(_ *wire.Call, in *updateMappingIn) []wire.Need {
			return s.needMapping("UpdateEventSourceMapping", in.UUID)
		},
			s.updateMapping).REST("PUT", mappings+"/{uuid}"),
	}}
}

func (s *Service) need(action, function string) []wire.Need {
	return []wire.Need{{Action: "lambda:" + action, Resource: s.ARN(functionName(function))}}
}

func (s *Service) needMapping(action, id string) []wire.Need {
	return []wire.Need{{Action: "lambda:" + action, Resource: s.w.ARN("lambda", "event-source-mapping:"+id)}}
}

type invokeIn struct {
	FunctionName   string `path:"name"`
	Qualifier      string `param:"Qualifier"`
	InvocationType string `header:"X-Amz-Invocation-Type"`
	LogType        string `header:"X-Amz-Log-Type"`
	ClientContext  string `header:"X-Amz-Client-Context"`
	Payload        []byte `body:"raw"`
}

type invokeOut struct {
	status int
	header http.Header
	body   []byte
}

// Raw makes the function's answer the response's body.
func (o *invokeOut) Raw() (int, http.Header, []byte) { return o.status, o.header, o.body }

func (s *Service) apiInvoke(_ context.Context, call *wire.Call, in *invokeIn) (*invokeOut, error) {
	if err := latest(in.Qualifier, in.FunctionName, s); err != nil {
		return nil, err
	}
	if len(in.Payload) > 0 && !json.Valid(in.Payload) {
		return nil, wire.Errf("InvalidRequestContentException", "Could not parse request body into json: the payload is not valid JSON")
	}
	if len(in.Payload) == 0 {
		in.Payload = []byte("{}")
	}
	out := &invokeOut{header: http.Header{}}
	switch cmp.Or(in.InvocationType, "RequestResponse") {
	case "DryRun":
		out.status = http.StatusNoContent
		_, err := s.find(in.FunctionName)
		return out, err
	case "Event":
		out.status = http.StatusAccepted
		_, err := s.invokeAsync(in.FunctionName, call.RequestID, in.Payload)
		return out, err
	case "RequestResponse":
	default:
		return nil, invalid("%q is not an invocation type", in.InvocationType)
	}
	clientContext, err := base64.StdEncoding.DecodeString(in.ClientContext)
	if err != nil {
		return nil, wire.Errf("InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object.")
	}
	r, err := s.invoke(in.FunctionName, call.RequestID, string(clientContext), in.Payload)
	if err != nil {
		return nil, err
	}
	out.status, out.body = http.StatusOK, r.Payload
	out.header.Set("Content-Type", "application/json")
	out.header.Set("X-Amz-Executed-Version", "$LATEST")
	if r.FunctionError != "" {
		out.header.Set("X-Amz-Function-Error", r.FunctionError)
	}
	if in.LogType == "Tail" {
		out.header.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(r.LogTail))
	}
	return out, nil
}

func latest(qualifier, name string, s *Service) error {
	if qualifier == "" || qualifier == "$LATEST" {
		return nil
	}
	return wire.Errf("ResourceNotFoundException", "Function not found: %s:%s", s.ARN(functionName(name)), qualifier).WithStatus(http.StatusNotFound)
}

type variables struct {
	Variables map[string]string
}

type configuration struct {
	FunctionName, FunctionArn, Runtime, Role, Handler, Description, Version string
	LastModified, State, LastUpdateStatus, PackageType, RevisionId          string
	CodeSha256                                                              string
	CodeSize                                                                int64
	Timeout, MemorySize                                                     int
	Architectures                                                           []string
	Environment                                                             *variables
	LoggingConfig                                                           map[string]string
	TracingConfig                                                           map[string]string
	DeadLetterConfig                                                        map[string]string `json:",omitempty"`
}

// describe needs the lock.
func (s *Service) describe(f *function) configuration {
	c := f.config
	o := configuration{
		FunctionName: c.Name, FunctionArn: s.ARN(c.Name), Runtime: c.Runtime, Role: c.Role, Handler: c.Handler, Description: c.Description,
		Version: "$LATEST", LastModified: f.modified.UTC().Format("2006-01-02T15:04:05.000-0700"), State: "Active", LastUpdateStatus: "Successful",
		PackageType: "Zip", RevisionId: itoa(f.generation), Timeout: int(c.Timeout.Seconds()), MemorySize: c.MemoryMB,
		Architectures: c.Architectures, LoggingConfig: map[string]string{"LogFormat": "Text", "LogGroup": c.logGroup()},
		TracingConfig: map[string]string{"Mode": cmp.Or(c.TracingMode, "PassThrough")},
	}
	if len(o.Architectures) == 0 {
		o.Architectures = []string{"x86_64"}
	}
	if c.LogJSON {
		o.LoggingConfig["LogFormat"] = "JSON"
		o.LoggingConfig["ApplicationLogLevel"] = cmp.Or(c.ApplicationLogLevel, "INFO")
		o.LoggingConfig["SystemLogLevel"] = cmp.Or(c.SystemLogLevel, "INFO")
	}
	if len(c.Environment) > 0 {
		o.Environment = &variables{c.Environment}
	}
	if c.DeadLetterARN != "" {
		o.DeadLetterConfig = map[string]string{"TargetArn": c.DeadLetterARN}
	}
	return o
}

type functionOut struct {
	Configuration configuration
	Code          map[string]string
	Tags          map[string]string `json:",omitempty"`
	Concurrency   *concurrencyOut   `json:",omitempty"`
}

type concurrencyOut struct {
	ReservedConcurrentExecutions *int `json:",omitempty"`
}

func (s *Service) getFunction(_ context.Context, _ *wire.Call, in *nameIn) (*functionOut, error) {
	f, err := s.find(in.FunctionName)
	if err == nil {
		err = latest(in.Qualifier, in.FunctionName, s)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &functionOut{Configuration: s.describe(f), Code: map[string]string{"RepositoryType": "S3"}, Tags: f.config.Tags}
	if f.config.Reserved != nil {
		o.Concurrency = &concurrencyOut{f.config.Reserved}
	}
	return o, nil
}

func (s *Service) getConfiguration(_ context.Context, _ *wire.Call, in *nameIn) (*configuration, error) {
	f, err := s.find(in.FunctionName)
	if err == nil {
		err = latest(in.Qualifier, in.FunctionName, s)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.describe(f)
	return &o, nil
}

type listIn struct {
	Marker   string `json:"-" param:"Marker"`
	MaxItems int    `json:"-" param:"MaxItems"`
}

type listOut struct {
	Functions  []configuration
	NextMarker string `json:",omitempty"`
}

func (s *Service) listFunctions(_ context.Context, _ *wire.Call, in *listIn) (*listOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &listOut{Functions: []configuration{}}
	limit := in.MaxItems
	if limit <= 0 || limit > 50 {
		limit = 50
	}
	for _, name := range slices.Sorted(maps.Keys(s.functions)) {
		if name <= in.Marker {
			continue
		}
		if len(out.Functions) == limit {
			out.NextMarker = out.Functions[limit-1].FunctionName
			break
		}
		out.Functions = append(out.Functions, s.describe(s.functions[name]))
	}
	return out, nil
}

type updateIn struct {
	FunctionName string `json:"-" path:"name"`
	Environment  *variables
	Timeout      *int
	MemorySize   *int
	Description  *string
	// What the embedded cloud cannot change must not be dropped in silence.
	Role, Handler, Runtime                                                           *string
	Layers, VpcConfig, DeadLetterConfig, LoggingConfig, FileSystemConfigs, SnapStart json.RawMessage
}

func (s *Service) updateConfiguration(_ context.Context, _ *wire.Call, in *updateIn) (*configuration, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.Role != nil || in.Handler != nil || in.Runtime != nil || in.Layers != nil || in.VpcConfig != nil || in.DeadLetterConfig != nil ||
		in.LoggingConfig != nil || in.FileSystemConfigs != nil || in.SnapStart != nil {
		return nil, wire.Errf("NotImplemented", "the embedded cloud updates Environment, Timeout, MemorySize and Description only").WithStatus(http.StatusNotImplemented)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := f.config
	if in.Environment != nil {
		c.Environment = in.Environment.Variables
	}
	if in.Timeout != nil {
		c.Timeout = time.Duration(*in.Timeout) * time.Second
	}
	c.MemoryMB = *cmp.Or(in.MemorySize, &c.MemoryMB)
	c.Description = *cmp.Or(in.Description, &c.Description)
	if err := c.validate(); err != nil {
		return nil, err
	}
	f.config, f.modified = c, time.Now()
	f.generation++
	for _, e := range f.idle { // the next invocation is a cold start, as on AWS
		e.kill()
	}
	f.idle = nil
	o := s.describe(f)
	return &o, nil
}

type concurrencyIn struct {
	FunctionName                 string `json:"-" path:"name"`
	ReservedConcurrentExecutions *int
}

func (s *Service) getConcurrency(_ context.Context, _ *wire.Call, in *nameIn) (*concurrencyOut, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &concurrencyOut{f.config.Reserved}, nil
}

func (s *Service) putConcurrency(_ context.Context, _ *wire.Call, in *concurrencyIn) (*concurrencyOut, error) {
	f, err := s.find(in.FunctionName)
	if err != nil {
		return nil, err
	}
	if in.ReservedConcurrentExecutions == nil {
		return nil, invalid("ReservedConcurrentExecutions is required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkReserved(f, *in.ReservedConcurrentExecutions); err != nil {
		return nil, err
	}
	if f.config.Reserved == nil { // what runs now moves to the reservation's account
		s.busy -= f.busy
	}
	f.config.Reserved = in.ReservedConcurrentExecutions
	return &concurrencyOut{f.config.Reserved}, nil
}
