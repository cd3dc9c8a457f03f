/*
 * Manifests become entries of their submission (manifest.h): rows become columns.
 *
 * A frontend may submit one for each function, so packing costs no allocation of its own: columns and names lie in
 * room that the submission allocated for all its units. A column ends with its last entry that is not empty, so that
 * one in which nothing stands costs nothing on the wire.
 */
#include "client/manifest.h"

#include <stdint.h>
#include <string.h>

#include "client/convert.h"
#include "common/bytes.h"
#include "proto/limits.h"

#define MANIFEST_DEFINITION_FLAGS                                                                                      \
    (JITD_DEFINITION_WEAK | JITD_DEFINITION_HIDDEN | JITD_DEFINITION_FUNCTION | JITD_DEFINITION_DATA |                 \
     JITD_DEFINITION_REDIRECTABLE)
#define MANIFEST_USE_FLAGS (JITD_USE_WEAK | JITD_USE_BY_SLOT | JITD_USE_LAZY | JITD_USE_LIBRARY)

/* ---- checking ---- */

static bool is_absent(const char *name)
{
    return !name || !*name;
}

static int check_optional_name(const char *name)
{
    return name && strnlen(name, LIMIT_NAME_BYTES + 1) > LIMIT_NAME_BYTES ? JITD_ERROR_LIMIT : 0;
}

static int check_name(const char *name)
{
    return is_absent(name) ? JITD_ERROR_INVALID : check_optional_name(name);
}

static int check_flags(unsigned flags, unsigned known, uint32_t library)
{
    if (flags & ~known)
        return JITD_ERROR_INVALID;
    return (flags & JITD_USE_LIBRARY) && library >= LIMIT_LIBRARY_NUMBERS ? JITD_ERROR_LIMIT : 0;
}

static int check_definition(const struct jitd_manifest *manifest, size_t i, bool with_object)
{
    const struct jitd_manifest_definition *definition = &manifest->definitions[i];
    int code = with_object ? check_name(definition->local) : JITD_ERROR_INVALID;
    code = code ? code : check_optional_name(definition->global);
    return code ? code : check_flags(definition->flags, MANIFEST_DEFINITION_FLAGS, 0);
}

static int check_use(const struct jitd_manifest *manifest, size_t i, bool with_object)
{
    const struct jitd_manifest_use *use = &manifest->uses[i];
    if (!with_object && !is_absent(use->local))
        return JITD_ERROR_INVALID;
    int code = is_absent(use->local) ? check_name(use->global) : check_optional_name(use->global);
    code = code ? code : check_optional_name(use->local);
    return code ? code : check_flags(use->flags, MANIFEST_USE_FLAGS, use->library);
}

static int check_absolute(const struct jitd_manifest *manifest, size_t i, bool with_object)
{
    (void)with_object;
    const struct jitd_absolute *absolute = &manifest->absolutes[i];
    int code = check_name(absolute->name);
    return code ? code : check_flags(absolute->flags, MANIFEST_DEFINITION_FLAGS, 0);
}

static int check_alias(const struct jitd_manifest *manifest, size_t i, bool with_object)
{
    (void)with_object;
    const struct jitd_alias *alias = &manifest->aliases[i];
    int code = check_name(alias->name);
    code = code ? code : check_name(alias->target);
    return code ? code : check_flags(alias->flags, MANIFEST_DEFINITION_FLAGS | JITD_USE_LIBRARY, alias->library);
}

static int check_lazy(const struct jitd_manifest *manifest, size_t i, bool with_object)
{
    (void)with_object;
    const struct jitd_lazy_definition *lazy = &manifest->lazies[i];
    int code = check_name(lazy->name);
    code = code ? code : check_name(lazy->target);
    return code ? code : check_flags(lazy->flags, MANIFEST_DEFINITION_FLAGS | JITD_USE_LIBRARY, lazy->library);
}

static int check_action_call(const char *function, const void *argument, size_t bytes)
{
    if (bytes != 0 && (is_absent(function) || !argument))
        return JITD_ERROR_INVALID;
    return bytes > LIMIT_ACTION_BYTES ? JITD_ERROR_LIMIT : check_optional_name(function);
}

