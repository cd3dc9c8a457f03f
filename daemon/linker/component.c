#include "daemon/linker/component.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/actions.h"
#include "daemon/linker/code_map.h"
#include "daemon/linker/gather.h"
#include "daemon/linker/initialisers.h"
#include "daemon/linker/layout.h"
#include "daemon/linker/relocate.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/unwind.h"
#include "daemon/linker/uses.h"

/* One unit as relocation sees it. */
static void describe_local(const struct linker *linker, const struct unit *unit, uint32_t index, uint64_t *own_commons,
                           struct relocation_target *target)
{
    const Elf64_Sym *entry = &unit->pending->object.symbols[index];
    uint32_t section = object_symbol_section(&unit->pending->object, index);
    uint64_t common = layout_own_common(unit, index, own_commons);

    target->bytes = entry->st_size;
    target->function = object_symbol_is_function(&unit->pending->object, index);
    if (section == OBJECT_ABSOLUTE)
        target->address = entry->st_value;
    else if (common != LAYOUT_NOWHERE)
        target->address = arena_address(linker->arena, ZONE_Z, unit->pending->common_offset + common);
    else if (section == OBJECT_UNDEFINED || section >= unit->pending->object.section_count)
        target->weak_missing = true;
    else if (unit->pending->placements[section].zone == ZONE_COUNT)
        target->discarded = true;
    else
        target->address = unit_section_address(linker->arena, unit, section) + entry->st_value;
}

static void describe_global(const struct symbol *symbol, struct relocation_target *target)
{
    target->address = symbol->address;
    target->bytes = symbol->bytes;
    target->function = symbol->function;
}

/* __dso_handle tells libc whose destructors are whose: each unit's is an address of its own. While the unit is being
   laid out it is somewhere in the arena, and that is all that matters then. */
static void describe_handle(const struct linker *linker, struct unit *unit, struct relocation_target *target)
{
    uint64_t address = unit_handle(linker->arena, unit);

    unit->uses_handle = true;
    target->address = address ? address : arena_address(linker->arena, ZONE_X, 0);
}

/* References go to the trampoline, as if that were the function. */
static void describe_lazy(const struct linker *linker, const struct trampoline *trampoline,
                          struct relocation_target *target)
{
    *target = (struct relocation_target){.address = trampoline_stub(linker, trampoline), .function = true};
}

static void describe_use(const struct use *use, struct relocation_target *targets)
{
    if (use->by_slot && use->index)
        targets[use->index].by_slot = true;
    if (use->way)
        targets[use->index].address = use->way;
}

static int describe_targets(const struct linker *linker, struct pool *scratch, struct unit *unit,
                            struct relocation_context *context, struct error *error)
{
    const struct object *object = &unit->pending->object;

    *context = (struct relocation_context){
        .arch = linker->arch, .object = object, .got = arena_address(linker->arena, ZONE_S, 0), .unit = unit->name};
    pool_reset(scratch);
    if (!object->sections && object->bytes) {
        int code =
            object_open(&unit->pending->object, scratch, object->bytes, object->length, linker->arch->machine, error);
        if (code)
            return error_prefix(error, "%s", unit->name);
    }

    context->targets = pool_allocate_array(scratch, object->symbol_count, sizeof *context->targets);
    if (!context->targets)
        return error_set(error, ERROR_NO_MEMORY, "%s: no memory for %u symbols", unit->name, object->symbol_count);
    uint64_t own_commons = unit->pending->own_commons;
    for (uint32_t i = 1; i < object->symbol_count; i++) {
        const struct symbol *symbol =
            i < object->first_global ? NULL : unit->pending->globals[i - object->first_global];

        if (symbol && symbol == linker->handle)
            describe_handle(linker, unit, &context->targets[i]);
        else if (symbol)
            describe_global(symbol, &context->targets[i]);
        else
            describe_local(linker, unit, i, &own_commons, &context->targets[i]);
    }
    for (uint32_t i = 0; i < unit->pending->use_count; i++)
        describe_use(&unit->pending->uses[i], context->targets);
    for (uint32_t i = 0; i < unit->trampoline_count; i++)
        if (unit->trampolines[i].kind == TRAMPOLINE_LAZY_USE)
            describe_lazy(linker, &unit->trampolines[i], &context->targets[unit->trampolines[i].index]);
    return 0;
}

