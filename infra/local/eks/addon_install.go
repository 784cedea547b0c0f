package eks

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// updateFailed is an add-on whose update has failed.
const updateFailed = "UPDATE_FAILED"

// What to do with fields of an add-on that the customer has changed.
const (
	resolveNone      = "NONE"
	resolveOverwrite = "OVERWRITE"
	resolvePreserve  = "PRESERVE"
)

// checkAddon checks what creating and updating an add-on have in common, and reads the configuration.
func checkAddon(c *cluster, spec addonSpec, values, mode, role string) (map[string]any, error) {
	switch {
	case !slices.Contains([]string{"", resolveNone, resolveOverwrite, resolvePreserve}, mode):
		return nil, invalidParameter(c.name, "resolveConflicts must be one of OVERWRITE, NONE, PRESERVE")
	case role != "" && !roleForm.MatchString(role):
		return nil, invalidParameter(c.name, "The serviceAccountRoleArn '%s' is not the ARN of a role", role)
	}
	return parseConfiguration(c.name, values, spec.schema)
}

// place settles an add-on's namespace, which cannot change later.
func (a addonSpec) place(c *cluster, name string, asked *namespaceConfig) (string, error) {
	switch {
	case asked == nil || asked.Namespace == "" || asked.Namespace == a.namespace:
		return a.namespace, nil
	case a.fixedNamespace:
		return "", invalidParameter(c.name, "Addon %s does not support a custom namespace", name)
	case !namespaceForm.MatchString(asked.Namespace):
		return "", invalidParameter(c.name, "The namespace '%s' is invalid: it is not an RFC 1123 label", asked.Namespace)
	}
	return asked.Namespace, nil
}

// ownPods makes an add-on's pod identity associations what is asked for: all of them or none. The caller holds s.mu.
func (s *Service) ownPods(c *cluster, a *addon, asked []addonPodIdentity) error {
	accounts := addonCatalogue[a.name].accounts
	former := map[string]*podIdentity{}
	for id, p := range c.podIdentities {
		if p.owner == a.arn {
			former[id] = p
			delete(c.podIdentities, id)
		}
	}
	var made []string
	undo := func(err error) error {
		for _, id := range made {
			delete(c.podIdentities, id)
		}
		for id, p := range former {
			c.podIdentities[id] = p
		}
		return err
	}
	for _, in := range asked {
		if !slices.ContainsFunc(accounts, func(k podIdentityConfig) bool { return k.ServiceAccount == in.ServiceAccount }) {
			return undo(invalidParameter(c.name, "The service account %s is not one of the add-on %s that can have a pod identity association", in.ServiceAccount, a.name))
		}
		p := &podIdentity{namespace: a.namespace, serviceAccount: in.ServiceAccount, role: in.RoleARN, owner: a.arn}
		if err := s.associatePod(c, p); err != nil {
			return undo(err)
		}
		for _, old := range former {
			if old.serviceAccount == in.ServiceAccount { // it stays the same one, with another role perhaps
				delete(c.podIdentities, p.id)
				p.id, p.arn, p.created = old.id, old.arn, old.created
				c.podIdentities[p.id] = p
			}
		}
		made = append(made, p.id)
	}
	return nil
}

// workbench is the cluster's control plane, as soon as there is one. It is nil when the cluster ends first.
func (s *Service) workbench(c *cluster) Workbench {
	var plane ControlPlane
	if !s.await(c.ctx, forever, func() bool { plane = c.plane; return plane != nil }) {
		return nil
	}
	return plane
}

// installPatience is how long EKS tries to bring an add-on to a cluster that does not answer.
func (s *Service) installPatience() time.Duration { return 10 * s.w.Profile.ConfigUpdate }

// install brings an add-on's objects to the cluster. A control plane that restarts is waited for; a conflict is final.
func (s *Service) install(c *cluster, objects []Object, mode string) error {
	return s.insist(c, func(w Workbench) error { return w.Apply(c.ctx, objects, mode) })
}

func (s *Service) uninstall(c *cluster, objects []Object) error {
	// What holds an add-on's other objects goes last, and a namespace of its own may hold a customer's as well: it stays.
	objects = slices.DeleteFunc(objects, func(o Object) bool { return o.Manifest["kind"] == "Namespace" })
	slices.Reverse(objects)
	return s.insist(c, func(w Workbench) error { return w.Remove(c.ctx, objects) })
}

func (s *Service) insist(c *cluster, do func(Workbench) error) error {
	deadline := time.Now().Add(s.installPatience())
	for {
		w := s.workbench(c)
		if w == nil {
			return c.ctx.Err()
		}
		err := do(w)
		var conflict *FieldConflict
		if err == nil || errors.As(err, &conflict) || time.Now().After(deadline) {
			return err
		}
		s.w.Log.Info("eks: an add-on's objects are not as they should be yet", "cluster", c.name, "error", err)
		if !sleep(c.ctx, retryPause) {
			return err
		}
	}
}

func (f *FieldConflict) Error() string {
	return "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:\n" + strings.Join(f.Fields, "\n")
}

// addonFailure says why an add-on could not be brought to the cluster, in EKS's codes.
func addonFailure(err error) (code, text string) {
	var conflict *FieldConflict
	var status *statusError
	var told updateFailure
	switch {
	case errors.As(err, &told):
		return told.ErrorCode, told.ErrorMessage
	case errors.As(err, &conflict):
		return "ConfigurationConflict", conflict.Error()
	case errors.As(err, &status) && status.code/100 == 4:
		return "AdmissionRequestDenied", err.Error()
	}
	return "ClusterUnreachable", err.Error()
}

type describeAddonConfigIn struct {
	AddonName    string `json:"-" param:"addonName"`
	AddonVersion string `json:"-" param:"addonVersion"`
}

type describeAddonConfigOut struct {
	AddonName                string              `json:"addonName"`
	AddonVersion             string              `json:"addonVersion"`
	ConfigurationSchema      string              `json:"configurationSchema"`
	PodIdentityConfiguration []podIdentityConfig `json:"podIdentityConfiguration"`
}

func (s *Service) describeAddonConfiguration(_ context.Context, _ *wire.Call, in *describeAddonConfigIn) (*describeAddonConfigOut, error) {
	spec, ok := addonCatalogue[in.AddonName]
	if !ok {
		return nil, notFound("", "No addon versions found for addon %s", in.AddonName)
	}
	known := slices.ContainsFunc(releases, func(r release) bool { return slices.Contains(spec.available(r.version), in.AddonVersion) })
	if !known {
		return nil, invalidParameter("", "Addon version specified is not supported")
	}
	return &describeAddonConfigOut{in.AddonName, in.AddonVersion, spec.schema.text(in.AddonName), append([]podIdentityConfig{}, spec.accounts...)}, nil
}
