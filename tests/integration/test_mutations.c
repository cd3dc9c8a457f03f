/*
 * Conversations at random of a controller that keeps to the schema and to nothing else: batches, removals, redirections
 * and the rest about a few names, most of them as a sound one would send them, some changed in a place or two
 * (mutate.h). Whatever is sent, each request gets one answer, the session goes on, and in the end no process is left.
 *
 * MUTATIONS=N holds N conversations instead of a few, from seed MUTATIONS_SEED on; a failure names its seed.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/bytes.h"
#include "tests/integration/mutate.h"
#include "tests/integration/peer.h"
#include "tests/stress/random.h"

#define CONVERSATIONS 6
#define REQUESTS      150
#define NAMES         12
#define LIBRARIES     3
#define CONVENTIONS   3
#define MOST          3 /* of a list's elements */
#define LAZY_MS       30

static const char *const sources[] = {
    "long f(long n) { return n + 1; }\n",
    "long g(long n);\nlong f(long n) { return n > 9 ? n : g(n + 1) + 1; }\n",
    "static long zeros[40]; long d = 3;\n"
    "__attribute__((constructor)) static void begin(void) { zeros[1] = d++; }\n"
    "__attribute__((destructor)) static void end(void) { zeros[1] = d--; }\n"
    "int f(const void *bytes, unsigned long n) { return n == 1; }\n",
    "int g(const void *bytes, unsigned long n);\n"
    "__attribute__((constructor)) static void begin(void) { g(0, 0); }\n"
    "long f(long n) { return n; }\n",
};

enum { SOURCES = ARRAY_LENGTH(sources) };

struct conversation {
    struct peer peer;
    struct pool pool; /* of the request being made */
    uint64_t state;   /* of random_draw */
    struct object_bytes objects[SOURCES];
    struct connection_range attachment[SOURCES];
    bool open[REQUESTS + 1]; /* by the number of the request: no answer yet */
    uint64_t ask;            /* the last question */
};

static uint64_t draw(struct conversation *conversation, uint64_t below)
{
    return random_draw(&conversation->state, below);
}

static void *make(struct conversation *conversation, size_t count, size_t size)
{
    void *memory = pool_allocate_array(&conversation->pool, count, size);
    cr_assert(memory);
    return memory;
}

/* A list of so many new messages of a type. */
#define MAKE_LIST(conversation, list, count, type)                                                                     \
    do {                                                                                                               \
        (list) = make((conversation), (count), sizeof *(list));                                                        \
        for (size_t made_ = 0; made_ < (count); made_++) {                                                             \
            (list)[made_] = make((conversation), 1, sizeof **(list));                                                  \
            type##__init((list)[made_]);                                                                               \
        }                                                                                                              \
    } while (0)

/* ---- what requests are made of ---- */

