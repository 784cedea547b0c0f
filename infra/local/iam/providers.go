package iam

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// onProvider says that an operation needs one action on the OpenID Connect provider that the request names.
func (s *Service) onProvider(action string) func(*request) []wire.Need {
	return func(in *request) []wire.Need {
		n := wire.Need{Action: "iam:" + action, Resource: in.OpenIDConnectProviderArn, Context: requestTags(in.Tags)}
		if p := s.providers[in.OpenIDConnectProviderArn]; p != nil {
			resourceTags(n.Context, p.tags)
		}
		if in.TagKeys != nil {
			n.Context["aws:TagKeys"] = in.TagKeys
		}
		return []wire.Need{n}
	}
}

func (s *Service) withProvider(name string, do func(*oidcProvider, *request) (any, error)) wire.Op {
	return s.op(name, s.onProvider(name), func(in *request) (any, error) {
		p := s.providers[in.OpenIDConnectProviderArn]
		if p == nil {
			return nil, notFound("OpenIDConnect Provider not found for arn %s", in.OpenIDConnectProviderArn)
		}
		return do(p, in)
	})
}

// providerOps are the OpenID Connect providers, for IAM roles for service accounts.
func (s *Service) providerOps() []wire.Op {
	return []wire.Op{
		s.op("CreateOpenIDConnectProvider", func(in *request) []wire.Need {
			n := wire.Need{Action: "iam:CreateOpenIDConnectProvider", Resource: s.arn("oidc-provider/" + strings.TrimPrefix(in.Url, "https://")), Context: requestTags(in.Tags)}
			if len(in.Tags) == 0 {
				return []wire.Need{n}
			}
			return []wire.Need{n, {Action: "iam:TagOpenIDConnectProvider", Resource: n.Resource, Context: n.Context}}
		}, s.createProvider),
		s.withProvider("GetOpenIDConnectProvider", func(p *oidcProvider, _ *request) (any, error) {
			return struct {
				Url            string
				ClientIDList   []string `xml:"ClientIDList>member"`
				ThumbprintList []string `xml:"ThumbprintList>member"`
				CreateDate     wire.Time
				Tags           []Tag `xml:"Tags>member,omitempty"`
			}{p.url, p.clients, p.thumbprint, wire.Time{Time: p.created}, p.tags}, nil
		}),
		s.op("ListOpenIDConnectProviders", needs("iam:ListOpenIDConnectProviders", "*"), func(*request) (any, error) {
			type entry struct{ Arn string }
			var list []entry
			for _, arn := range sorted(s.providers) {
				list = append(list, entry{arn})
			}
			return struct {
				List []entry `xml:"OpenIDConnectProviderList>member"`
			}{list}, nil
		}),
		s.op("DeleteOpenIDConnectProvider", s.onProvider("DeleteOpenIDConnectProvider"), func(in *request) (any, error) {
			delete(s.providers, in.OpenIDConnectProviderArn) // IAM does not mind if there is none
			return nil, nil
		}),
		s.withProvider("TagOpenIDConnectProvider", func(p *oidcProvider, in *request) (any, error) { return nil, setTags(&p.tags, in.Tags) }),
		s.withProvider("UntagOpenIDConnectProvider", func(p *oidcProvider, in *request) (any, error) {
			p.tags = remove(p.tags, in.TagKeys)
			return nil, nil
		}),
		s.withProvider("ListOpenIDConnectProviderTags", func(p *oidcProvider, in *request) (any, error) { return tagList(p.tags, in) }),
		s.withProvider("AddClientIDToOpenIDConnectProvider", func(p *oidcProvider, in *request) (any, error) {
			if !slices.Contains(p.clients, in.ClientID) { // again is fine
				p.clients = append(p.clients, in.ClientID)
			}
			return nil, nil
		}),
		s.withProvider("RemoveClientIDFromOpenIDConnectProvider", func(p *oidcProvider, in *request) (any, error) {
			p.clients = slices.DeleteFunc(slices.Clone(p.clients), func(c string) bool { return c == in.ClientID })
			return nil, nil
		}),
		s.withProvider("UpdateOpenIDConnectProviderThumbprint", func(p *oidcProvider, in *request) (any, error) {
			if err := checkThumbprints(in.ThumbprintList); err != nil {
				return nil, err
			}
			p.thumbprint = in.ThumbprintList
			return nil, nil
		}),
	}
}

var thumbprintPattern = regexp.MustCompile(`^[0-9a-fA-F]{40}$`)

func checkThumbprints(list []string) error {
	for _, t := range list {
		if !thumbprintPattern.MatchString(t) {
			return wire.Errf("ValidationError", "Thumbprint %s is not valid: it must be 40 hexadecimal digits", t)
		}
	}
	if len(list) > 5 {
		return wire.Errf("InvalidInput", "Thumbprint list must contain fewer than 5 entries.")
	}
	return nil
}

func (s *Service) createProvider(in *request) (any, error) {
	host, ok := strings.CutPrefix(in.Url, "https://")
	if !ok || host == "" {
		return nil, wire.Errf("ValidationError", "Invalid Open ID Connect Provider URL")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkThumbprints(in.ThumbprintList); err != nil {
		return nil, err
	}
	host = strings.TrimSuffix(host, "/")
	p := &oidcProvider{arn: s.arn("oidc-provider/" + host), url: host, clients: in.ClientIDList, thumbprint: in.ThumbprintList,
		created: time.Now(), tags: merge(nil, in.Tags)}
	if s.providers[p.arn] != nil {
		return nil, exists("Provider with url %s already exists.", in.Url)
	}
	if len(s.providers) >= maxProviders {
		return nil, quota("OpenIdConnectProvidersPerAccount", maxProviders)
	}
	s.providers[p.arn] = p
	return struct{ OpenIDConnectProviderArn string }{p.arn}, nil
}