static int check_action(const struct jitd_manifest *manifest, size_t i, bool with_object)
{
    (void)with_object;
    const struct jitd_manifest_action *action = &manifest->actions[i];
    if (is_absent(action->publish) && is_absent(action->remove))
        return JITD_ERROR_INVALID;
    int code = check_action_call(action->publish, action->publish_argument, action->publish_bytes);
    code = code ? code : check_action_call(action->remove, action->remove_argument, action->remove_bytes);
    return code ? code : check_flags(action->flags, JITD_USE_LIBRARY, action->library);
}

int manifest_check(const struct jitd_manifest *manifest, bool with_object)
{
    const struct {
        const void *list;
        size_t count;
        int (*check)(const struct jitd_manifest *manifest, size_t i, bool with_object);
    } lists[] = {
        {manifest->definitions, manifest->definition_count, check_definition},
        {manifest->uses, manifest->use_count, check_use},
        {manifest->absolutes, manifest->absolute_count, check_absolute},
        {manifest->aliases, manifest->alias_count, check_alias},
        {manifest->lazies, manifest->lazy_count, check_lazy},
        {manifest->actions, manifest->action_count, check_action},
    };
    int code = manifest->action_count > LIMIT_ACTIONS ? JITD_ERROR_LIMIT : 0;
    for (size_t l = 0; l < ARRAY_LENGTH(lists) && code == 0; l++) {
        if (lists[l].count > MANIFEST_MOST_ENTRIES)
            return JITD_ERROR_LIMIT;
        if (lists[l].count != 0 && !lists[l].list)
            return JITD_ERROR_INVALID;
        for (size_t i = 0; i < lists[l].count && code == 0; i++)
            code = lists[l].check(manifest, i, with_object);
    }
    return code;
}

size_t manifest_entries(const struct jitd_manifest *manifest)
{
    return manifest->definition_count + manifest->use_count + manifest->absolute_count + manifest->alias_count +
           manifest->lazy_count + manifest->action_count;
}

/* ---- packing ---- */

static size_t column_bytes(size_t count, size_t size)
{
    return align_up(count * size, sizeof(uint64_t));
}

/* What the global name says that the local one does not. */
static const char *global_beside(const char *local, const char *global)
{
    return !global || (local && strcmp(local, global) == 0) ? "" : global;
}

static size_t name_bytes(const char *local, const char *global)
{
    return (local ? strlen(local) : 0) + strlen(global_beside(local, global));
}

/* Whether it takes a message of its own: one that mentions nothing must be told from none. */
static bool has_message(const struct jitd_manifest *manifest)
{
    return manifest->absolute_count || manifest->alias_count || manifest->lazy_count || manifest->action_count ||
           (manifest->definition_count == 0 && manifest->use_count == 0);
}

void manifest_measure(const struct jitd_manifest *manifest, struct manifest_measure *measure)
{
    measure->definitions += manifest->definition_count;
    measure->uses += manifest->use_count;
    for (size_t i = 0; i < manifest->definition_count; i++)
        measure->name_bytes += name_bytes(manifest->definitions[i].local, manifest->definitions[i].global);
    for (size_t i = 0; i < manifest->use_count; i++)
        measure->name_bytes += name_bytes(manifest->uses[i].local, manifest->uses[i].global);
    if (has_message(manifest))
        measure->message_bytes += column_bytes(1, sizeof(Jitd__Proto__Manifest)) +
                                  manifest->absolute_count * (sizeof(Jitd__Proto__Absolute) + sizeof(void *)) +
                                  manifest->alias_count * (sizeof(Jitd__Proto__Alias) + sizeof(void *)) +
                                  manifest->lazy_count * (sizeof(Jitd__Proto__LazyDefinition) + sizeof(void *)) +
                                  manifest->action_count * (sizeof(Jitd__Proto__Action) + sizeof(void *));
}

size_t manifest_room(const struct manifest_measure *measure)
{
    size_t definitions = measure->definitions, uses = measure->uses;
    return measure->message_bytes + column_bytes(measure->name_bytes, 1) +
           column_bytes(2 * (definitions + uses), sizeof(uint32_t)) + (definitions + uses) * sizeof(uint64_t) +
           column_bytes(definitions, sizeof(uint32_t)) + 2 * column_bytes(uses, sizeof(uint32_t)) +
           2 * column_bytes(measure->units, sizeof(uint32_t));
}

static void *take(char **room, size_t count, size_t size)
{
    void *taken = *room;
    *room += column_bytes(count, size);
    return taken;
}

