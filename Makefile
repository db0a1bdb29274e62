# All there is to know for building, running and testing Weir:
#   make build      .build/release/weir (ALLOCATOR=glibc leaves jemalloc out)
#   make run        the demo: an origin and the proxy in front of it on 127.0.0.1:8080
#   make install    what was built to /usr/local, with manual pages and unit file (PREFIX=/opt/weir DESTDIR=/somewhere)
#   make deb        a Debian package in .build/package
#   make test       everything that proves it
#   make soak       ten minutes of mixed traffic (MINUTES=10)
#   make bench      benchmarks beside nginx and HAProxy, in less than five minutes; results and a page in Benchmarks/Results/latest
#   make bench-full all scenarios and rivals, with rounds enough for verdicts (BENCH='--against HEAD~1' compares with another build)
#   make fuzz       the fuzzers for as long as you like (SECONDS_EACH=600)
#   make test-vm    scenarios on Debian's kernel, booted under software emulation
#   make test-tls-policy   testssl.sh against the default policy
#   make test-hellos       normal traffic under TLS beside hostile handshakes

.DEFAULT_GOAL := build
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

ALLOCATOR ?= jemalloc
SECONDS_EACH ?= 60
MINUTES ?= 10
export WEIR_ALLOCATOR := $(ALLOCATOR)

build_packages := liburing-dev libc-ares-dev libpcre2-dev libssl-dev libjemalloc-dev
# AES-GCM for CPUs whose instructions OpenSSL 3.0 does not know; there is none for others.
build_packages += $(if $(filter x86_64,$(shell uname -m)),libipsec-mb-dev)
package_packages := $(build_packages) dpkg-dev
test_packages := $(package_packages) nginx-light openssl curl wrk procps valgrind python3 iproute2
vm_packages := qemu-system-x86 busybox-static cpio xz-utils openssl python3
policy_packages := testssl.sh openssl python3
# linux-perf counts system calls.
bench_packages := $(build_packages) nginx-light haproxy openssl linux-perf

# Installs the Debian packages of $(1) that are missing; says nothing when none is.
define install
missing=; \
for package in $(1); do \
	case $$(dpkg-query -W -f '$${Status}' $$package 2>/dev/null) in *' installed') ;; *) missing="$$missing $$package";; esac; \
done; \
if [ -n "$$missing" ]; then \
	sudo=; [ $$(id -u) = 0 ] || sudo=sudo; \
	echo "installing:$$missing"; \
	$$sudo apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -qq --no-install-recommends $$missing >/dev/null; \
fi
endef

.PHONY: bench bench-full setup setup-tests toolchain build run static install deb test soak fuzz lint format \
	test-units test-scenarios test-asan test-tsan test-fuzz test-disassembly test-allocations test-counts test-glibc test-splicing test-package \
	test-vm test-tls-policy test-hellos test-builds

toolchain:
	@command -v swift >/dev/null || { echo "Weir needs Swift 6.3 on the PATH: https://www.swift.org/install"; exit 1; }

setup: toolchain
	@$(call install,$(build_packages))

setup-tests: toolchain
	@$(call install,$(test_packages))

build: setup
	swift build -c release --product weir

run: build
	.build/release/weir demo

# The program with the Swift libraries inside, for machines that have no Swift.
static: build
	@packaging/link-static .build/package/weir
	@echo "$$(stat -c %s .build/package/weir) bytes with the Swift libraries, $$(stat -c %s .build/release/weir) without"

PREFIX ?= /usr/local
DESTDIR ?=
export PREFIX DESTDIR

install: static
	packaging/install .build/package/weir

deb: static
	@$(call install,$(package_packages))
	packaging/build-deb .build/package/weir .build/package

# Everything that proves it. Each step is a target of its own and can be run alone; all run even when one fails.
test: setup-tests
	@MAKE='$(MAKE)' Tests/run lint test-builds test-units test-disassembly test-allocations test-counts test-scenarios test-splicing test-package \
		test-asan test-tsan test-glibc test-fuzz

# The release builds, the program's and the one that counts, at the same time: each keeps little more than one processor busy.
test-builds: setup-tests
	WEIR_COUNTS=1 swift build -c release --product weir-counts --scratch-path .build/counts & counting=$$!; \
		trap 'kill $$counting' INT TERM; code=0; swift build -c release --product weir || code=1; wait $$counting && exit $$code

units := EngineTests|HTTPTests|TLSTests|ProxyTests|TidyTests

lint: toolchain
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Tools

# Does what lint asks for.
format: toolchain
	swift format --in-place --recursive --parallel Package.swift Sources Tests Tools

