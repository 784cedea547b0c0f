// Package samples holds a real body for every event of the contract table, for the tests of any package and for the
// embedded cloud. It is apart from package events so that the functions' binaries do not carry it.
//
// The shapes are those which AWS documents, with its example accounts and ids; the traps are left in.
package samples

import (
	"embed"
	"strings"

	"github.com/ekspedite/ekspedite/events"
)

//go:embed *.json
var files embed.FS

// Sample is one message body.
type Sample struct {
	// Name is the file's name, such as "SpotInterruption-hibernate.json".
	Name string
	Kind events.Kind
	Body []byte
}

// Samples returns all samples, in the order of the contract table. The bodies are the caller's own.
func Samples() []Sample {
	var all []Sample
	for _, contract := range events.Contracts() {
		all = append(all, of(contract)...)
	}
	return all
}

// Of returns the samples of one kind.
func Of(kind events.Kind) []Sample {
	contract, _ := events.ContractOf(kind)
	return of(contract)
}

// Body returns the sample with this name, with or without ".json". It panics if there is none.
func Body(name string) []byte {
	body, err := files.ReadFile(strings.TrimSuffix(name, ".json") + ".json")
	if err != nil {
		panic("samples: no sample " + name)
	}
	return body
}

// Names returns the names of all files, whether or not a contract mentions them.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // the directory is embedded
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names
}

func of(contract events.Contract) []Sample {
	var some []Sample
	for _, name := range contract.Samples {
		some = append(some, Sample{Name: name, Kind: contract.Kind, Body: Body(name)})
	}
	return some
}
