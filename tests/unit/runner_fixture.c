/*
 * The far end of a real jitd-runner: what the supervisor hands it, and the linker's half of the channel.
 */
#include "tests/unit/runner_fixture.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "proto/message.h"
#include "proto/process_symbols.h"

#define SEALS     (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)
#define TEMPORARY 100 /* descriptors are moved above this, then down to their places */

static int make_memfd(const char *name, uint64_t bytes)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
    return fd;
}

void *runner_fixture_map(int fd, uint64_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert(memory != MAP_FAILED);
    return memory;
}

static void write_startup(struct channel_startup *startup, const struct runner_fixture_setting *setting)
{
    char *at = startup->bytes;
    for (const char *const *string =
             (const char *const[]){"program", "argument", "A=B", setting->working_directory, NULL};
         *string; string++)
        at = stpcpy(at, *string) + 1;
    startup->profile = setting->profile;
    startup->patience_ms = 20000;
    startup->argument_count = 2;
    startup->environment_count = 1;
    startup->used = (uint32_t)(at - startup->bytes);
}

/* In the child: `fds` become FD_LIFECYCLE and those that follow. */
static void execute(const int fds[FD_INHERITED_END], const struct runner_fixture_setting *setting)
{
    char settings[512] = "JITD_RUNNER=0 0";
    for (int i = 0; i <= ZONE_COUNT; i++) {
        uint64_t number = i < ZONE_COUNT ? setting->sizes.bytes[i] : setting->least_zeros;
        size_t used = strlen(settings);
        snprintf(settings + used, sizeof settings - used, " %llu", (unsigned long long)number);
    }
    char path[512];
    const char *build = getenv("O");
    int moved[FD_INHERITED_END];
    snprintf(path, sizeof path, "%s/bin/jitd-runner", build != NULL ? build : "build");
    for (int i = FD_LIFECYCLE; i < FD_INHERITED_END; i++)
        moved[i] = fcntl(fds[i], F_DUPFD, TEMPORARY);
    for (int i = FD_LIFECYCLE; i < FD_INHERITED_END; i++)
        dup2(moved[i], i);
    closefrom(FD_INHERITED_END);
    execve(path, (char *[]){"jitd-runner", setting->few_strings ? NULL : "", NULL}, (char *[]){settings, NULL});
    _exit(127);
}

struct runner_fixture runner_fixture_start(struct runner_fixture_setting setting)
{
    struct runner_fixture runner = {.next_code = 64};
    if (setting.least_zeros == 0) {
        setting.sizes = ZONE_SIZES;
        setting.least_zeros = ZONE_Z_BYTES;
    }
    int pair[2], fds[FD_INHERITED_END] = {0};
    cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    runner.lifecycle = pair[0];
    runner.wake = eventfd(0, EFD_CLOEXEC);
    runner.symbols = make_memfd("symbols", 0);
    fds[FD_LIFECYCLE] = pair[1];
    fds[FD_WAKE] = runner.wake;
    fds[FD_SYMBOLS] = runner.symbols;
    fds[FD_CHANNEL] = make_memfd("channel", sizeof(struct channel));
    runner.channel = runner_fixture_map(fds[FD_CHANNEL], sizeof(struct channel));
    write_startup(&runner.channel->startup, &setting);
    for (int i = 0; i < ZONE_FDS; i++) {
        fds[FD_ZONE_X + i] = make_memfd("zone", setting.sizes.bytes[i]);
        runner.zones[i] = runner_fixture_map(fds[FD_ZONE_X + i], setting.sizes.bytes[i]);
        if (i != setting.unsealed)
            cr_assert(fcntl(fds[FD_ZONE_X + i], F_ADD_SEALS, SEALS) == 0);
    }
    runner.process = fork();
    if (runner.process == 0)
        execute(fds, &setting);
    for (int i = FD_CHANNEL; i < FD_INHERITED_END; i++)
        if (i != FD_SYMBOLS)
            close(fds[i]);
    close(pair[1]);
    return runner;
}

static struct lifecycle next_word(struct runner_fixture *runner)
{
    struct lifecycle word = {0};
    cr_assert(recv(runner->lifecycle, &word, sizeof word, 0) == (ssize_t)sizeof word, "the template says nothing");
    return word;
}

struct lifecycle runner_fixture_expect_word(struct runner_fixture *runner, enum lifecycle_kind kind)
{
    struct lifecycle word = next_word(runner);
    cr_assert(word.kind == kind, "lifecycle word %u (%s) instead of %u", word.kind, word.stage, kind);
    return word;
}

