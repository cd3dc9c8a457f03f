/*
 * Looking into sessions from outside: `jitctl inspect` against a daemon that listens, and clients of its inspection
 * socket that say nothing, garbage, or go in the middle. The session that is looked at is the test's own, frame by
 * frame.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "proto/inspect.h"
#include "tests/integration/peer.h"
#include "tests/integration/shell.h"

TestSuite(inspect, .timeout = 60);

struct fixture {
    struct shell shell; /* the daemon's socket is called "socket" in its directory */
    char socket[512];
    pid_t daemon;
};

/* ---- the daemon and its sessions ---- */

static void pause_ms(long milliseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
}

static struct fixture fixture_open(void)
{
    struct fixture fixture = {.shell = shell_open()};
    char own[512];
    temp_path(&fixture.shell.temp, "socket", fixture.socket);
    fixture.daemon = fork();
    cr_assert_geq(fixture.daemon, 0);
    if (fixture.daemon == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("JITD_LOG", "error", 1);
        execl(harness_daemon_path(), "jitd", "--listen", fixture.socket, NULL);
        _exit(126);
    }
    for (int i = 0; access(temp_path(&fixture.shell.temp, "socket.inspect", own), F_OK) != 0 && i < 500; i++)
        pause_ms(10);
    return fixture;
}

static void fixture_close(struct fixture *fixture)
{
    char path[512];
    int status = -1;
    kill(fixture->daemon, SIGTERM);
    cr_expect_eq(waitpid(fixture->daemon, &status, 0), fixture->daemon);
    cr_expect_eq(status, 0);
    cr_expect_lt(access(fixture->socket, F_OK), 0);
    cr_expect_lt(access(temp_path(&fixture->shell.temp, "socket.inspect", path), F_OK), 0);
    shell_close(&fixture->shell);
}

static int connect_to(const struct fixture *fixture, const char *suffix)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s%s", fixture->socket, suffix);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(length < (int)sizeof address.sun_path && fd >= 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static struct peer speak(int socket)
{
    struct peer peer = {.socket = socket};
    pool_init(&peer.pool, LIMIT_DECODE_BYTES);
    peer_connect(&peer);
    return peer;
}

static void hang_up(struct peer *peer)
{
    connection_close(peer->connection);
    frame_release(peer->frame);
    pool_fini(&peer->pool);
}

static struct peer open_session(const struct fixture *fixture)
{
    const Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    struct peer peer = speak(connect_to(fixture, ""));
    peer_send(&peer, MESSAGE_HELLO, 1, &hello.base);
    peer_read(&peer, MESSAGE_WELCOME, 1);
    return peer;
}

static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

/* The next frame that is no news of units. */
static ProtobufCMessage *read_reply(struct peer *peer, uint16_t type)
{
    ProtobufCMessage *message;
    do
        message = peer_next(peer);
    while (peer->frame->header.type == MESSAGE_UNITS);
    cr_assert(peer->frame->header.type == type, "message type %u instead of %u", peer->frame->header.type, type);
    return message;
}

/* Submits one object under `count` names and waits for the reply. */
static void submit_bytes(struct peer *peer, const struct object_bytes *object, const char *const *names, size_t count,
                         uint32_t library, uint32_t deadline_ms)
{
    Jitd__Proto__Range range = JITD__PROTO__RANGE__INIT;
    Jitd__Proto__Submit submit = JITD__PROTO__SUBMIT__INIT;
    Jitd__Proto__Unit *units = calloc(count, sizeof *units), **list = calloc(count, sizeof *list);
    cr_assert(units && list);
    range.bytes = object->length;
    for (size_t i = 0; i < count; i++) {
        jitd__proto__unit__init(&units[i]);
        units[i].name = bytes_of(names[i]);
        units[i].object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
        units[i].range = &range;
        units[i].library = library;
        list[i] = &units[i];
    }
    submit.units = list;
    submit.n_units = count;
    submit.deadline_ms = deadline_ms;
    const struct connection_range attachment = {object->bytes, object->length};
    peer_write(peer, MESSAGE_SUBMIT, 2, &submit.base, &attachment, 1, NULL, 0);
    peer_flush(peer);
    read_reply(peer, MESSAGE_SUBMITTED);
    free(units);
    free(list);
}