static bool is_placed(const struct unit *unit, uint32_t section)
{
    return unit->pending->placements[section].zone != ZONE_COUNT;
}

/* Which symbols need a slot or a stub as far as addresses are known. */
static void scan(const struct linker *linker, const struct unit *unit, const struct relocation_context *context,
                 uint64_t *slots, uint64_t *stubs)
{
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++)
        if (is_placed(unit, i) && unit->pending->object.sections[i].relocations)
            relocate_scan(context, i, unit_section_address(linker->arena, unit, i));
    for (uint32_t i = 1; i < unit->pending->object.symbol_count; i++) {
        struct relocation_target *target = &context->targets[i];

        if (target->needs & NEEDS_STUB)
            target->needs |= NEEDS_SLOT;
        *slots += (target->needs & NEEDS_SLOT) != 0;
        *stubs += (target->needs & NEEDS_STUB) != 0;
    }
}

/* A symbol of this batch, or of nobody yet, will lie in the arena, where everything reaches everything. */
static void guess_unbound(const struct linker *linker, const struct unit *unit, uint32_t index,
                          struct relocation_target *target)
{
    const struct symbol *symbol = unit->pending->globals[index - unit->pending->object.first_global];
    const struct contest *contest = symbol ? symbol_contest(symbol, unit->pending->batch->number) : NULL;

    if (symbol && (symbol->binding == SYMBOL_UNBOUND || (contest && contest->unit))) {
        target->address = arena_address(linker->arena, ZONE_X, 0);
        target->function = target->function || target->by_slot;
    }
}

int component_foresee(const struct linker *linker, struct pool *scratch, struct unit *unit,
                      struct arena_need needs[ZONE_COUNT], struct error *error)
{
    struct relocation_context context;
    uint64_t slots = 0, stubs = 0;
    int code = describe_targets(linker, scratch, unit, &context, error);

    if (code)
        return code;
    for (uint32_t i = unit->pending->object.first_global; i < unit->pending->object.symbol_count; i++)
        guess_unbound(linker, unit, i, &context.targets[i]);
    scan(linker, unit, &context, &slots, &stubs);
    slots += unit->trampoline_count;
    stubs += unit->trampoline_count;
    unit->pending->slots = (uint32_t)slots;
    unit->pending->stubs = (uint32_t)stubs;
    needs[ZONE_S] = (struct arena_need){slots * SLOT_BYTES, SLOT_BYTES};
    if (stubs == 0)
        return 0;
    unit->pending->stub_offset = align_up(needs[ZONE_X].bytes, STUB_BYTES);
    needs[ZONE_X].bytes = unit->pending->stub_offset + stubs * STUB_BYTES;
    needs[ZONE_X].alignment = max_u64(needs[ZONE_X].alignment, STUB_BYTES);
    return 0;
}

/* Where the next slot and stub of the unit go. */
struct slot_cursor {
    uint64_t slot, stub; /* offsets in S and X */
};

static void make_slot(struct linker *linker, struct slot_cursor *cursor, struct relocation_target *target)
{
    uint64_t *slot = (uint64_t *)(void *)arena_bytes(linker->arena, ZONE_S, cursor->slot);

    __atomic_store_n(slot, target->address, __ATOMIC_RELEASE);
    target->slot = arena_address(linker->arena, ZONE_S, cursor->slot);
    cursor->slot += SLOT_BYTES;
}

