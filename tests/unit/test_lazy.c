/*
 * Calls of functions that are not there, made in a real runner: the test plays the linker, and writes stubs, slots and
 * the functions by hand.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#include "common/bytes.h"
#include "common/error.h"
#include "daemon/linker/arch.h"
#include "proto/message.h"
#include "tests/unit/lazy_code_x86_64.h"
#include "tests/unit/runner_fixture.h"

#define LANDING 0 /* offset in zone X */
#define FREE_R  GRANULE_MAP_BYTES
#define FREE_Z  4096
#define THREADS 4

struct lazy_registers {
    uint64_t general[14]; /* rax rcx rdx rsi rdi r8 r9 r10 rbx rbp r12 r13 r14 r15 */
    uint32_t mxcsr;
    uint32_t x87_control;
    uint64_t level;
    uint64_t function;
    uint64_t stack;
    uint64_t errno_value;
    uint64_t errno_address;
    uint64_t unused[4];
    uint64_t masks[8];
    unsigned char vectors[32][64];
};

_Static_assert(offsetof(struct lazy_registers, level) == REGISTERS_LEVEL, "as the code says");
_Static_assert(offsetof(struct lazy_registers, masks) == REGISTERS_MASKS, "as the code says");
_Static_assert(offsetof(struct lazy_registers, vectors) == REGISTERS_VECTORS, "as the code says");

static struct runner_fixture open_lazy_as(uint32_t profile)
{
    struct runner_fixture runner = runner_fixture_open_as(profile);
    cr_assert(runner.lazy_entry != 0);
    store_le64(runner.zones[ZONE_S], runner.lazy_entry);
    unsigned char *landing = runner.zones[ZONE_X] + LANDING;
    landing[0] = 0xff;
    landing[1] = 0x25; /* jmp *S[0](%rip) */
    store_le32(landing + 2, (uint32_t)(ZONE_S_OFFSET - (LANDING + 6)));
    return runner;
}

static struct runner_fixture open_lazy(void)
{
    return open_lazy_as(JITD__PROTO__PROFILE__DEFAULT);
}

static void bind_slot(struct runner_fixture *runner, uint32_t slot, uint64_t address)
{
    store_le64(runner->zones[ZONE_S] + slot * 8, address);
}

/* A stub whose slot is not bound. Its push lies 6 bytes in. */
static uint64_t add_stub(struct runner_fixture *runner, uint32_t slot)
{
    unsigned char stub[16] = {0xff, 0x25, [6] = 0x68, [11] = 0xe9};
    uint64_t offset = runner->next_code;
    store_le32(stub + 2, (uint32_t)(ZONE_S_OFFSET + slot * 8 - (offset + 6)));
    store_le32(stub + 7, slot);
    store_le32(stub + 12, (uint32_t)(LANDING - (offset + 16)));
    bind_slot(runner, slot, runner->base + offset + 6);
    return runner_fixture_add_code(runner, stub, sizeof stub);
}

static uint64_t add_increment(struct runner_fixture *runner)
{
    return ADD_CODE(runner, 0x48, 0x8d, 0x47, 0x01, 0xc3); /* lea 1(%rdi), %rax; ret */
}

/* A function with one instruction behind the call of what its argument points to. */
static uint64_t add_caller(struct runner_fixture *runner)
{
    return ADD_CODE(runner, 0x50, 0xff, 0x17, 0x5a, 0xc3); /* push %rax; call *(%rdi); pop %rdx; ret */
}

static uint64_t add_counter(struct runner_fixture *runner, uint64_t address)
{
    unsigned char code[] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x00, 0xc3}; /* mov $address, %rax; incl (%rax) */
    store_le64(code + 2, address);
    return runner_fixture_add_code(runner, code, sizeof code);
}

static void check_lazy(struct runner_fixture *runner, struct channel_record record, uint64_t waiter, uint64_t slot)
{
    cr_assert(record.kind == CHANNEL_LAZY && record.id == waiter && record.a == slot && record.status == 0,
              "record %u, waiter %lu, slot %lu instead of %lu, %lu", record.kind, (unsigned long)record.id,
              (unsigned long)record.a, (unsigned long)waiter, (unsigned long)slot);
    cr_expect(runner->channel->waiters[waiter].taken == 1);
}

