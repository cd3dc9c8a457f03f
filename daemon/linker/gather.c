#include "daemon/linker/gather.h"

#include <string.h>

#include "common/bytes.h"
#include "daemon/linker/hash_table.h"
#include "daemon/linker/layout.h"
#include "daemon/linker/resolve.h"

enum bound { BOUND_START, BOUND_STOP, BOUNDS };

static const char *const prefixes[BOUNDS] = {"__start_", "__stop_"};

/* One section. */
struct piece {
    struct piece *next; /* of the same gathering, in the batch's order */
    struct unit *unit;
    uint32_t section;
    struct code_piece *code; /* in the batch's pool; NULL unless it is code */
};

/* The sections of one name. */
struct gathering {
    struct hash_entry entry;
    struct gathering *next;        /* of the batch */
    struct gathering *next_hosted; /* of the host */
    const char *name;              /* of the sections, in the object that spoke of it first */
    uint32_t library;
    const struct unit *own; /* whose sections alone are gathered; NULL: those of all units without a manifest */
    struct unit *host;
    struct symbol *bounds[BOUNDS]; /* in the batch's pool; NULL: nobody refers to it */
    struct piece *first, *last;
    enum zone zone;
    uint64_t bytes, alignment;
    uint64_t offset; /* in the host's block */
};

struct gatherings {
    struct hash_table table; /* by name */
    struct gathering *first, *last;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_identifier(const char *name)
{
    if (!is_letter(*name))
        return false;
    while (is_letter(*name) || (*name >= '0' && *name <= '9'))
        name++;
    return *name == '\0';
}

/* The name of the sections whose bound it is, or NULL. */
static const char *section_of(const char *name, enum bound *bound)
{
    for (*bound = BOUND_START; *bound < BOUNDS; ++*bound) {
        size_t length = strlen(prefixes[*bound]);

        if (strncmp(name, prefixes[*bound], length) == 0)
            return is_identifier(name + length) ? name + length : NULL;
    }
    return NULL;
}

static uint32_t hash_of(const struct linker *linker, const char *name)
{
    return symbols_hash(linker->symbols, name, strlen(name));
}

/* Of sections of that name in the unit. */
static struct gathering *find(const struct linker *linker, const struct unit *unit, const char *name)
{
    const struct gatherings *gatherings = unit->pending->batch->gatherings;
    const struct unit *own = unit->pending->manifest ? unit : NULL;
    struct gathering *gathering = gatherings ? hash_table_find(&gatherings->table, hash_of(linker, name)) : NULL;

    while (gathering &&
           (gathering->own != own || gathering->library != unit->library || strcmp(gathering->name, name) != 0))
        gathering = hash_table_next(&gathering->entry);
    return gathering;
}

static struct gathering *add(struct linker *linker, struct unit *unit, const char *name)
{
    struct batch *batch = unit->pending->batch;

    if (!batch->gatherings)
        batch->gatherings = pool_allocate(&linker->deciding, sizeof *batch->gatherings);
    struct gatherings *gatherings = batch->gatherings;
    struct gathering *gathering = gatherings ? pool_allocate(&linker->deciding, sizeof *gathering) : NULL;
    if (!gathering || hash_table_reserve(&gatherings->table, 1) != 0)
        return NULL;
    *gathering = (struct gathering){
        .name = name, .library = unit->library, .own = unit->pending->manifest ? unit : NULL, .host = unit};
    hash_table_add(&gatherings->table, &gathering->entry, hash_of(linker, name));
    if (gatherings->last)
        gatherings->last->next = gathering;
    else
        gatherings->first = gathering;
    gatherings->last = gathering;
    unit->pending->tie_count++;
    return gathering;
}

int gather_want(struct linker *linker, struct unit *unit, const char *name)
{
    enum bound bound;
    const char *section = section_of(name, &bound);

    if (!section || find(linker, unit, section))
        return 0;
    return add(linker, unit, section) ? 0 : ERROR_NO_MEMORY;
}

/* What a table is made of; an array of initialisers is the linker's, whatever it is called. */
static bool may_be_gathered(const struct unit *unit, uint32_t index)
{
    const struct object_section *section = &unit->pending->object.sections[index];

    return object_section_is_loaded(section) && unit->pending->placements[index].zone != ZONE_COUNT &&
           (section->type == SHT_PROGBITS || section->type == SHT_NOBITS || section->type == SHT_NOTE);
}

static int add_piece(struct linker *linker, struct gathering *gathering, struct unit *unit, uint32_t section)
{
    struct piece *piece = pool_allocate(&linker->deciding, sizeof *piece);

    if (!piece)
        return ERROR_NO_MEMORY;
    *piece = (struct piece){.unit = unit, .section = section};
    if (gathering->last)
        gathering->last->next = piece;
    else
        gathering->first = piece;
    gathering->last = piece;
    unit->pending->tie_count++;
    return 0;
}

int gather_collect(struct linker *linker, struct unit *unit, struct report *report)
{
    const struct object *object = &unit->pending->object;

    for (uint32_t i = 1; i < object->section_count && unit->pending->batch->gatherings; i++) {
        const char *name = object->sections[i].name;
        struct gathering *gathering = is_letter(*name) && may_be_gathered(unit, i) ? find(linker, unit, name) : NULL;

        if (gathering && add_piece(linker, gathering, unit, i) != 0)
            return resolve_no_memory(report, unit);
    }
    return 0;
}

struct symbol *gather_find(struct linker *linker, struct unit *unit, const char *name)
{
    enum bound bound;
    const char *section = section_of(name, &bound);
    struct gathering *gathering = section ? find(linker, unit, section) : NULL;

