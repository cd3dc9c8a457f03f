/*
 * The linker's look at the symbols that a template hands over: both kinds of hash tables, and tables that lie.
 *
 * One library with three functions is put together in memory. Its hash tables have one bucket.
 */
#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/linker/process_symbols.h"
#include "proto/process_symbols.h"

#define SYMBOLS 4
#define BASE    0x10000u

struct image {
    struct process_symbols_header header;
    struct process_library library;
    char name[8];
    Elf64_Sym symbols[SYMBOLS];
    char strings[24];
    uint32_t sysv[2 + 1 + SYMBOLS + 1];
    uint32_t gnu[4];
    uint64_t bloom;
    uint32_t gnu_tail[1 + SYMBOLS - 1];
};

static uint32_t gnu_hash(const char *name)
{
    uint32_t hash = 5381;
    while (*name)
        hash = hash * 33 + (uint8_t)*name++;
    return hash;
}

static struct image image_make(bool gnu)
{
    struct image image = {
        .header = {PROCESS_SYMBOLS_MAGIC, 1},
        .library = {.base = BASE, .low = BASE, .high = BASE + 0x1000},
        .name = "lib.so",
        .strings = "\0one\0two\0three",
        .sysv = {1, SYMBOLS, 3, 0, 0, 1, 2}, /* 3 -> 2 -> 1 */
        .gnu = {1, 1, 1, 6},
        .bloom = UINT64_MAX,
    };
    static const uint32_t names[SYMBOLS] = {0, 1, 5, 9};
    for (uint32_t i = 1; i < SYMBOLS; i++)
        image.symbols[i] = (Elf64_Sym){.st_name = names[i],
                                       .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                                       .st_shndx = 1,
                                       .st_value = 0x100 * i,
                                       .st_size = 16};
    image.gnu_tail[0] = 1;
    for (uint32_t i = 1; i < SYMBOLS; i++)
        image.gnu_tail[i] = (gnu_hash(image.strings + names[i]) & ~1u) | (i == SYMBOLS - 1);
    struct process_library *library = &image.library;
    library->name = offsetof(struct image, name), library->name_bytes = sizeof image.name;
    library->symbols = offsetof(struct image, symbols), library->symbol_count = SYMBOLS;
    library->strings = offsetof(struct image, strings), library->strings_bytes = sizeof image.strings;
    if (gnu)
        library->hash = offsetof(struct image, gnu),
        library->hash_bytes = sizeof image.gnu + sizeof image.bloom + sizeof image.gnu_tail;
    else
        library->sysv = offsetof(struct image, sysv), library->sysv_bytes = (3 + SYMBOLS) * sizeof(uint32_t);
    return image;
}

static int image_open(const struct image *image, struct process_symbols **symbols)
{
    struct error error;
    int fd = memfd_create("symbols", MFD_CLOEXEC);
    cr_assert(fd >= 0 && write(fd, image, sizeof *image) == (ssize_t)sizeof *image);
    return process_symbols_open(fd, sizeof *image, symbols, &error);
}

/* The address of the symbol less the base, or 0. */
static uint64_t image_find(const struct image *image, const char *name)
{
    struct process_symbols *symbols;
    struct process_symbol found;
    cr_assert_eq(image_open(image, &symbols), 0);
    uint64_t address = process_symbols_find(symbols, name, &found) ? found.address - BASE : 0;
    process_symbols_close(symbols);
    return address;
}

Test(process_symbols, are_found_by_either_hash_table)
{
    for (int gnu = 0; gnu < 2; gnu++) {
        struct image image = image_make(gnu);
        cr_expect_eq(image_find(&image, "one"), 0x100);
        cr_expect_eq(image_find(&image, "two"), 0x200);
        cr_expect_eq(image_find(&image, "three"), 0x300);
        cr_expect_eq(image_find(&image, "four"), 0);
        cr_expect_eq(image_find(&image, ""), 0);
        image.symbols[2].st_shndx = SHN_UNDEF;
        cr_expect_eq(image_find(&image, "two"), 0);
        cr_expect_eq(image_find(&image, "one"), 0x100);
    }
}