static void submit(struct peer *peer, const char *name, const char *source, uint32_t library, uint32_t deadline_ms)
{
    struct object_bytes object = compile_c(source, HARNESS_FLAGS);
    submit_bytes(peer, &object, &name, 1, library, deadline_ms);
    object_free(&object);
}

/* Asks the session itself until the unit is in the state. */
static void await_state(struct peer *peer, uint64_t unit, Jitd__Proto__UnitState state)
{
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    const Jitd__Proto__Inspection *reply;
    inspect.units = true;
    inspect.first_unit = unit;
    inspect.unit_limit = 1;
    for (int i = 0; i < 1000; i++, pause_ms(10)) {
        peer_send(peer, MESSAGE_INSPECT, 4, &inspect.base);
        reply = (const Jitd__Proto__Inspection *)read_reply(peer, MESSAGE_INSPECTION);
        if (reply->n_units == 1 && reply->units[0]->unit == unit && reply->units[0]->state == state)
            return;
    }
    cr_assert_fail("unit %llu does not come so far", (unsigned long long)unit);
}

/* Whether the session still answers. */
static void expect_answers(struct peer *peer)
{
    const Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    peer_send(peer, MESSAGE_INSPECT, 99, &inspect.base);
    read_reply(peer, MESSAGE_INSPECTION);
}

static void define_library(struct peer *peer, uint32_t number, const char *name)
{
    Jitd__Proto__DefineLibrary library = JITD__PROTO__DEFINE_LIBRARY__INIT;
    Jitd__Proto__Search search = JITD__PROTO__SEARCH__INIT, *searches[] = {&search};
    library.library = number;
    library.name = bytes_of(name);
    library.search = searches;
    library.n_search = 1;
    peer_send(peer, MESSAGE_DEFINE_LIBRARY, 3, &library.base);
    peer_read(peer, MESSAGE_LIBRARY_DEFINED, 3);
}

/* Unit 1 is ready; 2 misses a name; 3 waits for 2; 4 has failed; 5 is ready, in a library of its own. */
static struct peer open_populated(const struct fixture *fixture)
{
    struct peer peer = open_session(fixture);
    define_library(&peer, 7, "a \"b\" library");
    submit(&peer, "ready.o", "int one(void) { return 1; }", 0, 0);
    await_state(&peer, 1, JITD__PROTO__UNIT_STATE__READY);
    submit(&peer, "lacks.o", "int one(void); int never(void); int two(void) { return one() + never(); }", 0, 0);
    submit(&peer, "waits.o", "int two(void); int three(void) { return two(); }", 0, 0);
    submit(&peer, "failed.o", "int gone(void); int four(void) { return gone(); }", 0, 1);
    await_state(&peer, 4, JITD__PROTO__UNIT_STATE__FAILED);
    submit(&peer, "odd\"\\\x1b[2J.o", "int one(void); int five(void) { return one(); }", 7, 0);
    await_state(&peer, 5, JITD__PROTO__UNIT_STATE__READY);
    return peer;
}

/* ---- jitctl ---- */

static void expect_shown(const struct fixture *fixture, const char *const *wanted, size_t count)
{
    cr_expect(fixture->shell.status == 0, "status %d: %s", fixture->shell.status, (char *)fixture->shell.error.bytes);
    for (size_t i = 0; i < count; i++)
        cr_expect(strstr((char *)fixture->shell.out.bytes, wanted[i]), "no '%s' in:\n%s", wanted[i],
                  (char *)fixture->shell.out.bytes);
}

static void expect_refused(const struct fixture *fixture, const char *words)
{
    cr_expect(fixture->shell.status == 125, "status %d", fixture->shell.status);
    cr_expect(strstr((char *)fixture->shell.error.bytes, words), "no '%s' in: %s", words,
              (char *)fixture->shell.error.bytes);
}

