/*
 * What libjitd puts onto the wire for manifests, libraries, cancelling, removing and lazy functions, and what it shows
 * of the answers.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "client/manifest.h"
#include "common/bytes.h"
#include "proto/limits.h"
#include "tests/lib/leaks.h"
#include "tests/unit/client_pair.h"

static void expect_bytes(const ProtobufCBinaryData *bytes, const char *text)
{
    cr_expect(bytes->len == strlen(text) && strncmp(bytes->len ? (char *)bytes->data : "", text, bytes->len) == 0,
              "'%.*s' is not '%s'", (int)bytes->len, bytes->data, text);
}

/* A submission as the daemon sees it. */
struct seen {
    struct pair *pair;
    struct pool pool;
    struct frame *frame;
};

static struct seen seen_open(void)
{
    struct seen seen = {.pair = pair_open(NULL)};
    pool_init(&seen.pool, LIMIT_DECODE_BYTES);
    pair_skip(seen.pair, MESSAGE_HELLO);
    return seen;
}

static void *seen_decode(struct seen *seen, uint16_t type)
{
    frame_release(seen->frame);
    return pair_decode(seen->pair, type, &seen->pool, &seen->frame);
}

static void seen_close(struct seen *seen)
{
    frame_release(seen->frame);
    pool_fini(&seen->pool);
    pair_close(seen->pair);
    expect_no_leaks();
}

static Jitd__Proto__Submit *submit_units(struct seen *seen, unsigned flags, const struct jitd_unit_input *inputs,
                                         size_t count)
{
    struct jitd_batch *batch = jitd_batch_new(flags);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(jitd_batch_add_unit(batch, &inputs[i]), 0);
    cr_assert_eq(jitd_submit(seen->pair->session, batch, hear_submit, &seen->pair->heard, NULL), 0);
    Jitd__Proto__Submit *submit = seen_decode(seen, MESSAGE_SUBMIT);
    cr_assert_eq(submit->n_units, count);
    return submit;
}

/* ---- manifests ---- */

Test(client_manifest, is_sent_in_columns_as_short_as_they_can_be)
{
    static const struct jitd_manifest_definition definitions[] = {
        {.local = "f", .global = "f.7"},
        {.local = "g", .global = "g.7", .flags = JITD_DEFINITION_HIDDEN | JITD_DEFINITION_WEAK},
        {.local = "h", .global = "h"},
    };
    static const struct jitd_manifest_use uses[] = {
        {.local = "a", .library = 9},
        {.local = "b", .global = "b.1", .convention = 3},
        {.global = "waited", .flags = JITD_USE_LIBRARY | JITD_USE_WEAK, .library = 0},
        {.local = "d", .flags = JITD_USE_LIBRARY, .library = 4},
        {.local = "e"},
    };
    const struct jitd_manifest manifest = {
        .definitions = definitions, .definition_count = 3, .uses = uses, .use_count = 5};
    struct seen seen = seen_open();
    const struct jitd_unit_input input = {.name = "u", .object = "x", .bytes = 1, .manifest = &manifest};
    const Jitd__Proto__Submit *submit = submit_units(&seen, 0, &input, 1);
    const Jitd__Proto__Entries *wire = submit->entries;
    cr_assert_not_null(wire);
    cr_expect(!submit->units[0]->manifest);
    cr_assert(wire->n_unit_definitions == 1 && wire->n_unit_uses == 1);
    cr_expect(wire->unit_definitions[0] == 3 && wire->unit_uses[0] == 5);
    static const uint32_t name_bytes[] = {1, 3, 1, 3, 1, 0, 1, 0, 1, 3, 0, 6, 1, 0, 1, 0};
    expect_bytes(&wire->names, "ff.7gg.7habb.1waitedde");
    cr_assert_eq(wire->n_name_bytes, ARRAY_LENGTH(name_bytes));
    cr_expect_arr_eq(wire->name_bytes, name_bytes, sizeof name_bytes);
    cr_assert_eq(wire->n_definition_flags, 2);
    cr_expect_eq(wire->definition_flags[0], 0);
    cr_expect_eq(wire->definition_flags[1], 3);
    cr_expect_eq(wire->n_definition_conventions, 0);
    cr_assert_eq(wire->n_use_flags, 3);
    cr_expect_eq(wire->use_flags[2], JITD_USE_WEAK, "that a library is named is no flag on the wire");
    cr_assert_eq(wire->n_use_conventions, 2);
    cr_expect_eq(wire->use_conventions[1], 3);
    cr_assert_eq(wire->n_use_libraries, 4);
    cr_expect_eq(wire->use_libraries[0], 0, "a library counts with JITD_USE_LIBRARY alone");
    cr_expect_eq(wire->use_libraries[2], 1, "libraries are counted from 1");
    cr_expect_eq(wire->use_libraries[3], 5);
    seen_close(&seen);
}

Test(client_manifest, of_several_units_is_one_set_of_columns)
{
    static const struct jitd_manifest_definition definitions[] = {{.local = "f"}, {.local = "g", .flags = 1}};
    static const struct jitd_manifest_use uses[] = {{.local = "a", .convention = 7}};
    const struct jitd_manifest both = {.definitions = definitions, .definition_count = 2, .uses = uses, .use_count = 1};
    const struct jitd_manifest none = {0};
    struct seen seen = seen_open();
    const struct jitd_unit_input inputs[] = {{.name = "u", .object = "x", .bytes = 1, .manifest = &both},
                                             {.name = "v", .object = "x", .bytes = 1},
                                             {.name = "w", .object = "x", .bytes = 1, .manifest = &none},
                                             {.name = "x", .object = "x", .bytes = 1, .manifest = &both}};
    const Jitd__Proto__Submit *submit = submit_units(&seen, 0, inputs, 4);
    expect_bytes(&submit->entries->names, "fgafga");
    cr_expect_eq(submit->entries->n_name_bytes, 12);
    cr_expect(submit->entries->n_definition_flags == 4 && submit->entries->definition_flags[3] == 1);
    cr_expect(submit->entries->n_use_conventions == 2 && submit->entries->use_conventions[1] == 7);
    cr_assert(submit->entries->n_unit_definitions == 4 && submit->entries->n_unit_uses == 4);
    cr_expect_arr_eq(submit->entries->unit_definitions, ((uint32_t[]){2, 0, 0, 2}), 4 * sizeof(uint32_t));
    cr_expect_arr_eq(submit->entries->unit_uses, ((uint32_t[]){1, 0, 0, 1}), 4 * sizeof(uint32_t));
    cr_expect(submit->units[2]->manifest && !submit->units[1]->manifest, "one that mentions nothing is not none");
    seen_close(&seen);
}

