# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# One makefile, no recursion. `make help` lists the targets, V=1 shows the commands.
MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

VERSION := 0.1.0
CLANG   ?= clang-19
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
CC      ?= gcc
SANITIZE ?= 0
ifeq ($(SANITIZE),1)
B := build/sanitize
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
B := build
SAN :=
endif
Q := $(if $(V),,@)
say = @printf '  %-8s %s\n' $(1) $(2)

ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
PKGS := libbpf libelf zlib yaml-0.1 jansson libmnl libuv libcurl libmicrohttpd ncursesw

BPF_OBJS := shunt_tc shunt_xdp shunt_sock shunt_iter shunt_bench shunt_capture
SKELS    := $(BPF_OBJS:%=$(B)/skel/%.skel.h)
SRCS     := $(sort $(wildcard user/*/*.c))
MAIN     := user/cmd/main.c
LIB_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out $(MAIN),$(SRCS))) $(B)/user/agent/page.o

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Wall -Werror -Wshadow \
	-Iinclude -Ivmlinux -Ibpf -MMD -MP
CFLAGS  ?= -O2 -g
UCFLAGS := -std=gnu11 -D_GNU_SOURCE -DSHUNT_VERSION='"$(VERSION)"' $(CFLAGS) $(SAN) \
	-Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wvla -Wno-unused-parameter \
	-fstack-protector-strong -fPIE -Iuser -Iinclude -I$(B)/skel -MMD -MP
# Asked once, on first use: when this file is read, pkg-config may not be installed yet.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS   = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PKGS)))$(PKG_LIBS)
ULDFLAGS := $(SAN) -pie -Wl,-z,relro,-z,now

# What the goals at hand need is installed in one go, before anything is built.
DEPS := --build
DEPS += $(if $(filter deps test% mutants run playground% bench%,$(MAKECMDGOALS)),--test)
DEPS += $(if $(filter deps bench test test-system,$(MAKECMDGOALS)),--bench)
DEPS += $(if $(filter deps deb test%,$(MAKECMDGOALS)),--package)
DEPS += $(if $(filter deps lint format,$(MAKECMDGOALS)),--lint)

all: $(B)/shunt $(B)/man/made ## build build/shunt (the default)

deps: ## install the Debian packages that are missing (root)
	@scripts/deps $(DEPS)

$(B)/shunt: $(B)/user/cmd/main.o $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDFLAGS)

$(B)/bpf/%.bpf.o: bpf/%.bpf.c | deps
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MF $(@:.o=.d) -MT $@ -c -o $(@:.o=.tmp.o) $<
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.tmp.o)

$(B)/skel/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)echo '/* NOLINTBEGIN: generated */' >$@
	$(Q)$(BPFTOOL) gen skeleton $< name $* >>$@
	$(Q)echo '/* NOLINTEND */' >>$@

$(B)/user/%.o: user/%.c | deps $(SKELS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UCFLAGS) $(PKG_CFLAGS) -MF $(@:.o=.d) -MT $@ -c -o $@ $<

# The web page's files, as they are.
$(B)/user/agent/page.o: user/agent/page.S $(wildcard user/agent/page/*)
	$(call say,AS,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -c -o $@ $<

# The program prints its pages, from the same tables as --help, with what man/ has to add. They are
# made rather than kept, so that none can be stale.
$(B)/man/made: $(B)/shunt $(wildcard man/*.mdoc)
	$(call say,MAN,$(@D))
	$(Q)rm -rf $(@D) && mkdir -p $(@D)
	$(Q)for page in $$($< __man); do \
		$< __man $$page man/$$page.mdoc >$(@D)/$$page.8 || exit; done
	$(Q)touch $@

# ---- tests: each tests/unit/test_*.c and tests/bpf/test_*.c is a program; other .c files beside
# them are linked to all programs of their folder
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
BPF_TESTS  := $(patsubst tests/bpf/%.c,$(B)/tests/bpf/%,$(sort $(wildcard tests/bpf/test_*.c)))
UNIT_LIB   := $(patsubst %.c,$(B)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
BPF_LIB    := $(patsubst %.c,$(B)/%.o,$(filter-out tests/bpf/test_%,$(wildcard tests/bpf/*.c)))
TEST_TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(sort $(wildcard tests/tools/*.c)))

$(B)/tests/%.o: tests/%.c | deps $(SKELS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UCFLAGS) $(PKG_CFLAGS) -Itests -MF $(@:.o=.d) -MT $@ -c -o $@ $<

$(UNIT_TESTS): $(B)/tests/unit/%: $(B)/tests/unit/%.o $(UNIT_LIB) $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ -lcmocka $(PKG_LIBS) $(LDFLAGS)

$(BPF_TESTS): $(B)/tests/bpf/%: $(B)/tests/bpf/%.o $(BPF_LIB) $(filter-out $(B)/user/cmd/% $(B)/user/ptest/% $(B)/user/trace/% $(B)/user/bench/%,$(LIB_OBJS))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ -lcmocka $(PKG_LIBS) $(LDFLAGS)

$(TEST_TOOLS): $(B)/tests/tools/%: $(B)/tests/tools/%.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ -lpthread -lm $(LDFLAGS)

BENCH_TOOLS := $(B)/tests/bench/cores

$(BENCH_TOOLS): $(B)/tests/bench/%: $(B)/tests/bench/%.o $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ -lpthread $(PKG_LIBS) $(LDFLAGS)

# The sanitizers' tree has no system tests: those drive the installed programs, timings included.
TEST_GROUPS := unit bpf $(if $(filter 0,$(SANITIZE)),system)

test: $(B)/shunt $(UNIT_TESTS) $(BPF_TESTS) $(TEST_TOOLS) $(BENCH_TOOLS) ## all tests (root); SANITIZE=1: unit and data path under ASan and UBSan
	@B=$(B) scripts/test $(TEST_GROUPS)

test-unit: $(UNIT_TESTS) ## unit tests, no privilege
	@B=$(B) scripts/test unit

test-bpf: $(BPF_TESTS) ## data-path tests over BPF_PROG_TEST_RUN (root)
	@B=$(B) scripts/test bpf

test-system: $(B)/shunt $(TEST_TOOLS) $(BENCH_TOOLS) ## system tests in network namespaces (root)
	@B=$(B) scripts/test system

mutants: | deps ## break the code of each point of docs/semantics.md: does its test see it? (root; FAULTS="17 18-time")
	@tests/mutants/run $(FAULTS)

# ---- checks
FORMATTED = $(shell find bpf user include tests -name '*.[ch]')

lint: $(SKELS) $(B)/man/made ## formatting, static analysers, shell scripts, house rules
	@B=$(B) scripts/lint

format: | deps ## lay out every C file with clang-format
	$(Q)clang-format-19 -i $(FORMATTED)

# ---- installation, below DESTDIR if given
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
DOCDIR  ?= $(PREFIX)/share/doc/shunt
UNITDIR ?= $(PREFIX)/lib/systemd/system
DATADIR ?= $(PREFIX)/share
INSTALL ?= install
ZSHDIR  ?= $(DATADIR)/zsh/site-functions
# shell:file, where each shell looks for what packages bring
COMPLETIONS = bash:$(DATADIR)/bash-completion/completions/shunt zsh:$(ZSHDIR)/_shunt \
	fish:$(DATADIR)/fish/vendor_completions.d/shunt.fish

install: $(B)/shunt $(B)/man/made ## binary, completions, man pages, systemd unit, documents and examples (PREFIX, DESTDIR)
	$(Q)$(INSTALL) -D -m 755 $< $(DESTDIR)$(BINDIR)/shunt
	$(Q)$(INSTALL) -d $(DESTDIR)$(UNITDIR)
	$(Q)sed 's|/usr/bin/shunt|$(BINDIR)/shunt|' packaging/shunt.service >$(DESTDIR)$(UNITDIR)/shunt.service
	$(Q)chmod 644 $(DESTDIR)$(UNITDIR)/shunt.service
	$(Q)for page in $(B)/man/*.8; do \
		$(INSTALL) -D -m 644 -t $(DESTDIR)$(MANDIR)/man8 $$page || exit; done
	$(Q)for entry in $(COMPLETIONS); do \
		$< completion $${entry%%:*} >$(B)/completion && \
		$(INSTALL) -D -m 644 $(B)/completion $(DESTDIR)$${entry#*:} || exit; done
	$(Q)$(INSTALL) -D -m 644 -t $(DESTDIR)$(DOCDIR) README.md CHANGELOG.md LICENSE $(wildcard docs/*.md docs/*.png)
	$(Q)$(INSTALL) -D -m 644 -t $(DESTDIR)$(DOCDIR)/LICENSES $(wildcard LICENSES/*)
	$(Q)$(INSTALL) -D -m 644 -t $(DESTDIR)$(DOCDIR)/plots $(wildcard docs/plots/*.svg)
	$(Q)for file in $(wildcard examples/*.yaml examples/*/*); do \
		$(INSTALL) -D -m 644 $$file $(DESTDIR)$(DOCDIR)/$$file || exit; done
	$(Q)$(INSTALL) -D -m 644 -t $(DESTDIR)$(DOCDIR)/examples/kubernetes $(wildcard packaging/kubernetes/*)

# Where the package is put.
DEBDIR ?= $(B)/deb

deb: $(B)/shunt ## a Debian package, which starts nothing by itself (in build/deb, or DEBDIR)
	$(Q)mkdir -p $(B)/deb $(DEBDIR)
	$(Q)rm -rf $(B)/deb/root
	$(Q)$(MAKE) --no-print-directory install DESTDIR=$(abspath $(B)/deb/root) PREFIX=/usr \
		ZSHDIR=/usr/share/zsh/vendor-completions
	$(Q)packaging/debian/build $(VERSION) $(B)/deb/root $(DEBDIR)

clean: ## remove build/
	rm -rf build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile
	@printf '\nSANITIZE=1 builds in build/sanitize, V=1 shows the commands, -j2 uses two cores.\n'

.PHONY: all deps test test-unit test-bpf test-system mutants lint format install deb clean help
.SECONDARY:
-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)

# ---- playground
run: $(B)/shunt $(TEST_TOOLS) ## bring up the playground, show who answers each way, remove it (root)
	@B=$(B) scripts/playground run

playground: $(B)/shunt $(TEST_TOOLS) ## bring up the playground and leave it (root)
	@B=$(B) scripts/playground up

playground-down: ## remove the playground (root)
	@B=$(B) scripts/playground down

.PHONY: run playground playground-down

# ---- measuring
bench: $(B)/shunt $(TEST_TOOLS) $(BENCH_TOOLS) ## measure everything, into build/bench (root; 15 minutes, QUICK=1: 2)
	@B=$(B) QUICK=$(QUICK) tests/bench/run

bench-agent: $(B)/shunt $(TEST_TOOLS) ## the agent with 10,000 Services: start, memory, CPU, latency (root)
	@B=$(B) tests/tools/bench-agent

.PHONY: bench bench-agent
