# One Makefile, non-recursive. `make help` lists what it can do.
# Every folder with .c files below is one archive; a program names the archives it links, so the layers show here too.

BUILD ?= release
B     ?= build/$(BUILD)
CC    ?= gcc
SHELL := /bin/bash
PREFIX ?= /usr/local

WARN := -Wall -Wextra -Wformat=2 -Wshadow -Wvla -Wwrite-strings -Wcast-qual -Wpointer-arith -Wundef \
        -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wimplicit-fallthrough \
        -Wconversion -Wno-sign-conversion -Wdouble-promotion -fno-common -Werror
BASE := -std=c11 -D_GNU_SOURCE -I. -g -fno-omit-frame-pointer -pthread
FLAGS_release := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
FLAGS_debug   := -O0
FLAGS_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined
FLAGS_fuzz    := -O1 -Wno-format-nonliteral -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
FLAGS_tsan    := -O1 -fsanitize=thread
LINK_release  := -pie -Wl,-z,relro,-z,now
LINK_asan     := -fsanitize=address,undefined
LINK_fuzz     := -fsanitize=fuzzer,address,undefined
LINK_tsan     := -fsanitize=thread
CFLAGS  += $(BASE) $(WARN) $(FLAGS_$(BUILD))
LDFLAGS += -pthread $(LINK_$(BUILD)) -Wl,--as-needed

# --- rooms -----------------------------------------------------------------------------------------------------------
ROOMS := common proto api worker/core worker/store worker/db worker/temu worker/jobs \
         ecosystem/sandbox/sql ecosystem/sandbox/gateway
