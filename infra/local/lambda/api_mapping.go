package lambda

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type mappingIn struct {
	UUID string `json:"-" path:"uuid"`
}

type mappingOut struct {
	UUID, EventSourceArn, FunctionArn, EventSourceMappingArn, State, StateTransitionReason, LastProcessingResult string
	BatchSize, MaximumBatchingWindowInSeconds                                                                    int
	LastModified                                                                                                 *wire.Time
	FunctionResponseTypes                                                                                        []string
	ScalingConfig                                                                                                map[string]int `json:",omitempty"`
}

func (m *mapping) describe() mappingOut {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := mappingOut{
		UUID: m.id, EventSourceArn: m.queueARN, FunctionArn: m.functionARN, EventSourceMappingArn: m.s.w.ARN("lambda", "event-source-mapping:"+m.id),
		State: "Disabled", StateTransitionReason: "USER_INITIATED", LastProcessingResult: m.result, BatchSize: m.batch,
		MaximumBatchingWindowInSeconds: int(m.window.Seconds()), LastModified: wire.At(m.modified), FunctionResponseTypes: []string{},
	}
	if m.enabled {
		o.State = "Enabled"
	}
	if m.partial {
		o.FunctionResponseTypes = append(o.FunctionResponseTypes, "ReportBatchItemFailures")
	}
	if m.most > 0 {
		o.ScalingConfig = map[string]int{"MaximumConcurrency": m.most}
	}
	return o
}

func (s *Service) mapping(id string) (*mapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.mappings {
		if m.id == id {
			return m, nil
		}
	}
	return nil, wire.Errf("ResourceNotFoundException", "The resource you requested does not exist.").WithStatus(http.StatusNotFound)
}

func (s *Service) getMapping(_ context.Context, _ *wire.Call, in *mappingIn) (*mappingOut, error) {
	m, err := s.mapping(in.UUID)
	if err != nil {
		return nil, err
	}
	o := m.describe()
	return &o, nil
}

type listMappingsIn struct {
	EventSourceArn string `json:"-" param:"EventSourceArn"`
	FunctionName   string `json:"-" param:"FunctionName"`
	Marker         string `json:"-" param:"Marker"`
	MaxItems       int    `json:"-" param:"MaxItems"`
}

type listMappingsOut struct {
	EventSourceMappings []mappingOut
	NextMarker          string `json:",omitempty"`
}

func (s *Service) listMappings(_ context.Context, _ *wire.Call, in *listMappingsIn) (*listMappingsOut, error) {
	s.mu.Lock()
	all := append([]*mapping(nil), s.mappings...)
	s.mu.Unlock()
	start := 0
	if in.Marker != "" {
		var err error
		if start, err = strconv.Atoi(in.Marker); err != nil || start < 0 || start > len(all) {
			return nil, invalid("The marker %q is not valid", in.Marker)
		}
	}
	limit := in.MaxItems
	if limit <= 0 || limit > 100 {
		limit = 100
	}
	out := &listMappingsOut{EventSourceMappings: []mappingOut{}}
	for i, m := range all[start:] {
		if in.EventSourceArn != "" && m.queueARN != in.EventSourceArn || in.FunctionName != "" && m.functionARN != s.ARN(functionName(in.FunctionName)) {
			continue
		}
		if len(out.EventSourceMappings) == limit {
			out.NextMarker = strconv.Itoa(start + i)
			break
		}
		out.EventSourceMappings = append(out.EventSourceMappings, m.describe())
	}
	return out, nil
}

type updateMappingIn struct {
	UUID    string `json:"-" path:"uuid"`
	Enabled *bool
	// Anything else is not implemented.
	BatchSize, MaximumBatchingWindowInSeconds              *int
	FunctionName                                           *string
	FunctionResponseTypes                                  []string
	ScalingConfig, FilterCriteria, ProvisionedPollerConfig *struct{}
}

func (s *Service) updateMapping(_ context.Context, _ *wire.Call, in *updateMappingIn) (*mappingOut, error) {
	m, err := s.mapping(in.UUID)
	if err != nil {
		return nil, err
	}
	if in.BatchSize != nil || in.MaximumBatchingWindowInSeconds != nil || in.FunctionName != nil || in.FunctionResponseTypes != nil ||
		in.ScalingConfig != nil || in.FilterCriteria != nil || in.ProvisionedPollerConfig != nil {
		return nil, wire.Errf("NotImplemented", "the embedded cloud updates Enabled of an event source mapping only").WithStatus(http.StatusNotImplemented)
	}
	if in.Enabled != nil {
		if *in.Enabled {
			m.enable()
		} else {
			m.disable()
		}
		m.mu.Lock()
		m.modified = time.Now()
		m.mu.Unlock()
	}
	o := m.describe()
	return &o, nil
}
