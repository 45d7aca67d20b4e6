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
PKGS := libbpf libelf zlib yaml-0.1 jansson libmnl

BPF_OBJS := shunt_tc shunt_xdp shunt_sock
SKELS    := $(BPF_OBJS:%=$(B)/skel/%.skel.h)
SRCS     := $(sort $(wildcard user/*/*.c))
MAIN     := user/cmd/main.c
LIB_OBJS := $(patsubst %.c,$(B)/%.o,$(filter-out $(MAIN),$(SRCS)))

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -Wall -Werror -Wshadow \
	-Iinclude -Ivmlinux -Ibpf -MMD -MP
CFLAGS  ?= -O2 -g
UCFLAGS := -std=gnu11 -D_GNU_SOURCE -DSHUNT_VERSION='"$(VERSION)"' $(CFLAGS) $(SAN) \
	-Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wvla -Wno-unused-parameter \
	-fstack-protector-strong -fPIE -Iuser -Iinclude -I$(B)/skel -MMD -MP $(shell pkg-config --cflags $(PKGS))
ULIBS   := $(shell pkg-config --libs $(PKGS))
ULDFLAGS := $(SAN) -pie -Wl,-z,relro,-z,now

all: $(B)/shunt ## build build/shunt (the default)

$(B)/shunt: $(B)/user/cmd/main.o $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ $(ULIBS) $(LDFLAGS)

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MF $(@:.o=.d) -MT $@ -c -o $(@:.o=.tmp.o) $<
	$(Q)$(BPFTOOL) gen object $@ $(@:.o=.tmp.o)

$(B)/skel/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $* >$@

$(B)/user/%.o: user/%.c | $(SKELS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UCFLAGS) -MF $(@:.o=.d) -MT $@ -c -o $@ $<

# ---- tests: tests/unit/*.c one program each, tests/bpf/*.c one program each
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
BPF_TESTS  := $(patsubst tests/bpf/%.c,$(B)/tests/bpf/%,$(sort $(wildcard tests/bpf/test_*.c)))
TEST_TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/tools/%,$(sort $(wildcard tests/tools/*.c)))

$(B)/tests/%.o: tests/%.c | $(SKELS)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UCFLAGS) -Itests -MF $(@:.o=.d) -MT $@ -c -o $@ $<

$(UNIT_TESTS): $(B)/tests/unit/%: $(B)/tests/unit/%.o $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ -lcmocka $(ULIBS)

$(BPF_TESTS): $(B)/tests/bpf/%: $(B)/tests/bpf/%.o $(LIB_OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ -lcmocka $(ULIBS)

$(TEST_TOOLS): $(B)/tests/tools/%: $(B)/tests/tools/%.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(ULDFLAGS) -o $@ $^ -lpthread

clean: ## remove build/
	rm -rf build

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: all clean help
.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
