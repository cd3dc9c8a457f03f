/*
 * jitd-runner alone: the test plays supervisor and linker, with hand-made machine code in zone X.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/error.h"
#include "proto/channel.h"
#include "proto/control.h"
#include "proto/message.h"
#include "proto/process_symbols.h"

#define SEALS     (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)
#define ZONE_FDS  (FD_INHERITED_END - FD_ZONE_X)
#define TEMPORARY 100 /* descriptors are moved above this, then down to their places */

/* What the test can break. */
struct setting {
    int unsealed; /* zone whose memfd is left unsealed, or -1 */
    const char *working_directory;
    uint32_t profile; /* 0: default */
};

struct runner {
    pid_t process;
    int lifecycle, wake, symbols;
    unsigned char *zones[ZONE_FDS];
    struct channel *channel;
    uint64_t base;
    uint32_t epoch;
    uint64_t next_code; /* offset in zone X */
};

static const uint64_t zone_bytes[ZONE_FDS] = {ZONE_X_BYTES, ZONE_S_BYTES, ZONE_R_BYTES, ZONE_D_BYTES};

static int make_memfd(const char *name, uint64_t bytes)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    return fd;
}

static void *map(int fd, uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert(memory != MAP_FAILED);
    return memory;
}

static void write_startup(struct channel_startup *startup, const struct setting *setting)
{
    char *at = startup->bytes;
    for (const char *const *string =
             (const char *const[]){"program", "argument", "A=B", setting->working_directory, NULL};
         *string; string++)
        at = stpcpy(at, *string) + 1;
    startup->profile = setting->profile;
    startup->argument_count = 2;
    startup->environment_count = 1;
    startup->used = (uint32_t)(at - startup->bytes);
}

/* In the child: `fds` become FD_LIFECYCLE and those that follow. */
static void execute(const int fds[FD_INHERITED_END])
{
    char path[512];
    const char *build = getenv("O");
    int moved[FD_INHERITED_END];
    snprintf(path, sizeof path, "%s/bin/jitd-runner", build != NULL ? build : "build");
    for (int i = FD_LIFECYCLE; i < FD_INHERITED_END; i++)
        moved[i] = fcntl(fds[i], F_DUPFD, TEMPORARY);
    for (int i = FD_LIFECYCLE; i < FD_INHERITED_END; i++)
        dup2(moved[i], i);
    close_range(FD_INHERITED_END, ~0u, 0);
    execle(path, "jitd-runner", "0", "0", (char *)NULL, (char *[]){NULL});
    _exit(127);
}

static struct runner start(struct setting setting)
{
    struct runner runner = {.next_code = 64};
    int pair[2], fds[FD_INHERITED_END] = {0};
    cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    runner.lifecycle = pair[0];
    runner.wake = eventfd(0, EFD_CLOEXEC);
    runner.symbols = make_memfd("symbols", 0);
    fds[FD_LIFECYCLE] = pair[1];
    fds[FD_WAKE] = runner.wake;
    fds[FD_SYMBOLS] = runner.symbols;
    fds[FD_CHANNEL] = make_memfd("channel", sizeof(struct channel));
    runner.channel = map(fds[FD_CHANNEL], sizeof(struct channel));
    write_startup(&runner.channel->startup, &setting);
    for (int i = 0; i < ZONE_FDS; i++) {
        fds[FD_ZONE_X + i] = make_memfd("zone", zone_bytes[i]);
        runner.zones[i] = map(fds[FD_ZONE_X + i], zone_bytes[i]);
        if (i != setting.unsealed)
            cr_assert(fcntl(fds[FD_ZONE_X + i], F_ADD_SEALS, SEALS) == 0);
    }
    runner.process = fork();
    if (runner.process == 0)
        execute(fds);
    for (int i = FD_CHANNEL; i < FD_INHERITED_END; i++)
        if (i != FD_SYMBOLS)
            close(fds[i]);
    close(pair[1]);
    return runner;
}

