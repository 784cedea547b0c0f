package e2e

import (
	"testing"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/ledger/storetest"
)

// The ledger's contract holds on the template's own table, through the real SDK: conditional writes, consistent reads.
func TestLedgerOnTheTemplatesTable(t *testing.T) {
	c := cloud(t, faults.None)
	table, ok := c.Stack.Find("Table")
	if !ok {
		t.Fatal("the template has no Table")
	}
	storetest.Run(t, awscloud.NewStore(scene.Config(c), table.Ref))
}