static void expect_lazy(struct runner_fixture *runner, uint64_t waiter, uint64_t slot)
{
    check_lazy(runner, runner_fixture_take_reply(runner), waiter, slot);
}

static void tell(struct runner_fixture *runner, uint64_t number, struct channel_record request)
{
    struct channel_waiter *waiter = &runner->channel->waiters[number];
    waiter->request = request;
    atomic_fetch_add(&waiter->head, 1);
    syscall(SYS_futex, &waiter->head, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The descriptor alone would not tell: it may still be to be read for a record that was taken before. */
static bool is_silent(const struct runner_fixture *runner)
{
    usleep(50000);
    return runner->channel->replies.head == runner->channel->replies.tail;
}

static void resume(struct runner_fixture *runner, uint64_t waiter, uint64_t address)
{
    tell(runner, waiter, (struct channel_record){.kind = CHANNEL_RESUME, .a = address});
}

static struct channel_record ask(struct runner_fixture *runner, uint64_t waiter, struct channel_record request)
{
    request.id = (waiter + 2) << 32 | 99;
    tell(runner, waiter, request);
    struct channel_record reply = runner_fixture_take_reply(runner);
    cr_assert(reply.kind == request.kind && reply.id == request.id);
    return reply;
}

static uint64_t call(struct runner_fixture *runner, uint64_t address, uint64_t count, const uint64_t *arguments)
{
    struct channel_record reply =
        runner_fixture_perform(runner, runner_fixture_call_with(runner, address, count, arguments));
    cr_assert(reply.kind == CHANNEL_CALL && reply.status == 0);
    return reply.a;
}

#define CALL(runner, address, ...)                                                                                     \
    call(runner, address, sizeof((const uint64_t[]){__VA_ARGS__}) / 8, (const uint64_t[]){__VA_ARGS__})

static void send_call(struct runner_fixture *runner, uint64_t address, uint64_t argument)
{
    runner_fixture_send(&runner->channel->main, runner_fixture_call(runner, address, argument));
}

static void expect_result(struct runner_fixture *runner, uint64_t value)
{
    struct channel_record reply = runner_fixture_take_reply(runner);
    cr_expect(reply.kind == CHANNEL_CALL && reply.a == value, "%lu instead of %lu", (unsigned long)reply.a,
              (unsigned long)value);
}

/* Copies what lies in the runner's own memory, word by word. */
static void peek(struct runner_fixture *runner, uint64_t address, void *out, size_t bytes)
{
    uint64_t load = ADD_CODE(runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    for (size_t i = 0; i < bytes; i += 8)
        store_le64((unsigned char *)out + i, CALL(runner, load, address + i));
}

static uint64_t peek_word(struct runner_fixture *runner, uint64_t address)
{
    uint64_t word;
    peek(runner, address, &word, sizeof word);
    return word;
}

static uint64_t zeros(const struct runner_fixture *runner)
{
    return runner->base + ZONE_Z_OFFSET + FREE_Z;
}

/* Puts bytes into zone R and returns their address. */
static uint64_t put_constants(struct runner_fixture *runner, const void *bytes, size_t count)
{
    memcpy(runner->zones[ZONE_R] + FREE_R, bytes, count);
    return runner->base + ZONE_R_OFFSET + FREE_R;
}

static void start_thread(struct runner_fixture *runner, uint64_t index, uint64_t function)
{
    uint64_t create = runner_fixture_symbol(runner, "pthread_create");
    const uint64_t arguments[] = {zeros(runner) + index * 8, 0, function, 100 + index};
    runner_fixture_send(&runner->channel->main, runner_fixture_call_with(runner, create, 4, arguments));
}

/* One that waits at once for what slot 1 leads to. The two records may come in either order. */
static void start_waiting_thread(struct runner_fixture *runner, uint64_t index, uint64_t stub)
{
    start_thread(runner, index, stub);
    struct channel_record first = runner_fixture_take_reply(runner), second = runner_fixture_take_reply(runner);
    check_lazy(runner, first.kind == CHANNEL_LAZY ? first : second, index, 1);
    cr_assert((first.kind == CHANNEL_CALL ? first : second).a == 0);
}

static uint64_t join_thread(struct runner_fixture *runner, uint64_t index)
{
    uint64_t join = runner_fixture_symbol(runner, "pthread_join"), result = zeros(runner) + 8192;
    cr_assert(CALL(runner, join, peek_word(runner, zeros(runner) + index * 8), result) == 0);
    return peek_word(runner, result);
}

static uint64_t cpu_level(void)
{
    if (__builtin_cpu_supports("avx512bw"))
        return LEVEL_AVX_512;
    return __builtin_cpu_supports("avx") ? LEVEL_AVX : LEVEL_SSE;
}

static struct lazy_registers make_registers(uint64_t level)
{
    struct lazy_registers made = {.mxcsr = 0x7fa0, .x87_control = 0xe7f, .level = level};
    for (size_t i = 0; i < ARRAY_LENGTH(made.general); i++)
        made.general[i] = 0x1111111111111111 * (i + 1);
    for (size_t i = 0; i < ARRAY_LENGTH(made.masks); i++)
        made.masks[i] = 0x0123456789abcdef * (i + 1);
    for (size_t i = 0; i < sizeof made.vectors; i++)
        made.vectors[i / 64][i % 64] = (unsigned char)(i * 7 + i / 256);
    return made;
}

static void expect_registers(const struct lazy_registers *seen, const struct lazy_registers *set)
{
    static const size_t widths[] = {[LEVEL_SSE] = 16, [LEVEL_AVX] = 32, [LEVEL_AVX_512] = 64};
    for (size_t i = 0; i < ARRAY_LENGTH(set->general); i++)
        cr_expect(seen->general[i] == set->general[i], "general register %zu: %lx", i, (long)seen->general[i]);
    for (size_t i = 0; i < (set->level == LEVEL_AVX_512 ? 32 : 16); i++)
        cr_expect(memcmp(seen->vectors[i], set->vectors[i], widths[set->level]) == 0, "vector register %zu", i);
    if (set->level == LEVEL_AVX_512)
        cr_expect(memcmp(seen->masks, set->masks, sizeof set->masks) == 0, "mask registers");
    cr_expect(seen->mxcsr == set->mxcsr, "MXCSR %x", seen->mxcsr);
    cr_expect((seen->x87_control & 0xffff) == set->x87_control, "x87 control word %x", seen->x87_control);
    cr_expect(seen->errno_value == ERRNO_BEFORE, "errno %lu", (unsigned long)seen->errno_value);
    cr_expect(seen->stack % 16 == 8, "stack pointer %lx", (unsigned long)seen->stack);
}

static uint64_t add_callee(struct runner_fixture *runner)
{
    return runner_fixture_add_code(runner, lazy_callee, (size_t)(lazy_callee_end - lazy_callee));
}

/* Code that the linker writes, in room of its own. */
static uint64_t add_room(struct runner_fixture *runner, unsigned char **bytes)
{
    static const unsigned char room[32];
    uint64_t address = runner_fixture_add_code(runner, room, sizeof room);
    *bytes = runner->zones[ZONE_X] + (address - runner->base);
    return address;
}

/* The way of a call of a redirectable function that has been redirected to one of another calling convention: the
   linker's stub, its thunk, and an adapter that does nothing. */
static uint64_t add_way(struct runner_fixture *runner, uint64_t target)
{
    uint64_t adapter = ADD_CODE(runner, 0x41, 0xff, 0xe3); /* jmp *%r11 */
    unsigned char *bytes;
    uint64_t thunk = add_room(runner, &bytes);
    arch_x86_64.write_thunk(bytes, thunk, target, adapter);
    uint64_t stub = add_room(runner, &bytes);
    arch_x86_64.write_stub(bytes, stub, runner->base + ZONE_S_OFFSET + 16, 2, runner->base + LANDING);
    bind_slot(runner, 2, thunk);
    return stub;
}

struct register_test {
    uint64_t caller, function, disturb, close_function, stub, errno_address;
};

static struct register_test make_register_test(struct runner_fixture *runner,
                                               uint64_t (*add_function)(struct runner_fixture *runner))
{
    return (struct register_test){
        .caller = runner_fixture_add_code(runner, lazy_caller, (size_t)(lazy_caller_end - lazy_caller)),
        .function = add_function(runner),
        .disturb = runner_fixture_add_code(runner, lazy_disturb, (size_t)(lazy_disturb_end - lazy_disturb)),
        .close_function = runner_fixture_symbol(runner, "close"),
        .stub = add_stub(runner, 1),
        .errno_address = CALL(runner, runner_fixture_symbol(runner, "__errno_location"), 0)};
}

/* What is used up to `level` by the caller, and up to `disturbed` by others while it waits. */
static void expect_kept_at(struct runner_fixture *runner, const struct register_test *test, uint64_t level,
                           uint64_t disturbed)
{
    struct lazy_registers set = make_registers(level), seen;
    uint64_t out = zeros(runner);
    set.function = test->stub;
    set.errno_address = test->errno_address;
    uint64_t in = put_constants(runner, &set, sizeof set);
    runner_fixture_send(&runner->channel->main,
                        runner_fixture_call_with(runner, test->caller, 2, (const uint64_t[]){in, out}));
    expect_lazy(runner, 0, 1);
    cr_expect((uint32_t)ask(runner, 0, runner_fixture_call(runner, test->close_function, UINT32_MAX)).a == UINT32_MAX);
    ask(runner, 0, runner_fixture_call(runner, test->disturb, disturbed));
    resume(runner, 0, test->function);
    expect_result(runner, 4711);
    peek(runner, out, &seen, sizeof seen);
    expect_registers(&seen, &set);
}

/* At each level that the CPU has: what it has beyond is as it was all the same, but this is what callers use. */
static void expect_registers_kept(uint64_t (*add_function)(struct runner_fixture *runner))
{
    struct runner_fixture runner = open_lazy();
    struct register_test test = make_register_test(&runner, add_function);
    for (uint64_t level = 0; level <= cpu_level(); level++)
        expect_kept_at(&runner, &test, level, cpu_level());
    runner_fixture_close(&runner);
}

Test(lazy, keeps_every_register_that_the_caller_has_set)
{
    expect_registers_kept(add_callee);
}

/* Where a variable of the runner's lies, which no library exports: as far from lazy_entry as in its file. */
static uint64_t find_variable(const struct runner_fixture *runner, const char *wanted)
{
    char command[512], name[128];
    uint64_t value, entry = 0, found = 0;
    const char *build = getenv("O");
    snprintf(command, sizeof command, "nm '%s/bin/jitd-runner'", build ? build : "build");
    FILE *symbols = popen(command, "r");
    cr_assert(symbols);
    for (char line[512]; fgets(line, sizeof line, symbols);) {
        if (sscanf(line, "%lx %*c %127s", &value, name) != 2)
            continue;
        entry = strcmp(name, "lazy_entry") == 0 ? value : entry;
        found = strcmp(name, wanted) == 0 ? value : found;
    }
    pclose(symbols);
    cr_assert(entry != 0 && found != 0, "jitd-runner has no %s", wanted);
    return runner->lazy_entry + found - entry;
}

/* What lazy_open finds out on CPUs, and under hypervisors, that have less than this one. */
Test(lazy, keeps_registers_on_cpus_without_xsave_or_avx)
{
    static const struct {
        uint64_t mask, bytes, level;
    } cpus[] = {{0, 512, LEVEL_SSE}, {3, 576, LEVEL_SSE}, {7, 832, LEVEL_AVX}};
    struct runner_fixture runner = open_lazy();
    struct register_test test = make_register_test(&runner, add_callee);
    uint64_t store = ADD_CODE(&runner, 0x48, 0x89, 0x37, 0xc3); /* mov %rsi, (%rdi); ret */
    uint64_t store_half = ADD_CODE(&runner, 0x89, 0x37, 0xc3);  /* mov %esi, (%rdi); ret */
    uint64_t mask = find_variable(&runner, "lazy_state_mask"), bytes = find_variable(&runner, "lazy_state_bytes");
    for (size_t i = 0; i < ARRAY_LENGTH(cpus) && cpus[i].level <= cpu_level(); i++) {
        runner_fixture_perform(
            &runner, runner_fixture_call_with(&runner, store_half, 2, (const uint64_t[]){mask, cpus[i].mask}));
        runner_fixture_perform(&runner,
                               runner_fixture_call_with(&runner, store, 2, (const uint64_t[]){bytes, cpus[i].bytes}));
        expect_kept_at(&runner, &test, cpus[i].level, cpus[i].level);
    }
    runner_fixture_close(&runner);
}

static uint64_t add_way_to_callee(struct runner_fixture *runner)
{
    return add_way(runner, add_callee(runner));
}

Test(lazy, keeps_every_register_on_the_way_through_a_redirection_and_an_adapter)
{
    expect_registers_kept(add_way_to_callee);
}

Test(lazy, asks_no_more_once_the_slot_is_bound)
{
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), increment = add_increment(&runner);
    send_call(&runner, stub, 41);
    expect_lazy(&runner, 0, 1);
    bind_slot(&runner, 1, increment);
    resume(&runner, 0, increment);
    expect_result(&runner, 42);
    cr_expect(CALL(&runner, stub, 1) == 2);
    cr_expect(CALL(&runner, stub + 6, 2) == 3, "by a pointer to the push");
    bind_slot(&runner, 1, runner_fixture_symbol(&runner, "labs"));
    cr_expect(CALL(&runner, stub + 6, (uint64_t)-3) == 3, "a function outside of the arena");
    uint64_t other = ADD_CODE(&runner, 0x68, 2, 0, 0, 0, 0x58, 0xc3); /* push $2; pop %rax; ret */
    bind_slot(&runner, 1, other);
    cr_expect(CALL(&runner, stub + 6, 0) == 2, "a function that begins with a push");
    runner_fixture_close(&runner);
}

Test(lazy, does_what_it_is_asked_on_the_thread_that_waits)
{
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), increment = add_increment(&runner), counted = zeros(&runner);
    uint64_t initialisers[] = {add_counter(&runner, counted), add_counter(&runner, counted)};
    uint64_t array = put_constants(&runner, initialisers, sizeof initialisers);
    uint64_t gettid_function = runner_fixture_symbol(&runner, "gettid");
    uint64_t own = CALL(&runner, gettid_function, 0);
    send_call(&runner, stub, 41);
    expect_lazy(&runner, 0, 1);
    cr_expect(ask(&runner, 0, (struct channel_record){.kind = CHANNEL_INITIALISE, .a = array, .b = 2}).status == 0);
    cr_expect(ask(&runner, 0, runner_fixture_call(&runner, gettid_function, 0)).a == own);
    static const uint32_t senseless[] = {0, CHANNEL_MAIN, CHANNEL_LAZY, CHANNEL_LAZY + 1};
    for (size_t i = 0; i < ARRAY_LENGTH(senseless); i++)
        cr_expect(ask(&runner, 0, (struct channel_record){.kind = senseless[i]}).status == ERROR_INVALID);
    resume(&runner, 0, increment);
    expect_result(&runner, 42);
    cr_expect(peek_word(&runner, counted) == 2);
    runner_fixture_close(&runner);
}

Test(lazy, waits_on_the_agent_thread_while_the_main_thread_waits)
{
    struct runner_fixture runner = open_lazy();
    uint64_t first = add_stub(&runner, 1), second = add_stub(&runner, 2), increment = add_increment(&runner);
    send_call(&runner, first, 1);
    expect_lazy(&runner, 0, 1);
    runner_fixture_send(&runner.channel->agent, runner_fixture_call(&runner, second, 10));
    expect_lazy(&runner, 1, 2);
    resume(&runner, 0, increment);
    expect_result(&runner, 2);
    resume(&runner, 1, increment);
    expect_result(&runner, 11);
    runner_fixture_close(&runner);
}

Test(lazy, nests_where_an_initialiser_calls_what_is_not_there)
{
    enum { INNER = CHANNEL_NESTED };
    struct runner_fixture runner = open_lazy();
    uint64_t outer = add_stub(&runner, 1), inner = add_stub(&runner, 2), increment = add_increment(&runner);
    uint64_t array = put_constants(&runner, &inner, sizeof inner);
    send_call(&runner, outer, 41);
    expect_lazy(&runner, 0, 1);
    tell(&runner, 0, (struct channel_record){.kind = CHANNEL_INITIALISE, .id = 5, .a = array, .b = 1});
    expect_lazy(&runner, INNER, 2);
    cr_expect(ask(&runner, INNER, (struct channel_record){.kind = CHANNEL_INITIALISE, .a = array, .b = 0}).status == 0);
    resume(&runner, INNER, increment);
    struct channel_record reply = runner_fixture_take_reply(&runner);
    cr_expect(reply.kind == CHANNEL_INITIALISE && reply.id == 5 && reply.status == 0);
    resume(&runner, 0, increment);
    expect_result(&runner, 42);
    cr_expect(runner.channel->waiters[0].taken == 0 && runner.channel->waiters[INNER].taken == 0);
    runner_fixture_close(&runner);
}

Test(lazy, waits_in_each_thread_that_calls_first)
{
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), increment = add_increment(&runner);
    for (uint64_t i = 0; i < THREADS; i++)
        start_waiting_thread(&runner, i, stub);
    bind_slot(&runner, 1, increment);
    for (uint64_t i = 0; i < THREADS; i++)
        resume(&runner, i, increment);
    for (uint64_t i = 0; i < THREADS; i++)
        cr_expect(join_thread(&runner, i) == 101 + i);
    runner_fixture_close(&runner);
}

