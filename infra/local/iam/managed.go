package iam

import (
	_ "embed" // managed.json
	"encoding/json"
	"fmt"
	"sync"

	"github.com/ekspedite/ekspedite/infra/local/iam/policy"
)

const awsPrefix = "arn:aws:iam::aws:policy/"

// managedJSON is the AWS managed policies that exist here, as AWS publishes them: path and name to document, taken from
// the list that the moto project extracts from IAM (its aws_managed_policies data, 2026). They are those of clusters,
// nodes, functions, add-ons and eksctl's well-known policies.
//
// What matters to a customer is that attaching a wrong name fails, and that a role lacks what AWS's policy lacks too. To
// allow more to a function, its own policy must say so.
//
//go:embed managed.json
var managedJSON []byte

// shortened are AWS managed policies whose documents are too long to keep: the actions that they allow on every resource.
var shortened = map[string][]string{
	"ReadOnlyAccess": {"*:Describe*", "*:Get*", "*:List*"},
}

// awsManaged are the AWS managed policies by ARN.
var awsManaged = sync.OnceValue(func() map[string]text {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(managedJSON, &all); err != nil {
		panic(err) // the file is part of the program
	}
	for name, actions := range shortened {
		raw, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
			map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"},
		}})
		if err != nil {
			panic(err) // strings only
		}
		all[name] = raw
	}
	out := map[string]text{}
	for name, raw := range all {
		arn := awsPrefix + name
		t, err := parse(arn, string(raw), policy.Identity)
		if err != nil {
			panic(fmt.Sprintf("the AWS managed policy %s: %v", name, err))
		}
		out[arn] = t
	}
	return out
})
