package expr

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/dynamodb/item"
)

// Projection is a parsed projection expression.
type Projection struct{ paths []Path }

// Projection parses a ProjectionExpression.
func (e *Env) Projection(text string) (*Projection, error) {
	p, err := e.parser("ProjectionExpression", text)
	if err != nil {
		return nil, err
	}
	var paths []Path
	for {
		path, err := p.path()
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
		if !p.is(",") {
			break
		}
		p.next()
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return &Projection{paths}, p.distinct(paths)
}

// Attributes lists the top-level attributes that are projected.
func (p *Projection) Attributes() []string { return topLevel(p.paths) }

// Apply keeps what the projection names. A nil projection keeps all.
func (p *Projection) Apply(it item.Item) item.Item {
	if p == nil || it == nil {
		return it
	}
	return project(it, p.paths)
}

func project(it item.Item, paths []Path) item.Item {
	v, _ := pick(item.Value{Kind: item.M, Map: it}, paths)
	return v.Map
}

// pick keeps the parts of v at the paths, an empty path being all of it. Elements of a list keep their order and close up.
func pick(v item.Value, paths []Path) (item.Value, bool) {
	below := map[Step][]Path{}
	var steps []Step
	for _, p := range paths {
		if len(p) == 0 {
			return v, true
		}
		if below[p[0]] == nil {
			steps = append(steps, p[0])
		}
		below[p[0]] = append(below[p[0]], p[1:])
	}
	slices.SortFunc(steps, func(a, b Step) int { return a.Index - b.Index })
	out := item.Value{Kind: v.Kind, Map: item.Item{}}
	for _, s := range steps {
		child, ok := s.in(v)
		if !ok {
			continue
		}
		if child, ok = pick(child, below[s]); !ok {
			continue
		}
		if s.Name != "" {
			out.Map[s.Name] = child
		} else {
			out.List = append(out.List, child)
		}
	}
	return out, len(out.Map)+len(out.List) > 0
}
