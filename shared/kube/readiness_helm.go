package kube

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

const (
	helmType = "helm.sh/release.v1"
	// helmPage is how many releases are read at once: a Secret takes up to a megabyte.
	helmPage = 20
	// helmMost bounds an unpacked release. A Secret of a megabyte holds some ten of them.
	helmMost = 64 << 20
)

// helm reads what kinds of objects the deployed releases have in their manifests. Of the secrets nothing else is kept, and
// nothing is ever logged: a manifest may hold passwords.
func (r *ready) helm() error {
	newest := map[string]int{} // index by namespace/name
	return each(r.ctx, r.Client, query{op: "list Secrets of Helm", path: "/api/v1/secrets", fields: "type=" + helmType, labels: "owner=helm,status=deployed", limit: helmPage}, func(s *corev1.Secret) {
		release, err := helmRelease(s.Data["release"])
		if err != nil {
			r.unread(readiness.PartHelm, fmt.Errorf("the Helm release in Secret %s is damaged: %w", id(&s.ObjectMeta), err))
			return
		}
		if release.Namespace == "" {
			release.Namespace = s.Namespace
		}
		key := release.Namespace + "/" + release.Name
		if at, ok := newest[key]; ok {
			if r.o.Helm[at].Revision < release.Revision {
				r.o.Helm[at] = release
			}
			return
		}
		newest[key], r.o.Helm = len(r.o.Helm), append(r.o.Helm, release)
	})
}

// helmRelease reads what Helm stores: base64 of gzip of JSON. Very old ones are not packed.
func helmRelease(data []byte) (out readiness.HelmRelease, err error) {
	packed, err := base64.StdEncoding.DecodeString(string(data))
	if err != nil {
		return out, errors.New("it is not base64")
	}
	var text io.Reader = bytes.NewReader(packed)
	if bytes.HasPrefix(packed, []byte{0x1f, 0x8b, 8}) {
		if text, err = gzip.NewReader(text); err != nil {
			return out, errors.New("it cannot be unpacked")
		}
	}
	var release struct {
		Name, Namespace, Manifest string
		Version                   int
		Chart                     struct {
			Metadata struct{ Name, Version string }
		}
	}
	if err := json.NewDecoder(io.LimitReader(text, helmMost)).Decode(&release); err != nil {
		return out, errors.New("it is not JSON") // the decoder's own words may have parts of it
	}
	out = readiness.HelmRelease{Namespace: release.Namespace, Name: release.Name, Revision: release.Version, Objects: manifestObjects(release.Manifest)}
	if c := release.Chart.Metadata; c.Name != "" {
		out.Chart = strings.TrimSuffix(c.Name+"-"+c.Version, "-")
	}
	return out, nil
}

// manifestObjects are the objects of a manifest. What is no YAML has none: Kubernetes would not have taken it.
func manifestObjects(manifest string) (out []readiness.ManifestObject) {
	type object struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	for _, document := range documents(manifest) {
		var o struct {
			object
			Items []object `json:"items"`
		}
		if yaml.Unmarshal([]byte(document), &o) != nil {
			continue
		}
		list := []object{o.object}
		if strings.HasSuffix(o.Kind, "List") && len(o.Items) > 0 {
			list = o.Items
		}
		for _, o := range list {
			if o.APIVersion != "" && o.Kind != "" {
				out = append(out, readiness.ManifestObject{APIVersion: o.APIVersion, Kind: o.Kind, Name: o.Metadata.Name})
			}
		}
	}
	return out
}

// documents are those of a YAML stream.
func documents(text string) (out []string) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line == "---\n" || strings.HasPrefix(line, "--- ") || strings.TrimRight(line, " \t\r\n") == "---" {
			out = append(out, b.String())
			b.Reset()
			continue
		}
		b.WriteString(line)
	}
	return append(out, b.String())
}
