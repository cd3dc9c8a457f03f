/*
 * The same submissions give the same addresses and the same bytes, whatever the timing and however they are cut: one
 * recorded conversation is played to many daemons, in pieces of random length with random pauses, while initialisers
 * take a random time in the runner; the zones must come out byte for byte alike.
 *
 * Pointers hold addresses, so the arena has to lie at one address: address space randomisation is off in these daemons.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "tests/integration/peer.h"

#ifdef JITD_SANITIZED
#define PLAYS 12
#else
#define PLAYS 100
#endif

#define LAST_REQUEST 9999

TestSuite(determinism, .timeout = 120);

/* ---- recording ---- */

struct recording {
    uint8_t *bytes; /* owned */
    size_t length;
    size_t units;
};

/* Each module has a function that calls others, data with pointers, zero data, and a constructor that takes its time.
 */
static const char module_source[] =
    "extern int data_NEXT; int function_NEXT(int); int later(int); extern int shared_common;"
    "int shared_common; static int zeros[NUMBER % 7 + 1];"
    "int data_NUMBER = NUMBER; const void *const table_NUMBER[] = {&data_NUMBER, &data_NEXT, function_NEXT, zeros};"
    "int *pointer_NUMBER = &data_NEXT;"
    "int function_NUMBER(int x) { return x ? function_NEXT(x - 1) + data_NEXT + later(x) : zeros[0] + NUMBER; }"
    "#if NUMBER % 3 == 0\n"
    "__attribute__((constructor)) static void begin(void)"
    "{ for (unsigned i = __builtin_ia32_rdtsc() & 0x3ffff; i > 0; i--) __asm__ volatile(\"\"); data_NUMBER++; }\n"
    "#endif\n";

enum { MODULES = 40 };

static char *module_text(int number)
{
    char *text = malloc(4096), *out = text;
    cr_assert(text);
    for (const char *in = module_source; *in;) {
        if (strncmp(in, "#if", 3) == 0)
            *out++ = '\n';
        if (strncmp(in, "NUMBER", 6) == 0) {
            out += sprintf(out, "%d", number);
            in += 6;
        } else if (strncmp(in, "NEXT", 4) == 0) {
            out += sprintf(out, "%d", (number * 7 + 3) % MODULES);
            in += 4;
        } else {
            *out++ = *in++;
        }
    }
    *out = '\0';
    return text;
}

static void submit_modules(struct jitd_session *session, int from, int count, struct object_bytes *objects)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    for (int i = 0; i < count; i++) {
        char *text = module_text(from + i), name[32];
        objects[from + i] = compile_c(text, "-O1 -fPIC -w -fcommon");
        snprintf(name, sizeof name, "module_%d.o", from + i);
        cr_assert_eq(jitd_batch_add(batch, name, objects[from + i].bytes, objects[from + i].length), 0);
        free(text);
    }
    cr_assert_eq(jitd_submit(session, batch, NULL, NULL, NULL), 0);
}

/* Takes what the controller sends until it has sent all. */
static void take(struct jitd_session *session, int socket, struct recording *recording)
{
    ssize_t got;
    do {
        cr_assert_eq(jitd_flush(session), 0);
        recording->bytes = realloc(recording->bytes, recording->length + KIB(64));
        cr_assert(recording->bytes);
        got = recv(socket, recording->bytes + recording->length, KIB(64), MSG_DONTWAIT);
        recording->length += got > 0 ? (size_t)got : 0;
    } while (got > 0 || jitd_queued(session) > 0);
}

/* Batches of 1 to 5 modules; what all of them need comes last, so that readiness runs through all at its end, and after
   that come some more. */
