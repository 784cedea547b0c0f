package awscloud

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Tokens makes EKS bearer tokens: presigned GetCallerIdentity requests that name the cluster in a signed header.
type Tokens struct {
	presign *sts.PresignClient
	now     func() time.Time

	mu     sync.Mutex
	cached map[string]token
}

type token struct {
	value string
	until time.Time
}

// NewTokens makes tokens with the configuration's credentials.
func NewTokens(cfg Config, now func() time.Time) *Tokens {
	return &Tokens{presign: sts.NewPresignClient(sts.NewFromConfig(cfg)), now: now, cached: map[string]token{}}
}

// tokenLife: EKS accepts a token for 15 minutes after it was signed. We use it for 10.
const tokenLife = 10 * time.Minute

// Token returns a token for the cluster. It costs no network call.
func (t *Tokens) Token(ctx context.Context, cluster string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if c, ok := t.cached[cluster]; ok && now.Before(c.until) {
		return c.value, nil
	}
	req, err := t.presign.PresignGetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.PresignOptions) {
		o.Presigner = clusterSigner{o.Presigner, cluster}
	})
	if err != nil {
		return "", fmt.Errorf("signing a token for cluster %s: %w", cluster, err)
	}
	value := "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(req.URL))
	t.cached[cluster] = token{value, now.Add(tokenLife)}
	return value, nil
}

// clusterSigner adds the header that binds the token to one cluster and the expiry that EKS wants.
type clusterSigner struct {
	next    sts.HTTPPresignerV4
	cluster string
}

// PresignHTTP implements sts.HTTPPresignerV4.
func (s clusterSigner) PresignHTTP(ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) (string, http.Header, error) {
	r.Header.Set("x-k8s-aws-id", s.cluster)
	q := r.URL.Query()
	q.Set("X-Amz-Expires", "60") // as aws-iam-authenticator and the AWS CLI do
	r.URL.RawQuery = q.Encode()
	return s.next.PresignHTTP(ctx, credentials, r, payloadHash, service, region, at, opts...)
}