Test(inspect, tells_people_what_waits_and_for_what)
{
    static const char *const shown[] = {
        "session 1, open, ",
        "\nX     0x",
        "\nlibrary 0: main\n",
        "\nlibrary 7, searches 0: a \"b\" library\n",
        "\nunit 2, resolved, library 0: lacks.o\n  missing never\n",
        "\nunit 3, resolved, library 0: waits.o\n  waits for unit 2\n",
        "\nunit 4, failed, library 0: failed.o\n",
        "\n5 units: 2 resolved, 2 ready, 1 failed\n",
    };
    static const char *const detailed[] = {
        "\nunit 1, ready, library 0: ready.o\n  0x",
        "  one\n",
        "\nunit 5, ready, library 7: odd\"\\\\x1b[2J.o\n",
        "  five\n  uses 1\n",
    };
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, shown, ARRAY_LENGTH(shown));
    cr_expect_null(strstr((char *)fixture.shell.out.bytes, "ready.o"), "a unit that nobody wonders about is shown");
    shell_run(&fixture.shell, "$J inspect --units socket");
    expect_shown(&fixture, detailed, ARRAY_LENGTH(detailed));
    expect_answers(&peer);
    hang_up(&peer);
    fixture_close(&fixture);
}

Test(inspect, tells_programs_everything_as_json)
{
    static const char *const shown[] = {
        "\"name\": \"a \\\"b\\\" library\"",
        "\"name\": \"odd\\\"\\\\\\u001b[2J.o\"",
    };
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    shell_run(&fixture.shell, "$J inspect --json --session 1 socket");
    expect_shown(&fixture, shown, ARRAY_LENGTH(shown));
    hang_up(&peer);
    fixture_close(&fixture);
}

Test(inspect, tells_programs_what_they_can_parse)
{
    SKIP_WITHOUT("python3");
    static const char check[] =
        "import json,sys\n"
        "s,=json.load(sys.stdin)[\"sessions\"]\n"
        "assert s[\"session\"]==1 and s[\"state\"]==\"open\" and s[\"linker\"]>1, s\n"
        "i=s[\"inspection\"]\n"
        "u={x[\"unit\"]:x for x in i[\"units\"]}\n"
        "assert [u[k][\"state\"] for k in sorted(u)]==[\"ready\",\"resolved\",\"resolved\",\"failed\",\"ready\"], u\n"
        "assert u[2][\"uses\"]==[1] and u[2][\"missing\"]==[\"never\"] and \"waits_for\" not in u[2], u\n"
        "assert u[3][\"uses\"]==[2] and u[3][\"waits_for\"]==2, u\n"
        "assert u[5][\"library\"]==7 and u[5][\"definitions\"][0][\"name\"]==\"five\", u\n"
        "assert u[1][\"extents\"][0][\"zone\"]==\"X\" and [z[\"name\"] for z in i[\"zones\"]]==list(\"XSRDZ\"), i\n"
        "assert {l[\"library\"]:l[\"search\"] for l in i[\"libraries\"]}=={0:[],7:[{\"library\":0,\"hidden\":False,"
        "\"re_export\":False}]}, i\n";
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    shell_run(&fixture.shell, "$J inspect --json socket | python3 -c '%s'", check);
    cr_expect(fixture.shell.status == 0, "%s", (char *)fixture.shell.error.bytes);
    hang_up(&peer);
    fixture_close(&fixture);
}

Test(inspect, draws_units_and_what_connects_them)
{
    static const char *const shown[] = {
        "digraph session {\n",
        "subgraph cluster_7 { label=\"a \\\"b\\\" library\"; }\n",
        "subgraph cluster_0 { u1 [label=\"ready.o\", tooltip=\"unit 1, ready\", fillcolor=\"#b8e8b8\"]; }\n",
        "tooltip=\"unit 4, failed\", fillcolor=\"#f4a8a8\"]; }\n",
        "subgraph cluster_7 { u5 [label=\"odd\\\"\\\\\\\\x1b[2J.o\", ",
        "\n  u2 -> u1;\n",
        "\n  u3 -> u2;\n  u3 -> u2 [style=bold, color=red, label=\"waits\"];\n",
        "\n  u5 -> u1;\n",
        "\n  \"missing never\" [style=dashed, label=\"never\"];\n  u2 -> \"missing never\" [style=dashed];\n",
    };
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    shell_run(&fixture.shell, "$J inspect --dot socket");
    expect_shown(&fixture, shown, ARRAY_LENGTH(shown));
    cr_expect_str_eq((char *)fixture.shell.out.bytes + fixture.shell.out.length - 3, "\n}\n");
    hang_up(&peer);
    fixture_close(&fixture);
}

