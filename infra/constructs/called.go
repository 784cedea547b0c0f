package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// CalledProps describes a function that others call by HTTPS and wait for.
type CalledProps struct {
	FunctionProps
	// Limit is a parameter of the template: how many calls run at once at most, 0 for as many as the account has room for.
	Limit string
}

// Called is a function with a URL of its own, and no queue: its callers are told at once what came of it.
type Called struct {
	Function
	// URL is https://….lambda-url.REGION.on.aws/
	URL *string
}

// NewCalled adds a function to a stack.
func NewCalled(stack awscdk.Stack, props CalledProps) *Called {
	c := &Called{Function: newFunction(stack, props.Name)}
	c.make(props.FunctionProps, nil, awslambda.RecursiveLoop_TERMINATE)
	resource := c.Function.Function.Node().DefaultChild().(awscdk.CfnResource)
	limited := c.stem + "Limited"
	NewCondition(stack, limited, awscdk.Fn_ConditionNot(awscdk.Fn_ConditionEquals(awscdk.Fn_Ref(jsii.String(props.Limit)), jsii.String("0"))))
	resource.AddPropertyOverride(jsii.String("ReservedConcurrentExecutions"), map[string]any{
		"Fn::If": []any{limited, map[string]any{"Ref": props.Limit}, map[string]any{"Ref": "AWS::NoValue"}},
	})
	Suppress(c.Function.Function, "Serverless-LambdaDLQ", "Callers wait for the answer: an event that nobody has dealt with is theirs to send again.")
	Suppress(c.Function.Function, "Serverless-LambdaAsyncFailureDestination",
		"What CloudWatch Logs sends without waiting is a hint, that a minute later a sweep makes up for.")

	// Anybody may call: a Kubernetes API server signs nothing. The function itself turns away who does not know a path that
	// nobody can guess.
	url := awslambda.NewCfnUrl(c.scope, jsii.String("URL"), &awslambda.CfnUrlProps{
		AuthType: jsii.String("NONE"), TargetFunctionArn: c.Function.Function.FunctionArn(), InvokeMode: jsii.String("BUFFERED"),
	})
	url.OverrideLogicalId(jsii.String(c.stem + "URL"))
	// Lambda wants both of a public URL, the second for calls by the URL alone.
	// https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
	c.permission("URLPermission", &awslambda.CfnPermissionProps{
		Action: jsii.String("lambda:InvokeFunctionUrl"), FunctionUrlAuthType: jsii.String("NONE"), Principal: jsii.String("*"),
	})
	c.permission("InvocationPermission", &awslambda.CfnPermissionProps{
		Action: jsii.String("lambda:InvokeFunction"), InvokedViaFunctionUrl: jsii.Bool(true), Principal: jsii.String("*"),
	})
	c.URL = url.AttrFunctionUrl()
	c.trouble(props.Name)
	return c
}

// Hear lets CloudWatch Logs bring the function the lines of the account's log groups whose names match.
func (c *Called) Hear(groups string) {
	c.permission("LogsPermission", &awslambda.CfnPermissionProps{
		Action: jsii.String("lambda:InvokeFunction"), Principal: jsii.String("logs.amazonaws.com"),
		SourceAccount: awscdk.Aws_ACCOUNT_ID(),
		SourceArn:     awscdk.Fn_Sub(jsii.String("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:"+groups), nil),
	})
}

func (c *Called) permission(id string, p *awslambda.CfnPermissionProps) {
	p.FunctionName = c.Function.Function.FunctionArn()
	awslambda.NewCfnPermission(c.scope, jsii.String(id), p).OverrideLogicalId(jsii.String(c.stem + id))
}
