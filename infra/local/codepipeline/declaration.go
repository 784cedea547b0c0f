package codepipeline

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// declaration is what a pipeline shall be. Fields that are refused are raw.
type declaration struct {
	Name           string          `json:"name"`
	RoleArn        string          `json:"roleArn"`
	ArtifactStore  *artifactStore  `json:"artifactStore,omitempty"`
	ArtifactStores json.RawMessage `json:"artifactStores,omitempty"`
	Stages         []stageDecl     `json:"stages"`
	Version        int             `json:"version,omitempty"`
	ExecutionMode  string          `json:"executionMode,omitempty"`
	PipelineType   string          `json:"pipelineType,omitempty"`
	Variables      []variableDecl  `json:"variables,omitempty"`
	Triggers       json.RawMessage `json:"triggers,omitempty"`
}

type artifactStore struct {
	Type          string          `json:"type"`
	Location      string          `json:"location"`
	EncryptionKey json.RawMessage `json:"encryptionKey,omitempty"`
}

type variableDecl struct {
	Name         string `json:"name"`
	DefaultValue string `json:"defaultValue,omitempty"`
	Description  string `json:"description,omitempty"`
}

type stageDecl struct {
	Name        string          `json:"name"`
	Actions     []actionDecl    `json:"actions"`
	Blockers    json.RawMessage `json:"blockers,omitempty"`
	OnFailure   json.RawMessage `json:"onFailure,omitempty"`
	OnSuccess   json.RawMessage `json:"onSuccess,omitempty"`
	BeforeEntry json.RawMessage `json:"beforeEntry,omitempty"`
}

type actionType struct {
	Category string `json:"category"`
	Owner    string `json:"owner"`
	Provider string `json:"provider"`
	Version  string `json:"version"`
}

type named struct {
	Name  string          `json:"name"`
	Files json.RawMessage `json:"files,omitempty"`
}

type actionDecl struct {
	Name                 string            `json:"name"`
	ActionTypeID         actionType        `json:"actionTypeId"`
	RunOrder             int               `json:"runOrder,omitempty"`
	Configuration        map[string]string `json:"configuration,omitempty"`
	OutputArtifacts      []named           `json:"outputArtifacts"`
	InputArtifacts       []named           `json:"inputArtifacts"`
	RoleArn              string            `json:"roleArn,omitempty"`
	Region               string            `json:"region,omitempty"`
	Namespace            string            `json:"namespace,omitempty"`
	TimeoutInMinutes     *int              `json:"timeoutInMinutes,omitempty"`
	Commands             json.RawMessage   `json:"commands,omitempty"`
	OutputVariables      json.RawMessage   `json:"outputVariables,omitempty"`
	EnvironmentVariables json.RawMessage   `json:"environmentVariables,omitempty"`
}

// What the embedded cloud runs.
var (
	sourceS3       = actionType{"Source", "AWS", "S3", "1"}
	invokeLambda   = actionType{"Invoke", "AWS", "Lambda", "1"}
	approvalManual = actionType{"Approval", "AWS", "Manual", "1"}
)

func (t actionType) String() string {
	return strings.Join([]string{t.Category, t.Owner, t.Provider, t.Version}, "/")
}

func notImplemented(format string, args ...any) error {
	e := wire.Errf("NotImplemented", format, args...)
	e.Message = "the embedded cloud's CodePipeline does not implement " + e.Message
	return e.WithStatus(501)
}

func badAction(format string, args ...any) error {
	return wire.Errf("InvalidActionDeclarationException", format, args...)
}

func badStructure(format string, args ...any) error {
	return wire.Errf("InvalidStructureException", format, args...)
}

var (
	names         = regexp.MustCompile(`^[A-Za-z0-9.@_-]{1,100}$`)
	artifactNames = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)
	namespaces    = regexp.MustCompile(`^[A-Za-z0-9@_-]{1,100}$`)
	roleARNs      = regexp.MustCompile(`^arn:aws(-[\w]+)*:iam::[0-9]{12}:role/.*`)
	reference     = regexp.MustCompile(`#\{([^}.]*)\.([^}]*)\}`)
)

