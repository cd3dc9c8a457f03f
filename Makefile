# jitd. `make help` lists the targets; a folder is a module, and every .c and .S file in it belongs to it.
#
#   V=1          show the commands          O=DIR        build there (default build, or build/SAN)
#   SAN=address  ASan and UBSan             T=SUITE/TEST run only the tests that match
#   STRESS=1     with pauses at random where threads and processes meet (common/delay.h)

CC      ?= gcc
SAN     ?=
STRESS  ?=
O       ?= build$(if $(SAN),/$(SAN))$(if $(STRESS),/stress)
V       ?=
T       ?= *
Q       := $(if $(V),,@)
VERSION := 0.1.0
prefix  ?= /usr/local
bindir  := $(prefix)/bin
libdir  := $(prefix)/lib
libexecdir := $(prefix)/libexec/jitd

SAN_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_thread  := -fsanitize=thread
SANFLAGS    := $(SAN_$(SAN))

WARN   := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
CFLAGS ?= -O2 -g
BASE   := -std=gnu11 -D_GNU_SOURCE -I. -I$(O)/gen -MMD -MP -fPIC -fvisibility=hidden -fstack-protector-strong \
          -DJITD_VERSION_TEXT='"$(VERSION)"' $(if $(SAN),-DJITD_SANITIZED) $(if $(STRESS),-DJITD_DELAYS)
FORTIFY := $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
COMPILE  = $(CC) $(BASE) $(CFLAGS) $(FORTIFY)
TOOLCHAIN_ARCHIVES = -DLIBGCC_ARCHIVE='"$(shell $(CC) -print-libgcc-file-name)"' \
                     -DLIBC_NONSHARED_ARCHIVE='"$(shell $(CC) -print-file-name=libc_nonshared.a)"'

