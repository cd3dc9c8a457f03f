/*
 * Finders over a valid ELF64 relocatable object in memory.
 */
#include "tests/lib/elf_build.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Elf64_Ehdr *elf_header(struct object_bytes *object)
{
    cr_assert(object->length >= sizeof(Elf64_Ehdr));
    return (Elf64_Ehdr *)object->bytes;
}

Elf64_Shdr *elf_section(struct object_bytes *object, size_t index)
{
    cr_assert(index < elf_header(object)->e_shnum, "there is no section %zu", index);
    return (Elf64_Shdr *)(object->bytes + elf_header(object)->e_shoff) + index;
}

static const char *section_name(struct object_bytes *object, const Elf64_Shdr *section)
{
    const Elf64_Shdr *names = elf_section(object, elf_header(object)->e_shstrndx);
    return (const char *)object->bytes + names->sh_offset + section->sh_name;
}

size_t elf_section_index(struct object_bytes *object, const char *name)
{
    for (size_t i = 1; i < elf_header(object)->e_shnum; i++)
        if (strcmp(section_name(object, elf_section(object, i)), name) == 0)
            return i;
    cr_assert_fail("the object has no section %s", name);
    return 0;
}

Elf64_Shdr *elf_section_named(struct object_bytes *object, const char *name)
{
    return elf_section(object, elf_section_index(object, name));
}

Elf64_Shdr *elf_section_of_type(struct object_bytes *object, Elf64_Word type)
{
    for (size_t i = 1; i < elf_header(object)->e_shnum; i++)
        if (elf_section(object, i)->sh_type == type)
            return elf_section(object, i);
    return NULL;
}

void *elf_contents(struct object_bytes *object, const Elf64_Shdr *section)
{
    return section->sh_type == SHT_NOBITS ? NULL : object->bytes + section->sh_offset;
}

Elf64_Sym *elf_symbol_named(struct object_bytes *object, const char *name)
{
    const Elf64_Shdr *table = elf_section_of_type(object, SHT_SYMTAB);
    cr_assert(table, "the object has no symbol table");
    const char *names = elf_contents(object, elf_section(object, table->sh_link));
    Elf64_Sym *symbols = elf_contents(object, table);
    for (size_t i = 1; i < table->sh_size / sizeof *symbols; i++)
        if (strcmp(names + symbols[i].st_name, name) == 0)
            return &symbols[i];
    cr_assert_fail("the object has no symbol %s", name);
    return NULL;
}

static const Elf64_Shdr *relocation_section(struct object_bytes *object, const char *target)
{
    char name[128];
    snprintf(name, sizeof name, ".rela%s", target);
    return elf_section_named(object, name);
}

size_t elf_relocation_count(struct object_bytes *object, const char *target)
{
    return relocation_section(object, target)->sh_size / sizeof(Elf64_Rela);
}

Elf64_Rela *elf_relocation(struct object_bytes *object, const char *target, size_t index)
{
    cr_assert(index < elf_relocation_count(object, target), "%s has no relocation %zu", target, index);
    return (Elf64_Rela *)elf_contents(object, relocation_section(object, target)) + index;
}

void elf_truncate(struct object_bytes *object, size_t length)
{
    cr_assert(length <= object->length);
    /* A block of just that size lets AddressSanitizer see a read beyond it. */
    uint8_t *bytes = malloc(length ? length : 1);
    cr_assert(bytes);
    memcpy(bytes, object->bytes, length);
    free(object->bytes);
    *object = (struct object_bytes){.bytes = bytes, .length = length};
}

size_t elf_append(struct object_bytes *object, size_t length)
{
    size_t offset = object->length;
    uint8_t *bytes = realloc(object->bytes, offset + length);
    cr_assert(bytes);
    memset(bytes + offset, 0, length);
    *object = (struct object_bytes){.bytes = bytes, .length = offset + length};
    return offset;
}
