/*
 * How much a session has room for: what it gets unasked, what it asks for, and what is refused.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "proto/zones.h"
#include "tests/integration/harness.h"
#include "tests/integration/shell.h"

TestSuite(sizes, .timeout = 60);

/* As where jitd asks the kernel how much it may promise: with its own word it does not. */
static const char *const whole_reach[] = {"--arena-max", "2130706432", NULL};

/* A sanitizer's shadow is memory, too, and no limit is set for its sake. */
#ifdef JITD_SANITIZED
#define IF_NOT_SANITIZED(statement) (void)0
#else
#define IF_NOT_SANITIZED(statement) statement
#endif

static uint64_t total(const struct harness *harness)
{
    const struct jitd_welcome *welcome = jitd_welcome(harness->session);
    uint64_t sum = 0;

    for (int z = 0; z < JITD_ZONES; z++)
        sum += welcome->zone_bytes[z];
    cr_expect_eq(sum, welcome->arena_bytes);
    return sum;
}

/* A unit with an array of so many bytes, first in its zone, whose end `NAME` reads and `NAME_set` writes. */
static const char *array_source(const char *name, unsigned long long bytes, bool initialised)
{
    static char source[512];

    snprintf(source, sizeof source,
             "static char array[%llu] __attribute__((aligned(8)))%s;\n"
             "long %s(long at) { return array[at < 0 ? sizeof array + at : at]; }\n"
             "long %s_set(long at) { return array[at < 0 ? sizeof array + at : at] = 7; }\n"
             "long %s_at(long at) { return (long)&array[at]; }",
             bytes, initialised ? " = {1}" : "", name, name, name);
    return source;
}

static int submit_array(struct harness *harness, const char *name, unsigned long long bytes, bool initialised)
{
    harness_add_c(harness, name, array_source(name, bytes, initialised));
    int code = harness_submit(harness, JITD_BATCH_CLOSED);
    if (code == 0)
        harness_settle(harness);
    return code;
}

/* ---- unasked ---- */

Test(sizes, zero_data_that_nobody_touches_costs_no_memory_in_any_process)
{
    struct harness *harness = harness_open(&(struct jitd_options){.daemon_arguments = whole_reach});

    cr_assert_eq(submit_array(harness, "a", 800ull << 20, false), 0, "%s", harness->errors[0].text);
    cr_expect_eq(harness_value(harness, "a", -1), 0);
    cr_expect_eq(harness_value(harness, "a_set", -1), 7);
    cr_expect_eq(harness_value(harness, "a", -1), 7);
    for (enum harness_process which = HARNESS_LINKER; which <= HARNESS_RUNNER; which++)
        IF_NOT_SANITIZED(cr_expect_lt(harness_status(harness_process(harness, which), "VmRSS"), 100l << 10, "KiB"));
    harness_close(harness);
}

Test(sizes, code_constants_and_data_have_room_for_the_largest_object_and_zeros_get_the_rest)
{
    struct harness *harness = harness_open(&(struct jitd_options){.daemon_arguments = whole_reach});
    const uint64_t *bytes = jitd_welcome(harness->session)->zone_bytes;

    cr_expect_geq(bytes[JITD_ZONE_CODE], LIMIT_OBJECT_BYTES);
    cr_expect_geq(bytes[JITD_ZONE_CONSTANTS], LIMIT_OBJECT_BYTES + zones_map_bytes(bytes[JITD_ZONE_CODE]));
    cr_expect_geq(bytes[JITD_ZONE_DATA], LIMIT_OBJECT_BYTES);
    cr_expect_geq(bytes[JITD_ZONE_ZEROS], 1ull << 30);
    cr_expect_leq(total(harness), ARENA_REACH);
    cr_assert_eq(submit_array(harness, "all", bytes[JITD_ZONE_ZEROS] - 64, false), 0, "%s", harness->errors[0].text);
    cr_expect_eq(harness_value(harness, "all_set", -1), 7, "the last byte is there");
    harness_close(harness);
}

