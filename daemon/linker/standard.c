#include "daemon/linker/standard.h"

#include <string.h>

#include "common/bytes.h"

enum meaning {
    MEANS_LOWEST,   /* the lowest byte of the batch's blocks in the row's zone */
    MEANS_END,      /* the first byte behind the highest one */
    MEANS_EMPTY,    /* both ends of an array without elements */
    MEANS_NOTHING,  /* a function that does nothing */
    MEANS_DYNAMIC,  /* a dynamic section that leads to ld.so's list of libraries */
    MEANS_SLOTS,    /* the beginning of zone S, the same for all (psABI: GOT) */
    MEANS_HANDLE,   /* an address of each unit's own (component.c) */
    MEANS_NO_SYMBOL /* there is nothing that it could stand for */
};

struct standard {
    const char *name;
    enum meaning meaning;
    enum zone zone;
    const char *why; /* of NO_SYMBOL: ends the error's text */
};

#define NO_HEADER ": there is no ELF header in memory, as units have none"
#define NO_START  ": programs are entered at main, and no start file is linked"
#define NO_OLD    ", which start files had before glibc 2.34"

static const struct standard standards[] = {
    {"_GLOBAL_OFFSET_TABLE_", MEANS_SLOTS, ZONE_S, NULL},
    {"__dso_handle", MEANS_HANDLE, ZONE_X, NULL},
    {"__executable_start", MEANS_LOWEST, ZONE_X, NULL},
    {"etext", MEANS_END, ZONE_X, NULL},
    {"_etext", MEANS_END, ZONE_X, NULL},
    {"__etext", MEANS_END, ZONE_X, NULL},
    {"data_start", MEANS_LOWEST, ZONE_D, NULL},
    {"__data_start", MEANS_LOWEST, ZONE_D, NULL},
    {"edata", MEANS_END, ZONE_D, NULL},
    {"_edata", MEANS_END, ZONE_D, NULL},
    {"__TMC_END__", MEANS_END, ZONE_D, NULL},
    {"__bss_start", MEANS_LOWEST, ZONE_Z, NULL},
    {"end", MEANS_END, ZONE_Z, NULL},
    {"_end", MEANS_END, ZONE_Z, NULL},
    {"__preinit_array_start", MEANS_EMPTY, ZONE_R, NULL},
    {"__preinit_array_end", MEANS_EMPTY, ZONE_R, NULL},
    {"__init_array_start", MEANS_EMPTY, ZONE_R, NULL},
    {"__init_array_end", MEANS_EMPTY, ZONE_R, NULL},
    {"__fini_array_start", MEANS_EMPTY, ZONE_R, NULL},
    {"__fini_array_end", MEANS_EMPTY, ZONE_R, NULL},
    {"__rela_iplt_start", MEANS_EMPTY, ZONE_R, NULL},
    {"__rela_iplt_end", MEANS_EMPTY, ZONE_R, NULL},
    {"_init", MEANS_NOTHING, ZONE_X, NULL},
    {"_fini", MEANS_NOTHING, ZONE_X, NULL},
    {"_DYNAMIC", MEANS_DYNAMIC, ZONE_S, NULL},
    {"__ehdr_start", MEANS_NO_SYMBOL, ZONE_X, NO_HEADER},
    {"_start", MEANS_NO_SYMBOL, ZONE_X, NO_START},
    {"__libc_csu_init", MEANS_NO_SYMBOL, ZONE_X, NO_OLD},
    {"__libc_csu_fini", MEANS_NO_SYMBOL, ZONE_X, NO_OLD},
    {"_PROCEDURE_LINKAGE_TABLE_", MEANS_NO_SYMBOL, ZONE_X, ", which ld does not define on this machine either"},
    {"__GNU_EH_FRAME_HDR", MEANS_NO_SYMBOL, ZONE_R, ": each unit has unwind tables of its own"},
    {"_TLS_MODULE_BASE_", MEANS_NO_SYMBOL, ZONE_R, ": thread-local data is not supported yet"},
};

static const struct standard *row_of(const struct symbol *provided)
{
    return &standards[provided->standard - 1];
}

/* The same for all batches, and no unit's; 0 where that is not so. */
static uint64_t shared_address(const struct linker *linker, enum meaning meaning)
{
    switch (meaning) {
    case MEANS_SLOTS:
        return arena_address(linker->arena, ZONE_S, 0);
    case MEANS_NOTHING:
        return arena_address(linker->arena, ZONE_X, ARENA_NOTHING);
    case MEANS_DYNAMIC:
        return arena_address(linker->arena, ZONE_S, ARENA_DYNAMIC);
    default:
        return 0;
    }
}

