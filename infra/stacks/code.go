package stacks

import (
	"path/filepath"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
)

// Code says where a stack gets the code of its functions, by name.
type Code func(stack awscdk.Stack) func(function string) awslambda.Code

// CodeFromPackages takes the zips in a directory, for the CDK to upload.
func CodeFromPackages(dir string) Code {
	return func(awscdk.Stack) func(string) awslambda.Code {
		return func(function string) awslambda.Code {
			return awslambda.Code_FromAsset(jsii.String(filepath.Join(dir, function+".zip")), nil)
		}
	}
}

// CodeFromBucket takes the zips from a bucket that is a parameter of the stack. It keeps the template the same whatever
// the code is, and lets CloudFormation deploy it without the CDK.
func CodeFromBucket(stack awscdk.Stack) func(string) awslambda.Code {
	bucket := awscdk.NewCfnParameter(stack, jsii.String("CodeBucket"), &awscdk.CfnParameterProps{
		Type:        jsii.String("String"),
		Description: jsii.String("The S3 bucket that holds the functions' zips, in this Region. To be given for a deployment."),
		// It has a default so that whatever only reads the template, as the embedded cloud does, needs no parameters. S3
		// lets nobody have a bucket with this prefix: a name that is free somebody else may take, to run code here.
		Default: jsii.String("amzn-s3-demo-not-given"),
	})
	prefix := awscdk.NewCfnParameter(stack, jsii.String("CodePrefix"), &awscdk.CfnParameterProps{
		Type: jsii.String("String"),
		Description: jsii.String("What comes before <function>.zip in the bucket, such as v1.2.3/. " +
			"CloudFormation updates a function only when this changes."),
		Default: jsii.String(""),
	})
	awscdk.Annotations_Of(stack).AcknowledgeWarning(jsii.String("@aws-cdk/aws-lambda:codeFromBucketObjectVersionNotSpecified"),
		jsii.String("CodePrefix is the version."))
	objects := awss3.Bucket_FromBucketName(stack, jsii.String("Code"), bucket.ValueAsString())
	return func(function string) awslambda.Code {
		return awslambda.Code_FromBucketV2(objects,
			awscdk.Fn_Join(jsii.String(""), &[]*string{prefix.ValueAsString(), jsii.String(function + ".zip")}), nil)
	}
}
