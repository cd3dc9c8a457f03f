/*
 * The objects that ld.so has loaded, as dl_iterate_phdr(3) shows them, in search order.
 */
#ifndef RUNNER_IMAGE_H
#define RUNNER_IMAGE_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>

static inline bool image_is_executable(const struct dl_phdr_info *image)
{
    return (uintptr_t)image->dlpi_phdr == getauxval(AT_PHDR);
}

/* The kernel's own object: out of everybody's search order. Its load bias is its address, as it is linked at 0. */
static inline bool image_is_vdso(const struct dl_phdr_info *image)
{
    return image->dlpi_addr != 0 && image->dlpi_addr == getauxval(AT_SYSINFO_EHDR);
}

/* Lowest and one past the highest address of its segments; low > high where it has none. */
static inline void image_bounds(const struct dl_phdr_info *image, uint64_t *low, uint64_t *high)
{
    *low = UINT64_MAX;
    *high = 0;
    for (size_t i = 0; i < image->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &image->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD)
            continue;
        uint64_t begin = image->dlpi_addr + segment->p_vaddr;
        *low = begin < *low ? begin : *low;
        *high = begin + segment->p_memsz > *high ? begin + segment->p_memsz : *high;
    }
}

#endif
