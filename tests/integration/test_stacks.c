/*
 * Stacks of the program's threads, which are the program's own: as small as it asks for, its own memory, and with the
 * stack pointer where its code has it.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "common/bytes.h"
#include "tests/integration/harness.h"
#include "tests/integration/lazily.h"

TestSuite(stacks, .timeout = 60);

/* ---- their size ---- */

static const char threads_source[] =
    "#include <pthread.h>\n#include <stdlib.h>\n#include <string.h>\n#include <threads.h>\n#include <unistd.h>\n"
    "static size_t size, guard; static char *low, *here; static int wrong;\n"
    /* Down to a page above the lowest address, as code does that was given so much. */
    "static long descend_to(char *end, long n) {\n"
    "    volatile char frame[256]; memset((char *)frame, 1, sizeof frame);\n"
    "    return (char *)frame - 512 > end ? descend_to(end, n + 1) + frame[1] : n; }\n"
    "long descend(long n) { volatile long frame[32]; frame[n % 32] = n; return descend(n + 1) + frame[3]; }\n"
    "static void *look(void *argument) {\n"
    "    pthread_attr_t attributes; void *address; char local;\n"
    "    pthread_getattr_np(pthread_self(), &attributes);\n"
    "    pthread_attr_getstack(&attributes, &address, &size); pthread_attr_getguardsize(&attributes, &guard);\n"
    "    pthread_attr_destroy(&attributes);\n"
    "    low = address; here = &local; wrong = !(low < here && here < low + size);\n"
    "    if (!wrong) descend_to(low, 0);\n"
    "    return argument; }\n"
    "static long run(pthread_attr_t *attributes, void *(*f)(void *)) {\n"
    "    pthread_t thread; void *value = 0;\n"
    "    if (pthread_create(&thread, attributes, f, (void *)7)) return -1;\n"
    "    pthread_join(thread, &value); return (long)value; }\n"
    /* How much of what the program asked for was taken before its function began. */
    "long taken_of(long bytes) {\n"
    "    pthread_attr_t attributes; pthread_attr_init(&attributes);\n"
    "    if (pthread_attr_setstacksize(&attributes, bytes)) return -2;\n"
    "    pthread_attr_setguardsize(&attributes, 8192);\n"
    "    if (run(&attributes, look) != 7) return -3;\n"
    "    return wrong || size != bytes || guard != 8192 ? -4 : low + size - here; }\n"
    "long own_stack(long bytes) {\n"
    "    char *memory = aligned_alloc(4096, 3 * bytes); memset(memory, 0x5a, 3 * bytes);\n"
    "    pthread_attr_t attributes; pthread_attr_init(&attributes);\n"
    "    if (pthread_attr_setstack(&attributes, memory + bytes, bytes)) return -2;\n"
    "    if (run(&attributes, look) != 7) return -3;\n"
    "    if (wrong || low != memory + bytes || size != bytes) return -4;\n"
    "    for (long i = 0; i < bytes; i++) if (memory[i] != 0x5a || memory[2 * bytes + i] != 0x5a) return -5;\n"
    "    free(memory); return 0; }\n"
    /* Overflows. */
    "static void *overflow(void *argument) { descend((long)argument); return argument; }\n"
    "long overflow_of(long bytes) { pthread_attr_t attributes; pthread_attr_init(&attributes);\n"
    "    pthread_attr_setstacksize(&attributes, bytes); return run(&attributes, overflow); }\n"
    "static int overflow11(void *argument) { return (int)descend(1); }\n"
    "long overflow_thrd(long x) { thrd_t thread; int value = 0;\n"
    "    if (thrd_create(&thread, overflow11, 0) != thrd_success) return -1;\n"
    "    thrd_join(thread, &value); return value; }\n"
    "static pthread_key_t key; static void overflow_late(void *value) { descend((long)value); }\n"
    "static void *set(void *argument) { pthread_setspecific(key, (void *)1); return argument; }\n"
    "long overflow_destructor(long x) { pthread_key_create(&key, overflow_late); return run(0, set); }\n"
    /* Ends. */
    "static void *leave(void *argument) { pthread_exit(argument); }\n"
    "static void *wait_to_be_cancelled(void *argument) { for (;;) pause(); }\n"
    "static void *go(void *argument) { return argument; }\n"
    "static int go11(void *argument) { return -5; } static int leave11(void *argument) { thrd_exit(-6); }\n"
    "static int run11(thrd_start_t f) { thrd_t thread; int value = 0;\n"
    "    if (thrd_create(&thread, f, 0) != thrd_success) return 1;\n"
    "    return thrd_join(thread, &value) == thrd_success ? value : 2; }\n"
    "long many(long count) {\n"
    "    for (long i = 0; i < count; i++) {\n"
    "        if (run(0, go) != 7 || run(0, leave) != 7 || run11(go11) != -5 || run11(leave11) != -6) return i + 1;\n"
    "        pthread_t thread; void *value;\n"
    "        if (pthread_create(&thread, 0, wait_to_be_cancelled, 0)) return i + 1;\n"
    "        pthread_cancel(thread); pthread_join(thread, &value);\n"
    "        if (value != PTHREAD_CANCELED) return -i - 1;\n"
    "    }\n"
    "    return 0; }\n"
    "static void *stand(void *barrier) { pthread_barrier_wait(barrier); return (void *)7; }\n"
    "long crowd(long count) {\n"
    "    pthread_t threads[400]; pthread_barrier_t barrier; void *value;\n"
    "    pthread_attr_t attributes; pthread_attr_init(&attributes); pthread_attr_setstacksize(&attributes, 1 << 16);\n"
    "    pthread_barrier_init(&barrier, 0, count);\n"
    "    for (long i = 0; i < count; i++)\n"
    "        if (pthread_create(&threads[i], &attributes, stand, &barrier)) return i + 1;\n"
    "    for (long i = 0; i < count; i++) { pthread_join(threads[i], &value); if (value != (void *)7) return -i - 1; "
    "}\n"
    "    return 0; }\n";

