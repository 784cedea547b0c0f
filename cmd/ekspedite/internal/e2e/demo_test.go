package e2e

import (
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/demo"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// The README's first command holds what it promises, on a hostile cloud, and the functions' roles grant exactly what it
// takes: nothing is denied, and what was granted and not used is on the list with its reason.
func TestDemo(t *testing.T) {
	c := cloud(t, faults.Hostile)
	var out strings.Builder
	s, err := demo.Run(t.Context(), demo.Options{Root: root, Out: &out, Cloud: c})
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Failures {
		t.Error(f)
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
}
