package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// fieldManager names us as the owner of what we apply.
const fieldManager = "ekspedite"

// collections are the resources that Apply knows: what ekspedite itself puts into clusters.
var collections = map[string]struct {
	path       string
	namespaced bool
}{
	"admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": {"/apis/admissionregistration.k8s.io/v1", false},
	"apps/v1/Deployment":                              {"/apis/apps/v1", true},
	"policy/v1/PodDisruptionBudget":                   {"/apis/policy/v1", true},
	"rbac.authorization.k8s.io/v1/ClusterRole":        {"/apis/rbac.authorization.k8s.io/v1", false},
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding": {"/apis/rbac.authorization.k8s.io/v1", false},
	"v1/Namespace":                                    {"/api/v1", false},
	"v1/ServiceAccount":                               {"/api/v1", true},
}

// Apply makes an object, given as JSON, what it says (server-side apply). It is idempotent.
func (c *Client) Apply(ctx context.Context, object []byte) error {
	var o struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        struct{ Name, Namespace string } `json:"metadata"`
	}
	if err := json.Unmarshal(object, &o); err != nil {
		return fault.New(fault.Invalid, "not an object: %v", err)
	}
	path, err := at(o.APIVersion, o.Kind, o.Metadata.Namespace, o.Metadata.Name)
	if err != nil {
		return err
	}
	err = c.rest.Patch(types.ApplyPatchType).AbsPath(path).Param("fieldManager", fieldManager).Param("force", "true").
		Body(object).MaxRetries(0).Do(ctx).Error()
	return classify(fmt.Sprintf("apply %s %s", o.Kind, o.Metadata.Name), err)
}

// at is the path of an object.
func at(version, kind, namespace, name string) (string, error) {
	c, ok := collections[version+"/"+kind]
	if !ok {
		return "", fault.New(fault.Invalid, "nobody has said where objects of %s/%s are", version, kind)
	}
	path := c.path
	if c.namespaced {
		path += "/namespaces/" + orDefault(namespace)
	}
	return path + "/" + strings.ToLower(kind) + "s/" + name, nil
}

func orDefault(namespace string) string {
	if namespace == "" {
		return metav1.NamespaceDefault
	}
	return namespace
}