static void make_stub(struct linker *linker, struct slot_cursor *cursor, struct relocation_target *target)
{
    target->stub = arena_address(linker->arena, ZONE_X, cursor->stub);
    linker->arch->write_stub(arena_bytes(linker->arena, ZONE_X, cursor->stub), target->stub, target->slot, 0,
                             arena_address(linker->arena, ZONE_X, ARENA_LANDING));
    cursor->stub += STUB_BYTES;
}

static bool is_foreseen(const struct unit *unit, uint64_t slots, uint64_t stubs)
{
    return slots + unit->trampoline_count <= unit->pending->slots &&
           stubs + unit->trampoline_count <= unit->pending->stubs;
}

/* The room that was foreseen, or more where a symbol turned out to lie outside the arena after all (an absolute one).
 */
static int find_room(struct linker *linker, struct unit *unit, uint64_t slots, uint64_t stubs,
                     struct slot_cursor *cursor, struct error *error)
{
    const struct arena_need needs[ZONE_COUNT] = {
        [ZONE_S] = {slots * SLOT_BYTES, SLOT_BYTES}, [ZONE_X] = {stubs * STUB_BYTES, STUB_BYTES}};

    *cursor = (struct slot_cursor){unit->block.extent[ZONE_S].offset + unit->trampoline_count * SLOT_BYTES,
                                   unit->pending->stub_offset + unit->trampoline_count * STUB_BYTES};
    if (is_foreseen(unit, slots, stubs))
        return 0;
    if (unit_extend(unit, linker->arena, needs, error) != 0)
        return error_prefix(error, "%s: slots and stubs", unit->name);
    *cursor = (struct slot_cursor){unit->extra->block.extent[ZONE_S].offset, unit->extra->block.extent[ZONE_X].offset};
    return 0;
}

static int make_slots(struct linker *linker, struct unit *unit, const struct relocation_context *context,
                      uint64_t slots, uint64_t stubs, struct error *error)
{
    struct slot_cursor cursor;
    int code = find_room(linker, unit, slots, stubs, &cursor, error);

    for (uint32_t i = 1; i < unit->pending->object.symbol_count && !code; i++) {
        struct relocation_target *target = &context->targets[i];

        if (target->needs & NEEDS_SLOT)
            make_slot(linker, &cursor, target);
        if (target->needs & NEEDS_STUB)
            make_stub(linker, &cursor, target);
    }
    return code;
}

static uint8_t *placed_bytes(const struct linker *linker, const struct placement *placement)
{
    return arena_bytes(linker->arena, (enum zone)placement->zone, (uint64_t)placement->offset);
}

static void copy(struct linker *linker, const struct unit *unit)
{
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        const struct object_section *section = &unit->pending->object.sections[i];
        const struct placement *placement = &unit->pending->placements[i];
        uint32_t omitted = i == unit->pending->eh_frame ? unit->pending->omitted : 0;

        if (is_placed(unit, i) && section->content)
            memcpy(placed_bytes(linker, placement) + omitted, section->content + omitted, section->bytes - omitted);
    }
}

static int relocate(struct linker *linker, const struct unit *unit, const struct relocation_context *context,
                    struct error *error)
{
    for (uint32_t i = 1; i < unit->pending->object.section_count; i++) {
        const struct placement *placement = &unit->pending->placements[i];

        if (!is_placed(unit, i) || !unit->pending->object.sections[i].relocations)
            continue;
        int code = relocate_apply(context, i, placed_bytes(linker, placement),
                                  unit_section_address(linker->arena, unit, i), error);
        if (code)
            return code;
    }
    return 0;
}

static bool has_unwind_table(const struct unit *unit)
{
    return unit->pending->eh_frame && (unit->block.extent[ZONE_X].bytes > 0 || unit->pending->code_pieces);
}

