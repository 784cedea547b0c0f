package awscloud

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// queryAPI is a service whose few operations in use are called by hand, by the Query protocol, so that the SDK's module of it
// is no dependency. The calls are rare, and count in no budget.
type queryAPI struct {
	cfg     Config
	signing string // name in signatures: "cloudformation"
	host    string // first part of the endpoint: "monitoring"
	version string // of the API: "2010-05-15"
}

// call makes one call. Its parameters are named as the API reference has them. An error has its class.
func (q queryAPI) call(ctx context.Context, op, action string, form url.Values) ([]byte, error) {
	if q.cfg.Region == "" {
		return nil, fault.New(fault.Invalid, "%s: no Region is set", op)
	}
	form.Set("Action", action)
	form.Set("Version", q.version)
	body := form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.endpoint(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	credentials, err := q.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, classify(op, err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, credentials, req, hex.EncodeToString(sum[:]), q.signing, q.cfg.Region, time.Now()); err != nil {
		return nil, classify(op, err)
	}
	var client interface {
		Do(*http.Request) (*http.Response, error)
	} = http.DefaultClient
	if q.cfg.HTTPClient != nil {
		client = q.cfg.HTTPClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, classify(op, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, classify(op, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answeredError(op, resp.StatusCode, answer)
	}
	return answer, nil
}

func (q queryAPI) endpoint() string {
	if q.cfg.BaseEndpoint != nil {
		return *q.cfg.BaseEndpoint + "/"
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(q.cfg.Region, "cn-") {
		domain += ".cn"
	}
	return "https://" + q.host + "." + q.cfg.Region + "." + domain + "/"
}

// answeredError reads an answer that is an error.
func answeredError(op string, status int, body []byte) error {
	var problem struct {
		Error struct{ Code, Message string }
	}
	if err := xml.Unmarshal(body, &problem); err != nil || problem.Error.Code == "" {
		return &fault.Error{Class: fault.Transient, Op: op, Err: fmt.Errorf("HTTP status %d", status)}
	}
	class := fault.Transient
	switch code := problem.Error.Code; {
	case code == "ValidationError" && strings.Contains(problem.Error.Message, "does not exist"), strings.HasPrefix(code, "ResourceNotFound"):
		class = fault.NotFound
	case strings.HasPrefix(code, "AccessDenied"), status == http.StatusForbidden:
		class = fault.Denied
	case strings.HasPrefix(code, "Throttling"):
		class = fault.Throttled
	case status < http.StatusInternalServerError:
		class = fault.Invalid
	}
	return &fault.Error{Class: class, Op: op, Code: problem.Error.Code, Err: errors.New(problem.Error.Code + ": " + problem.Error.Message)}
}

// parameters are an input as the Query protocol has it: Name, Name.member.1, Name.member.1.Field.
func parameters(in fleet.Props) url.Values {
	form := url.Values{}
	var add func(name string, v any)
	add = func(name string, v any) {
		switch v := v.(type) {
		case fleet.Props:
			for k, inner := range v {
				k = strings.ToUpper(k[:1]) + k[1:]
				if name != "" {
					k = name + "." + k
				}
				add(k, inner)
			}
		case []any:
			for i, inner := range v {
				add(name+".member."+strconv.Itoa(i+1), inner)
			}
		default:
			form.Set(name, fmt.Sprint(v))
		}
	}
	add("", in)
	return form
}
