package eks

import (
	"cmp"
	"encoding/base64"
	"slices"
	"sort"
)

// page cuts a sorted list by name. AWS's default and greatest page is 100. The token is the last name returned, so that
// a list that changes between pages neither repeats nor skips what stays in it.
func page(names []string, maxResults *int, token string) (part []string, next *string, err error) {
	limit := 100
	if maxResults != nil {
		if *maxResults < 1 || *maxResults > 100 {
			return nil, nil, invalidParameter("", "maxResults must be between 1 and 100")
		}
		limit = *maxResults
	}
	if token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return nil, nil, invalidParameter("", "Invalid nextToken")
		}
		names = names[sort.Search(len(names), func(i int) bool { return names[i] > string(last) }):]
	}
	if len(names) > limit {
		names = names[:limit]
		t := base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
		next = &t
	}
	return append([]string{}, names...), next, nil // never null in JSON
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