    if (!gathering || !gathering->first)
        return NULL;
    struct symbol **symbol = &gathering->bounds[bound];
    if (!*symbol)
        *symbol = pool_allocate(&unit->pending->batch->pool, sizeof **symbol + strlen(name) + 1);
    if (!*symbol)
        return NULL;
    /* While the batch is being laid out it is somewhere in the arena, and that is all that matters then. */
    **symbol = (struct symbol){.name_length = (uint32_t)strlen(name),
                               .space = SPACE_PROCESS,
                               .binding = SYMBOL_PROCESS,
                               .address = arena_address(linker->arena, ZONE_X, 0)};
    memcpy((*symbol)->name, name, strlen(name));
    return *symbol;
}

/* ---- places ---- */

static const struct object_section *section_of_piece(const struct piece *piece)
{
    return &piece->unit->pending->object.sections[piece->section];
}

static int refuse(struct report *report, const struct gathering *gathering, int code, const char *what)
{
    struct error error;

    error_set(&error, code, "the sections '%s' of the batch %s", gathering->name, what);
    error_set_section(&error, gathering->name, 0);
    return resolve_refuse_unit(report, gathering->host, &error);
}

/* As ld's output section has all flags of its parts. */
static int choose_zone(struct gathering *gathering, struct report *report)
{
    bool zones[ZONE_COUNT] = {false};

    for (const struct piece *piece = gathering->first; piece; piece = piece->next)
        zones[layout_zone_of(section_of_piece(piece))] = true;
    bool writable = zones[ZONE_D] || zones[ZONE_Z];
    if (zones[ZONE_X] && writable)
        return refuse(report, gathering, ERROR_OBJECT_SECTION,
                      "are writable in one unit and executable in another one; no memory here is both");
    gathering->zone = zones[ZONE_X] ? ZONE_X : !writable ? ZONE_R : zones[ZONE_D] || zones[ZONE_R] ? ZONE_D : ZONE_Z;
    return 0;
}

/* Of code each unit describes its own to the unwinder, by granules. */
static int add_code(struct piece *piece, const struct arena_extent *extent)
{
    struct pending *pending = piece->unit->pending;

    piece->code = pool_allocate(&pending->batch->pool, sizeof *piece->code);
    if (!piece->code)
        return ERROR_NO_MEMORY;
    *piece->code = (struct code_piece){pending->code_pieces, *extent};
    pending->code_pieces = piece->code;
    return 0;
}

static int place_pieces(struct gathering *gathering, struct report *report)
{
    uint64_t grain = gathering->zone == ZONE_X ? GRANULE_BYTES : 1;

    gathering->alignment = grain;
    for (struct piece *piece = gathering->first; piece; piece = piece->next) {
        const struct object_section *section = section_of_piece(piece);
        uint64_t alignment = max_u64(section->alignment, grain);
        uint64_t at = align_up(align_up(gathering->bytes, grain), alignment);

        gathering->bytes = at + section->bytes;
        gathering->alignment = max_u64(gathering->alignment, alignment);
        if (gathering->bytes > ARENA_REACH)
            return refuse(report, gathering, ERROR_ARENA_FULL, "do not fit into the arena together");
        const struct arena_extent extent = {(uint32_t)at, (uint32_t)align_up(section->bytes, grain)};
        piece->unit->pending->placements[piece->section] =
            (struct placement){.offset = (int32_t)at, .zone = (uint8_t)gathering->zone, .gathered = true};
        if (gathering->zone == ZONE_X && add_code(piece, &extent) != 0)
            return resolve_no_memory(report, piece->unit);
    }
    return 0;
}

/* ---- belonging together ---- */

/* The symbol by which another unit of the circle uses the unit. What is shown of its name is the sections'; what makes
   it differ from all others follows behind the end of that. */
static struct symbol *add_tie(struct linker *linker, struct unit *unit, const struct gathering *gathering,
                              uint32_t number)
{
    size_t length = strlen(gathering->name) + 1;
    char *name = pool_allocate(&linker->deciding, length + 12);
    struct tie *tie = pool_allocate(&linker->deciding, sizeof *tie);

    if (!name || !tie)
        return NULL;
    memcpy(name, gathering->name, length);
    store_le64((uint8_t *)name + length, unit->pending->batch->number);
    store_le32((uint8_t *)name + length + 8, number);
    tie->symbol = symbols_intern(linker->symbols, SPACE_GATHERED(unit->library), name, length + 12);
    tie->next = unit->pending->ties;
    if (!tie->symbol)
        return NULL;
    unit->pending->ties = tie;
    return tie->symbol;
}

static void use_tie(struct unit *unit, struct symbol *symbol)
{
    unit->pending->uses[unit->pending->use_count++] =
        (struct use){.symbol = symbol, .unit = unit, .number = UINT32_MAX, .library = unit->library, .exact = true};
}

/* The next unit of the circle: the host, then those whose sections it has, each once. */
static struct unit *next_member(const struct gathering *gathering, const struct piece **at, const struct unit *before)
{
    const struct piece *piece = *at;

