package bench

import (
	"os"
	"strings"
)

// load is the machine's load average, without which no figure means anything; "" where there is none to be read.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
