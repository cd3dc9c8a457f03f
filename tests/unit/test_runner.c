/*
 * jitd-runner alone: the test plays supervisor and linker, with hand-made machine code in zone X.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/error.h"
#include "proto/message.h"
#include "proto/process_symbols.h"
#include "tests/unit/runner_fixture.h"

/* Waits until there is a standby other than `former`, and it sleeps: it is prepared. */
static void await_standby(const struct runner_fixture *runner, pid_t former, pid_t lives[LIVES])
{
    char path[64], state = '\0';
    for (int tries = 0; tries < 2000 && state != 'S'; tries++, usleep(1000)) {
        if (runner_fixture_find_lives(runner, lives) != LIVES || lives[1] == former)
            continue;
        snprintf(path, sizeof path, "/proc/%d/stat", lives[1]);
        FILE *file = fopen(path, "r");
        cr_assert(file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
        fclose(file);
    }
    cr_assert(state == 'S', "no standby");
}

Test(runner, refuses_a_zone_that_is_not_sealed)
{
    static const char *const stages[ZONE_FDS] = {"map zone X", "map zone S", "map zone R", "map zone D"};
    for (int zone = 0; zone < ZONE_FDS; zone++) {
        struct runner_fixture runner =
            runner_fixture_start((struct runner_fixture_setting){.unsealed = zone, .working_directory = ""});
        struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_FAILED);
        cr_expect(strncmp(word.stage, stages[zone], strlen(stages[zone])) == 0, "%s", word.stage);
        close(runner.lifecycle);
        waitpid(runner.process, NULL, 0);
    }
}

Test(runner, names_a_working_directory_that_is_not_there)
{
    struct runner_fixture runner =
        runner_fixture_start((struct runner_fixture_setting){.unsealed = -1, .working_directory = "/not/there"});
    struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_FAILED);
    cr_expect(word.value == ENOENT);
    cr_expect_str_eq(word.stage, "change to the working directory");
    close(runner.lifecycle);
    waitpid(runner.process, NULL, 0);
}

Test(runner, refuses_more_strings_than_it_was_started_with)
{
    struct runner_fixture runner = runner_fixture_start(
        (struct runner_fixture_setting){.unsealed = -1, .working_directory = "", .few_strings = true});
    struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_FAILED);
    cr_expect(strstr(word.stage, "more arguments or environment"), "%s", word.stage);
    close(runner.lifecycle);
    waitpid(runner.process, NULL, 0);
}

Test(runner, places_the_arena_within_reach_of_the_libraries)
{
    struct runner_fixture runner =
        runner_fixture_start((struct runner_fixture_setting){.unsealed = -1, .working_directory = ""});
    struct lifecycle ready = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_READY);
    cr_expect(ready.arena_base % MIB(2) == 0);
    /* Below them; above them where mappings grow upwards (vm.legacy_va_layout). */
    uint64_t end = ready.arena_base + ARENA_BYTES;
    cr_expect(ready.span_low >= end || ready.arena_base >= ready.span_high);
    cr_expect(max_u64(ready.span_high, end) - min_u64(ready.span_low, ready.arena_base) <= ARENA_REACH);
    cr_expect(ready.zero_bytes == ZONE_Z_BYTES);
    runner_fixture_close(&runner);
}

Test(runner, takes_from_zone_z_what_the_libraries_need)
{
    struct runner_fixture_setting setting = {
        .unsealed = -1, .working_directory = "", .sizes = ZONE_SIZES, .least_zeros = MIB(2)};
    setting.sizes.bytes[ZONE_Z] = ARENA_REACH - ZONE_Z_OFFSET;
    struct runner_fixture runner = runner_fixture_start(setting);
    struct lifecycle ready = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_READY);
    cr_expect(ready.zero_bytes < ARENA_REACH - ZONE_Z_OFFSET && ready.zero_bytes % MIB(2) == 0);
    uint64_t end = ready.arena_base + ZONE_Z_OFFSET + ready.zero_bytes;
    uint64_t span = max_u64(ready.span_high, end) - min_u64(ready.span_low, ready.arena_base);
    cr_expect(span <= ARENA_REACH && span > ARENA_REACH - MIB(2), "no more than they need");
    cr_expect(ready.span_low >= end || ready.arena_base >= ready.span_high);
    runner.base = ready.arena_base;
    runner_fixture_begin_epoch(&runner);
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    uint64_t last = runner.base + ZONE_Z_OFFSET + ready.zero_bytes - 8;
    const struct channel_record open = {.kind = CHANNEL_ZERO, .a = ready.zero_bytes - 8, .b = 8};
    cr_expect(runner_fixture_perform(&runner, open).status == 0);
    cr_expect(runner_fixture_perform(&runner, runner_fixture_call(&runner, load, last)).status == 0);
    runner_fixture_close(&runner);
}

