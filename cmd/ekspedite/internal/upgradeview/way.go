package upgradeview

import (
	"fmt"
	"io"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
)

// Way is the way of a cluster to a version, or back.
type Way struct {
	upgradepath.Path
	At time.Time `json:"at"`
	// Wanted says why it leads where it does, if nobody named a version.
	Wanted string `json:"wanted,omitempty"`
	// Naive is the way without thinking, to compare with; nil where there is no hop.
	Naive *Naive `json:"naive,omitempty"`
}

// Naive is what it takes to go hop by hop with every add-on and every node group, one after another.
type Naive struct {
	Steps int           `json:"steps"`
	Takes time.Duration `json:"takes"`
	Surge float64       `json:"surge"` // USD
}

// Text writes the way for people.
func (v Way) Text(w io.Writer) error {
	out := v.Path.String()
	if v.Wanted != "" {
		out += fmt.Sprintf("why %s: %s\n", v.To, v.Wanted)
	}
	if n := v.Naive; n != nil && n.Takes > 0 {
		out += fmt.Sprintf("hop by hop, with every add-on and all nodes at each, one after another, watched as long: %d steps, about %s; this is %d%% of it\n",
			n.Steps, upgradepath.Text(n.Takes), int(100*v.Takes.Seconds()/n.Takes.Seconds()+0.5))
	}
	_, err := io.WriteString(w, out)
	return err
}
