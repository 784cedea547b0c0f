package clusterview

import (
	"fmt"
	"io"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterfile"
)

// Validation is what is said about files.
type Validation struct {
	OK       bool                  `json:"ok"` // it can be planned
	Clusters []Named               `json:"clusters"`
	Fleet    bool                  `json:"fleet,omitempty"` // there is a FleetPolicy
	Errors   []clusterfile.Problem `json:"errors"`
	Warnings []clusterfile.Problem `json:"warnings"`
}

// Named is a cluster by name and Region.
type Named struct {
	Name   string `json:"name"`
	Region string `json:"region"`
}

func (n Named) String() string { return fmt.Sprintf("cluster %s in %s", n.Name, n.Region) }

// NewValidation sums files up. Strict makes warnings errors.
func NewValidation(f clusterfile.Files, strict bool) Validation {
	v := Validation{Clusters: []Named{}, Fleet: f.Fleet != nil, Errors: []clusterfile.Problem{}, Warnings: []clusterfile.Problem{}}
	for _, s := range f.Specs {
		v.Clusters = append(v.Clusters, Named{s.Cluster.Name, s.Cluster.Region})
	}
	v.Errors, v.Warnings = append(v.Errors, f.Errors...), append(v.Warnings, f.Warnings...)
	v.OK = len(v.Errors) == 0 && (!strict || len(v.Warnings) == 0)
	return v
}

// Problems writes errors and warnings, each as FILE:LINE: what it is: path: text.
func (v Validation) Problems(w io.Writer) {
	for _, p := range v.Errors {
		fmt.Fprintf(w, "%s: error: %s\n", p.Located(), p.Said())
	}
	for _, p := range v.Warnings {
		fmt.Fprintf(w, "%s: warning: %s\n", p.Located(), p.Said())
	}
}

// Text writes all for people.
func (v Validation) Text(w io.Writer) {
	v.Problems(w)
	switch {
	case !v.OK && len(v.Errors) == 0:
		fmt.Fprintf(w, "%s, which --strict does not allow\n", count(len(v.Warnings), "warning"))
	case !v.OK:
		fmt.Fprintf(w, "%s, %s: this cannot be planned\n", count(len(v.Errors), "error"), count(len(v.Warnings), "warning"))
	default:
		for _, c := range v.Clusters {
			fmt.Fprintf(w, "%s can be planned\n", c)
		}
		if v.Fleet {
			fmt.Fprintln(w, "the fleet's policy is right")
		}
		if n := len(v.Warnings); n > 0 {
			fmt.Fprintf(w, "%s\n", count(n, "warning"))
		}
	}
}
