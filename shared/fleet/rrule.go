package fleet

// RRule is an RFC 5545 recurrence rule, "FREQ=WEEKLY;BYDAY=TU;BYHOUR=2;BYMINUTE=0". The zero value never happens.
type RRule struct{ text string }

// String is the text that was read.
func (r RRule) String() string { return r.text }
