// Package wire speaks AWS's protocols on the server side, so that the services of the embedded cloud are plain Go
// functions from a typed request to a typed response.
//
// A service registers its operations with Handle and says for each which IAM actions on which resources it needs. The
// Gateway authenticates (SigV4), routes by signing name, decodes (awsJson, restJson, query, ec2), authorises, injects
// faults, calls and encodes. What no service implements is answered with 501 and the operation's name: the embedded
// cloud never falls through to AWS.
package wire

import (
	"context"
	"fmt"
	"maps"
	"net/http"
)

// Principal is who signed a call.
type Principal struct {
	Account     string // 12 digits
	ARN         string // what GetCallerIdentity shows, for a role session arn:aws:sts::…:assumed-role/NAME/SESSION
	UserID      string // GetCallerIdentity's UserId
	RoleARN     string // the role behind a session; empty for the account's root user
	AccessKeyID string
	Root        bool // the account's root user, whom no policy binds: what a developer's own credentials are here
}

// Call is one authenticated API call, as the operation sees it.
type Call struct {
	Service   string // signing name, as in the credential scope: "sqs", "events", "eks"
	Operation string
	Caller    Principal
	RequestID string
	Account   string
	Region    string // in which it is made, as signed; us-east-1 for global services
	Endpoint  string // base URL at which the caller reached us, for queue URLs and the like
}

// Need is one permission that a call requires. Context holds the condition keys that the request carries
// ("iam:PassedToService", "aws:RequestTag/team"); global keys such as aws:PrincipalArn are the authorizer's business.
type Need struct {
	Action   string // "sqs:SendMessage"
	Resource string // an ARN, or "*" where the action has no resource level
	Context  map[string][]string
	// Policy is the resource's own policy document, for services whose resources have one (a bucket, a key): it may allow
	// or deny besides the caller's policies. PolicyMust says that the caller's policies count for nothing unless it
	// allows too, to the caller or to the account, as with AWS KMS.
	Policy     []byte
	PolicyMust bool
}

// In adds the Region that the call is made in, for policies with aws:RequestedRegion.
func (n Need) In(region string) Need {
	ctx := maps.Clone(n.Context)
	if ctx == nil {
		ctx = map[string][]string{}
	}
	ctx["aws:RequestedRegion"] = []string{region}
	n.Context = ctx
	return n
}

// globalRegion is where global services are, whatever Region a client has put into its signature.
const globalRegion = "us-east-1"

// Op is one operation of a service: made by Handle.
type Op struct {
	Name   string
	Method string // restJson only
	Path   string // restJson only, in net/http's pattern syntax: "/clusters/{name}/updates"
	invoke func(ctx context.Context, call *Call, decode func(any) error, authorize func([]Need) error) (any, error)
}

// REST returns the operation bound to an HTTP method and path, for restJson services.
func (o Op) REST(method, path string) Op {
	o.Method, o.Path = method, path
	return o
}

// Handle makes an operation out of typed functions. needs is asked after decoding and before do; a nil needs means that
// the call requires no permission (GetCallerIdentity). do returns *Error for what AWS documents; any other error
// becomes a 500 InternalFailure.
func Handle[In, Out any](name string, needs func(*Call, *In) []Need, do func(context.Context, *Call, *In) (*Out, error)) Op {
	return Op{Name: name, invoke: func(ctx context.Context, call *Call, decode func(any) error, authorize func([]Need) error) (any, error) {
		in := new(In)
		if err := decode(in); err != nil {
			return nil, err
		}
		if needs != nil {
			if err := authorize(needs(call, in)); err != nil {
				return nil, err
			}
		}
		out, err := do(ctx, call, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// On is a short needs function: one action on one fixed resource.
func On[In any](action, resource string) func(*Call, *In) []Need {
	return func(*Call, *In) []Need { return []Need{{Action: action, Resource: resource}} }
}

// Protocol is how a service's requests and responses look on the wire.
type Protocol int

// The protocols that the emulated services use.
const (
	JSON10   Protocol = iota // awsJson1_0: sqs, dynamodb
	JSON11                   // awsJson1_1: events, logs, ssm
	RESTJSON                 // restJson1: eks, scheduler, lambda
	Query                    // awsQuery: iam, sts, autoscaling, cloudformation
	EC2Query                 // ec2Query
	RESTXML                  // restXml: s3
)

// Service is one AWS API.
type Service struct {
	Name         string // signing name
	Protocol     Protocol
	TargetPrefix string // awsJson: "AmazonSQS"; the X-Amz-Target before the dot
	XMLNamespace string // query and ec2
	ErrorPrefix  string // awsJson: "com.amazonaws.sqs", before the # of __type
	Global       bool   // one for all Regions, which policies see in us-east-1: iam
	CRC32        bool   // responses carry X-Amz-Crc32, as DynamoDB's do; its SDKs complain without
	// Route names the operation of a request; restXml only.
	Route func(*http.Request) string
	Ops   []Op
}

// Error is an error as AWS documents it.
type Error struct {
	Code    string // "ResourceNotFoundException"
	Message string
	Status  int            // HTTP status; 0 means 400
	Fields  map[string]any // further members of a modelled exception: {"clusterName": …}
	// QueryCode is the code for clients of a service that once spoke the query protocol, in x-amzn-query-error.
	QueryCode string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func (e *Error) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Errf makes an Error with HTTP status 400 and a formatted message.
func Errf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithStatus returns a copy of the error with another HTTP status.
func (e *Error) WithStatus(status int) *Error {
	c := *e
	c.Status = status
	return &c
}
