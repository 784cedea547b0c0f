package eks

import "slices"

type capabilityConfig struct {
	ACK    *ackConfig    `json:"ack,omitempty"`
	ArgoCD *argoCDConfig `json:"argoCd,omitempty"`
}

type ackConfig struct {
	DisabledServices     []string `json:"disabledServices"`
	EnableCrossNamespace bool     `json:"enableCrossNamespace"`
}

type argoCDConfig struct {
	Namespace      string         `json:"namespace"`
	AWSIDC         argoCDIdentity `json:"awsIdc"`
	NetworkAccess  *argoCDNetwork `json:"networkAccess,omitempty"`
	RoleMappings   []roleMapping  `json:"rbacRoleMappings"`
	EndpointPrefix string         `json:"endpointPrefix,omitempty"`
	ServerURL      string         `json:"serverUrl"`
}

type argoCDIdentity struct {
	InstanceARN    string `json:"idcInstanceArn"`
	Region         string `json:"idcRegion,omitempty"`
	ApplicationARN string `json:"idcManagedApplicationArn,omitempty"`
}

type argoCDNetwork struct {
	EndpointIDs []string `json:"vpceIds"`
}

type roleMapping struct {
	Role       string        `json:"role"`
	Identities []ssoIdentity `json:"identities"`
}

type ssoIdentity struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type capabilityConfigRequest struct {
	ACK *struct {
		DisabledServices     []string `json:"disabledServices"`
		EnableCrossNamespace bool     `json:"enableCrossNamespace"`
	} `json:"ack"`
	ArgoCD *struct {
		Namespace      string         `json:"namespace"`
		AWSIDC         argoCDIdentity `json:"awsIdc"`
		NetworkAccess  *argoCDNetwork `json:"networkAccess"`
		RoleMappings   []roleMapping  `json:"rbacRoleMappings"`
		EndpointPrefix string         `json:"endpointPrefix"`
	} `json:"argoCd"`
}

type capabilityConfigUpdate struct {
	ACK *struct {
		DisabledServices     *[]string `json:"disabledServices"`
		EnableCrossNamespace *bool     `json:"enableCrossNamespace"`
	} `json:"ack"`
	ArgoCD *struct {
		NetworkAccess *argoCDNetwork `json:"networkAccess"`
		RoleMappings  *struct {
			AddOrUpdate []roleMapping `json:"addOrUpdateRoleMappings"`
			Remove      []roleMapping `json:"removeRoleMappings"`
		} `json:"rbacRoleMappings"`
	} `json:"argoCd"`
}

func checkMappings(cluster string, list []roleMapping) error {
	for _, m := range list {
		if !slices.Contains([]string{"ADMIN", "EDITOR", "VIEWER"}, m.Role) || len(m.Identities) == 0 {
			return invalidParameter(cluster, "A role mapping needs a role out of ADMIN, EDITOR, VIEWER and at least one identity")
		}
		for _, i := range m.Identities {
			if i.ID == "" || i.Type != "SSO_USER" && i.Type != "SSO_GROUP" {
				return invalidParameter(cluster, "An identity needs an id and a type out of SSO_USER, SSO_GROUP")
			}
		}
	}
	return nil
}

func (r *capabilityConfigRequest) check(cluster, kind string) error {
	switch {
	case r != nil && r.ACK != nil && kind != "ACK", r != nil && r.ArgoCD != nil && kind != "ARGOCD":
		return invalidParameter(cluster, "The configuration does not match the capability type %s", kind)
	case kind != "ARGOCD":
		return nil
	case r == nil || r.ArgoCD == nil || r.ArgoCD.AWSIDC.InstanceARN == "":
		return invalidParameter(cluster, "A capability of type ARGOCD needs configuration.argoCd.awsIdc.idcInstanceArn")
	}
	return checkMappings(cluster, r.ArgoCD.RoleMappings)
}

