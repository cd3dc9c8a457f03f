#include "daemon/linker/names.h"

#include <string.h>

#include "common/log.h"
#include "daemon/linker/gather.h"
#include "daemon/linker/missing.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/search.h"
#include "daemon/linker/uses.h"
#include "daemon/linker/version.h"

struct naming {
    struct linker *linker;
    struct unit *unit;
    struct pending *pending;
    struct report *report;
};

static bool is_defined(const struct unit *unit, uint32_t index)
{
    return resolve_strength_of(unit, index) != STRENGTH_NONE;
}

/* The symbol of a global name, entered where it is new; NULL has been reported. */
static struct symbol *intern(const struct naming *naming, uint32_t number)
{
    struct symbol *symbol = symbols_intern_key(naming->linker->symbols, &naming->pending->keys[number]);

    if (!symbol)
        resolve_no_memory(naming->report, naming->unit);
    return symbol;
}

static struct offer *add_offer(const struct naming *naming, struct symbol *symbol, uint32_t index)
{
    struct offer *offer = &naming->pending->offers[naming->pending->offer_count++];

    *offer = (struct offer){.symbol = symbol, .index = index};
    return offer;
}

/* ---- without a manifest ---- */

/* Of a default version, the name with the version is one more. */
static int offer_version(const struct naming *naming, uint32_t index)
{
    const char *also = naming->pending->versions[index - naming->pending->object.first_global];
    struct symbol *symbol = NULL;

    if (!also)
        return 0;
    symbol = symbols_intern(naming->linker->symbols, SPACE_EXPORTED(naming->unit->library), also, strlen(also));
    if (!symbol)
        return resolve_no_memory(naming->report, naming->unit);
    add_offer(naming, symbol, index);
    return 0;
}

static int name_all_globally(const struct naming *naming)
{
    struct pending *pending = naming->pending;
    const struct object *object = &pending->object;

    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        bool defined = is_defined(naming->unit, i);

        if (!defined && !pending->referenced[i])
            continue;
        struct symbol *symbol = intern(naming, i - object->first_global);
        if (!symbol)
            return ERROR_NO_MEMORY;
        if (!defined && gather_may_bound(symbol->name) && gather_want(naming->linker, naming->unit, symbol->name) != 0)
            return resolve_no_memory(naming->report, naming->unit);
        pending->globals[i - object->first_global] = symbol;
        if (defined)
            add_offer(naming, symbol, i);
        if (defined && pending->versions && offer_version(naming, i) != 0)
            return ERROR_NO_MEMORY;
    }
    return 0;
}

/* ---- with one ---- */

static void refuse_name(const struct naming *naming, const char *name, size_t length, const char *what)
{
    struct error error;
    char shown[160];

    log_escape(shown, sizeof shown, name, length);
    error_set(&error, ERROR_INVALID, "%s: manifest: '%s' %s", naming->unit->name, shown, what);
    error_set_unit(&error, naming->unit->name);
    error_set_symbol(&error, shown);
    report_add(naming->report, &error);
}

static int offer(const struct naming *naming, const struct manifest_definition *definition, uint32_t index)
{
    struct symbol *symbol = intern(naming, (uint32_t)(definition - naming->pending->manifest->definitions));

    if (!symbol || ((definition->flags & DEFINITION_HIDDEN) && search_open_spaces(naming->linker) != 0))
        return ERROR_NO_MEMORY;
    struct offer *offer = add_offer(naming, symbol, index);
    offer->definition = definition;
    return 0;
}

/* A name that the manifest does not speak of, and the object does not define: what compilers refer to by themselves. */
static int name_implicit(const struct naming *naming, uint32_t index)
{
    const struct object *object = &naming->pending->object;
    const char *name = object_symbol_name(object, index);
    const char *why = ", neither in the manifest nor in the runner's libraries", *reason = "";
    struct symbol *symbol = search_process(naming->linker, name, strlen(name));

    if (symbol && !symbol->standard && uses_is_hidden(naming->unit, index)) {
        symbol = NULL;
        why = USES_HIDDEN;
    }
    if (symbol && !symbol->standard &&
        !libraries_wants_process_symbol(naming->linker->libraries, naming->unit->library, name, strlen(name)))
        symbol = NULL;
    symbol = uses_define(naming->linker, naming->unit, name, symbol, &reason);
    if (!symbol && ELF64_ST_BIND(object->symbols[index].st_info) != STB_WEAK)
        missing_report(naming->linker, naming->report, naming->unit, index, name, *reason ? reason : why);
    naming->pending->globals[index - object->first_global] = symbol;
    return 0;
}