Test(inspect, draws_what_graphviz_understands)
{
    SKIP_WITHOUT("dot");
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    shell_run(&fixture.shell, "$J inspect --dot socket | dot -Tsvg >/dev/null");
    cr_expect(fixture.shell.status == 0 && fixture.shell.error.length == 0, "%s", (char *)fixture.shell.error.bytes);
    hang_up(&peer);
    fixture_close(&fixture);
}

static void adapt(struct peer *peer, uint64_t wanted, uint64_t given, const char *symbol)
{
    Jitd__Proto__Adapt message = JITD__PROTO__ADAPT__INIT;
    message.wanted = wanted;
    message.given = given;
    message.symbol = bytes_of(symbol);
    peer_send(peer, MESSAGE_ADAPT, 5, &message.base);
    read_reply(peer, MESSAGE_ADAPTED);
}

Test(inspect, shows_the_adapters_of_units)
{
    static const char *const shown[] = {"\nunit 1, ready, library 0: box.o\n  adapts calls by 5 to functions of 6, 0x",
                                        ", 0 of them so far: box\n  adapts calls by 7 to functions of 6, 0x"};
    static const char *const json[] = {"\"wanted\": 5,", "\"given\": 6,", "\"symbol\": \"box\",", "\"ways\": 0"};
    static const char *const dot[] = {"tooltip=\"unit 1, ready\\n5 to 6: box, 0 ways\\n7 to 6: box, 0 ways\"",
                                      "peripheries=2]"};
    struct fixture fixture = fixture_open();
    struct peer peer = open_session(&fixture);
    submit(&peer, "box.o", "int box(void) { return 1; }", 0, 0);
    await_state(&peer, 1, JITD__PROTO__UNIT_STATE__READY);
    adapt(&peer, 5, 6, "box");
    adapt(&peer, 7, 6, "box");
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, shown, ARRAY_LENGTH(shown));
    shell_run(&fixture.shell, "$J inspect --json socket");
    expect_shown(&fixture, json, ARRAY_LENGTH(json));
    shell_run(&fixture.shell, "$J inspect --dot socket");
    expect_shown(&fixture, dot, ARRAY_LENGTH(dot));
    hang_up(&peer);
    fixture_close(&fixture);
}

Test(inspect, lists_sessions_where_there_is_not_exactly_one)
{
    static const char *const none[] = {"no sessions\n"};
    static const char *const both[] = {"session  state ", "\n1        open ", "\n2        open "};
    static const char *const second[] = {"session 2, open, ", "\n0 units\n"};
    static const char *const early[] = {"\n3        starting "};
    struct fixture fixture = fixture_open();
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, none, ARRAY_LENGTH(none));
    shell_run(&fixture.shell, "$J inspect --json socket | tr -d ' \\n'");
    cr_expect_str_eq((char *)fixture.shell.out.bytes, "{\"sessions\":[]}");
    struct peer first = open_populated(&fixture), other = open_session(&fixture);
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, both, ARRAY_LENGTH(both));
    shell_run(&fixture.shell, "$J inspect --session 2 socket");
    expect_shown(&fixture, second, ARRAY_LENGTH(second));
    expect_refused((shell_run(&fixture.shell, "$J inspect --dot socket"), &fixture), "there are 2 sessions; --session");
    expect_refused((shell_run(&fixture.shell, "$J inspect --session 3 socket"), &fixture), "there is no session 3");
    int mute = connect_to(&fixture, "");
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, early, ARRAY_LENGTH(early));
    expect_refused((shell_run(&fixture.shell, "$J inspect --session 3 socket"), &fixture),
                   "session 3 is still starting");
    close(mute);
    hang_up(&first);
    hang_up(&other);
    fixture_close(&fixture);
}

