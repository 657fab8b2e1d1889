# The two commands to know are `make demo` and `make test`; `make help` lists the others.

.NOTPARALLEL:
.PHONY: help demo cluster test tools lint check-format clippy check-scripts test-rust test-docs fmt deny bench

LOCAL := deploy/local
# Says what it does and how long that took.
PHASE := $(LOCAL)/phase.sh
SCRIPTS := $(wildcard $(LOCAL)/*.sh) .ci/run

# Tools that install.sh put into the checkout.
export PATH := $(CURDIR)/.build/bin:$(PATH)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Live GPU metrics in a browser, on this machine alone: PORT (8080), DEMO_PROFILE=dev builds faster
	@$(LOCAL)/demo.sh

cluster: ## The same with NATS, two gateways, two pollers and HAProxy: PORT (8080), DEMO_PROFILE=dev builds faster
	@$(LOCAL)/cluster.sh

test: tools lint test-rust test-docs ## Install what the tests need, and run all of them

tools:
	@$(PHASE) "install what is missing" \
	  $(LOCAL)/install.sh rust cc curl node python prometheus nats nginx haproxy chromium
	@if [ -f tests/clients/node/package.json ]; then \
	  $(PHASE) "install the Node.js client" npm ci --no-audit --no-fund --prefix tests/clients/node; fi

lint: check-format clippy check-scripts ## Format, lints and scripts, without running a test

check-format:
	@$(PHASE) "check the format" cargo fmt --all --check

clippy:
	@$(PHASE) "lint" cargo clippy --locked --workspace --all-targets -- -D warnings

# ShellCheck says more than bash, where it is installed.
check-scripts:
	@for script in $(SCRIPTS); do bash -n $$script || exit 1; done
	@if command -v shellcheck >/dev/null; then shellcheck --external-sources $(SCRIPTS); fi

# cargo-nextest reports better, where it is installed; documentation tests are cargo's own.
test-rust:
	@$(PHASE) "build" cargo build --locked --workspace
	@if cargo nextest --version >/dev/null 2>&1; then $(PHASE) "test" cargo nextest run --locked --workspace; \
	  else RUST_TEST_THREADS=6 $(PHASE) "test" cargo test --locked --workspace --lib --bins --tests; fi

test-docs:
	@$(PHASE) "test the documentation" cargo test --locked --workspace --doc

fmt: ## Format the code
	@cargo fmt --all

deny: ## Licences, advisories and sources of the dependencies
	@cargo deny --version >/dev/null 2>&1 || { echo 'cargo-deny is missing: cargo install --locked cargo-deny' >&2; exit 1; }
	@cargo deny check

bench: ## Measure the fan-out on this machine
	@$(LOCAL)/install.sh rust cc
	@cargo build --locked --release -p promcast-gateway -p e2e --bins
	@target/release/bench
