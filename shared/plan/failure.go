package plan

import "fmt"

// Whose says who can do something about a failure.
type Whose string

// Whose failures are.
const (
	Users    Whose = "user"     // the file, or something of the account that it names
	Ours     Whose = "ours"     // ekspedite, its permissions included
	Quota    Whose = "quota"    // a limit of the account
	Capacity Whose = "capacity" // AWS has no machines, or no addresses are free
	AWS      Whose = "aws"      // a service that is unwell
)

// Failure is why something is not as it should be, and what to do about it.
type Failure struct {
	Resource string `json:"resource"`       // its name in the graph: "nodegroup/spot"
	Code     string `json:"code,omitempty"` // the service's own
	Whose    Whose  `json:"whose"`
	Text     string `json:"text"`
	Fix      string `json:"fix"`
}

func (f Failure) String() string {
	return fmt.Sprintf("[%s] %s: %s", f.Whose, f.Text, f.Fix)
}
