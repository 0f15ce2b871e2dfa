# Each target prints what it does and a summary, and fails when what it names fails.
.PHONY: run test interop chaos chaos-without watched compose-up compose-test k8s bench fuzz contract fmt lint

# Builds and starts everything in one process; for example: make run ARGS="--http 0.0.0.0:8080"
run:
	cargo run -- standalone $(ARGS)

# Formatting, lints and all tests that need no encoder. Installs what they use.
test:
	tests/install test
	tests/run test

# Real encoders against a running Whipcord. Installs them. For one: make interop TESTS=chromium
interop:
	tests/install interop
	tests/run interop $(TESTS)

# What the cluster does when its parts die, stop, are cut off or are replaced; prints a table. For one: make chaos TESTS=faults::redis
chaos:
	tests/install test
	tests/run chaos $(TESTS)

# The same rows, each without the mechanism that it tests: every one must fail. For one: make chaos-without TESTS=voice
chaos-without:
	tests/install test
	tests/run without $(TESTS)

# Every alert and every panel of the dashboards, on a real Prometheus, while real faults are caused: two minutes.
watched:
	tests/install test
	tests/run watched

# The Helm chart: its renders, against an API server, the controller against one, and on a cluster of two nodes with encoders outside; as root. For a part: make k8s ARGS=chart|api|controller|cluster
k8s:
	tests/k8s/run $(ARGS)

# What a packet, a session, and a cluster of a thousand workers cost; prints tables. For one: make bench ARGS=packets|sessions|cluster
bench:
	cargo build --release --package whipcord --package whipcord-bench
	"$${CARGO_TARGET_DIR:-target}/release/whipcord-bench" $(ARGS)

# A cluster in containers on this machine, as docker-compose.yml says. What stands in ARGS goes to `docker compose up`.
compose-up:
	compose/up $(ARGS)

# The same with an engine of its own and an encoder outside, as root on Debian; with ARGS=--from-source the Dockerfile builds the program.
compose-test:
	tests/compose/run $(ARGS)

# Each fuzz target for SECONDS (default 60).
fuzz:
	tests/run fuzz $(SECONDS)

# Keeps the gRPC contracts as those of a release, which later ones are held against: make contract VERSION=0.2.0
contract:
	cargo run --package whipcord-proto --example release -- $(VERSION)

fmt:
	cargo fmt --all

lint:
	tests/run lint
