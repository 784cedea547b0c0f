package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Credentials finds the secret behind an access key. The token is the session token that must accompany temporary
// credentials; it is empty for long-lived ones.
type Credentials interface {
	Lookup(accessKeyID string) (secret, token string, who Principal, ok bool)
}

// Signature is a parsed Signature Version 4.
type Signature struct {
	AccessKeyID string
	Date        string // yyyymmdd
	Region      string
	Service     string // signing name
	Time        time.Time
	Token       string
	headers     []string
	signature   string
	presigned   bool
	expires     time.Duration
}

const amzTime = "20060102T150405Z"

// ParseSignature reads the signature from the Authorization header or, for presigned requests, from the query.
func ParseSignature(r *http.Request) (*Signature, error) {
	q := r.URL.Query()
	if q.Get("X-Amz-Algorithm") != "" {
		return parsePresigned(q)
	}
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return nil, Errf("MissingAuthenticationToken", "Missing Authentication Token").WithStatus(http.StatusForbidden)
	}
	s := &Signature{Token: r.Header.Get("X-Amz-Security-Token")}
	for part := range strings.SplitSeq(auth, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch k {
		case "Credential":
			s.scope(v)
		case "SignedHeaders":
			s.headers = strings.Split(v, ";")
		case "Signature":
			s.signature = v
		}
	}
	t, err := time.Parse(amzTime, r.Header.Get("X-Amz-Date"))
	if err != nil || s.Service == "" || s.signature == "" {
		return nil, Errf("IncompleteSignature", "the Authorization or X-Amz-Date header is incomplete").WithStatus(http.StatusForbidden)
	}
	s.Time = t
	return s, nil
}

func parsePresigned(q url.Values) (*Signature, error) {
	s := &Signature{
		Token: q.Get("X-Amz-Security-Token"), presigned: true,
		headers: strings.Split(q.Get("X-Amz-SignedHeaders"), ";"), signature: q.Get("X-Amz-Signature"),
	}
	s.scope(q.Get("X-Amz-Credential"))
	t, err := time.Parse(amzTime, q.Get("X-Amz-Date"))
	seconds, err2 := strconv.Atoi(q.Get("X-Amz-Expires"))
	if q.Get("X-Amz-Expires") == "" {
		seconds, err2 = 900, nil // STS's own default for presigned calls
	}
	if err != nil || err2 != nil || s.Service == "" || s.signature == "" {
		return nil, Errf("IncompleteSignature", "the presigned query parameters are incomplete").WithStatus(http.StatusForbidden)
	}
	s.Time, s.expires = t, time.Duration(seconds)*time.Second
	return s, nil
}

func (s *Signature) scope(credential string) {
	p := strings.Split(credential, "/")
	if len(p) == 5 && p[4] == "aws4_request" {
		s.AccessKeyID, s.Date, s.Region, s.Service = p[0], p[1], p[2], p[3]
	}
}

// Header tells whether the named header is covered by the signature.
func (s *Signature) Header(name string) bool {
	return slices.Contains(s.headers, strings.ToLower(name))
}

// Verify checks the signature of r, whose body is given, and returns who signed it.
func (s *Signature) Verify(r *http.Request, body []byte, creds Credentials, now time.Time) (Principal, error) {
	secret, token, who, ok := creds.Lookup(s.AccessKeyID)
	if !ok || token != s.Token {
		return Principal{}, Errf("UnrecognizedClientException", "The security token included in the request is invalid.").WithStatus(http.StatusForbidden)
	}
	if s.presigned && now.After(s.Time.Add(s.expires)) || !s.presigned && (now.Sub(s.Time) > 15*time.Minute || s.Time.Sub(now) > 15*time.Minute) {
		return Principal{}, Errf("ExpiredTokenException", "Signature expired: %s is too far from %s", s.Time.Format(amzTime), now.UTC().Format(amzTime)).WithStatus(http.StatusForbidden)
	}
	if !hmac.Equal([]byte(s.sign(secret, s.canonical(r, body))), []byte(s.signature)) {
		return Principal{}, Errf("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.").WithStatus(http.StatusForbidden)
	}
	return who, nil
}

func (s *Signature) sign(secret, canonical string) string {
	scope := strings.Join([]string{s.Date, s.Region, s.Service, "aws4_request"}, "/")
	sum := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", s.Time.Format(amzTime), scope, hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request", toSign} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func (s *Signature) canonical(r *http.Request, body []byte) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	var headers strings.Builder
	for _, h := range s.headers {
		v := strings.Join(r.Header.Values(h), ",")
		switch h {
		case "host":
			v = r.Host
		case "content-length":
			v = strconv.FormatInt(r.ContentLength, 10)
		}
		headers.WriteString(h + ":" + strings.Join(strings.Fields(v), " ") + "\n")
	}
	// Amazon S3 signs the path as it is, not escaped once more, and takes presigned requests with any payload.
	escaped := escape(path, true)
	payload := r.Header.Get("X-Amz-Content-Sha256")
	if s.Service == "s3" {
		escaped = escape(r.URL.Path, true)
		if payload == "" && s.presigned {
			payload = "UNSIGNED-PAYLOAD"
		}
	}
	if payload == "" {
		sum := sha256.Sum256(body)
		payload = hex.EncodeToString(sum[:])
	}
	return strings.Join([]string{
		r.Method, escaped, canonicalQuery(r.URL.Query()), headers.String(), strings.Join(s.headers, ";"), payload,
	}, "\n")
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for k, vs := range q {
		if k == "X-Amz-Signature" {
			continue
		}
		for _, v := range vs {
			pairs = append(pairs, escape(k, false)+"="+escape(v, false))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is SigV4's URI encoding: everything but unreserved characters, and '/' in paths.
func escape(s string, keepSlash bool) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0 || c == '/' && keepSlash {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}
