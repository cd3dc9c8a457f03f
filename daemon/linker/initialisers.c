#include "daemon/linker/initialisers.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/layout.h"

#define WORD_BYTES 8u

static const enum section_kind piece_kinds[] = {SECTION_INIT, SECTION_FINI};

/* EXCLUDE_FILE (*crtbegin.o *crtbegin?.o *crtend.o *crtend?.o): their .ctors and .dtors are the ends of lists that are
   walked no more. */
static bool is_crt_file(const char *name)
{
    static const char *const stems[] = {"crtbegin", "crtend"};
    static const char suffix[] = ".o";
    size_t length = strlen(name), tail = strlen(suffix);

    if (length < tail || strcmp(name + length - tail, suffix) != 0)
        return false;
    length -= tail;
    for (size_t i = 0; i < ARRAY_LENGTH(stems); i++)
        for (size_t any = 0; any <= 1; any++) {
            size_t bytes = strlen(stems[i]) + any;

            if (length >= bytes && strncmp(name + length - bytes, stems[i], bytes - any) == 0)
                return true;
        }
    return false;
}

static bool is_list(const struct unit *unit, const struct object_section *section)
{
    enum section_kind kind = (enum section_kind)section->kind;

    if (!section_kind_is_array(kind) || section->bytes < WORD_BYTES)
        return false;
    bool plain = strcmp(section->name, ".ctors") == 0 || strcmp(section->name, ".dtors") == 0;
    return !plain || !is_crt_file(unit->name);
}

static bool is_placed(const struct unit *unit, uint32_t section)
{
    return unit->pending->placements[section].zone != ZONE_COUNT;
}

static bool is_piece(const struct unit *unit, uint32_t section, enum section_kind kind)
{
    const struct object_section *of = &unit->pending->object.sections[section];

    return of->kind == kind && of->bytes > 0 && is_placed(unit, section);
}

/* The crt files' own pieces begin and end a function that others have pieces of. */
static int refuse_crt_files(const struct unit *unit, struct error *error)
{
    const struct object *object = &unit->pending->object;

    for (uint32_t i = object->first_global; i < object->symbol_count; i++) {
        uint32_t section = object_symbol_section(object, i);
        const char *name = object_symbol_name(object, i);

        if (section >= object->section_count ||
            !section_kind_is_piece((enum section_kind)object->sections[section].kind) ||
            (strcmp(name, "_init") != 0 && strcmp(name, "_fini") != 0))
            continue;
        error_set(error, ERROR_UNSUPPORTED,
                  "section %s begins the function %s, as crti.o does: leave the crt files out, what they do for a "
                  "program is done for each unit",
                  object->sections[section].name, name);
        error_set_section(error, object->sections[section].name, 0);
        return ERROR_UNSUPPORTED;
    }
    return 0;
}

static void plan_pieces(struct unit *unit, enum section_kind kind, const struct arch *arch,
                        struct arena_need needs[ZONE_COUNT], struct piece_function *function)
{
    struct arena_need *code = &needs[ZONE_X];

    function->begin = layout_append(code, arch->prologue_bytes, WORD_BYTES);
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        const struct object_section *section = &unit->pending->object.sections[i];

        if (is_piece(unit, i, kind))
            unit->pending->placements[i].offset = (int32_t)layout_append(code, section->bytes, section->alignment);
    }
    function->end = layout_append(code, arch->epilogue_bytes, 1);
    function->word = layout_append(&needs[ZONE_R], WORD_BYTES, WORD_BYTES);
}

/* Which of the two functions the unit has pieces of, and how many lists it has in all. */
static uint32_t count(const struct unit *unit, bool there[ARRAY_LENGTH(piece_kinds)])
{
    uint32_t lists = 0;

    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        const struct object_section *section = &unit->pending->object.sections[i];

        if (section->kind < SECTION_INIT || !is_placed(unit, i))
            continue;
        lists += is_list(unit, section);
        for (size_t k = 0; k < ARRAY_LENGTH(piece_kinds); k++)
            there[k] = there[k] || is_piece(unit, i, piece_kinds[k]);
    }
    return lists + there[0] + there[1];
}

static struct call_array describe(enum section_kind kind, const char *name)
{
    uint64_t order = section_kind_order(kind, name);

    return (struct call_array){
        .order = order, .name = section_kind_is_numbered(order) ? name : "", .kind = (uint8_t)kind, .count = 1};
}