// check refuses what is wrong or not implemented, and fills in defaults.
func (d *declaration) check() error {
	switch {
	case !names.MatchString(d.Name):
		return invalid("1 validation error detected: Value '%s' at 'pipeline.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9.@\\-_]+", d.Name)
	case !roleARNs.MatchString(d.RoleArn):
		return invalid("1 validation error detected: Value '%s' at 'pipeline.roleArn' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws(-[\\w]+)*:iam::[0-9]{12}:role/.*", d.RoleArn)
	case d.ArtifactStores != nil:
		return notImplemented("artifactStores, for actions in other Regions")
	case d.Triggers != nil && string(d.Triggers) != "[]":
		return notImplemented("triggers")
	case d.ArtifactStore == nil:
		return badStructure("A pipeline must have an artifact store")
	case d.ArtifactStore.Type != "S3" || d.ArtifactStore.Location == "":
		return invalid("1 validation error detected: Value '%s' at 'pipeline.artifactStore.type' failed to satisfy constraint: Member must satisfy enum value set: [S3]", d.ArtifactStore.Type)
	case d.ArtifactStore.EncryptionKey != nil:
		return notImplemented("encryptionKey of an artifact store")
	}
	if d.PipelineType == "" {
		d.PipelineType = "V1"
	}
	if d.ExecutionMode == "" {
		d.ExecutionMode = "SUPERSEDED"
	}
	switch {
	case d.PipelineType != "V1" && d.PipelineType != "V2":
		return invalid("1 validation error detected: Value '%s' at 'pipeline.pipelineType' failed to satisfy constraint: Member must satisfy enum value set: [V1, V2]", d.PipelineType)
	case d.ExecutionMode == "PARALLEL":
		return notImplemented("executionMode PARALLEL")
	case d.ExecutionMode != "SUPERSEDED" && d.ExecutionMode != "QUEUED":
		return invalid("1 validation error detected: Value '%s' at 'pipeline.executionMode' failed to satisfy constraint: Member must satisfy enum value set: [QUEUED, SUPERSEDED, PARALLEL]", d.ExecutionMode)
	case d.PipelineType == "V1" && (d.ExecutionMode != "SUPERSEDED" || len(d.Variables) > 0):
		return badStructure("Pipeline variables and execution modes other than SUPERSEDED are only supported for pipelines of type V2")
	case len(d.Stages) < 2:
		return badStructure("Pipeline has %d stage(s). There should be a minimum of 2 stages in a pipeline", len(d.Stages))
	}
	return d.checkStages()
}

// scope is what actions may refer to: artifacts and namespaces of actions before them.
type scope struct{ artifacts, namespaces map[string]bool }

func (d *declaration) checkStages() error {
	seen := map[string]bool{}
	s := scope{map[string]bool{}, map[string]bool{"codepipeline": true, "variables": true}}
	for i := range d.Stages {
		stage := &d.Stages[i]
		switch {
		case !names.MatchString(stage.Name):
			return wire.Errf("InvalidStageDeclarationException", "Stage name '%s' is not valid", stage.Name)
		case seen[stage.Name]:
			return wire.Errf("InvalidStageDeclarationException", "Stage name '%s' is not unique", stage.Name)
		case len(stage.Actions) == 0:
			return wire.Errf("InvalidStageDeclarationException", "Stage '%s' must have at least one action", stage.Name)
		case stage.Blockers != nil && string(stage.Blockers) != "[]":
			return notImplemented("blockers of stages")
		case stage.OnFailure != nil || stage.OnSuccess != nil || stage.BeforeEntry != nil:
			return notImplemented("conditions of stages (onFailure, onSuccess, beforeEntry)")
		}
		seen[stage.Name] = true
		if err := stage.check(i == 0, s); err != nil {
			return err
		}
	}
	return nil
}

// check checks the actions in the order in which they run: each sees what those of lower runOrder give.
func (s *stageDecl) check(isFirst bool, known scope) error {
	seen, order := map[string]bool{}, map[int][]*actionDecl{}
	for i := range s.Actions {
		a := &s.Actions[i]
		if a.RunOrder == 0 {
			a.RunOrder = 1
		}
		if a.InputArtifacts == nil {
			a.InputArtifacts = []named{}
		}
		if a.OutputArtifacts == nil {
			a.OutputArtifacts = []named{}
		}
		if seen[a.Name] {
			return badAction("Action name '%s' is not unique in stage '%s'", a.Name, s.Name)
		}
		seen[a.Name] = true
		order[a.RunOrder] = append(order[a.RunOrder], a)
	}
	for _, n := range slices.Sorted(maps.Keys(order)) {
		for _, a := range order[n] {
			if (a.ActionTypeID.Category == "Source") != isFirst {
				return badStructure("Pipeline should start with a stage that only contains source actions, and no other stage may have any: action '%s' of stage '%s'", a.Name, s.Name)
			}
			if err := a.check(known); err != nil {
				return err
			}
		}
		for _, a := range order[n] {
			for _, o := range a.OutputArtifacts {
				if known.artifacts[o.Name] {
					return badStructure("Output artifact '%s' is declared more than once", o.Name)
				}
				known.artifacts[o.Name] = true
			}
			if a.Namespace != "" {
				if known.namespaces[a.Namespace] {
					return badStructure("Namespace '%s' is not unique in the pipeline", a.Namespace)
				}
				known.namespaces[a.Namespace] = true
			}
		}
	}
	return nil
}

