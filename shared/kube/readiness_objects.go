package kube

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// discovery is what the API server serves: by group and kind, the versions in its order of preference, with the names by which
// the kind is listed.
type discovery map[[2]string][]servedVersion

type servedVersion struct{ version, resource string }

// discover asks for all groups in one call (aggregated discovery, since 1.26).
func (r *ready) discover() (discovery, error) {
	const accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
	text, err := body(r.rest.Get().AbsPath("/apis").SetHeader("Accept", accept).MaxRetries(0).Do(r.ctx))
	if err != nil {
		return nil, classify("get /apis", err)
	}
	var list struct {
		Kind  string
		Items []struct {
			Metadata struct{ Name string }
			Versions []struct {
				Version   string
				Resources []struct {
					Resource     string
					ResponseKind *struct{ Kind string }
					Verbs        []string
				}
			}
		}
	}
	if err := json.Unmarshal(text, &list); err != nil || list.Kind != "APIGroupDiscoveryList" {
		return nil, fault.New(fault.Invalid, "get /apis: the API server has no aggregated discovery, which there is since 1.26")
	}
	out := discovery{}
	for _, g := range list.Items {
		for _, v := range g.Versions {
			for _, s := range v.Resources {
				if s.ResponseKind != nil && slices.Contains(s.Verbs, "list") {
					key := [2]string{g.Metadata.Name, s.ResponseKind.Kind}
					out[key] = append(out[key], servedVersion{v.Version, s.Resource})
				}
			}
		}
	}
	return out, nil
}

// objects reads who has written objects of kinds of which some version will be removed, and by which version. Versions that are
// removed already cannot be in use any more; stored Helm releases may have them still.
func (r *ready) objects() error {
	served, err := r.served()
	if err != nil {
		return err
	}
	var keys [][2]string
	for _, row := range readiness.Removals() {
		group, _, _ := strings.Cut(row.APIVersion, "/")
		key := [2]string{group, row.Kind}
		if row.Removed > r.from && len(served[key]) > 0 && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	var denied error
	for _, key := range keys {
		// By the version that stays, so that an object is listed by one that does not only if there is no other.
		versions := slices.Clone(served[key])
		goes := func(v servedVersion) int {
			if row, ok := r.goes(key[0]+"/"+v.version, key[1]); ok {
				return int(row.Removed) // what goes last is the next best
			}
			return 1 << 20
		}
		slices.SortStableFunc(versions, func(a, b servedVersion) int { return goes(b) - goes(a) })
		by := versions[0]
		q := query{op: "list " + key[1] + "s", path: "/apis/" + key[0] + "/" + by.version + "/" + by.resource}
		err := eachMeta(r.ctx, r.Client, q, func(m *metav1.PartialObjectMetadata) { r.written(key[0]+"/"+by.version, key[1], m) })
		if err := optional(err); fault.Is(err, fault.Denied) {
			denied = err
		} else if err != nil {
			return err
		}
	}
	return denied
}

// goes is the row of a kind that is served now and will not be.
func (r *ready) goes(apiVersion, kind string) (readiness.Removal, bool) {
	row, ok := readiness.RemovalOf(apiVersion, kind)
	return row, ok && row.Removed > r.from
}

// written notes by which versions that go an object was written.
func (r *ready) written(listed, kind string, m *metav1.PartialObjectMetadata) {
	add := func(version, writer string, at time.Time, by bool) {
		r.o.Objects = append(r.o.Objects, readiness.Object{
			APIVersion: version, Kind: kind, Namespace: m.Namespace, Name: m.Name, Writer: writer, Written: at, Listed: by,
		})
	}
	var found bool
	applied := lastApplied(m)
	for _, f := range m.ManagedFields {
		if f.Manager == "kubectl-client-side-apply" && f.APIVersion == applied {
			applied = "" // said once
		}
		if _, ok := r.goes(f.APIVersion, kind); !ok {
			continue
		}
		var at time.Time
		if f.Time != nil {
			at = f.Time.UTC()
		}
		found = found || f.APIVersion == listed
		add(f.APIVersion, f.Manager, at, f.APIVersion == listed)
	}
	if _, ok := r.goes(applied, kind); ok {
		found = found || applied == listed
		add(applied, "kubectl-client-side-apply", time.Time{}, applied == listed)
	}
	if _, ok := r.goes(listed, kind); ok && !found {
		add(listed, "", time.Time{}, true)
	}
}

// lastApplied is the version of what kubectl apply has left; nothing else of it is kept.
func lastApplied(m *metav1.PartialObjectMetadata) string {
	var o struct {
		APIVersion string `json:"apiVersion"`
	}
	if json.Unmarshal([]byte(m.Annotations[corev1.LastAppliedConfigAnnotation]), &o) != nil {
		return ""
	}
	return o.APIVersion
}

// metricsTimeout bounds the reading of the metrics, of which a large cluster has tens of megabytes.
const metricsTimeout = 25 * time.Second

// metrics reads which deprecated APIs somebody has asked for since the API server started. EKS has several API servers, and one
// of them answers: what it has not seen, another one may have. That is why this only adds to what insights say.
func (r *ready) metrics() error {
	ctx, cancel := context.WithTimeout(r.ctx, metricsTimeout)
	defer cancel()
	text, err := r.watch.Get().AbsPath("/metrics").SetHeader("Accept", "text/plain").MaxRetries(0).Stream(ctx)
	if err != nil {
		return classify("get /metrics", err)
	}
	defer func() { _ = text.Close() }() // only read
	r.o.Requested, err = requested(text)
	return classify("get /metrics", err)
}

var (
	requestedName = "apiserver_requested_deprecated_apis{"
	metricLabel   = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// requested reads the one metric, line by line.
func requested(text io.Reader) (out []readiness.Requested, err error) {
	lines := bufio.NewReaderSize(text, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if err == bufio.ErrBufferFull { // a line of nobody's interest
			continue
		}
		if said := string(line); strings.HasPrefix(said, requestedName) {
			if q, ok := requestedLine(said); ok && !slices.Contains(out, q) {
				out = append(out, q)
			}
		}
		switch {
		case err == io.EOF:
			return out, nil
		case err != nil:
			return out, fmt.Errorf("the answer broke off: %w", err)
		}
	}
}

// requestedLine reads: apiserver_requested_deprecated_apis{group="policy",removed_release="1.25",resource="podsecuritypolicies",
// subresource="",version="v1beta1"} 1.
func requestedLine(text string) (q readiness.Requested, ok bool) {
	end := strings.LastIndexByte(text, '}')
	if end < 0 || strings.TrimSpace(text[end+1:]) == "0" {
		return q, false
	}
	for _, m := range metricLabel.FindAllStringSubmatch(text[:end], -1) {
		switch m[1] {
		case "group":
			q.Group = m[2]
		case "version":
			q.Version = m[2]
		case "resource":
			q.Resource = m[2]
		case "removed_release":
			q.Removed, _ = fleet.ParseMinor(m[2]) // "" where none is planned
		}
	}
	return q, q.Resource != ""
}
