#include "daemon/linker/code_pages.h"

#include <sys/mman.h>

#include "daemon/linker/unit.h"

#define PAGE_BYTES 4096

/* Not calloc, which clears what it takes from the heap: each session would begin with a fault for each 2 MiB of X. */
int code_pages_open(struct code_pages *pages, uint64_t code_bytes)
{
    size_t bytes = code_bytes / PAGE_BYTES * sizeof(struct unit *);
    void *first = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (first == MAP_FAILED)
        return ERROR_NO_MEMORY;
    *pages = (struct code_pages){first, bytes};
    return 0;
}

void code_pages_close(struct code_pages *pages)
{
    if (pages->first)
        munmap(pages->first, pages->bytes);
    *pages = (struct code_pages){0};
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
