# SPDX-License-Identifier: Apache-2.0
#
# Each target is a thin call of a Go command; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
export GOTOOLCHAIN := local

MODULES := api client tools lab .
CRD := config/crd/apps.paia.tech_hotstandbyjobs.yaml
CONTROLLER_GEN := go tool -modfile=$(CURDIR)/tools/go.mod controller-gen
GOLANGCI_LINT := go tool -modfile=$(CURDIR)/tools/golangci-lint/go.mod golangci-lint
CRD_REF_DOCS := go tool -modfile=$(CURDIR)/tools/crd-ref-docs/go.mod crd-ref-docs
BUF := go tool -modfile=$(CURDIR)/tools/buf/go.mod buf
LAB := go run -C lab ./cmd/lab

.PHONY: help demo test bench bench-quick bench-compare lab-up lab-down generate ui lint image release-dry-run

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 17

# Compiled as the operator and Kubernetes are, so that they share packages.
demo: ## Show a pool at work on a real Kubernetes; DEMO=stay keeps it, CLUSTER=current uses the cluster of KUBECONFIG
	@echo "compiling the demo, which takes a minute or two the first time"
	@CGO_ENABLED=0 go run -trimpath ./demo $(DEMO_FLAGS)

test: ## Run all tests with the race detector, on a lab that is started for them and taken down at the end
	tools/test.sh $(MODULES)

# Compiled as the operator and Kubernetes are, so that they share packages.
BENCH := CGO_ENABLED=0 go run -trimpath ./bench

bench: ## Measure launches and pools on a lab, beside what would be used otherwise; SCENARIO=launch measures that alone
	$(BENCH) $(if $(SCENARIO),-scenario "$(SCENARIO)") $(BENCH_FLAGS)

bench-quick: ## The same with fewer and smaller cases, in some minutes
	$(BENCH) -quick $(if $(SCENARIO),-scenario "$(SCENARIO)") $(BENCH_FLAGS)

bench-compare: ## Show what differs between the last report and bench/baseline.json, as ratios
	$(BENCH) -compare dist/bench/report.json $(BENCH_FLAGS)

lab-up: ## Start a real Kubernetes on this machine; LAB_FLAGS="--sim-nodes 100" adds simulated nodes
	$(LAB) up $(LAB_FLAGS)

lab-down: ## Stop it and remove all that belongs to it
	$(LAB) down

generate: ## Write what is generated from the Go sources and the protocols: code, CRD, RBAC, docs/api.md and the dashboard
	cd api && $(CONTROLLER_GEN) object:headerFile=../tools/boilerplate.go.txt paths=./...
	cd api && $(CONTROLLER_GEN) crd:generateEmbeddedObjectMeta=true paths=./... output:crd:dir=../config/crd
	$(CRD_REF_DOCS) --source-path=api --config=tools/crd-ref-docs/config.yaml --renderer=markdown \
		--templates-dir=tools/crd-ref-docs/templates --output-path=docs/api.md --log-level=ERROR
	go run -C tools ./crdtrim ../$(CRD)
	$(CONTROLLER_GEN) rbac:roleName=hotstandbyjob-operator,fileName=role.yaml \
		paths='./internal/...' paths='./cmd/operator/...' output:rbac:dir=config/rbac
	go run -C tools ./dashboard ../charts/hotstandbyjob/files/dashboard.json
	$(BUF) generate

ui: ## Build the page that the operator serves, from ui to internal/ui/dist, and commit what it writes
	tools/ui.sh

lint: ## Check the style of all modules; LINT_FLAGS=--fix mends what can be mended
	status=0; for module in $(MODULES) test/keda; do \
		echo "== lint $$module"; (cd $$module && $(GOLANGCI_LINT) run $(LINT_FLAGS) ./...) || status=1; \
	done; exit $$status

image: ## Build the operator's image as a tar, dist/hotstandbyjob-operator.tar
	@mkdir -p dist
	$(LAB) image operator --output $(CURDIR)/dist/hotstandbyjob-operator.tar

release-dry-run: ## Make what a release has, but for the image, in dist/release, and check it; PLATFORM=linux/amd64 makes that alone
	tools/release.sh $(PLATFORM)
