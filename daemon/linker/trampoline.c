#include "daemon/linker/trampoline.h"

#include "common/delay.h"
#include "daemon/linker/link.h"

struct trampoline *trampoline_add(struct unit *unit, enum trampoline_kind kind)
{
    struct trampoline *trampoline = &unit->trampolines[unit->trampoline_count++];

    *trampoline = (struct trampoline){.unit = unit, .kind = (uint8_t)kind};
    return trampoline;
}

static uint64_t index_of(const struct trampoline *trampoline)
{
    return (uint64_t)(trampoline - trampoline->unit->trampolines);
}

static uint64_t slot_offset(const struct trampoline *trampoline)
{
    return trampoline->unit->block.extent[ZONE_S].offset + index_of(trampoline) * SLOT_BYTES;
}

static uint64_t stub_offset(const struct trampoline *trampoline)
{
    return trampoline->unit->trampoline_stubs + index_of(trampoline) * STUB_BYTES;
}

uint64_t trampoline_stub(const struct linker *linker, const struct trampoline *trampoline)
{
    return arena_address(linker->arena, ZONE_X, stub_offset(trampoline));
}

uint64_t trampoline_slot(const struct linker *linker, const struct trampoline *trampoline)
{
    return arena_address(linker->arena, ZONE_S, slot_offset(trampoline));
}

uint32_t trampoline_number(const struct trampoline *trampoline)
{
    return (uint32_t)(slot_offset(trampoline) / SLOT_BYTES);
}

static void store(const struct linker *linker, const struct trampoline *trampoline, uint64_t address)
{
    uint64_t *slot = (uint64_t *)(void *)arena_bytes(linker->arena, ZONE_S, slot_offset(trampoline));

    if (!address)
        address = trampoline_stub(linker, trampoline) + STUB_LAZY_OFFSET;
    DELAY();
    __atomic_store_n(slot, address, __ATOMIC_RELEASE);
}

struct symbol *trampoline_reached(const struct trampoline *trampoline)
{
    return !trampoline->target && trampoline->lazy ? trampoline->lazy->bound : trampoline->target;
}

/* Where there is no adapter a call of a lazy one is told so when it comes to ask; a redirection has been refused. */
uint64_t trampoline_lead(struct linker *linker, const struct trampoline *trampoline)
{
    struct symbol *reached = trampoline_reached(trampoline);
    uint64_t address = reached ? 0 : trampoline->body;
    struct error error;

    if (reached)
        adapters_reach(linker, trampoline->unit, reached, trampoline->convention, &address, &error);
    store(linker, trampoline, address);
    adapters_follow(linker, trampoline);
    return address;
}

void trampoline_write(const struct linker *linker, const struct unit *unit)
{
    for (uint32_t i = 0; i < unit->trampoline_count; i++) {
        const struct trampoline *trampoline = &unit->trampolines[i];

        linker->arch->write_stub(arena_bytes(linker->arena, ZONE_X, stub_offset(trampoline)),
                                 trampoline_stub(linker, trampoline), trampoline_slot(linker, trampoline),
                                 trampoline_number(trampoline), arena_address(linker->arena, ZONE_X, ARENA_LANDING));
        store(linker, trampoline, trampoline->body);
    }
}
