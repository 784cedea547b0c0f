// Package ledger remembers what happened to which cluster and why, who is working on it, and what its owner asked for.
// It is a few kinds of documents in one table; every write is conditional on the version that was read.
package ledger

import (
	"context"
	"encoding/json"
	"time"
)

// Key of a document: partition and sort key.
type Key struct{ Partition, Sort string }

// Document is one item. Version counts its writes, from 1. Expires is when the table may delete it; zero is never.
type Document struct {
	Key     Key
	Version int64
	Expires time.Time
	Data    json.RawMessage
}

// Store keeps documents. Implementations: awscloud (DynamoDB) and Memory.
type Store interface {
	// Get reads a document, consistently. An absent one has Version 0.
	Get(ctx context.Context, key Key) (Document, error)
	// Put writes the document if the stored version is still d.Version (0: it does not exist), and stores it with
	// version d.Version+1. Otherwise the error's class is fault.Conflict.
	Put(ctx context.Context, d Document) error
	// Query lists a partition's documents whose sort key begins with the prefix, in the order of their sort keys.
	Query(ctx context.Context, partition, sortPrefix string) ([]Document, error)
}
