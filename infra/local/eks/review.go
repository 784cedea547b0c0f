package eks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// tokenReview is the part of authentication.k8s.io/v1 TokenReview that an API server and its webhook exchange.
type tokenReview struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Token string `json:"token"`
	} `json:"spec"`
	Status reviewStatus `json:"status"`
}

type reviewStatus struct {
	Authenticated bool        `json:"authenticated"`
	User          *reviewUser `json:"user,omitempty"`
	Error         string      `json:"error,omitempty"`
}

type reviewUser struct {
	Username string              `json:"username"`
	UID      string              `json:"uid"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra"`
}

// Review answers a cluster's API server: whose token is this, and what is its owner in Kubernetes? It is the body of
// the token webhook, in the part that aws-iam-authenticator has in EKS.
func (s *Service) Review(cluster string, tokenReviewJSON []byte) []byte {
	var review tokenReview
	if err := json.Unmarshal(tokenReviewJSON, &review); err != nil {
		review.Status.Error = "the TokenReview is not valid JSON: " + err.Error()
	} else if user, err := s.authenticate(cluster, review.Spec.Token); err != nil {
		s.w.Log.Debug("eks: token refused", "cluster", cluster, "reason", err)
		review.Status.Error = err.Error()
	} else {
		review.Status = reviewStatus{Authenticated: true, User: user}
	}
	if review.APIVersion == "" {
		review.APIVersion, review.Kind = "authentication.k8s.io/v1", "TokenReview"
	}
	review.Spec.Token = ""
	out, err := json.Marshal(review)
	if err != nil {
		panic(err) // strings and lists of strings
	}
	return out
}

func (s *Service) authenticate(name, token string) (*reviewUser, error) {
	who, err := s.opt.STS.VerifyEKSToken(token, name, time.Now())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[name]
	if c == nil {
		return nil, fmt.Errorf("no cluster named %s", name)
	}
	principal := principalOf(who)
	kind, username, groups, err := c.identify(principal, time.Now())
	if err != nil {
		return nil, err
	}
	username, err = s.fill(username, kind, who)
	if err != nil {
		return nil, err
	}
	return &reviewUser{
		Username: username, UID: "aws-iam-authenticator:" + who.Account + ":" + strings.Split(who.UserID, ":")[0], Groups: groups,
		Extra: map[string][]string{
			"accessKeyId": {who.AccessKeyID}, "arn": {who.ARN}, "canonicalArn": {principal},
			"principalId": {who.UserID}, "sessionName": {sessionName(who)},
		},
	}, nil
}

// identify finds what a principal is in the cluster. The caller holds s.mu.
func (c *cluster) identify(principal string, now time.Time) (kind, username string, groups []string, err error) {
	if c.access.AuthenticationMode != modeConfigMap {
		if e := c.entries[principal]; e != nil && !now.Before(e.effective) {
			return e.kind, e.username, e.kubernetesGroups(), nil
		}
	}
	switch {
	case c.access.AuthenticationMode == modeAPI:
		return "", "", nil, fmt.Errorf("the principal %s has no access entry in cluster %s", principal, c.name)
	case c.configMapRoles[principal] != "":
		kind := c.configMapRoles[principal]
		id := nodeIdentities[kind]
		return kind, id.username, append([]string{"system:bootstrappers"}, id.groups...), nil
	case c.access.AuthenticationMode == modeConfigMap && principal == c.creator && *c.access.BootstrapClusterCreatorAdminPermissions:
		return "STANDARD", "kubernetes-admin", []string{"system:masters"}, nil
	}
	return "", "", nil, fmt.Errorf("the principal %s has no access entry in cluster %s, and the embedded cloud does not read the aws-auth ConfigMap", principal, c.name)
}

// fill replaces the placeholders of a user name.
func (s *Service) fill(username, kind string, who wire.Principal) (string, error) {
	raw := sessionName(who)
	values := map[string]string{
		"{{AccountID}}": who.Account, "{{SessionNameRaw}}": raw, "{{SessionName}}": strings.ReplaceAll(raw, "@", "-"),
		"{{AccessKeyID}}": who.AccessKeyID,
	}
	if strings.Contains(username, "{{EC2PrivateDNSName}}") {
		// The session of an instance profile is named by the instance.
		i, ok := s.opt.EC2.Instance(raw)
		if !ok {
			return "", fmt.Errorf("the session %s of a node role (%s) is not an instance", raw, kind)
		}
		values["{{EC2PrivateDNSName}}"] = i.PrivateDNSName
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		username = strings.ReplaceAll(username, k, values[k])
	}
	return username, nil
}

// sessionName is the last part of an assumed role's ARN, and empty for users.
func sessionName(who wire.Principal) string {
	if who.RoleARN == "" {
		return ""
	}
	return who.ARN[strings.LastIndexByte(who.ARN, '/')+1:]
}