Test(client_manifest, takes_absolutes_and_aliases_without_an_object)
{
    static const struct jitd_absolute absolutes[] = {
        {.name = "clock", .address = 0x7f0012345678, .flags = JITD_DEFINITION_FUNCTION, .convention = 2}};
    static const struct jitd_alias aliases[] = {
        {.name = "time", .target = "clock"},
        {.name = "far", .target = "near", .flags = JITD_DEFINITION_WEAK | JITD_USE_LIBRARY, .library = 6}};
    const struct jitd_manifest manifest = {
        .absolutes = absolutes, .absolute_count = 1, .aliases = aliases, .alias_count = 2};
    struct seen seen = seen_open();
    const struct jitd_unit_input inputs[] = {
        {.name = "names", .manifest = &manifest, .library = 3},
        {.name = "object", .object = "xyz", .bytes = 3},
    };
    const Jitd__Proto__Submit *submit = submit_units(&seen, JITD_BATCH_ATOMIC, inputs, 2);
    cr_expect(submit->atomic);
    cr_expect_eq(submit->units[0]->library, 3);
    cr_expect_eq(submit->units[0]->object_case, JITD__PROTO__UNIT__OBJECT__NOT_SET);
    cr_expect_null(submit->units[1]->manifest);
    cr_assert_eq(submit->units[1]->object_case, JITD__PROTO__UNIT__OBJECT_RANGE);
    cr_expect_eq(submit->units[1]->range->offset, 0);
    cr_expect_eq(submit->units[1]->range->bytes, 3);
    const Jitd__Proto__Manifest *wire = submit->units[0]->manifest;
    cr_assert_eq(wire->n_absolutes, 1);
    expect_bytes(&wire->absolutes[0]->name, "clock");
    cr_expect_eq(wire->absolutes[0]->address, 0x7f0012345678);
    cr_expect_eq(wire->absolutes[0]->flags, JITD_DEFINITION_FUNCTION);
    cr_expect_eq(wire->absolutes[0]->convention, 2);
    cr_assert_eq(wire->n_aliases, 2);
    expect_bytes(&wire->aliases[0]->name, "time");
    expect_bytes(&wire->aliases[0]->target, "clock");
    cr_expect_eq(wire->aliases[0]->library, 0);
    cr_expect_eq(wire->aliases[1]->library, 7);
    cr_expect_eq(wire->aliases[1]->flags, JITD_DEFINITION_WEAK);
    seen_close(&seen);
}

Test(client_manifest, takes_actions_with_their_bytes)
{
    static const struct jitd_manifest_action actions[] = {{.publish = "add",
                                                           .publish_argument = "a\0b",
                                                           .publish_bytes = 3,
                                                           .remove = "take",
                                                           .remove_argument = "c",
                                                           .remove_bytes = 1},
                                                          {.remove = "take", .flags = JITD_USE_LIBRARY, .library = 6}};
    const struct jitd_manifest manifest = {.actions = actions, .action_count = 2};
    const struct jitd_unit_input input = {.name = "u", .manifest = &manifest};
    struct seen seen = seen_open();
    const Jitd__Proto__Manifest *wire = submit_units(&seen, 0, &input, 1)->units[0]->manifest;
    cr_assert_eq(wire->n_actions, 2);
    expect_bytes(&wire->actions[0]->publish, "add");
    cr_expect_eq(wire->actions[0]->publish_argument.len, 3);
    cr_expect_arr_eq(wire->actions[0]->publish_argument.data, "a\0b", 3);
    expect_bytes(&wire->actions[0]->remove, "take");
    expect_bytes(&wire->actions[0]->remove_argument, "c");
    cr_expect_eq(wire->actions[0]->library, 0);
    expect_bytes(&wire->actions[1]->publish, "");
    cr_expect_eq(wire->actions[1]->publish_argument.len, 0);
    cr_expect_eq(wire->actions[1]->library, 7);
    seen_close(&seen);
}

struct packed {
    struct manifest_columns columns;
    Jitd__Proto__Unit unit;
    char *room; /* owned */
};

/* All of the room that was asked for is accounted for. */
static struct packed pack_one(const struct jitd_manifest *manifest)
{
    struct manifest_measure measure = {.units = 1};
    manifest_measure(manifest, &measure);
    struct packed packed = {.unit = JITD__PROTO__UNIT__INIT, .room = malloc(manifest_room(&measure) + 1)};
    char *end = packed.room;
    manifest_open_columns(&measure, &packed.columns, &end);
    manifest_pack(manifest, 0, &packed.columns, &packed.unit, &end);
    cr_assert_eq((size_t)(end - packed.room), manifest_room(&measure));
    return packed;
}