Test(runner, refuses_zones_that_do_not_reach_the_libraries)
{
    struct runner_fixture_setting setting = {.unsealed = -1, .working_directory = "", .sizes = ZONE_SIZES};
    setting.sizes.bytes[ZONE_Z] = setting.least_zeros = ARENA_REACH - ZONE_Z_OFFSET;
    struct runner_fixture runner = runner_fixture_start(setting);
    struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_FAILED);
    cr_expect(strstr(word.stage, "zones of 2032 MiB and libraries of ") && strstr(word.stage, "ask for smaller zones"),
              "%s", word.stage);
    close(runner.lifecycle);
    waitpid(runner.process, NULL, 0);
}

Test(runner, calls_functions_on_both_queues)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t identity = ADD_CODE(&runner, 0x48, 0x8d, 0x47, 0x01, 0xc3); /* lea 1(%rdi), %rax; ret */
    struct channel_record reply = runner_fixture_perform(&runner, runner_fixture_call(&runner, identity, 41));
    cr_expect(reply.kind == CHANNEL_CALL && reply.status == 0 && reply.id == 7 && reply.a == 42);
    runner_fixture_send(&runner.channel->agent, runner_fixture_call(&runner, identity, 1));
    cr_expect(runner_fixture_take_reply(&runner).a == 2);
    runner_fixture_close(&runner);
}

Test(runner, widens_results_as_their_type_says)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t minus_one = ADD_CODE(&runner, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xc3); /* mov $-1, %eax; ret */
    struct channel_record request = runner_fixture_call(&runner, minus_one, 0);
    request.b = JITD__PROTO__VALUE_TYPE__INT32;
    cr_expect(runner_fixture_perform(&runner, request).a == UINT64_MAX);
    request.b = JITD__PROTO__VALUE_TYPE__UINT32;
    cr_expect(runner_fixture_perform(&runner, request).a == UINT32_MAX);
    request.b = JITD__PROTO__VALUE_TYPE__VOID;
    cr_expect(runner_fixture_perform(&runner, request).a == 0);
    runner_fixture_close(&runner);
}

Test(runner, answers_a_request_that_makes_no_sense)
{
    struct runner_fixture runner = runner_fixture_open();
    const struct channel_record senseless[] = {
        {.kind = 0},
        {.kind = 99},
        {.kind = CHANNEL_COPY_DATA, .a = ZONE_D_BYTES, .b = 1},
        {.kind = CHANNEL_COPY_DATA, .a = 1, .b = UINT64_MAX},
        {.kind = CHANNEL_INITIALISE, .a = runner.base, .b = 1},
        {.kind = CHANNEL_FINALISERS, .a = runner.base + ZONE_R_OFFSET, .b = UINT64_MAX / 8},
        {.kind = CHANNEL_CALL, .a = 0, .b = 99},
        {.kind = CHANNEL_ACTIONS, .a = runner.base, .b = 1},
        {.kind = CHANNEL_ACTIONS, .a = runner.base + ZONE_R_OFFSET, .b = ZONE_R_BYTES / 48 + 1},
        {.kind = CHANNEL_UNDO_ACTIONS, .a = runner.base + ZONE_R_OFFSET + 4, .b = 1},
        {.kind = CHANNEL_RESUME},
        {.kind = CHANNEL_LAZY},
        {.kind = CHANNEL_CALL, .a = 0, .c = LIMIT_CALL_ARGUMENTS + 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(senseless); i++)
        cr_expect(runner_fixture_perform(&runner, senseless[i]).status == ERROR_INVALID, "request %zu", i);
    runner_fixture_close(&runner);
}

Test(runner, copies_data_of_later_units_into_pages_already_written)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t store = ADD_CODE(&runner, 0x48, 0x89, 0x3f, 0xc3); /* mov %rdi, (%rdi); ret */
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3);  /* mov (%rdi), %rax; ret */
    uint64_t written = runner.base + ZONE_D_OFFSET + 64, later = written + 64;
    runner_fixture_perform(&runner, runner_fixture_call(&runner, store, written));
    store_le64(runner.zones[ZONE_D] + 128, 4243);
    cr_expect(runner_fixture_perform(&runner, runner_fixture_call(&runner, load, later)).a == 0);
    cr_expect(
        runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_COPY_DATA, .a = 128, .b = 8}).status ==
        0);
    cr_expect(runner_fixture_perform(&runner, runner_fixture_call(&runner, load, later)).a == 4243);
    cr_expect(runner_fixture_perform(&runner, runner_fixture_call(&runner, load, written)).a == written);
    runner_fixture_close(&runner);
}

