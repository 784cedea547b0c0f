package eks

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type associateEncryptionIn struct {
	Name               string             `json:"-" path:"name"`
	EncryptionConfig   []encryptionConfig `json:"encryptionConfig"`
	ClientRequestToken string             `json:"clientRequestToken"`
}

var keyForm = regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(key|alias)/[A-Za-z0-9/_-]+$`)

func (s *Service) encryptionOps() []wire.Op {
	return []wire.Op{
		wire.Handle("AssociateEncryptionConfig", s.needAssociateEncryption, s.associateEncryption).REST("POST", "/clusters/{name}/encryption-config/associate"),
	}
}

// checkEncryption wants one symmetric, enabled key of the Region. The words are not public.
func (s *Service) checkEncryption(cluster string, list []encryptionConfig) error {
	if len(list) > 1 {
		return invalidParameter(cluster, "Only one encryptionConfig is supported")
	}
	for _, e := range list {
		if slices.ContainsFunc(e.Resources, func(r string) bool { return r != "secrets" }) {
			return invalidParameter(cluster, "Invalid resources in encryptionConfig: the only supported value is secrets")
		}
		arn := e.Provider.KeyARN
		m := keyForm.FindStringSubmatch(arn)
		if m == nil || m[1] != s.w.Region {
			return invalidParameter(cluster, "Invalid KMS key ARN %s in encryptionConfig: it must be a key of Region %s", arn, s.w.Region)
		}
		if s.opt.Keys == nil {
			continue
		}
		switch enabled, symmetric, ok := s.opt.Keys.DescribeKey(arn); {
		case !ok:
			return invalidParameter(cluster, "KMS key %s does not exist", arn)
		case !enabled:
			return invalidParameter(cluster, "KMS key %s is not enabled", arn)
		case !symmetric:
			return invalidParameter(cluster, "KMS key %s is not symmetric", arn)
		}
	}
	return nil
}

// associateEncryption switches envelope encryption on. There is no way back and no other key later.
func (s *Service) associateEncryption(_ context.Context, _ *wire.Call, in *associateEncryptionIn) (*updateOut, error) {
	req := request{"AssociateEncryptionConfig", in.ClientRequestToken, fingerprint(in)}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[in.Name]
	if c == nil {
		return nil, noCluster(in.Name)
	}
	if u, err := c.repeated(req); u != nil || err != nil {
		return viewOr(u, err)
	}
	if c.outpost != nil {
		return nil, onOutpost(c.name, "encryptionConfig")
	}
	if len(in.EncryptionConfig) == 0 {
		return nil, invalidParameter(c.name, "encryptionConfig must be provided")
	}
	if err := s.checkEncryption(c.name, in.EncryptionConfig); err != nil {
		return nil, err
	}
	if len(c.encryption) > 0 {
		return nil, invalidParameter(c.name, "Encryption is already enabled on the cluster")
	}
	const kind = "AssociateEncryptionConfig"
	if err := s.free(c, kind); err != nil {
		return nil, err
	}
	return s.run(c, req, change{
		kind: kind, params: []updateParam{{"EncryptionConfig", fingerprint(in.EncryptionConfig)}}, rolling: true,
		apply: func(c *cluster) { c.encryption = in.EncryptionConfig },
	}), nil
}

func (s *Service) needAssociateEncryption(_ *wire.Call, in *associateEncryptionIn) []wire.Need {
	return append([]wire.Need{s.need("AssociateEncryptionConfig", s.clusterARN(in.Name), keyContext(in.EncryptionConfig))}, keyNeeds(in.EncryptionConfig)...)
}

func keyContext(list []encryptionConfig) map[string][]string {
	if len(list) == 0 {
		return map[string][]string{}
	}
	var arns []string
	for _, e := range list {
		arns = append(arns, e.Provider.KeyARN)
	}
	return map[string][]string{"eks:encryptionConfigProviderKeyArns": arns}
}

// keyNeeds are what EKS does with the key on the caller's behalf: look at it and grant itself its use. Through an alias,
// AWS asks about the key behind it; here the alias' own ARN stands for it.
func keyNeeds(list []encryptionConfig) []wire.Need {
	var needs []wire.Need
	for _, e := range list {
		if !strings.HasPrefix(e.Provider.KeyARN, "arn:") {
			continue
		}
		needs = append(needs, wire.Need{Action: "kms:DescribeKey", Resource: e.Provider.KeyARN},
			wire.Need{Action: "kms:CreateGrant", Resource: e.Provider.KeyARN, Context: map[string][]string{"kms:GrantIsForAWSResource": {"true"}}})
	}
	return needs
}