    while (piece && (piece->unit == before || piece->unit == gathering->host))
        piece = piece->next;
    *at = piece;
    return piece ? piece->unit : NULL;
}

static int tie_together(struct linker *linker, struct gathering *gathering, struct report *report)
{
    struct unit *member = gathering->host, *previous = NULL;
    const struct piece *at = gathering->first;
    struct symbol *first = NULL;
    uint32_t number = 0;

    if (!next_member(gathering, &at, NULL))
        return 0;
    at = gathering->first;
    for (; member; member = next_member(gathering, &at, member)) {
        struct symbol *symbol = add_tie(linker, member, gathering, number++);

        if (!symbol)
            return resolve_no_memory(report, member);
        if (previous)
            use_tie(previous, symbol);
        else
            first = symbol;
        previous = member;
    }
    use_tie(previous, first);
    return 0;
}

int gather_place(struct linker *linker, struct batch *batch, struct report *report)
{
    struct gathering *gathering = batch->gatherings ? batch->gatherings->first : NULL;
    int code = 0;

    for (; gathering && !code; gathering = gathering->next) {
        if (!gathering->bounds[BOUND_START] && !gathering->bounds[BOUND_STOP]) {
            gathering->first = NULL;
            continue;
        }
        code = choose_zone(gathering, report);
        if (!code)
            code = place_pieces(gathering, report);
        if (!code)
            code = tie_together(linker, gathering, report);
        gathering->next_hosted = gathering->host->pending->hosted;
        gathering->host->pending->hosted = gathering;
        gathering->host->hosts_code |= gathering->zone == ZONE_X;
    }
    return code;
}

int gather_plan(struct unit *unit, struct arena_need needs[ZONE_COUNT], struct error *error)
{
    for (struct gathering *gathering = unit->pending->hosted; gathering; gathering = gathering->next_hosted) {
        struct arena_need *need = &needs[gathering->zone];

        gathering->offset = align_up(need->bytes, gathering->alignment);
        need->bytes = gathering->offset + gathering->bytes;
        need->alignment = max_u64(need->alignment, gathering->alignment);
        if (need->bytes > ARENA_REACH)
            return error_set(error, ERROR_ARENA_FULL, "the sections '%s' of the batch do not fit into the arena",
                             gathering->name);
    }
    return 0;
}

void gather_settle(const struct linker *linker, const struct batch *batch)
{
    const struct gathering *gathering = batch->gatherings ? batch->gatherings->first : NULL;

    for (; gathering; gathering = gathering->next) {
        uint64_t start = gathering->host->block.extent[gathering->zone].offset + gathering->offset;

        for (struct piece *piece = gathering->first; piece; piece = piece->next) {
            piece->unit->pending->placements[piece->section].offset += (int32_t)start;
            if (piece->code)
                piece->code->extent.offset += (uint32_t)start;
        }
        for (int b = 0; b < BOUNDS; b++)
            if (gathering->bounds[b])
                gathering->bounds[b]->address =
                    arena_address(linker->arena, gathering->zone, start + (b == BOUND_STOP ? gathering->bytes : 0));
    }
}

void gather_close(struct batch *batch)
{
    if (batch->gatherings)
        hash_table_close(&batch->gatherings->table, NULL);
}
