# The two commands to know are `make demo` and `make test`; `make help` lists the others.

.NOTPARALLEL:
.PHONY: help demo cluster test tools lint check-format clippy check-scripts test-rust test-deploy test-contract test-docs test-web test-web-e2e fmt deny bench bench-bus bench-formats bench-polling bench-e2e bench-growth bench-micro check-instructions update-instructions bench-traces chaos

LOCAL := deploy/local
# Says what it does and how long that took.
PHASE := $(LOCAL)/phase.sh
SCRIPTS := $(wildcard $(LOCAL)/*.sh) .ci/run

# Tools that install.sh put into the checkout.
export PATH := $(CURDIR)/.build/bin:$(PATH)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-19s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Live GPU metrics in a browser, on this machine alone: PORT (8080), DEMO_PROFILE=dev builds faster
	@$(LOCAL)/demo.sh

cluster: ## The same with NATS, two gateways, two pollers and HAProxy: NATS_NODES=3 for three servers, PORT, DEMO_PROFILE
	@$(LOCAL)/cluster.sh

test: tools lint test-rust check-instructions test-deploy test-contract test-docs test-web test-web-e2e ## Install what the tests need, and run all of them

tools:
	@$(PHASE) "install what is missing" \
	  $(LOCAL)/install.sh rust cc go curl node python prometheus nats nginx haproxy faketime chromium
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

# All at once: without its tests, a crate's dependencies would have other features, and be compiled again for the tests.
BUILD := cargo build --locked --workspace --lib --bins --tests --examples

# cargo-nextest reports better, where it is installed; documentation tests are cargo's own.
test-rust:
	@$(PHASE) "build" $(BUILD)
	@if cargo nextest --version >/dev/null 2>&1; then $(PHASE) "test" cargo nextest run --locked --workspace; \
	  else RUST_TEST_THREADS=6 $(PHASE) "test" cargo test --locked --workspace --lib --bins --tests; fi

# Counts, and not time: the same on a busy machine. Only our own crates are compiled for it, dependencies are those of the tests.
check-instructions: ## Count the instructions of the hot paths with callgrind, and fail where one grew
	@$(LOCAL)/install.sh valgrind
	@$(PHASE) "build" $(BUILD)
	@$(PHASE) "count instructions" target/debug/check-instructions

update-instructions: ## Make what is counted now the baseline
	@$(LOCAL)/install.sh valgrind
	@$(PHASE) "build" $(BUILD)
	@target/debug/check-instructions --update

test-deploy: ## What is in deploy/, docker-compose.yml and the Dockerfile, beside the programs that `cargo build` made
	@$(PHASE) "install what checks deploy/" $(LOCAL)/install.sh prometheus nats haproxy deploy
	@$(PHASE) "test deploy/" .build/venv/bin/python -B tests/deploy/run.py

test-contract: ## docs/openapi.yaml and docs/asyncapi.yaml, on the programs that `cargo build` made
	@$(PHASE) "install what checks the descriptions" $(LOCAL)/install.sh prometheus nats node contract
	@$(PHASE) "test the descriptions" .build/venv/bin/python -B tests/deploy/run.py contract

test-docs:
	@$(PHASE) "test the documentation" cargo test --locked --workspace --doc

test-web: ## Lint, check, test, build and weigh what is in TypeScript
	@$(LOCAL)/install.sh node
	@for part in client dashboard; do \
	  $(PHASE) "install what web/$$part needs" npm ci --no-audit --no-fund --prefix web/$$part && \
	  $(PHASE) "test web/$$part" npm run --silent check --prefix web/$$part || exit 1; done

# Needs the programs that test-rust builds, or others in PROMCAST_BIN_DIR, and what test-web built.
test-web-e2e: ## The dashboard in a browser and the examples of the documentation, on the real programs
	@$(LOCAL)/install.sh go curl node python prometheus nats haproxy chromium
	@$(PHASE) "build an example" $(BUILD)
	@$(PHASE) "test the dashboard in a browser" npm run --silent test:e2e --prefix web/dashboard

fmt: ## Format the code
	@cargo fmt --all

deny: ## Licences, advisories and sources of the dependencies
	@cargo deny --version >/dev/null 2>&1 || { echo 'cargo-deny is missing: cargo install --locked cargo-deny' >&2; exit 1; }
	@cargo deny check

# Peers that cannot be installed here are left out, which the tables say.
bench: ## Measure fan-out beside raw sockets, nchan and Pushpin (20 minutes; QUICK=1: 4), then the dearest queries; BENCH=… has options
	@$(LOCAL)/install.sh rust cc nats
	@$(LOCAL)/install.sh nchan pushpin h2load ss || true
	@cargo build --locked --release -p promcast-gateway -p e2e --bins
	@target/release/bench $(if $(QUICK),--quick) $(BENCH)
	@target/release/bench-scope

bench-bus: ## Measure what 10,000 topics cost the bus, with one, two and four gateways: takes ten minutes, 2 GB, 20,000 files
	@$(LOCAL)/install.sh rust cc nats
	@cargo build --locked --release -p promcast-gateway -p promcast-poller -p e2e --bins
	@target/release/bench-bus

bench-formats: ## Bytes of an update in each format, and the time to make it
	@$(LOCAL)/install.sh rust cc
	@cargo run --locked -q --config 'profile.dev.package.promcast-gateway.opt-level=3' -p e2e --bin bench-formats

bench-traces: ## What the spans of one evaluation cost, without an exporter and with nothing sampled
	@$(LOCAL)/install.sh rust cc
	@cargo run --locked -q --config 'profile.dev.package.promcast-runtime.opt-level=3' -p e2e --example trace-cost
# The programs and the parts that a benchmark starts, and the benchmark itself: of the others each costs a link.
BENCH_BUILD = cargo build --locked --release -p promcast-gateway -p promcast-poller -p dcgm-sim -p e2e \
  $(addprefix --bin ,promcast-gateway promcast-poller dcgm-sim bench-part $@)

bench-polling: ## 10,000 topics (TOPICS) at 15 s through one poller on one core: two minutes, two cores
	@$(LOCAL)/install.sh rust cc nats
	@$(BENCH_BUILD)
	@target/release/bench-polling $(TOPICS)

bench-e2e: ## Tick to socket through a real Prometheus and NATS, by part; more viewers, more gateways (PARTS: delay viewers gateways)
	@$(LOCAL)/install.sh rust cc nats prometheus
	@$(BENCH_BUILD)
	@target/release/bench-e2e $(PARTS)

bench-growth: ## How costs grow (PARTS: connections topics series replicas), with pictures in docs/images
	@$(LOCAL)/install.sh rust cc nats
	@$(BENCH_BUILD)
	@target/release/bench-growth $(PARTS)

bench-micro: ## Time of the pure parts, with criterion; FILTER says which
	@$(LOCAL)/install.sh rust cc
	@for crate in proto poller gateway; do \
	  cargo bench --locked -q -p promcast-$$crate --bench micro -- --warm-up-time 0.5 --measurement-time 2 $(FILTER) || exit 1; done

chaos: ## Fault after fault for MINUTES (30), in an order that SEED (1) gives; a report in target/chaos.md
	@$(LOCAL)/install.sh rust cc prometheus nats haproxy faketime
	@cargo build --locked --release -p promcast-gateway -p promcast-poller -p e2e --bins
	@target/release/chaos --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1) --report target/chaos.md