Test(lazy, lets_threads_wait_for_a_waiter_where_all_are_taken)
{
    enum { MORE = CHANNEL_NESTED + 3 };
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), increment = add_increment(&runner);
    for (uint64_t i = 0; i < CHANNEL_NESTED; i++)
        start_waiting_thread(&runner, i, stub);
    for (uint64_t i = CHANNEL_NESTED; i < MORE; i++) {
        start_thread(&runner, i, stub);
        expect_result(&runner, 0);
    }
    cr_expect(is_silent(&runner), "a thread goes on without a waiter");
    for (uint64_t i = CHANNEL_NESTED; i < MORE; i++) {
        resume(&runner, i % 7, increment);
        expect_lazy(&runner, i % 7, 1);
    }
    for (uint64_t i = 0; i < CHANNEL_NESTED; i++)
        resume(&runner, i, increment);
    for (uint64_t i = 0; i < MORE; i++)
        cr_expect(join_thread(&runner, i) == 101 + i);
    runner_fixture_close(&runner);
}

/* The handler is itself not there: it is called, and waits, in the middle of the first wait. */
Test(lazy, waits_in_a_signal_handler_that_interrupts_a_wait)
{
    struct runner_fixture runner = open_lazy();
    uint64_t first = add_stub(&runner, 1), handler = add_stub(&runner, 2), increment = add_increment(&runner);
    uint64_t counted = zeros(&runner), counter = add_counter(&runner, counted);
    struct sigaction action = {.sa_handler = (void (*)(int))(uintptr_t)handler};
    uint64_t constant = put_constants(&runner, &action, sizeof action);
    pid_t lives[LIVES];
    cr_assert(CALL(&runner, runner_fixture_symbol(&runner, "sigaction"), SIGUSR1, constant, 0) == 0);
    cr_assert(runner_fixture_find_lives(&runner, lives) >= 1);
    send_call(&runner, first, 41);
    expect_lazy(&runner, 0, 1);
    kill(lives[0], SIGUSR1);
    expect_lazy(&runner, 1, 2);
    resume(&runner, 1, counter);
    cr_expect(is_silent(&runner), "an interrupted wait ends");
    resume(&runner, 0, increment);
    expect_result(&runner, 42);
    cr_expect(peek_word(&runner, counted) == 1);
    runner_fixture_close(&runner);
}

