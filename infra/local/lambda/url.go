package lambda

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// Function URLs, of AuthType NONE and InvokeMode BUFFERED: payload format 2.0 in both directions.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html

// functionURL is a function's URL.
type functionURL struct {
	s    *Service
	f    *function
	id   string // the first label of its host's name
	host string
}

func (s *Service) provideURL(_ string, properties json.RawMessage) (stack.Created, error) {
	var p struct{ AuthType, InvokeMode, Qualifier, TargetFunctionArn string }
	if err := stack.Decode(properties, &p); err != nil {
		return stack.Created{}, err
	}
	if p.AuthType != "NONE" || p.InvokeMode != "" && p.InvokeMode != "BUFFERED" || p.Qualifier != "" {
		return stack.Created{}, errors.New("the embedded cloud knows function URLs of AuthType NONE and InvokeMode BUFFERED only, without a Qualifier")
	}
	f, err := s.find(p.TargetFunctionArn)
	if err != nil {
		return stack.Created{}, err
	}
	s.mu.Lock()
	taken := f.hasURL
	f.hasURL = true
	s.mu.Unlock()
	if taken {
		return stack.Created{}, wire.Errf("ResourceConflictException", "Failed to create function url config for [functionArn = %s]. Error message:  FunctionUrlConfig exists for this Lambda function", s.ARN(f.config.Name)).WithStatus(http.StatusConflict)
	}
	u := &functionURL{s: s, f: f, id: s.w.Hex(32)}
	u.host = u.id + ".lambda-url." + s.w.Region + ".on.aws"
	url := "https://" + u.host + "/"
	if s.o.Serve != nil { // else nobody can call it
		if url, err = s.o.Serve(u); err != nil {
			return stack.Created{}, err
		}
	}
	return stack.Created{Ref: s.ARN(f.config.Name), Attributes: map[string]string{"FunctionArn": s.ARN(f.config.Name), "FunctionUrl": url}}, nil
}

// public tells whether anybody may call the function by its URL. Lambda wants both permissions.
func (f *function) public() bool {
	var url, invoke bool
	for _, p := range f.permissions {
		url = url || p.principal == "*" && p.action == actionInvokeURL && p.urlAuth == "NONE"
		invoke = invoke || p.principal == "*" && p.action == actionInvoke && p.viaURL
	}
	return url && invoke
}

// ServeHTTP invokes the function, and makes an HTTP response of its answer.
func (u *functionURL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.s.mu.Lock()
	public, name := u.f.public(), u.f.config.Name
	u.s.mu.Unlock()
	if !public {
		refuse(w, http.StatusForbidden, "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	if err != nil {
		return // the client has hung up
	}
	id := u.s.w.UUID()
	event, err := json.Marshal(u.event(r, id, body))
	if err != nil || len(body) > maxRequest || len(event) > maxRequest {
		refuse(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	result, err := u.s.invoke(name, id, "", event)
	var e *wire.Error
	switch {
	case errors.As(err, &e) && e.Status == http.StatusTooManyRequests:
		refuse(w, http.StatusTooManyRequests, "Rate Exceeded.")
	case err != nil || result.FunctionError != "":
		w.Header().Set("x-amzn-RequestId", id)
		refuse(w, http.StatusBadGateway, "Internal Server Error")
	default:
		w.Header().Set("x-amzn-RequestId", id)
		answerURL(w, result.Payload)
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"Message": message}) // the client may have hung up
}

// urlEvent is what the function gets.
type urlEvent struct {
	Version        string            `json:"version"`
	RouteKey       string            `json:"routeKey"`
	RawPath        string            `json:"rawPath"`
	RawQueryString string            `json:"rawQueryString"`
	Cookies        []string          `json:"cookies,omitempty"`
	Headers        map[string]string `json:"headers"`
	Query          map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext urlContext        `json:"requestContext"`
	Body           *string           `json:"body,omitempty"`
	Base64         bool              `json:"isBase64Encoded"`
}

type urlContext struct {
	AccountID    string `json:"accountId"`
	APIID        string `json:"apiId"`
	DomainName   string `json:"domainName"`
	DomainPrefix string `json:"domainPrefix"`
	HTTP         struct {
		Method    string `json:"method"`
		Path      string `json:"path"`
		Protocol  string `json:"protocol"`
		SourceIP  string `json:"sourceIp"`
		UserAgent string `json:"userAgent"`
	} `json:"http"`
	RequestID string `json:"requestId"`
	RouteKey  string `json:"routeKey"`
	Stage     string `json:"stage"`
	Time      string `json:"time"`
	TimeEpoch int64  `json:"timeEpoch"`
}

func (u *functionURL) event(r *http.Request, id string, body []byte) urlEvent {
	now := time.Now()
	e := urlEvent{Version: "2.0", RouteKey: "$default", RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery, Headers: map[string]string{"host": r.Host}}
	e.RequestContext = urlContext{
		AccountID: "anonymous", APIID: u.id, DomainName: u.host, DomainPrefix: u.id, RequestID: id, RouteKey: "$default", Stage: "$default",
		Time: now.UTC().Format("02/Jan/2006:15:04:05 +0000"), TimeEpoch: now.UnixMilli(),
	}
	http := &e.RequestContext.HTTP
	http.Method, http.Path, http.Protocol, http.UserAgent = r.Method, r.URL.Path, "HTTP/1.1", r.UserAgent()
	http.SourceIP, _, _ = net.SplitHostPort(r.RemoteAddr)
	for name, values := range r.Header {
		if name == "Cookie" {
			e.Cookies = values
			continue
		}
		e.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for name, values := range r.URL.Query() {
		if e.Query == nil {
			e.Query = map[string]string{}
		}
		e.Query[name] = strings.Join(values, ",")
	}
	if len(body) == 0 {
		return e
	}
	text := string(body)
	if e.Base64 = !isText(r.Header.Get("Content-Type")); e.Base64 {
		text = base64.StdEncoding.EncodeToString(body)
	}
	e.Body = &text
	return e
}

// isText tells whether Lambda hands a body over as it is.
func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/xml" || kind == "application/javascript")
}

// urlAnswer is what a function may say of its answer.
type urlAnswer struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Cookies    []string          `json:"cookies"`
	Body       string            `json:"body"`
	Base64     bool              `json:"isBase64Encoded"`
}

// answerURL writes what the function has said. Without a status code in it, it is itself the body.
func answerURL(w http.ResponseWriter, payload []byte) {
	var a urlAnswer
	body := payload
	if err := json.Unmarshal(payload, &a); err != nil || a.StatusCode == 0 {
		a = urlAnswer{StatusCode: http.StatusOK}
	} else if a.StatusCode < 100 || a.StatusCode > 599 {
		refuse(w, http.StatusBadGateway, "Internal Server Error")
		return
	} else if body = []byte(a.Body); a.Base64 {
		if body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			refuse(w, http.StatusBadGateway, "Internal Server Error")
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	for _, c := range a.Cookies {
		w.Header().Add("Set-Cookie", c)
	}
	w.WriteHeader(a.StatusCode)
	_, _ = w.Write(body) // the client may have hung up
}