static struct lifecycle next_word(struct runner *runner)
{
    struct lifecycle word = {0};
    cr_assert(recv(runner->lifecycle, &word, sizeof word, 0) == (ssize_t)sizeof word, "the template says nothing");
    return word;
}

static struct lifecycle expect_word(struct runner *runner, enum lifecycle_kind kind)
{
    struct lifecycle word = next_word(runner);
    cr_assert(word.kind == kind, "lifecycle word %u (%s) instead of %u", word.kind, word.stage, kind);
    return word;
}

static void begin_epoch(struct runner *runner)
{
    cr_assert(expect_word(runner, LIFECYCLE_RUNNER_STARTED).epoch == ++runner->epoch);
    struct channel *channel = runner->channel;
    struct channel_queue *queues[] = {&channel->main, &channel->agent, &channel->replies};
    for (size_t i = 0; i < ARRAY_LENGTH(queues); i++)
        queues[i]->head = queues[i]->tail = 0;
    channel->crash.state = CRASH_NONE;
    channel->epoch = runner->epoch;
    syscall(SYS_futex, &channel->epoch, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static struct runner start_ready_as(uint32_t profile)
{
    struct runner runner = start((struct setting){.unsealed = -1, .working_directory = "/", .profile = profile});
    runner.base = expect_word(&runner, LIFECYCLE_TEMPLATE_READY).arena_base;
    begin_epoch(&runner);
    return runner;
}

static struct runner start_ready(void)
{
    return start_ready_as(JITD__PROTO__PROFILE__DEFAULT);
}

/* Ends the template as a linker that goes does, and expects it to notice. */
static void finish(struct runner *runner)
{
    int status;
    close(runner->lifecycle);
    cr_expect(waitpid(runner->process, &status, 0) == runner->process && status == 0, "template status %#x", status);
}

static uint64_t add_code(struct runner *runner, const void *code, size_t bytes)
{
    uint64_t offset = runner->next_code;
    memcpy(runner->zones[ZONE_X] + offset, code, bytes);
    runner->next_code += align_up(bytes, 64);
    return runner->base + offset;
}

#define ADD_CODE(runner, ...)                                                                                          \
    add_code(runner, (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__}))

static void send_request(struct channel_queue *queue, struct channel_record record)
{
    queue->records[queue->head % CHANNEL_QUEUE_RECORDS] = record;
    queue->head++;
    syscall(SYS_futex, &queue->head, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static struct channel_record take_reply(struct runner *runner)
{
    struct channel_queue *replies = &runner->channel->replies;
    while (replies->head == replies->tail) {
        uint64_t count;
        struct pollfd wake = {.fd = runner->wake, .events = POLLIN};
        cr_assert(poll(&wake, 1, 10000) == 1, "no reply");
        cr_assert(read(runner->wake, &count, sizeof count) == (ssize_t)sizeof count);
    }
    return replies->records[replies->tail++ % CHANNEL_QUEUE_RECORDS];
}

static struct channel_record perform(struct runner *runner, struct channel_record request)
{
    send_request(&runner->channel->main, request);
    return take_reply(runner);
}

/* A call with one pointer argument that returns 64 bits. */
static struct channel_record call_record(struct runner *runner, uint64_t address, uint64_t argument)
{
    runner->channel->call.types[0] = JITD__PROTO__VALUE_TYPE__POINTER;
    runner->channel->call.values[0] = argument;
    return (struct channel_record){
        .kind = CHANNEL_CALL, .id = 7, .a = address, .b = JITD__PROTO__VALUE_TYPE__UINT64, .c = 1};
}

static const struct channel_crash *expect_crash(struct runner *runner, struct channel_record request, int number)
{
    send_request(&runner->channel->main, request);
    struct lifecycle word = expect_word(runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == number, "status %#x", (unsigned)word.value);
    cr_expect(runner->channel->crash.state == CRASH_COMPLETE && runner->channel->crash.signal == number);
    return &runner->channel->crash;
}

#define LIVES 2 /* processes of the runner: the live one and the standby */

/* The template's children, oldest first. Returns how many. */
static size_t find_lives(const struct runner *runner, pid_t lives[LIVES])
{
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", runner->process, runner->process);
    FILE *file = fopen(path, "r");
    cr_assert(file != NULL);
    while (count < LIVES && fscanf(file, "%d", &lives[count]) == 1)
        count++;
    fclose(file);
    return count;
}

/* Waits until there is a standby other than `former`, and it sleeps: it is prepared. */
static void await_standby(const struct runner *runner, pid_t former, pid_t lives[LIVES])
{
    char path[64], state = '\0';
    for (int tries = 0; tries < 2000 && state != 'S'; tries++, usleep(1000)) {
        if (find_lives(runner, lives) != LIVES || lives[1] == former)
            continue;
        snprintf(path, sizeof path, "/proc/%d/stat", lives[1]);
        FILE *file = fopen(path, "r");
        cr_assert(file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
        fclose(file);
    }
    cr_assert(state == 'S', "no standby");
}

static bool is_silent(int fd, int milliseconds)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, milliseconds) == 0;
}

Test(runner, refuses_a_zone_that_is_not_sealed)
{
    static const char *const stages[ZONE_FDS] = {"map zone X", "map zone S", "map zone R", "map zone D"};
    for (int zone = 0; zone < ZONE_FDS; zone++) {
        struct runner runner = start((struct setting){.unsealed = zone, .working_directory = ""});
        struct lifecycle word = expect_word(&runner, LIFECYCLE_TEMPLATE_FAILED);
        cr_expect(strncmp(word.stage, stages[zone], strlen(stages[zone])) == 0, "%s", word.stage);
        close(runner.lifecycle);
        waitpid(runner.process, NULL, 0);
    }
}

Test(runner, names_a_working_directory_that_is_not_there)
{
    struct runner runner = start((struct setting){.unsealed = -1, .working_directory = "/not/there"});
    struct lifecycle word = expect_word(&runner, LIFECYCLE_TEMPLATE_FAILED);
    cr_expect(word.value == ENOENT);
    cr_expect_str_eq(word.stage, "change to the working directory");
    close(runner.lifecycle);
    waitpid(runner.process, NULL, 0);
}

Test(runner, places_the_arena_within_reach_of_the_libraries)
{
    struct runner runner = start((struct setting){.unsealed = -1, .working_directory = ""});
    struct lifecycle ready = expect_word(&runner, LIFECYCLE_TEMPLATE_READY);
    cr_expect(ready.arena_base % MIB(2) == 0);
    cr_expect(ready.span_low >= ready.arena_base + ARENA_BYTES);
    cr_expect(ready.span_high - ready.arena_base < MIB(2048));
    finish(&runner);
}

Test(runner, calls_functions_on_both_queues)
{
    struct runner runner = start_ready();
    uint64_t identity = ADD_CODE(&runner, 0x48, 0x8d, 0x47, 0x01, 0xc3); /* lea 1(%rdi), %rax; ret */
    struct channel_record reply = perform(&runner, call_record(&runner, identity, 41));
    cr_expect(reply.kind == CHANNEL_CALL && reply.status == 0 && reply.id == 7 && reply.a == 42);
    send_request(&runner.channel->agent, call_record(&runner, identity, 1));
    cr_expect(take_reply(&runner).a == 2);
    finish(&runner);
}

Test(runner, widens_results_as_their_type_says)
{
    struct runner runner = start_ready();
    uint64_t minus_one = ADD_CODE(&runner, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xc3); /* mov $-1, %eax; ret */
    struct channel_record request = call_record(&runner, minus_one, 0);
    request.b = JITD__PROTO__VALUE_TYPE__INT32;
    cr_expect(perform(&runner, request).a == UINT64_MAX);
    request.b = JITD__PROTO__VALUE_TYPE__UINT32;
    cr_expect(perform(&runner, request).a == UINT32_MAX);
    request.b = JITD__PROTO__VALUE_TYPE__VOID;
    cr_expect(perform(&runner, request).a == 0);
    finish(&runner);
}

Test(runner, answers_a_request_that_makes_no_sense)
{
    struct runner runner = start_ready();
    const struct channel_record senseless[] = {
        {.kind = 0},
        {.kind = 99},
        {.kind = CHANNEL_COPY_DATA, .a = ZONE_D_BYTES, .b = 1},
        {.kind = CHANNEL_COPY_DATA, .a = 1, .b = UINT64_MAX},
        {.kind = CHANNEL_INITIALISE, .a = runner.base, .b = 1},
        {.kind = CHANNEL_FINALISERS, .a = runner.base + ZONE_R_OFFSET, .b = UINT64_MAX / 8},
        {.kind = CHANNEL_CALL, .a = 0, .b = 99},
        {.kind = CHANNEL_CALL, .a = 0, .c = LIMIT_CALL_ARGUMENTS + 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(senseless); i++)
        cr_expect(perform(&runner, senseless[i]).status == ERROR_INVALID, "request %zu", i);
    finish(&runner);
}

Test(runner, copies_data_of_later_units_into_pages_already_written)
{
    struct runner runner = start_ready();
    uint64_t store = ADD_CODE(&runner, 0x48, 0x89, 0x3f, 0xc3); /* mov %rdi, (%rdi); ret */
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3);  /* mov (%rdi), %rax; ret */
    uint64_t written = runner.base + ZONE_D_OFFSET + 64, later = written + 64;
    perform(&runner, call_record(&runner, store, written));
    store_le64(runner.zones[ZONE_D] + 128, 4243);
    cr_expect(perform(&runner, call_record(&runner, load, later)).a == 0);
    cr_expect(perform(&runner, (struct channel_record){.kind = CHANNEL_COPY_DATA, .a = 128, .b = 8}).status == 0);
    cr_expect(perform(&runner, call_record(&runner, load, later)).a == 4243);
    cr_expect(perform(&runner, call_record(&runner, load, written)).a == written);
    finish(&runner);
}

Test(runner, ends_with_what_main_returns)
{
    struct runner runner = start_ready();
    uint64_t program = ADD_CODE(&runner, 0x8d, 0x47, 0x05, 0xc3); /* lea 5(%rdi), %eax; ret: argc + 5 */
    send_request(&runner.channel->main, (struct channel_record){.kind = CHANNEL_MAIN, .a = program});
    struct lifecycle word = expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFEXITED(word.value) && WEXITSTATUS(word.value) == 7, "status %#x", (unsigned)word.value);
    finish(&runner);
}

/* Finalisers that end the process with a status of their own show which one ran first. */
Test(runner, runs_the_last_finaliser_of_the_last_array_first)
{
    struct runner runner = start_ready();
    uint64_t program = ADD_CODE(&runner, 0x31, 0xc0, 0xc3); /* xor %eax, %eax; ret */
    for (uint8_t i = 0; i < 4; i++) {
        /* mov $231, %eax; mov $i, %edi; syscall: exit_group(i) */
        uint64_t end = ADD_CODE(&runner, 0xb8, 231, 0, 0, 0, 0xbf, i, 0, 0, 0, 0x0f, 0x05);
        store_le64(runner.zones[ZONE_R] + GRANULE_MAP_BYTES + (uint64_t)i * 8, end);
    }
    uint64_t array = runner.base + ZONE_R_OFFSET + GRANULE_MAP_BYTES;
    perform(&runner, (struct channel_record){.kind = CHANNEL_FINALISERS, .a = array, .b = 2});
    perform(&runner, (struct channel_record){.kind = CHANNEL_FINALISERS, .a = array + 16, .b = 2});
    send_request(&runner.channel->main, (struct channel_record){.kind = CHANNEL_MAIN, .a = program});
    struct lifecycle word = expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFEXITED(word.value) && WEXITSTATUS(word.value) == 3, "status %#x", (unsigned)word.value);
    finish(&runner);
}

