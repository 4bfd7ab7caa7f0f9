# Short names for the commands of CONTRIBUTING.md and of CI.

# List the recipes.
default:
    @just --list

# Build the release binary.
build:
    cargo build --release

# Pass the tests.
test:
    cargo test --workspace

# Format the code.
format:
    cargo fmt --all

# Run the lints and the checks of language and documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    .ci/style
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items

# Update snapshots and generated documents.
update:
    INSTA_UPDATE=always DMOS_UPDATE_DOCS=1 cargo test -p dmos-cli
    DMOS_UPDATE_CORPUS=1 cargo test -p dmos-fuzz --test corpus

# Count the instructions of hot paths.
instructions:
    .ci/instructions

# Search for failures.
fuzz runs="10000" seed="1":
    cargo run --release -- fuzz --runs {{runs}} --seed {{seed}} --out target

# Run everything that CI runs.
ci:
    .ci/run
