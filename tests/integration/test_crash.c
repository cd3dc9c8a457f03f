/*
 * Crashes: what the report says, and that everything else goes on as if the crash had not been.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/integration/harness.h"
#include "tests/lib/elf_build.h"

TestSuite(crash, .timeout = 60);

static const char state_source[] = "#include <stdlib.h>\n"
                                   "long counter = 7, zero[64];\n"
                                   "char *kept;\n"
                                   "long bump(long by) { zero[3] += by; return counter += by; }\n"
                                   "long zero_data(long i) { return zero[i] | (long)kept; }\n"
                                   "long fill_heap(long bytes) { kept = malloc(bytes); memset(kept, 1, bytes); }\n";

static const char crashes_source[] =
    "#include <pthread.h>\n#include <signal.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"
    "#define STAY(call) do { call; __asm__ volatile(\"\"); } while (0)\n"
    "long store(long at) { *(volatile char *)at = 1; return 0; }\n"
    /* A non-canonical address through rbp is a stack fault, which Linux turns into SIGBUS. */
    "long bus(long x) { __asm__ volatile(\"push %rbp; movabs $0x8000000000000000, %rbp; mov (%rbp), %eax; pop "
    "%rbp\");\n"
    "    return 0; }\n"
    "long divide(long by) { volatile long n = 1; return n / by; }\n"
    "long illegal(long x) { __asm__ volatile(\"ud2\"); return 0; }\n"
    "long breakpoint(long x) { __asm__ volatile(\"int3\"); return 0; }\n"
    "long stop(long x) { abort(); }\n"
    "long descend(long x) { volatile char frame[512]; frame[0] = 1; return x == 0 ? 0 : descend(x + 1) + frame[0]; }\n"
    "long leave(long status) { exit(status); }\n"
    "long leave_at_once(long status) { _exit(status); }\n"
    "long jump(long to) { long value = ((long (*)(void))to)(); STAY(); return value + 1; }\n"
    "long lose_stack(long x) { __asm__ volatile(\"xor %rsp, %rsp; mov (%rsp), %eax\"); return 0; }\n"
    "long without_handler(long at) { signal(SIGSEGV, SIG_DFL); *(volatile char *)at = 1; return 0; }\n"
    "void *in_thread(void *at) { *(volatile char *)at = 1; return 0; }\n"
    "void *in_thread_later(void *at) { usleep(20000); *(volatile char *)at = 1; return 0; }\n"
    "void *descend_in_thread(void *x) { return (void *)descend(1); }\n"
    "static long join(void *(*function)(void *), long x) { pthread_t thread;\n"
    "    pthread_create(&thread, 0, function, (void *)x); pthread_join(thread, 0); return 0; }\n"
    "long thread_store(long at) { return join(in_thread, at); }\n"
    "long thread_descend(long x) { return join(descend_in_thread, x); }\n"
    "long store_later(long at) { pthread_t thread; return pthread_create(&thread, 0, in_thread_later, (void *)at); }\n"
    "long spin(long x) { write(1, \"spinning\", 8); for (;;) pause(); }\n";

static struct harness *open_with_crashes(void)
{
    struct harness *harness = harness_open_with_output(NULL);
    harness_add_c(harness, "state.o", state_source);
    harness_add_c(harness, "crashes.o", crashes_source);
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    return harness;
}

static void expect_pristine(struct harness *harness, const char *after)
{
    cr_expect(harness_value(harness, "zero_data", 3) == 0, "zero data is not zero after %s", after);
    cr_expect(harness_value(harness, "bump", 0) == 7, "the counter is not back after %s", after);
}

static bool has_frame(const struct harness_end *end, const char *unit, const char *function)
{
    for (size_t i = 0; i < end->frame_count; i++)
        if (strcmp(end->frames[i].unit, unit) == 0 && strcmp(end->frames[i].function, function) == 0)
            return true;
    return false;
}

static const struct {
    const char *function;
    int64_t argument;
    int signal;
    bool has_address;
} faults[] = {
    {"store", 4660, SIGSEGV, true}, {"bus", 0, SIGBUS, false},   {"divide", 0, SIGFPE, false},
    {"illegal", 0, SIGILL, false},  {"stop", 0, SIGABRT, false}, {"breakpoint", 0, SIGTRAP, false},
};