Test(runner, records_a_crash_and_lives_on)
{
    struct runner runner = start_ready();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    const struct channel_crash *crash = expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
    cr_expect(crash->address == 4711 && crash->frames[0] == load && crash->registers[16] == load);
    cr_expect(!crash->stack_overflow);
    begin_epoch(&runner);
    uint64_t word = 42;
    memcpy(runner.zones[ZONE_R] + GRANULE_MAP_BYTES, &word, sizeof word);
    cr_expect(perform(&runner, call_record(&runner, load, runner.base + ZONE_R_OFFSET + GRANULE_MAP_BYTES)).a == 42);
    finish(&runner);
}

Test(runner, names_the_caller_of_what_is_no_code)
{
    struct runner runner = start_ready();
    uint64_t call = ADD_CODE(&runner, 0x50, 0xff, 0xd7, 0x58, 0xc3); /* push %rax; call *%rdi; pop %rax; ret */
    const struct channel_crash *crash = expect_crash(&runner, call_record(&runner, call, 0), SIGSEGV);
    cr_expect(crash->frame_count >= 2 && crash->frames[0] == 0 && crash->frames[1] == call + 3);
    finish(&runner);
}

Test(runner, tells_a_stack_overflow_from_other_faults)
{
    struct runner runner = start_ready();
    uint64_t endless = ADD_CODE(&runner, 0xe8, 0xfb, 0xff, 0xff, 0xff); /* call itself */
    cr_expect(expect_crash(&runner, call_record(&runner, endless, 0), SIGSEGV)->stack_overflow);
    begin_epoch(&runner);
    send_request(&runner.channel->agent, call_record(&runner, endless, 0));
    cr_expect(WTERMSIG(expect_word(&runner, LIFECYCLE_RUNNER_ENDED).value) == SIGSEGV);
    cr_expect(runner.channel->crash.stack_overflow);
    finish(&runner);
}

