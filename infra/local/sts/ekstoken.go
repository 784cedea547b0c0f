package sts

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

const (
	tokenPrefix   = "k8s-aws-v1."
	clusterHeader = "x-k8s-aws-id"
	// tokenLife is how long EKS takes a token after it was signed, whatever X-Amz-Expires says: the CLI signs for 60
	// seconds and its tokens are good for 14 minutes.
	tokenLife  = 15 * time.Minute
	maxExpires = 900
	maxToken   = 4096 // as aws-iam-authenticator has it
	maxAhead   = 5 * time.Minute
)

// queryAllowed are the parameters that a token's URL may have, in lower case: anything else could turn the request into
// another one than the identity check that it is taken for.
var queryAllowed = []string{
	"action", "version", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token",
	"x-amz-signature", "x-amz-signedheaders", "x-amz-user-agent",
}

// stsHost is a host of STS, the global one or with its Region as the second group.
var stsHost = regexp.MustCompile(`^sts(-fips)?(?:\.([a-z0-9-]+))?\.(amazonaws\.com(\.cn)?|api\.aws)$`)

// VerifyEKSToken finds out who made an EKS bearer token for a cluster, as EKS's authenticator does: the token is
// "k8s-aws-v1." and the base64url of a presigned STS GetCallerIdentity URL whose signature covers the cluster's name in
// the header x-k8s-aws-id. Every refusal says why. Nothing is sent anywhere.
func (s *Service) VerifyEKSToken(token, clusterName string, now time.Time) (wire.Principal, error) {
	who, err := s.verify(token, clusterName, now)
	if err != nil {
		return wire.Principal{}, fmt.Errorf("EKS token refused: %w", err)
	}
	return who, nil
}

func (s *Service) verify(token, clusterName string, now time.Time) (wire.Principal, error) {
	var nobody wire.Principal
	if len(token) > maxToken {
		return nobody, fmt.Errorf("it is longer than %d bytes", maxToken)
	}
	encoded, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return nobody, fmt.Errorf("it does not begin with %s", tokenPrefix)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nobody, fmt.Errorf("it is not base64url: %w", err)
	}
	u, err := url.Parse(string(raw))
	if err != nil {
		return nobody, fmt.Errorf("it does not hold a URL: %w", err)
	}
	if err := checkURL(u); err != nil {
		return nobody, err
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	r.Header.Set(clusterHeader, clusterName)
	sig, err := wire.ParseSignature(r)
	if err != nil {
		return nobody, err
	}
	if sig.Service != "sts" {
		return nobody, fmt.Errorf("it is signed for %s, not sts", sig.Service)
	}
	if err := checkRegion(u.Hostname(), sig.Region); err != nil {
		return nobody, err
	}
	switch age := now.Sub(sig.Time); {
	case !sig.Header(clusterHeader):
		return nobody, fmt.Errorf("its signature does not cover the header %s, so that it is bound to no cluster", clusterHeader)
	case !sig.Header("host"):
		return nobody, fmt.Errorf("its signature does not cover the host")
	case age > tokenLife:
		return nobody, fmt.Errorf("it expired: it was signed at %s, and tokens are good for %s", sig.Time.Format(time.RFC3339), tokenLife)
	case age < -maxAhead:
		return nobody, fmt.Errorf("it was signed in the future, at %s", sig.Time.Format(time.RFC3339))
	}
	// STS checks X-Amz-Expires when it is called. EKS's own limit is the 15 minutes above, so the signature is verified as
	// of the moment of signing.
	who, err := sig.Verify(r, nil, s.ids, sig.Time)
	if err != nil {
		return nobody, fmt.Errorf("for cluster %s: %w", clusterName, err)
	}
	return who, nil
}

// checkRegion refuses what the STS of the host's Region would refuse: a signature for another Region. The local endpoint
// stands for the STS of every Region.
func checkRegion(host, signed string) error {
	if _, err := world.FindRegion(signed); err != nil {
		return err
	}
	if m := stsHost.FindStringSubmatch(host); m != nil && cmp.Or(m[2], "us-east-1") != signed {
		return fmt.Errorf("its host is %s, and it is signed for %s: Credential should be scoped to a valid region", host, signed)
	}
	return nil
}

func checkURL(u *url.URL) error {
	host := u.Hostname()
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case !local && !stsHost.MatchString(host):
		return fmt.Errorf("%q is neither a host of STS nor the local endpoint", host)
	case u.Scheme != "https" && !local:
		return fmt.Errorf("its URL is %s, not https", u.Scheme)
	case u.Path != "" && u.Path != "/":
		return fmt.Errorf("its URL has the path %q", u.Path)
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("its URL has a user or a fragment")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fmt.Errorf("its URL's query is malformed: %w", err)
	}
	seen := map[string]bool{}
	for name, values := range q {
		lower := strings.ToLower(name)
		if !slices.Contains(queryAllowed, lower) {
			return fmt.Errorf("its URL has the parameter %q", name)
		}
		if len(values) != 1 || seen[lower] {
			return fmt.Errorf("its URL has the parameter %q twice", name)
		}
		seen[lower] = true
	}
	if q.Get("Action") != "GetCallerIdentity" {
		return fmt.Errorf("it signs the action %q, not GetCallerIdentity", q.Get("Action"))
	}
	if e := q.Get("X-Amz-Expires"); e != "" {
		if n, err := strconv.Atoi(e); err != nil || n < 0 || n > maxExpires {
			return fmt.Errorf("its X-Amz-Expires of %s is not within 0 to %d seconds", e, maxExpires)
		}
	}
	return nil
}
