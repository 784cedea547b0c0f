package lambda

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxResponse is the largest synchronous response: 6 MB and some.
const maxResponse = 6291556

// handler is the Runtime API for one environment:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func (e *environment) handler() http.Handler {
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", e.serveNext)
	mux.HandleFunc("POST "+base+"invocation/{id}/response", e.serveResponse)
	mux.HandleFunc("POST "+base+"invocation/{id}/error", e.serveError)
	mux.HandleFunc("POST "+base+"init/error", e.serveInitError)
	return mux
}

func (e *environment) serveNext(w http.ResponseWriter, r *http.Request) {
	select {
	case e.polled <- struct{}{}:
	default: // a poll is known to wait already
	}
	var inv *invocation
	select {
	case inv = <-e.next:
	case <-r.Context().Done():
		return
	}
	e.mu.Lock()
	e.current = inv
	e.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", e.f.s.ARN(e.config.Name))
	h.Set("Lambda-Runtime-Trace-Id", trace(inv.id))
	if inv.context != "" {
		h.Set("Lambda-Runtime-Client-Context", inv.context)
	}
	_, _ = w.Write(inv.payload) // the process is gone: its exit says so
}

// trace makes an X-Ray header that is not sampled, unique like the request.
func trace(id string) string {
	hex := make([]byte, 0, 32)
	for _, c := range []byte(id) {
		if c != '-' {
			hex = append(hex, c)
		}
	}
	return "Root=1-" + strconv.FormatInt(time.Now().Unix(), 16) + "-" + string(hex[:24]) + ";Parent=" + string(hex[:16]) + ";Sampled=0"
}

// take ends the current invocation when its id is the one given.
func (e *environment) take(w http.ResponseWriter, id string) *invocation {
	e.mu.Lock()
	inv := e.current
	if inv != nil && inv.id == id {
		e.current = nil
	}
	e.mu.Unlock()
	if inv == nil || inv.id != id {
		reply(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
		return nil
	}
	return inv
}

func (e *environment) serveResponse(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse+1))
	if err != nil {
		reply(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	inv := e.take(w, r.PathValue("id"))
	switch {
	case inv == nil:
	case len(body) > maxResponse:
		reply(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size (6291556 bytes).")
		inv.done <- failure("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (6291556 bytes).")
	default:
		accepted(w)
		inv.done <- answer{payload: body}
	}
}

func (e *environment) serveError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		reply(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	if inv := e.take(w, r.PathValue("id")); inv != nil {
		accepted(w)
		inv.done <- answer{payload: body, functionError: "Unhandled"}
	}
}

func (e *environment) serveInitError(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		reply(w, http.StatusBadRequest, "InvalidRequest", err.Error())
		return
	}
	e.mu.Lock()
	e.initError = body
	e.mu.Unlock()
	accepted(w)
	// The runtime is to exit now. One that does not would keep its caller waiting.
	go func() {
		t := time.NewTimer(time.Second)
		defer t.Stop()
		select {
		case <-e.exited:
		case <-t.C:
			e.kill()
		}
	}()
}

func accepted(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`)
}

func reply(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": message})
}
