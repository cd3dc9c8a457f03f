/*
 * Entries of the wire as the linker's own manifests (manifest.h): columns become rows, numbers and names are checked.
 * Names stay where the message has them.
 */
#include "daemon/linker/submit_manifest.h"

#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "proto/limits.h"

struct conversion {
    struct submit_entries *entries;
    const Jitd__Proto__Unit *unit;
    struct manifest *manifest;
    struct manifest_definition *definitions;
    struct manifest_use *uses;
    struct manifest_action *actions;
    uint32_t definition_count, use_count, action_count;
    struct error *error;
};

static int refuse(const struct conversion *conversion, const struct manifest_name *name, const char *what)
{
    char shown[160];

    log_escape(shown, sizeof shown, name->bytes, name->length);
    error_set(conversion->error, ERROR_INVALID, "manifest: '%s': %s", shown, what);
    error_set_symbol(conversion->error, shown);
    return ERROR_INVALID;
}

static struct manifest_name name_of(const ProtobufCBinaryData *bytes)
{
    return (struct manifest_name){(const char *)bytes->data, bytes->len};
}

static int check_name(const struct conversion *conversion, const struct manifest_name *name)
{
    if (name->length == 0 || name->length > LIMIT_NAME_BYTES || memchr(name->bytes, '\0', name->length))
        return refuse(conversion, name, "a name is empty, too long or contains a NUL byte");
    return 0;
}

static const Jitd__Proto__Entries no_entries = JITD__PROTO__ENTRIES__INIT;

static uint64_t sum(const uint32_t *column, size_t length)
{
    uint64_t total = 0;

    for (size_t i = 0; i < length; i++)
        total += column[i];
    return total;
}

/* Every name has its length, and every entry its unit. */
static int check_counts(const Jitd__Proto__Entries *wire, size_t units, uint64_t definitions, uint64_t uses,
                        struct error *error)
{
    uint64_t bytes = sum(wire->name_bytes, wire->n_name_bytes);

    if (bytes != wire->names.len)
        return error_set(error, ERROR_INVALID, "entries: %zu lengths that add up to %llu for %zu bytes of names",
                         wire->n_name_bytes, (unsigned long long)bytes, wire->names.len);
    if (wire->n_unit_definitions > units || wire->n_unit_uses > units)
        return error_set(error, ERROR_INVALID, "entries: of more than %zu units", units);
    if ((definitions + uses) * 2 != wire->n_name_bytes)
        return error_set(error, ERROR_INVALID, "entries: %llu definitions and %llu uses, but %zu names",
                         (unsigned long long)definitions, (unsigned long long)uses, wire->n_name_bytes);
    return 0;
}

