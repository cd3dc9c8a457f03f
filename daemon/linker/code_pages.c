#include "daemon/linker/code_pages.h"

#include <stdlib.h>

#include "daemon/linker/unit.h"

#define PAGE_BYTES 4096

int code_pages_open(struct code_pages *pages, uint64_t code_bytes)
{
    pages->first = calloc(code_bytes / PAGE_BYTES, sizeof(struct unit *));
    return pages->first ? 0 : ERROR_NO_MEMORY;
}

void code_pages_close(struct code_pages *pages)
{
    free(pages->first);
    pages->first = NULL;
}

static struct unit **page_of(const struct code_pages *pages, const struct unit *unit)
{
    return &pages->first[unit->block.extent[ZONE_X].offset / PAGE_BYTES];
}

void code_pages_add(struct code_pages *pages, struct unit *unit)
{
    struct unit **page = page_of(pages, unit);

    if (unit->block.extent[ZONE_X].bytes == 0)
        return;
    unit->next_in_page = *page;
    *page = unit;
}

void code_pages_remove(struct code_pages *pages, const struct unit *unit)
{
    struct unit **link = page_of(pages, unit);

    if (unit->block.extent[ZONE_X].bytes == 0)
        return;
    while (*link && *link != unit)
        link = &(*link)->next_in_page;
    if (*link)
        *link = unit->next_in_page;
}

/* In the page itself units may begin behind the offset; of those before it only the last one can reach so far. */
struct unit *code_pages_find(const struct code_pages *pages, uint64_t offset)
{
    for (uint64_t page = offset / PAGE_BYTES + 1; page-- > 0;) {
        bool before = false;

        for (struct unit *unit = pages->first[page]; unit; unit = unit->next_in_page) {
            const struct arena_extent *code = &unit->block.extent[ZONE_X];

            if (offset - code->offset < code->bytes)
                return unit;
            before |= code->offset <= offset;
        }
        if (before)
            return NULL;
    }
    return NULL;
}