Test(lazy, is_not_cancelled_while_it_waits)
{
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), increment = add_increment(&runner);
    start_waiting_thread(&runner, 0, stub);
    uint64_t thread = peek_word(&runner, zeros(&runner));
    CALL(&runner, runner_fixture_symbol(&runner, "pthread_cancel"), thread);
    ask(&runner, 0, (struct channel_record){.kind = CHANNEL_ZERO, .a = 0, .b = 1});
    resume(&runner, 0, increment);
    cr_expect(join_thread(&runner, 0) == 101);
    cr_expect(runner.channel->waiters[0].taken == 0);
    runner_fixture_close(&runner);
}

Test(lazy, stops_an_exception_on_its_way_into_the_caller)
{
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), increment = add_increment(&runner);
    uint64_t raise_function = runner_fixture_symbol(&runner, "_Unwind_RaiseException");
    send_call(&runner, stub, 41);
    expect_lazy(&runner, 0, 1);
    uint64_t code = ask(&runner, 0, runner_fixture_call(&runner, raise_function, zeros(&runner))).a;
    cr_expect((uint32_t)code == _URC_FATAL_PHASE1_ERROR, "%u", (uint32_t)code);
    resume(&runner, 0, increment);
    expect_result(&runner, 42);
    runner_fixture_close(&runner);
}