func (a *actionDecl) check(known scope) error {
	switch {
	case !names.MatchString(a.Name):
		return badAction("Action name '%s' is not valid", a.Name)
	case a.ActionTypeID != sourceS3 && a.ActionTypeID != invokeLambda && a.ActionTypeID != approvalManual:
		return notImplemented("actions of type %s (action %s): only %s, %s and %s", a.ActionTypeID, a.Name, sourceS3, invokeLambda, approvalManual)
	case a.RunOrder < 1 || a.RunOrder > 999:
		return badAction("Action '%s' has runOrder %d: it must be between 1 and 999", a.Name, a.RunOrder)
	case a.Namespace != "" && !namespaces.MatchString(a.Namespace):
		return badAction("Namespace '%s' of action '%s' is not valid", a.Namespace, a.Name)
	case a.Region != "":
		return notImplemented("actions in another Region (region of action %s)", a.Name)
	case a.RoleArn != "":
		return notImplemented("roles of actions (roleArn of action %s)", a.Name)
	case a.Commands != nil || a.OutputVariables != nil || a.EnvironmentVariables != nil:
		return notImplemented("commands, outputVariables and environmentVariables (action %s)", a.Name)
	case a.TimeoutInMinutes != nil && a.ActionTypeID != approvalManual:
		return badAction("timeoutInMinutes is only available to manual approval actions, not to action '%s'", a.Name)
	case a.TimeoutInMinutes != nil && (*a.TimeoutInMinutes < 5 || *a.TimeoutInMinutes > 86400):
		return badAction("timeoutInMinutes of action '%s' is %d: it must be between 5 and 86400", a.Name, *a.TimeoutInMinutes)
	}
	for _, in := range a.InputArtifacts {
		if !known.artifacts[in.Name] {
			return badStructure("Input artifact '%s' of action '%s' is no output artifact of an action before it", in.Name, a.Name)
		}
	}
	for _, out := range a.OutputArtifacts {
		if !artifactNames.MatchString(out.Name) {
			return badAction("Output artifact name '%s' is not valid", out.Name)
		}
		if out.Files != nil {
			return notImplemented("files of output artifacts")
		}
	}
	for key, value := range a.Configuration {
		if n := utf8.RuneCountInString(value); n < 1 || n > 1000 {
			return invalid("1 validation error detected: Value at 'pipeline.stages.actions.configuration.%s' failed to satisfy constraint: Member must have length between 1 and 1000", key)
		}
		for _, m := range reference.FindAllStringSubmatch(value, -1) {
			if !known.namespaces[m[1]] {
				return badStructure("Action '%s' refers to variable %s, whose namespace no action before it has", a.Name, m[0])
			}
		}
	}
	return a.checkType()
}

func (a *actionDecl) checkType() error {
	allowed, required, in, out := []string(nil), []string(nil), 0, 0
	switch a.ActionTypeID {
	case sourceS3:
		allowed, required, out = []string{"S3Bucket", "S3ObjectKey", "PollForSourceChanges", "AllowOverrideForS3ObjectKey"}, []string{"S3Bucket", "S3ObjectKey"}, 1
		if v := a.Configuration["PollForSourceChanges"]; v != "false" {
			return notImplemented("polling of sources: PollForSourceChanges of action %s must be false", a.Name)
		}
	case invokeLambda:
		allowed, required, in, out = []string{"FunctionName", "UserParameters"}, []string{"FunctionName"}, 5, 5
	case approvalManual:
		allowed = []string{"NotificationArn", "CustomData", "ExternalEntityLink"}
		if a.Configuration["NotificationArn"] != "" {
			return notImplemented("notifications of approvals (NotificationArn of action %s)", a.Name)
		}
	}
	for _, key := range required {
		if a.Configuration[key] == "" {
			return badAction("Action configuration for action '%s' is missing required configuration '%s'", a.Name, key)
		}
	}
	for key := range a.Configuration {
		if !slices.Contains(allowed, key) {
			return badAction("Action configuration for action '%s' contains unknown configuration '%s'", a.Name, key)
		}
	}
	if _, err := strconv.ParseBool(a.Configuration["AllowOverrideForS3ObjectKey"]); err != nil && a.Configuration["AllowOverrideForS3ObjectKey"] != "" {
		return badAction("AllowOverrideForS3ObjectKey of action '%s' is neither true nor false", a.Name)
	}
	switch {
	case len(a.InputArtifacts) > in:
		return badAction("Action '%s' of type %s has %d input artifacts: %d at most", a.Name, a.ActionTypeID, len(a.InputArtifacts), in)
	case len(a.OutputArtifacts) > out || a.ActionTypeID == sourceS3 && len(a.OutputArtifacts) != 1:
		return badAction("Action '%s' of type %s has %d output artifacts", a.Name, a.ActionTypeID, len(a.OutputArtifacts))
	}
	return nil
}
