// Package webhook posts messages to webhooks: each once, without redirects, to no address that a function has no business with.
// Its errors say whether the message may have arrived, and never repeat an address, a header or more than a word of an answer:
// a webhook's URL is a secret.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// Request is one message to one webhook.
type Request struct {
	URL         string // a secret
	Headers     map[string]string
	ContentType string
	Body        []byte
}

// Client posts. Every message has a connection of its own: one that is used again could be closed under a request, of which nobody
// could tell then whether it arrived.
type Client struct {
	http     *http.Client
	timeout  time.Duration
	loopback bool
}

// New makes a client that waits so long for an answer. loopback allows this machine's own addresses, without TLS.
func New(timeout time.Duration, loopback bool) *Client {
	c := &Client{timeout: timeout, loopback: loopback}
	dialer := &net.Dialer{ControlContext: c.control}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: timeout, MaxResponseHeaderBytes: 64 << 10,
		}, // no Proxy: the environment has no say in where secrets go
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// errForbidden is an address that nothing is sent to.
var errForbidden = errors.New("its address is link-local, this machine's own, or none: nothing is sent there")

// control is asked for each address that a name stands for, right before the connection: what a name stood for earlier does not
// matter. Private networks are allowed: a webhook may be there.
func (c *Client) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || c.forbidden(at.Addr()) {
		return errForbidden
	}
	return nil
}

var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	// metadata is where EC2's metadata are by IPv6; by IPv4 they are link-local.
	metadata = netip.MustParsePrefix("fd00:ec2::/32")
	thisNet  = netip.MustParsePrefix("0.0.0.0/8")
)

func (c *Client) forbidden(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.IsLoopback() { // Lambda's Runtime API is there
		return !c.loopback
	}
	return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || metadata.Contains(a) || thisNet.Contains(a)
}

// Post sends a message. An error's class is fault.Invalid if it can never work; fault.Unsure tells whether the message may have
// arrived. All others were certainly not taken.
func (c *Client) Post(ctx context.Context, r Request) error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		return refused(fault.Invalid, "its address is no URL")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme != "https" && !(u.Scheme == "http" && c.loopback && ip != nil && ip.IsLoopback()) {
		return refused(fault.Invalid, "its address does not begin with https://")
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var written atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { written.Store(true) }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return refused(fault.Invalid, "its address is no URL")
	}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", r.ContentType)
	req.Header.Set("User-Agent", "ekspedite")
	res, err := c.http.Do(req)
	if err != nil {
		return c.failure(err, written.Load())
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return judge(res, answer)
}

const maxAnswer = 4 << 10

// refused is an error of a message that was certainly not taken.
func refused(class fault.Class, format string, args ...any) *fault.Error {
	return &fault.Error{Class: class, Op: "webhook", Err: fmt.Errorf(format, args...)}
}

// failure says in words of our own why there is no answer: those of net/http repeat the URL.
func (c *Client) failure(err error, written bool) error {
	var dns *net.DNSError
	var tlsErr *tls.CertificateVerificationError
	var number syscall.Errno
	var timeout net.Error
	out := refused(fault.Transient, "no connection could be made")
	switch {
	case errors.Is(err, errForbidden):
		return refused(fault.Invalid, "%v", errForbidden)
	case written: // the rest is about requests of which nothing was sent
		out = refused(fault.Transient, "the connection ended without an answer")
		if out.Unsure = true; errors.As(err, &timeout) && timeout.Timeout() {
			out.Err = fmt.Errorf("no answer within %s", c.timeout)
		}
	case errors.As(err, &dns) && dns.IsNotFound:
		out.Err = errors.New("its host has no address")
	case errors.As(err, &tlsErr):
		return refused(fault.Invalid, "its certificate is not one to be believed")
	case errors.As(err, &number):
		out.Err = fmt.Errorf("no connection could be made: %w", number)
	case errors.As(err, &timeout) && timeout.Timeout():
		out.Err = fmt.Errorf("no connection could be made within %s", c.timeout)
	}
	return out
}

// word is an answer that is safe to repeat, like Slack's channel_is_archived: one word in small letters.
var word = regexp.MustCompile(`^[a-z]+(_[a-z]+){1,5}$`)

// judge says what an answer means.
func judge(res *http.Response, answer []byte) error {
	said := ""
	if len(answer) <= 40 && word.Match(answer) {
		said = " (" + string(answer) + ")"
	}
	code := fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode))
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return nil
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return refused(fault.Invalid, "it answered %s: redirects are not followed", code)
	case res.StatusCode == http.StatusTooManyRequests:
		out := refused(fault.Throttled, "it answered %s%s", code, said)
		if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 {
			out.RetryAfter = time.Duration(min(s, 120)) * time.Second
		}
		return out
	case res.StatusCode == http.StatusGatewayTimeout, res.StatusCode == http.StatusBadGateway: // who stands before it does not know
		out := refused(fault.Transient, "it answered %s: it may have the message", code)
		out.Unsure = true
		return out
	case res.StatusCode >= 500, res.StatusCode == http.StatusRequestTimeout, res.StatusCode == http.StatusTooEarly:
		return refused(fault.Transient, "it answered %s%s", code, said)
	}
	return refused(fault.Invalid, "it answered %s%s", code, said)
}