static ProtobufCBinaryData text(const char *string)
{
    return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

static ProtobufCBinaryData name(struct conversation *conversation)
{
    static const char *const process[] = {"labs", "getpid", "memset", "environ"};
    static char names[NAMES][4];
    uint64_t number = draw(conversation, NAMES + 1);
    if (number == NAMES)
        return text(process[draw(conversation, ARRAY_LENGTH(process))]);
    snprintf(names[number], sizeof names[number], "n%u", (unsigned)number);
    return text(names[number]);
}

static uint32_t library(struct conversation *conversation)
{
    return draw(conversation, 4) ? 0 : (uint32_t)draw(conversation, LIBRARIES + 1);
}

static uint64_t convention(struct conversation *conversation)
{
    return draw(conversation, 3) ? 0 : draw(conversation, CONVENTIONS);
}

/* Few of all bits; often the one that says weak, so that a name that is there already does no harm. */
static uint32_t flags(struct conversation *conversation, unsigned bits)
{
    return (uint32_t)(draw(conversation, 1u << bits) & draw(conversation, 1u << bits)) |
           (draw(conversation, 3) ? 1 : 0);
}

static void make_manifest(struct conversation *conversation, Jitd__Proto__Manifest *manifest)
{
    manifest->n_absolutes = draw(conversation, 6) == 0;
    MAKE_LIST(conversation, manifest->absolutes, manifest->n_absolutes, jitd__proto__absolute);
    for (size_t i = 0; i < manifest->n_absolutes; i++) {
        manifest->absolutes[i]->name = name(conversation);
        manifest->absolutes[i]->address = draw(conversation, UINT64_MAX);
        manifest->absolutes[i]->flags = flags(conversation, 4);
    }
    manifest->n_aliases = draw(conversation, MOST);
    MAKE_LIST(conversation, manifest->aliases, manifest->n_aliases, jitd__proto__alias);
    for (size_t i = 0; i < manifest->n_aliases; i++) {
        manifest->aliases[i]->name = name(conversation);
        manifest->aliases[i]->target = name(conversation);
        manifest->aliases[i]->library = library(conversation);
        manifest->aliases[i]->flags = flags(conversation, 4);
    }
    manifest->n_lazies = draw(conversation, MOST);
    MAKE_LIST(conversation, manifest->lazies, manifest->n_lazies, jitd__proto__lazy_definition);
    for (size_t i = 0; i < manifest->n_lazies; i++) {
        manifest->lazies[i]->name = name(conversation);
        manifest->lazies[i]->target = name(conversation);
        manifest->lazies[i]->library = library(conversation);
        manifest->lazies[i]->flags = flags(conversation, 4);
        manifest->lazies[i]->convention = convention(conversation);
    }
    manifest->n_actions = draw(conversation, 3) ? 0 : draw(conversation, MOST);
    MAKE_LIST(conversation, manifest->actions, manifest->n_actions, jitd__proto__action);
    for (size_t i = 0; i < manifest->n_actions; i++) {
        manifest->actions[i]->publish = name(conversation);
        manifest->actions[i]->publish_argument = text("ab" + draw(conversation, 3));
        if (draw(conversation, 2))
            manifest->actions[i]->remove = name(conversation);
    }
}

static void make_unit(struct conversation *conversation, Jitd__Proto__Unit *unit, uint64_t source)
{
    unit->name = text("unit");
    unit->tag = draw(conversation, 4);
    unit->library = library(conversation);
    if (draw(conversation, 4) == 0 || source == SOURCES) {
        unit->manifest = make(conversation, 1, sizeof *unit->manifest);
        jitd__proto__manifest__init(unit->manifest);
        make_manifest(conversation, unit->manifest);
    }
    if (source == SOURCES)
        return;
    unit->object_case = JITD__PROTO__UNIT__OBJECT_RANGE;
    unit->range = make(conversation, 1, sizeof *unit->range);
    jitd__proto__range__init(unit->range);
    for (uint64_t i = 0; i < source; i++)
        unit->range->offset += align_up(conversation->attachment[i].length, 16);
    unit->range->bytes = conversation->attachment[source].length;
}

static void add_name(Jitd__Proto__Entries *entries, ProtobufCBinaryData added)
{
    if (added.len)
        memcpy(entries->names.data + entries->names.len, added.data, added.len);
    entries->names.len += added.len;
    entries->name_bytes[entries->n_name_bytes++] = (uint32_t)added.len;
}

/* Each object defines f; the second and the fourth use g. */
static void add_entries(struct conversation *conversation, Jitd__Proto__Entries *entries, uint64_t source)
{
    bool with_object = source < SOURCES, uses = with_object && source % 2 == 1;
    if (with_object) {
        add_name(entries, text("f"));
        add_name(entries, name(conversation));
        entries->definition_flags[entries->n_definition_flags++] = flags(conversation, 5);
        entries->definition_conventions[entries->n_definition_conventions++] = convention(conversation);
    }
    if (uses) {
        add_name(entries, text("g"));
        add_name(entries, name(conversation));
        entries->use_flags[entries->n_use_flags++] = draw(conversation, 2) ? 4 : flags(conversation, 3);
        entries->use_conventions[entries->n_use_conventions++] = convention(conversation);
        entries->use_libraries[entries->n_use_libraries++] = library(conversation);
    }
    entries->unit_definitions[entries->n_unit_definitions++] = with_object;
    entries->unit_uses[entries->n_unit_uses++] = uses;
}

static Jitd__Proto__Entries *new_entries(struct conversation *conversation)
{
    Jitd__Proto__Entries *entries = make(conversation, 1, sizeof *entries);
    jitd__proto__entries__init(entries);
    entries->names.data = make(conversation, MOST * 4, sizeof(char[8]));
    entries->name_bytes = make(conversation, MOST * 4, sizeof(uint32_t));
    uint32_t **const columns[] = {&entries->definition_flags, &entries->use_flags, &entries->use_libraries,
                                  &entries->unit_definitions, &entries->unit_uses};
    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
        *columns[i] = make(conversation, MOST, sizeof(uint32_t));
    entries->definition_conventions = make(conversation, MOST, sizeof(uint64_t));
    entries->use_conventions = make(conversation, MOST, sizeof(uint64_t));
    return entries;
}

static ProtobufCBinaryData *make_names(struct conversation *conversation, size_t count)
{
    ProtobufCBinaryData *names = make(conversation, count, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = name(conversation);
    return names;
}

static uint64_t *make_numbers(struct conversation *conversation, size_t count, uint64_t below)
{
    uint64_t *numbers = make(conversation, count, sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = draw(conversation, below);
    return numbers;
}

/* ---- requests ---- */

typedef void fill_function(struct conversation *conversation, ProtobufCMessage *message);

static void fill_submit(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Submit *submit = (Jitd__Proto__Submit *)message;
    submit->n_units = 1 + draw(conversation, MOST);
    MAKE_LIST(conversation, submit->units, submit->n_units, jitd__proto__unit);
    submit->entries = new_entries(conversation);
    for (size_t i = 0; i < submit->n_units; i++) {
        uint64_t source = draw(conversation, SOURCES + 1);
        make_unit(conversation, submit->units[i], source);
        add_entries(conversation, submit->entries, source);
    }
    submit->closed = draw(conversation, 4) == 0;
    submit->atomic = draw(conversation, 6) == 0;
    submit->report_addresses = draw(conversation, 4) == 0;
    submit->deadline_ms = draw(conversation, 4) ? 0 : 20;
}

static void fill_call(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Call *call = (Jitd__Proto__Call *)message;
    call->function_case = JITD__PROTO__CALL__FUNCTION_SYMBOL;
    call->symbol = name(conversation);
    call->library = library(conversation);
    call->result = JITD__PROTO__VALUE_TYPE__INT64;
    call->n_arguments = 2;
    MAKE_LIST(conversation, call->arguments, call->n_arguments, jitd__proto__value);
    for (size_t i = 0; i < 2; i++)
        call->arguments[i]->type = JITD__PROTO__VALUE_TYPE__INT64;
}

static void fill_run(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Run *run = (Jitd__Proto__Run *)message;
    uint64_t source = draw(conversation, SOURCES);
    run->unit = make(conversation, 1, sizeof *run->unit);
    jitd__proto__unit__init(run->unit);
    make_unit(conversation, run->unit, source);
    run->entries = new_entries(conversation);
    add_entries(conversation, run->entries, source);
    run->call = make(conversation, 1, sizeof *run->call);
    jitd__proto__call__init(run->call);
    fill_call(conversation, &run->call->base);
    run->call->symbol = (ProtobufCBinaryData){run->entries->name_bytes[1], run->entries->names.data + 1};
}

static void fill_lookup(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Lookup *lookup = (Jitd__Proto__Lookup *)message;
    lookup->n_names = draw(conversation, MOST + 1);
    lookup->names = make_names(conversation, lookup->n_names);
    lookup->library = library(conversation);
    lookup->wait = draw(conversation, 2);
}

static void fill_inspect(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Inspect *inspect = (Jitd__Proto__Inspect *)message;
    inspect->units = inspect->dependencies = inspect->libraries = true;
    inspect->first_unit = draw(conversation, 50);
    inspect->unit_limit = (uint32_t)draw(conversation, 50);
}

static void fill_define_library(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__DefineLibrary *define = (Jitd__Proto__DefineLibrary *)message;
    define->library = 1 + (uint32_t)draw(conversation, LIBRARIES);
    define->name = text("library");
    define->n_search = draw(conversation, MOST);
    MAKE_LIST(conversation, define->search, define->n_search, jitd__proto__search);
    for (size_t i = 0; i < define->n_search; i++) {
        define->search[i]->library = (uint32_t)draw(conversation, LIBRARIES);
        define->search[i]->hidden = draw(conversation, 2);
        define->search[i]->re_export = draw(conversation, 2);
    }
    define->process_symbols = draw(conversation, 3);
    define->n_process_names = draw(conversation, MOST);
    define->process_names = make_names(conversation, define->n_process_names);
}

static void fill_cancel(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Cancel *cancel = (Jitd__Proto__Cancel *)message;
    cancel->request = draw(conversation, REQUESTS);
    cancel->n_units = draw(conversation, 2) ? 0 : 200;
    cancel->units = make_numbers(conversation, cancel->n_units, 200);
}

static void fill_remove(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Remove *remove = (Jitd__Proto__Remove *)message;
    remove->n_units = draw(conversation, 4) ? draw(conversation, MOST) : draw(conversation, 50);
    remove->units = make_numbers(conversation, remove->n_units, 200);
    remove->n_tags = draw(conversation, 4) == 0;
    remove->tags = make_numbers(conversation, remove->n_tags, 4);
    remove->n_libraries = draw(conversation, 32) == 0;
    remove->libraries = make(conversation, 1, sizeof *remove->libraries);
    remove->libraries[0] = library(conversation);
    remove->cascade = draw(conversation, 2);
}

static void fill_refuse(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Refuse *refuse = (Jitd__Proto__Refuse *)message;
    refuse->ask = conversation->ask;
    refuse->text = text("no");
}

static void fill_redirect(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Redirect *redirect = (Jitd__Proto__Redirect *)message;
    redirect->n_symbols = redirect->n_targets = draw(conversation, MOST);
    redirect->symbols = make_names(conversation, redirect->n_symbols);
    redirect->targets = make_names(conversation, redirect->n_targets);
    for (size_t i = 0; i < redirect->n_targets; i++)
        redirect->targets[i].len *= draw(conversation, 4) != 0;
    redirect->library = library(conversation);
}

static void fill_adapt(struct conversation *conversation, ProtobufCMessage *message)
{
    Jitd__Proto__Adapt *adapt = (Jitd__Proto__Adapt *)message;
    adapt->wanted = draw(conversation, CONVENTIONS);
    adapt->given = draw(conversation, CONVENTIONS);
    adapt->symbol = name(conversation);
    adapt->library = library(conversation);
}

static const struct {
    uint16_t type;
    unsigned weight;
    fill_function *fill;
} requests[] = {
    {MESSAGE_SUBMIT, 10, fill_submit},  {MESSAGE_CALL, 6, fill_call},
    {MESSAGE_RUN, 2, fill_run},         {MESSAGE_LOOKUP, 2, fill_lookup},
    {MESSAGE_INSPECT, 1, fill_inspect}, {MESSAGE_DEFINE_LIBRARY, 1, fill_define_library},
    {MESSAGE_CANCEL, 1, fill_cancel},   {MESSAGE_REMOVE, 5, fill_remove},
    {MESSAGE_REFUSE, 2, fill_refuse},   {MESSAGE_REDIRECT, 4, fill_redirect},
    {MESSAGE_ADAPT, 2, fill_adapt},
};

static size_t choose(struct conversation *conversation)
{
    size_t chosen = 0, total = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        total += requests[i].weight;
        if (draw(conversation, total) < requests[i].weight)
            chosen = i;
    }
    return chosen;
}

/* ---- conversations ---- */

static void send_request(struct conversation *conversation, uint64_t number, size_t which)
{
    const struct message_kind *kind = message_kind(requests[which].type);
    ProtobufCMessage *message = make(conversation, 1, kind->descriptor->sizeof_message);
    kind->descriptor->message_init(message);
    requests[which].fill(conversation, message);
    for (uint64_t changes = draw(conversation, 3) ? 0 : 1 + draw(conversation, 2); changes > 0; changes--)
        mutate(message, &conversation->pool, &conversation->state);
    bool with_objects = kind->type == MESSAGE_SUBMIT || kind->type == MESSAGE_RUN;
    peer_write(&conversation->peer, kind->type, number, message, conversation->attachment, with_objects ? SOURCES : 0,
               NULL, 0);
    pool_reset(&conversation->pool);
    conversation->open[number] = true;
}

static void take_frame(struct conversation *conversation)
{
    const ProtobufCMessage *message = peer_next(&conversation->peer);
    const struct frame_header *header = &conversation->peer.frame->header;
    if (header->type == MESSAGE_MATERIALIZE)
        conversation->ask = ((const Jitd__Proto__Materialize *)message)->ask;
    if (header->request == 0)
        return;
    cr_assert(header->request < ARRAY_LENGTH(conversation->open) && conversation->open[header->request],
              "an answer to request %lu, which has been answered or was never made", (unsigned long)header->request);
    conversation->open[header->request] = false;
}

static void take_what_is_there(struct conversation *conversation)
{
    struct pollfd polled = {.fd = connection_fd(conversation->peer.connection), .events = POLLIN};
    while (connection_has_frame(conversation->peer.connection) || poll(&polled, 1, 0) == 1)
        take_frame(conversation);
}

static void take_answer(struct conversation *conversation, uint64_t number)
{
    while (conversation->open[number])
        take_frame(conversation);
}

/* What may wait for ever is taken back; all else comes to its end. */
static void expect_all_answered(struct conversation *conversation)
{
    for (uint64_t number = 2; number < REQUESTS; number++) {
        Jitd__Proto__Cancel cancel = JITD__PROTO__CANCEL__INIT;
        cancel.request = number;
        if (!conversation->open[number])
            continue;
        conversation->open[REQUESTS] = true;
        peer_send(&conversation->peer, MESSAGE_CANCEL, REQUESTS, &cancel.base);
        take_answer(conversation, REQUESTS);
    }
    for (uint64_t number = 2; number < REQUESTS; number++)
        take_answer(conversation, number);
}

static void say_hello(struct conversation *conversation)
{
    Jitd__Proto__Hello hello = JITD__PROTO__HELLO__INIT;
    hello.lazy_deadline_ms = LAZY_MS;
    peer_connect(&conversation->peer);
    peer_send(&conversation->peer, MESSAGE_HELLO, 1, &hello.base);
    peer_read(&conversation->peer, MESSAGE_WELCOME, 1);
}

/* A daemon whose linker crashed says so by its status. */
static void end(struct conversation *conversation, uint64_t seed)
{
    int status = -1;
    connection_close(conversation->peer.connection);
    cr_assert(waitpid(conversation->peer.daemon, &status, 0) == conversation->peer.daemon);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "seed %lu: status %#x", (unsigned long)seed,
              (unsigned)status);
    frame_release(conversation->peer.frame);
    pool_fini(&conversation->peer.pool);
    pool_fini(&conversation->pool);
}

static void converse(struct conversation *conversation, uint64_t seed)
{
    conversation->peer = peer_open();
    conversation->state = seed;
    pool_init(&conversation->pool, MIB(256));
    memset(conversation->open, 0, sizeof conversation->open);
    say_hello(conversation);
    for (uint64_t number = 2; number < REQUESTS; number++) {
        send_request(conversation, number, choose(conversation));
        if (draw(conversation, 3) == 0)
            peer_flush(&conversation->peer);
        if (draw(conversation, 8) == 0)
            poll(NULL, 0, (int)draw(conversation, 5));
        take_what_is_there(conversation);
    }
    peer_flush(&conversation->peer);
    if (draw(conversation, 8))
        expect_all_answered(conversation);
    end(conversation, seed);
}

static uint64_t setting(const char *variable, uint64_t otherwise)
{
    const char *value = getenv(variable);
    return value ? strtoull(value, NULL, 10) : otherwise;
}

Test(mutations, of_requests_are_each_answered_once_and_end_no_session, .timeout = 3600)
{
    static struct conversation conversation;
    uint64_t first = setting("MUTATIONS_SEED", 1), count = setting("MUTATIONS", CONVERSATIONS);
    for (size_t i = 0; i < SOURCES; i++) {
        conversation.objects[i] = compile_c(sources[i], HARNESS_FLAGS);
        conversation.attachment[i] =
            (struct connection_range){conversation.objects[i].bytes, conversation.objects[i].length};
    }
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (count > CONVERSATIONS)
            fprintf(stderr, "seed %lu\n", (unsigned long)seed);
        converse(&conversation, seed);
    }
    for (size_t i = 0; i < SOURCES; i++)
        object_free(&conversation.objects[i]);
}