static int build_unwind_table(const struct linker *linker, const struct unit *unit, struct error *error)
{
    const struct arena_extent *code_extent = &unit->block.extent[ZONE_X];
    const struct pending *pending = unit->pending;
    uint64_t code_low = arena_address(linker->arena, ZONE_X, code_extent->offset);
    uint64_t code_bytes = code_extent->bytes;
    int code = 0;

    /* It may lie anywhere then. What was discarded still does not. */
    if (pending->code_pieces) {
        code_low = arena_address(linker->arena, ZONE_X, 0);
        code_bytes = arena_zone_bytes(linker->arena, ZONE_X);
    }
    if (!has_unwind_table(unit))
        return 0;
    struct unwind_frames frames = {
        .sections = pending->eh_frames,
        .omitted = pending->omitted,
        .cie_address = arena_address(linker->arena, ZONE_R, arena_cie(linker->arena)),
        .code_low = code_low,
        .code_high = code_low + code_bytes,
        .fde_count = pending->fde_count,
        .header = arena_bytes(linker->arena, ZONE_R, pending->unwind_header),
        .header_address = arena_address(linker->arena, ZONE_R, pending->unwind_header),
    };
    for (uint32_t i = pending->eh_frame, left = pending->eh_frames; left > 0 && !code; i++) {
        if (!layout_is_eh_frame(unit, i))
            continue;
        frames.bytes = placed_bytes(linker, &pending->placements[i]);
        frames.length = pending->object.sections[i].bytes;
        frames.address = unit_section_address(linker->arena, unit, i);
        code = unwind_build(&frames, error);
        left--;
    }
    if (code)
        return error_prefix(error, "%s", unit->name);
    unwind_finish(&frames);
    return 0;
}

/* What there is to do for a unit that touches nothing but the unit and its own room in the arena. With `alone` it may
   also take more room, where what was foreseen is too little. */
static int link_unit_bytes(struct linker *linker, struct pool *scratch, struct unit *unit, bool alone,
                           struct error *error)
{
    struct relocation_context context;
    uint64_t slots = 0, stubs = 0;
    int code = describe_targets(linker, scratch, unit, &context, error);

    if (!code) {
        scan(linker, unit, &context, &slots, &stubs);
        if (!alone && !is_foreseen(unit, slots, stubs))
            code = ERROR_LIMIT;
        else if (slots || stubs)
            code = make_slots(linker, unit, &context, slots, stubs, error);
    }
    if (!code) {
        trampoline_write(linker, unit);
        initialisers_surround(unit, linker->arch, linker->arena);
        copy(linker, unit);
        code = relocate(linker, unit, &context, error);
    }
    if (!code) {
        initialisers_reverse(unit, linker->arena);
        code = build_unwind_table(linker, unit, error);
    }
    if (!code)
        code_map_make(unit);
    /* It may lie in the scratch pool. */
    unit->pending->object.sections = NULL;
    return code;
}

static int refuse_unsettled(const struct unit *unit, struct error *error)
{
    error_set(error, ERROR_INVALID, "%s: its aliases lead to each other and to no definition", unit->name);
    error_set_unit(error, unit->name);
    return ERROR_INVALID;
}

/* Aliases of aliases may stand in any order: each round settles one link of a chain at least. */
static int settle_aliases(struct unit *root, struct unit **culprit, struct error *error)
{
    uint64_t left = UINT64_MAX, before;

    do {
        before = left;
        left = 0;
        for (struct unit *unit = root; unit; unit = graph_next_member(unit)) {
            uint32_t unsettled = uses_settle_aliases(unit);

            left += unsettled;
            *culprit = unsettled ? unit : *culprit;
        }
    } while (left > 0 && left < before);
    return left ? refuse_unsettled(*culprit, error) : 0;
}

