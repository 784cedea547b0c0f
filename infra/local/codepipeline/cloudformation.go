package codepipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/stack"
)

// Providers returns the CloudFormation types of CodePipeline.
func (s *Service) Providers() stack.Providers {
	return stack.Providers{"AWS::CodePipeline::Pipeline": s.providePipeline}
}

type cfnAction struct {
	Name                            string
	ActionTypeId                    actionTypeProperties //nolint:revive // CloudFormation's name
	Configuration                   map[string]any
	InputArtifacts, OutputArtifacts []struct{ Name string }
	RunOrder                        int
	Namespace, Region, RoleArn      string
	TimeoutInMinutes                *int
}

type actionTypeProperties struct{ Category, Owner, Provider, Version string }

func (s *Service) providePipeline(id string, raw json.RawMessage) (stack.Created, error) {
	const kind = "AWS::CodePipeline::Pipeline"
	var p struct {
		Name, RoleArn, PipelineType, ExecutionMode string
		ArtifactStore                              *struct{ Type, Location string }
		Stages                                     []struct {
			Name    string
			Actions []cfnAction
		}
		Variables                      []struct{ Name, DefaultValue, Description string }
		Tags                           []struct{ Key, Value string }
		DisableInboundStageTransitions []struct{ StageName, Reason string }
		RestartExecutionOnUpdate       bool
	}
	if err := stack.Decode(raw, &p); err != nil {
		return stack.Created{}, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	if p.Name == "" {
		p.Name = id[:min(len(id), 80)] + "-" + s.w.Hex(12)
	}
	d := declaration{Name: p.Name, RoleArn: p.RoleArn, PipelineType: p.PipelineType, ExecutionMode: p.ExecutionMode}
	if p.ArtifactStore != nil {
		d.ArtifactStore = &artifactStore{Type: p.ArtifactStore.Type, Location: p.ArtifactStore.Location}
	}
	for _, v := range p.Variables {
		d.Variables = append(d.Variables, variableDecl{v.Name, v.DefaultValue, v.Description})
	}
	for _, st := range p.Stages {
		to := stageDecl{Name: st.Name}
		for _, a := range st.Actions {
			to.Actions = append(to.Actions, a.declare())
		}
		d.Stages = append(d.Stages, to)
	}
	in := &setIn{Pipeline: d}
	for _, t := range p.Tags {
		in.Tags = append(in.Tags, tag{t.Key, t.Value})
	}
	// CloudFormation makes the pipeline first, and closes its ways then; here nothing is to slip through.
	closed := map[string]string{}
	for _, t := range p.DisableInboundStageTransitions {
		if !slices.ContainsFunc(d.Stages, func(st stageDecl) bool { return st.Name == t.StageName }) {
			return stack.Created{}, fmt.Errorf("%s %s: DisableInboundStageTransitions names stage %q, which the pipeline has not", kind, id, t.StageName)
		}
		closed[t.StageName] = t.Reason
	}
	out, err := s.create(in, closed)
	if err != nil {
		return stack.Created{}, fmt.Errorf("%s %s: %w", kind, id, err)
	}
	return stack.Created{Ref: p.Name, Attributes: map[string]string{"Version": strconv.Itoa(out.Pipeline.Version)}}, nil
}

func (a cfnAction) declare() actionDecl {
	d := actionDecl{
		Name: a.Name, ActionTypeID: actionType(a.ActionTypeId), RunOrder: a.RunOrder, Namespace: a.Namespace, Region: a.Region, RoleArn: a.RoleArn,
		TimeoutInMinutes: a.TimeoutInMinutes, Configuration: map[string]string{},
	}
	for k, v := range a.Configuration {
		d.Configuration[k] = fmt.Sprint(v) // CloudFormation takes false for "false"
	}
	for _, n := range a.InputArtifacts {
		d.InputArtifacts = append(d.InputArtifacts, named{Name: n.Name})
	}
	for _, n := range a.OutputArtifacts {
		d.OutputArtifacts = append(d.OutputArtifacts, named{Name: n.Name})
	}
	return d
}