/* Both reach each other and libc: from the arena's first byte to the libraries' last. */
Test(sizes, the_ends_of_the_largest_arena_reach_each_other_and_the_libraries)
{
    struct harness *harness = harness_open(&(struct jitd_options){.daemon_arguments = whole_reach});

    harness_add_assembly(
        harness, "reach.o",
        ".globl f\n.type f, @function\nf: lea last(%rip), %rax\nmovb $3, (%rax)\nlea environ(%rip), %rcx\n"
        "cmp environ@GOTPCREL(%rip), %rcx\nsetne %al\nmovzbl %al, %eax\nadd last(%rip), %al\nret\n"
        ".bss\n.zero 1000 << 20\nlast: .zero 8\n");
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    cr_expect_eq(harness_value(harness, "f", 0), 3, "%s", harness_unit(harness, "reach.o")->error.text);
    harness_close(harness);
}

Test(sizes, a_common_block_of_many_units_takes_its_room_once)
{
    struct harness *harness = harness_open(&(struct jitd_options){.daemon_arguments = whole_reach});

    for (int i = 0; i < 4; i++) {
        static char sources[4][128], names[4][8];
        snprintf(names[i], sizeof names[i], "f%d", i);
        snprintf(sources[i], sizeof sources[i],
                 ".comm block, %llu, 32\n.globl f%d\n.type f%d, @function\nf%d: mov block@GOTPCREL(%%rip), %%rax\n"
                 "incb (%%rax)\nmov (%%rax), %%rax\nret\n",
                 800ull << 20, i, i, i);
        harness_add_assembly(harness, names[i], sources[i]);
    }
    harness_link_batch(harness, JITD_BATCH_CLOSED);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(harness_value(harness, (const char *[]){"f0", "f1", "f2", "f3"}[i], 0), i + 1);
    harness_close(harness);
}

/* ---- asked for ---- */

