# Every target installs what it needs or fails with the command that does.
.PHONY: test check unit clients bench guided fuzz deny install bless help target/release/patchbay

# A build guided by a profile would be made twice at once where two targets ask for it.
.NOTPARALLEL:

# The binary that is measured.
PATCHBAY = target/guided/patchbay

help: ## Shows the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

test: install check unit clients ## Installs what is missing, then runs everything

install: ## Debian packages and cargo-nextest, if missing
	@scripts/install

check: ## Format and lints, of the measuring and fuzzing programs too
	cargo fmt --all --check
	cargo fmt --check --manifest-path bench/Cargo.toml
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --manifest-path bench/Cargo.toml --all-targets --locked -- -D warnings
	cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --all-targets --locked -- -D warnings

unit: ## Every Rust test, in process and over TCP, the measuring program's too; generated files are compared here
	cargo nextest run --workspace --locked
	cargo nextest run --manifest-path bench/Cargo.toml --locked

clients: ## The vendors' official clients against the real binary over TCP
	cargo build --bin patchbay --locked
	PATCHBAY_BIN=$(CURDIR)/target/debug/patchbay clients/run

bless: ## Rewrites the generated files that the tests compare
	PATCHBAY_BLESS=1 cargo nextest run --workspace --locked -E 'test(openapi) or test(policy_matrix) or test(example_config)'

bench: $(PATCHBAY) ## The guided build beside OpenLDAP, PocketBase and the echo ceiling; PATCHBAY=target/release/patchbay BENCH="--label plain" for the plain one
	cargo run --release --locked --manifest-path bench/Cargo.toml -- --patchbay $(PATCHBAY) --rounds 5 --seconds 3 --connections 1,16,64,256 --users 100000 --out bench/results $(BENCH)

# Built again only if what it is built of has changed since.
target/guided/patchbay: scripts/guided-build Cargo.toml Cargo.lock .cargo/config.toml core/Cargo.toml server/Cargo.toml $(shell find core/src server/src)
	scripts/guided-build

target/release/patchbay:
	cargo build --release --locked

guided: ## The release binary to deploy, built twice and laid out anew: guided by where it went under load
	scripts/guided-build

fuzz: ## Every decoder, 30 seconds each
	fuzz/run

deny: ## Licences, duplicate and banned crates
	@cargo deny --version >/dev/null 2>&1 || { echo "cargo-deny is missing. Run: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny check bans licenses sources
