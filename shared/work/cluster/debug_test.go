package cluster

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/ledger"
)

func TestDebug(t *testing.T) {
	logTo = os.Stderr
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := r.given(example(t, "clusters/"+os.Getenv("EX")))
		r.ask("request-1", text)
		r.runFor(4 * time.Minute)
		fmt.Println(r.told(), r.queue.dlq)
		for _, o := range r.script.ops {
			fmt.Print(o, " ")
		}
	})
}

func TestDebug2(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := r.given(example(t, "clusters/"+os.Getenv("EX")))
		r.ask("request-1", text)
		r.runFor(14*time.Minute)
		d, _ := r.store.Get(t.Context(), ledger.Key{Partition: "cluster#us-west-2/ipv6", Sort: "work"})
		fmt.Println(string(d.Data))
	})
}