static void expect_report(const struct harness_call *call, size_t i)
{
    const char *function = faults[i].function;
    const struct harness_end *end = &call->end;
    cr_assert(call->ended && !end->exited, "%s: %s", function, call->text);
    cr_expect(end->signal == faults[i].signal, "%s: signal %d", function, end->signal);
    cr_assert(end->record && end->frame_count > 0, "%s: no record", function);
    cr_expect(end->record_signal == faults[i].signal, "%s: record of signal %d", function, end->record_signal);
    cr_expect(!faults[i].has_address || end->fault_address == (uint64_t)faults[i].argument, "%s at %#lx", function,
              (long)end->fault_address);
    cr_expect(end->register_count == 18 && end->program_counter == end->frames[0].pc, "%s: pc", function);
    cr_expect(has_frame(end, "crashes.o", function), "%s is not in its own backtrace", function);
    cr_expect(!end->stack_overflow, "%s is no stack overflow", function);
}

Test(crash, is_reported_and_the_next_call_finds_all_as_it_was)
{
    struct harness *harness = open_with_crashes();
    uint64_t bump = harness_address(harness, "bump"), counter = harness_address(harness, "counter");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        cr_expect(harness_value(harness, "bump", 5) == 12);
        struct harness_call call = harness_call(harness, faults[i].function, faults[i].argument);
        expect_report(&call, i);
        cr_expect(harness->runner_ends == (int)i + 1 && call.end.epoch == i + 1, "%s", faults[i].function);
        expect_pristine(harness, faults[i].function);
    }
    cr_expect(harness_address(harness, "bump") == bump && harness_address(harness, "counter") == counter);
    harness_close(harness);
}

Test(crash, names_function_and_offset_of_the_faulting_instruction)
{
    struct harness *harness = open_with_crashes();
    uint64_t breakpoint = harness_address(harness, "breakpoint");
    struct harness_end end = harness_call(harness, "illegal", 0).end;
    cr_assert(end.frame_count > 0);
    cr_expect(strcmp(end.frames[0].unit, "crashes.o") == 0 && strcmp(end.frames[0].function, "illegal") == 0);
    cr_expect(end.frames[0].pc - end.frames[0].function_offset == harness_address(harness, "illegal"));
    cr_expect(end.frames[0].pc != breakpoint && end.frames[0].function_offset < 16);
    harness_close(harness);
}

Test(crash, in_a_called_null_pointer_shows_the_caller)
{
    struct harness *harness = open_with_crashes();
    struct harness_end end = harness_call(harness, "jump", 0).end;
    cr_expect(end.signal == SIGSEGV && end.frames[0].pc == 0);
    cr_expect(end.frame_count >= 2 && strcmp(end.frames[1].function, "jump") == 0);
    harness_close(harness);
}

/* Two sections of one name, the second of which crashes, as two units of one name have them. */
#define TWIN(first, second)                                                                                            \
    ".section .text.same,\"ax\",@progbits,unique,1\n.globl " first "\n.type " first ", @function\n" first ": ret\n"    \
    ".section .text.same,\"ax\",@progbits,unique,2\n.globl " second "\n.type " second ", @function\nnop\n" second      \
    ": ud2\n.section .note.GNU-stack,\"\",@progbits\n"

Test(crash, tells_units_and_sections_of_one_name_apart)
{
    struct harness *harness = harness_open(NULL);
    harness_add_assembly(harness, "twin.o", TWIN("one", "two"));
    harness_add_assembly(harness, "twin.o", TWIN("three", "four"));
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    struct object_bytes object = compile_assembly(TWIN("one", "two"), NULL);
    size_t second = elf_section_index(&object, ".text.same") + 1;
    static const char *const functions[] = {"two", "four"};
    for (size_t i = 0; i < 2; i++) {
        struct harness_end end = harness_call(harness, functions[i], 0).end;
        const struct harness_frame *frame = &end.frames[0];
        cr_assert(end.signal == SIGILL && end.frame_count > 0);
        cr_expect(frame->unit_id == harness->units[i].id, "%s in unit %d", functions[i], (int)frame->unit_id);
        cr_expect_str_eq(frame->section, ".text.same");
        cr_expect(frame->section_index == second && frame->section_offset == 1, "%s in section %u+%d", functions[i],
                  frame->section_index, (int)frame->section_offset);
    }
    object_free(&object);
    harness_close(harness);
}