/* Looks at every dynamic symbol, as a linker that has no use for hash tables would. */
Test(runner, hands_over_the_symbols_of_its_libraries)
{
    struct runner runner = start((struct setting){.unsealed = -1, .working_directory = ""});
    struct lifecycle ready = expect_word(&runner, LIFECYCLE_TEMPLATE_READY);
    const unsigned char *file = map(runner.symbols, ready.symbol_bytes);
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
    finish(&runner);
}

Test(runner, has_the_next_life_standing_by_before_the_former_ends)
{
    struct runner runner = start_ready();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    pid_t lives[LIVES], standby;
    await_standby(&runner, 0, lives);
    standby = lives[1];
    expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
    cr_expect(find_lives(&runner, lives) >= 1 && lives[0] == standby);
    begin_epoch(&runner);
    expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
    finish(&runner);
}

Test(runner, has_no_standby_where_the_program_may_fork)
{
    struct runner runner = start_ready_as(JITD__PROTO__PROFILE__TRUSTED);
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    pid_t lives[LIVES];
    usleep(50000);
    cr_expect(find_lives(&runner, lives) == 1);
    expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
    begin_epoch(&runner);
    expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
    finish(&runner);
}

Test(runner, replaces_a_standby_that_is_killed)
{
    struct runner runner = start_ready();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3); /* mov (%rdi), %rax; ret */
    pid_t lives[LIVES], killed = 0;
    for (int i = 0; i < 10; i++, killed = lives[1]) {
        await_standby(&runner, killed, lives);
        kill(lives[1], i % 2 == 0 ? SIGKILL : SIGSEGV);
    }
    await_standby(&runner, killed, lives);
    cr_expect(is_silent(runner.lifecycle, 0), "the linker is told of a standby");
    cr_expect(runner.channel->crash.state == CRASH_NONE, "a standby takes the crash record");
    perform(&runner, call_record(&runner, load, runner.base + ZONE_R_OFFSET));
    expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
    begin_epoch(&runner);
    cr_expect(find_lives(&runner, lives) >= 1 && lives[0] != killed);
    expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
    finish(&runner);
}