/* ---- actions ---- */

/* An action that appends its one byte of argument to the word at zone Z's beginning and returns what the byte's upper
   half is. */
static uint64_t add_noting_action(struct runner_fixture *runner)
{
    uint8_t code[] = {
        0x48, 0xb8, 0,    0,    0,    0,    0,    0,   0, 0, /* mov $word, %rax */
        0x0f, 0xb6, 0x0f, 0x48, 0xc1, 0x20, 0x08,            /* movzbl (%rdi), %ecx; shlq $8, (%rax) */
        0x08, 0x08, 0x89, 0xc8, 0xc1, 0xe8, 0x04, 0xc3};     /* or %cl, (%rax); mov %ecx, %eax; shr $4, %eax */
    store_le64(code + 2, runner->base + ZONE_Z_OFFSET);
    return runner_fixture_add_code(runner, code, sizeof code);
}

/* Actions at `offset` of zone R that note the bytes of `publish` and then, when they are undone, those of `remove`.
   Returns their address. */
static uint64_t add_actions(struct runner_fixture *runner, uint64_t offset, uint64_t function, const char *publish,
                            const char *remove)
{
    uint64_t at = GRANULE_MAP_BYTES + offset;
    for (size_t i = 0; publish[i]; i++) {
        uint64_t argument = at + 2048 + i * 2, base = runner->base + ZONE_R_OFFSET;
        const struct channel_action action = {{function, base + argument, 1}, {function, base + argument + 1, 1}};
        memcpy(runner->zones[ZONE_R] + argument, (char[]){publish[i], remove[i]}, 2);
        memcpy(runner->zones[ZONE_R] + at + i * sizeof action, &action, sizeof action);
    }
    return runner->base + ZONE_R_OFFSET + at;
}

/* What has been noted, the latest in the lowest byte. */
static uint64_t noted(struct runner_fixture *runner)
{
    uint64_t load = ADD_CODE(runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    return runner_fixture_perform(runner, runner_fixture_call(runner, load, runner->base + ZONE_Z_OFFSET)).a;
}

Test(runner, makes_actions_in_order_and_undoes_them_in_reverse_once)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t array = add_actions(&runner, 0, add_noting_action(&runner), "\1\2\3", "\4\5\6");
    const struct channel_record publish = {.kind = CHANNEL_ACTIONS, .a = array, .b = 3, .c = 1};
    const struct channel_record undo = {.kind = CHANNEL_UNDO_ACTIONS, .a = array, .b = 3};
    struct channel_record reply = runner_fixture_perform(&runner, publish);
    cr_expect(reply.status == 0 && reply.a == 0);
    cr_expect_eq(noted(&runner), 0x010203);
    cr_expect(runner_fixture_perform(&runner, undo).a == 0);
    cr_expect_eq(noted(&runner), 0x010203060504);
    runner_fixture_perform(&runner, undo);
    cr_expect_eq(noted(&runner), 0x010203060504);
    runner_fixture_close(&runner);
}

