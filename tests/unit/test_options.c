/*
 * daemon/supervisor: the command line and the checks on what a linker asks for. The sources are included, since the
 * supervisor's objects are not part of the program of unit tests (two of its modules have namesakes in the linker).
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "daemon/supervisor/configuration.c"
#include "daemon/supervisor/control.c"
#include "daemon/supervisor/usual_arena.c"
#include "tests/lib/fds.h"

static int parse(struct configuration *out, struct error *error, const char *line)
{
    static char words[512];
    char *argv[32] = {"jitd", "--linker", "/l", "--runner", "/r"};
    int argc = 5;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return configuration_parse(argc, argv, out, error);
}

Test(options, takes_one_way_to_be_reached)
{
    struct configuration out;
    struct error error;
    cr_assert_eq(parse(&out, &error, "--fd 7"), 0);
    cr_expect(out.mode == MODE_FD && out.fd == 7);
    cr_assert_eq(parse(&out, &error, "--listen /run/x/socket"), 0);
    cr_expect(out.mode == MODE_LISTEN && strcmp(out.path, "/run/x/socket") == 0);
    cr_assert_eq(parse(&out, &error, "--stdio"), 0);
    cr_expect_eq(out.mode, MODE_STDIO);
    cr_expect_str_eq(out.linker, "/l");
    cr_expect_str_eq(out.runner, "/r");
}

Test(options, answers_help_and_version_without_anything_else)
{
    struct configuration out;
    struct error error;
    cr_assert_eq(parse(&out, &error, "--help"), 0);
    cr_expect_eq(out.mode, MODE_HELP);
    cr_assert_eq(parse(&out, &error, "--fd 3 --version"), 0);
    cr_expect_eq(out.mode, MODE_VERSION);
}

Test(options, has_defaults_that_bound_a_session)
{
    struct configuration out;
    struct error error;
    cr_assert_eq(parse(&out, &error, "--fd 3"), 0);
    cr_expect_eq(out.maximum_sessions, CONFIGURATION_SESSIONS);
    cr_expect_eq(out.address_space_bytes, MIB(4096));
    cr_expect(out.arena_bytes >= ARENA_LEAST && out.arena_bytes <= ARENA_REACH &&
              out.arena_bytes % ARENA_ALIGNMENT == 0);
    cr_expect_eq(out.open_files, 256);
    cr_expect_leq(out.link_threads, LIMIT_LINK_THREADS);
    cr_expect_eq(out.cpu_seconds, 0);
    cr_expect_eq(out.disabled, 0);
    cr_expect_eq(out.library_count, 0);
}

Test(options, takes_an_arena_between_the_least_and_the_reach_of_displacements)
{
    struct configuration out;
    struct error error;
    cr_assert_eq(parse(&out, &error, "--fd 3 --arena-max 67108864"), 0);
    cr_expect_eq(out.arena_bytes, ARENA_LEAST);
    cr_assert_eq(parse(&out, &error, "--fd 3 --arena-max 2130706432"), 0);
    cr_expect_eq(out.arena_bytes, ARENA_REACH);
    cr_assert_eq(parse(&out, &error, "--fd 3 --arena-max 100000000"), 0);
    cr_expect_eq(out.arena_bytes, MIB(94), "whole zones");
}

static void limit(__rlimit_resource_t resource, uint64_t bytes)
{
    struct rlimit own;
    cr_assert_eq(getrlimit(resource, &own), 0);
    own.rlim_cur = bytes;
    cr_assert_eq(setrlimit(resource, &own), 0);
}

Test(options, makes_do_with_less_where_its_own_limits_are_low)
{
    uint64_t whole = usual_arena();
    limit(RLIMIT_AS, MIB(3000));
    cr_expect_eq(usual_arena(), MIB(1000));
    limit(RLIMIT_AS, RLIM_INFINITY);
    limit(RLIMIT_FSIZE, MIB(100));
    cr_expect_eq(usual_arena(), MIB(200));
    limit(RLIMIT_FSIZE, 0);
    cr_expect_eq(usual_arena(), ARENA_LEAST);
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
    cr_expect_eq(usual_arena(), whole);
}

Test(options, collects_libraries_and_disabled_layers)
{
    struct configuration out;
    struct error error;
    cr_assert_eq(parse(&out, &error,
                       "--stdio --library libm.so.6 --library libz.so.1 --disable-layer seccomp "
                       "--disable-layer pid-namespace"),
                 0);
    cr_expect_eq(out.library_count, 2);
    cr_expect_str_eq(out.libraries[1], "libz.so.1");
    cr_expect(configuration_disables(&out, JITD__PROTO__LAYER__LAYER_SECCOMP));
    cr_expect(configuration_disables(&out, JITD__PROTO__LAYER__LAYER_PID_NAMESPACE));
    cr_expect_not(configuration_disables(&out, JITD__PROTO__LAYER__LAYER_LANDLOCK));
}

Test(options, refuses_what_it_does_not_understand)
{
    static const char *const lines[] = {
        "",
        "--fd 3 --stdio",
        "--fd -1",
        "--fd 3x",
        "--fd 99999999999999999999",
        "--fd",
        "--stdio --loud",
        "--stdio word",
        "--stdio --max-sessions 4097",
        "--stdio --disable-layer everything",
        "--stdio --library a:b",
        "--stdio --library /no/such/library.so",
        "--stdio --address-space 4G",
        "--stdio --arena-max 67108863",
        "--stdio --arena-max 2130706433",
        "--stdio --arena-max 0",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct configuration out;
        struct error error = {0};
        cr_expect_neq(parse(&out, &error, lines[i]), 0, "'%s' was taken", lines[i]);
        cr_expect_neq(error.text[0], '\0');
    }
}

/* ---- control ---- */

