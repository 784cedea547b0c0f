// Package schemas holds a JSON Schema (draft 2020-12) for every event of the contract table. Each describes a whole
// message body in every shape that the event arrives in.
package schemas

import "embed"

// Files are the schemas, each named as Contract.Schema says.
//
//go:embed *.json
var Files embed.FS