Test(runner, undoes_a_publication_whose_action_fails_and_passes_over_what_follows)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t note = add_noting_action(&runner);
    uint64_t other = add_actions(&runner, 0, note, "\1", "\2");
    uint64_t first = add_actions(&runner, 4096, note, "\3", "\4");
    uint64_t failing = add_actions(&runner, 8192, note, "\5\x76\7", "\x18\7\7");
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_ACTIONS, .a = other, .b = 1, .c = 8});
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_ACTIONS, .a = first, .b = 1, .c = 9});
    struct channel_record reply =
        runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_ACTIONS, .a = failing, .b = 3, .c = 9});
    cr_expect(reply.status == 0 && reply.a == 2 && reply.b == 7 && reply.c == 1,
              "action %d returned %d, %d undone badly", (int)reply.a, (int)reply.b, (int)reply.c);
    cr_expect_eq(noted(&runner), 0x010305761804);
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_ACTIONS, .a = first, .b = 1, .c = 9});
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_INITIALISE, .a = first, .b = 1, .c = 9});
    cr_expect_eq(noted(&runner), 0x010305761804, "the rest of the publication is passed over");
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_ACTIONS, .a = first, .b = 1, .c = 10});
    cr_expect_eq(noted(&runner), 0x01030576180403, "and the next is not");
    runner_fixture_close(&runner);
}

Test(runner, says_which_removal_action_failed_first_and_how_many_did)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t array = add_actions(&runner, 0, add_noting_action(&runner), "\1\2\3", "\x54\x65\6");
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_ACTIONS, .a = array, .b = 3, .c = 1});
    struct channel_record reply =
        runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_UNDO_ACTIONS, .a = array, .b = 3});
    cr_expect(reply.a == 2 && reply.b == 6 && reply.c == 2);
    cr_expect_eq(noted(&runner), 0x010203066554, "all are made all the same");
    runner_fixture_close(&runner);
}

Test(runner, ends_a_life_in_which_an_action_does_not_go_well_again)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t array = add_actions(&runner, 0, add_noting_action(&runner), "\1\x32", "\1\1");
    struct channel_record reply =
        runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_ACTIONS, .a = array, .b = 2});
    cr_expect(reply.status == 0 && reply.a == 2 && reply.b == 3 && reply.c == 0);
    struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == SIGABRT, "status %#x", (unsigned)word.value);
    runner_fixture_close(&runner);
}

Test(runner, ends_with_what_main_returns)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t program = ADD_CODE(&runner, 0x8d, 0x47, 0x05, 0xc3); /* lea 5(%rdi), %eax; ret: argc + 5 */
    runner_fixture_send(&runner.channel->main, (struct channel_record){.kind = CHANNEL_MAIN, .a = program});
    struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFEXITED(word.value) && WEXITSTATUS(word.value) == 7, "status %#x", (unsigned)word.value);
    runner_fixture_close(&runner);
}

/* Finalisers that end the process with a status of their own show which one ran first. */
Test(runner, runs_the_last_finaliser_of_the_last_array_first)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t program = ADD_CODE(&runner, 0x31, 0xc0, 0xc3); /* xor %eax, %eax; ret */
    for (uint8_t i = 0; i < 4; i++) {
        /* mov $231, %eax; mov $i, %edi; syscall: exit_group(i) */
        uint64_t end = ADD_CODE(&runner, 0xb8, 231, 0, 0, 0, 0xbf, i, 0, 0, 0, 0x0f, 0x05);
        store_le64(runner.zones[ZONE_R] + GRANULE_MAP_BYTES + (uint64_t)i * 8, end);
    }
    uint64_t array = runner.base + ZONE_R_OFFSET + GRANULE_MAP_BYTES;
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_FINALISERS, .a = array, .b = 2});
    runner_fixture_perform(&runner, (struct channel_record){.kind = CHANNEL_FINALISERS, .a = array + 16, .b = 2});
    runner_fixture_send(&runner.channel->main, (struct channel_record){.kind = CHANNEL_MAIN, .a = program});
    struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFEXITED(word.value) && WEXITSTATUS(word.value) == 3, "status %#x", (unsigned)word.value);
    runner_fixture_close(&runner);
}

Test(runner, records_a_crash_and_lives_on)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    const struct channel_crash *crash =
        runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
    cr_expect(crash->address == 4711 && crash->frames[0] == load && crash->registers[16] == load);
    cr_expect(!crash->stack_overflow);
    runner_fixture_begin_epoch(&runner);
    uint64_t word = 42;
    memcpy(runner.zones[ZONE_R] + GRANULE_MAP_BYTES, &word, sizeof word);
    cr_expect(runner_fixture_perform(
                  &runner, runner_fixture_call(&runner, load, runner.base + ZONE_R_OFFSET + GRANULE_MAP_BYTES))
                  .a == 42);
    runner_fixture_close(&runner);
}