static int name_reference(const struct naming *naming, const struct manifest_use *use, uint32_t index)
{
    struct symbol *symbol = intern(naming, names_key_of_use(naming->pending->manifest, use));

    if (!symbol)
        return ERROR_NO_MEMORY;
    naming->pending->globals[index - naming->pending->object.first_global] = symbol;
    naming->pending->listed[index - naming->pending->object.first_global] = use;
    return 0;
}

/* A default version may be listed without it. */
static const struct manifest_definition *find_definition(struct manifest_index *index, const char *name, size_t length)
{
    const struct manifest_definition *definition = manifest_find_definition(index, name, length);
    const char *at = definition ? "" : version_find(name);

    return at[0] == '@' && at[1] == '@' ? manifest_find_definition(index, name, (size_t)(at - name)) : definition;
}

static int name_by_manifest(const struct naming *naming, struct manifest_index *index, uint32_t i)
{
    struct pending *pending = naming->pending;
    const char *name = object_symbol_name(&pending->object, i);
    size_t length = strlen(name);
    bool defined = is_defined(naming->unit, i);
    const struct manifest_definition *definition = defined ? find_definition(index, name, length) : NULL;
    const struct manifest_use *use = pending->referenced[i] ? manifest_find_use(index, name, length) : NULL;
    int code = definition ? offer(naming, definition, i) : 0;

    if (code)
        return code;
    if (use)
        return name_reference(naming, use, i);
    if (!defined && pending->referenced[i])
        return name_implicit(naming, i);
    if (definition)
        pending->globals[i - pending->object.first_global] = pending->offers[pending->offer_count - 1].symbol;
    return 0;
}

/* What the manifest offers beside the object, and whether the object has all that it offers of it. */
static int offer_the_rest(const struct naming *naming, uint32_t found)
{
    const struct manifest *manifest = naming->pending->manifest;
    uint32_t local = 0;

    for (uint32_t i = 0; i < manifest->definition_count; i++) {
        const struct manifest_definition *definition = &manifest->definitions[i];

        local += definition->kind == DEFINITION_LOCAL;
        if (definition->kind != DEFINITION_LOCAL && offer(naming, definition, 0) != 0)
            return ERROR_NO_MEMORY;
    }
    for (uint32_t i = 0; found < local && i < manifest->definition_count; i++) {
        const struct manifest_definition *definition = &manifest->definitions[i];
        bool offered = false;

        for (uint32_t o = 0; o < naming->pending->offer_count && !offered; o++)
            offered = naming->pending->offers[o].definition == definition;
        if (!offered)
            refuse_name(naming, definition->local.bytes, definition->local.length,
                        "is to be offered, but the object does not define it");
    }
    return 0;
}

/* Of an object whose names are its own the sections are its own too. */
static int gather_own(const struct naming *naming)
{
    const struct object *object = &naming->pending->object;

    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        const char *name = object_symbol_name(object, i);

        if (naming->pending->referenced[i] && gather_may_bound(name) && !is_defined(naming->unit, i) &&
            gather_want(naming->linker, naming->unit, name) != 0)
            return resolve_no_memory(naming->report, naming->unit);
    }
    return gather_collect(naming->linker, naming->unit, naming->report);
}

static int name_all_by_manifest(const struct naming *naming)
{
    const struct object *object = &naming->pending->object;
    struct manifest_index index;
    struct error error;
    int code = manifest_index_open(&index, naming->pending->manifest, symbols_seed(naming->linker->symbols),
                                   &naming->linker->deciding, &error);

    if (code) {
        resolve_refuse_unit(naming->report, naming->unit, &error);
        return code == ERROR_NO_MEMORY ? code : 0;
    }
    code = gather_own(naming);
    for (uint32_t i = object->first_global; i < object->symbol_count && !code; i++)
        code = name_by_manifest(naming, &index, i);
    return code ? code : offer_the_rest(naming, naming->pending->offer_count);
}

/* ---- names that are going to be looked for ---- */

