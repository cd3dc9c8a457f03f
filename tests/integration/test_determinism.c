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
#include "tests/integration/manifest.h"
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

#define SLOWLY(what)                                                                                                   \
    "__attribute__((constructor)) static void begin(void)"                                                             \
    "{ for (unsigned i = __builtin_ia32_rdtsc() & 0x3ffff; i > 0; i--) __asm__ volatile(\"\");" what " }\n"

/* Each module has a function that calls others, data with pointers, zero data, and a constructor that takes its time.
 */
static const char module_source[] =
    "extern int data_NEXT; int function_NEXT(int); int later(int); extern int shared_common;"
    "int shared_common; static int zeros[NUMBER % 7 + 1];"
    "int data_NUMBER = NUMBER; const void *const table_NUMBER[] = {&data_NUMBER, &data_NEXT, function_NEXT, zeros};"
    "int *pointer_NUMBER = &data_NEXT;"
    "int function_NUMBER(int x) { return x ? function_NEXT(x - 1) + data_NEXT + later(x) : zeros[0] + NUMBER; }"
    "#if NUMBER % 3 == 0\n" SLOWLY("data_NUMBER++;") "#endif\n";

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

/* What a module's manifest says, which is borrowed until its batch is submitted. */
struct module_manifest {
    char name[32], names[4][32];
    struct jitd_manifest_definition definitions[2];
    struct jitd_manifest_use uses[3];
    struct jitd_manifest manifest;
};

/* Every fourth one's function is of another convention than it is called by: there is an adapter for that. */
static void add_module(struct jitd_batch *batch, int number, const struct object_bytes *object,
                       struct module_manifest *module)
{
    snprintf(module->name, sizeof module->name, "module_%d.o", number);
    for (int i = 0; i < 4; i++)
        snprintf(module->names[i], sizeof module->names[i], i % 2 ? "function_%d" : "data_%d",
                 i < 2 ? number : (number * 7 + 3) % MODULES);
    module->definitions[0] = (struct jitd_manifest_definition){.local = module->names[0]};
    module->definitions[1] = (struct jitd_manifest_definition){.local = module->names[1], .convention = 1};
    module->uses[0] = (struct jitd_manifest_use){.local = module->names[2]};
    module->uses[1] = (struct jitd_manifest_use){.local = module->names[3]};
    module->uses[2] = (struct jitd_manifest_use){.local = "later"};
    module->manifest = (struct jitd_manifest){
        .definitions = module->definitions, .definition_count = 2, .uses = module->uses, .use_count = 3};
    const struct jitd_unit_input input = {.name = module->name,
                                          .object = object->bytes,
                                          .bytes = object->length,
                                          .manifest = number % 4 == 0 ? &module->manifest : NULL};
    cr_assert_eq(jitd_batch_add_unit(batch, &input), 0);
}

static void submit_modules(struct jitd_session *session, int from, int count, struct object_bytes *objects)
{
    struct jitd_batch *batch = jitd_batch_new(0);
    struct module_manifest modules[5];
    for (int i = 0; i < count; i++) {
        char *text = module_text(from + i);
        objects[from + i] = compile_c(text, "-O1 -fPIC -w -fcommon");
        add_module(batch, from + i, &objects[from + i], &modules[i]);
        free(text);
    }
    cr_assert_eq(jitd_submit(session, batch, NULL, NULL, NULL), 0);
}

/* A unit of one object, or of a manifest alone. */
static void submit_one(struct jitd_session *session, const char *source, const struct jitd_manifest *manifest)
{
    struct object_bytes object = {0};
    struct jitd_batch *batch = jitd_batch_new(0);
    if (source)
        object = compile_c(source, "-O1 -fPIC");
    const struct jitd_unit_input input = {
        .name = "one", .object = object.bytes, .bytes = object.length, .manifest = manifest};
    cr_assert_eq(jitd_batch_add_unit(batch, &input), 0);
    cr_assert_eq(jitd_submit(session, batch, NULL, NULL, NULL), 0);
    object_free(&object);
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

/* Batches of 1 to 5 modules; what all of them need (by a name that is there from the beginning) comes last, so that
   readiness runs through all at its end, and after that come some more. */
static struct recording record(void)
{
    const struct jitd_manifest names = {ALIASES({.name = "later", .target = "last"})};
    const struct jitd_manifest last = {DEFINITIONS({.local = "last", .convention = 1})};
    struct object_bytes objects[MODULES];
    struct recording recording = {.units = MODULES + 3};
    bool all = false;
    struct jitd_session *session;
    int sockets[2], next = 0;
    cr_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    cr_assert_eq(jitd_attach(sockets[0], &(struct jitd_options){0}, NULL, NULL, &session), 0);
    submit_one(session, "void adapter(void) {}", NULL);
    submit_one(session, NULL, &names);
    cr_assert_eq(jitd_adapt(session, JITD_LIBRARY_MAIN, "adapter", 0, 1, NULL, NULL, NULL), 0);
    for (int size = 1; next < MODULES; size = size % 5 + 1) {
        int count = size < MODULES - next ? size : MODULES - next;
        submit_modules(session, next, count, objects);
        next += count;
        if (next > MODULES - 8 && !all) {
            submit_one(session, "int last(int x) { return x; }" SLOWLY(""), &last);
            all = true;
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
