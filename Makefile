# SPDX-License-Identifier: BSD-2-Clause
# Verbs only: Meson builds, scripts/ does the rest (HACKING.md).
BUILD ?= build
PREFIX ?= /usr/local

.PHONY: help deps build demo check bench lint format fuzz soak soak-sim explore explore-full mutants holes model model-full install clean

help:
	@echo 'make build | demo | check | bench | lint | format | fuzz | soak | soak-sim | explore | explore-full | mutants | holes | model | model-full | install | deps | clean'

deps:
	scripts/install-deps

build:
	@test -f $(BUILD)/build.ninja || meson setup --prefix=$(PREFIX) $(BUILD)
	ninja -C $(BUILD)

demo:
	scripts/demo

check:
	scripts/check $(SUITES)

bench: build
	bench/run goodput
	bench/run connect
	bench/run reconfig
	bench/run disruption

lint:
	scripts/lint

format:
	git ls-files -z '*.c' '*.h' | xargs -0r clang-format -i

# Longer than what `make check` does: minutes a target, SECONDS to choose.
fuzz:
	tests/fuzz/run $(or $(SECONDS),300)

# On real stacks: 1,000 checked sessions, changes of their chains, crashes and loss (root): MINUTES to choose.
soak: build
	DYSCO_BUILD=$(abspath $(BUILD)) tests/netns/soak --minutes $(or $(MINUTES),30) $(SOAK)

# Other and many more seeds of the simulator than `make check` runs: SEEDS to choose.
soak-sim: build
	$(BUILD)/tests/sim/sim --seeds $(or $(SEEDS),2000001-12000000) --jobs $$(nproc)

# Every interleaving of small worlds around the core (docs/explorer.md): in three minutes, or in hours
# (FULL='--seconds 38 --walks 1500' takes 25 minutes on two cores).
explore: build
	$(BUILD)/tests/explore/explore --short --jobs $$(nproc) $(CONFIGURATIONS)

explore-full: build
	$(BUILD)/tests/explore/explore --full $(FULL) --jobs $$(nproc) $(CONFIGURATIONS)

# Seeded bugs, each of which must be found: MUTANTS to choose.
mutants:
	tests/explore/mutants $(MUTANTS)

# docs/holes.md anew, from what the explorer finds in the code with the holes of the protocol opened again.
holes:
	tests/explore/holes

# Spin over the models of the protocol: small configurations, and all of them.
model:
	model/run short

model-full:
	model/run full

# Only what is installed, in a folder of its own.
install:
	@test -f build-install/build.ninja || meson setup --prefix=$(PREFIX) -Dtests=false build-install
	meson install -C build-install
	@[ -n "$(DESTDIR)" ] || ldconfig

clean:
	rm -rf build build-check build-install
