package main

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unconditioned are the grants that write to resources with a wildcard and no condition, each with the reason why the
// wildcard alone is narrow enough.
var unconditioned = map[string]string{
	"CreateWithinGivenNetworks": "What is made in somebody's network has to carry the tag: that is the condition of CreateNetworks.",
	"UseGivenGateways":          "The VPC in the same call has to be ekspedite's: that is the condition of WireNetworks and CreateNetworks.",
	"RunTemplates":              "Whatever a template is, what it may run is bounded by RunMachines and HandRolesToServices.",
	"LetCapabilitiesIn":         "What TagOnCreation can tag is no safer: EKS has nothing narrower for either.",
	"KeepRoles":                 "The path is ekspedite's alone.",
	"WritePolicies":             "The path is ekspedite's alone. Where there is a boundary, it is a condition.",
	"KeepInstanceProfiles":      "The path is ekspedite's alone.",
	"KeepLogsOfClusters":        "Nobody but control planes logs to groups of that name.",
	"RingByLogs":                "Nobody but control planes logs to groups of that name.",
	"RingByAlarms":              "The name is ekspedite's alone.",
	"PublishToTopics":           "Topics of that name are meant for it.",
	"AnswerApprovals":           "A parameter says how the names of the pipelines begin.",
}

// everywhere are the grants that write to "*", each with the reason why there is nothing narrower.
var everywhere = map[string]string{
	"Trace":           "X-Ray has no resources.",
	"NameEndpoints":   "The hosted zone belongs to AWS.",
	"AnswerJobs":      "CodePipeline has no resources for this.",
	"AttachToNetwork": "Lambda wants it so.",
}

