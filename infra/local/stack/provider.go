// Package stack loads synthesized CloudFormation templates into the embedded cloud: what runs locally is what is
// deployed. Each service offers a Provider for the resource types that are its own; a type without one is an error.
package stack

import "encoding/json"

// Created is what CloudFormation knows of a resource once it exists.
type Created struct {
	Ref        string            // what {"Ref": id} gives
	Attributes map[string]string // what {"Fn::GetAtt": [id, name]} gives
}

// Provider creates one resource from its properties, in which all intrinsic functions are resolved. CloudFormation is
// lenient with scalars ("300" for 300): decode with care. An unknown property is an error that names it.
type Provider func(logicalID string, properties json.RawMessage) (Created, error)

// Providers maps resource types, such as AWS::SQS::Queue, to what creates them.
type Providers map[string]Provider