/* From here on the unwinder finds the unit's frames. */
static int finish_unit(struct linker *linker, struct unit *unit, struct error *error)
{
    const struct arena_extent *code = &unit->block.extent[ZONE_X];

    if (unit->action_count && actions_link(linker, unit, error) != 0)
        return error->code;
    if (unit->trampoline_count && lazy_link(linker, unit, error) != 0)
        return error->code;
    if (has_unwind_table(unit))
        arena_map_granules(linker->arena, code, unit->pending->unwind_header);
    link_keep(linker, unit, unit->code_map_bytes);
    unit->state = UNIT_LINKED;
    log_trace(TRACE_LINK, "linked %s: X+0x%x %u bytes, room for %u slots, %u stubs", unit->name, code->offset,
              code->bytes, unit->pending->slots, unit->pending->stubs);
    return 0;
}

/* The symbols of a unit whose turn comes soon lie anywhere in memory: asked for ahead, they are there when it has come.
   Another thread may be linking that unit by now; its uses nobody changes. */
static void fetch_symbols(const struct unit *unit)
{
    const struct pending *pending = unit->pending;

    for (uint32_t i = 0; i < pending->use_count; i++) {
        __builtin_prefetch(pending->uses[i].symbol);
        __builtin_prefetch(&pending->uses[i].symbol->bytes);
    }
}

/* Granules in a host's block are the host's until those whose code lies there say otherwise. */
static void map_pieces(struct linker *linker, struct unit *root)
{
    for (struct unit *unit = root; unit; unit = graph_next_member(unit))
        for (const struct code_piece *piece = unit->pending->code_pieces; piece; piece = piece->next)
            if (unit->pending->unwind_header && piece->extent.bytes)
                arena_map_granules(linker->arena, &piece->extent, unit->pending->unwind_header);
}

struct joint_linking {
    struct linker *linker;
    struct unit **units;
    uint32_t count;
    _Atomic bool failed;
};

static void link_one(void *data, uint32_t index, struct pool *scratch)
{
    struct joint_linking *linking = data;
    struct error error;

    if (index + 1 < linking->count)
        fetch_symbols(linking->units[index + 1]);

    if (!linking->failed && link_unit_bytes(linking->linker, scratch, linking->units[index], false, &error) != 0)
        linking->failed = true;
}

/* All units of the component at once, each done but for finish_unit. False where it does not pay or where one of them
   did not go well: then it is as if nothing had been done. */
static bool link_jointly(struct linker *linker, struct unit *root)
{
    struct joint_linking linking = {.linker = linker};
    uint64_t symbols = 0;
    uint32_t count = 0;

    if (!linker->workers || !graph_next_member(root))
        return false;
    for (struct unit *unit = root; unit; unit = graph_next_member(unit))
        symbols += unit->pending->object.symbol_count;
    if (!workers_pay(linker->workers, symbols))
        return false;
    for (struct unit *unit = root; unit; unit = graph_next_member(unit))
        count++;
    linking.units = malloc(count * sizeof(struct unit *));
    if (!linking.units)
        return false;
    count = 0;
    for (struct unit *unit = root; unit; unit = graph_next_member(unit))
        linking.units[count++] = unit;
    linking.count = count;
    workers_run(linker->workers, count, link_one, &linking);
    free(linking.units);
    return !linking.failed;
}

/* Errors are those of one unit after another: what failed jointly is done again alone. */
int component_link(struct linker *linker, struct unit *root, struct unit **culprit, struct error *error)
{
    int code = settle_aliases(root, culprit, error);

    for (struct unit *unit = root; unit && !code; unit = graph_next_member(unit)) {
        code = adapters_check(linker, unit, error);
        *culprit = code ? unit : *culprit;
    }
    if (code)
        return code;
    bool done = link_jointly(linker, root), pieces = false;
    for (struct unit *unit = root, *next; unit; unit = next) {
        next = graph_next_member(unit);

        if (!done && next)
            fetch_symbols(next);
        if (!done)
            code = link_unit_bytes(linker, &linker->scratch, unit, true, error);
        if (!code)
            code = finish_unit(linker, unit, error);
        if (code) {
            *culprit = unit;
            return code;
        }
        pieces |= unit->pending->code_pieces != NULL;
    }
    if (pieces)
        map_pieces(linker, root);
    return 0;
}