test-units: setup-tests
	swift test --filter '$(units)'

# Against the binary that is shipped.
test-scenarios: setup-tests build
	WEIR_BINARY=$(CURDIR)/.build/release/weir swift test --filter ScenarioTests

# Under each sanitizer one build has the program and the tests that call its parts; scenarios drive that program from an ordinary
# test process, which keeps its speed. Times are stretched. Left out are the scenarios of pipelining, which need a backend that
# answers within two milliseconds; statistics and pages of benchmarks, which only compute; and under the thread sanitizer the
# simulation and the room HTTP, which have one thread. LeakSanitizer would report the test library itself,
# AddressSanitizer the backtracer that reads the stack of a crash.
sanitizer_environment := SWIFT_BACKTRACE=enable=no WEIR_TIME_FACTOR=3 ASAN_OPTIONS=detect_leaks=0
needs_speed := PipeliningTests|NeighbourTests
only_computes := StatisticsTests|VerdictTests|BenchComparisonTests|ReportTests

# $(1): of the sanitizer; $(2): folder of its build; $(3): targets of tests; $(4): suites that are left out.
define sanitized
WEIR_TESTS="$(3)" swift build --build-tests --sanitize=$(1) --scratch-path $(2)
$(sanitizer_environment) WEIR_BINARY=$(CURDIR)/$(2)/debug/weir WEIR_TESTS="$(3)" \
	swift test --skip-build --sanitize=$(1) --scratch-path $(2) --skip '$(4)'
swift build --build-tests
$(sanitizer_environment) WEIR_BINARY=$(CURDIR)/$(2)/debug/weir \
	swift test --skip-build --filter ScenarioTests --skip '$(needs_speed)'
endef

test-asan: setup-tests
	$(call sanitized,address,.build/asan,EngineTests HTTPTests TLSTests ProxyTests,$(only_computes))

test-tsan: setup-tests
	$(call sanitized,thread,.build/tsan,EngineTests TLSTests ProxyTests,$(only_computes)|SimulationTests)

# Both allocators are shipped, so both are tested: the same objects linked without jemalloc, and then as they were.
test-glibc: build
	WEIR_ALLOCATOR=glibc swift build -c release --product weir
	code=0; .build/release/weir version | grep -qx 'allocator glibc' || code=1; \
		swift build -c release --product weir; exit $$code

# Steps that bring a script of their own run it when it is there.
run_script = if [ -x $(1) ]; then $(1) $(2); fi

test-fuzz: setup-tests
	@$(call run_script,Tests/Fuzz/run,15)

test-disassembly: build
	@$(call run_script,Tests/Disassembly/run)

test-allocations: setup-tests
	@$(call run_script,Tests/Allocations/run)

# Instructions of a small exchange, against Benchmarks/Thresholds.
test-counts: setup-tests
	@$(call run_script,Tests/Counts/run)

fuzz: setup-tests
	@$(call run_script,Tests/Fuzz/run,$(SECONDS_EACH))

# Further options of 'weir bench run', such as --scenario and --against.
BENCH ?=

bench: build
	@$(call install,$(bench_packages))
	.build/release/weir bench run --quick --rounds 3 --seconds 1 --rivals nginx,haproxy --out Benchmarks/Results/latest \
		--history Benchmarks/Results/history.jsonl $(BENCH)

bench-full: build
	@$(call install,$(bench_packages))
	.build/release/weir bench run --rounds 16 --rivals nginx,haproxy,h2o,envoy --out Benchmarks/Results/full \
		--history Benchmarks/Results/history.jsonl $(BENCH)

soak: build setup-tests
	@$(call run_script,Tests/Soak/run,$(MINUTES))

# Large bodies as an unprivileged user, with and without pipes; says so and passes where that can't be tried.
test-splicing: build setup-tests
	@$(call run_script,Tests/Splicing/run)

# Not part of `make test`: a kernel under software emulation is slow, and a scan takes a minute or two.

# Scenarios on Debian's kernel, the oldest that Weir runs on: Tests/VM.
test-vm: build
	@$(call install,$(vm_packages))
	Tests/VM/run .build/release/weir $(SCENARIOS)

# What testssl.sh finds in the default policy.
test-tls-policy: build
	@$(call install,$(policy_packages))
	Tests/TLSPolicy/run

test-hellos: build setup-tests
	python3 Tests/Soak/hellos.py .build/release/weir

# The Debian package, unpacked into a folder and started under a service manager that is a script.
test-package: setup-tests deb
	Tests/Packaging/run "$$(ls -t .build/package/*.deb | head -n 1)"