Test(inspect, says_what_is_wrong_with_a_command_line)
{
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"inspect", "takes the socket of one daemon"},
        {"inspect a b", "takes the socket of one daemon"},
        {"inspect --json --dot a", "exclude each other"},
        {"inspect --session x a", "--session takes a number"},
        {"inspect nothing", "cannot connect to nothing.inspect: No such file or directory; is there a daemon"},
        {"link --dot a.o", "is no option of this command"},
    };
    struct fixture fixture = fixture_open();
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        shell_run(&fixture.shell, "$J %s", rows[i].line);
        expect_refused(&fixture, rows[i].words);
    }
    fixture_close(&fixture);
}

/* ---- other clients of the socket ---- */

static int request(const struct fixture *fixture, uint32_t magic, uint32_t kind, uint64_t session)
{
    const struct inspect_request wanted = {.magic = magic, .kind = kind, .session = session};
    int fd = connect_to(fixture, INSPECT_SUFFIX);
    cr_assert_eq(send(fd, &wanted, sizeof wanted, MSG_NOSIGNAL), (ssize_t)sizeof wanted);
    return fd;
}

static struct inspect_answer answer_on(int fd)
{
    struct inspect_answer answer = {0};
    cr_assert_eq(recv(fd, &answer, sizeof answer, MSG_WAITALL), (ssize_t)sizeof answer);
    cr_expect_eq(answer.magic, INSPECT_MAGIC);
    return answer;
}

static int attach(const struct fixture *fixture)
{
    int fd = request(fixture, INSPECT_MAGIC, INSPECT_ATTACH, 1);
    cr_assert_eq(answer_on(fd).status, INSPECT_OK);
    return fd;
}

static void expect_end(int fd, const char *after)
{
    char bytes[4096];
    ssize_t got;
    do {
        cr_assert(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, HARNESS_PATIENCE) == 1, "no end after %s",
                  after);
        got = recv(fd, bytes, sizeof bytes, 0);
    } while (got > 0);
    close(fd);
}

/* An observer that has asked; how it is answered is told by the next frame. */
static struct peer observe(const struct fixture *fixture)
{
    const Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    struct peer peer = speak(attach(fixture));
    peer_write(&peer, MESSAGE_INSPECT, 5, &inspect.base, NULL, 0, NULL, 0);
    struct error error;
    connection_flush(peer.connection, &error); /* one that is turned away may be gone already */
    return peer;
}

Test(inspect, has_a_socket_for_its_owner_alone)
{
    struct stat status;
    char path[512];
    struct fixture fixture = fixture_open();
    cr_assert_eq(stat(temp_path(&fixture.shell.temp, "socket.inspect", path), &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0600);
    fixture_close(&fixture);
}

Test(inspect, drops_clients_that_ask_for_nothing_and_has_few_of_them)
{
    int silent[LIMIT_INSPECT_CLIENTS];
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
        silent[i] = connect_to(&fixture, INSPECT_SUFFIX);
    send(silent[0], "half", 4, MSG_NOSIGNAL);
    expect_refused((shell_run(&fixture.shell, "$J inspect socket"), &fixture), "too many inspectors");
    for (size_t i = 0; i < ARRAY_LENGTH(silent); i++)
        expect_end(silent[i], "saying nothing");
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, NULL, 0);
    int pending = connect_to(&fixture, INSPECT_SUFFIX); /* does not keep the daemon from ending */
    expect_answers(&peer);
    hang_up(&peer);
    fixture_close(&fixture);
    close(pending);
}

Test(inspect, refuses_requests_that_it_does_not_know)
{
    static const struct {
        uint32_t magic, kind;
        uint64_t session;
        enum inspect_status status;
    } rows[] = {
        {INSPECT_MAGIC + 1, INSPECT_LIST, 0, INSPECT_MALFORMED},
        {INSPECT_MAGIC, 0, 0, INSPECT_MALFORMED},
        {INSPECT_MAGIC, INSPECT_ATTACH + 1, 1, INSPECT_MALFORMED},
        {INSPECT_MAGIC, INSPECT_ATTACH, 0, INSPECT_NO_SESSION},
        {INSPECT_MAGIC, INSPECT_ATTACH, UINT64_MAX, INSPECT_NO_SESSION},
    };
    struct fixture fixture = fixture_open();
    struct peer peer = open_session(&fixture);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        int fd = request(&fixture, rows[i].magic, rows[i].kind, rows[i].session);
        cr_expect(answer_on(fd).status == rows[i].status, "row %zu", i);
        expect_end(fd, "a refusal");
    }
    expect_answers(&peer);
    hang_up(&peer);
    fixture_close(&fixture);
}

