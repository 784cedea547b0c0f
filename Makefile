# make demo   the main job, with no AWS account
# make test   everything that must pass
SHELL := bash
.DEFAULT_GOAL := help

FUNCTIONS := cluster doorbell interruption notify pipeline scaling upgrade
GOBUILD   := CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -tags lambda.norpc
CDK_ENV   := JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20

OUTPUT ?= text

.PHONY: help
help: ## Show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the command line and the functions for this machine
	@mkdir -p build/local
	@for f in $(FUNCTIONS); do $(GOBUILD) -o build/local/$$f/bootstrap ./functions/$$f || exit 1; done
	@$(GOBUILD) -o build/ekspedite ./cmd/ekspedite

.PHONY: demo
demo: ## Create a cluster, interrupt a spot node, watch it being drained and replaced (KEEP=1, OUTPUT=json)
	@echo "Building the functions and the command line (the first time this takes some minutes)"
	@$(MAKE) --no-print-directory build
	@build/ekspedite demo --output $(OUTPUT) $(if $(KEEP),--keep) $(DEMO_FLAGS)

.PHONY: test
test: ## Run everything that must pass
	@.ci/test

.PHONY: lint
lint: ## gofmt, go vet, golangci-lint with the import rules, cfn-lint where installed
	@.ci/lint

.PHONY: synth
synth: ## Write the committed CloudFormation templates
	$(CDK_ENV) go run ./infra -template infra/template

.PHONY: package
package: ## Build and zip the functions for Lambda (arm64)
	@for f in $(FUNCTIONS); do \
	  GOOS=linux GOARCH=arm64 $(GOBUILD) -o build/lambda/$$f/bootstrap ./functions/$$f && \
	  go run ./infra/internal/lambdazip -out build/lambda/$$f.zip build/lambda/$$f/bootstrap || exit 1; done

node_modules: package-lock.json
	npm ci --no-audit --no-fund
	@touch node_modules

.PHONY: deploy
deploy: package node_modules ## Deploy to the AWS account of your credentials
	$(CDK_ENV) npx --no-install cdk deploy --all

.PHONY: bench
bench: build ## Measure, print a table, write build/bench.json
	@build/ekspedite bench --out build/bench.json

.PHONY: conformance
conformance: ## Run the emulated services' suites against ENDPOINT=… SERVICES="sqs events …"
	ENDPOINT=$(ENDPOINT) SERVICES="$(SERVICES)" go test -count=1 ./infra/local/conformance/...

.PHONY: fuzz
fuzz: ## Fuzz the decoders for a minute each
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 60s ./events

.PHONY: clean
clean: ## Remove what was built here (the cached Kubernetes stays: see README)
	rm -rf build