/* The instruction that a signal interrupted need not have another one before it. */
Test(crash, below_a_signal_handler_names_the_very_instruction)
{
    struct harness *harness = harness_open(NULL);
    harness_add_assembly(harness, "first.o",
                         ".globl interrupted\n.type interrupted, @function\nbefore: .cfi_startproc\nret\n.cfi_endproc\n"
                         ".type before, @function\n.size before, .-before\n"
                         "interrupted: .cfi_startproc\nud2\n.cfi_endproc\n.size interrupted, .-interrupted\n"
                         ".section .note.GNU-stack,\"\",@progbits\n");
    harness_add_c(harness, "handle.o",
                  "#include <signal.h>\n#include <stdlib.h>\nvoid interrupted(void);\n"
                  "static void handle(int number) { abort(); }\n"
                  "long provoke(long x) { signal(SIGILL, handle); interrupted(); return 0; }\n");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    struct harness_end end = harness_call(harness, "provoke", 0).end;
    cr_assert(end.signal == SIGABRT && end.record);
    cr_expect(has_frame(&end, "first.o", "interrupted") && has_frame(&end, "handle.o", "provoke"));
    for (size_t i = 0; i < end.frame_count; i++) {
        bool interrupted = strcmp(end.frames[i].function, "interrupted") == 0;
        cr_expect(end.frames[i].exact == (i == 0 || interrupted), "frame %zu, %s", i, end.frames[i].function);
        cr_expect(!interrupted || end.frames[i].function_offset == 0);
    }
    harness_close(harness);
}

Test(crash, by_stack_overflow_is_called_so_on_every_thread)
{
    static const char *const functions[] = {"descend", "thread_descend"};
    struct harness *harness = open_with_crashes();
    for (size_t i = 0; i < 2; i++) {
        struct harness_end end = harness_call(harness, functions[i], 1).end;
        cr_expect(end.signal == SIGSEGV && end.record, "%s: signal %d", functions[i], end.signal);
        cr_expect(end.stack_overflow, "%s", functions[i]);
        cr_expect(end.frame_count > 100 && strcmp(end.frames[0].function, "descend") == 0, "%s: %zu frames in %s",
                  functions[i], end.frame_count, end.frames[0].function);
        expect_pristine(harness, functions[i]);
    }
    harness_close(harness);
}

Test(crash, with_the_stack_pointer_lost_is_still_reported)
{
    struct harness *harness = open_with_crashes();
    struct harness_end end = harness_call(harness, "lose_stack", 0).end;
    cr_expect((end.signal == SIGSEGV || end.signal == SIGBUS) && end.record, "signal %d", end.signal);
    cr_expect(end.frame_count >= 1 && strcmp(end.frames[0].function, "lose_stack") == 0);
    expect_pristine(harness, "lose_stack");
    harness_close(harness);
}

Test(crash, of_code_that_removed_the_handler_is_told_by_the_kernel_alone)
{
    struct harness *harness = open_with_crashes();
    struct harness_end end = harness_call(harness, "without_handler", 16).end;
    cr_expect(end.signal == SIGSEGV && !end.record && end.frame_count == 0);
    expect_pristine(harness, "without_handler");
    harness_close(harness);
}

Test(crash, by_exit_ends_the_call_with_the_status)
{
    static const char *const functions[] = {"leave", "leave_at_once"};
    struct harness *harness = open_with_crashes();
    for (int i = 0; i < 2; i++) {
        struct harness_call call = harness_call(harness, functions[i], 3 + i);
        cr_assert(call.ended, "%s: %s", functions[i], call.text);
        cr_expect(call.end.exited && call.end.exit_status == 3 + i, "%s: %d", functions[i], call.end.exit_status);
        expect_pristine(harness, functions[i]);
    }
    harness_close(harness);
}

Test(crash, takes_the_heap_along)
{
    enum { MEGABYTES = 40 };
    struct harness *harness = open_with_crashes();
    harness_value(harness, "fill_heap", MEGABYTES << 20);
    cr_expect(harness_status(harness_process(harness, HARNESS_RUNNER), "VmRSS") > MEGABYTES * 1024);
    cr_expect(harness_call(harness, "store", 16).ended);
    expect_pristine(harness, "a crash with a full heap");
    cr_expect(harness_status(harness_process(harness, HARNESS_RUNNER), "VmRSS") < MEGABYTES * 1024 / 2);
    harness_close(harness);
}

