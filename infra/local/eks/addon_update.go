package eks

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func (s *Service) updateAddon(_ context.Context, _ *wire.Call, in *updateAddonIn) (*updateOut, error) {
	req := request{"UpdateAddon/" + in.AddonName, in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, a, err := s.addonOf(in.ClusterName, in.AddonName)
	if err != nil {
		return nil, err
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	if a.status == creating || a.status == updating || a.status == deleting {
		return nil, inUse(c.name, "Addon %s cannot be updated as it is currently in %s state", a.name, a.status)
	}
	version, spec := a.version, addonCatalogue[a.name]
	if in.AddonVersion != "" {
		if version, err = chooseAddonVersion(c, a.name, in.AddonVersion); err != nil {
			return nil, err
		}
		if a.name == "vpc-cni" && tooFar(a.version, version) {
			return nil, invalidParameter(c.name, "Updating VPC-CNI can only go up or down 1 minor version at a time")
		}
	}
	next := *a
	next.version, next.role, next.config = version, cmp.Or(in.ServiceAccountRoleARN, a.role), cmp.Or(in.ConfigurationValues, a.config)
	config, err := checkAddon(c, spec, next.config, in.ResolveConflicts, in.ServiceAccountRoleARN)
	if err != nil {
		return nil, err
	}
	u := &update{kind: "AddonUpdate", addon: a.name, request: req}
	if in.PodIdentityAssociations != nil {
		if err := s.ownPods(c, a, *in.PodIdentityAssociations); err != nil {
			return nil, err
		}
		u.params = append(u.params, updateParam{"PodIdentityAssociations", fingerprint(*in.PodIdentityAssociations)})
	}
	for _, p := range []updateParam{{"AddonVersion", in.AddonVersion}, {"ServiceAccountRoleArn", in.ServiceAccountRoleARN}, {"ResolveConflicts", in.ResolveConflicts}, {"ConfigurationValues", in.ConfigurationValues}} {
		if p.Value != "" {
			u.params = append(u.params, p)
		}
	}
	s.begin(c, u)
	a.status = updating
	s.w.Go(func(context.Context) {
		if !sleep(c.ctx, s.w.Profile.ConfigUpdate) {
			return
		}
		mode := cmp.Or(in.ResolveConflicts, resolveNone)
		err := s.toldToFail(c, a, mode)
		if err == nil {
			err = s.install(c, spec.objects(version, a.namespace, next.role, s.w.Region, config), mode)
		}
		if c.ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		a.modified = time.Now()
		if err != nil {
			code, text := addonFailure(err)
			a.status, a.issues = updateFailed, []issue{{Code: code, Message: text, ResourceIDs: []string{}}}
			s.end(u, updateError{code, text, []string{a.name}})
			s.mu.Unlock()
			s.tell(c, a, version, "Update Failed")
			return
		}
		a.version, a.role, a.config, a.status, a.issues = version, next.role, next.config, active, nil
		s.end(u)
		s.mu.Unlock()
		s.tell(c, a, version, "Update Succeeded")
		s.tendAddon(c, a)
	})
	return u.view(), nil
}

// toldToFail is the failure that somebody has ordered for the add-on, if any. A conflict is one only for an update that does not
// resolve conflicts.
func (s *Service) toldToFail(c *cluster, a *addon, mode string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	how, ok := s.trip(c.name, "", a.name, func(how string) bool { return isUpdateError(how) || how == conflicting && mode == resolveNone })
	switch {
	case !ok:
		return nil
	case how == conflicting:
		return &FieldConflict{[]string{"told to conflict " + a.name + " - .spec.template.spec.containers"}}
	}
	return updateFailure(ordered(how, a.name))
}

// tell tells EventBridge what became of an add-on. AWS documents the kinds of these events and not what is in them.
func (s *Service) tell(c *cluster, a *addon, version, what string) {
	if s.opt.Events == nil {
		return
	}
	s.opt.Events.Emit("aws.eks", "EKS Addon "+what, []string{a.arn}, map[string]string{"clusterName": c.name, "addonName": a.name, "addonVersion": version})
}

// tooFar compares the minors of v1.19.2-eksbuild.1 and the like.
func tooFar(from, to string) bool {
	d := addonMinor(from) - addonMinor(to)
	return d > 1 || d < -1
}

// addonMinor is 19 for v1.19.2-eksbuild.1, and -1 for what has no minor.
func addonMinor(version string) int {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 3 {
		return -1
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return -1
	}
	return n
}