Test(inspect, lets_an_observer_ask_and_do_nothing_else)
{
    const Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    Jitd__Proto__Call call;
    const Jitd__Proto__Submit submission = JITD__PROTO__SUBMIT__INIT;
    const Jitd__Proto__Cancel cancel = JITD__PROTO__CANCEL__INIT;
    const struct {
        uint16_t type;
        const ProtobufCMessage *message;
    } rows[] = {{MESSAGE_HELLO, &hello.base},
                {MESSAGE_CALL, &call.base},
                {MESSAGE_SUBMIT, &submission.base},
                {MESSAGE_CANCEL, &cancel.base}};
    jitd__proto__call__init(&call);
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture), observer = observe(&fixture);
    peer_read(&observer, MESSAGE_INSPECTION, 5);
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        peer_send(&observer, rows[i].type, i + 6, rows[i].message);
        peer_expect_failed(&observer, i + 6, ERROR_UNSUPPORTED);
    }
    Jitd__Proto__Inspect digests = JITD__PROTO__INSPECT__INIT;
    digests.digests = true;
    peer_send(&observer, MESSAGE_INSPECT, 20, &digests.base);
    peer_expect_failed(&observer, 20, ERROR_UNSUPPORTED);
    for (uint64_t i = 30; i < 40; i++) /* asked without waiting, answered one after the other */
        peer_write(&observer, MESSAGE_INSPECT, i, &(const Jitd__Proto__Inspect)JITD__PROTO__INSPECT__INIT.base, NULL, 0,
                   NULL, 0);
    peer_flush(&observer);
    for (uint64_t i = 30; i < 40; i++)
        peer_read(&observer, MESSAGE_INSPECTION, i);
    hang_up(&observer);
    expect_answers(&peer);
    hang_up(&peer);
    fixture_close(&fixture);
}

/* Attaches as soon as that is possible, which is before the session is open, and asks at once. */
Test(inspect, answers_when_the_session_is_open_who_asked_before)
{
    const Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    const Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    struct fixture fixture = fixture_open();
    for (uint64_t session = 1; session <= 5; session++) {
        struct peer peer = speak(connect_to(&fixture, ""));
        peer_send(&peer, MESSAGE_HELLO, 1, &hello.base);
        int fd = request(&fixture, INSPECT_MAGIC, INSPECT_ATTACH, session);
        for (int i = 0; answer_on(fd).status != INSPECT_OK && i < 100000; i++) {
            close(fd);
            fd = request(&fixture, INSPECT_MAGIC, INSPECT_ATTACH, session);
        }
        struct peer observer = speak(fd);
        peer_send(&observer, MESSAGE_INSPECT, 5, &inspect.base);
        peer_read(&observer, MESSAGE_INSPECTION, 5);
        hang_up(&observer);
        peer_read(&peer, MESSAGE_WELCOME, 1);
        hang_up(&peer);
    }
    fixture_close(&fixture);
}

Test(inspect, goes_on_whatever_an_observer_sends)
{
    uint8_t large[FRAME_BYTES], half[FRAME_BYTES], garbage[256];
    struct frame_header header = {.type = MESSAGE_INSPECT, .request = 1, .message_bytes = MIB(16)};
    frame_encode(&header, large);
    header.message_bytes = 8;
    frame_encode(&header, half);
    memset(garbage, 0xa5, sizeof garbage);
    const struct {
        const char *what;
        const void *bytes;
        size_t length;
        bool ends;
    } rows[] = {{"garbage", garbage, sizeof garbage, true},
                {"the header of a large frame", large, sizeof large, true},
                {"half a frame", half, sizeof half, false},
                {"nothing", half, 0, false}};
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    for (size_t i = 0; i < 6 * ARRAY_LENGTH(rows); i++) {
        size_t row = i % ARRAY_LENGTH(rows);
        int fd = attach(&fixture);
        send(fd, rows[row].bytes, rows[row].length, MSG_NOSIGNAL);
        if (rows[row].ends)
            expect_end(fd, rows[row].what);
        else
            close(fd);
        expect_answers(&peer);
    }
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, NULL, 0);
    hang_up(&peer);
    fixture_close(&fixture);
}

