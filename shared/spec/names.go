package spec

import (
	"regexp"
	"strings"
)

// kind is a kind of AWS resource, as far as its ARN shows.
type kind struct{ service, resource, what, like string }

var (
	role         = kind{"iam", "role/", "an IAM role", "arn:aws:iam::111122223333:role/name"}
	principal    = kind{"iam", "role/|user/", "an IAM role or user", "arn:aws:iam::111122223333:role/name"}
	iamPolicy    = kind{"iam", "policy/", "an IAM policy", "arn:aws:iam::111122223333:policy/name"}
	profile      = kind{"iam", "instance-profile/", "an instance profile", "arn:aws:iam::111122223333:instance-profile/name"}
	kmsKey       = kind{"kms", "key/|alias/", "a KMS key", "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
	outpostARN   = kind{"outposts", "outpost/", "an Outpost", "arn:aws:outposts:us-east-1:111122223333:outpost/op-1234567890abcdef0"}
	accessPolicy = kind{"eks", "cluster-access-policy/", "an EKS access policy", "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"}
	targetGroup  = kind{"elasticloadbalancing", "targetgroup/", "a target group",
		"arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/name/1234567890abcdef"}
	idcInstance  = kind{"sso", "instance/", "an IAM Identity Center instance", "arn:aws:sso:::instance/ssoins-1234567890abcdef"}
	reservations = kind{"resource-groups", "group/", "a resource group of capacity reservations", "arn:aws:resource-groups:us-east-1:111122223333:group/name"}
)

// is tells whether an ARN can be one of this kind. Whether there is such a thing, only AWS can say.
func (k kind) is(arn string) bool {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[2] != k.service ||
		strings.ContainsAny(arn, " \t\r\n<>") || k.service == "iam" && parts[4] == "" {
		return false
	}
	for prefix := range strings.SplitSeq(k.resource, "|") {
		if len(parts[5]) > len(prefix) && strings.HasPrefix(parts[5], prefix) {
			return true
		}
	}
	return false
}

// arn is one of a kind; "" where there is nothing.
func (v value) arn(k kind) string {
	s := v.text("")
	if s != "" && !k.is(s) {
		v.wrong("%q must be the ARN of %s, like %s", clip(s), k.what, k.like)
	}
	return s
}

// arns are several of a kind.
func (v value) arns(k kind) []string {
	out := v.texts()
	for _, s := range out {
		if !k.is(s) {
			v.wrong("%q must be the ARN of %s, like %s", clip(s), k.what, k.like)
		}
	}
	return out
}

var physicalID = regexp.MustCompile(`^[a-z]+-[0-9a-z]+$`)

// id is that of a resource of EC2, by the letters before its dash.
func (v value) id(prefixes ...string) string {
	s := v.text("")
	if s != "" && !isID(s, prefixes...) {
		v.wrong("%q must be an id like %s-0123456789abcdef0", clip(s), prefixes[0])
	}
	return s
}

func isID(s string, prefixes ...string) bool {
	before, _, _ := strings.Cut(s, "-")
	for _, p := range prefixes {
		if p == before && physicalID.MatchString(s) {
			return true
		}
	}
	return false
}

func (v value) ids(prefix string, most int) []string {
	out := v.texts()
	for _, s := range out {
		if !isID(s, prefix) {
			v.wrong("%q must be an id like %s-0123456789abcdef0", clip(s), prefix)
		}
	}
	if len(out) > most {
		v.wrong("has %d ids: AWS takes %d at most", len(out), most)
	}
	return out
}

var (
	roleNames  = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`) // most Kubernetes objects, service accounts among them
	namespaces = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

func (v value) roleName() string {
	s := v.text("")
	if s != "" && !roleNames.MatchString(s) {
		v.wrong("%q must be a role's name: up to 64 letters, digits and + = , . @ - _", clip(s))
	}
	return s
}

func (v value) namespace(otherwise string) string {
	s := v.text(otherwise)
	switch {
	case s == "":
		v.wrong("is missing: name the Kubernetes namespace")
	case !namespaces.MatchString(s):
		v.wrong("%q must be a Kubernetes namespace: small letters, digits and -, up to 63", clip(s))
	}
	return s
}

func (v value) objectName() string {
	s := v.text("")
	switch {
	case s == "":
		v.wrong("is missing")
	case !objectName.MatchString(s):
		v.wrong("%q must be the name of a Kubernetes object: small letters, digits, - and .", clip(s))
	}
	return s
}