# A file main_*.c (or main.c) is a program, everything else of the folder goes into its archive.
room_sources = $(filter-out $(wildcard $(1)/main*.c),$(wildcard $(1)/*.c))
room_lib     = $(B)/lib$(subst /,-,$(1)).a
define ROOM_RULE
$(call room_lib,$(1)): $(patsubst %.c,$(B)/%.o,$(call room_sources,$(1)))
	@mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call ROOM_RULE,$(r))))

# The own schema travels inside the binary.
SCHEMA := $(sort $(wildcard ecosystem/schema/*.sql))
$(B)/gen/schema_files.c: $(SCHEMA) scripts/embed-schema.sh
	@mkdir -p $(@D)
	scripts/embed-schema.sh $(SCHEMA) >$@.new && mv $@.new $@
$(B)/gen/schema_files.o: $(B)/gen/schema_files.c
	$(CC) $(CFLAGS) -c -o $@ $<
ifneq ($(SCHEMA),)
$(call room_lib,worker/db): $(B)/gen/schema_files.o
endif

VENDOR_common := -lcurl -lcjson -lnng -lyaml -lnettle -lm
VENDOR_worker := -lct -lsqlite3
VENDOR_api    := -lcivetweb

# A program exists as soon as its main.c does; the SQL stand-in once it has its engine.
program  = $(if $(wildcard $(2)),$(B)/$(1))
PROGRAMS := $(call program,temu-api,api/main.c) $(call program,temu-workers,worker/main.c) \
            $(call program,sandbox-sql,ecosystem/sandbox/sql/engine.c) \
            $(call program,sandbox-gateway,ecosystem/sandbox/gateway/main.c)

$(B)/temu-api: $(B)/api/main.o $(foreach r,api proto common,$(call room_lib,$(r)))
	$(CC) -o $@ $^ $(LDFLAGS) $(VENDOR_api) $(VENDOR_common)
$(B)/temu-workers: $(B)/worker/main.o \
    $(foreach r,worker/jobs worker/core worker/db worker/temu worker/store proto common,$(call room_lib,$(r)))
	$(CC) -o $@ $^ $(LDFLAGS) $(VENDOR_worker) $(VENDOR_common)
$(B)/sandbox-sql: $(B)/ecosystem/sandbox/sql/main.o $(foreach r,ecosystem/sandbox/sql common,$(call room_lib,$(r)))
	$(CC) -o $@ $^ $(LDFLAGS) -lsqlite3 -lgnutls $(VENDOR_common)
$(B)/sandbox-gateway: $(B)/ecosystem/sandbox/gateway/main.o $(foreach r,ecosystem/sandbox/gateway common,$(call room_lib,$(r)))
	$(CC) -o $@ $^ $(LDFLAGS) $(VENDOR_common)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# --- unit tests: tests/unit/<room>/test_*.c, linked with the archives of its room -------------------------------------
TEST_LIBS_common  := common
TEST_LIBS_proto   := proto common
TEST_LIBS_store   := worker/store proto common
TEST_LIBS_core    := worker/core worker/store proto common
TEST_LIBS_db      := worker/db ecosystem/sandbox/sql proto common
TEST_LIBS_temu    := worker/temu ecosystem/sandbox/gateway proto common
TEST_LIBS_jobs    := worker/jobs worker/core worker/db worker/temu worker/store proto common
TEST_LIBS_api     := api proto common
TEST_LIBS_sql     := ecosystem/sandbox/sql common
TEST_LIBS_gateway := ecosystem/sandbox/gateway common
TEST_ROOMS := common proto store core db temu jobs api sql gateway
test_bins = $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/$(1)/test_*.c))
define TEST_RULE
$(call test_bins,$(1)): $(B)/unit/%: $(B)/tests/unit/%.o $(foreach r,$(TEST_LIBS_$(1)),$(call room_lib,$(r)))
	@mkdir -p $$(@D)
	$$(CC) -o $$@ $$^ $$(LDFLAGS) -lcmocka $(VENDOR_api) $(VENDOR_worker) -lgnutls $(VENDOR_common)
UNIT += $(call test_bins,$(1))
endef
$(foreach r,$(TEST_ROOMS),$(eval $(call TEST_RULE,$(r))))

# --- fuzz targets: tests/fuzz/fuzz_*.c with clang's libFuzzer; built by `make BUILD=fuzz CC=clang-14 fuzz` --------------
FUZZ := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
$(FUZZ): $(B)/fuzz/%: $(B)/tests/fuzz/%.o $(foreach r,worker/temu proto ecosystem/sandbox/sql common,$(call room_lib,$(r)))
	@mkdir -p $(@D)
	$(CC) -o $@ $^ $(LDFLAGS) -lsqlite3 -lgnutls $(VENDOR_common)

# --- commands ---------------------------------------------------------------------------------------------------------
.PHONY: all deps-build deps-test programs unit fuzz run test test-long bench check install clean help
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

deps-build:
	@scripts/install-deps.sh build
deps-test:
	@scripts/install-deps.sh test

programs: $(PROGRAMS)
unit: $(UNIT)
fuzz: $(FUZZ)
all: programs unit

run: ## set everything up, start sandbox and daemons, run a full sync, stay up (ONCE=1: end after it)
	@scripts/run.sh
test: ## set everything up and run all tests (the long campaigns as a sample)
	@scripts/test.sh
test-long: ## the long campaigns whole: soak with kills, hundreds of kill -9, faults under TSan, fuzz (SEED=n)
	@scripts/test.sh --long
bench: deps-build ## measure the sync against the sandbox: durations, requests, statements, memory
	@$(MAKE) --no-print-directory -s -j2 BUILD=release programs
	@/usr/bin/python3 -B scripts/bench.py
install: deps-build ## build and copy the daemons and a sample configuration (DESTDIR, PREFIX=/usr/local)
	@$(MAKE) --no-print-directory -s -j2 BUILD=release programs
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/etc/temu
	install -m 755 build/release/temu-api build/release/temu-workers $(DESTDIR)$(PREFIX)/bin
	build/release/temu-workers --help-config >$(DESTDIR)/etc/temu/temu.yaml.sample
check: deps-test ## layers, vendor headers, banned calls, cppcheck
	@scripts/check.sh
clean: ## remove what was built
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
