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

int submit_entries_open(struct submit_entries *entries, const Jitd__Proto__Entries *wire, struct error *error)
{
    uint64_t bytes = 0;

    *entries = (struct submit_entries){.wire = wire ? wire : &no_entries};
    wire = entries->wire;
    for (size_t i = 0; i < wire->n_name_bytes; i++)
        bytes += wire->name_bytes[i];
    if (wire->n_name_bytes % 2 != 0 || bytes != wire->names.len)
        return error_set(error, ERROR_INVALID, "entries: %zu lengths that add up to %llu for %zu bytes of names",
                         wire->n_name_bytes, (unsigned long long)bytes, wire->names.len);
    entries->left = wire->n_name_bytes / 2;
    entries->name = (const char *)wire->names.data;
    entries->bytes = wire->name_bytes;
    return 0;
}

int submit_entries_close(const struct submit_entries *entries, struct error *error)
{
    const Jitd__Proto__Entries *wire = entries->wire;
    const struct {
        const char *name;
        size_t length, most;
    } columns[] = {
        {"definition_flags", wire->n_definition_flags, entries->definitions},
        {"definition_conventions", wire->n_definition_conventions, entries->definitions},
        {"use_flags", wire->n_use_flags, entries->uses},
        {"use_conventions", wire->n_use_conventions, entries->uses},
        {"use_libraries", wire->n_use_libraries, entries->uses},
    };

    if (entries->left > 0)
        return error_set(error, ERROR_INVALID, "entries: %zu of them are of no unit", entries->left);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (columns[i].length > columns[i].most)
            return error_set(error, ERROR_INVALID, "entries: %zu %s for %zu entries", columns[i].length,
                             columns[i].name, columns[i].most);
    return 0;
}

/* The next entry's names; there is one left. A global name that is empty is the local one. */
static void take_names(struct submit_entries *entries, struct manifest_name *local, struct manifest_name *global)
{
    *local = (struct manifest_name){entries->name, entries->bytes[0]};
    *global = (struct manifest_name){entries->name + entries->bytes[0], entries->bytes[1]};
    entries->name += (size_t)entries->bytes[0] + entries->bytes[1];
    entries->bytes += 2;
    entries->left--;
    if (global->length == 0)
        *global = *local;
}

static int check_flags(const struct conversion *conversion, const struct manifest_name *name, uint32_t flags,
                       uint32_t end)
{
    return flags < end ? 0 : refuse(conversion, name, "flags that are not known");
}

static int add_definition(struct conversion *conversion, const struct manifest_definition *definition)
{
    int code = check_name(conversion, &definition->global);

    if (!code)
        code = check_flags(conversion, &definition->global, definition->flags, DEFINITION_FLAGS_END);
    if (!code && definition->kind != DEFINITION_LOCAL && (definition->flags & DEFINITION_REDIRECTABLE))
        code = refuse(conversion, &definition->global, "only a function of the object can be redirectable");
    conversion->definitions[conversion->definition_count++] = *definition;
    return code;
}

static int add_use(struct conversion *conversion, const struct manifest_use *use)
{
    int code = check_name(conversion, &use->global);

    if (!code)
        code = check_flags(conversion, &use->global, use->flags, USE_FLAGS_END);
    conversion->uses[conversion->use_count++] = *use;
    return code;
}

static uint32_t library_of(uint32_t counted_from_one)
{
    return counted_from_one ? counted_from_one - 1 : USE_LIBRARY_OWN;
}

static int convert_definitions(struct conversion *conversion)
{
    struct submit_entries *entries = conversion->entries;
    const Jitd__Proto__Entries *wire = entries->wire;
    int code = 0;

    for (uint32_t i = 0; i < conversion->unit->definitions && !code; i++) {
        size_t place = entries->definitions++;
        struct manifest_definition definition = {0};

        take_names(entries, &definition.local, &definition.global);
        if (place < wire->n_definition_flags)
            definition.flags = wire->definition_flags[place];
        if (place < wire->n_definition_conventions)
            definition.convention = wire->definition_conventions[place];
        code = add_definition(conversion, &definition);
        if (!code)
            code = check_name(conversion, &definition.local);
    }
    return code;
}

