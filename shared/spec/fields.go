package spec

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:generate sh -c "go run ./internal/fieldlist schema.json > eksctl-fields.txt"

// eksctlFields are all fields of eksctl's ClusterConfig. eksctl utils schema prints the schema that the list was made
// from, at eksctl commit 99984adb6 (2026-08-21); see internal/fieldlist.
//
//go:embed eksctl-fields.txt
var eksctlFields string

// policyFields are those of a ClusterPolicy, the ones that nothing reads yet included; those of scaling, upgrade and
// notifications stand with what reads them.
const policyFields = `apiVersion
kind
metadata
  name
cluster
  deletionProtection
interruption
  rebalance
  replaceCapacity
  forceMargin
  mode
  rebalancePatience
  replacePatience
  longGrace
  barePods
  jobs
  jobPatience
  outOfService
  health
    scheduled
    lead
  statusChecks
    action
    after
    deadline
    maxUnhealthy
`

// field is one field with those below it. A field "*" stands for any.
type field map[string]field

func (f field) child(name string) (field, bool) {
	if c, ok := f[name]; ok {
		return c, true
	}
	c, ok := f["*"]
	return c, ok
}

// similar is the known field that was probably meant, or "".
func (f field) similar(name string) string {
	return nearest(name, slices.Sorted(maps.Keys(f)))
}

// nearest is that of several names which was probably meant by one, or "".
func nearest(name string, names []string) string {
	best, least := "", 1+len(name)/3 // one slip in three letters, and one for short names
	for _, known := range names {
		if known == "*" {
			continue
		}
		if d := distance(strings.ToLower(known), strings.ToLower(name)); d < least || d == least && best == "" {
			best, least = known, d
		}
	}
	return best
}

// oidcFields are those of an identity provider. eksctl reads them by hand, so that its schema does not have them.
const oidcFields = `identityProviders
  clientID
  groupsClaim
  groupsPrefix
  issuerURL
  name
  requiredClaims
    *
  tags
    *
  usernameClaim
  usernamePrefix
`

var clusterFields = sync.OnceValue(func() field { return parseFields(field{}, eksctlFields, oidcFields) })

var ownFields = sync.OnceValue(func() field {
	return parseFields(field{}, policyFields, loadBalancerFields, scalingFields, upgradeFields, notificationFields)
})

var fleetFields = sync.OnceValue(func() field { return parseFields(field{}, fleetPolicyFields, notificationFields) })

// parseFields reads lists of fields, indented by two spaces below their parents.
func parseFields(root field, texts ...string) field {
	for _, text := range texts {
		root.add(text)
	}
	return root
}

func (f field) add(text string) {
	open := []field{f}
	for line := range strings.Lines(text) {
		name := strings.TrimLeft(line, " ")
		depth := (len(line) - len(name)) / 2
		name = strings.TrimSpace(name)
		if open[depth][name] == nil {
			open[depth][name] = field{}
		}
		open = append(open[:depth+1], open[depth][name])
	}
}

// distance is the number of letters to change, add, drop or swap with a neighbour to get from a to b.
func distance(a, b string) int {
	if len(a) > maxName || len(b) > maxName {
		return maxName
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// maxName bounds the work on a name that cannot be a slip of any known one.
const maxName = 100
