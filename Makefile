# WebMLS. `make` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Settings, to be given on the command line or in the environment.
LISTEN      ?= 127.0.0.1:8470
DATA        ?= .cache/delivery
BENCH       ?= .
BROWSER_BENCH ?=
FUZZ        ?= ^Fuzz
FUZZTIME    ?= 30s
# Bytes of the wasm binary after brotli -q 11: 1.0 MB.
WASM_BUDGET ?= 1048576

# The oldest versions that do: Go 1.26, as go.mod says, and Node 20.
GO_MINOR   := 26
NODE_MAJOR := 20

# The Go modules below the root one, and the folders with node packages.
MODULES  := $(sort $(patsubst ./%/go.mod,%,$(shell find . -mindepth 2 -name go.mod -not -path '*/node_modules/*')))
PACKAGES := $(sort $(patsubst %/package-lock.json,%,$(wildcard js/package-lock.json js/docs/package-lock.json web/*/package-lock.json tests/*/package-lock.json)))

# The race detector needs cgo and a C compiler.
RACE := $(shell test "$$(go env CGO_ENABLED)" = 1 && command -v "$$(go env CC)" >/dev/null && echo -race)

WASM_GO    := GOOS=js GOARCH=wasm go
WASM_BUILD := $(WASM_GO) build -trimpath -buildvcs=false -ldflags="-s -w"
WASM_TEST  := $(WASM_GO) test -exec $(CURDIR)/.ci/wasm-exec
HOST_KEYS  := wasm/hostkeys/hostkeystest/bundle/host.js
STEPS      := format vet go delivery types wasm browser

## help: list the targets
.PHONY: help
help:
	@echo 'Targets:'
	@sed -n 's/^## \([a-z-]*\): /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18
	@echo
	@echo 'Settings: LISTEN=$(LISTEN) DATA=$(DATA) BENCH=$(BENCH) FUZZ=$(FUZZ) FUZZTIME=$(FUZZTIME) MLS_VECTORS=<folder> CI=true (no test is skipped)'

## run: build everything, serve the chat on LISTEN, and say where the extension is
.PHONY: run
run: build
	@mkdir -p $(DATA)
	@echo
	@echo 'The chat is at http://$(LISTEN)/ - open it in two windows. Ctrl-C stops it.'
	@echo 'The extension is in $(CURDIR)/web/extension/dist - load it in chrome://extensions (developer mode, "Load unpacked").'
	@exec bin/delivery -listen $(LISTEN) -data $(DATA) -static web/chat/dist