Test(lazy, ends_the_process_in_the_caller_where_nobody_supplies_the_function)
{
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), caller = add_caller(&runner);
    uint64_t argument = put_constants(&runner, &stub, sizeof stub);
    for (int i = 0; i < 2; i++) {
        send_call(&runner, caller, argument);
        expect_lazy(&runner, 0, 1);
        resume(&runner, 0, 0);
        struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
        cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == SIGABRT, "status %#x", (unsigned)word.value);
        const struct channel_crash *crash = &runner.channel->crash;
        cr_expect(crash->state == CRASH_COMPLETE && crash->signal == SIGABRT && crash->thread != 0);
        cr_expect(crash->address == 0 && !crash->stack_overflow);
        cr_expect(crash->frame_count >= 1 && crash->frames[0] == caller + 2, "%lx", (long)crash->frames[0]);
        cr_expect(crash->registers[16] == caller + 3 && crash->registers[5] == argument, "rip and rdi");
        cr_expect(crash->registers[7] % 16 == 0, "rsp");
        runner_fixture_begin_epoch(&runner);
    }
    runner_fixture_close(&runner);
}

Test(lazy, shows_the_caller_of_a_thread_that_waits)
{
    struct runner_fixture runner = open_lazy();
    uint64_t stub = add_stub(&runner, 1), caller = add_caller(&runner);
    pid_t lives[LIVES];
    cr_assert(runner_fixture_find_lives(&runner, lives) >= 1);
    send_call(&runner, caller, put_constants(&runner, &stub, sizeof stub));
    expect_lazy(&runner, 0, 1);
    cr_expect(is_silent(&runner)); /* so that it sleeps, and has its signals let in again */
    kill(lives[0], SIGSEGV);
    runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    const struct channel_crash *crash = &runner.channel->crash;
    cr_expect(crash->state == CRASH_COMPLETE && crash->signal == SIGSEGV);
    cr_expect(crash->frame_count > 1 && crash->frames[crash->frame_count - 1] == caller + 3);
    runner_fixture_close(&runner);
}

