// Package control is the API by which the embedded cloud tells a control plane which machines exist: HTTP and JSON over
// a unix socket.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/ekspedite/ekspedite/infra/local/kubernetes/kubelet"
	"github.com/ekspedite/ekspedite/infra/local/kubernetes/plane"
)

// maxBody bounds what a caller can make this process hold.
const maxBody = 1 << 20

// Machines are the machines of one cluster, as kubelet.Kubelets implements them.
type Machines interface {
	Put(kubelet.Machine) error
	Delete(ctx context.Context, name string) error
	Stop(name string) error
	Start(name string) error
	List() []kubelet.Status
}

// Handler serves the control API. Every answer is JSON; an error is {"error": "…"}. collect hands over the calls of deprecated
// APIs since it was called last.
func Handler(machines Machines, collect func() []plane.DeprecatedCall) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"nodes": machines.List()})
	})
	mux.HandleFunc("PUT /nodes/{name}", func(w http.ResponseWriter, r *http.Request) {
		m, err := decode(r)
		if err == nil {
			err = machines.Put(m)
		}
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		// Accepted, not created: the Node appears when the machine has registered.
		answer(w, http.StatusAccepted, struct{}{})
	})
	mux.HandleFunc("DELETE /nodes/{name}", func(w http.ResponseWriter, r *http.Request) {
		finish(w, machines.Delete(r.Context(), r.PathValue("name")))
	})
	mux.HandleFunc("POST /nodes/{name}/stop", func(w http.ResponseWriter, r *http.Request) {
		finish(w, machines.Stop(r.PathValue("name")))
	})
	mux.HandleFunc("POST /nodes/{name}/start", func(w http.ResponseWriter, r *http.Request) {
		finish(w, machines.Start(r.PathValue("name")))
	})
	// Not GET: who asks takes the calls away.
	mux.HandleFunc("POST /deprecated", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"calls": append([]plane.DeprecatedCall{}, collect()...)})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, map[string]string{"error": "no such operation: " + r.Method + " " + r.URL.Path})
	})
	return mux
}

func decode(r *http.Request) (kubelet.Machine, error) {
	var m kubelet.Machine
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	// A field that is misspelt would otherwise be a label or taint that silently is not there.
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return m, fmt.Errorf("body: %w", err)
	}
	name := r.PathValue("name")
	if m.Name == "" {
		m.Name = name
	}
	if m.Name != name {
		return m, fmt.Errorf("the body is about node %q, the path about %q", m.Name, name)
	}
	return m, nil
}

func finish(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		answer(w, http.StatusOK, struct{}{})
	case errors.Is(err, kubelet.ErrUnknown):
		answer(w, http.StatusNotFound, map[string]string{"error": err.Error()})
	default:
		answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
	}
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // The caller has gone; nobody is left to tell.
}