## test: run all tests, natively and in browsers; single steps are test-format, test-vet, ...
.PHONY: test
test: deps vectors
	@mkdir -p .cache/log; rm -f .cache/log/*; failed=; \
	for step in $(STEPS); do \
		echo "== test-$$step"; SECONDS=0; \
		if $(MAKE) --no-print-directory test-$$step 2>&1 | tee .cache/log/$$step.log; \
		then verdict=passed; else verdict=FAILED; failed="$$failed $$step"; fi; \
		echo "$$verdict  test-$$step  $${SECONDS}s" >> .cache/log/summary; \
	done; \
	echo; echo '== summary'; \
	for step in $(STEPS); do grep -hE '^(ok|FAIL|---|ℹ (tests|pass|fail|skipped) )' .cache/log/$$step.log || true; done; \
	grep -h 'SKIPPED' .cache/log/*.log || true; \
	cat .cache/log/summary; \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed"; exit 1; fi; \
	echo 'all tests passed'

## test-format: gofmt finds nothing to change
.PHONY: test-format
test-format:
	@files=$$(find . \( -name node_modules -o -name .cache \) -prune -o -name '*.go' -print | xargs gofmt -l); \
	if [ -n "$$files" ]; then echo "not formatted by gofmt:"; echo "$$files"; exit 1; fi

## test-vet: go vet, for this machine and for wasm, in every module
.PHONY: test-vet
test-vet:
	go vet ./...
	$(WASM_GO) vet ./...
	@for module in $(MODULES); do echo "go vet ./...  in $$module"; (cd $$module && go vet ./...); done

## test-go: native tests, with the race detector where it works
.PHONY: test-go
test-go: vectors
	go test $(RACE) -timeout 30m ./...
	@go test -count=1 -v -run TestOfficialComplete ./tests/vectors | grep SKIPPED || true

## test-wasm: the tests of mls/ and wasm/ and, on WebCrypto, the vectors, some histories and the passive replay, as wasm in headless Chromium
.PHONY: test-wasm
test-wasm: vectors browsers bin/wasmbrowsertest $(HOST_KEYS)
	$(WASM_TEST) -timeout 30m ./mls/... ./wasm/... ./tests/vectors
	$(WASM_TEST) -timeout 10m -run 'TestScenario(Histories|Crashes|TwoInstances)' ./tests/scenario
	cd tests/interop && $(WASM_TEST) -timeout 10m ./passive

## test-types: the TypeScript compiler finds no error, and all that is public is documented
.PHONY: test-types
test-types: build docs
	@for folder in $(filter js web/%,$(PACKAGES)); do echo "npm run check  in $$folder"; (cd $$folder && npm run --silent check); done

## test-browser: the chat over the real delivery service and the extension, in real browsers; and that bench-browser works
.PHONY: test-browser
test-browser: build browsers webkit tests/browser/node_modules/.package-lock.json tests/bench/node_modules/.package-lock.json
	cd tests/browser && npm test --silent
	cd tests/bench && npm test --silent

## test-delivery: the tests of the modules below the root one
.PHONY: test-delivery
test-delivery:
	@for module in $(MODULES); do echo "go test ./...  in $$module"; (cd $$module && go test $(RACE) -timeout 10m ./...); done

## soak: the long tests of browsers and the delivery service with full counts, which make test shortens
.PHONY: soak
soak: build browsers tests/browser/node_modules/.package-lock.json
	cd web/delivery && SOAK=full go test -count=1 -v -timeout 30m -run TestClusterUnderLoad .
	cd tests/browser && SOAK=full npm run --silent soak

## bench: Go benchmarks; BENCH is a regular expression of names
.PHONY: bench
bench:
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m ./mls/... ./tests/...

## bench-start: how long a page and a service worker take until a client is open
.PHONY: bench-start
bench-start: build-js browsers tests/browser/node_modules/.package-lock.json
	cd tests/browser && node bench/coldstart.mjs

## bench-store: what sealing, locking and storing cost an operation, in Chromium
.PHONY: bench-store
bench-store: build-js browsers tests/browser/node_modules/.package-lock.json
	cd tests/browser && node bench/store.mjs

## bench-browser: every operation in browsers, beside other implementations; BROWSER_BENCH holds options (tests/bench/README.md)
.PHONY: bench-browser
bench-browser: build-js browsers tests/browser/node_modules/.package-lock.json tests/bench/node_modules/.package-lock.json
	cd tests/bench && node run.mjs $(BROWSER_BENCH)

## fuzz: every fuzz target whose name matches FUZZ, each for FUZZTIME
# The seeds, with what fuzzing has found before, run in `make test`. A new
# finding is written to testdata/fuzz beside the test: commit it with its repair.
# Making inputs smaller would take most of the time where keys are random.
.PHONY: fuzz
fuzz: vectors
	@for module in . $(MODULES); do (cd $$module; \
		for package in $$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
			targets=$$(go test -list '$(FUZZ)' $$package | { grep '^Fuzz' || true; }); \
			for target in $$targets; do \
				echo "== $$package $$target"; \
				go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x -parallel 2 $$package; \
			done; \
		done); \
	done

## vectors: put the official test vectors into tests/vectors/official
.PHONY: vectors
vectors: check-go
	@go run ./tests/vectors/fetch || { \
		echo '!! The official test vectors are missing. Their tests are skipped, but fail if CI=true.'; \
		[ "$${CI:-}" != true ]; }

## build: build the wasm binary, the npm package, the chat, the extension and the delivery service
.PHONY: build
build: build-js build-chat build-extension build-delivery

## build-wasm: the wasm binaries alone; prints their sizes and holds webmls.wasm to the budget
.PHONY: build-wasm
build-wasm: check-go check-node
	@mkdir -p js/dist
	$(WASM_BUILD) -o js/dist/webmls.wasm ./wasm
	$(WASM_BUILD) -o js/dist/x509.wasm ./wasm/x509
	go run ./wasm/slim js/dist/webmls.wasm js/dist/x509.wasm
	@node .ci/wasm-size.mjs js/dist/webmls.wasm $(WASM_BUDGET)
	@node .ci/wasm-size.mjs js/dist/x509.wasm

## build-js: the npm package webmls, in js/dist
.PHONY: build-js
build-js: build-wasm js/node_modules/.package-lock.json
	cd js && npm run --silent build

## build-chat: the chat, in web/chat/dist
.PHONY: build-chat
build-chat: build-js web/chat/node_modules/.package-lock.json
	cd web/chat && npm run --silent build

## build-extension: the browser extension, in web/extension/dist
.PHONY: build-extension
build-extension: build-js web/extension/node_modules/.package-lock.json
	cd web/extension && npm run --silent build

## build-delivery: the delivery service, bin/delivery
.PHONY: build-delivery
build-delivery: check-go
	cd web/delivery && go build -trimpath -buildvcs=false -o $(CURDIR)/bin/delivery .

## docs: the API reference, from the sources, in .cache/docs
.PHONY: docs
docs: js/docs/node_modules/.package-lock.json
	cd js/docs && npm run --silent build

## deps: install what is missing: browsers by apt-get, node packages by npm
.PHONY: deps
deps: check-go check-node browsers bin/wasmbrowsertest $(PACKAGES:%=%/node_modules/.package-lock.json)

# The browsers, where the machine has none. CHROMIUM names a Chromium elsewhere.
.PHONY: browsers
browsers:
	@missing=; \
	command -v "$${CHROMIUM:-chromium}" chromium-browser google-chrome >/dev/null || missing="$$missing chromium"; \
	command -v firefox-esr firefox >/dev/null || missing="$$missing firefox-esr"; \
	[ -n "$$missing" ] || exit 0; \
	command -v apt-get >/dev/null || { echo "please install:$$missing"; exit 1; }; \
	sudo=; if [ "$$(id -u)" != 0 ]; then sudo=sudo; fi; \
	echo "installing$$missing"; \
	$$sudo apt-get update -q; \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends $$missing

# WebKitGTK, for one smoke test, where Debian has it and it comes within two
# minutes; the test says when it is skipped. Nothing is interrupted but the download.
.PHONY: webkit
webkit:
	@command -v WebKitWebDriver >/dev/null && command -v Xvfb >/dev/null && exit 0; \
	command -v apt-get >/dev/null || exit 0; \
	sudo=; if [ "$$(id -u)" != 0 ]; then sudo='sudo -n'; fi; \
	install="apt-get install -q -y --no-install-recommends webkit2gtk-driver xvfb"; \
	echo "installing webkit2gtk-driver xvfb"; \
	{ $$sudo timeout 120 $$install --download-only || { $$sudo apt-get update -q && $$sudo timeout 120 $$install --download-only; }; } >/dev/null 2>&1 \
		&& DEBIAN_FRONTEND=noninteractive $$sudo $$install >/dev/null 2>&1 \
		|| echo '!! WebKitGTK could not be installed: its smoke test will be skipped.'

# npm writes this file last.
%/node_modules/.package-lock.json: %/package-lock.json | check-node
	cd $* && npm ci --no-audit --no-fund
	@touch $@

bin/wasmbrowsertest: go.mod go.sum | check-go
	go build -o $@ github.com/agnivade/wasmbrowsertest
	@touch $@

# What the wasm tests run of js/src: the keys of the browser, over a store in memory.
$(HOST_KEYS): $(HOST_KEYS:bundle/host.js=host.mjs) js/src/host/keys.ts js/src/errors.ts js/node_modules/.package-lock.json
	js/node_modules/.bin/esbuild $< --bundle --format=iife --global-name=host --target=es2022 --log-level=warning --outfile=$@

.PHONY: check-go
check-go:
	@version=$$(go env GOVERSION 2>/dev/null) || { echo 'Go is missing: install Go 1.$(GO_MINOR) or newer from https://go.dev/dl/'; exit 1; }; \
	minor=$${version#go1.}; minor=$${minor%%[!0-9]*}; \
	[ "$${minor:-0}" -ge $(GO_MINOR) ] || { echo "$$version is too old: Go 1.$(GO_MINOR) or newer is needed, from https://go.dev/dl/"; exit 1; }

.PHONY: check-node
check-node:
	@version=$$(node --version 2>/dev/null) || { echo 'Node is missing: install Node $(NODE_MAJOR) or newer from https://nodejs.org/'; exit 1; }; \
	major=$${version#v}; major=$${major%%.*}; \
	[ "$$major" -ge $(NODE_MAJOR) ] || { echo "Node $$version is too old: Node $(NODE_MAJOR) or newer is needed, from https://nodejs.org/"; exit 1; }; \
	command -v npm >/dev/null || { echo 'npm is missing: it comes with Node from https://nodejs.org/'; exit 1; }

## clean: remove what was built, the fetched vectors and the data of make run
.PHONY: clean
clean:
	rm -rf bin js/dist web/*/dist .cache tests/vectors/official/*.json $(HOST_KEYS)
