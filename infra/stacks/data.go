package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/ekspedite/ekspedite/infra/constructs"
)

// Data is the stack of what must survive.
type Data struct {
	Stack awscdk.Stack
	// Ledger and Specs are for use in other stacks.
	Ledger Ledger
	Specs  Specs
}

// Specs is the bucket for specs as other stacks see it.
type Specs struct {
	BucketName *string
	FilesARN   *string // of all that is in it
}

// Ledger is the table as other stacks see it.
type Ledger struct {
	TableName, TableARN *string
}

// NewData adds the data stack to an app.
func NewData(app awscdk.App) Data {
	stack := awscdk.NewStack(app, jsii.String(DataName), &awscdk.StackProps{
		Description:           jsii.String("ekspedite: the ledger of what happened to which cluster, and why"),
		TerminationProtection: jsii.Bool(true),
	})
	// Leases, idempotency records and runs share one table: they are written together, and one transaction wants one
	// request. Nobody but the functions uses it, on demand: nothing runs, and nothing is paid, while nothing happens.
	table := awsdynamodb.NewTable(stack, jsii.String("Table"), &awsdynamodb.TableProps{
		PartitionKey:        &awsdynamodb.Attribute{Name: jsii.String("pk"), Type: awsdynamodb.AttributeType_STRING},
		SortKey:             &awsdynamodb.Attribute{Name: jsii.String("sk"), Type: awsdynamodb.AttributeType_STRING},
		TimeToLiveAttribute: jsii.String("expiresAt"),
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		// AWS's key in the account and not DynamoDB's own: its use shows in the account's CloudTrail.
		Encryption: awsdynamodb.TableEncryption_AWS_MANAGED,
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
		DeletionProtection: jsii.Bool(true),
		RemovalPolicy:      awscdk.RemovalPolicy_RETAIN,
	})
	table.Node().DefaultChild().(awsdynamodb.CfnTable).OverrideLogicalId(jsii.String("Table"))

	return Data{Stack: stack, Ledger: Ledger{
		TableName: export(stack, "TableName", "ekspedite-table-name", table.TableName()),
		TableARN:  export(stack, "TableArn", "ekspedite-table-arn", table.TableArn()),
	}, Specs: newSpecs(stack)}
}

// newSpecs makes the bucket into which users put specs. Each version of a file is a request, and stays as what was asked for.
func newSpecs(stack awscdk.Stack) Specs {
	bucket := awss3.NewBucket(stack, jsii.String("Specs"), &awss3.BucketProps{
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		Versioned:         jsii.Bool(true),
		RemovalPolicy:     awscdk.RemovalPolicy_RETAIN,
	})
	resource := bucket.Node().DefaultChild().(awss3.CfnBucket)
	resource.OverrideLogicalId(jsii.String("Specs"))
	bucket.Policy().Node().DefaultChild().(awss3.CfnBucketPolicy).OverrideLogicalId(jsii.String("SpecsPolicy"))
	// The CDK's own way to say this is a Lambda function that says it.
	resource.AddPropertyOverride(jsii.String("NotificationConfiguration"), map[string]any{
		"EventBridgeConfiguration": map[string]any{"EventBridgeEnabled": true},
	})
	constructs.Suppress(bucket, "AwsSolutions-S1",
		"Who has put what there is in the bucket's versions, in the ledger and, where data events are on, in CloudTrail. A bucket of access logs would tell less.")
	return Specs{
		BucketName: export(stack, "SpecsBucket", "ekspedite-specs-name", bucket.BucketName()),
		FilesARN:   export(stack, "SpecsFilesArn", "ekspedite-specs-files-arn", bucket.ArnForObjects(jsii.String("*"))),
	}
}

// export makes a value available to other stacks, and returns it as they see it. The CDK would do so by itself, under a
// name with a hash in it.
func export(stack awscdk.Stack, id, name string, value *string) *string {
	awscdk.NewCfnOutput(stack, jsii.String(id), &awscdk.CfnOutputProps{ExportName: jsii.String(name), Value: value})
	return awscdk.Fn_ImportValue(jsii.String(name))
}
