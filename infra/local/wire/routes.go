package wire

import "net/http"

type route struct {
	*Service
	ops map[string]Op
	mux *http.ServeMux // restJson
}

// Register adds services. Two services with one signing name, or two operations with one name, are a programming error.
func (g *Gateway) Register(services ...*Service) {
	if g.services == nil {
		g.services = map[string]*route{}
	}
	addRoutes(g.services, services)
}

func addRoutes(routes map[string]*route, services []*Service) {
	for _, s := range services {
		r := &route{Service: s, ops: map[string]Op{}, mux: http.NewServeMux()}
		for _, op := range s.Ops {
			if _, dup := r.ops[op.Name]; dup {
				panic("operation registered twice: " + s.Name + ":" + op.Name)
			}
			r.ops[op.Name] = op
			if s.Protocol == RESTJSON {
				r.mux.HandleFunc(op.Method+" "+op.Path, func(_ http.ResponseWriter, req *http.Request) {
					*req.Context().Value(restKey{}).(**restMatch) = &restMatch{op: op, req: req}
				})
			}
		}
		if _, dup := routes[s.Name]; dup {
			panic("service registered twice: " + s.Name)
		}
		routes[s.Name] = r
	}
}

// routes returns the services of a Region by signing name.
func (g *Gateway) routes(region string) (map[string]*route, error) {
	if region == g.Region || g.Elsewhere == nil {
		return g.services, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if routes, ok := g.regions[region]; ok {
		return routes, nil
	}
	services, err := g.Elsewhere(region)
	if err != nil {
		// On AWS there is no such host. Here the URL is the same for all Regions, so that the answer must say it.
		return nil, Errf("UnrecognizedClientException", "The request is signed for the Region %q: %v.", region, err).WithStatus(http.StatusForbidden)
	}
	routes := map[string]*route{}
	addRoutes(routes, services)
	if g.regions == nil {
		g.regions = map[string]map[string]*route{}
	}
	g.regions[region] = routes
	return routes, nil
}
