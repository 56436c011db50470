# pg_backupctl
#
#   make                the extension (by PGXS) and the client
#   make install        ... into the PostgreSQL that PG_CONFIG belongs to
#   make deps           install what building and testing need (Debian, apt-get)
#   make demo           a backup and a restore on scratch data, shown step by step; S3=1: to a bucket
#   make check          lint, unit, pg_regress and TAP tests
#   make lint unit installcheck tap bench format clean
#   make check-server-sanitized     TAP tests with sanitizers in the server; before a release
#
# PG_CONFIG=...   build for that PostgreSQL
# FAULTS=1        with the fault points of src/core/base/fault.h (tests only)
# SANITIZE=1      everything with address and undefined-behaviour checks (tests only); a server
#                 loads such a module only when it was started with their libraries
# COPT=...        further compiler flags, as in PostgreSQL
# T=...           the tests that "unit", "installcheck", "tap", "check-server-sanitized" shall run
#
# deps, demo and check work on a machine that has nothing but make and git, so
# nothing here may need PostgreSQL or a compiler while make reads this file.
# What needs PGXS stands in src/server/Makefile.

SHELL = /bin/sh
.DEFAULT_GOAL := all

VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" pg_backupctl.control)

# Debian's /usr/bin/pg_config answers without PGXS when only libpq-dev is there.
ifndef PG_CONFIG
PG_CONFIG := $(shell for p in pg_config /usr/lib/postgresql/15/bin/pg_config; do \
	test -e "`$$p --pgxs 2>/dev/null`" && echo $$p && exit; done; \
	echo /usr/lib/postgresql/15/bin/pg_config)
endif
export PG_CONFIG

ifeq ($(origin CC),default)
CC = gcc
endif

FLAVOUR := $(if $(FAULTS),faults,release)$(if $(SANITIZE),-sanitized)
B := build/$(FLAVOUR)

# ---- flags of everything but the server part ----

WARNINGS = -Wall -Wextra -Wdeclaration-after-statement -Wvla -Wno-unused-parameter \
	-Wmissing-prototypes -Wstrict-prototypes -Wformat-security -Wpointer-arith
DEFINES = -D_GNU_SOURCE -DBKC_VERSION='"$(VERSION)"' $(if $(FAULTS),-DBKC_FAULTS)
ifdef SANITIZE
SANITIZERS = -fsanitize=address,undefined -fno-sanitize-recover=all
OPTIMIZE = -O1 -g $(SANITIZERS)
else
OPTIMIZE = -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
endif

# The aliasing and overflow rules are those of the server the core is linked into.
CORE_CFLAGS = -std=c11 $(DEFINES) -Isrc/core $(WARNINGS) $(OPTIMIZE) -fPIC -fvisibility=hidden \
	-fno-strict-aliasing -fwrapv -fno-omit-frame-pointer $(COPT)
CORE_LIBS = -lcurl -lexpat -lzstd -llz4 -lz -lcrypto -ljansson -lxxhash

CORE_SRCS := $(sort $(wildcard src/core/*/*.c src/core/*/*/*.c))
CLIENT_SRCS := $(sort $(wildcard src/client/*.c))
UNIT_SRCS := $(sort $(wildcard test/unit/test_*.c))
UNIT_HELPER_SRCS := $(filter-out $(UNIT_SRCS),$(sort $(wildcard test/unit/*.c)))

CORE_OBJS := $(CORE_SRCS:%.c=$(B)/%.o)
CLIENT_OBJS := $(CLIENT_SRCS:%.c=$(B)/%.o)
UNIT_OBJS := $(UNIT_SRCS:%.c=$(B)/%.o)
UNIT_HELPER_OBJS := $(UNIT_HELPER_SRCS:%.c=$(B)/%.o)
UNIT_PROGRAMS := $(UNIT_SRCS:test/unit/%.c=$(B)/unit/%)

CORE_LIB := $(B)/libcore.a
CLIENT := $(B)/pg_backupctl

.PHONY: all core client server install installdirs uninstall clean
.PHONY: FORCE

all: server client

core: $(CORE_LIB)

client: $(CLIENT)

$(CORE_LIB): $(CORE_OBJS)
	rm -f $@
	ar rcs $@ $^

$(CLIENT): $(CLIENT_OBJS) $(CORE_LIB)
	$(CC) $(OPTIMIZE) -o $@ $(CLIENT_OBJS) $(CORE_LIB) $(LDFLAGS) $(CORE_LIBS)

unit-programs: $(UNIT_PROGRAMS)

$(UNIT_PROGRAMS): $(B)/unit/%: $(B)/test/unit/%.o $(UNIT_HELPER_OBJS) $(CORE_LIB)
	@mkdir -p $(@D)
	$(CC) $(OPTIMIZE) -o $@ $< $(UNIT_HELPER_OBJS) $(CORE_LIB) $(LDFLAGS) $(CORE_LIBS) -lcmocka

$(B)/src/client/%.o: private CORE_CFLAGS += -Isrc/client
$(B)/test/unit/%.o: private CORE_CFLAGS += -Itest/unit -Wno-missing-prototypes

$(CORE_OBJS) $(CLIENT_OBJS) $(UNIT_OBJS) $(UNIT_HELPER_OBJS): $(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -MMD -MP -c -o $@ $<

# Other flags, other objects.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(CORE_CFLAGS))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(CC) $(CORE_CFLAGS))' > $@

FORCE:

-include $(patsubst %.o,%.d,$(CORE_OBJS) $(CLIENT_OBJS) $(UNIT_OBJS) $(UNIT_HELPER_OBJS))

# ---- the extension, by PGXS ----

# The server part is built inside $(B), as a PGXS build outside the source tree.
PGXS_MAKE = $(MAKE) -C $(B) -f '$(CURDIR)/src/server/Makefile' VPATH='$(CURDIR)' \
	PG_CONFIG='$(PG_CONFIG)' CORE_LIBS='$(CORE_LIBS)' VERSION='$(VERSION)' \
	SANITIZERS='$(SANITIZERS)'

server: core client
	+@$(PGXS_MAKE) --no-print-directory all

install: all
	+@$(PGXS_MAKE) --no-print-directory install

installdirs uninstall:
	@mkdir -p $(B)
	+@$(PGXS_MAKE) --no-print-directory $@

clean:
	rm -rf build tmp_check

# ---- tests ----

.PHONY: deps demo check lint unit unit-programs installcheck tap check-server-sanitized bench format \
	print-pg_config

deps:
	@test/deps.sh

# These two begin on a machine that has nothing; each script builds by itself.
demo: deps
	@test/demo.sh

check: deps
	@test/run-check.sh

lint: all
	@test/run-lint.sh $(B)

# Unit tests want the fault points.
unit:
	+@$(MAKE) --no-print-directory FAULTS=1 unit-programs
	@test/run-unit.sh 'build/faults$(if $(SANITIZE),-sanitized)/unit' $(T)

installcheck:
	@test/run-regress.sh $(T)

tap:
	@test/run-tap.sh $(T)

# Too slow for "check".
check-server-sanitized:
	@test/run-sanitized-server.sh $(T)

bench: deps
	@test/bench/bench.sh

# Only the lines that differ from the last commit: clang-format comes near to
# pgindent's form, but would rewrite what is right.
format:
	git diff -U0 --no-color HEAD -- '*.c' '*.h' | clang-format-diff-14 -p1 -i
	test/lint/columns.pl --fix $$(git diff --name-only --diff-filter=d HEAD -- '*.c' '*.h')

print-pg_config:
	@echo '$(PG_CONFIG)'
