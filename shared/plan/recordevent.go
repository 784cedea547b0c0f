package plan

import "time"

// RecordEvent leaves a Kubernetes Event for people, on a node or a pod.
type RecordEvent struct {
	Name      string `json:"name"`                // of the Event: the same one for the same news, so that it is told once
	Namespace string `json:"namespace,omitempty"` // of the pod; "" of a node
	About     string `json:"about"`               // Node or Pod
	Object    string `json:"object"`              // its name
	UID       string `json:"uid"`
	Warning   bool   `json:"warning,omitempty"`
	Reason    string `json:"reason"` // one word: "Cordoned"
	Message   string `json:"message"`
	// At is when it happened.
	At time.Time `json:"at"`
}

// Kind is RecordEvent.
func (RecordEvent) Kind() string { return "RecordEvent" }

func (a RecordEvent) String() string {
	return "tell of " + a.About + " " + a.Object + ": " + a.Reason + ": " + a.Message
}
