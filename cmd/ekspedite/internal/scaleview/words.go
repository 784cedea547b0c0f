package scaleview

import (
	"cmp"
	"fmt"
	"strings"
)

// count is "1 pod", "2 pods".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// thousands is 12,345.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func dollars(v float64) string {
	if v >= 1000 {
		return "$" + thousands(int(v+0.5))
	}
	return fmt.Sprintf("$%.2f", v)
}

func percent(part, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(of))
}

// few names some and counts the rest.
func few(list []string, all int) string {
	s := strings.Join(list, ", ")
	if all > len(list) {
		s += ", …"
	}
	return s
}

func compareDesc(a, b float64) int { return cmp.Compare(b, a) }

// cores is a number of thousandths of a core for people, gib one of bytes.
func cores(milli int64) string { return fmt.Sprintf("%.4g", float64(milli)/1000) }

func gib(bytes int64) string { return fmt.Sprintf("%.3g GiB", float64(bytes)/(1<<30)) }
