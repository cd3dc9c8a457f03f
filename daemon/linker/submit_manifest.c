/*
 * A Manifest of the wire as the linker's own (manifest.h): columns become rows, numbers and names are checked. Names
 * stay where the message has them.
 */
#include "daemon/linker/submit_manifest.h"

#include <string.h>

#include "common/log.h"
#include "proto/limits.h"

struct conversion {
    const Jitd__Proto__Manifest *wire;
    struct pool *pool;
    struct manifest_definition *definitions;
    struct manifest_use *uses;
    uint32_t definition_count, use_count;
    const char *next_name; /* in wire->names */
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

static int check_column(const struct conversion *conversion, const char *column, size_t length, size_t entries)
{
    if (length <= entries)
        return 0;
    return error_set(conversion->error, ERROR_INVALID, "manifest: %zu %s for %zu entries", length, column, entries);
}

/* Entries are numbered, definitions first; their names must fill `names` exactly. */
static int check_columns(struct conversion *conversion)
{
    const Jitd__Proto__Manifest *wire = conversion->wire;
    size_t entries = wire->n_name_bytes / 2, definitions = wire->definitions;
    uint64_t bytes = 0;

    for (size_t i = 0; i < wire->n_name_bytes; i++)
        bytes += wire->name_bytes[i];
    if (wire->n_name_bytes % 2 != 0 || bytes != wire->names.len || definitions > entries)
        return error_set(conversion->error, ERROR_INVALID,
                         "manifest: %zu lengths of names (%llu bytes of %zu) for %zu definitions and what is used",
                         wire->n_name_bytes, (unsigned long long)bytes, wire->names.len, definitions);
    const struct {
        const char *name;
        size_t length, entries;
    } columns[] = {
        {"definition_flags", wire->n_definition_flags, definitions},
        {"definition_conventions", wire->n_definition_conventions, definitions},
        {"use_flags", wire->n_use_flags, entries - definitions},
        {"use_conventions", wire->n_use_conventions, entries - definitions},
        {"use_libraries", wire->n_use_libraries, entries - definitions},
    };
    int code = 0;

    for (size_t i = 0; i < sizeof columns / sizeof columns[0] && !code; i++)
        code = check_column(conversion, columns[i].name, columns[i].length, columns[i].entries);
    conversion->next_name = (const char *)wire->names.data;
    return code;
}

/* The next entry's names; check_columns has seen that they are there. A global name that is empty is the local one. */
static void take_names(struct conversion *conversion, size_t entry, struct manifest_name *local,
                       struct manifest_name *global)
{
    const uint32_t *bytes = &conversion->wire->name_bytes[2 * entry];

    *local = (struct manifest_name){conversion->next_name, bytes[0]};
    *global = (struct manifest_name){conversion->next_name + bytes[0], bytes[1]};
    conversion->next_name += (size_t)bytes[0] + bytes[1];
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
    const Jitd__Proto__Manifest *wire = conversion->wire;
    int code = 0;

    for (size_t i = 0; i < wire->definitions && !code; i++) {
        struct manifest_definition definition = {0};

        take_names(conversion, i, &definition.local, &definition.global);
        if (i < wire->n_definition_flags)
            definition.flags = wire->definition_flags[i];
        if (i < wire->n_definition_conventions)
            definition.convention = wire->definition_conventions[i];
        code = add_definition(conversion, &definition);
        if (!code)
            code = check_name(conversion, &definition.local);
    }
    return code;
}

static int convert_uses(struct conversion *conversion)
{
    const Jitd__Proto__Manifest *wire = conversion->wire;
    size_t count = wire->n_name_bytes / 2 - wire->definitions;
    int code = 0;

    for (size_t i = 0; i < count && !code; i++) {
        struct manifest_use use = {.library = USE_LIBRARY_OWN};

        take_names(conversion, wire->definitions + i, &use.local, &use.global);
        if (i < wire->n_use_flags)
            use.flags = wire->use_flags[i];
        if (i < wire->n_use_conventions)
            use.convention = wire->use_conventions[i];
        if (i < wire->n_use_libraries)
            use.library = library_of(wire->use_libraries[i]);
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

    for (size_t i = 0; i < conversion->wire->n_absolutes && !code; i++) {
        const Jitd__Proto__Absolute *wire = conversion->wire->absolutes[i];

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

    for (size_t i = 0; i < conversion->wire->n_aliases && !code; i++) {
        const Jitd__Proto__Alias *wire = conversion->wire->aliases[i];

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

    for (size_t i = 0; i < conversion->wire->n_lazies && !code; i++) {
        const Jitd__Proto__LazyDefinition *wire = conversion->wire->lazies[i];
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

const struct manifest *submit_manifest(const Jitd__Proto__Manifest *wire, bool with_object, struct pool *pool,
                                       struct error *error)
{
    struct conversion conversion = {.wire = wire, .pool = pool, .error = error};
    struct manifest *manifest = pool_allocate(pool, sizeof *manifest);
    int code = check_columns(&conversion);

    if (code)
        return NULL;
    conversion.definitions = pool_allocate_array(
        pool, wire->definitions + wire->n_absolutes + wire->n_aliases + wire->n_lazies, sizeof *conversion.definitions);
    conversion.uses = pool_allocate_array(pool, wire->n_name_bytes / 2 - wire->definitions + wire->n_aliases,
                                          sizeof *conversion.uses);
    if (!manifest || !conversion.definitions || !conversion.uses) {
        error_set(error, ERROR_NO_MEMORY, "no memory for a manifest");
        return NULL;
    }
    code = convert_definitions(&conversion);
    code = code ? code : convert_uses(&conversion);
    if (!code && !with_object && has_local_names(&conversion))
        code = error_set(error, ERROR_INVALID, "manifest: names of an object, but the unit has none");
    code = code ? code : convert_absolutes(&conversion);
    code = code ? code : convert_aliases(&conversion);
    code = code ? code : convert_lazies(&conversion);
    *manifest =
        (struct manifest){conversion.definitions, conversion.definition_count, conversion.uses, conversion.use_count};
    return code ? NULL : manifest;
}