static int check_columns(const Jitd__Proto__Entries *wire, uint64_t definitions, uint64_t uses, struct error *error)
{
    const struct {
        const char *name;
        size_t length;
        uint64_t most;
    } columns[] = {
        {"definition_flags", wire->n_definition_flags, definitions},
        {"definition_conventions", wire->n_definition_conventions, definitions},
        {"use_flags", wire->n_use_flags, uses},
        {"use_conventions", wire->n_use_conventions, uses},
        {"use_libraries", wire->n_use_libraries, uses},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
        if (columns[i].length > columns[i].most)
            return error_set(error, ERROR_INVALID, "entries: %zu %s for %llu entries", columns[i].length,
                             columns[i].name, (unsigned long long)columns[i].most);
    return 0;
}

static bool are_plain(const Jitd__Proto__Entries *wire)
{
    uint32_t longest = 0;

    for (size_t i = 0; i < wire->n_name_bytes; i++)
        longest = wire->name_bytes[i] > longest ? wire->name_bytes[i] : longest;
    return longest <= LIMIT_NAME_BYTES && (wire->names.len == 0 || !memchr(wire->names.data, '\0', wire->names.len));
}

int submit_entries_open(struct submit_entries *entries, const Jitd__Proto__Entries *wire, size_t units,
                        struct pool *pool, struct error *error)
{
    wire = wire ? wire : &no_entries;
    uint64_t definitions = sum(wire->unit_definitions, wire->n_unit_definitions);
    uint64_t uses = sum(wire->unit_uses, wire->n_unit_uses);
    int code = check_counts(wire, units, definitions, uses, error);

    *entries = (struct submit_entries){.wire = wire,
                                       .name = (const char *)wire->names.data,
                                       .bytes = wire->name_bytes,
                                       .plain_names = are_plain(wire),
                                       .pool = pool};
    code = code ? code : check_columns(wire, definitions, uses, error);
    if (code)
        return code;
    entries->manifests = pool_allocate_uninitialised(pool, units * sizeof *entries->manifests);
    entries->definition_room = pool_allocate_uninitialised(pool, definitions * sizeof *entries->definition_room);
    entries->use_room = pool_allocate_uninitialised(pool, uses * sizeof *entries->use_room);
    if (!entries->manifests || !entries->definition_room || !entries->use_room)
        return error_set(error, ERROR_NO_MEMORY, "no memory for manifests");
    return 0;
}

static uint32_t own_definitions(const struct submit_entries *entries)
{
    return entries->unit < entries->wire->n_unit_definitions ? entries->wire->unit_definitions[entries->unit] : 0;
}

static uint32_t own_uses(const struct submit_entries *entries)
{
    return entries->unit < entries->wire->n_unit_uses ? entries->wire->unit_uses[entries->unit] : 0;
}

bool submit_has_entries(const struct submit_entries *entries)
{
    return own_definitions(entries) || own_uses(entries);
}

/* The next entry's names; there is one left. A global name that is empty is the local one. */
static void take_names(struct submit_entries *entries, struct manifest_name *local, struct manifest_name *global)
{
    *local = (struct manifest_name){entries->name, entries->bytes[0]};
    *global = (struct manifest_name){entries->name + entries->bytes[0], entries->bytes[1]};
    entries->name += (size_t)entries->bytes[0] + entries->bytes[1];
    entries->bytes += 2;
    if (global->length == 0)
        *global = *local;
}

/* The same for a name of the entries, all of which have been looked at. */
static int check_entry_name(const struct conversion *conversion, const struct manifest_name *name)
{
    return name->length && conversion->entries->plain_names ? 0 : check_name(conversion, name);
}

static int check_definition(struct conversion *conversion, const struct manifest_definition *definition)
{
    conversion->manifest->names_libraries |= definition->kind == DEFINITION_LAZY;
    conversion->manifest->has_trampolines |=
        definition->kind == DEFINITION_LAZY || (definition->flags & DEFINITION_REDIRECTABLE);
    if (definition->flags >= DEFINITION_FLAGS_END)
        return refuse(conversion, &definition->global, "flags that are not known");
    if (definition->kind != DEFINITION_LOCAL && (definition->flags & DEFINITION_REDIRECTABLE))
        return refuse(conversion, &definition->global, "only a function of the object can be redirectable");
    return 0;
}

static int check_use(struct conversion *conversion, const struct manifest_use *use)
{
    conversion->manifest->names_libraries |= use->library != USE_LIBRARY_OWN;
    conversion->manifest->has_trampolines |= (use->flags & USE_LAZY) != 0;
    return use->flags < USE_FLAGS_END ? 0 : refuse(conversion, &use->global, "flags that are not known");
}

static int add_definition(struct conversion *conversion, const struct manifest_definition *definition)
{
    int code = check_name(conversion, &definition->global);

    conversion->definitions[conversion->definition_count++] = *definition;
    return code ? code : check_definition(conversion, definition);
}

static int add_use(struct conversion *conversion, const struct manifest_use *use)
{
    int code = check_name(conversion, &use->global);

    conversion->uses[conversion->use_count++] = *use;
    return code ? code : check_use(conversion, use);
}

static uint32_t library_of(uint32_t counted_from_one)
{
    return counted_from_one ? counted_from_one - 1 : USE_LIBRARY_OWN;
}

static int convert_definitions(struct conversion *conversion, uint32_t count)
{
    struct submit_entries *entries = conversion->entries;
    const Jitd__Proto__Entries *wire = entries->wire;
    int code = 0;

    for (uint32_t i = 0; i < count && !code; i++) {
        struct manifest_definition *definition = &conversion->definitions[conversion->definition_count++];
        size_t place = entries->definitions++;

        *definition = (struct manifest_definition){0};
        take_names(entries, &definition->local, &definition->global);
        if (place < wire->n_definition_flags)
            definition->flags = wire->definition_flags[place];
        if (place < wire->n_definition_conventions)
            definition->convention = wire->definition_conventions[place];
        code = check_entry_name(conversion, &definition->local);
        code = code ? code : check_entry_name(conversion, &definition->global);
        code = code ? code : check_definition(conversion, definition);
    }
    return code;
}

static int convert_uses(struct conversion *conversion, uint32_t count)
{
    struct submit_entries *entries = conversion->entries;
    const Jitd__Proto__Entries *wire = entries->wire;
    int code = 0;

    for (uint32_t i = 0; i < count && !code; i++) {
        struct manifest_use *use = &conversion->uses[conversion->use_count++];
        size_t place = entries->uses++;

        *use = (struct manifest_use){.library = USE_LIBRARY_OWN};
        take_names(entries, &use->local, &use->global);
        if (place < wire->n_use_flags)
            use->flags = wire->use_flags[place];
        if (place < wire->n_use_conventions)
            use->convention = wire->use_conventions[place];
        if (place < wire->n_use_libraries)
            use->library = library_of(wire->use_libraries[place]);
        code = check_entry_name(conversion, &use->global);
        code = code ? code : check_use(conversion, use);
    }
    return code;
}

/* Of an object, that is. */
static bool has_local_names(const struct conversion *conversion)
{
    for (uint32_t i = 0; i < conversion->use_count; i++)
        if (conversion->uses[i].local.length)
            return true;
    return conversion->definition_count > 0;
}

static int convert_absolutes(struct conversion *conversion)
{
    int code = 0;

    for (size_t i = 0; i < conversion->unit->manifest->n_absolutes && !code; i++) {
        const Jitd__Proto__Absolute *wire = conversion->unit->manifest->absolutes[i];

        code = add_definition(conversion, &(struct manifest_definition){.kind = DEFINITION_ABSOLUTE,
                                                                        .global = name_of(&wire->name),
                                                                        .flags = wire->flags,
                                                                        .convention = wire->convention,
                                                                        .address = wire->address});
    }
    return code;
}

/* An alias is a definition and the use that it stands for. */
static int convert_aliases(struct conversion *conversion)
{
    int code = 0;

    for (size_t i = 0; i < conversion->unit->manifest->n_aliases && !code; i++) {
        const Jitd__Proto__Alias *wire = conversion->unit->manifest->aliases[i];

        code = add_definition(conversion, &(struct manifest_definition){.kind = DEFINITION_ALIAS,
                                                                        .global = name_of(&wire->name),
                                                                        .flags = wire->flags,
                                                                        .use = conversion->use_count});
        if (!code)
            code = add_use(conversion, &(struct manifest_use){.global = name_of(&wire->target),
                                                              .library = library_of(wire->library),
                                                              .any_convention = true});
    }
    return code;
}

static int convert_lazies(struct conversion *conversion)
{
    int code = 0;

    for (size_t i = 0; i < conversion->unit->manifest->n_lazies && !code; i++) {
        const Jitd__Proto__LazyDefinition *wire = conversion->unit->manifest->lazies[i];
        const struct manifest_definition definition = {.kind = DEFINITION_LAZY,
                                                       .global = name_of(&wire->name),
                                                       .flags = wire->flags | DEFINITION_FUNCTION,
                                                       .convention = wire->convention,
                                                       .target = name_of(&wire->target),
                                                       .library = library_of(wire->library)};

        code = add_definition(conversion, &definition);
        if (!code)
            code = check_name(conversion, &definition.target);
    }
    return code;
}

static int convert_action_call(struct conversion *conversion, const ProtobufCBinaryData *name,
                               const ProtobufCBinaryData *argument, uint32_t library, struct manifest_action_call *out)
{
    *out = (struct manifest_action_call){MANIFEST_NO_USE, (uint32_t)argument->len, argument->data};
    if (argument->len > LIMIT_ACTION_BYTES)
        return error_set(conversion->error, ERROR_LIMIT,
                         "manifest: an action's argument of %zu bytes; at most %llu are taken", argument->len,
                         LIMIT_ACTION_BYTES);
    if (name->len == 0)
        return argument->len == 0 ? 0
                                  : error_set(conversion->error, ERROR_INVALID,
                                              "manifest: an action with an argument and no function to take it");
    out->use = conversion->use_count;
    return add_use(conversion, &(struct manifest_use){
                                   .global = name_of(name), .library = library_of(library), .any_convention = true});
}

/* Its functions are uses to which nothing refers. */
static int convert_actions(struct conversion *conversion)
{
    int code = 0;

    for (size_t i = 0; i < conversion->unit->manifest->n_actions && !code; i++) {
        const Jitd__Proto__Action *wire = conversion->unit->manifest->actions[i];
        struct manifest_action *action = &conversion->actions[conversion->action_count++];

        code =
            convert_action_call(conversion, &wire->publish, &wire->publish_argument, wire->library, &action->publish);
        if (!code)
            code =
                convert_action_call(conversion, &wire->remove, &wire->remove_argument, wire->library, &action->remove);
        if (!code && wire->publish.len == 0 && wire->remove.len == 0)
            code = error_set(conversion->error, ERROR_INVALID, "manifest: an action without a function");
    }
    return code;
}

static int convert_the_rest(struct conversion *conversion)
{
    static int (*const parts[])(struct conversion * conversion) = {convert_absolutes, convert_aliases, convert_lazies,
                                                                   convert_actions};
    int code = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(parts) && !code; i++)
        code = parts[i](conversion);
    return code;
}

