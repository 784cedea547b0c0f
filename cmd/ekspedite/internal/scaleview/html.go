package scaleview

import (
	"cmp"
	_ "embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// What a page shows of much: it has to stay below 2 MB with 1,000 nodes.
const (
	colours   = 24  // of owners
	partsMost = 8   // owners within one box; the rest is left grey
	tipMost   = 6   // owners in one box's text
	keyMost   = 60  // owners in the key
	whyMost   = 250 // rows of reasons
)

// HTML writes a picture as one page that needs nothing else: no script, no font, no image. Names come from clusters and files
// and are escaped.
func HTML(w io.Writer, v Picture) error { return pageTemplate.Execute(w, newPage(v)) }

type page struct {
	Title                        string
	Notes                        []string
	Before, After                side
	Sides                        []side
	Difference, Monthly, Changes string
	Dearer                       bool
	Unplaced                     int
	Hues                         []int
	Filters                      []filter
	Key                          []owner
	Left                         []Left
	Why                          []reason
	More                         string
}

type side struct {
	Title, Cost, Count, Pods string
	Nodes                    []box
}

type box struct {
	Class         string
	Width, Height int
	Tip           string
	Parts         []part
	Memory        int // per cent
}

type part struct{ Colour, Share int }

type filter struct {
	Letter, Title string
	Names         []string
}

type owner struct {
	Owner        string
	Colour, Pods int
}

type reason struct {
	Count                                        int
	State, Type, Capacity, Zone, Pool, Cost, Why string
}

func newPage(v Picture) page {
	p := page{Title: v.Title, Notes: v.Notes, Left: v.Left}
	all := slices.Concat(v.Before, v.After)
	p.Filters = filters(all)
	scale := scaleOf(v.Before, v.After)
	p.Before, p.After = p.side("Before", v.Before, scale), p.side("After", v.After, scale)
	p.Sides = []side{p.Before, p.After}
	change := Cost(v.After) - Cost(v.Before)
	p.Difference, p.Monthly, p.Dearer = signed(change), signed(change*730), change > 0
	var added, gone int
	for _, n := range v.After {
		if n.State == New {
			added++
		}
	}
	for _, n := range v.Before {
		if n.State == Goes {
			gone++
		}
	}
	p.Changes = fmt.Sprintf("+%d −%d", added, gone)
	for _, l := range v.Left {
		p.Unplaced += l.Count
	}
	for i := range colours {
		p.Hues = append(p.Hues, i*360/colours)
	}
	p.Key = owners(v.After)
	p.Why, p.More = reasons(v)
	return p
}

func (p page) side(title string, nodes []Node, scale float64) side {
	s := side{Title: title, Cost: dollars(Cost(nodes)), Count: count(len(nodes), "node")}
	pods := 0
	sorted := slices.Clone(nodes)
	slices.SortStableFunc(sorted, func(a, b Node) int { return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(b.Memory, a.Memory)) })
	for _, n := range sorted {
		_, _, k := n.use()
		pods += k
		s.Nodes = append(s.Nodes, p.box(n, scale))
	}
	s.Pods = count(pods, "pod")
	return s
}

// box is a node's: its sides grow with the roots of what it has, so that its area does with their product.
func (p page) box(n Node, scale float64) box {
	cpu, memory, _ := n.use()
	width, height := n.size()
	b := box{
		Width: int(min(400, max(12, scale*width))), Height: int(min(300, max(14, scale*height))),
		Tip: n.tip(), Memory: int(min(100, share(memory, n.Memory))), Class: string(n.State),
	}
	for i, v := range []string{n.Pool, n.Zone, n.CapacityType} {
		f := p.Filters[i]
		b.Class += fmt.Sprintf(" %s%d", f.Letter, slices.Index(f.Names, v))
	}
	for _, s := range n.Shares[:min(len(n.Shares), partsMost)] {
		if w := int(math.Round(share(s.CPU, max(n.CPU, cpu)))); w > 0 {
			b.Parts = append(b.Parts, part{colour(s.Owner), w})
		}
	}
	return b
}

