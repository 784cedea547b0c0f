package ledger

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// Memory is a Store for tests and dry runs. The zero value is ready.
type Memory struct {
	mu   sync.Mutex
	docs map[Key]Document
}

// clone shares no bytes with d.
func (d Document) clone() Document {
	d.Data = slices.Clone(d.Data)
	return d
}

// Get reads a document.
func (m *Memory) Get(_ context.Context, key Key) (Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d, ok := m.docs[key]; ok {
		return d.clone(), nil
	}
	return Document{Key: key}, nil
}

// Put writes a document if its version is current.
func (m *Memory) Put(_ context.Context, d Document) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.docs[d.Key].Version != d.Version {
		return fault.New(fault.Conflict, "%s/%s was changed", d.Key.Partition, d.Key.Sort)
	}
	if m.docs == nil {
		m.docs = map[Key]Document{}
	}
	d = d.clone()
	d.Version++
	m.docs[d.Key] = d
	return nil
}

// Query lists documents.
func (m *Memory) Query(_ context.Context, partition, sortPrefix string) ([]Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Document
	for k, d := range m.docs {
		if k.Partition == partition && strings.HasPrefix(k.Sort, sortPrefix) {
			out = append(out, d.clone())
		}
	}
	slices.SortFunc(out, func(a, b Document) int { return strings.Compare(a.Key.Sort, b.Key.Sort) })
	return out, nil
}