/* Until initialisers_settle an address is the section's number, and that of a function of pieces its word's offset. */
static void list(struct unit *unit, const bool there[ARRAY_LENGTH(piece_kinds)])
{
    struct call_array *next = unit->arrays;

    for (size_t k = 0; k < ARRAY_LENGTH(piece_kinds); k++) {
        if (!there[k])
            continue;
        *next = describe(piece_kinds[k], "");
        next++->address = unit->pending->pieces[k].word;
    }
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        const struct object_section *section = &unit->pending->object.sections[i];

        if (!is_placed(unit, i) || !is_list(unit, section))
            continue;
        *next = describe((enum section_kind)section->kind, section->name);
        next->count = (uint32_t)(section->bytes / WORD_BYTES);
        next++->address = i;
    }
}

int initialisers_plan(struct unit *unit, const struct arch *arch, struct arena_need needs[ZONE_COUNT],
                      struct error *error)
{
    bool there[ARRAY_LENGTH(piece_kinds)] = {false};

    free(unit->arrays);
    unit->arrays = NULL;
    unit->array_count = unit->pending->has_initialisers ? count(unit, there) : 0;
    if (unit->array_count == 0)
        return 0;
    unit->arrays = calloc(unit->array_count, sizeof *unit->arrays);
    if (!unit->arrays)
        return error_set(error, ERROR_NO_MEMORY, "no memory for the list of initialisers");
    if ((there[0] || there[1]) && refuse_crt_files(unit, error) != 0)
        return ERROR_UNSUPPORTED;
    for (size_t k = 0; k < ARRAY_LENGTH(piece_kinds); k++) {
        unit->pending->pieces[k] = (struct piece_function){0};
        if (there[k])
            plan_pieces(unit, piece_kinds[k], arch, needs, &unit->pending->pieces[k]);
    }
    list(unit, there);
    return 0;
}

static bool is_there(const struct piece_function *function)
{
    return function->end > 0;
}

void initialisers_settle(struct unit *unit, const struct arena *arena)
{
    uint64_t code = unit->block.extent[ZONE_X].offset, constants = unit->block.extent[ZONE_R].offset;

    for (uint32_t i = 0; i < unit->array_count; i++) {
        struct call_array *array = &unit->arrays[i];

        array->address = section_kind_is_piece((enum section_kind)array->kind)
                             ? arena_address(arena, ZONE_R, constants + array->address)
                             : unit_section_address(arena, unit, (uint32_t)array->address);
    }
    for (size_t k = 0; k < ARRAY_LENGTH(piece_kinds) && unit->array_count; k++) {
        struct piece_function *function = &unit->pending->pieces[k];

        if (is_there(function))
            *function =
                (struct piece_function){function->begin + code, function->end + code, function->word + constants};
    }
}

void initialisers_surround(const struct unit *unit, const struct arch *arch, const struct arena *arena)
{
    for (size_t k = 0; k < ARRAY_LENGTH(piece_kinds) && unit->array_count; k++) {
        const struct piece_function *function = &unit->pending->pieces[k];

        if (!is_there(function))
            continue;
        uint8_t *code = arena_bytes(arena, ZONE_X, function->begin);
        memset(code, arch->nop, function->end - function->begin);
        memcpy(code, arch->prologue, arch->prologue_bytes);
        memcpy(arena_bytes(arena, ZONE_X, function->end), arch->epilogue, arch->epilogue_bytes);
        store_le64(arena_bytes(arena, ZONE_R, function->word), arena_address(arena, ZONE_X, function->begin));
    }
}

void initialisers_reverse(const struct unit *unit, const struct arena *arena)
{
    for (uint32_t i = 0; i < unit->array_count; i++) {
        const struct call_array *array = &unit->arrays[i];

        if (!section_kind_is_reversed((enum section_kind)array->kind))
            continue;
        uint8_t *words = arena_bytes(arena, ZONE_R, array->address - arena_address(arena, ZONE_R, 0));
        for (uint32_t low = 0, high = array->count; low + 1 < high; low++) {
            uint64_t first = load_le64(words + (uint64_t)low * WORD_BYTES);

            high--;
            store_le64(words + (uint64_t)low * WORD_BYTES, load_le64(words + (uint64_t)high * WORD_BYTES));
            store_le64(words + (uint64_t)high * WORD_BYTES, first);
        }
    }
}