uint32_t names_key_of_use(const struct manifest *manifest, const struct manifest_use *use)
{
    return manifest->definition_count + (uint32_t)(use - manifest->uses);
}

/* Few objects have a version in a name: then it is noted for all. */
static int note_version(struct linker *linker, struct pending *pending, uint32_t global, const char *also)
{
    uint32_t globals = pending->object.symbol_count - pending->object.first_global;

    if (!pending->versions)
        pending->versions = pool_allocate_array(&linker->deciding, globals, sizeof *pending->versions);
    if (!pending->versions)
        return ERROR_NO_MEMORY;
    pending->versions[global] = also;
    return 0;
}

static int make_global_keys(struct linker *linker, struct unit *unit, struct symbol_key *keys)
{
    struct pending *pending = unit->pending;
    const struct object *object = &pending->object;

    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        const char *text = object_symbol_name(object, i), *at = version_find(text);
        struct versioned_name name = {text, (size_t)(at - text), NULL};

        if (*at && !version_read(&linker->deciding, text, at, is_defined(unit, i), &name))
            return ERROR_NO_MEMORY;
        if (name.also && note_version(linker, pending, i - object->first_global, name.also) != 0)
            return ERROR_NO_MEMORY;
        *keys++ = symbols_key(linker->symbols, SPACE_EXPORTED(unit->library), name.name, name.length);
    }
    return 0;
}

static void make_manifest_keys(const struct linker *linker, const struct unit *unit, struct symbol_key *keys)
{
    const struct manifest *manifest = unit->pending->manifest;

    for (uint32_t i = 0; i < manifest->definition_count; i++) {
        const struct manifest_definition *definition = &manifest->definitions[i];
        bool hidden = (definition->flags & DEFINITION_HIDDEN) != 0;

        *keys++ = symbols_key(linker->symbols, hidden ? SPACE_HIDDEN(unit->library) : SPACE_EXPORTED(unit->library),
                              definition->global.bytes, definition->global.length);
    }
    for (uint32_t i = 0; i < manifest->use_count; i++) {
        const struct manifest_use *use = &manifest->uses[i];
        uint32_t library = use->library == USE_LIBRARY_OWN ? unit->library : use->library;

        *keys++ = symbols_key(linker->symbols, SPACE_EXPORTED(library), use->global.bytes, use->global.length);
    }
}

int names_foresee(struct linker *linker, struct unit *unit, struct report *report)
{
    struct pending *pending = unit->pending;
    const struct manifest *manifest = pending->manifest;

    pending->key_count = manifest ? manifest->definition_count + manifest->use_count
                                  : pending->object.symbol_count - pending->object.first_global;
    pending->keys = pool_allocate_uninitialised(&linker->deciding, pending->key_count * sizeof *pending->keys);
    if (!pending->keys)
        return resolve_no_memory(report, unit);
    if (manifest)
        make_manifest_keys(linker, unit, pending->keys);
    else if (make_global_keys(linker, unit, pending->keys) != 0)
        return resolve_no_memory(report, unit);
    return 0;
}

int names_fetch(struct linker *linker, struct unit *unit, struct report *report)
{
    (void)report;
    for (uint32_t i = 0; i < unit->pending->key_count; i++)
        symbols_fetch(linker->symbols, &unit->pending->keys[i]);
    return 0;
}

/* ---- all of them ---- */

int names_resolve(struct linker *linker, struct unit *unit, struct report *report)
{
    struct pending *pending = unit->pending;
    const struct naming naming = {linker, unit, pending, report};
    uint32_t globals = pending->object.symbol_count - pending->object.first_global;
    uint64_t offers = (uint64_t)globals + (pending->manifest ? pending->manifest->definition_count : 0);

    if (pending->versions)
        offers += globals;
    pending->globals = pool_allocate_array(&pending->batch->pool, globals, sizeof(struct symbol *));
    pending->offers = pool_allocate_array(&linker->deciding, offers, sizeof *pending->offers);
    if (pending->manifest)
        pending->listed = pool_allocate_array(&linker->deciding, globals, sizeof *pending->listed);
    if (!pending->globals || !pending->offers || (pending->manifest && !pending->listed))
        return resolve_no_memory(report, unit);
    return pending->manifest ? name_all_by_manifest(&naming) : name_all_globally(&naming);
}