static const struct control_start plain = {
    .kind = CONTROL_START,
    .zones = {{MIB(256), MIB(64), MIB(256), MIB(192), MIB(256)}},
    .least_zeros = MIB(2),
};

Test(control, takes_a_request_within_the_configuration)
{
    struct configuration allowed = {.library_count = 2, .arena_bytes = MIB(1024)};
    struct control_start start = plain;
    start.library_count = 2;
    start.libraries[0] = 1;
    struct error error;
    cr_expect_eq(control_check(&start, &allowed, &error), 0);
}

Test(control, refuses_every_number_outside_its_range)
{
    struct configuration allowed = {.library_count = 2, .arena_bytes = MIB(1024)};
    struct control_start rows[17];
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        rows[i] = plain;
    rows[0].kind = CONTROL_STARTED;
    rows[1].placement = 1;
    rows[2].placement = 2;
    rows[3].profile = 3;
    rows[4].library_count = LIMIT_LIBRARIES + 1;
    rows[5].library_count = 1, rows[5].libraries[0] = 2;
    rows[6].zero = 1;
    rows[7].zones.bytes[ZONE_Z] += MIB(2);
    rows[8].zones.bytes[ZONE_S] = 0;
    rows[9].zones.bytes[ZONE_D] -= 4096;
    rows[10].zones.bytes[ZONE_D] = UINT64_MAX - MIB(2) + 1;
    rows[11].zones.bytes[ZONE_R] = MIB(64);
    rows[12].zones.bytes[ZONE_X] = MIB(514), rows[12].zones.bytes[ZONE_Z] = rows[12].zones.bytes[ZONE_D] = MIB(2);
    rows[13].least_zeros = 0;
    rows[14].least_zeros = MIB(258);
    rows[15].argument_count = LIMIT_STARTUP_STRINGS + 1;
    rows[16].environment_count = LIMIT_STARTUP_STRINGS + 1;
    struct error error;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        cr_expect_neq(control_check(&rows[i], &allowed, &error), 0, "row %zu was taken", i);
}

Test(control, refuses_zones_that_lack_a_seal)
{
    static const int seals[] = {F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL};
    int zones[4];
    struct error error;
    for (size_t missing = 0; missing <= ARRAY_LENGTH(seals); missing++) {
        for (size_t zone = 0; zone < ARRAY_LENGTH(zones); zone++) {
            zones[zone] = memfd_create("zone", MFD_CLOEXEC | MFD_ALLOW_SEALING);
            for (size_t i = 0; i < ARRAY_LENGTH(seals); i++)
                if (zone != 3 || i != missing)
                    cr_assert_eq(fcntl(zones[zone], F_ADD_SEALS, seals[i]), 0);
        }
        cr_expect_eq(control_check_seals(zones, &error), missing < ARRAY_LENGTH(seals) ? ERROR_PROTOCOL : 0);
        for (size_t zone = 0; zone < ARRAY_LENGTH(zones); zone++)
            descriptor_close(&zones[zone]);
    }
}

Test(control, closes_the_descriptors_of_a_packet_that_it_refuses)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
    struct control_start with = plain;
    with.streams = 1;
    struct {
        size_t length, fds;
        const struct control_start *start;
        enum control_outcome outcome;
    } rows[] = {
        {sizeof plain, 0, &plain, CONTROL_RECEIVED},   {sizeof plain, 3, &with, CONTROL_RECEIVED},
        {sizeof plain, 0, &with, CONTROL_BROKEN},      {sizeof plain, 3, &plain, CONTROL_BROKEN},
        {sizeof plain, 2, &with, CONTROL_BROKEN},      {sizeof plain, 5, &with, CONTROL_BROKEN},
        {sizeof plain - 1, 0, &plain, CONTROL_BROKEN},
    };
    size_t before = fds_open();
    static const int fds[5] = {0, 0, 0, 0, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct control_request request;
        struct error error;
        cr_assert_eq(descriptor_send(ends[0], rows[i].start, rows[i].length, fds, rows[i].fds),
                     (ssize_t)rows[i].length);
        cr_expect_eq(control_receive(ends[1], &request, &error), rows[i].outcome, "row %zu", i);
        control_close(&request);
        cr_expect_eq(fds_open(), before, "row %zu leaks", i);
    }
    char longer[sizeof plain + 8] = {CONTROL_START};
    struct control_request request;
    struct error error;
    cr_assert_eq(descriptor_send(ends[0], longer, sizeof longer, NULL, 0), (ssize_t)sizeof longer);
    cr_expect_eq(control_receive(ends[1], &request, &error), CONTROL_BROKEN);
    cr_expect_eq(control_receive(ends[1], &request, &error), CONTROL_WAIT);
    descriptor_close(&ends[0]);
    cr_expect_eq(control_receive(ends[1], &request, &error), CONTROL_GONE);
}
