// Command infra is the CDK app: it turns Go into the CloudFormation that ekspedite is deployed as, and that the embedded
// cloud runs. It needs Go and node, and neither Docker nor an AWS account.
//
//	go run ./infra -template infra/template    write the committed templates (make synth)
//	npx cdk deploy --all                       deploy; cdk.json says how the CLI starts this program
//
// The rooms:
//
//	main.go, app.go   the program: which stacks there are, and the two ways to write them
//	stacks/           data (what must survive), automation (what listens and acts); permissions*.go hold every grant
//	constructs/       the parts that stacks are made of: a Worker is a queue, its DLQ and the function that empties it;
//	                  an Invoked is a function that others invoke
//	template/         the synthesized CloudFormation, committed; a test fails when it is stale
//	internal/         lambdazip packs a binary for Lambda, the same bytes every time; quietnode silences a banner
//	local/            the embedded cloud, which loads template/; it never imports anything here
//
// There are two ways to write the stacks, and a test says that they differ in nothing but where the code of the functions
// comes from. With -template the code is an object in a bucket that is a parameter, so that the templates do not change
// with the code and can be deployed without the CDK:
//
//	aws s3 cp --recursive --exclude '*' --include '*.zip' build/lambda "s3://$BUCKET/$VERSION/"
//	aws cloudformation deploy --stack-name ekspedite-data --template-file infra/template/ekspedite-data.template.json
//	aws cloudformation deploy --stack-name ekspedite-automation --capabilities CAPABILITY_IAM \
//	    --s3-bucket "$BUCKET" --template-file infra/template/ekspedite-automation.template.json \
//	    --parameter-overrides CodeBucket="$BUCKET" CodePrefix="$VERSION/"
//
// Without -template it writes a cloud assembly for the CDK's command line, with build/lambda/<function>.zip as assets.
//
// All tests that start jsii are in this package: the first app of a test binary costs seconds, each further one much less.
package main