Test(client_manifest, of_one_function_that_uses_three_takes_less_than_100_bytes)
{
    static const struct jitd_manifest_definition definition = {.local = "f_0", .global = "module_7.f_0"};
    static const struct jitd_manifest_use uses[] = {
        {.local = "g_0", .global = "module_8.g_0"},
        {.local = "g_1", .global = "module_8.g_1"},
        {.local = "g_2", .global = "module_9.g_2"},
    };
    const struct jitd_manifest manifest = {
        .definitions = &definition, .definition_count = 1, .uses = uses, .use_count = 3};
    Jitd__Proto__Unit plain = JITD__PROTO__UNIT__INIT;
    struct packed packed = pack_one(&manifest);
    size_t bytes = protobuf_c_message_get_packed_size(&packed.columns.entries.base) +
                   protobuf_c_message_get_packed_size(&packed.unit.base) -
                   protobuf_c_message_get_packed_size(&plain.base);
    cr_expect(bytes > 60 && bytes < 100, "%zu bytes", bytes);
    free(packed.room);
    expect_no_leaks();
}

Test(client_manifest, fills_exactly_the_room_that_it_asked_for)
{
    struct jitd_manifest_definition definitions[7];
    struct jitd_manifest_use uses[7];
    struct jitd_absolute absolutes[7];
    struct jitd_alias aliases[7];
    struct jitd_manifest_action actions[7];
    for (size_t i = 0; i < 7; i++) {
        definitions[i] = (struct jitd_manifest_definition){.local = "d", .global = "D", .flags = 1, .convention = 1};
        uses[i] = (struct jitd_manifest_use){.local = "u", .global = "U", .flags = 1025, .convention = 1, .library = 1};
        absolutes[i] = (struct jitd_absolute){.name = "a", .address = i};
        aliases[i] = (struct jitd_alias){.name = "n", .target = "t"};
        actions[i] = (struct jitd_manifest_action){.publish = "p", .remove = "r"};
    }
    for (size_t count = 0; count < 7 * 7 * 7; count++) {
        const struct jitd_manifest manifest = {.definitions = definitions,
                                               .definition_count = count % 7,
                                               .uses = uses,
                                               .use_count = count / 7 % 7,
                                               .absolutes = absolutes,
                                               .absolute_count = count / 49,
                                               .aliases = aliases,
                                               .alias_count = count / 49,
                                               .actions = actions,
                                               .action_count = count / 49};
        free(pack_one(&manifest).room);
    }
}

Test(client_manifest, is_refused_where_it_cannot_be_meant)
{
    static char name[LIMIT_NAME_BYTES + 2];
    memset(name, 'n', sizeof name - 1);
    const struct {
        int code;
        struct jitd_manifest manifest;
    } rows[] = {
        {JITD_ERROR_INVALID, {.definition_count = 1}},
        {JITD_ERROR_INVALID, {.use_count = 1}},
        {JITD_ERROR_INVALID, {.absolute_count = 1}},
        {JITD_ERROR_INVALID, {.alias_count = 1}},
#define ROW(code, list, kind, ...)                                                                                     \
    {                                                                                                                  \
        code,                                                                                                          \
        {                                                                                                              \
            .list##s = &(const struct kind)__VA_ARGS__, .list##_count = 1                                              \
        }                                                                                                              \
    }
        ROW(JITD_ERROR_INVALID, definition, jitd_manifest_definition, {.global = "f"}),
        ROW(JITD_ERROR_INVALID, definition, jitd_manifest_definition, {.local = "", .global = "f"}),
        ROW(JITD_ERROR_INVALID, definition, jitd_manifest_definition, {.local = "f", .flags = 32}),
        ROW(JITD_ERROR_INVALID, definition, jitd_manifest_definition, {.local = "f", .flags = JITD_USE_LIBRARY}),
        ROW(JITD_ERROR_LIMIT, definition, jitd_manifest_definition, {.local = name}),
        ROW(JITD_ERROR_LIMIT, definition, jitd_manifest_definition, {.local = "f", .global = name}),
        ROW(JITD_ERROR_INVALID, use, jitd_manifest_use, {.flags = 0}),
        ROW(JITD_ERROR_INVALID, use, jitd_manifest_use, {.local = "", .global = ""}),
        ROW(JITD_ERROR_INVALID, use, jitd_manifest_use, {.local = "f", .flags = 8}),
        ROW(JITD_ERROR_LIMIT, use, jitd_manifest_use, {.local = name}),
        ROW(JITD_ERROR_LIMIT, use, jitd_manifest_use, {.global = name}),
        ROW(JITD_ERROR_LIMIT, use, jitd_manifest_use,
            {.local = "f", .flags = JITD_USE_LIBRARY, .library = LIMIT_LIBRARY_NUMBERS}),
        ROW(JITD_ERROR_INVALID, absolute, jitd_absolute, {.address = 1}),
        ROW(JITD_ERROR_INVALID, absolute, jitd_absolute, {.name = "f", .flags = 32}),
#undef ROW
        {JITD_ERROR_INVALID, {.aliases = &(const struct jitd_alias){.name = "f"}, .alias_count = 1}},
        {JITD_ERROR_INVALID, {.aliases = &(const struct jitd_alias){.target = "f"}, .alias_count = 1}},
        {JITD_ERROR_INVALID,
         {.aliases = &(const struct jitd_alias){.name = "f", .target = "g", .flags = 64}, .alias_count = 1}},
        {JITD_ERROR_LIMIT, {.aliases = (const struct jitd_alias *)name, .alias_count = SIZE_MAX}},
    };
    struct pair *pair = pair_open(NULL);
    struct jitd_batch *batch = jitd_batch_new(0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct jitd_unit_input input = {.name = "u", .object = "x", .bytes = 1, .manifest = &rows[i].manifest};
        cr_expect_eq(jitd_batch_add_unit(batch, &input), rows[i].code, "row %zu", i);
    }
    cr_expect_eq(jitd_submit(pair->session, batch, NULL, NULL, NULL), JITD_ERROR_INVALID, "nothing was added");
    pair_close(pair);
    expect_no_leaks();
}

