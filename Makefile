# make demo   boot Debian in this terminal       make test   everything
# make build  bin/doppel                         make check  format, vet, lint, layers
GO      ?= go
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
LINT    := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Tests that must run, not skip, for make test to pass.
MUST := '^bench\.TestGuests' '^test/differential/(user|system)\.TestAgainstQEMU$$$$' '^test/baremetal\.TestPrograms' '^test/conformance\.' \
	'^test/density\.Test(Free|Balloon|Memory|Saved|Sharing)' '^test/e2e\.' '^test/isolation\.' '^test/lan\.' \
	'^test/litmus\.' '^test/move\.' '^test/arm64\.' '^test/soak\.'

RACE := . ./cmd/doppel ./internal/backend/... ./internal/clock ./internal/riscv/hart ./internal/cpu/sched ./internal/device/... ./internal/machine ./internal/manage/...

.PHONY: all build demo test test-fast check race fmt bench fuzz night soak clean deps-demo deps-test

all: build

build:
	$(BUILD) -o bin/doppel ./cmd/doppel

demo: deps-demo build
	bin/doppel run debian:trixie

test: deps-test build check
	$(GO) run ./tools/gotest $(addprefix -must ,$(MUST)) -- -timeout 40m ./...

# What needs no kernel, no image and no other emulator.
test-fast:
	$(GO) test -short ./...

check: build
	@fmt=$$(gofmt -l .); if [ -n "$$fmt" ]; then echo "not gofmt'ed:"; echo "$$fmt"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(LINT) ./...
	$(GO) mod verify
	$(GO) test ./test/arch/

# The race detector, which needs cgo, on what works beside guests' own memory.
race: deps-test
	CGO_ENABLED=1 $(GO) test -race -short -timeout 40m $(RACE)

fmt:
	gofmt -w .

# Beside QEMU and the host itself: make bench BENCHFLAGS=-quick
bench: deps-test build
	$(GO) run ./bench $(BENCHFLAGS)

# One minute on each fuzz target: make fuzz FUZZTIME=10s
FUZZTIME ?= 60s
fuzz:
	scripts/fuzz $(FUZZTIME)

# What takes a night: litmus tests of the memory model, two million rounds of each
# shape, code that harts change under each other, and a million random programs
# on both engines: make night PROGRAMS=100000
PROGRAMS ?= 1000000
ROUNDS   ?= 2000000
night:
	DOPPEL_LITMUS=$(ROUNDS) $(GO) test -timeout 0 -run 'TestHot$$' ./test/litmus
	DOPPEL_MODIFY=20 $(GO) test -timeout 0 -run 'TestModify$$' ./internal/machine
	DOPPEL_PROGRAMS=$(PROGRAMS) $(GO) test -timeout 0 -run 'TestPrograms$$|TestAddresses$$' ./test/differential/engines

# Eight machines on one host for ten minutes, with loads, pauses, resets, restores
# and panics at random, and fifty boots of Debian with saves and kills:
# make soak SOAKTIME=1h BOOTS=5
SOAKTIME ?= 10m
BOOTS    ?= 50
soak: deps-test build
	DOPPEL_SOAK_TIME=$(SOAKTIME) $(GO) test -timeout 0 -v -run 'TestSoak$$' ./test/soak
	DOPPEL_SOAK=$(BOOTS) $(GO) test -timeout 0 -v -run 'TestSoak$$' ./test/e2e

deps-demo:
	@scripts/deps demo

deps-test:
	@scripts/deps test
	@$(GO) run ./tools/oracle

clean:
	rm -rf bin