/* All that is looked for in a program's own dynamic section is DT_DEBUG, which ld.so fills in (gABI, "Dynamic
   Section"); the runner's itself lies out of reach of a displacement. */
static void write_dynamic(struct linker *linker)
{
    Elf64_Dyn *dynamic = (Elf64_Dyn *)(void *)arena_bytes(linker->arena, ZONE_S, ARENA_DYNAMIC);
    struct process_symbol debug;

    if (!linker->process || !process_symbols_find(linker->process, "_r_debug", &debug))
        return;
    dynamic[0] = (Elf64_Dyn){.d_tag = DT_DEBUG, .d_un.d_ptr = debug.address};
    dynamic[1] = (Elf64_Dyn){.d_tag = DT_NULL};
}

int standard_provide(struct linker *linker, struct error *error)
{
    write_dynamic(linker);
    for (size_t i = 0; i < ARRAY_LENGTH(standards); i++) {
        const char *name = standards[i].name;
        struct symbol *symbol = symbols_intern(linker->provided, SPACE_PROCESS, name, strlen(name));

        if (!symbol)
            return error_set(error, ERROR_NO_MEMORY, "no memory for the symbol table");
        symbol->binding = SYMBOL_PROCESS;
        symbol->standard = (uint8_t)(i + 1);
        symbol->address = shared_address(linker, standards[i].meaning);
        symbol->function = standards[i].meaning == MEANS_NOTHING;
        if (standards[i].meaning == MEANS_HANDLE)
            linker->handle = symbol;
    }
    return 0;
}

bool standard_has_meaning(const struct symbol *provided, const struct batch *batch, const char **why)
{
    const struct standard *row = row_of(provided);

    *why = "";
    if (!batch->closed && row->name[0] != '_')
        return false;
    if (row->meaning == MEANS_NO_SYMBOL)
        *why = row->why;
    return **why == '\0';
}

static bool is_of_batch(const struct standard *row)
{
    return row->meaning <= MEANS_EMPTY;
}

/* While the batch is being laid out it is somewhere in the arena, and that is all that matters then. */
static struct symbol *symbol_new(const struct linker *linker, struct batch *batch, const struct symbol *provided)
{
    struct symbol *symbol = pool_allocate(&batch->pool, sizeof *symbol + provided->name_length + 1u);

    if (!symbol)
        return NULL;
    *symbol = (struct symbol){.name_length = provided->name_length,
                              .space = SPACE_PROCESS,
                              .binding = SYMBOL_PROCESS,
                              .address = arena_address(linker->arena, row_of(provided)->zone, 0)};
    memcpy(symbol->name, provided->name, provided->name_length);
    return symbol;
}

struct symbol *standard_bind(struct linker *linker, struct batch *batch, struct symbol *provided)
{
    if (!is_of_batch(row_of(provided)))
        return provided;
    if (!batch->standards)
        batch->standards = pool_allocate_array(&batch->pool, ARRAY_LENGTH(standards), sizeof(struct symbol *));
    if (!batch->standards)
        return NULL;
    struct symbol **symbol = &batch->standards[provided->standard - 1];
    if (!*symbol)
        *symbol = symbol_new(linker, batch, provided);
    return *symbol;
}

/* In zones in which the batch has nothing both are where the first block of a session would begin. */
static void find_bounds(const struct linker *linker, const struct batch *batch, uint64_t low[ZONE_COUNT],
                        uint64_t high[ZONE_COUNT])
{
    for (int z = 0; z < ZONE_COUNT; z++) {
        low[z] = UINT64_MAX;
        high[z] = 0;
        for (uint32_t i = 0; i < batch->unit_count; i++) {
            const struct arena_extent *extent = &batch->units[i]->block.extent[z];

            if (extent->bytes == 0)
                continue;
            low[z] = min_u64(low[z], extent->offset);
            high[z] = max_u64(high[z], (uint64_t)extent->offset + extent->bytes);
        }
        low[z] = arena_address(linker->arena, (enum zone)z, high[z] ? low[z] : ARENA_FIRST);
        high[z] = high[z] ? arena_address(linker->arena, (enum zone)z, high[z]) : low[z];
    }
}

void standard_settle(const struct linker *linker, const struct batch *batch)
{
    uint64_t low[ZONE_COUNT], high[ZONE_COUNT];

    if (!batch->standards)
        return;
    find_bounds(linker, batch, low, high);
    for (size_t i = 0; i < ARRAY_LENGTH(standards); i++)
        if (batch->standards[i])
            batch->standards[i]->address =
                standards[i].meaning == MEANS_END ? high[standards[i].zone] : low[standards[i].zone];
}