static struct harness *open_with_threads(const struct jitd_options *options)
{
    struct harness *harness = harness_open(options);
    harness_link_c(harness, "threads.o", threads_source);
    return harness;
}

/* PTHREAD_STACK_MIN, what a Rust program may ask for, what the runner once took itself, and what is common. */
static const int64_t sizes[] = {16 << 10, 32 << 10, 64 << 10, 72 << 10, 128 << 10, 256 << 10, 8 << 20};

Test(stacks, of_any_size_are_the_program_s_but_for_what_libc_takes)
{
    struct harness *harness = open_with_threads(NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        int64_t taken = harness_value(harness, "taken_of", sizes[i]);
        cr_expect(taken > 0 && taken < 8192, "%ld bytes of %ld", (long)taken, (long)sizes[i]);
    }
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

Test(stacks, that_the_program_brings_are_not_overrun)
{
    struct harness *harness = open_with_threads(NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
        cr_expect_eq(harness_value(harness, "own_stack", sizes[i]), 0, "%ld bytes", (long)sizes[i]);
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

static void expect_overflow(struct harness *harness, const char *function, int64_t argument)
{
    struct harness_end end = harness_call(harness, function, argument).end;
    cr_expect(end.signal == SIGSEGV && end.record && end.stack_overflow, "%s of %ld: signal %d, record %d", function,
              (long)argument, end.signal, end.record);
    cr_expect(end.frame_count > 20 && strcmp(end.frames[0].function, "descend") == 0, "%s of %ld: %zu frames", function,
              (long)argument, end.frame_count);
}

Test(stacks, of_any_size_and_thread_that_overflow_are_reported)
{
    struct harness *harness = open_with_threads(NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
        expect_overflow(harness, "overflow_of", sizes[i]);
    expect_overflow(harness, "overflow_thrd", 0);
    expect_overflow(harness, "overflow_destructor", 0);
    harness_close(harness);
}

/* As address space of 3 GiB would end if anything of 50,000 threads were left. */
Test(stacks, take_nothing_with_them_that_is_the_runner_s_however_their_thread_ends)
{
    struct harness *harness = open_with_threads(&(struct jitd_options){.address_space_bytes = 3ull << 30});
    cr_expect_eq(harness_value(harness, "many", 10000), 0);
    harness_close(harness);
}

Test(stacks, of_more_threads_at_a_time_than_the_runner_keeps_anything_for)
{
    struct harness *harness = open_with_threads(NULL);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(harness_value(harness, "crowd", 400), 0);
    harness_close(harness);
}

Test(stacks, of_the_smallest_size_are_enough_to_wait_for_a_lazy_function)
{
    const struct jitd_manifest manifest = {DEFINITIONS(OFFER("on_thread")), USES(LAZY_USE("twice"))};
    struct harness *harness = harness_open(NULL);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "thread.o", .manifest = &manifest},
                     "#include <pthread.h>\nlong twice(long);\n"
                     "static void *f(void *n) { return (void *)twice((long)n); }\n"
                     "long on_thread(long n) { pthread_t thread; void *value; pthread_attr_t attributes;\n"
                     "    pthread_attr_init(&attributes); pthread_attr_setstacksize(&attributes, 1 << 14);\n"
                     "    if (pthread_create(&thread, &attributes, f, (void *)n)) return -1;\n"
                     "    pthread_join(thread, &value); return (long)value; }\n");
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    cr_expect_eq(
        lazily_value_with(harness, "on_thread", 4, "twice",
                          "static long more; __attribute__((constructor)) static void begin(void) { more = 2; }\n"
                          "long twice(long n) { return more * n; }"),
        8);
    harness_close(harness);
}

/* ---- their alignment ---- */

/* odd_call(f, a, b, c, d) calls f(a, b, c, d) with the stack pointer off by 8 from where the psABI (3.2.2) has it. */
#define ODD_CALL                                                                                                       \
    "__asm__(\".globl odd_call\\n.type odd_call, @function\\nodd_call:\\n.cfi_startproc\\n\"\n"                        \
    "    \"push %rbp\\n.cfi_def_cfa_offset 16\\n.cfi_offset %rbp, -16\\n\"\n"                                          \
    "    \"mov %rsp, %rbp\\n.cfi_def_cfa_register %rbp\\n\"\n"                                                         \
    "    \"mov %rdi, %rax\\nmov %rsi, %rdi\\nmov %rdx, %rsi\\nmov %rcx, %rdx\\nmov %r8, %rcx\\n\"\n"                   \
    "    \"and $-16, %rsp\\nsub $8, %rsp\\ncall *%rax\\nleave\\n.cfi_def_cfa %rsp, 8\\nret\\n.cfi_endproc\\n\"\n"      \
    "    \".size odd_call, . - odd_call\");\n"                                                                         \
    "long odd_call(void *f, ...);\n"

static const char odd_source[] =
    "#define _GNU_SOURCE\n#include <pthread.h>\n#include <stdlib.h>\n#include <threads.h>\n#include "
    "<unistd.h>\n" ODD_CALL "int _dl_find_object(void *, void *);\n"
    "extern int __cxa_atexit(void (*)(void *), void *, void *); extern int __cxa_at_quick_exit(void (*)(void *), void "
    "*);\n"
    "static void say(void *text) { write(1, text ? text : \"q\", 1); }\n"
    "__attribute__((destructor)) static void end(void) { say(\"d\"); }\n"
    "long odd_exit(long x) { __cxa_atexit(say, \"a\", 0); return odd_call(exit, x); }\n"
    "long odd__exit(long x) { return odd_call(_exit, x); }\n"
    "long odd_Exit(long x) { return odd_call(_Exit, x); }\n"
    "long odd_quick_exit(long x) { __cxa_at_quick_exit(say, 0); return odd_call(quick_exit, x); }\n"
    "static void *f(void *argument) { return argument; } static int f11(void *argument) { return 9; }\n"
    "long odd_thread(long x) { pthread_t thread; void *value = 0;\n"
    "    if (odd_call(pthread_create, &thread, (void *)0, f, x)) return -1;\n"
    "    pthread_join(thread, &value); return (long)value; }\n"
    "long odd_thrd(long x) { thrd_t thread; int value = 0;\n"
    "    if (odd_call(thrd_create, &thread, f11, 0)) return -1;\n"
    "    thrd_join(thread, &value); return value; }\n"
    "long odd_find(long x) { long found[16]; return (int)odd_call(_dl_find_object, odd_find, found); }\n"
    "static void crash(void) { *(volatile long *)8 = 1; } static void stop(void) { abort(); }\n"
    "long odd_crash(long x) { return odd_call(crash); }\n"
    "long odd_abort(long x) { return odd_call(stop); }\n";

Test(stacks, whose_pointer_is_odd_are_the_program_s_business_until_it_enters_the_runner)
{
    static const struct {
        const char *function, *output;
        int status;
    } ways[] = {{"odd_exit", "ad", 3}, {"odd__exit", "", 4}, {"odd_Exit", "", 5}, {"odd_quick_exit", "q", 6}};
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        struct harness *harness = harness_open_with_output(NULL);
        harness_link_c(harness, "odd.o", odd_source);
        struct harness_end end = harness_call(harness, ways[i].function, ways[i].status).end;
        cr_expect(end.exited && end.exit_status == ways[i].status, "%s: signal %d", ways[i].function, end.signal);
        harness_expect_output(harness, ways[i].output);
        harness_close(harness);
    }
}

Test(stacks, whose_pointer_is_odd_make_threads_and_are_unwound)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "odd.o", odd_source);
    cr_expect_eq(harness_value(harness, "odd_thread", 7), 7);
    cr_expect_eq(harness_value(harness, "odd_thrd", 7), 9);
    cr_expect_eq(harness_value(harness, "odd_find", 7), 0);
    cr_expect_eq(harness->runner_ends, 0);
    harness_close(harness);
}

