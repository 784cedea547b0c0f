package events

import (
	"reflect"
	"slices"
)

// Route is how an event reaches the function that handles it.
type Route string

const (
	// RouteRule: an EventBridge rule on Contract.Bus puts the event on the handler's queue.
	RouteRule Route = "rule"
	// RouteSchedule: a schedule puts the event on the handler's queue.
	RouteSchedule Route = "schedule"
	// RouteDirect: the sender puts the message on the handler's queue itself.
	RouteDirect Route = "direct"
	// RouteInvoke: the sender invokes the handler, which has no queue.
	RouteInvoke Route = "invoke"
	// RouteNone: nothing listens yet, and Contract.Reason says why. A rule that matches the event is a mistake.
	RouteNone Route = "none"
)

// Bus is the event bus on which an event is published.
type Bus string

const (
	BusDefault   Bus = "default"   // where AWS publishes
	BusEkspedite Bus = "ekspedite" // where ekspedite publishes
	BusNone      Bus = ""          // on no bus
)

// Form is a shape of body that an event arrives in.
type Form string

const (
	FormEnvelope     Form = "envelope"     // EventBridge's envelope
	FormNotification Form = "notification" // Auto Scaling's, without an envelope, bare or wrapped in {"Message": "…"}
	FormCodePipeline Form = "CodePipeline" // {"CodePipeline.job": {…}}
)

// The functions that handle events.
const (
	HandlerCluster      = "cluster"
	HandlerInterruption = "interruption"
	HandlerNotify       = "notify"
	HandlerPipeline     = "pipeline"
	HandlerScaling      = "scaling"
	HandlerUpgrade      = "upgrade"
)

// Contract is everything that is agreed about one kind of event.
type Contract struct {
	Kind   Kind
	Source string
	// DetailTypes are all spellings and all variants that count as this kind, today's spelling first.
	DetailTypes []string
	// Forms are the shapes it arrives in.
	Forms []Form
	// Type is the type that Event.Payload points to.
	Type reflect.Type
	// Samples are files in events/samples, Schema is a file in events/schemas and describes a body in full.
	Samples []string
	Schema  string
	// Handler is the function that consumes the event, "" for none. Also is a second one, which hears of other events of the kind.
	Handler string
	// Also are functions that hear a part of these events by rules of their own.
	Also  []string
	Route Route
	// Bus is where the event is published.
	Bus Bus
	// Reason says why nothing listens, for RouteNone.
	Reason string
	// Meaning is one line for a reader; Origin is where the shape is documented.
	Meaning string
	Origin  string

	decode func(*Envelope) (any, *fault)
}

// Pattern is the EventBridge event pattern that matches the event, nil for one that is on no bus.
func (c Contract) Pattern() map[string][]string {
	if c.Bus == BusNone {
		return nil
	}
	return map[string][]string{"source": {c.Source}, "detail-type": slices.Clone(c.DetailTypes)}
}

// Contracts returns the contract table.
func Contracts() []Contract {
	table := slices.Clone(contracts)
	for i := range table {
		table[i].DetailTypes = slices.Clone(table[i].DetailTypes)
		table[i].Forms = slices.Clone(table[i].Forms)
		table[i].Samples = slices.Clone(table[i].Samples)
		table[i].Also = slices.Clone(table[i].Also)
	}
	return table
}

// ContractOf returns the contract of a kind.
func ContractOf(kind Kind) (Contract, bool) {
	for _, c := range Contracts() {
		if c.Kind == kind {
			return c, true
		}
	}
	return Contract{}, false
}

// contracts is the contract table, filled by init.
var contracts []Contract

// byName finds the contract of an envelope.
var byName map[[2]string]*Contract

func init() {
	contracts = table()
	byName = make(map[[2]string]*Contract, 2*len(contracts))
	for i := range contracts {
		c := &contracts[i]
		if !slices.Contains(c.Forms, FormEnvelope) {
			continue
		}
		for _, name := range c.DetailTypes {
			byName[[2]string{c.Source, name}] = c
		}
	}
}

func lookup(source, detailType string) *Contract { return byName[[2]string{source, detailType}] }

// contract starts an entry with its type and decoder, and what most entries have.
func contract[T any, P interface {
	*T
	checker
}](kind Kind, source string, detailTypes ...string) Contract {
	return Contract{
		Kind: kind, Source: source, DetailTypes: detailTypes, Forms: []Form{FormEnvelope}, Type: reflect.TypeFor[T](),
		Schema: string(kind) + ".json", Bus: BusDefault, decode: into[T, P],
	}
}

func (c Contract) means(meaning, origin string) Contract {
	c.Meaning, c.Origin = meaning, origin
	return c
}

func (c Contract) to(handler string, route Route) Contract {
	c.Handler, c.Route = handler, route
	return c
}

// also names functions that hear a part of these events.
func (c Contract) also(handlers ...string) Contract {
	c.Also = handlers
	return c
}

func (c Contract) unmatched(reason string) Contract {
	c.Route, c.Reason = RouteNone, reason
	return c
}

func (c Contract) on(bus Bus, forms ...Form) Contract {
	c.Bus = bus
	if len(forms) > 0 {
		c.Forms = forms
	}
	return c
}

// samples names the variants of the kind's sample; "" is the plain one.
func (c Contract) samples(variants ...string) Contract {
	for _, variant := range variants {
		name := string(c.Kind)
		if variant != "" {
			name += "-" + variant
		}
		c.Samples = append(c.Samples, name+".json")
	}
	return c
}
