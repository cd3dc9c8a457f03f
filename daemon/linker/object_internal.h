/*
 * Between the files that open an object: what object_open knows while it checks, and the steps that have a file of
 * their own. Nobody else includes this.
 */
#ifndef LINKER_OBJECT_INTERNAL_H
#define LINKER_OBJECT_INTERNAL_H

#include <elf.h>
#include <stdint.h>

#include "daemon/linker/object.h"

struct opening {
    struct object *object;
    struct pool *pool;
    struct error *error;
    uint64_t section_headers;  /* offset of their table, which is checked */
    const char *section_names; /* in the object; NULL until checked */
    uint64_t section_names_length;
    uint32_t symbol_table; /* section index; 0 for none */
    uint32_t group_sections;
    uint64_t relocations; /* of loaded sections, counted so far */
    bool lto;             /* there are sections of GCC's intermediate code */
};

/* "section 5 '.text': WHAT", with the section in its field. Returns code. */
int object_refuse_section(struct opening *opening, uint32_t index, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Any section header, as it stands in the object, at whatever alignment. */
void object_read_section_header(const struct opening *opening, uint32_t index, Elf64_Shdr *header);

/* Whether it is a string table within the object that ends with a NUL, so that each string in it is safe to read. */
int object_check_string_table(struct opening *opening, uint32_t index, const Elf64_Shdr *header, const char **strings);

/* Reads the sections that lead to other sections: symbol table, relocations, groups. All headers are checked. */
int object_read_tables(struct opening *opening);

/* Checks every symbol. All tables are read. */
int object_check_symbols(struct opening *opening);

#endif