static int convert_uses(struct conversion *conversion)
{
    struct submit_entries *entries = conversion->entries;
    const Jitd__Proto__Entries *wire = entries->wire;
    int code = 0;

    for (uint32_t i = 0; i < conversion->unit->uses && !code; i++) {
        struct manifest_use use = {.library = USE_LIBRARY_OWN};
        size_t place = entries->uses++;

        take_names(entries, &use.local, &use.global);
        if (place < wire->n_use_flags)
            use.flags = wire->use_flags[place];
        if (place < wire->n_use_conventions)
            use.convention = wire->use_conventions[place];
        if (place < wire->n_use_libraries)
            use.library = library_of(wire->use_libraries[place]);
        code = add_use(conversion, &use);
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

    for (size_t i = 0; i < ARRAY_LENGTH(parts) && conversion->unit->manifest && !code; i++)
        code = parts[i](conversion);
    return code;
}

/* Room for all that the unit may have. */
static int make_room(struct conversion *conversion, const Jitd__Proto__Manifest *more, struct pool *pool)
{
    size_t definitions = conversion->unit->definitions + more->n_absolutes + more->n_aliases + more->n_lazies;
    size_t uses = conversion->unit->uses + more->n_aliases + 2 * more->n_actions;

    if (more->n_actions > LIMIT_ACTIONS)
        return error_set(conversion->error, ERROR_LIMIT, "manifest: %zu actions; at most %d are taken", more->n_actions,
                         LIMIT_ACTIONS);
    conversion->manifest = pool_allocate(pool, sizeof *conversion->manifest);
    conversion->definitions = pool_allocate_uninitialised(pool, definitions * sizeof *conversion->definitions);
    conversion->uses = pool_allocate_uninitialised(pool, uses * sizeof *conversion->uses);
    conversion->actions = pool_allocate_uninitialised(pool, more->n_actions * sizeof *conversion->actions);
    if (!conversion->manifest || !conversion->definitions || !conversion->uses || !conversion->actions)
        return error_set(conversion->error, ERROR_NO_MEMORY, "no memory for a manifest");
    return 0;
}

int submit_manifest(struct submit_entries *entries, const Jitd__Proto__Unit *unit, bool with_object, struct pool *pool,
                    const struct manifest **out, struct error *error)
{
    static const Jitd__Proto__Manifest no_more = JITD__PROTO__MANIFEST__INIT;
    const Jitd__Proto__Manifest *more = unit->manifest ? unit->manifest : &no_more;
    struct conversion conversion = {.entries = entries, .unit = unit, .error = error};

    *out = NULL;
    if (!unit->manifest && unit->definitions == 0 && unit->uses == 0)
        return 0;
    if (unit->definitions > entries->left || unit->uses > entries->left - unit->definitions)
        return error_set(error, ERROR_INVALID, "entries: %u definitions and %u uses, but %zu entries are left",
                         unit->definitions, unit->uses, entries->left);
    int code = make_room(&conversion, more, pool);
    code = code ? code : convert_definitions(&conversion);
    code = code ? code : convert_uses(&conversion);
    if (!code && !with_object && has_local_names(&conversion))
        code = error_set(error, ERROR_INVALID, "manifest: names of an object, but the unit has none");
    code = code ? code : convert_the_rest(&conversion);
    if (code)
        return code;
    *conversion.manifest = (struct manifest){.definitions = conversion.definitions,
                                             .definition_count = conversion.definition_count,
                                             .uses = conversion.uses,
                                             .use_count = conversion.use_count,
                                             .actions = conversion.actions,
                                             .action_count = conversion.action_count};
    *out = conversion.manifest;
    return 0;
}
