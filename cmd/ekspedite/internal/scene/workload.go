package scene

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	utilyaml "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/shared/kube"
)

// Workload is the objects of a manifest and what their budgets promise.
type Workload struct {
	objects  [][]byte       // JSON
	Replicas int            // all Deployments together
	Least    map[string]int // app → how many of its pods must be Ready at any moment
}

// ReadWorkload reads a manifest of Deployments and PodDisruptionBudgets that select by the label app.
func ReadWorkload(path string) (Workload, error) {
	w := Workload{Least: map[string]int{}}
	text, err := os.ReadFile(path)
	if err != nil {
		return w, err
	}
	replicas := map[string]int{}
	docs := utilyaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc any
		if err := docs.Decode(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return w, fmt.Errorf("%s: %w", path, err)
		}
		one, err := utilyaml.Marshal(doc)
		if err != nil {
			return w, err
		}
		object, err := yaml.YAMLToJSON(one)
		if err != nil {
			return w, err
		}
		var o struct {
			Kind string `json:"kind"`
			Spec struct {
				Replicas       int  `json:"replicas"`
				MinAvailable   *int `json:"minAvailable"`
				MaxUnavailable *int `json:"maxUnavailable"`
				Selector       struct {
					MatchLabels map[string]string `json:"matchLabels"`
				} `json:"selector"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(one, &o); err != nil {
			return w, fmt.Errorf("%s: %w", path, err)
		}
		app := o.Spec.Selector.MatchLabels["app"]
		switch {
		case o.Kind == "Deployment":
			replicas[app] = o.Spec.Replicas
			w.Replicas += o.Spec.Replicas
		case o.Spec.MinAvailable != nil:
			w.Least[app] = *o.Spec.MinAvailable
		case o.Spec.MaxUnavailable != nil:
			w.Least[app] = replicas[app] - *o.Spec.MaxUnavailable
		}
		w.objects = append(w.objects, object)
	}
	return w, nil
}

// Deploy applies the objects.
func (w Workload) Deploy(ctx context.Context, client *kube.Client) error {
	for _, o := range w.objects {
		if err := client.Apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}
