# Two targets matter to a newcomer: `sudo make demo` and `sudo make test`. `make` alone lists all.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= 0.1.0-dev
ARCH    ?= $(shell go env GOARCH)
LDFLAGS := -s -w -X github.com/hawser-io/hawser/internal/version.version=$(VERSION)
# Without grpc's request tracing, which nobody turns on, no template engine is linked, and the linker can leave out what is not
# called: 3 MB of the agent.
GOBUILD := CGO_ENABLED=0 go build -tags grpcnotrace -trimpath -ldflags '$(LDFLAGS)'
# All of the agent's program is resident on somebody else's host. Nothing in it is hot but the runtime and hashing, which is assembly:
# the rest is built for size. The last pattern that matches counts.
%/hawser-agent: GOBUILD += -gcflags=all=-l -gcflags=runtime/...= -gcflags=internal/...= -gcflags=sync/...=
TOOL    := go tool -modfile=tools/go.mod
GO_SRC  := $(shell find api cmd internal packaging -name '*.go' 2>/dev/null) go.mod go.sum

export HAWSER_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/hawser

##@ Try it
.PHONY: demo
demo: prerequisites-lab build packages ## Bring up a real mesh with joined machines on this Linux machine (root)
	@scripts/demo

.PHONY: down
down: bin/hawser-lab ## Take the demo down again; nothing of it stays but caches (root)
	@bin/hawser-lab down

# The packages that have tests of a build tag, below some folders: others would be linked and run once more for nothing.
packages-with = $$(grep -rl --include='*_test.go' '^//go:build $(1)$$' $(2) | xargs dirname | sort -u)

##@ Test it
.PHONY: test
test: generated lint unit lab-unit apiserver lab-machines e2e ## All tests, in a real mesh at the end (root)

.PHONY: unit
unit: prerequisites-go ## Unit tests under the race detector: seconds, no root
	@go test -race ./...
	@go test -race -tags faults ./internal/agent/faults

.PHONY: apiserver
apiserver: bin/hawser-lab ## Tests against a real kube-apiserver and etcd
	@eval "$$(bin/hawser-lab build kube --env)"; go test -race -tags apiserver $(call packages-with,apiserver,./internal ./test)

.PHONY: lab-unit
lab-unit: prerequisites-go ## Unit tests of the lab's own module
	@cd lab && CGO_ENABLED=0 go test -count=1 ./...

.PHONY: lab-machines
lab-machines: prerequisites-lab ## Tests of the lab's machines and networks on their own (root)
	@cd lab && CGO_ENABLED=0 go test -tags lab -count=1 -p 1 $(call packages-with,lab,.)

.PHONY: e2e
e2e: prerequisites-lab build packages dist/faults/hawser-agent ## End-to-end scenarios in the lab (root)
	@scripts/e2e

.PHONY: soak
soak: prerequisites-lab build packages dist/faults/hawser-agent ## The scenarios that `make test` shortens or runs side by side, in full and alone: an hour and a half (root)
	@HAWSER_SOAK=yes TIMEOUT=3h scripts/e2e -run 'TestScenarios/(54|59|70|95)'

.PHONY: bench
bench: prerequisites-lab build packages ## Figures, one JSON line each: make bench NAME=join (or memory, upkeep, fanout)
	@scripts/demo --quiet >&2
	@go run ./test/bench $(NAME)

##@ Change it
.PHONY: build
build: bin/hawser bin/hawser-agent bin/hawser-manager bin/hawser-lab bin/hawser-lab-sandbox ## Build the binaries into bin/

bin/hawser bin/hawser-agent bin/hawser-manager: $(GO_SRC) | prerequisites-go
	@$(GOBUILD) -o $@ ./cmd/$(@F)

bin/hawser-lab bin/hawser-lab-sandbox: $(shell find lab -name '*.go' -o -name '*.yaml' -path 'lab/*' 2>/dev/null) lab/go.mod lab/go.sum | prerequisites-go
	@cd lab && CGO_ENABLED=0 go build -o ../$@ ./cmd/$(@F)

# One target: make takes the recipe of a pattern with several as making all of them at once.
dist/linux-%: $(GO_SRC) | prerequisites-go
	@GOOS=linux GOARCH=$(*D) $(GOBUILD) -o $@ ./cmd/$(@F)

.PHONY: packages
packages: dist/hawser-agent_$(VERSION)_$(ARCH).deb ## Build the agent's deb and rpm into dist/ (ARCH=arm64 for others)

# For scenarios alone: an agent that tests strike where they could not otherwise.
dist/faults/hawser-agent: $(GO_SRC)
	@$(GOBUILD) -tags grpcnotrace,faults -o $@ ./cmd/$(@F)

.PHONY: image
ARCHITECTURES ?= amd64 arm64
image: $(ARCHITECTURES:%=dist/linux-%/hawser-manager) ## Build and push the manager's image: make image IMAGE=registry.example/hawser-manager:1
	@test -n '$(IMAGE)' || { echo 'hawser: say where it goes: make image IMAGE=registry.example/hawser-manager:1' >&2; exit 2; }
	@go run ./packaging/image '$(IMAGE)' $(foreach a,$(ARCHITECTURES),$(a)=dist/linux-$(a)/hawser-manager)

dist/hawser-agent_$(VERSION)_$(ARCH).deb: dist/linux-$(ARCH)/hawser-agent $(shell find packaging -type f 2>/dev/null)
	@for format in deb rpm; do \
		VERSION=$(VERSION) ARCH=$(ARCH) $(TOOL) nfpm package -f packaging/nfpm.yaml -p $$format \
			-t dist/hawser-agent_$(VERSION)_$(ARCH).$$format >/dev/null; done

.PHONY: generate
generate: prerequisites-go ## Write the generated code again
	@$(TOOL) buf generate
	@$(TOOL) controller-gen object paths=./api/v1alpha1/... crd output:crd:dir=deploy/helm/hawser/files/crds

.PHONY: generated
generated: ## Check that the generated code is current
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	cp -r api deploy/helm/hawser/files/crds "$$before"; $(MAKE) generate; \
	diff -r "$$before/api" api && diff -r "$$before/crds" deploy/helm/hawser/files/crds || \
		{ echo 'hawser: generated code was out of date and is written again: commit it' >&2; exit 1; }

.PHONY: lint
lint: prerequisites-go ## gofmt, go vet, staticcheck, buf lint, in both modules
	@unformatted=$$(gofmt -l api cmd internal lab packaging test); test -z "$$unformatted" || { echo "not formatted: $$unformatted" >&2; exit 1; }
	@go vet -tags 'apiserver e2e faults lab' ./... && cd lab && go vet -tags lab ./...
	@$(TOOL) staticcheck -tags 'apiserver,e2e,faults,lab' ./...
	@cd lab && go tool -modfile=../tools/go.mod staticcheck -tags lab ./...
	@$(TOOL) buf lint

.PHONY: help
help: ## Show this
	@awk 'BEGIN {FS = ":.*##"} /^[a-z0-9-]+:.*##/ {printf "  make %-14s%s\n", $$1, $$2} /^##@/ {printf "\n%s\n", substr($$0, 5)}' $(MAKEFILE_LIST)

.PHONY: prerequisites-go prerequisites-lab
prerequisites-go:
	@scripts/prerequisites go
prerequisites-lab: prerequisites-go
	@scripts/prerequisites go lab
