package clusterview

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Cluster is all that there is to know about one cluster.
type Cluster struct {
	Row
	Deleting bool               `json:"deleting,omitempty"` // its end was asked for
	Spec     *fleet.ClusterSpec `json:"spec,omitempty"`     // what is wanted
	Last     *Run               `json:"lastRun,omitempty"`
	Now      *Look              `json:"now,omitempty"` // what AWS shows; nil when it was not asked
	NotAsked string             `json:"notAsked,omitempty"`
}

// Look is a look at AWS, made now.
type Look struct {
	Status    string         `json:"status,omitempty"` // EKS's
	Endpoint  string         `json:"endpoint,omitempty"`
	Version   string         `json:"version,omitempty"`
	Ready     []string       `json:"ready"`
	Waiting   []string       `json:"waiting"`
	Different []string       `json:"different"` // to be made or changed
	Failed    []plan.Failure `json:"failed"`
	Notes     []string       `json:"notes"`
}

// Text writes the cluster for people.
func (c Cluster) Text(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "cluster %s in %s: %s\n", c.Name, c.Region, c.Status)
	if c.Deleting {
		fmt.Fprintln(w, "  its deletion was asked for")
	}
	if c.Spec != nil {
		table(w, wanted(*c.Spec))
	}
	if l := c.Last; l != nil {
		fmt.Fprintln(w)
		last := *l
		last.Lines, last.Counts, last.Timings = nil, nil, nil
		last.Text(w, now)
		fmt.Fprintf(w, "  more: ekspedite runs show %s\n", l.RunID)
	}
	fmt.Fprintln(w)
	if c.Now == nil {
		fmt.Fprintf(w, "AWS was not asked: %s\n", c.NotAsked)
		return
	}
	c.Now.text(w)
}

func (l Look) text(w io.Writer) {
	status := l.Status
	if status == "" {
		status = "there is no control plane"
	}
	fmt.Fprintf(w, "now, on AWS: %s %s %s\n", status, l.Version, l.Endpoint)
	fmt.Fprintf(w, "  ready      %d resources\n", len(l.Ready))
	names(w, "waiting", l.Waiting)
	names(w, "different", l.Different)
	for _, f := range l.Failed {
		fmt.Fprintf(w, "  failed     %s: %s\n             %s\n", f.Resource, indent(f.Text, "             "), f.Fix)
	}
	for _, n := range l.Notes {
		fmt.Fprintf(w, "  note       %s\n", indent(n, "             "))
	}
}

func names(w io.Writer, what string, list []string) {
	if len(list) > 0 {
		fmt.Fprintf(w, "  %-10s %s\n", what, strings.Join(list, ", "))
	}
}

// wanted sums a spec up.
func wanted(s fleet.ClusterSpec) (rows [][]string) {
	say := func(what, text string) { rows = append(rows, []string{"  " + what, text}) }
	version := s.Version
	if version == "" {
		version = "EKS's default"
	}
	say("version", version)
	network := s.Network.VPC
	if network == "" {
		network = fmt.Sprintf("its own VPC %s, NAT %s", s.Network.CIDR, s.Network.NAT)
	}
	say("network", network)
	var api []string
	if s.Network.PublicAccess {
		api = append(api, "public")
	}
	if s.Network.PrivateAccess {
		api = append(api, "private")
	}
	say("API server", strings.Join(api, " and "))
	if s.Auto != nil {
		say("auto mode", strings.Join(s.Auto.NodePools, ", "))
	}
	for _, g := range s.NodeGroups {
		kind := "managed"
		if g.SelfManaged {
			kind = "self-managed"
		}
		if g.Spot {
			kind += ", spot"
		}
		say("nodes", fmt.Sprintf("%s (%s): %d to %d, begins with %d: %s", g.Name, kind, g.Min, g.Max, g.Desired, strings.Join(g.InstanceTypes, " ")))
	}
	list := func(what string, n int, name func(int) string) {
		var all []string
		for i := range n {
			all = append(all, name(i))
		}
		if n > 0 {
			say(what, strings.Join(all, ", "))
		}
	}
	list("add-ons", len(s.Addons), func(i int) string { return s.Addons[i].Name })
	list("fargate", len(s.Fargate), func(i int) string { return s.Fargate[i].Name })
	list("capabilities", len(s.Capabilities), func(i int) string { return s.Capabilities[i].Name })
	return rows
}