/* The name is long enough for the top nibble of the gABI's function to fold back. */
Test(process_symbols, are_hashed_as_the_gabi_says)
{
    struct image image = image_make(false);
    static const char long_name[] = "abcdefghijkl"; /* 0x0aa67bac */
    memcpy(image.strings + 9, long_name, sizeof long_name);
    uint32_t buckets = 7, bucket = 0x0aa67bacu % buckets;
    uint32_t table[2 + 7 + SYMBOLS] = {buckets, SYMBOLS};
    table[2 + bucket] = 3;
    struct {
        struct image image;
        uint32_t table[2 + 7 + SYMBOLS];
    } wide = {.image = image};
    memcpy(wide.table, table, sizeof table);
    wide.image.library.sysv = offsetof(typeof(wide), table);
    wide.image.library.sysv_bytes = sizeof table;
    struct process_symbols *symbols;
    struct process_symbol found;
    struct error error;
    int fd = memfd_create("symbols", MFD_CLOEXEC);
    cr_assert(fd >= 0 && write(fd, &wide, sizeof wide) == (ssize_t)sizeof wide);
    cr_assert_eq(process_symbols_open(fd, sizeof wide, &symbols, &error), 0, "%s", error.text);
    cr_expect(process_symbols_find(symbols, long_name, &found));
    process_symbols_close(symbols);
}

Test(process_symbols, a_chain_that_leads_in_a_circle_ends)
{
    struct image image = image_make(false);
    image.sysv[3 + 1] = 3; /* 3 -> 2 -> 1 -> 3 */
    cr_expect_eq(image_find(&image, "one"), 0x100);
    cr_expect_eq(image_find(&image, "four"), 0);
    image.sysv[3 + 3] = 3; /* 3 -> 3 */
    cr_expect_eq(image_find(&image, "one"), 0);
}

Test(process_symbols, a_link_out_of_the_table_ends_the_chain)
{
    static const uint32_t links[] = {SYMBOLS, SYMBOLS + 1, 0x7fffffff, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        struct image image = image_make(false);
        image.sysv[3 + 3] = links[i];
        cr_expect_eq(image_find(&image, "three"), 0x300);
        cr_expect_eq(image_find(&image, "two"), 0);
        image.sysv[2] = links[i];
        cr_expect_eq(image_find(&image, "three"), 0);
    }
}

Test(process_symbols, a_library_may_have_no_names)
{
    for (int gnu = 0; gnu < 2; gnu++) {
        struct image image = image_make(gnu);
        (gnu ? image.gnu : image.sysv)[0] = 0; /* buckets */
        cr_expect_eq(image_find(&image, "one"), 0);
    }
    struct image image = image_make(true);
    image.library.hash = image.library.hash_bytes = image.library.symbol_count = image.library.strings_bytes = 0;
    cr_expect_eq(image_find(&image, "one"), 0);
}

Test(process_symbols, tables_that_do_not_fit_are_refused)
{
    struct process_symbols *symbols;
    struct image rows[8];
    for (size_t i = 0; i < 8; i++)
        rows[i] = image_make(false);
    rows[0].sysv[0] = 2;
    rows[1].sysv[0] = UINT32_MAX;
    rows[2].sysv[1] = SYMBOLS - 1; /* not the number of symbols */
    rows[3].sysv[1] = UINT32_MAX;
    rows[4].library.sysv_bytes = 7;
    rows[5].library.sysv_bytes = UINT64_MAX;
    rows[6].library.sysv = sizeof rows[6] - 8;
    rows[7].library.sysv += 4; /* not aligned */
    for (size_t i = 0; i < 8; i++)
        cr_expect_eq(image_open(&rows[i], &symbols), ERROR_SETUP, "row %zu", i);
}