/* Of the two numbers the one with which a column ends, now that its entry i is known. */
static size_t column_end(size_t end, size_t i, bool is_empty)
{
    return is_empty ? end : i + 1;
}

void manifest_open_columns(const struct manifest_measure *measure, struct manifest_columns *columns, char **room)
{
    size_t definitions = measure->definitions, uses = measure->uses;
    Jitd__Proto__Entries *out = &columns->entries;
    *columns = (struct manifest_columns){.entries = JITD__PROTO__ENTRIES__INIT};
    out->names.data = take(room, measure->name_bytes, 1);
    out->name_bytes = take(room, 2 * (definitions + uses), sizeof *out->name_bytes);
    out->definition_flags = take(room, definitions, sizeof *out->definition_flags);
    out->definition_conventions = take(room, definitions, sizeof *out->definition_conventions);
    out->use_flags = take(room, uses, sizeof *out->use_flags);
    out->use_conventions = take(room, uses, sizeof *out->use_conventions);
    out->use_libraries = take(room, uses, sizeof *out->use_libraries);
    out->unit_definitions = take(room, measure->units, sizeof *out->unit_definitions);
    out->unit_uses = take(room, measure->units, sizeof *out->unit_uses);
}

static void pack_name(Jitd__Proto__Entries *out, const char *name)
{
    size_t length = strlen(name);
    memcpy(out->names.data + out->names.len, name, length);
    out->names.len += length;
    out->name_bytes[out->n_name_bytes++] = (uint32_t)length;
}

static void pack_names(Jitd__Proto__Entries *out, const char *local, const char *global)
{
    pack_name(out, local ? local : "");
    pack_name(out, global_beside(local, global));
}

static void pack_definition(const struct jitd_manifest_definition *definition, struct manifest_columns *columns)
{
    Jitd__Proto__Entries *out = &columns->entries;
    size_t i = columns->definitions++;
    pack_names(out, definition->local, definition->global);
    out->definition_flags[i] = definition->flags;
    out->definition_conventions[i] = definition->convention;
    out->n_definition_flags = column_end(out->n_definition_flags, i, definition->flags == 0);
    out->n_definition_conventions = column_end(out->n_definition_conventions, i, definition->convention == 0);
}

/* The wire counts libraries from 1, so that 0 can say that none is meant. */
static uint32_t wire_library(unsigned flags, uint32_t library)
{
    return flags & JITD_USE_LIBRARY ? library + 1 : 0;
}

static void pack_use(const struct jitd_manifest_use *use, struct manifest_columns *columns)
{
    Jitd__Proto__Entries *out = &columns->entries;
    size_t i = columns->uses++;
    pack_names(out, use->local, use->global);
    out->use_flags[i] = use->flags & ~(unsigned)JITD_USE_LIBRARY;
    out->use_conventions[i] = use->convention;
    out->use_libraries[i] = wire_library(use->flags, use->library);
    out->n_use_flags = column_end(out->n_use_flags, i, out->use_flags[i] == 0);
    out->n_use_conventions = column_end(out->n_use_conventions, i, use->convention == 0);
    out->n_use_libraries = column_end(out->n_use_libraries, i, out->use_libraries[i] == 0);
}

static void pack_absolutes(const struct jitd_manifest *manifest, Jitd__Proto__Manifest *out, char **room)
{
    Jitd__Proto__Absolute *absolutes = take(room, manifest->absolute_count, sizeof *absolutes);
    out->absolutes = take(room, manifest->absolute_count, sizeof *out->absolutes);
    for (size_t i = 0; i < manifest->absolute_count; i++) {
        const struct jitd_absolute *absolute = &manifest->absolutes[i];
        absolutes[i] = (Jitd__Proto__Absolute)JITD__PROTO__ABSOLUTE__INIT;
        absolutes[i].name = convert_borrow(absolute->name);
        absolutes[i].address = absolute->address;
        absolutes[i].flags = absolute->flags;
        absolutes[i].convention = absolute->convention;
        out->absolutes[out->n_absolutes++] = &absolutes[i];
    }
}

