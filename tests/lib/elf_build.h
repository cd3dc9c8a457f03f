/*
 * Hostile objects: take one that a compiler made, find a header in it, overwrite a field.
 *
 * All pointers lead into the object's own bytes and end with them. The finders trust the object: use them on a valid
 * one, patch afterwards. A name that is not there fails the test.
 */
#ifndef TESTS_LIB_ELF_BUILD_H
#define TESTS_LIB_ELF_BUILD_H

#include <elf.h>
#include <stddef.h>

#include "tests/lib/compile.h"

Elf64_Ehdr *elf_header(struct object_bytes *object);

/* The section header of that index, and of the first section of that name. */
Elf64_Shdr *elf_section(struct object_bytes *object, size_t index);
Elf64_Shdr *elf_section_named(struct object_bytes *object, const char *name);
size_t elf_section_index(struct object_bytes *object, const char *name);

/* The first section of that type (SHT_SYMTAB), or NULL. */
Elf64_Shdr *elf_section_of_type(struct object_bytes *object, Elf64_Word type);

/* A section's contents; NULL for SHT_NOBITS. */
void *elf_contents(struct object_bytes *object, const Elf64_Shdr *section);

Elf64_Sym *elf_symbol_named(struct object_bytes *object, const char *name);

/* Relocation `index` of section `target` (".text"). */
Elf64_Rela *elf_relocation(struct object_bytes *object, const char *target, size_t index);
size_t elf_relocation_count(struct object_bytes *object, const char *target);

/* Keeps the first `length` bytes. */
void elf_truncate(struct object_bytes *object, size_t length);

/* Appends zeros; pointers found before are void. Returns the offset of the first. */
size_t elf_append(struct object_bytes *object, size_t length);

#endif