Test(runner, keeps_its_standby_when_the_terminal_ends_the_program)
{
    struct runner runner = start_ready();
    uint64_t identity = ADD_CODE(&runner, 0x48, 0x8d, 0x47, 0x01, 0xc3); /* lea 1(%rdi), %rax; ret */
    pid_t lives[LIVES], standby;
    await_standby(&runner, 0, lives);
    standby = lives[1];
    kill(standby, SIGINT);
    perform(&runner, call_record(&runner, identity, 1)); /* its life has begun: before that it ignores the signal */
    kill(lives[0], SIGINT);
    struct lifecycle word = expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == SIGINT);
    begin_epoch(&runner);
    cr_expect(find_lives(&runner, lives) >= 1 && lives[0] == standby);
    perform(&runner, call_record(&runner, identity, 1));
    kill(standby, SIGINT);
    word = expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == SIGINT, "it ignores the signal in its own life");
    finish(&runner);
}

/* The test writes what hostile code could: an epoch, and a request, which whoever serves the queue would answer. */
Test(runner, begins_no_life_by_a_forged_epoch)
{
    struct runner runner = start_ready();
    uint64_t identity = ADD_CODE(&runner, 0x48, 0x8d, 0x47, 0x01, 0xc3); /* lea 1(%rdi), %rax; ret */
    uint64_t endless = ADD_CODE(&runner, 0xeb, 0xfe);                    /* jmp to itself */
    pid_t lives[LIVES];
    await_standby(&runner, 0, lives);
    send_request(&runner.channel->main, call_record(&runner, endless, 0));
    while (runner.channel->main.tail != 1)
        usleep(100);
    runner.channel->epoch = 2;
    syscall(SYS_futex, &runner.channel->epoch, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    send_request(&runner.channel->main, call_record(&runner, identity, 41));
    cr_expect(is_silent(runner.wake, 100), "the standby begins while its predecessor lives");

    kill(lives[0], SIGKILL);
    expect_word(&runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(is_silent(runner.wake, 100), "what a dead life wrote begins the next");
    begin_epoch(&runner);
    cr_expect(perform(&runner, call_record(&runner, identity, 41)).a == 42);
    finish(&runner);
}

/* Those of even number find no standby, or one that is not ready. */
Test(runner, lives_at_the_same_addresses_after_many_crashes)
{
    struct runner runner = start_ready();
    uint64_t load = ADD_CODE(&runner, 0x48, 0x8b, 0x07, 0xc3);  /* mov (%rdi), %rax; ret */
    uint64_t store = ADD_CODE(&runner, 0x48, 0x89, 0x3f, 0xc3); /* mov %rdi, (%rdi); ret */
    uint64_t data = runner.base + ZONE_D_OFFSET + 64, zeros = runner.base + ZONE_Z_OFFSET + 64;
    pid_t lives[LIVES];
    for (int i = 0; i < 200; i++) {
        store_le64(runner.zones[ZONE_D] + 64, (uint64_t)i); /* after the standby was forked: it must see it */
        cr_assert(perform(&runner, call_record(&runner, load, data)).a == (uint64_t)i);
        cr_assert(perform(&runner, call_record(&runner, load, zeros)).a == 0);
        perform(&runner, call_record(&runner, store, data));
        perform(&runner, call_record(&runner, store, zeros));
        if (i % 2 == 1)
            await_standby(&runner, 0, lives);
        const struct channel_crash *crash = expect_crash(&runner, call_record(&runner, load, 4711), SIGSEGV);
        cr_assert(crash->frames[0] == load && crash->address == 4711);
        begin_epoch(&runner);
    }
    finish(&runner);
}
