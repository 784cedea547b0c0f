package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestDebug(t *testing.T) {
	for seed := range uint64(6) {
		bad := false
		inBubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			kills := 0
			r := newRig(t)
			r.world.stale = time.Duration(random.IntN(5)) * time.Second
			r.twice = func() bool { return seed%3 == 0 && random.IntN(10) == 0 }
			log := []string{}
			r.script.at = func(n int, op string) event {
				e := nothing
				switch random.IntN(40) {
				case 0:
					e = failsBefore
				case 1:
					e = failsAfter
				case 2:
					if kills++; kills < 4 {
						e = killedAfter
					}
				}
				log = append(log, fmt.Sprint(time.Now().Format("15:04:05"), " ", n, " ", op, " ", e))
				return e
			}
			r.ask("request-1", demo(t), false)
			for i := 0; i < 6000 && len(r.queue.list) > 0; i++ {
				r.runFor(0)
				if len(r.queue.list) == 0 {
					break
				}
				time.Sleep(time.Second)
			}
			if len(r.queue.list) > 0 && !bad {
				bad = true
				fmt.Println("seed", seed, len(r.queue.list), len(log))
				for _, l := range log[max(0, len(log)-60):] {
					fmt.Println(l)
				}
				for _, m := range r.queue.list {
					fmt.Println(m.at, m.received, m.body[200:])
				}
			}
			r.queue.list = nil
		})
		if bad {
			break
		}
	}
}