Test(crash, of_another_thread_ends_the_call_with_that_thread_s_frames)
{
    struct harness *harness = open_with_crashes();
    struct harness_end end = harness_call(harness, "thread_store", 4096).end;
    cr_expect(end.signal == SIGSEGV && end.fault_address == 4096);
    cr_expect(end.frame_count >= 1 && strcmp(end.frames[0].function, "in_thread") == 0);
    cr_expect(!has_frame(&end, "crashes.o", "thread_store"), "the frames are another thread's");
    expect_pristine(harness, "thread_store");
    harness_close(harness);
}

Test(crash, while_no_call_is_under_way_is_an_event)
{
    struct harness *harness = open_with_crashes();
    cr_expect(harness_value(harness, "store_later", 4096) == 0);
    harness_dispatch_until(harness, &harness->runner_ends, 1);
    cr_expect(harness->last_end.signal == SIGSEGV && harness->last_end.fault_address == 4096);
    cr_expect(strcmp(harness->last_end.frames[0].function, "in_thread_later") == 0);
    expect_pristine(harness, "store_later");
    harness_close(harness);
}

Test(crash, inside_a_callback_of_libc_shows_the_frames_of_both_units)
{
    struct harness *harness = harness_open(NULL);
    harness_add_c(harness, "order.o",
                  "long order(const long *a, const long *b) { return *(volatile long *)8 = *a < *b; }");
    harness_add_c(harness, "sort.o",
                  "#include <stdlib.h>\nextern int order(const void *, const void *);\n"
                  "long sort(long n) { long list[3] = {3, n, 1}; qsort(list, 3, 8, order); return list[0] + 1; }");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    struct harness_end end = harness_call(harness, "sort", 2).end;
    cr_expect(end.signal == SIGSEGV && end.fault_address == 8);
    cr_expect(has_frame(&end, "order.o", "order") && has_frame(&end, "sort.o", "sort"));
    cr_expect(end.frame_count >= 3 && strcmp(end.frames[0].function, "order") == 0);
    const char *between = end.frames[1].unit; /* a sanitizer puts its own qsort before libc's */
    cr_expect(strstr(between, "libc") || strstr(between, "libasan"), "between them is %s", between);
    harness_close(harness);
}

Test(crash, fifty_times_in_a_row_changes_no_address)
{
    struct harness *harness = open_with_crashes();
    uint64_t store = harness_address(harness, "store");
    for (int i = 1; i <= 50; i++) {
        struct harness_end end = harness_call(harness, "store", 16).end;
        cr_assert(end.signal == SIGSEGV && end.epoch == (uint64_t)i && end.frame_count > 0, "crash %d", i);
        cr_assert(end.frames[0].pc - end.frames[0].function_offset == store, "crash %d", i);
        cr_assert(harness_value(harness, "bump", i) == 7 + i, "crash %d", i);
    }
    cr_expect(harness->runner_ends == 50);
    harness_close(harness);
}

Test(crash, leaves_calls_that_were_waiting_to_the_next_life)
{
    struct harness *harness = open_with_crashes();
    struct harness_call first, second, third;
    harness_call_begin(harness, "bump", 1, &first);
    harness_call_begin(harness, "store", 16, &second);
    harness_wait(harness, harness_call_begin(harness, "bump", 2, &third));
    cr_expect(first.returned && first.value == 8);
    cr_expect(second.ended && second.end.signal == SIGSEGV);
    cr_expect(third.returned && third.value == 9, "it runs in the new life, where the counter begins at 7");
    harness_close(harness);
}

Test(crash, by_a_kill_from_outside_is_survived_between_calls)
{
    struct harness *harness = open_with_crashes();
    harness_value(harness, "bump", 1);
    kill(harness_process(harness, HARNESS_RUNNER), SIGKILL);
    harness_dispatch_until(harness, &harness->runner_ends, 1);
    cr_expect(harness->last_end.signal == SIGKILL && !harness->last_end.record);
    expect_pristine(harness, "kill -9");
    harness_close(harness);
}

Test(crash, by_a_kill_from_outside_ends_the_call_under_way)
{
    struct harness *harness = open_with_crashes();
    struct harness_call call;
    pid_t runner = harness_process(harness, HARNESS_RUNNER);
    jitd_request request = harness_call_begin(harness, "spin", 0, &call);
    harness_await_output(harness, "spinning");
    kill(runner, SIGKILL);
    harness_wait(harness, request);
    cr_expect(call.ended && call.end.signal == SIGKILL && !call.end.record);
    expect_pristine(harness, "kill -9");
    harness_close(harness);
}
