package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// calls follows what the interruption function asks of AWS. The cloud's feed keeps the newest 50,000 entries only, so that
// they are counted as they come.
type calls struct {
	stop context.CancelFunc
	done chan struct{}
	n    map[string]int
}

// count begins to count.
func count(ctx context.Context, o Options) (*calls, error) {
	from, err := http.Get(o.Cloud.Endpoint() + "/_ekspedite/calls")
	if err != nil {
		return nil, err
	}
	last := int64(0)
	each(from, func(r record) { last = r.Seq })
	ctx, cancel := context.WithCancel(ctx)
	c := &calls{cancel, make(chan struct{}), map[string]int{}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/_ekspedite/calls?follow=1&since=%d", o.Cloud.Endpoint(), last), nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(c.done)
		each(resp, func(r record) {
			if strings.Contains(strings.ToLower(r.Caller), "interruption") {
				c.n[r.Service+":"+r.Operation]++
			}
		})
	}()
	return c, nil
}

// end is what was counted.
func (c *calls) end() map[string]int {
	c.stop()
	<-c.done
	return c.n
}

type record struct {
	Seq       int64  `json:"seq"`
	Service   string `json:"service"`
	Operation string `json:"operation"`
	Caller    string `json:"caller"`
}

func each(resp *http.Response, do func(record)) {
	defer func() { _ = resp.Body.Close() }() // read as far as anybody wants
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r record
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			do(r)
		}
	}
}

// listed prints counts in a fixed order.
func listed(n map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, n[name]))
	}
	return strings.Join(parts, ", ")
}