Test(runner, names_the_caller_of_what_is_no_code)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t call = ADD_CODE(&runner, 0x50, 0xff, 0xd7, 0x58, 0xc3); /* push %rax; call *%rdi; pop %rax; ret */
    const struct channel_crash *crash =
        runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, call, 0), SIGSEGV);
    cr_expect(crash->frame_count >= 2 && crash->frames[0] == 0 && crash->frames[1] == call + 3);
    runner_fixture_close(&runner);
}

Test(runner, tells_a_stack_overflow_from_other_faults)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t endless = ADD_CODE(&runner, 0xe8, 0xfb, 0xff, 0xff, 0xff); /* call itself */
    cr_expect(runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, endless, 0), SIGSEGV)->stack_overflow);
    runner_fixture_begin_epoch(&runner);
    runner_fixture_send(&runner.channel->agent, runner_fixture_call(&runner, endless, 0));
    cr_expect(WTERMSIG(runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED).value) == SIGSEGV);
    cr_expect(runner.channel->crash.stack_overflow);
    runner_fixture_close(&runner);
}

/* Looks at every dynamic symbol, as a linker that has no use for hash tables would. */
Test(runner, hands_over_the_symbols_of_its_libraries)
{
    struct runner_fixture runner =
        runner_fixture_start((struct runner_fixture_setting){.unsealed = -1, .working_directory = ""});
    struct lifecycle ready = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_READY);
    const unsigned char *file = runner_fixture_map(runner.symbols, ready.symbol_bytes);
    const struct process_symbols_header *header = (const void *)file;
    const struct process_library *libraries = (const void *)(header + 1);
    size_t found = 0;
    cr_assert(header->magic == PROCESS_SYMBOLS_MAGIC && header->count >= 4);
    for (size_t i = 0; i < header->count; i++) {
        const struct process_library *library = &libraries[i];
        cr_assert(range_within(library->symbols, library->symbol_count * sizeof(Elf64_Sym), ready.symbol_bytes));
        cr_assert(range_within(library->strings, library->strings_bytes, ready.symbol_bytes));
        const Elf64_Sym *symbols = (const void *)(file + library->symbols);
        for (uint64_t j = 0; j < library->symbol_count; j++) {
            const char *name = (const char *)file + library->strings + symbols[j].st_name;
            cr_expect(symbols[j].st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbols[j].st_info) != STT_GNU_IFUNC, "%s",
                      name);
            found += symbols[j].st_shndx != SHN_UNDEF &&
                     (strcmp(name, "strlen") == 0 || strcmp(name, "sin") == 0 || strcmp(name, "_dl_find_object") == 0);
        }
    }
    cr_expect(found >= 4, "strlen, sin and two of _dl_find_object: %zu", found);
    runner_fixture_close(&runner);
}

Test(runner, has_the_next_life_standing_by_before_the_former_ends)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    pid_t lives[LIVES], standby;
    await_standby(&runner, 0, lives);
    standby = lives[1];
    runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
    cr_expect(runner_fixture_find_lives(&runner, lives) >= 1 && lives[0] == standby);
    runner_fixture_begin_epoch(&runner);
    runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
    runner_fixture_close(&runner);
}

Test(runner, has_no_standby_where_the_program_may_fork)
{
    struct runner_fixture runner = runner_fixture_open_as(JITD__PROTO__PROFILE__TRUSTED);
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    pid_t lives[LIVES];
    usleep(50000);
    cr_expect(runner_fixture_find_lives(&runner, lives) == 1);
    runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
    runner_fixture_begin_epoch(&runner);
    runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
    runner_fixture_close(&runner);
}

Test(runner, replaces_a_standby_that_is_killed)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    pid_t lives[LIVES], killed = 0;
    for (int i = 0; i < 10; i++, killed = lives[1]) {
        await_standby(&runner, killed, lives);
        kill(lives[1], i % 2 == 0 ? SIGKILL : SIGSEGV);
    }
    await_standby(&runner, killed, lives);
    cr_expect(runner_fixture_is_silent(runner.lifecycle, 0), "the linker is told of a standby");
    cr_expect(runner.channel->crash.state == CRASH_NONE, "a standby takes the crash record");
    runner_fixture_perform(&runner, runner_fixture_call(&runner, load, runner.base + ZONE_R_OFFSET));
    runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
    runner_fixture_begin_epoch(&runner);
    cr_expect(runner_fixture_find_lives(&runner, lives) >= 1 && lives[0] != killed);
    runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
    runner_fixture_close(&runner);
}