/* What is not among the entries takes room of the unit's own, behind the entries. */
static int make_room(struct conversion *conversion, const Jitd__Proto__Manifest *more, size_t definitions, size_t uses)
{
    struct pool *pool = conversion->entries->pool;

    if (more->n_actions > LIMIT_ACTIONS)
        return error_set(conversion->error, ERROR_LIMIT, "manifest: %zu actions; at most %d are taken", more->n_actions,
                         LIMIT_ACTIONS);
    definitions += more->n_absolutes + more->n_aliases + more->n_lazies;
    uses += more->n_aliases + 2 * more->n_actions;
    conversion->definitions = pool_allocate_uninitialised(pool, definitions * sizeof *conversion->definitions);
    conversion->uses = pool_allocate_uninitialised(pool, uses * sizeof *conversion->uses);
    conversion->actions = pool_allocate_uninitialised(pool, more->n_actions * sizeof *conversion->actions);
    if (!conversion->definitions || !conversion->uses || !conversion->actions)
        return error_set(conversion->error, ERROR_NO_MEMORY, "no memory for a manifest");
    return 0;
}

static int convert(struct conversion *conversion, uint32_t definitions, uint32_t uses, bool with_object)
{
    const Jitd__Proto__Manifest *more = conversion->unit->manifest;
    int code = more ? make_room(conversion, more, definitions, uses) : 0;

    code = code ? code : convert_definitions(conversion, definitions);
    code = code ? code : convert_uses(conversion, uses);
    if (!code && !with_object && has_local_names(conversion))
        code = error_set(conversion->error, ERROR_INVALID, "manifest: names of an object, but the unit has none");
    return code || !more ? code : convert_the_rest(conversion);
}

int submit_manifest(struct submit_entries *entries, const Jitd__Proto__Unit *unit, bool with_object,
                    const struct manifest **out, struct error *error)
{
    uint32_t definitions = own_definitions(entries), uses = own_uses(entries);
    struct manifest *manifest = &entries->manifests[entries->unit++];
    struct conversion conversion = {.entries = entries,
                                    .unit = unit,
                                    .manifest = manifest,
                                    .definitions = entries->definition_room + entries->definitions,
                                    .uses = entries->use_room + entries->uses,
                                    .error = error};

    *out = NULL;
    if (!unit->manifest && definitions == 0 && uses == 0)
        return 0;
    *manifest = (struct manifest){0};
    int code = convert(&conversion, definitions, uses, with_object);
    manifest->definitions = conversion.definitions;
    manifest->definition_count = conversion.definition_count;
    manifest->uses = conversion.uses;
    manifest->use_count = conversion.use_count;
    manifest->actions = conversion.actions;
    manifest->action_count = conversion.action_count;
    if (!code)
        *out = manifest;
    return code;
}