Test(lazy, ends_a_forked_process_that_cannot_wait)
{
    struct runner_fixture runner = open_lazy_as(JITD__PROTO__PROFILE__TRUSTED);
    uint64_t stub = add_stub(&runner, 1), increment = add_increment(&runner);
    /* push %rbx; mov %rdi, %rbx; call *(%rdi); test %eax, %eax; jne out; call *8(%rbx); out: pop %rbx; ret */
    uint64_t fork_and_call =
        ADD_CODE(&runner, 0x53, 0x48, 0x89, 0xfb, 0xff, 0x17, 0x85, 0xc0, 0x75, 0x03, 0xff, 0x53, 0x08, 0x5b, 0xc3);
    uint64_t functions[] = {runner_fixture_symbol(&runner, "fork"), stub};
    uint64_t child = CALL(&runner, fork_and_call, put_constants(&runner, functions, sizeof functions));
    uint64_t waitpid_function = runner_fixture_symbol(&runner, "waitpid");
    cr_assert((uint32_t)CALL(&runner, waitpid_function, child, zeros(&runner), 0) == (uint32_t)child);
    int status = (int)peek_word(&runner, zeros(&runner));
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x", (unsigned)status);
    cr_expect(runner.channel->crash.state == CRASH_NONE, "the child's crash is taken for the session's");
    send_call(&runner, stub, 41);
    expect_lazy(&runner, 0, 1);
    resume(&runner, 0, increment);
    expect_result(&runner, 42);
    runner_fixture_close(&runner);
}