sources = $(wildcard $(1)/*.c $(1)/*.S)
objects = $(patsubst %,$(O)/obj/%.o,$(basename $(1)))

COMMON     := $(call objects,$(call sources,common) $(call sources,proto)) $(O)/obj/gen/proto/jitd.pb-c.o
CLIENT     := $(call objects,$(call sources,client))
JITCTL     := $(call objects,$(call sources,client/jitctl))
SUPERVISOR := $(call objects,$(call sources,daemon/supervisor))
LINKER     := $(call objects,$(call sources,daemon/linker))
RUNNER     := $(call objects,$(call sources,daemon/runner))
SANDBOX    := $(call objects,$(filter-out daemon/sandbox/generate.c,$(call sources,daemon/sandbox)))
UNIT       := $(call objects,$(call sources,tests/unit))
INTEGRATION := $(call objects,$(call sources,tests/integration))
MODEL      := $(call objects,$(call sources,tests/model))
STRESSED   := $(call objects,$(call sources,tests/stress)) $(addprefix $(O)/obj/plain/tests/lib/,compile.o temp.o)
TESTLIB    := $(call objects,$(call sources,tests/lib))
UNDER      := $(call objects,$(call sources,tests/kernels))
BENCH      := $(call objects,$(filter-out bench/peer% bench/soak%,$(call sources,bench)))
EXAMPLES   := $(patsubst client/examples/%.c,$(O)/examples/%,$(wildcard client/examples/*.c)) $(O)/examples/calculator
BINARIES   := $(addprefix $(O)/bin/,jitd jitd-linker jitd-runner jitctl)

.PHONY: all
all: $(BINARIES) $(EXAMPLES) $(O)/lib/libjitd.a $(O)/lib/libjitd.so $(O)/lib/pkgconfig/jitd.pc $(O)/include/jitd.h

.DELETE_ON_ERROR:
.SECONDARY:

# ---- generated sources ----

$(O)/gen/proto/jitd.pb-c.c $(O)/gen/proto/jitd.pb-c.h &: proto/jitd.proto
	@mkdir -p $(O)/gen/proto
	@echo "  PROTOC  $<"
	$(Q)protoc-c --c_out=$(O)/gen $<

$(O)/tool/generate-filters: daemon/sandbox/generate.c $(wildcard daemon/sandbox/*.h)
	@mkdir -p $(@D)
	@echo "  TOOL    $@"
	$(Q)$(CC) $(BASE) $(CFLAGS) $(WARN) -MF $@.d -o $@ $<

$(O)/gen/sandbox/filters.inc: $(O)/tool/generate-filters
	@mkdir -p $(@D)
	@echo "  FILTERS $@"
	$(Q)$< > $@

# ---- objects ----

$(JITCTL): BASE += $(TOOLCHAIN_ARCHIVES)

# What holds the prefix is made again when the prefix is another: `make && make install prefix=/usr` means /usr.
$(O)/gen/prefix: always
	@mkdir -p $(@D)
	@echo '$(prefix) $(bindir) $(libdir)' | cmp -s - $@ || echo '$(prefix) $(bindir) $(libdir)' > $@
.PHONY: always

$(O)/obj/client/spawn.o: BASE += -DJITD_DEFAULT_DAEMON='"$(bindir)/jitd"'
$(O)/obj/client/spawn.o: $(O)/gen/prefix

$(SANDBOX): | $(O)/gen/sandbox/filters.inc

$(O)/obj/%.o: %.c | $(O)/gen/proto/jitd.pb-c.h
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(COMPILE) $(WARN) $(SANFLAGS) -c -o $@ $<

$(O)/obj/%.o: %.S
	@mkdir -p $(@D)
	@echo "  AS      $<"
	$(Q)$(COMPILE) -c -o $@ $<

$(O)/obj/tests/%.o: WARN := -Wall -Wextra -Wshadow -Werror -Wno-unused-parameter
$(O)/obj/tests/%.o: BASE += -fvisibility=default

$(O)/obj/gen/%.o: $(O)/gen/%.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(COMPILE) -w $(SANFLAGS) -c -o $@ $<

# ---- libraries and programs ----

define link
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS)
endef

$(O)/lib/libcommon.a: $(COMMON)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)ar rcs $@ $^

# One object whose only global names are those of jitd.h: it goes into other people's programs.
$(O)/lib/libjitd.a: $(CLIENT) $(COMMON)
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(LD) -r -o $(O)/obj/libjitd.o $^
	$(Q)objcopy --localize-hidden $(O)/obj/libjitd.o
	$(Q)ar rcs $@ $(O)/obj/libjitd.o

$(O)/lib/libjitd.so: $(CLIENT) $(COMMON) client/jitd.map
	$(link) -shared -Wl,-soname,libjitd.so.0 -Wl,--version-script=client/jitd.map -Wl,-z,defs -o $@ \
	    $(CLIENT) $(COMMON) -lprotobuf-c
	$(Q)ln -sf libjitd.so $(O)/lib/libjitd.so.0

# As anybody's program would be built: from the header and the library alone.
define example
	@mkdir -p $(@D)
	@echo "  EXAMPLE $@"
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -Wall -Wextra -I$(O)/include -o $@ $(filter %.c,$^) $(O)/lib/libjitd.a -lprotobuf-c -luv
endef

$(O)/examples/%: client/examples/%.c $(O)/lib/libjitd.a $(O)/include/jitd.h
	$(example)

$(O)/examples/calculator: $(call sources,client/examples/calculator) $(wildcard client/examples/calculator/*.h) \
                          $(O)/lib/libjitd.a $(O)/include/jitd.h
	$(example)

$(O)/lib/pkgconfig/jitd.pc: client/jitd.pc.in $(O)/gen/prefix
	@mkdir -p $(@D)
	$(Q)sed 's|@prefix@|$(prefix)|;s|@libdir@|$(libdir:$(prefix)/%=$${prefix}/%)|;s|@version@|$(VERSION)|' $< > $@

$(O)/include/jitd.h: client/jitd.h
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(O)/bin/jitctl: $(JITCTL) $(O)/lib/libjitd.a $(O)/lib/libcommon.a
	$(link) -o $@ $^ -lprotobuf-c -ldw -lelf -liberty

# Two programs that are executed one after the other before a session can begin: with no dynamic linker each is there
# 0.4 ms earlier. getpwuid_r would still need one; libuv's functions that refer to it are not called.
STATIC := $(if $(SAN),,-static-pie -Wl,--defsym=getpwuid_r=abort)
LIBUV  := $(if $(SAN),-luv,-l:libuv_a.a)

$(O)/bin/jitd: $(SUPERVISOR) $(O)/lib/libcommon.a
	$(link) $(STATIC) -o $@ $^ $(LIBUV)

$(O)/bin/jitd-linker: $(LINKER) $(SANDBOX) $(O)/lib/libcommon.a
	$(link) $(STATIC) -o $@ $^ $(LIBUV) -lprotobuf-c

# -fPIC code in a PIE, so that the file holds no COPY relocation and data of the libraries stays beside them; the
# unwinder and libm are start-up dependencies whether the runner itself uses them or not.
$(O)/bin/jitd-runner: $(RUNNER) $(SANDBOX) $(O)/lib/libcommon.a daemon/runner/exports.list
	$(link) -pie -Wl,--no-as-needed -Wl,-z,now -Wl,--dynamic-list=daemon/runner/exports.list -o $@ \
	    $(RUNNER) $(SANDBOX) $(O)/lib/libcommon.a -l:libffi_pic.a -lm -lgcc_s

# ---- tests ----

TESTFLAGS := -Itests

$(O)/test/unit: $(UNIT) $(TESTLIB) $(filter-out %/main.o,$(LINKER)) $(filter-out %/main.o,$(JITCTL)) $(SANDBOX) $(CLIENT) \
                $(O)/obj/daemon/runner/waiters.o $(O)/lib/libcommon.a
	$(link) -o $@ $^ -lcriterion -luv -lprotobuf-c -lelf -ldw -liberty

$(O)/test/integration: $(INTEGRATION) $(TESTLIB) $(O)/lib/libjitd.a $(O)/lib/libcommon.a
	$(link) -rdynamic -o $@ $^ -lcriterion -luv -lprotobuf-c -lelf -ldl

$(O)/test/model: $(MODEL) $(O)/lib/libjitd.a
	$(link) -o $@ $^ -lprotobuf-c

$(O)/test/stress: $(STRESSED) $(O)/lib/libjitd.a
	$(link) -o $@ $^ -lprotobuf-c

$(O)/test/under: $(UNDER)
	$(link) -o $@ $^

.PHONY: setup test check kernels demo bench bench-check model stress run-stress soak
setup:
	@tools/setup

test: setup
	@+$(MAKE) --no-print-directory check

# What has threads, and all that is linked with them, under ThreadSanitizer; beside which Criterion does not run.
THREADED := $(patsubst %.c,$(O)/obj/plain/%.o,$(call sources,tests/plain) \
                $(addprefix tests/,unit/test_workers.c unit/test_waiters.c unit/linker_fixture.c lib/compile.c lib/temp.c))
SERVING  := $(addprefix $(O)/obj/daemon/runner/,actions.o arena.o boundary.o call.o crash_handler.o finalisers.o \
                                                requests.o unwind.o waiters.o)

$(O)/obj/plain/%.o: %.c | $(O)/gen/proto/jitd.pb-c.h
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(COMPILE) -Itests/plain -Wall -Wextra -Werror -Wno-unused-parameter $(SANFLAGS) -c -o $@ $<

$(O)/test/threaded: $(THREADED) $(filter-out %/main.o,$(LINKER)) $(SERVING) $(SANDBOX) $(O)/lib/libcommon.a
	$(link) -o $@ $^ -luv -lprotobuf-c -l:libffi_pic.a

.PHONY: tsan
tsan:
	@+$(MAKE) --no-print-directory SAN=thread build/thread/test/threaded
	build/thread/test/threaded

check: all $(O)/test/unit $(O)/test/integration $(O)/test/model $(O)/test/stress $(O)/test/under
	@O=$(O) T='$(T)' tests/run

# Everything again, as on other kernels and in containers. CONDITIONS='container*' for some of them.
kernels: all $(O)/test/unit $(O)/test/integration $(O)/test/model $(O)/test/stress $(O)/test/under
	@O=$(O) T='$(T)' CONDITIONS='$(CONDITIONS)' tests/kernels/run

model: all $(O)/test/model
	@O=$(O) MODEL_SEED='$(or $(SEED),$(shell date +%s))' MODEL_OPS='$(OPS)' MODEL_REPLAY='$(REPLAY)' MODEL_TALLY='$(V)' $(O)/test/model

stress:
	@+$(MAKE) --no-print-directory STRESS=1 run-stress

run-stress: all $(O)/test/stress
	@O=$(O) STRESS_SEED='$(or $(SEED),$(shell date +%s))' STRESS_SECONDS='$(or $(SECONDS),60)' $(O)/test/stress

demo: setup
	@+$(MAKE) --no-print-directory all
	@O=$(O) demo/run

# GCC's own execute tests, from Debian's package of its source. An interrupted run goes on where it was.
.PHONY: torture
torture: setup-torture
	@+$(MAKE) --no-print-directory all
	@tests/torture/run --build '$(O)' --tests '$(T)' --configurations '$(or $(CONFIG),*)' $(if $(filter 0,$(RESUME)),--again)

.PHONY: setup-torture
setup-torture:
	@tools/setup torture

# The peers are measured where they are installed; `tools/setup bench` installs them.
LLVM  := /usr/lib/llvm-19
LLVM_EXECUTOR := $(LLVM)/bin/llvm-jitlink-executor
PEERS := $(O)/bench/peer-native $(if $(wildcard $(LLVM)/include/llvm-c/LLJIT.h),$(O)/bench/peer-lljit) \
         $(if $(wildcard $(LLVM_EXECUTOR)),$(O)/bench/peer-executor)

bench: setup
	@+$(MAKE) --no-print-directory all $(O)/bench/bench $(PEERS)
	@O=$(O) PEERS='$(PEERS)' QUICK=$(QUICK) UPDATE=$(UPDATE) bench/run $(if $(JSON),--json $(JSON))

bench-check: all $(O)/bench/bench
	@O=$(O) UPDATE=$(UPDATE) bench/instructions

$(O)/bench/bench: $(BENCH) $(O)/lib/libjitd.a
	$(link) -o $@ $^ -lprotobuf-c

# Ten million units come and go; UNITS=N for fewer. An interrupted one goes on where it was.
soak: all $(O)/bench/soak
	@O=$(O) UNITS='$(or $(UNITS),10000000)' RESUME='$(RESUME)' bench/soak

$(O)/bench/soak: $(addprefix $(O)/obj/bench/,soak.o measure.o process.o) $(O)/lib/libjitd.a
	$(link) -o $@ $^ -lprotobuf-c

$(O)/obj/bench/peer_lljit%: BASE += -isystem $(LLVM)/include
$(O)/bench/peer-lljit: $(addprefix $(O)/obj/bench/,peer_lljit.o peer_lljit_lazy.o object_writer.o measure.o process.o)
	$(link) -o $@ $^ -L$(LLVM)/lib -lLLVM-19

# The C++ API is what knows of other processes.
$(O)/obj/bench/peer_executor.o: bench/peer_executor.cc
	@mkdir -p $(@D)
	@echo "  CXX     $<"
	$(Q)$(CXX) -std=c++17 $(CFLAGS) -Wall -Wextra -Wshadow -Werror -I. -isystem $(LLVM)/include -MMD -MP \
	    -DLLVM_EXECUTOR='"$(LLVM_EXECUTOR)"' -DREENTRY_OBJECT='"$(abspath $(O)/obj/bench/peer_reentry.o)"' -c -o $@ $<

$(O)/bench/peer-executor: $(addprefix $(O)/obj/bench/,peer_executor.o object_writer.o measure.o) \
                          | $(O)/obj/bench/peer_reentry.o
	$(link) -o $@ $^ -L$(LLVM)/lib -lLLVM-19 -lstdc++

# Ten thousand files: more than a command line holds.
$(O)/bench/tree.list: $(O)/obj/bench/object_writer.o | $(O)/bench/bench
	@mkdir -p $(O)/bench/tree
	@echo "  TREE    $(O)/bench/tree"
	$(Q)$(O)/bench/bench write $(O)/bench/tree 10000
	$(Q)printf '%s\n' $(O)/bench/tree/*.o > $@

$(O)/bench/peer-native: $(addprefix $(O)/obj/bench/,peer_native.o measure.o) $(O)/bench/tree.list
	$(link) -o $@ $(filter %.o,$^) @$(O)/bench/tree.list

# ---- habits ----

C_FILES := $(shell git ls-files '*.c' '*.cc' '*.h' 2>/dev/null)

.PHONY: fmt check-fmt layers symbols lint help install clean
fmt:
	@clang-format -i $(C_FILES)

check-fmt:
	$(Q)clang-format --dry-run --Werror $(C_FILES)

layers:
	$(Q)tools/layers

symbols: $(O)/lib/libjitd.so
	$(Q)tools/exported-symbols $<

install: all
	install -D -t $(DESTDIR)$(bindir) $(O)/bin/jitd $(O)/bin/jitctl
	install -D -t $(DESTDIR)$(libexecdir) $(O)/bin/jitd-linker $(O)/bin/jitd-runner
	install -D -m 644 -t $(DESTDIR)$(prefix)/include client/jitd.h
	install -D -m 644 -t $(DESTDIR)$(libdir) $(O)/lib/libjitd.a
	install -D $(O)/lib/libjitd.so $(DESTDIR)$(libdir)/libjitd.so.0
	ln -sf libjitd.so.0 $(DESTDIR)$(libdir)/libjitd.so
	install -D -m 644 -t $(DESTDIR)$(libdir)/pkgconfig $(O)/lib/pkgconfig/jitd.pc
	install -D -m 644 -t $(DESTDIR)$(prefix)/share/man/man1 docs/man/jitctl.1
	install -D -m 644 -t $(DESTDIR)$(prefix)/share/man/man8 docs/man/jitd.8

clean:
	rm -rf build

help:
	@echo "all        build build/bin/{jitd,jitd-linker,jitd-runner,jitctl} and build/lib/libjitd.*"
	@echo "demo       install what is missing, build, run a real program through the daemon"
	@echo "test       install what is missing, build, run all tests (SAN=address: under ASan and UBSan)"
	@echo "check      the tests alone          bench     measure, beside peers (QUICK=1 JSON= UPDATE=1)"
	@echo "model      random operations against a model of a session (SEED= OPS= REPLAY=FILE V=1)"
	@echo "kernels    all tests as on kernels and in containers that lack something (CONDITIONS= T=)"
	@echo "stress     threads of a program while its functions come and go, with pauses at random (SEED= SECONDS=)"
	@echo "tsan       what has threads, under ThreadSanitizer"
	@echo "bench-check  instructions per unit and call, held against a record (UPDATE=1 rewrites it)"
	@echo "soak       units come and go, ten million of them (UNITS= RESUME=0), with curves of memory and time"
	@echo "torture    GCC's own execute tests, natively and in jitd (T=GLOBS CONFIG=GLOBS RESUME=0)"
	@echo "check-fmt  clang-format             fmt       reformat in place"
	@echo "layers     who may include whom     symbols   libjitd exports what jitd.map says"
	@echo "install    DESTDIR= prefix=         clean     remove build/"

-include $(shell find $(O)/obj $(O)/tool -name '*.d' 2>/dev/null)