// made is the configuration of a new capability, with what EKS adds.
func (r *capabilityConfigRequest) made(s *Service, kind string) capabilityConfig {
	switch kind {
	case "ACK":
		c := &ackConfig{DisabledServices: []string{}}
		if r != nil && r.ACK != nil {
			c.DisabledServices = append(c.DisabledServices, r.ACK.DisabledServices...)
			c.EnableCrossNamespace = r.ACK.EnableCrossNamespace
		}
		return capabilityConfig{ACK: c}
	case "ARGOCD":
		a := r.ArgoCD
		c := &argoCDConfig{
			Namespace: "argocd", AWSIDC: a.AWSIDC, NetworkAccess: a.NetworkAccess, EndpointPrefix: a.EndpointPrefix,
			RoleMappings: append([]roleMapping{}, a.RoleMappings...),
		}
		if a.Namespace != "" {
			c.Namespace = a.Namespace
		}
		if c.AWSIDC.Region == "" {
			c.AWSIDC.Region = s.w.Region
		}
		c.AWSIDC.ApplicationARN = "arn:aws:sso::" + s.w.Account + ":application/ssoins-" + s.w.Hex(16) + "/apl-" + s.w.Hex(16)
		host := s.w.Hex(12)
		if a.EndpointPrefix != "" {
			host = a.EndpointPrefix + "-" + host
		}
		c.ServerURL = "https://" + host + ".eks-capabilities." + s.w.Region + ".amazonaws.com"
		return capabilityConfig{ArgoCD: c}
	}
	return capabilityConfig{}
}

// change is the configuration after an update, with the update's parameters.
func (r *capabilityConfigUpdate) change(cluster string, p *capability) (next capabilityConfig, params []updateParam, err error) {
	next = p.config
	if r == nil {
		return next, nil, nil
	}
	if r.ACK != nil && p.kind != "ACK" || r.ArgoCD != nil && p.kind != "ARGOCD" {
		return next, nil, invalidParameter(cluster, "The configuration does not match the capability type %s", p.kind)
	}
	if a := r.ACK; a != nil {
		c := *p.config.ACK
		if a.DisabledServices != nil {
			c.DisabledServices = append([]string{}, *a.DisabledServices...)
			params = append(params, updateParam{"DisabledServices", fingerprint(c.DisabledServices)})
		}
		if a.EnableCrossNamespace != nil {
			c.EnableCrossNamespace = *a.EnableCrossNamespace
			params = append(params, updateParam{"EnableCrossNamespace", boolText(c.EnableCrossNamespace)})
		}
		next.ACK = &c
	}
	if a := r.ArgoCD; a != nil {
		c := *p.config.ArgoCD
		if a.NetworkAccess != nil {
			c.NetworkAccess = a.NetworkAccess
			params = append(params, updateParam{"NetworkAccess", fingerprint(a.NetworkAccess)})
		}
		if m := a.RoleMappings; m != nil {
			if err := checkMappings(cluster, slices.Concat(m.AddOrUpdate, m.Remove)); err != nil {
				return next, nil, err
			}
			c.RoleMappings = remap(c.RoleMappings, m.AddOrUpdate, m.Remove)
			if len(m.AddOrUpdate) > 0 {
				params = append(params, updateParam{"RoleMappingsToAddOrUpdate", fingerprint(m.AddOrUpdate)})
			}
			if len(m.Remove) > 0 {
				params = append(params, updateParam{"RoleMappingsToRemove", fingerprint(m.Remove)})
			}
		}
		next.ArgoCD = &c
	}
	return next, params, nil
}

// remap sets the identities of roles anew and takes identities from roles; a role without identities is gone.
func remap(list, set, remove []roleMapping) []roleMapping {
	out := slices.Clone(list)
	for _, m := range set {
		out = append(slices.DeleteFunc(out, func(have roleMapping) bool { return have.Role == m.Role }), m)
	}
	for _, m := range remove {
		for i, have := range out {
			if have.Role == m.Role {
				out[i].Identities = slices.DeleteFunc(slices.Clone(have.Identities), func(id ssoIdentity) bool { return slices.Contains(m.Identities, id) })
			}
		}
	}
	return slices.DeleteFunc(out, func(m roleMapping) bool { return len(m.Identities) == 0 })
}