static void pack_aliases(const struct jitd_manifest *manifest, Jitd__Proto__Manifest *out, char **room)
{
    Jitd__Proto__Alias *aliases = take(room, manifest->alias_count, sizeof *aliases);
    out->aliases = take(room, manifest->alias_count, sizeof *out->aliases);
    for (size_t i = 0; i < manifest->alias_count; i++) {
        const struct jitd_alias *alias = &manifest->aliases[i];
        aliases[i] = (Jitd__Proto__Alias)JITD__PROTO__ALIAS__INIT;
        aliases[i].name = convert_borrow(alias->name);
        aliases[i].target = convert_borrow(alias->target);
        aliases[i].library = wire_library(alias->flags, alias->library);
        aliases[i].flags = alias->flags & ~(unsigned)JITD_USE_LIBRARY;
        out->aliases[out->n_aliases++] = &aliases[i];
    }
}

static void pack_lazies(const struct jitd_manifest *manifest, Jitd__Proto__Manifest *out, char **room)
{
    Jitd__Proto__LazyDefinition *lazies = take(room, manifest->lazy_count, sizeof *lazies);
    out->lazies = take(room, manifest->lazy_count, sizeof *out->lazies);
    for (size_t i = 0; i < manifest->lazy_count; i++) {
        const struct jitd_lazy_definition *lazy = &manifest->lazies[i];
        lazies[i] = (Jitd__Proto__LazyDefinition)JITD__PROTO__LAZY_DEFINITION__INIT;
        lazies[i].name = convert_borrow(lazy->name);
        lazies[i].target = convert_borrow(lazy->target);
        lazies[i].library = wire_library(lazy->flags, lazy->library);
        lazies[i].flags = lazy->flags & ~(unsigned)JITD_USE_LIBRARY;
        lazies[i].convention = lazy->convention;
        out->lazies[out->n_lazies++] = &lazies[i];
    }
}

static ProtobufCBinaryData borrow_argument(const void *argument, size_t bytes)
{
    return (ProtobufCBinaryData){.len = bytes, .data = (uint8_t *)(uintptr_t)argument};
}

static void pack_actions(const struct jitd_manifest *manifest, Jitd__Proto__Manifest *out, char **room)
{
    Jitd__Proto__Action *actions = take(room, manifest->action_count, sizeof *actions);
    out->actions = take(room, manifest->action_count, sizeof *out->actions);
    for (size_t i = 0; i < manifest->action_count; i++) {
        const struct jitd_manifest_action *action = &manifest->actions[i];
        actions[i] = (Jitd__Proto__Action)JITD__PROTO__ACTION__INIT;
        actions[i].publish = convert_borrow(action->publish);
        actions[i].publish_argument = borrow_argument(action->publish_argument, action->publish_bytes);
        actions[i].remove = convert_borrow(action->remove);
        actions[i].remove_argument = borrow_argument(action->remove_argument, action->remove_bytes);
        actions[i].library = wire_library(action->flags, action->library);
        out->actions[out->n_actions++] = &actions[i];
    }
}

static Jitd__Proto__Manifest *pack_message(const struct jitd_manifest *manifest, char **room)
{
    Jitd__Proto__Manifest *out = take(room, 1, sizeof *out);
    *out = (Jitd__Proto__Manifest)JITD__PROTO__MANIFEST__INIT;
    pack_absolutes(manifest, out, room);
    pack_aliases(manifest, out, room);
    pack_lazies(manifest, out, room);
    pack_actions(manifest, out, room);
    return out;
}

/* Units between that have none are told by 0. */
static void pack_count(uint32_t *column, size_t *length, size_t number, size_t count)
{
    if (count == 0)
        return;
    while (*length < number)
        column[(*length)++] = 0;
    column[(*length)++] = (uint32_t)count;
}

void manifest_pack(const struct jitd_manifest *manifest, size_t number, struct manifest_columns *columns,
                   Jitd__Proto__Unit *unit, char **room)
{
    Jitd__Proto__Entries *out = &columns->entries;
    for (size_t i = 0; i < manifest->definition_count; i++)
        pack_definition(&manifest->definitions[i], columns);
    for (size_t i = 0; i < manifest->use_count; i++)
        pack_use(&manifest->uses[i], columns);
    pack_count(out->unit_definitions, &out->n_unit_definitions, number, manifest->definition_count);
    pack_count(out->unit_uses, &out->n_unit_uses, number, manifest->use_count);
    if (has_message(manifest))
        unit->manifest = pack_message(manifest, room);
}
