/*
 * Exports _dl_find_object (glibc 2.35 and newer), which libgcc calls once for each frame it unwinds.
 *
 * For addresses in zone X the answer comes from the granule map at the beginning of zone R (proto/zones.h): the
 * .eh_frame_hdr of the unit that covers the address. The linker writes those words with release stores and clears them
 * at removal, so there is nothing to register, to lock or to sort. All other addresses go to libc's own function.
 *
 * On x86-64 libgcc reads no member of the answer but dlfo_eh_frame, which despite its name is the .eh_frame_hdr. Most
 * say that they have no table; libgcc then walks the unit's few records, which end with a terminator.
 */
#include "daemon/runner/unwind.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unwind.h>

#include "daemon/runner/entry.h"

typedef int find_object(void *pc, struct dl_find_object *result);

static uintptr_t unwind_code; /* zone X; 0 until the zones are mapped */
static uint64_t unwind_code_bytes;
static uintptr_t unwind_tables; /* zone R */
static uint64_t unwind_table_bytes;
static find_object *unwind_next;

static find_object *unwind_libc(void)
{
    if (unwind_next == NULL)
        unwind_next = (find_object *)dlsym(RTLD_NEXT, "_dl_find_object");
    return unwind_next;
}

/* Offset in zone R of the header for the granule that `offset` in X lies in; 0 where there is none. */
static uint64_t unwind_header(uintptr_t offset)
{
    const _Atomic uint32_t *map = (const _Atomic uint32_t *)unwind_tables;
    uint64_t header = (uint64_t)atomic_load_explicit(&map[offset / GRANULE_BYTES], memory_order_acquire) * 4;
    return header < unwind_table_bytes ? header : 0;
}

EXPORT int _dl_find_object(void *pc, struct dl_find_object *result)
{
    uintptr_t offset = (uintptr_t)pc - unwind_code;
    if (unwind_code == 0 || offset >= unwind_code_bytes)
        return unwind_libc()(pc, result);
    uint64_t header = unwind_header(offset);
    if (header == 0)
        return -1;
    *result = (struct dl_find_object){.dlfo_eh_frame = (void *)(unwind_tables + header)};
    return 0;
}

bool unwind_covers(uintptr_t pc)
{
    struct dl_find_object object;
    return _dl_find_object((void *)pc, &object) == 0;
}

void unwind_open(const struct arena *arena)
{
    unwind_libc();
    unwind_code = arena_zone(arena, ZONE_X);
    unwind_code_bytes = arena->sizes.bytes[ZONE_X];
    unwind_tables = arena_zone(arena, ZONE_R);
    unwind_table_bytes = arena->sizes.bytes[ZONE_R];
    unwind_warm();
}

static _Unwind_Reason_Code frame_visit(struct _Unwind_Context *context, void *data)
{
    (void)context;
    return --*(int *)data > 0 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

void unwind_warm(void)
{
    int frames = 2;
    _Unwind_Backtrace(frame_visit, &frames);
    unwind_covers(unwind_code);
}
