# BackupKit's front door. `make` alone says what there is; the work itself is done by the scripts named here.

# Rust from rustup before a distribution's older one. RUSTC and the like are taken from the environment.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)

.PHONY: help build install static static-arm64 release demo demo-cluster test machine test-faults test-kinds test-histories test-two-hosts test-lying-s3 test-large test-real test-s3 test-packages test-arm64 test-release test-parts lint fmt bench clean

help: ## say what there is (the default)
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

build: ## build target/release/backupkit, with a Rust toolchain through rustup if there is none
	tests/parts/debian ca-certificates curl gcc libc6-dev
	tests/parts/rust
	cargo build --release --locked

static: ## build target/*-linux-musl/release/backupkit, which runs on any Linux; RUSTC is a compiler for musl, if not rustup's
	tests/parts/debian ca-certificates curl gcc libc6-dev
	tests/parts/rust
	packaging/static

static-arm64: ## build target/aarch64-unknown-linux-musl/release/backupkit, on a machine of another architecture
	tests/parts/debian ca-certificates curl gcc libc6-dev
	tests/parts/rust
	BACKUPKIT_ARCH=aarch64 packaging/static

install: ## install what make build made below PREFIX (/usr/local), in DESTDIR: program, manual pages, completions, units
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" packaging/install

release: static ## build all that is released into target/artifacts, from a clean tree: packages, image, tarball, checksums
	packaging/release

demo: build ## back up, restore and compare a database of 200 MB on a throwaway PostgreSQL of its own
	demo/install
	demo/run

demo-cluster: build ## two hosts back up to a three-node S3 cluster that loses its nodes, and restore from it
	demo/install
	tests/parts/install garage
	demo/cluster

test: machine test-parts lint ## install what the tests need and run all of them
	cargo test --locked --no-fail-fast

machine:
	@tests/parts/machine

test-two-hosts: test-parts ## two hosts at random work on one storage, for MINUTES (10) on each of three kinds at a time
	BACKUPKIT_CAMPAIGN_MINUTES=$(or $(MINUTES),10) cargo test --locked --test it -- two_hosts:: --nocapture

test-large: test-parts ## back a table of more than 1 GiB up and restore it; needs 6 GB of disk
	cargo test --locked --test large

test-real: test-parts ## all commands on databases that have everything, made from SEED, on MAJORS, one of each with SHORT=1; REGRESS is a source tree of PostgreSQL
	BACKUPKIT_REAL_SEED="$(SEED)" BACKUPKIT_REAL_MAJORS="$(MAJORS)" BACKUPKIT_REAL_SHORT="$(SHORT)" BACKUPKIT_REAL_REGRESS="$(REGRESS)" cargo test --locked --test real -- --nocapture

test-faults: test-parts ## disturb every command in a thousand system calls, and see that nothing is lost; a quarter of an hour
	cargo test --locked --test faults -- --nocapture

test-kinds: test-parts ## hold dry runs against restores by every kind of object and login, on every server; minutes
	cargo test --locked --test it -- --ignored what_a_dry_run_allows_works_on_every_server --nocapture

test-histories: test-parts ## restore each backup that 30 histories at random keep, of clusters with chains; minutes
	cargo test --locked --test it -- --ignored base_histories:: --nocapture

test-s3: test-parts ## the promises of a storage on every server, with Ceph, which it installs
	tests/parts/install ceph
	cargo test --locked --test storage --test ceph

test-lying-s3: test-parts ## backups to an S3 server that lies in every way that we know of
	cargo test --locked --test lying_s3

test-packages: static ## the static binary, the packages in a fresh chroot, the units under a systemd, the manifests, the image against real servers; as root
	packaging/test-static
	packaging/test-deb
	packaging/test-rpm
	packaging/test-systemd
	packaging/test-kubernetes
	packaging/test-image

test-arm64: static static-arm64 ## what make static-arm64 built, under an emulator: backups and restores with real servers, packages
	packaging/test-arm64

test-release: ## build a release twice and compare the bytes
	packaging/test-release

test-parts: ## install what the tests need: PostgreSQL 14 to 18 and others, outside of this directory
	tests/parts/install
	tests/parts/rust lint

lint: test-parts ## formatting, clippy, manual pages, scripts, units and dependencies
	.ci/lint

fmt: ## format the Rust code
	cargo fmt

bench: build ## measure backup and restore against the usual pipelines
	benches/run

clean: ## remove what was built here; the test parts stay
	cargo clean