Test(sizes, a_zone_is_filled_to_its_last_byte_and_a_byte_more_is_told_what_helps)
{
    static const struct {
        int zone;
        bool initialised;
        const char *full, *hint;
    } rows[] = {
        {JITD_ZONE_ZEROS, false, "zone Z is full: 4194240 bytes wanted", "jitctl --arena Z=6M"},
        {JITD_ZONE_DATA, true, "zone D is full: 4194240 bytes wanted", "jitctl --arena D=6M"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct jitd_options options = {0};
        options.zone_bytes[rows[i].zone] = 4 << 20;
        struct harness *harness = harness_open(&options);

        cr_assert_eq(jitd_welcome(harness->session)->zone_bytes[rows[i].zone], 4 << 20);
        cr_expect_eq(submit_array(harness, "over", (4 << 20) - 64 + 1, rows[i].initialised), JITD_ERROR_ARENA_FULL);
        cr_expect_eq(submit_array(harness, "full", (4 << 20) - 64, rows[i].initialised), 0, "%s",
                     harness->errors[0].text);
        cr_expect_eq(harness_value(harness, "full_set", -1), 7);
        cr_expect_eq(submit_array(harness, "more", (4 << 20) - 64, rows[i].initialised), JITD_ERROR_ARENA_FULL);
        cr_expect(strstr(harness->errors[0].text, rows[i].full) &&
                      strstr(harness->errors[0].text, " 0 of 4194304 left"),
                  "%s", harness->errors[0].text);
        cr_expect_eq(submit_array(harness, "one", 1, rows[i].initialised), JITD_ERROR_ARENA_FULL);
        cr_expect(strstr(harness->errors[0].text, rows[i].hint), "%s", harness->errors[0].text);
        cr_expect_eq(harness_value(harness, "full", -1), 7);
        harness_close(harness);
    }
}

Test(sizes, what_is_asked_for_is_what_welcome_tells)
{
    static const uint64_t asked[JITD_ZONES] = {MIB(8) - 1, 1, MIB(20), MIB(300), MIB(1200)};
    struct jitd_options options = {.daemon_arguments = whole_reach};
    memcpy(options.zone_bytes, asked, sizeof asked);
    struct harness *harness = harness_open(&options);
    const uint64_t *told = jitd_welcome(harness->session)->zone_bytes;

    for (int z = 0; z < JITD_ZONES; z++)
        cr_expect_eq(told[z], align_up(asked[z], MIB(2)), "zone %s", zone_names[z]);
    total(harness);
    cr_expect_eq(submit_array(harness, "d", MIB(140), true), 0, "%s", harness->errors[0].text);
    cr_expect_eq(submit_array(harness, "e", MIB(140), true), 0, "%s", harness->errors[0].text);
    cr_expect_eq(harness_value(harness, "d", 0), 1);
    cr_expect_eq(harness_value(harness, "e", 0), 1);
    cr_expect_eq(harness_value(harness, "e", -1), 0);
    harness_close(harness);
}

/* The end of the session says why; the daemon's own option is named where it is what stands in the way. */
static void expect_refused(const struct jitd_options *wish, int wanted, const char *words)
{
    struct jitd_options options = *wish;
    struct jitd_session *session = NULL;

    options.daemon = harness_daemon_path();
    cr_assert_eq(jitd_spawn(&options, NULL, NULL, &session), 0);
    int code = jitd_wait(session, 0, HARNESS_PATIENCE);
    cr_expect_eq(code, wanted, "%d", code);
    cr_expect(strstr(jitd_last_error(session)->text, words), "no '%s' in: %s", words, jitd_last_error(session)->text);
    jitd_close(session);
}

Test(sizes, that_cannot_be_had_end_the_session_with_what_can)
{
    static const uint64_t garbage[] = {MIB(2048), UINT64_MAX, UINT64_MAX - MIB(1), 1ull << 63};
    const struct jitd_options small = {.daemon_arguments = (const char *const[]){"--arena-max", "134217728", NULL},
                                       .zone_bytes[JITD_ZONE_ZEROS] = MIB(130)};

    for (size_t i = 0; i < ARRAY_LENGTH(garbage); i++)
        for (int z = 0; z < JITD_ZONES; z++) {
            struct jitd_options options = {0};
            char words[64];
            snprintf(words, sizeof words, "zone %s of %llu bytes", zone_names[z], (unsigned long long)garbage[i]);
            options.zone_bytes[z] = garbage[i];
            expect_refused(&options, JITD_ERROR_LIMIT, words);
        }
    expect_refused(&small, JITD_ERROR_LIMIT, "all zones together 128 MiB (see jitd --arena-max)");
    expect_refused(
        &(struct jitd_options){.daemon_arguments = whole_reach, .zone_bytes = {MIB(900), 0, 0, MIB(900), MIB(300)}},
        JITD_ERROR_LIMIT, "all zones together may have 2032 MiB (32-bit displacements reach no further)");
    expect_refused(&(struct jitd_options){.zone_bytes = {MIB(16), 0, MIB(4), 0, 0}}, JITD_ERROR_INVALID,
                   "zone R of 4 MiB has no room");
    expect_refused(&(struct jitd_options){.daemon_arguments = whole_reach,
                                          .zone_bytes = {MIB(2), MIB(2), MIB(4), MIB(2), MIB(2022)}},
                   JITD_ERROR_SETUP, "ask for smaller zones");
}

/* ---- while it goes on ---- */

Test(sizes, stay_over_the_lives_of_the_runner)
{
    struct jitd_options options = {.zone_bytes = {MIB(4), MIB(2), MIB(4), MIB(2), MIB(600)},
                                   .daemon_arguments = whole_reach};
    struct harness *harness = harness_open(&options);

    cr_assert_eq(submit_array(harness, "a", MIB(600) - 64, false), 0, "%s", harness->errors[0].text);
    harness_link_c(harness, "crash.o", "long crash(long x) { __builtin_trap(); }");
    int64_t at = harness_value(harness, "a_at", 0);
    for (int life = 1; life <= 3; life++) {
        cr_expect_eq(harness_value(harness, "a", -1), 0, "life %d", life);
        cr_expect_eq(harness_value(harness, "a_set", -1), 7);
        cr_expect_eq(harness_value(harness, "a_at", 0), at);
        cr_expect(harness_call(harness, "crash", 0).ended);
    }
    harness_close(harness);
}

/* Blocks that begin and end within pages: what is left of those that were removed, at both ends and in between. */
Test(sizes, large_zero_data_of_a_removed_unit_is_zero_again_and_takes_no_memory)
{
    struct harness *harness = harness_open(NULL);

    cr_assert_eq(submit_array(harness, "first", 100, false), 0);
    cr_assert_eq(submit_array(harness, "a", MIB(100) + 888, false), 0);
    for (long at = 0; at < (100 << 20) + 888; at += 4096 - 8)
        harness_value(harness, "a_set", at);
    harness_value(harness, "a_set", -1);
    cr_assert_eq(submit_array(harness, "after", 100, false), 0);
    harness_value(harness, "first_set", -1);
    harness_value(harness, "after_set", 0);
    int64_t began = harness_value(harness, "a_at", 0);
    harness_remove_unit(harness, "a");
    cr_assert_eq(submit_array(harness, "b", MIB(100) + 888, false), 0);
    cr_expect_eq(harness_value(harness, "b_at", 0), began, "in the same place");
    IF_NOT_SANITIZED(cr_expect_lt(harness_status(harness_process(harness, HARNESS_RUNNER), "RssAnon"), 50l << 10));
    for (long at = 0; at < (100 << 20) + 888; at += 4096 - 8)
        cr_assert_eq(harness_value(harness, "b", at), 0, "at %ld", at);
    cr_expect_eq(harness_value(harness, "b", -1), 0);
    cr_expect_eq(harness_value(harness, "first", -1), 7, "the neighbours keep theirs");
    cr_expect_eq(harness_value(harness, "after", 0), 7);
    harness_close(harness);
}

Test(sizes, zero_data_does_not_count_as_what_a_session_may_allocate)
{
    struct jitd_options options = {.address_space_bytes = MIB(64), .daemon_arguments = whole_reach};
    struct harness *harness = harness_open(&options);

    cr_assert_eq(submit_array(harness, "a", MIB(800), false), 0, "%s", harness->errors[0].text);
    cr_expect_eq(harness_value(harness, "a_set", -1), 7);
    harness_link_c(harness, "m.o",
                   "#include <stdlib.h>\nlong get(long n) { char *volatile p = malloc(n); free(p); return !!p; }");
    cr_expect_eq(harness_value(harness, "get", 16 << 20), 1);
    IF_NOT_SANITIZED(cr_expect_eq(harness_value(harness, "get", 200 << 20), 0));
    harness_close(harness);
}

/* ---- of one daemon ---- */

static struct jitd_session *connect_with(const char *path, uint64_t zeros)
{
    const struct jitd_options options = {.zone_bytes[JITD_ZONE_ZEROS] = zeros};
    struct jitd_session *session = NULL;

    cr_assert_eq(jitd_connect(path, &options, NULL, NULL, &session), 0);
    cr_assert_eq(jitd_wait(session, 0, HARNESS_PATIENCE), 0, "%s", jitd_last_error(session)->text);
    return session;
}

Test(sizes, are_each_sessions_own)
{
    struct shell shell = shell_open();
    char path[512];
    pid_t daemon = fork();

    temp_path(&shell.temp, "socket", path);
    if (daemon == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(harness_daemon_path(), "jitd", "--listen", path, "--arena-max", "268435456", NULL);
        _exit(126);
    }
    for (int tries = 0; access(path, F_OK) != 0 && tries < 500; tries++)
        usleep(10000);
    struct jitd_session *large = connect_with(path, MIB(200)), *small = connect_with(path, MIB(2));
    cr_expect_eq(jitd_welcome(large)->zone_bytes[JITD_ZONE_ZEROS], MIB(200));
    cr_expect_eq(jitd_welcome(small)->zone_bytes[JITD_ZONE_ZEROS], MIB(2));
    cr_expect_leq(jitd_welcome(large)->arena_bytes, MIB(256));
    cr_expect_eq(shell_run(&shell, "$J inspect --session 1 socket"), 0);
    cr_expect(strstr((char *)shell.out.bytes, "209715200"), "%s", (char *)shell.out.bytes);
    jitd_close(large);
    jitd_close(small);
    kill(daemon, SIGTERM);
    waitpid(daemon, NULL, 0);
    shell_close(&shell);
}

/* ---- jitctl ---- */

static void put_array(const struct shell *shell, const char *name, unsigned long long bytes)
{
    char path[512], source[256];

    snprintf(source, sizeof source,
             "static char a[%llu]; int main(void) { a[sizeof a - 1] = 1; return a[sizeof a - 1]; }", bytes);
    struct object_bytes object = compile_c(source, "-O0 -fPIC");
    FILE *file = fopen(temp_path(&shell->temp, name, path), "wb");
    cr_assert(file && fwrite(object.bytes, 1, object.length, file) == object.length && fclose(file) == 0);
    object_free(&object);
}

Test(sizes, jitctl_asks_for_what_its_command_line_says)
{
    struct shell shell = shell_open();

    put_array(&shell, "m.o", MIB(1500));
    cr_expect_eq(shell_run(&shell, "$J run m.o"), 125);
    cr_expect(strstr((char *)shell.error.bytes, "--arena Z=1502M"), "%s", (char *)shell.error.bytes);
    cr_expect_eq(shell_run(&shell, "$J run --arena Z=1502M m.o"), 1, "%s", (char *)shell.error.bytes);
    cr_expect_eq(shell_run(&shell, "$J run --arena D=8M,S=1M --arena Z=1502M m.o"), 1, "%s", (char *)shell.error.bytes);
    cr_expect_eq(shell_run(&shell, "$J link --arena D=8M,Z=1502M m.o"), 0);
    cr_expect(strstr((char *)shell.out.bytes, " 1574961152 ") && strstr((char *)shell.out.bytes, " 8388608 "), "%s",
              (char *)shell.out.bytes);
    shell_close(&shell);
}

Test(sizes, jitctl_says_that_2_gib_cannot_be_had_and_why)
{
    struct shell shell = shell_open();

    put_array(&shell, "m.o", MIB(2032) + 1);
    cr_expect_eq(shell_run(&shell, "$J run m.o"), 125);
    cr_expect(strstr((char *)shell.error.bytes, "section") && strstr((char *)shell.error.bytes, "'.bss'") &&
                  strstr((char *)shell.error.bytes, "2032 MiB at most, as 32-bit displacements reach no further"),
              "%s", (char *)shell.error.bytes);
    put_array(&shell, "m.o", MIB(2032));
    cr_expect_eq(shell_run(&shell, "$J run m.o"), 125);
    cr_expect(strstr((char *)shell.error.bytes, "no size of it would do"), "%s", (char *)shell.error.bytes);
    shell_close(&shell);
}

Test(sizes, jitctl_says_how_large_an_object_may_be)
{
    struct shell shell = shell_open();

    put_array(&shell, "m.o", 8);
    cr_expect_eq(shell_run(&shell, "truncate -s 268435456 m.o && $J run m.o"), 1, "%s", (char *)shell.error.bytes);
    cr_expect_eq(shell_run(&shell, "truncate -s 268435457 m.o && $J run m.o"), 125);
    cr_expect(strstr((char *)shell.error.bytes, "m.o: an object may have 256 MiB, and this has 268435457 bytes"), "%s",
              (char *)shell.error.bytes);
    shell_close(&shell);
}

Test(sizes, jitctl_takes_only_sizes_of_zones)
{
    static const char *const wrong[] = {"Z",
                                        "Z=",
                                        "Z=0",
                                        "=1M",
                                        "Q=1M",
                                        "ZZ=1M",
                                        "Z=1M,",
                                        ",Z=1M",
                                        "Z=-1",
                                        "Z=1M;D=1M",
                                        "Z=99999999999999999999",
                                        "Z=99999999999G",
                                        ""};
    struct shell shell = shell_open();

    put_array(&shell, "m.o", 8);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        cr_expect_eq(shell_run(&shell, "$J run --arena '%s' m.o", wrong[i]), 125, "'%s'", wrong[i]);
        cr_expect(strstr((char *)shell.error.bytes, "--arena takes"), "%s", (char *)shell.error.bytes);
    }
    shell_close(&shell);
}
