package kube

import (
	"context"
	"encoding/json"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

const (
	rolesPath    = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
	bindingsPath = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
)

// ClusterAccess reads a ClusterRole and the binding of its name. An absent role is fault.NotFound; an absent binding, or
// one to another role, is a ClusterAccess without groups.
func (c *Client) ClusterAccess(ctx context.Context, name string) (fleet.ClusterAccess, error) {
	a := fleet.ClusterAccess{Name: name}
	var role rbacv1.ClusterRole
	if err := c.rest.Get().AbsPath(rolesPath, name).MaxRetries(0).Do(ctx).Into(&role); err != nil {
		return a, classify("get clusterrole "+name, err)
	}
	for _, r := range role.Rules {
		a.Rules = append(a.Rules, fleet.Rule{APIGroups: r.APIGroups, Resources: r.Resources, Verbs: r.Verbs})
	}
	var binding rbacv1.ClusterRoleBinding
	err := classify("get clusterrolebinding "+name, c.rest.Get().AbsPath(bindingsPath, name).MaxRetries(0).Do(ctx).Into(&binding))
	if err != nil {
		return a, fault.Ignore(err, fault.NotFound)
	}
	if binding.RoleRef.Kind != "ClusterRole" || binding.RoleRef.Name != name {
		return a, nil
	}
	for _, s := range binding.Subjects {
		if s.Kind == rbacv1.GroupKind {
			a.Groups = append(a.Groups, s.Name)
		}
	}
	return a, nil
}

// PutClusterAccess writes a ClusterRole and its binding by server-side apply: what others have changed in them is put
// right, and twice is once.
func (c *Client) PutClusterAccess(ctx context.Context, a fleet.ClusterAccess) error {
	meta := metav1.ObjectMeta{Name: a.Name, Labels: map[string]string{"app.kubernetes.io/managed-by": fieldManager}}
	role := rbacv1.ClusterRole{TypeMeta: rbacType("ClusterRole"), ObjectMeta: meta}
	for _, r := range a.Rules {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: r.APIGroups, Resources: r.Resources, Verbs: r.Verbs})
	}
	binding := rbacv1.ClusterRoleBinding{
		TypeMeta: rbacType("ClusterRoleBinding"), ObjectMeta: meta,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: a.Name},
	}
	for _, g := range a.Groups {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: g})
	}
	for _, object := range []any{role, binding} {
		body, err := json.Marshal(object)
		if err != nil {
			return err
		}
		if err := c.Apply(ctx, body); err != nil {
			return err
		}
	}
	return nil
}

func rbacType(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind}
}