static struct recording record(void)
{
    const char *later = "int later(int x) { return x; }";
    struct object_bytes objects[MODULES], last = compile_c(later, "-O1 -fPIC");
    struct recording recording = {.units = MODULES + 1};
    struct jitd_session *session;
    int sockets[2], next = 0;
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    cr_assert_eq(jitd_attach(sockets[0], &(struct jitd_options){0}, NULL, NULL, &session), 0);
    for (int size = 1; next < MODULES; size = size % 5 + 1) {
        int count = size < MODULES - next ? size : MODULES - next;
        submit_modules(session, next, count, objects);
        next += count;
        if (next > MODULES - 8 && last.bytes) {
            struct jitd_batch *batch = jitd_batch_new(0);
            cr_assert_eq(jitd_batch_add(batch, "later.o", last.bytes, last.length), 0);
            cr_assert_eq(jitd_submit(session, batch, NULL, NULL, NULL), 0);
            object_free(&last);
            last.bytes = NULL;
        }
        take(session, sockets[1], &recording);
    }
    for (int i = 0; i < MODULES; i++)
        object_free(&objects[i]);
    jitd_close(session);
    close(sockets[1]);
    return recording;
}

/* ---- playing ---- */

static void play(struct peer *peer, const struct recording *recording, unsigned *state)
{
    size_t most = (size_t)1 << (6 + rand_r(state) % 12);
    for (size_t at = 0; at < recording->length;) {
        size_t piece = 1 + (size_t)rand_r(state) % most;
        piece = min_u64(piece, recording->length - at);
        ssize_t sent = send(peer->socket, recording->bytes + at, piece, MSG_NOSIGNAL);
        cr_assert_gt(sent, 0);
        at += (size_t)sent;
        if (rand_r(state) % 8 == 0)
            nanosleep(&(struct timespec){.tv_nsec = rand_r(state) % 200000}, NULL);
    }
}

static size_t count_ready(const Jitd__Proto__Units *news)
{
    size_t ready = 0;
    for (size_t i = 0; i < news->n_events; i++) {
        cr_assert_neq(news->events[i]->state, JITD__PROTO__UNIT_STATE__FAILED);
        ready += news->events[i]->state == JITD__PROTO__UNIT_STATE__READY;
    }
    return ready;
}

struct zone {
    uint64_t address, used, digest;
};

static void zones_after(const struct recording *recording, unsigned *state, struct zone zones[5])
{
    Jitd__Proto__Inspect inspect = JITD__PROTO__INSPECT__INIT;
    struct peer peer = peer_open();
    play(&peer, recording, state);
    peer_connect(&peer);
    for (size_t ready = 0; ready < recording->units;) {
        const ProtobufCMessage *message = peer_next(&peer);
        if (peer.frame->header.type == MESSAGE_UNITS)
            ready += count_ready((const Jitd__Proto__Units *)message);
    }
    inspect.digests = true;
    peer_send(&peer, MESSAGE_INSPECT, LAST_REQUEST, &inspect.base);
    const Jitd__Proto__Inspection *reply =
        (const Jitd__Proto__Inspection *)peer_read(&peer, MESSAGE_INSPECTION, LAST_REQUEST);
    cr_assert_eq(reply->n_zones, 5);
    for (size_t i = 0; i < 5; i++)
        zones[i] = (struct zone){reply->zones[i]->address, reply->zones[i]->used, reply->zones[i]->digest};
    peer_close(&peer);
}

Test(determinism, one_conversation_gives_the_same_bytes_at_the_same_addresses_however_it_is_cut_and_timed)
{
    const char *given = getenv("TEST_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL), state = seed;
    struct zone first[5];
    personality(ADDR_NO_RANDOMIZE);
    struct recording recording = record();
    for (int i = 0; i < PLAYS; i++) {
        struct zone zones[5];
        zones_after(&recording, &state, zones);
        if (i == 0)
            memcpy(first, zones, sizeof first);
        cr_assert_eq(memcmp(first, zones, sizeof first), 0, "play %d differs from the first (TEST_SEED=%u)", i, seed);
    }
    cr_expect(first[0].used > MODULES * 32 && first[2].digest != 0 && first[3].digest != 0);
    free(recording.bytes);
}