Test(client_manifest, is_wanted_of_a_unit_without_an_object)
{
    static const struct jitd_manifest_definition definition = {.local = "f"};
    static const struct jitd_manifest_use use = {.local = "f"};
    const struct jitd_manifest empty = {0};
    const struct jitd_manifest of_object = {.definitions = &definition, .definition_count = 1};
    const struct jitd_manifest uses_of_object = {.uses = &use, .use_count = 1};
    struct jitd_batch *batch = jitd_batch_new(0);
    cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "u"}), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "u", .manifest = &of_object}),
                 JITD_ERROR_INVALID, "there is no object that could define it");
    cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "u", .manifest = &uses_of_object}),
                 JITD_ERROR_INVALID, "there is no object that could refer to it");
    cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "u", .bytes = 1, .manifest = &empty}),
                 JITD_ERROR_INVALID);
    cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.manifest = &empty}), JITD_ERROR_INVALID);
    cr_expect_eq(
        jitd_batch_add_unit(
            batch, &(struct jitd_unit_input){.name = "u", .manifest = &empty, .library = LIMIT_LIBRARY_NUMBERS}),
        JITD_ERROR_LIMIT);
    cr_expect_eq(jitd_batch_add_unit(batch, &(struct jitd_unit_input){.name = "u", .manifest = &empty}), 0);
    jitd_batch_free(batch);
    expect_no_leaks();
}

/* ---- libraries ---- */

struct answer {
    int completed;
    int code;
    size_t count;
};

static void hear_done(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    struct answer *answer = data;
    answer->completed++;
    answer->code = errors ? errors->list[0].code : 0;
}

static void hear_cancel(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    hear_done(session, errors, data);
    ((struct answer *)data)->count = count;
}

Test(client_library, is_sent_with_its_search_order_and_process_symbols)
{
    static const struct jitd_search search[] = {{.library = 1, .hidden = true}, {.library = 2, .re_export = true}};
    static const char *const names[] = {"memcpy", "write", NULL};
    struct jitd_library library = {.number = 7,
                                   .name = "seven",
                                   .search = search,
                                   .search_count = 2,
                                   .process_symbols = JITD_PROCESS_LISTED,
                                   .process_names = names};
    struct seen seen = seen_open();
    struct answer answer = {0};
    jitd_request number;
    cr_assert_eq(jitd_define_library(seen.pair->session, &library, hear_done, &answer, &number), 0);
    const Jitd__Proto__DefineLibrary *wire = seen_decode(&seen, MESSAGE_DEFINE_LIBRARY);
    cr_expect_eq(wire->library, 7);
    expect_bytes(&wire->name, "seven");
    cr_assert_eq(wire->n_search, 2);
    cr_expect(wire->search[0]->library == 1 && wire->search[0]->hidden && !wire->search[0]->re_export);
    cr_expect(wire->search[1]->library == 2 && !wire->search[1]->hidden && wire->search[1]->re_export);
    cr_expect_eq(wire->process_symbols, JITD__PROTO__PROCESS_SYMBOLS__PROCESS_LISTED);
    cr_assert_eq(wire->n_process_names, 2);
    expect_bytes(&wire->process_names[1], "write");
    Jitd__Proto__LibraryDefined defined = JITD__PROTO__LIBRARY_DEFINED__INIT;
    pair_send(seen.pair, MESSAGE_LIBRARY_DEFINED, number, &defined);
    cr_expect_eq(jitd_wait(seen.pair->session, number, 2000), 0);
    cr_expect(answer.completed == 1 && answer.code == 0);

    library.process_symbols = JITD_PROCESS_NONE;
    cr_assert_eq(jitd_define_library(seen.pair->session, &library, NULL, NULL, NULL), 0);
    wire = seen_decode(&seen, MESSAGE_DEFINE_LIBRARY);
    cr_expect_eq(wire->n_process_names, 0, "names count where they are to be listed alone");
    seen_close(&seen);
}

Test(client_library, is_refused_where_it_cannot_be_meant)
{
    static const char *const nameless[] = {"memcpy", "", NULL};
    static const struct jitd_search search[LIMIT_SEARCH_ORDER + 1];
    static char name[LIMIT_NAME_BYTES + 2];
    memset(name, 'n', sizeof name - 1);
    const struct {
        int code;
        struct jitd_library library;
    } rows[] = {
        {JITD_ERROR_LIMIT, {.number = LIMIT_LIBRARY_NUMBERS}},
        {JITD_ERROR_LIMIT, {.number = 1, .name = name}},
        {JITD_ERROR_LIMIT, {.number = 1, .search = search, .search_count = LIMIT_SEARCH_ORDER + 1}},
        {JITD_ERROR_INVALID, {.number = 1, .search_count = 1}},
        {JITD_ERROR_INVALID, {.number = 1, .process_symbols = (enum jitd_process_symbols)3}},
        {JITD_ERROR_INVALID, {.number = 1, .process_symbols = JITD_PROCESS_LISTED, .process_names = nameless}},
        {JITD_ERROR_LIMIT,
         {.number = 1, .process_symbols = JITD_PROCESS_LISTED, .process_names = (const char *const[]){name, NULL}}},
    };
    struct pair *pair = pair_open(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(jitd_define_library(pair->session, &rows[i].library, NULL, NULL, NULL), rows[i].code, "row %zu",
                     i);
        cr_expect_eq(jitd_last_error(pair->session)->code, rows[i].code);
    }
    pair_close(pair);
    expect_no_leaks();
}

/* ---- lookups, calls, cancelling ---- */