// size is a box's in pixels, before it is scaled.
func (n Node) size() (width, height float64) {
	return 10 * math.Sqrt(float64(n.CPU)/1000), 5 * math.Sqrt(float64(n.Memory)/(1<<30))
}

// scaleOf makes few nodes greater, so that the boxes of the greater side take a third of a screen.
func scaleOf(sides ...[]Node) float64 {
	most := 1.0
	for _, nodes := range sides {
		area := 0.0
		for _, n := range nodes {
			w, h := n.size()
			area += w * h
		}
		most = max(most, area)
	}
	return min(4, max(1, math.Sqrt(250_000/most)))
}

func (n Node) tip() string {
	cpu, memory, pods := n.use()
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n%s, %s, %s, pool %s", n.Name, n.State, n.InstanceType, n.CapacityType, n.Zone, n.Pool)
	if n.Price > 0 {
		fmt.Fprintf(&b, ", $%.4f / h", n.Price)
	}
	fmt.Fprintf(&b, "\n%s: %s of %s cores, %s of %s", count(pods, "pod"), cores(cpu), cores(n.CPU), gib(memory), gib(n.Memory))
	for _, s := range n.Shares[:min(len(n.Shares), tipMost)] {
		fmt.Fprintf(&b, "\n%d × %s", s.Pods, s.Owner)
	}
	if more := len(n.Shares) - tipMost; more > 0 {
		fmt.Fprintf(&b, "\nand of %s more", count(more, "owner"))
	}
	if n.Why != "" {
		b.WriteString("\n" + cut(n.Why, 200))
	}
	return b.String()
}

func filters(nodes []Node) []filter {
	return []filter{
		{"p", "node pool", names(tally(nodes, func(n Node) string { return n.Pool }))},
		{"z", "zone", names(tally(nodes, func(n Node) string { return n.Zone }))},
		{"k", "capacity", names(tally(nodes, func(n Node) string { return n.CapacityType }))},
	}
}

func owners(nodes []Node) []owner {
	pods := map[string]int{}
	for _, n := range nodes {
		for _, s := range n.Shares {
			pods[s.Owner] += s.Pods
		}
	}
	list := slices.SortedFunc(maps.Keys(pods), func(a, b string) int { return cmp.Or(pods[b]-pods[a], cmp.Compare(a, b)) })
	var out []owner
	for _, name := range list[:min(len(list), keyMost)] {
		out = append(out, owner{name, colour(name), pods[name]})
	}
	return out
}

// reasons are why nodes come and go, for equal ones together.
func reasons(v Picture) ([]reason, string) {
	counts, cost := map[reason]int{}, map[reason]float64{}
	var order []reason
	for _, n := range slices.Concat(v.Before, v.After) {
		if n.Why == "" {
			continue
		}
		k := reason{State: string(n.State), Type: n.InstanceType, Capacity: n.CapacityType, Zone: n.Zone, Pool: n.Pool, Why: n.Why}
		if counts[k]++; counts[k] == 1 {
			order = append(order, k)
		}
		cost[k] += n.Price
	}
	slices.SortStableFunc(order, func(a, b reason) int { return cmp.Or(compareDesc(cost[a], cost[b]), cmp.Compare(a.Type, b.Type)) })
	var out []reason
	for _, k := range order[:min(len(order), whyMost)] {
		n, price := counts[k], cost[k]
		k.Count, k.Cost = n, fmt.Sprintf("%.4f", price)
		out = append(out, k)
	}
	if more := len(order) - whyMost; more > 0 {
		return out, fmt.Sprintf("… and %s more", count(more, "kind"))
	}
	return out, ""
}

// colour of an owner is the same on every page.
func colour(owner string) int {
	h := fnv.New32a()
	_, _ = io.WriteString(h, owner) // does not fail
	return int(h.Sum32() % colours)
}

func share(part, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return 100 * float64(part) / float64(of)
}

func signed(v float64) string {
	switch {
	case v > 0.00005:
		return "+" + dollars(v)
	case v < -0.00005:
		return "−" + dollars(-v)
	}
	return dollars(0)
}

func cut(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}
