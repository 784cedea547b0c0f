package sqs

import (
	"fmt"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// legacy is the prefix of many codes in the query protocol, which customers still match on.
const legacy = "AWS.SimpleQueueService."

func noQueue() *wire.Error {
	return &wire.Error{Code: "QueueDoesNotExist", QueryCode: legacy + "NonExistentQueue", Message: "The specified queue does not exist."}
}

func missing(parameter string) *wire.Error {
	return &wire.Error{Code: "MissingRequiredParameterException", QueryCode: "MissingParameter",
		Message: "The request must contain the parameter " + parameter + "."}
}

func invalid(parameter string, value any, reason string) *wire.Error {
	return &wire.Error{Code: "InvalidParameterValueException", QueryCode: "InvalidParameterValue",
		Message: fmt.Sprintf("Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason)}
}

func badAttribute(name string) *wire.Error {
	return &wire.Error{Code: "InvalidAttributeValue", QueryCode: "InvalidAttributeValue", Message: "Invalid value for the parameter " + name + "."}
}

func unsupported(message string) *wire.Error {
	return &wire.Error{Code: "UnsupportedOperation", QueryCode: legacy + "UnsupportedOperation", Message: message}
}

func badHandle(handle string) *wire.Error {
	return &wire.Error{Code: "ReceiptHandleIsInvalid", QueryCode: "ReceiptHandleIsInvalid",
		Message: fmt.Sprintf("The input receipt handle %q is not a valid receipt handle.", handle)}
}

func notInflight(handle string) *wire.Error {
	return &wire.Error{Code: "MessageNotInflight", QueryCode: legacy + "MessageNotInflight",
		Message: fmt.Sprintf("Value %s for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change.", handle)}
}