Test(client_lookup, says_from_which_library_on_and_whether_it_waits)
{
    static const char *const names[] = {"f", "g"};
    static const char *const hole[] = {"f", NULL};
    struct seen seen = seen_open();
    struct jitd_session *session = seen.pair->session;
    cr_assert_eq(jitd_lookup_in(session, 4, names, 2, NULL, NULL, NULL), 0);
    const Jitd__Proto__Lookup *wire = seen_decode(&seen, MESSAGE_LOOKUP);
    cr_expect(wire->library == 4 && !wire->wait && wire->n_names == 2);
    cr_assert_eq(jitd_lookup_ready(session, 5, names, 2, 70, NULL, NULL, NULL), 0);
    wire = seen_decode(&seen, MESSAGE_LOOKUP);
    cr_expect(wire->library == 5 && wire->wait && wire->deadline_ms == 70);
    expect_bytes(&wire->names[1], "g");
    cr_assert_eq(jitd_call_in(session, 6, "f", JITD_VOID, NULL, 0, NULL, NULL, NULL), 0);
    const Jitd__Proto__Call *call = seen_decode(&seen, MESSAGE_CALL);
    cr_expect_eq(call->library, 6);
    expect_bytes(&call->symbol, "f");
    cr_expect_eq(jitd_lookup(session, hole, 2, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_lookup(session, NULL, 1, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_lookup_ready(session, 0, names, LIMIT_LOOKUPS_PER_REQUEST + 1, 0, NULL, NULL, NULL),
                 JITD_ERROR_LIMIT);
    seen_close(&seen);
}

Test(client_cancel, names_a_request_or_units_and_tells_how_many_were_cancelled)
{
    static const uint64_t units[] = {3, 900000};
    struct seen seen = seen_open();
    struct jitd_session *session = seen.pair->session;
    struct answer answer = {0};
    jitd_request number;
    cr_assert_eq(jitd_cancel(session, 12, hear_cancel, &answer, &number), 0);
    const Jitd__Proto__Cancel *wire = seen_decode(&seen, MESSAGE_CANCEL);
    cr_expect(wire->request == 12 && wire->n_units == 0);
    Jitd__Proto__Cancelled cancelled = JITD__PROTO__CANCELLED__INIT;
    cancelled.count = 1;
    pair_send(seen.pair, MESSAGE_CANCELLED, number, &cancelled);
    cr_expect_eq(jitd_wait(session, number, 2000), 0);
    cr_expect(answer.completed == 1 && answer.code == 0 && answer.count == 1);
    cr_assert_eq(jitd_cancel_units(session, units, 2, hear_cancel, &answer, &number), 0);
    wire = seen_decode(&seen, MESSAGE_CANCEL);
    cr_expect(wire->request == 0 && wire->n_units == 2 && wire->units[1] == 900000);
    cr_expect_eq(jitd_cancel_units(session, NULL, 1, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_cancel_units(session, units, LIMIT_UNITS_PER_SESSION + 1, NULL, NULL, NULL), JITD_ERROR_LIMIT);
    connection_close(seen.pair->far);
    seen.pair->far = NULL;
    jitd_wait(session, number, 2000);
    cr_expect(answer.completed == 2 && answer.code == JITD_ERROR_DISCONNECTED && answer.count == 0);
    seen_close(&seen);
}

/* ---- removing and running ---- */

Test(client_remove, sends_the_lists_as_they_are_and_tells_how_many_have_gone)
{
    static const uint64_t units[] = {3, 900000}, tags[] = {UINT64_MAX};
    static const uint32_t libraries[] = {0, 65535};
    const struct jitd_removal removal = {units, 2, tags, 1, libraries, 2, true};
    struct seen seen = seen_open();
    struct jitd_session *session = seen.pair->session;
    struct answer answer = {0};
    jitd_request number;
    cr_assert_eq(jitd_remove(session, &removal, hear_cancel, &answer, &number), 0);
    const Jitd__Proto__Remove *wire = seen_decode(&seen, MESSAGE_REMOVE);
    cr_expect(wire->n_units == 2 && wire->units[1] == 900000);
    cr_expect(wire->n_tags == 1 && wire->tags[0] == UINT64_MAX);
    cr_expect(wire->n_libraries == 2 && wire->libraries[1] == 65535);
    cr_expect(wire->cascade);
    Jitd__Proto__Removed removed = JITD__PROTO__REMOVED__INIT;
    removed.count = 5;
    pair_send(seen.pair, MESSAGE_REMOVED, number, &removed);
    cr_expect_eq(jitd_wait(session, number, 2000), 0);
    cr_expect(answer.completed == 1 && answer.code == 0 && answer.count == 5);
    Jitd__Proto__Error failed = JITD__PROTO__ERROR__INIT, *errors[] = {&failed};
    failed.code = JITD_ERROR_ACTION_FAILED;
    removed.errors = errors;
    removed.n_errors = 1;
    cr_assert_eq(jitd_remove(session, &removal, hear_cancel, &answer, &number), 0);
    seen_decode(&seen, MESSAGE_REMOVE);
    pair_send(seen.pair, MESSAGE_REMOVED, number, &removed);
    cr_expect_eq(jitd_wait(session, number, 2000), 0);
    cr_expect(answer.completed == 2 && answer.code == JITD_ERROR_ACTION_FAILED && answer.count == 5);
    answer = (struct answer){.completed = 1};
    cr_assert_eq(jitd_remove(session, &(struct jitd_removal){0}, hear_cancel, &answer, &number), 0);
    wire = seen_decode(&seen, MESSAGE_REMOVE);
    cr_expect(wire->n_units == 0 && wire->n_tags == 0 && wire->n_libraries == 0 && !wire->cascade);
    connection_close(seen.pair->far);
    seen.pair->far = NULL;
    jitd_wait(session, number, 2000);
    cr_expect(answer.completed == 2 && answer.code == JITD_ERROR_DISCONNECTED && answer.count == 0);
    seen_close(&seen);
}

Test(client_remove, refuses_lists_that_are_none_or_too_long)
{
    static const uint64_t numbers[LIMIT_REMOVAL_GROUPS + 1] = {1, 0};
    static const uint32_t libraries[LIMIT_REMOVAL_GROUPS + 1];
    static const struct {
        struct jitd_removal removal;
        int code;
    } cases[] = {
        {{.unit_count = 1}, JITD_ERROR_INVALID},
        {{.tag_count = 1}, JITD_ERROR_INVALID},
        {{.library_count = 1}, JITD_ERROR_INVALID},
        {{.tags = numbers, .tag_count = 2}, JITD_ERROR_INVALID},
        {{.units = numbers, .unit_count = LIMIT_UNITS_PER_SESSION + 1}, JITD_ERROR_LIMIT},
        {{.libraries = libraries, .library_count = LIMIT_REMOVAL_GROUPS + 1}, JITD_ERROR_LIMIT},
        {{.tags = numbers, .tag_count = 1, .libraries = libraries, .library_count = LIMIT_REMOVAL_GROUPS},
         JITD_ERROR_LIMIT},
    };
    struct seen seen = seen_open();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_eq(jitd_remove(seen.pair->session, &cases[i].removal, NULL, NULL, NULL), cases[i].code, "case %zu",
                     i);
    seen_close(&seen);
}

Test(client_remove, of_a_unit_that_waits_ends_the_waiting_for_it)
{
    struct seen seen = seen_open();
    struct jitd_session *session = seen.pair->session;
    const struct jitd_unit_input unit = {.name = "u", .object = "object", .bytes = 6, .tag = 77};
    struct jitd_batch *batch = jitd_batch_new(0);
    jitd_request number;
    cr_assert_eq(jitd_batch_add_unit(batch, &unit), 0);
    cr_assert_eq(jitd_submit(session, batch, NULL, NULL, &number), 0);
    const Jitd__Proto__Submit *wire = seen_decode(&seen, MESSAGE_SUBMIT);
    cr_expect_eq(wire->units[0]->tag, 77);
    Jitd__Proto__Submitted submitted = JITD__PROTO__SUBMITTED__INIT;
    submitted.n_units = 1;
    submitted.units = (uint64_t[]){9};
    pair_send(seen.pair, MESSAGE_SUBMITTED, number, &submitted);
    cr_expect_eq(jitd_wait_units(session, 20), JITD_ERROR_TIMEOUT);
    Jitd__Proto__UnitEvent event = JITD__PROTO__UNIT_EVENT__INIT, *events[] = {&event};
    Jitd__Proto__Units news = JITD__PROTO__UNITS__INIT;
    event.unit = 9;
    event.state = JITD__PROTO__UNIT_STATE__REMOVED;
    news.n_events = 1;
    news.events = events;
    pair_send(seen.pair, MESSAGE_UNITS, 0, &news);
    cr_expect_eq(jitd_wait_units(session, 2000), 0);
    seen_close(&seen);
}

static void hear_value(struct jitd_session *session, const struct jitd_value *result, const struct jitd_end *end,
                       const struct jitd_errors *errors, void *data)
{
    *(int64_t *)data = result ? result->integer : -1;
}

Test(client_run, sends_one_unit_and_one_call_and_gives_the_result)
{
    struct seen seen = seen_open();
    struct jitd_session *session = seen.pair->session;
    const struct jitd_unit_input unit = {.name = "u", .object = "object", .bytes = 6, .library = 4};
    const struct jitd_value argument = {.type = JITD_INT64, .integer = 5};
    jitd_request number;
    int64_t value = 0;
    jitd_set_call_deadline(session, 70);
    cr_assert_eq(jitd_run(session, &unit, "f", JITD_INT64, &argument, 1, hear_value, &value, &number), 0);
    const Jitd__Proto__Run *wire = seen_decode(&seen, MESSAGE_RUN);
    expect_bytes(&wire->unit->name, "u");
    cr_expect_eq(wire->unit->library, 4);
    cr_expect(wire->unit->range && wire->unit->range->offset == 0 && wire->unit->range->bytes == 6);
    cr_expect(memcmp(seen.frame->attachment, "object", 6) == 0);
    expect_bytes(&wire->call->symbol, "f");
    cr_expect(wire->call->n_arguments == 1 && wire->call->arguments[0]->bits == 5 && !wire->call->main);
    cr_expect_eq(wire->call->deadline_ms, 70);
    Jitd__Proto__Returned returned = JITD__PROTO__RETURNED__INIT;
    Jitd__Proto__Value result = JITD__PROTO__VALUE__INIT;
    result.type = JITD__PROTO__VALUE_TYPE__INT64;
    result.bits = 55;
    returned.result = &result;
    pair_send(seen.pair, MESSAGE_RETURNED, number, &returned);
    cr_expect_eq(jitd_wait(session, number, 2000), 0);
    cr_expect_eq(value, 55);
    seen_close(&seen);
}

Test(client_run, refuses_what_could_not_be_submitted_or_called)
{
    static const struct jitd_value none = {.type = JITD_VOID};
    const struct jitd_unit_input unit = {.name = "u", .object = "object", .bytes = 6}, empty = {.name = "u"},
                                 nameless = {.object = "object", .bytes = 6};
    struct seen seen = seen_open();
    struct jitd_session *session = seen.pair->session;
    cr_expect_eq(jitd_run(session, &empty, "f", JITD_VOID, NULL, 0, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_run(session, &nameless, "f", JITD_VOID, NULL, 0, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_run(session, &unit, "f", (enum jitd_type)99, NULL, 0, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_run(session, &unit, "f", JITD_VOID, &none, 1, NULL, NULL, NULL), JITD_ERROR_INVALID);
    cr_expect_eq(jitd_run(session, &unit, "f", JITD_VOID, &none, LIMIT_CALL_ARGUMENTS + 1, NULL, NULL, NULL),
                 JITD_ERROR_LIMIT);
    seen_close(&seen);
}

/* ---- lazy functions ---- */

Test(client_lazy, definitions_are_sent_with_a_manifest)
{
    static const struct jitd_lazy_definition lazies[] = {
        {.name = "stub", .target = "body", .flags = JITD_DEFINITION_WEAK, .convention = 5},
        {.name = "other", .target = "body", .flags = JITD_USE_LIBRARY, .library = 3}};
    const struct jitd_manifest manifest = {.lazies = lazies, .lazy_count = 2};
    struct seen seen = seen_open();
    const Jitd__Proto__Submit *submit =
        submit_units(&seen, 0, &(struct jitd_unit_input){.name = "names", .manifest = &manifest}, 1);
    const Jitd__Proto__Manifest *wire = submit->units[0]->manifest;
    cr_assert_eq(wire->n_lazies, 2);
    expect_bytes(&wire->lazies[0]->name, "stub");
    expect_bytes(&wire->lazies[0]->target, "body");
    cr_expect(wire->lazies[0]->flags == 1 && wire->lazies[0]->convention == 5 && wire->lazies[0]->library == 0);
    cr_expect(wire->lazies[1]->flags == 0 && wire->lazies[1]->library == 4);
    seen_close(&seen);
}

Test(client_lazy, definitions_are_refused_where_they_cannot_be_meant)
{
    static const struct {
        int code;
        struct jitd_lazy_definition lazy;
    } rows[] = {
        {JITD_ERROR_INVALID, {.name = "a"}},
        {JITD_ERROR_INVALID, {.target = "a"}},
        {JITD_ERROR_INVALID, {.name = "a", .target = "b", .flags = 32}},
        {JITD_ERROR_LIMIT, {.name = "a", .target = "b", .flags = JITD_USE_LIBRARY, .library = 65536}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        const struct jitd_manifest manifest = {.lazies = &rows[i].lazy, .lazy_count = 1};
        cr_expect_eq(manifest_check(&manifest, false), rows[i].code, "row %zu", i);
    }
    cr_expect_eq(manifest_check(&(struct jitd_manifest){.lazy_count = 1}, false), JITD_ERROR_INVALID);
}

Test(client_lazy, questions_are_refused_where_nobody_listens)
{
    struct seen seen = seen_open();
    Jitd__Proto__Materialize event = JITD__PROTO__MATERIALIZE__INIT;
    event.ask = 9;
    pair_send(seen.pair, MESSAGE_MATERIALIZE, 0, &event);
    jitd_dispatch(seen.pair->session);
    const Jitd__Proto__Refuse *wire = seen_decode(&seen, MESSAGE_REFUSE);
    cr_expect_eq(wire->ask, 9);
    expect_bytes(&wire->text, "the program does not listen for it");
    seen_close(&seen);
}

Test(client_lazy, redirections_are_sent_in_two_columns_and_answered)
{
    static const char *const symbols[] = {"f", "g"}, *const targets[] = {"h", NULL};
    struct seen seen = seen_open();
    jitd_request number;
    struct answer answer = {0};
    cr_assert_eq(jitd_redirect(seen.pair->session, 4, symbols, targets, 2, hear_done, &answer, &number), 0);
    const Jitd__Proto__Redirect *wire = seen_decode(&seen, MESSAGE_REDIRECT);
    cr_assert(wire->library == 4 && wire->n_symbols == 2 && wire->n_targets == 2);
    expect_bytes(&wire->symbols[1], "g");
    expect_bytes(&wire->targets[0], "h");
    expect_bytes(&wire->targets[1], "");
    Jitd__Proto__Redirected redirected = JITD__PROTO__REDIRECTED__INIT;
    pair_send(seen.pair, MESSAGE_REDIRECTED, number, &redirected);
    cr_expect_eq(jitd_wait(seen.pair->session, number, 2000), 0);
    cr_expect(answer.completed == 1 && answer.code == 0);
    seen_close(&seen);
}

Test(client_lazy, an_adapter_is_sent_with_its_pair_and_answered)
{
    struct seen seen = seen_open();
    jitd_request number;
    struct answer answer = {0};
    cr_assert_eq(jitd_adapt(seen.pair->session, 4, "box", 7, UINT64_MAX, hear_done, &answer, &number), 0);
    const Jitd__Proto__Adapt *wire = seen_decode(&seen, MESSAGE_ADAPT);
    cr_expect(wire->library == 4 && wire->wanted == 7 && wire->given == UINT64_MAX);
    expect_bytes(&wire->symbol, "box");
    Jitd__Proto__Adapted adapted = JITD__PROTO__ADAPTED__INIT;
    pair_send(seen.pair, MESSAGE_ADAPTED, number, &adapted);
    cr_expect_eq(jitd_wait(seen.pair->session, number, 2000), 0);
    cr_expect(answer.completed == 1 && answer.code == 0);
    seen_close(&seen);
}

/* ---- what comes back ---- */

static void expect_inspection(struct jitd_session *session, const struct jitd_inspection *inspection,
                              const struct jitd_errors *errors, void *data)
{
    *(bool *)data = true;
    cr_assert(!errors && inspection);
    cr_expect_eq(inspection->next_unit, 44);
    cr_assert_eq(inspection->units_listed, 1);
    const struct jitd_unit *unit = &inspection->units[0];
    cr_expect_eq(unit->library, 7);
    cr_assert_eq(unit->extent_count, 2);
    cr_expect_str_eq(unit->extents[0].zone, "X");
    cr_expect(unit->extents[0].address == 0x1000 && unit->extents[0].bytes == 32);
    cr_expect_str_eq(unit->extents[1].zone, "", "a zone that is not in the list");
    cr_assert_eq(unit->use_count, 2);
    cr_expect(unit->uses[0] == 3 && unit->uses[1] == 70000);
    cr_expect_eq(unit->waits_for, 3);
    cr_assert_eq(unit->missing_count, 1);
    cr_expect_str_eq(unit->missing[0], "gone");
    cr_assert_eq(unit->adapter_count, 1);
    const struct jitd_adapter *adapter = unit->adapters;
    cr_expect(adapter->wanted == 5 && adapter->given == UINT64_MAX && adapter->address == 0x1010);
    cr_expect_str_eq(adapter->symbol, "box");
    cr_expect_eq(adapter->ways, 300);
    cr_assert_eq(inspection->library_count, 1);
    cr_expect_str_eq(inspection->libraries[0].name, "seven");
    cr_expect_eq(inspection->libraries[0].number, 7);
    cr_assert_eq(inspection->libraries[0].search_count, 1);
    const struct jitd_search *search = inspection->libraries[0].search;
    cr_expect(search->library == 2 && search->hidden && search->re_export);
}

static void send_inspection(struct pair *pair, jitd_request number)
{
    Jitd__Proto__ZoneInfo zone = JITD__PROTO__ZONE_INFO__INIT;
    zone.name = bytes_of("X");
    Jitd__Proto__Extent extents[2] = {JITD__PROTO__EXTENT__INIT, JITD__PROTO__EXTENT__INIT};
    extents[0].address = 0x1000;
    extents[0].bytes = 32;
    extents[1].zone = 1;
    ProtobufCBinaryData missing = bytes_of("gone");
    Jitd__Proto__UnitInfo unit = JITD__PROTO__UNIT_INFO__INIT;
    unit.library = 7;
    unit.extents = (Jitd__Proto__Extent *[]){&extents[0], &extents[1]};
    unit.n_extents = 2;
    unit.uses = (uint64_t[]){3, 70000};
    unit.n_uses = 2;
    unit.waits_for = 3;
    unit.missing = &missing;
    unit.n_missing = 1;
    Jitd__Proto__AdapterInfo adapter = JITD__PROTO__ADAPTER_INFO__INIT;
    adapter.wanted = 5;
    adapter.given = UINT64_MAX;
    adapter.symbol = bytes_of("box");
    adapter.address = 0x1010;
    adapter.ways = 300;
    unit.adapters = (Jitd__Proto__AdapterInfo *[]){&adapter};
    unit.n_adapters = 1;
    Jitd__Proto__Search search = JITD__PROTO__SEARCH__INIT;
    search.library = 2;
    search.hidden = search.re_export = true;
    Jitd__Proto__LibraryInfo library = JITD__PROTO__LIBRARY_INFO__INIT;
    library.library = 7;
    library.name = bytes_of("seven");
    library.search = (Jitd__Proto__Search *[]){&search};
    library.n_search = 1;
    Jitd__Proto__Inspection inspection = JITD__PROTO__INSPECTION__INIT;
    inspection.zones = (Jitd__Proto__ZoneInfo *[]){&zone};
    inspection.n_zones = 1;
    inspection.units = (Jitd__Proto__UnitInfo *[]){&unit};
    inspection.n_units = 1;
    inspection.next_unit = 44;
    inspection.libraries = (Jitd__Proto__LibraryInfo *[]){&library};
    inspection.n_libraries = 1;
    pair_send(pair, MESSAGE_INSPECTION, number, &inspection);
}

Test(client_inspection, shows_dependencies_extents_adapters_and_libraries)
{
    struct seen seen = seen_open();
    bool completed = false;
    jitd_request number;
    cr_assert_eq(jitd_inspect_from(seen.pair->session,
                                   JITD_INSPECT_UNITS | JITD_INSPECT_DEPENDENCIES | JITD_INSPECT_LIBRARIES |
                                       JITD_INSPECT_ADAPTERS,
                                   40, 4, expect_inspection, &completed, &number),
                 0);
    const Jitd__Proto__Inspect *wire = seen_decode(&seen, MESSAGE_INSPECT);
    cr_expect(wire->units && wire->dependencies && wire->libraries && wire->adapters && !wire->digests);
    cr_expect(wire->first_unit == 40 && wire->unit_limit == 4);
    send_inspection(seen.pair, number);
    cr_expect_eq(jitd_wait(seen.pair->session, number, 2000), 0);
    cr_expect(completed);
    seen_close(&seen);
}

static void expect_causes(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    *(bool *)data = true;
    cr_assert(errors && errors->count == 2);
    const struct jitd_error *error = &errors->list[0];
    cr_assert_eq(error->cause_count, 2);
    cr_expect_str_eq(error->causes[0].unit, "a.o");
    cr_expect_str_eq(error->causes[0].symbol, "g");
    cr_expect_str_eq(error->causes[1].unit, "b.o");
    cr_expect_str_eq(error->causes[1].symbol, "");
    cr_expect_eq(error->causes_omitted, 5);
    cr_expect_eq(errors->list[1].cause_count, 0);
}

Test(client_errors, show_the_chain_of_causes)
{
    struct seen seen = seen_open();
    bool completed = false;
    jitd_request number;
    cr_assert_eq(jitd_define_library(seen.pair->session, &(struct jitd_library){.number = 1}, expect_causes, &completed,
                                     &number),
                 0);
    Jitd__Proto__Cause causes[2] = {JITD__PROTO__CAUSE__INIT, JITD__PROTO__CAUSE__INIT};
    causes[0].unit = bytes_of("a.o");
    causes[0].symbol = bytes_of("g");
    causes[1].unit = bytes_of("b.o");
    Jitd__Proto__Error errors[2] = {JITD__PROTO__ERROR__INIT, JITD__PROTO__ERROR__INIT};
    errors[0].code = JITD_ERROR_DEPENDENCY_FAILED;
    errors[0].causes = (Jitd__Proto__Cause *[]){&causes[0], &causes[1]};
    errors[0].n_causes = 2;
    errors[0].causes_omitted = 5;
    Jitd__Proto__Failed failed = JITD__PROTO__FAILED__INIT;
    failed.errors = (Jitd__Proto__Error *[]){&errors[0], &errors[1]};
    failed.n_errors = 2;
    pair_send(seen.pair, MESSAGE_FAILED, number, &failed);
    cr_expect_eq(jitd_wait(seen.pair->session, number, 2000), 0);
    cr_expect(completed);
    seen_close(&seen);
}