Test(stacks, whose_pointer_is_odd_are_reported_with_their_backtrace)
{
    struct harness *harness = harness_open(NULL);
    harness_link_c(harness, "odd.o", odd_source);
    struct harness_end end = harness_call(harness, "odd_crash", 0).end;
    cr_expect(end.signal == SIGSEGV && end.record && end.fault_address == 8, "signal %d", end.signal);
    cr_expect(end.frame_count == 3 && strcmp(end.frames[2].function, "odd_crash") == 0, "%zu frames", end.frame_count);
    end = harness_call(harness, "odd_abort", 0).end;
    cr_expect(end.signal == SIGABRT && end.record, "signal %d", end.signal);
    harness_close(harness);
}

static struct harness *open_odd_and_lazy(void)
{
    const struct jitd_manifest manifest = {DEFINITIONS(OFFER("caller")), USES(LAZY_USE("twice"))};
    struct harness *harness = harness_open(NULL);
    harness_add_unit(harness, &(struct jitd_unit_input){.name = "odd.o", .manifest = &manifest},
                     ODD_CALL "long twice(long n); static long f(long n) { return twice(n) + 1; }\n"
                              "long caller(long n) { return odd_call(f, n); }\n");
    cr_assert_eq(harness_submit(harness, 0), 0, "%s", harness->errors[0].text);
    return harness;
}

Test(stacks, whose_pointer_is_odd_wait_for_lazy_functions)
{
    struct harness *harness = open_odd_and_lazy();
    cr_expect_eq(lazily_value_with(harness, "caller", 4, "twice", TWICE_SOURCE), 9);
    harness_close(harness);
}

Test(stacks, whose_pointer_is_odd_are_reported_where_a_lazy_function_does_not_come)
{
    struct harness *harness = open_odd_and_lazy();
    struct harness_call call;
    jitd_request request = harness_call_begin(harness, "caller", 4, &call);
    harness_refuse(harness, harness_expect_question(harness, 1, "twice")->ask, "not in this program");
    harness_wait(harness, request);
    lazily_expect_refused(&call, "twice", JITD_ERROR_NOT_FOUND, "not in this program");
    harness_close(harness);
}
