# luatrace: `make demo` shows it, `make test` proves it; both install what is missing first.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
# Not ?=: make has a CC of its own, cc, which a folder of unpacked packages has not.
ifeq ($(origin CC),default)
CC := gcc
endif
LUAJIT ?= luajit

# What scripts/setup unpacked without root, if it did.
UNPACKED := $(CURDIR)/vendor/unpacked
ifneq ($(wildcard $(UNPACKED)/usr),)
export PATH := $(UNPACKED)/usr/bin:$(PATH)
export LD_LIBRARY_PATH := $(UNPACKED)/usr/lib/x86_64-linux-gnu:$(UNPACKED)/lib/x86_64-linux-gnu$(LD_LIBRARY_PATH:%=:%)
export LUA_PATH := $(UNPACKED)/usr/share/lua/5.1/?.lua;$(UNPACKED)/usr/share/lua/5.1/?/init.lua;$(UNPACKED)/usr/share/luajit-2.1.0-beta3/?.lua;;
export LUA_CPATH := $(UNPACKED)/usr/lib/x86_64-linux-gnu/lua/5.1/?.so;;
# By the environment, so that what the specs and the demo compile finds them too.
export C_INCLUDE_PATH := $(UNPACKED)/usr/include/luajit-2.1:$(UNPACKED)/usr/include/x86_64-linux-gnu:$(UNPACKED)/usr/include
export LIBRARY_PATH := $(UNPACKED)/usr/lib/x86_64-linux-gnu
endif
LUAJIT_LIB := $(firstword $(wildcard $(UNPACKED)/usr/lib/x86_64-linux-gnu/libluajit-5.1.a /usr/lib/x86_64-linux-gnu/libluajit-5.1.a))

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-array-parameter
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -pthread $(WARNINGS) -fPIC -fstack-protector-strong \
  -isystem /usr/include/luajit-2.1 -Isrc $(CFLAGS) $(SANITIZE)

CORE := $(filter-out src/main.c src/module.c,$(wildcard src/*.c))
CORE_OBJECTS := $(CORE:src/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/embedded_modules.o
# script_api.lua is for editors only, manual.lua for the build.
LUA := $(shell find lua/luatrace -name "*.lua" ! -name script_api.lua ! -name manual.lua | LC_ALL=C sort)
RUNS := run-demo run-test run-bench run-soak
.PHONY: all setup demo test bench soak $(RUNS) install format tidy clean check-format
.DELETE_ON_ERROR:

DOCS := $(BUILD)/luatrace.1 $(BUILD)/completions/luatrace.bash $(BUILD)/completions/_luatrace \
  $(BUILD)/completions/luatrace.fish

all: $(BUILD)/luatrace $(BUILD)/luatrace.so $(DOCS)

# For a quick start: a library less to load, and symbols are not looked up one by one, which touches more pages.
QUICK_START := -static-libgcc -Wl,-z,now

$(BUILD)/luatrace: $(BUILD)/obj/main.o $(CORE_OBJECTS)
	$(CC) $(SANITIZE) $(QUICK_START) -pthread -rdynamic -o $@ $^ $(LUAJIT_LIB) -lm -ldl

$(BUILD)/luatrace.so: $(BUILD)/obj/module.o $(CORE_OBJECTS)
	$(CC) $(SANITIZE) -pthread -shared -o $@ $^ -ldl

$(BUILD)/obj/%.o: src/%.c | $(BUILD)/obj
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/embedded_modules.o: $(BUILD)/obj/embedded_modules.c
	$(CC) -std=c11 -Isrc -isystem /usr/include/luajit-2.1 -fPIC -c -o $@ $<

$(BUILD)/obj/embedded_modules.c: $(LUA) src/api.h scripts/embed.lua $(BUILD)/obj/lua_files
	$(LUAJIT) scripts/embed.lua $@ src/api.h $(LUA)

# Changes when a module is added or removed, not when one is edited.
$(BUILD)/obj/lua_files: FORCE | $(BUILD)/obj
	@echo '$(LUA)' | cmp -s - $@ || echo '$(LUA)' > $@
FORCE:

$(BUILD)/obj $(BUILD)/completions:
	mkdir -p $@

# The manual page and the completions are made of the table of options.
MANUAL := scripts/manual.lua lua/luatrace/cli/manual.lua lua/luatrace/cli/options.lua lua/luatrace/sweep/command.lua
$(BUILD)/luatrace.1: $(MANUAL) | $(BUILD)/obj
	$(LUAJIT) scripts/manual.lua man > $@
$(BUILD)/completions/luatrace.bash: $(MANUAL) | $(BUILD)/completions
	$(LUAJIT) scripts/manual.lua bash > $@
$(BUILD)/completions/_luatrace: $(MANUAL) | $(BUILD)/completions
	$(LUAJIT) scripts/manual.lua zsh > $@
$(BUILD)/completions/luatrace.fish: $(MANUAL) | $(BUILD)/completions
	$(LUAJIT) scripts/manual.lua fish > $@

-include $(wildcard $(BUILD)/obj/*.d)

setup:
	scripts/setup

# By a make of its own: this one read the paths above before setup unpacked anything.
demo test bench soak: setup
	$(MAKE) --no-print-directory run-$@

$(RUNS): run-%: all
	scripts/$*

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/lua/5.1
	install -m 755 $(BUILD)/luatrace $(DESTDIR)$(PREFIX)/bin/luatrace
	install -m 755 $(BUILD)/luatrace.so $(DESTDIR)$(PREFIX)/lib/lua/5.1/luatrace.so
	install -D -m 644 $(BUILD)/luatrace.1 $(DESTDIR)$(PREFIX)/share/man/man1/luatrace.1
	install -D -m 644 $(BUILD)/completions/luatrace.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/luatrace
	install -D -m 644 $(BUILD)/completions/_luatrace $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_luatrace
	install -D -m 644 $(BUILD)/completions/luatrace.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/luatrace.fish

format:
	clang-format -i src/*.[ch] spec/tracees/*.c spec/unit/*.[ch]

check-format:
	clang-format --dry-run -Werror src/*.[ch] spec/tracees/*.c spec/unit/*.[ch]

tidy:
	clang-tidy --quiet src/*.c -- -std=c11 -D_GNU_SOURCE -Isrc -isystem /usr/include/luajit-2.1

clean:
	rm -rf $(BUILD)

# A unit test is one program: its source and the core.
$(BUILD)/unit/%: spec/unit/%.c spec/unit/check.h $(filter-out $(BUILD)/obj/embedded%,$(CORE_OBJECTS))
	mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -Ispec/unit -o $@ $< $(filter %.o,$^) -ldl