var (
	reads = regexp.MustCompile(`^[a-z0-9-]+:(Describe|List|Get|Simulate)[A-Za-z]+$`)
	exact = regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z0-9]+$`)
)

// policiesOf are all policies, inline and managed.
func policiesOf(t *testing.T, tpl template) []*resource {
	return append(tpl.of(t, "AWS::IAM::Policy"), tpl.of(t, "AWS::IAM::ManagedPolicy")...)
}

// statements are a policy's.
func statements(policy *resource) []any {
	return list(at(policy.Properties, "PolicyDocument", "Statement"))
}

func TestGrantsAreNarrow(t *testing.T) {
	found := map[string]bool{}
	for _, policy := range policiesOf(t, everything(t)) {
		sids := map[string]bool{}
		for _, s := range statements(policy) {
			sid := text(at(s, "Sid"))
			if at(s, "Sid") == nil || sids[sid] || !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(sid) {
				t.Errorf("%s: %q is no name for a statement, or taken", policy.ID, sid)
			}
			sids[sid] = true
			if at(s, "Effect") == "Deny" {
				continue
			}
			if at(s, "NotAction") != nil || at(s, "NotResource") != nil {
				t.Errorf("%s %s: grants everything but something", policy.ID, sid)
			}
			onlyReads := true
			for _, action := range list(at(s, "Action")) {
				if !exact.MatchString(text(action)) {
					t.Errorf("%s %s: %v is a wildcard", policy.ID, sid, action)
				}
				onlyReads = onlyReads && reads.MatchString(text(action))
			}
			for _, arn := range list(at(s, "Resource")) {
				switch arn := text(arn); {
				case !strings.Contains(arn, "*") || onlyReads:
				case arn == "*" && everywhere[sid] != "":
					found[sid] = true
				case arn == "*":
					t.Errorf("%s %s: writes to everything", policy.ID, sid)
				case at(s, "Condition") == nil && unconditioned[sid] == "":
					t.Errorf("%s %s: writes to %s without a condition, and gives no reason", policy.ID, sid, arn)
				case at(s, "Condition") == nil:
					found[sid] = true
				}
			}
		}
	}
	for _, reasons := range []map[string]string{unconditioned, everywhere} {
		for sid := range reasons {
			if !found[sid] {
				t.Errorf("%s is not there, or needs no reason any more", sid)
			}
		}
	}
}

// What is made for clusters is made with ekspedite's tag, and what is changed or deleted has it, in the three services where
// clusters are.
func TestTagsBoundWhatIsDone(t *testing.T) {
	const tag = "aws:RequestTag/ekspedite.dev/cluster aws:ResourceTag/ekspedite.dev/cluster"
	// Others than ekspedite's own tag, each with what it stands for.
	others := map[string]string{
		"TagWhatIsCreated": "the creation in the same call", "TagMachines": "the creation in the same call", "RunMachines": "a launch template",
		"ChangeGroupsOfEKS": "node groups", "DeleteOfLoadBalancerController": "what a controller made", "DeleteOfAutoMode": "what EKS made",
		"DeleteOfServices": "what the cloud provider made", "DeleteOfKarpenter": "what Karpenter made", "DeleteOfCNI": "what the VPC CNI made",
	}
	for _, policy := range policiesOf(t, everything(t)) {
		if !strings.HasPrefix(policy.ID, "Cluster") {
			continue
		}
		for _, s := range statements(policy) {
			sid := text(at(s, "Sid"))
			if at(s, "Effect") == "Deny" || unconditioned[sid] != "" || others[sid] != "" {
				continue
			}
			for _, action := range list(at(s, "Action")) {
				service, _, _ := strings.Cut(text(action), ":")
				if reads.MatchString(text(action)) || !strings.Contains("ec2 eks autoscaling", service) {
					continue
				}
				var tagged bool
				for key, value := range at(s, "Condition", "Null").(map[string]any) {
					tagged = tagged || value == "false" && strings.Contains(tag, key)
				}
				if !tagged {
					t.Errorf("%s %s: %s is for what is not ekspedite's, too", policy.ID, sid, action)
				}
			}
		}
	}
}

// The CDK's constructs like to add statements and managed policies of their own.
func TestNothingElseGrants(t *testing.T) {
	tpl := everything(t)
	inline, managed := map[string]int{}, map[string]int{}
	for _, policy := range policiesOf(t, tpl) {
		count, limit := inline, 10240 // IAM's limits, for all inline policies of a role, and for a managed one
		roles := list(policy.Properties["Roles"])
		if policy.Type == "AWS::IAM::ManagedPolicy" {
			count, limit = managed, 6144
			if either, ok := at(policy.Properties["Roles"], "Fn::If").([]any); ok {
				roles = list(either[1])
			}
		}
		for _, role := range roles {
			count[target(role)]++
		}
		var size int
		for _, s := range statements(policy) {
			size += statementSize(t, s)
		}
		if size > limit*9/10 { // an ARN may be longer than its reference here
			t.Errorf("%s has about %d characters; IAM takes %d", policy.ID, size, limit)
		}
		t.Logf("%s: about %d of %d characters", policy.ID, size, limit)
	}
	for _, role := range tpl.of(t, "AWS::IAM::Role") {
		if role.Properties["ManagedPolicyArns"] != nil || role.Properties["Policies"] != nil || inline[role.ID] != 1 || managed[role.ID] > 10 {
			t.Errorf("%s: wants one inline policy, and ten others at most: %d, %d", role.ID, inline[role.ID], managed[role.ID])
		}
	}
}

// granted are the actions that a function's policies allow under the template's defaults.
func granted(t *testing.T, function string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, policy := range policiesOf(t, everything(t)) {
		for _, role := range list(policy.Properties["Roles"]) {
			if target(role) != function+"FunctionRole" {
				continue
			}
			for _, s := range statements(policy) {
				for _, action := range list(at(s, "Action")) {
					if at(s, "Effect") == "Allow" {
						all[text(action)] = true
					}
				}
			}
		}
	}
	return all
}

// Whatever a function can call it may call: what awscloud calls things by in its tables and in its errors is what IAM calls
// them, but for Elastic Load Balancing.
func TestEveryCallIsGranted(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "shared/awscloud/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	// All others are the cluster function's. People at a command line have permissions of their own.
	callers := map[string]string{
		"compute.go": "Interruption", "compute_batch.go": "Interruption", "endinstance.go": "Interruption", "ecs.go": "Interruption", "targets.go": "Interruption", "instancestatus.go": "Interruption", "jobs.go": "Pipeline", "catalogue.go": "Scaling", "nodegroups.go": "Scaling", "grouptranslate.go": "Scaling",
		"upgrades.go": "Upgrade", "authorities.go": "Upgrade", "readiness.go": "Upgrade", "readiness_template.go": "Upgrade", "readiness_addon.go": "Upgrade", "images.go": "Upgrade", "standins.go": "Upgrade", "approvals.go": "Pipeline", "grouprecipe.go": "Scaling", "grouptroubles.go": "Scaling", "groupwrites.go": "Scaling", "deployment.go": "", "prices.go": "",
	}
	// In the table that all share.
	others := map[string]string{"eks:UpdateClusterVersion": "Upgrade"}
	withoutGrant := map[string]string{"sts:GetCallerIdentity": "needs none"}
	named := regexp.MustCompile(`"((?:autoscaling|cloudwatch|codepipeline|dynamodb|ec2|ecs|eks|elasticloadbalancing|elb|elbv2|events|iam|kms|logs|pricing|s3|servicequotas|sqs|ssm|sts):[A-Z][A-Za-z0-9]+)"`)
	allowed, seen := map[string]map[string]bool{}, 0
	for _, f := range []string{"Cluster", "Interruption", "Pipeline", "Scaling", "Upgrade"} {
		allowed[f] = granted(t, f)
	}
	for _, file := range files {
		name := filepath.Base(file)
		caller, known := callers[name]
		if !known {
			caller = "Cluster"
		}
		if strings.HasSuffix(name, "_test.go") || caller == "" {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllSubmatch(source, -1) {
			api := string(m[1])
			action := regexp.MustCompile(`^elb(v2)?:`).ReplaceAllString(api, "elasticloadbalancing:")
			seen++
			caller := cmp.Or(others[api], caller)
			if !allowed[caller][action] && withoutGrant[api] == "" {
				t.Errorf("%s calls %s, which nothing in infra/stacks/permissions*.go grants the %s function", name, api, caller)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d calls: the test looks in the wrong place", seen)
	}
}

// statementSize is about how many characters a statement has once its references are filled in.
func statementSize(t *testing.T, statement any) int {
	t.Helper()
	var flat func(value any) any
	flat = func(value any) any {
		object, ok := value.(map[string]any)
		if !ok {
			if values, ok := value.([]any); ok {
				for i := range values {
					values[i] = flat(values[i])
				}
			}
			return value
		}
		if len(object) == 1 {
			for key := range object {
				if key == "Fn::GetAtt" || key == "Fn::ImportValue" {
					return strings.Repeat("x", 100)
				}
				if key == "Fn::Sub" || key == "Ref" {
					return strings.NewReplacer("${AWS::Partition}", "aws", "${AWS::Region}", "ap-southeast-1",
						"${AWS::AccountId}", "123456789012").Replace(text(value))
				}
			}
		}
		for key := range object {
			object[key] = flat(object[key])
		}
		return object
	}
	raw, err := json.Marshal(flat(statement))
	if err != nil {
		t.Fatal(err)
	}
	return len(raw)
}

// The roles that clusters get have a path of their own. Should that ever match the functions' own, this holds.
func TestClusterFunctionCannotChangeOwnRoles(t *testing.T) {
	tpl := everything(t)
	denied := map[string]bool{}
	for _, s := range statements(tpl.Resources["ClusterFunctionPolicy"]) {
		if at(s, "Effect") == "Deny" && at(s, "Sid") == "KeepOffOwnRoles" {
			for _, arn := range list(at(s, "Resource")) {
				denied[target(arn)] = true
			}
		}
	}
	for _, role := range tpl.of(t, "AWS::IAM::Role") {
		if !denied[role.ID] {
			t.Errorf("the cluster function may attach policies to %s: add it to KeepOffOwnRoles", role.ID)
		}
	}
}

// AWS refuses a policy with two statements of one name; and of two, a reader would take one for the other.
func TestStatementsHaveNamesOfTheirOwn(t *testing.T) {
	n := 0
	for id, resource := range everything(t).Resources {
		document := resource.Properties["PolicyDocument"]
		if document == nil {
			continue
		}
		n++
		seen := map[string]bool{}
		for _, statement := range list(at(document, "Statement")) {
			sid := text(at(statement, "Sid"))
			if sid != "" && seen[sid] {
				t.Errorf("%s has two statements that are called %s", id, sid)
			}
			seen[sid] = true
		}
	}
	if n < 20 {
		t.Errorf("only %d policies were found", n)
	}
}