Test(runner, keeps_its_standby_when_the_terminal_ends_the_program)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t identity = ADD_CODE(&runner, 0x48, 0x8d, 0x47, 0x01, 0xc3); /* lea 1(%rdi), %rax; ret */
    pid_t lives[LIVES], standby;
    await_standby(&runner, 0, lives);
    standby = lives[1];
    kill(standby, SIGINT);
    runner_fixture_perform(
        &runner, runner_fixture_call(&runner, identity, 1)); /* its life has begun: before that it ignores the signal */
    kill(lives[0], SIGINT);
    struct lifecycle word = runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == SIGINT);
    runner_fixture_begin_epoch(&runner);
    cr_expect(runner_fixture_find_lives(&runner, lives) >= 1 && lives[0] == standby);
    runner_fixture_perform(&runner, runner_fixture_call(&runner, identity, 1));
    kill(standby, SIGINT);
    word = runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == SIGINT, "it ignores the signal in its own life");
    runner_fixture_close(&runner);
}

/* The test writes what hostile code could: an epoch, and a request, which whoever serves the queue would answer. */
Test(runner, begins_no_life_by_a_forged_epoch)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t identity = ADD_CODE(&runner, 0x48, 0x8d, 0x47, 0x01, 0xc3); /* lea 1(%rdi), %rax; ret */
    uint64_t endless = ADD_CODE(&runner, 0xeb, 0xfe);                    /* jmp to itself */
    pid_t lives[LIVES];
    await_standby(&runner, 0, lives);
    runner_fixture_send(&runner.channel->main, runner_fixture_call(&runner, endless, 0));
    while (runner.channel->main.tail != 1)
        usleep(100);
    runner.channel->epoch = 2;
    syscall(SYS_futex, &runner.channel->epoch, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    runner_fixture_send(&runner.channel->main, runner_fixture_call(&runner, identity, 41));
    cr_expect(runner_fixture_is_silent(runner.wake, 100), "the standby begins while its predecessor lives");

    kill(lives[0], SIGKILL);
    runner_fixture_expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(runner_fixture_is_silent(runner.wake, 100), "what a dead life wrote begins the next");
    runner_fixture_begin_epoch(&runner);
    cr_expect(runner_fixture_perform(&runner, runner_fixture_call(&runner, identity, 41)).a == 42);
    runner_fixture_close(&runner);
}

/* Those of even number find no standby, or one that is not ready. */
Test(runner, lives_at_the_same_addresses_after_many_crashes)
{
    struct runner_fixture runner = runner_fixture_open();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3);  /* mov (%rdi), %rax; ret */
    uint64_t store = ADD_CODE(&runner, 0x48, 0x89, 0x3f, 0xc3); /* mov %rdi, (%rdi); ret */
    uint64_t data = runner.base + ZONE_D_OFFSET + 64, zeros = runner.base + ZONE_Z_OFFSET + 64;
    pid_t lives[LIVES];
    for (int i = 0; i < 200; i++) {
        store_le64(runner.zones[ZONE_D] + 64, (uint64_t)i); /* after the standby was forked: it must see it */
        cr_assert(runner_fixture_perform(&runner, runner_fixture_call(&runner, load, data)).a == (uint64_t)i);
        cr_assert(runner_fixture_perform(&runner, runner_fixture_call(&runner, load, zeros)).a == 0);
        runner_fixture_perform(&runner, runner_fixture_call(&runner, store, data));
        runner_fixture_perform(&runner, runner_fixture_call(&runner, store, zeros));
        if (i % 2 == 1)
            await_standby(&runner, 0, lives);
        const struct channel_crash *crash =
            runner_fixture_expect_crash(&runner, runner_fixture_call(&runner, load, 4711), SIGSEGV);
        cr_assert(crash->frames[0] == load && crash->address == 4711);
        runner_fixture_begin_epoch(&runner);
    }
    runner_fixture_close(&runner);
}
