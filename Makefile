# `make help` lists the targets. Nothing but Rust and make is needed beforehand on Debian 12.
PREFIX ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
CARGO ?= cargo

RELEASE := target/release/pontoon
DEBUG := target/debug/pontoon
UNITS = $(PREFIX)/lib/systemd/system

# Tests are compiled by whoever calls make and run as root: they make namespaces and mounts of their own.
ROOT := $(if $(filter-out 0,$(shell id -u)),sudo -E)
TRIPLE = $(shell rustc -vV | sed -n 's/^host: //p')
RUNNER = CARGO_TARGET_$(shell echo $(TRIPLE) | tr 'a-z-' 'A-Z_')_RUNNER

.PHONY: help build demo demo-down test soak fuzz bench install clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'

build: ## Build the release binary, target/release/pontoon
	@.ci/packages build
	$(CARGO) build --release

demo: ## Run the voting app on this host, prove it, clean up (KEEP=1 leaves it up; VOTE_PORT=, RESULT_PORT=)
	@.ci/packages demo
	@$(CARGO) build --release
	@examples/voting-app/demo.sh $(RELEASE)

demo-down: ## Take down a demo that KEEP=1 left up
	@examples/voting-app/demo.sh $(RELEASE) down

test: ## Run all tests, as root (PONTOON_TEST_REQUIRE=1: a skipped test is a failure)
	@.ci/packages test
	$(if $(ROOT),env '$(RUNNER)=$(ROOT)') $(CARGO) test
	$(ROOT) examples/run-tests.sh $(DEBUG)

soak: ## 500 kills, drift, floods and races under load, about ten minutes, as root (SOAK_KILLS=, SOAK_SECONDS=, SOAK_SEED=)
	@.ci/packages test
	FLOOD_STRICT=1 $(if $(ROOT),env '$(RUNNER)=$(ROOT)') $(CARGO) test --test kernel a_flood_does_not -- --nocapture
	SOAK_KILLS=$${SOAK_KILLS:-500} SOAK_SECONDS=$${SOAK_SECONDS:-900} SOAK_DRIFT=1 \
	    $(if $(ROOT),env '$(RUNNER)=$(ROOT)') $(CARGO) test --test kernel soak -- --nocapture

fuzz: ## A million hostile inputs for every parser (FUZZ_CASES=, FUZZ_SEED=, FUZZ_FROM=); `make test` tries some thousands
	FUZZ_CASES=$${FUZZ_CASES:-1000000} $(CARGO) test --lib fuzz_ -- --nocapture

bench: ## Pontoon and its peers side by side, as root, ten minutes (ROW=dns: one group): target/bench, benches/results, README
	@.ci/packages bench
	$(if $(ROOT),env '$(RUNNER)=$(ROOT)') $(CARGO) bench --bench side_by_side -- $(ROW)

$(RELEASE):
	$(MAKE) build

install: $(RELEASE) ## Install under DESTDIR: program, units, configuration, manual, completions
	install -Dm755 $(RELEASE) "$(DESTDIR)$(PREFIX)/bin/pontoon"
	install -Dm644 -t "$(DESTDIR)$(UNITS)" integration/systemd/*.service integration/systemd/*.socket
	sed -i 's|/usr/bin/pontoon|$(PREFIX)/bin/pontoon|' "$(DESTDIR)$(UNITS)/pontoon.service" \
	    "$(DESTDIR)$(UNITS)/pontoon-mounter.service"
	install -Dm644 integration/systemd/sysusers.conf "$(DESTDIR)$(PREFIX)/lib/sysusers.d/pontoon.conf"
	install -Dm644 integration/systemd/tmpfiles.conf "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/pontoon.conf"
	test -e "$(DESTDIR)$(SYSCONFDIR)/pontoon/pontoon.toml" || \
	    install -Dm644 integration/systemd/pontoon.toml "$(DESTDIR)$(SYSCONFDIR)/pontoon/pontoon.toml"
	install -d "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" \
	    "$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions" "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	$(RELEASE) man "$(DESTDIR)$(PREFIX)/share/man/man1"
	$(RELEASE) completion bash >"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pontoon"
	$(RELEASE) completion zsh >"$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_pontoon"
	$(RELEASE) completion fish >"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/pontoon.fish"

clean: ## Remove what was built
	$(CARGO) clean