void runner_fixture_begin_epoch(struct runner_fixture *runner)
{
    cr_assert(runner_fixture_expect_word(runner, LIFECYCLE_RUNNER_STARTED).epoch == ++runner->epoch);
    struct channel *channel = runner->channel;
    struct channel_queue *queues[] = {&channel->main, &channel->agent, &channel->replies};
    for (size_t i = 0; i < ARRAY_LENGTH(queues); i++)
        queues[i]->head = queues[i]->tail = 0;
    for (size_t i = 0; i < CHANNEL_WAITERS; i++)
        channel->waiters[i].head = channel->waiters[i].taken = 0;
    channel->crash.state = CRASH_NONE;
    channel->epoch = runner->epoch;
    syscall(SYS_futex, &channel->epoch, FUTEX_WAKE, 1, NULL, NULL, 0);
}

struct runner_fixture runner_fixture_open_as(uint32_t profile)
{
    struct runner_fixture runner = runner_fixture_start(
        (struct runner_fixture_setting){.unsealed = -1, .working_directory = "/", .profile = profile});
    struct lifecycle ready = runner_fixture_expect_word(&runner, LIFECYCLE_TEMPLATE_READY);
    runner.base = ready.arena_base;
    runner.lazy_entry = ready.lazy_entry;
    runner_fixture_begin_epoch(&runner);
    return runner;
}

struct runner_fixture runner_fixture_open(void)
{
    return runner_fixture_open_as(JITD__PROTO__PROFILE__DEFAULT);
}

void runner_fixture_close(struct runner_fixture *runner)
{
    int status;
    close(runner->lifecycle);
    cr_expect(waitpid(runner->process, &status, 0) == runner->process && status == 0, "template status %#x", status);
}

uint64_t runner_fixture_add_code(struct runner_fixture *runner, const void *code, size_t bytes)
{
    uint64_t offset = runner->next_code;
    memcpy(runner->zones[ZONE_X] + offset, code, bytes);
    runner->next_code += align_up(bytes, 64);
    return runner->base + offset;
}

void runner_fixture_send(struct channel_queue *queue, struct channel_record record)
{
    queue->records[queue->head % CHANNEL_QUEUE_RECORDS] = record;
    queue->head++;
    syscall(SYS_futex, &queue->head, FUTEX_WAKE, 1, NULL, NULL, 0);
}

struct channel_record runner_fixture_take_reply(struct runner_fixture *runner)
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

struct channel_record runner_fixture_perform(struct runner_fixture *runner, struct channel_record request)
{
    runner_fixture_send(&runner->channel->main, request);
    return runner_fixture_take_reply(runner);
}

struct channel_record runner_fixture_call(struct runner_fixture *runner, uint64_t address, uint64_t argument)
{
    return runner_fixture_call_with(runner, address, 1, (const uint64_t[]){argument});
}

struct channel_record runner_fixture_call_with(struct runner_fixture *runner, uint64_t address, uint64_t count,
                                               const uint64_t *arguments)
{
    for (uint64_t i = 0; i < count; i++) {
        runner->channel->call.types[i] = JITD__PROTO__VALUE_TYPE__POINTER;
        runner->channel->call.values[i] = arguments[i];
    }
    return (struct channel_record){
        .kind = CHANNEL_CALL, .id = 7, .a = address, .b = JITD__PROTO__VALUE_TYPE__UINT64, .c = count};
}

const struct channel_crash *runner_fixture_expect_crash(struct runner_fixture *runner, struct channel_record request,
                                                        int number)
{
    runner_fixture_send(&runner->channel->main, request);
    struct lifecycle word = runner_fixture_expect_word(runner, LIFECYCLE_RUNNER_ENDED);
    cr_expect(WIFSIGNALED(word.value) && WTERMSIG(word.value) == number, "status %#x", (unsigned)word.value);
    cr_expect(runner->channel->crash.state == CRASH_COMPLETE && runner->channel->crash.signal == number);
    return &runner->channel->crash;
}

size_t runner_fixture_find_lives(const struct runner_fixture *runner, pid_t lives[LIVES])
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

bool runner_fixture_is_silent(int fd, int milliseconds)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, milliseconds) == 0;
}

uint64_t runner_fixture_symbol(const struct runner_fixture *runner, const char *wanted)
{
    struct stat status;
    cr_assert(fstat(runner->symbols, &status) == 0);
    const unsigned char *file = runner_fixture_map(runner->symbols, (uint64_t)status.st_size);
    const struct process_symbols_header *header = (const void *)file;
    const struct process_library *libraries = (const void *)(header + 1);
    uint64_t address = 0;
    for (size_t i = 0; i < header->count && address == 0; i++) {
        const Elf64_Sym *symbols = (const void *)(file + libraries[i].symbols);
        const char *strings = (const char *)file + libraries[i].strings;
        for (uint64_t j = 0; j < libraries[i].symbol_count; j++)
            if (symbols[j].st_shndx != SHN_UNDEF && strcmp(strings + symbols[j].st_name, wanted) == 0)
                address = libraries[i].base + symbols[j].st_value;
    }
    munmap((void *)file, (size_t)status.st_size);
    cr_assert(address != 0, "no library has %s", wanted);
    return address;
}