Test(inspect, takes_four_observers_of_a_session_and_tells_the_fifth)
{
    struct peer observers[LIMIT_OBSERVERS];
    struct fixture fixture = fixture_open();
    struct peer peer = open_populated(&fixture);
    for (size_t i = 0; i < ARRAY_LENGTH(observers); i++) {
        observers[i] = observe(&fixture);
        peer_read(&observers[i], MESSAGE_INSPECTION, 5);
    }
    struct peer fifth = observe(&fixture);
    peer_expect_failed(&fifth, 0, ERROR_LIMIT);
    hang_up(&fifth);
    expect_refused((shell_run(&fixture.shell, "$J inspect socket"), &fixture), "the session has 4 observers already");
    for (size_t i = 0; i < ARRAY_LENGTH(observers); i++)
        hang_up(&observers[i]);
    expect_answers(&peer); /* by now the linker has seen them go */
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, NULL, 0);
    hang_up(&peer);
    fixture_close(&fixture);
}

#define CROWD 20000

/* Many units with long names: lists of them fill many pages. */
static void submit_crowd(struct peer *peer)
{
    static char texts[CROWD][64];
    static const char *names[CROWD];
    struct object_bytes object = compile_assembly(".data\n.byte 1\n", NULL);
    for (size_t i = 0; i < CROWD; i++) {
        snprintf(texts[i], sizeof texts[i], "a/rather/long/name/of/a/unit/number_%05zu.o", i + 1);
        names[i] = texts[i];
    }
    submit_bytes(peer, &object, names, CROWD, 0, 0);
    object_free(&object);
}

Test(inspect, lists_a_large_session_in_pages_that_are_bounded)
{
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    const Jitd__Proto__Inspection *page;
    uint64_t units = 0, pages = 0;
    struct fixture fixture = fixture_open();
    struct peer peer = open_session(&fixture);
    submit_crowd(&peer);
    struct peer observer = speak(attach(&fixture));
    inspect.units = true;
    do {
        peer_send(&observer, MESSAGE_INSPECT, ++pages, &inspect.base);
        page = (const Jitd__Proto__Inspection *)peer_read(&observer, MESSAGE_INSPECTION, pages);
        cr_expect_leq(observer.frame->header.message_bytes, LIMIT_OBSERVER_REPLY_BYTES);
        units += page->n_units;
        inspect.first_unit = page->next_unit;
    } while (page->next_unit != 0);
    cr_expect_eq(units, CROWD);
    cr_expect_gt(pages, 2);
    hang_up(&observer);
    shell_run(&fixture.shell, "$J inspect --units socket | grep -c number_");
    cr_expect_eq(atoi((char *)fixture.shell.out.bytes), CROWD);
    expect_answers(&peer);
    hang_up(&peer);
    fixture_close(&fixture);
}

/* Asks and goes, sometimes with the answer unread in the socket, sometimes still to be sent. */
Test(inspect, is_not_disturbed_by_observers_that_go_in_the_middle)
{
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    struct fixture fixture = fixture_open();
    struct peer peer = open_session(&fixture);
    submit_crowd(&peer);
    inspect.units = true;
    for (int i = 0; i < 24; i++) {
        struct peer observer = speak(attach(&fixture));
        peer_send(&observer, MESSAGE_INSPECT, 1, &inspect.base);
        if (i % 2)
            cr_assert(poll(&(struct pollfd){.fd = connection_fd(observer.connection), .events = POLLIN}, 1,
                           HARNESS_PATIENCE) == 1);
        hang_up(&observer);
        expect_answers(&peer);
    }
    shell_run(&fixture.shell, "for i in 1 2 3 4 5; do $J inspect --units socket | head -n 1; done");
    shell_run(&fixture.shell, "$J inspect socket");
    expect_shown(&fixture, NULL, 0);
    expect_answers(&peer);
    hang_up(&peer);
    fixture_close(&fixture);
}
