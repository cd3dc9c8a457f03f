/*
 * The global symbols of an ELF file in memory, as a linker sees them from outside.
 *
 * jitctl judges no object: what is malformed yields no symbols here, and the daemon says what is wrong with it.
 */
#ifndef JITCTL_ELF_SYMBOLS_H
#define JITCTL_ELF_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

enum elf_symbol_kind {
    ELF_SYMBOL_UNDEFINED,
    ELF_SYMBOL_UNDEFINED_WEAK,
    ELF_SYMBOL_COMMON,
    ELF_SYMBOL_FUNCTION, /* defined, weak or not */
    ELF_SYMBOL_DATA      /* every other definition */
};

/* Called for each symbol that is not local; the name lies in the file's bytes. */
typedef void elf_symbol_visitor(const char *name, enum elf_symbol_kind kind, void *data);

/* The symbols of .symtab of a relocatable object, versions in their names included. Returns false if it may have more
   than were visited: it is malformed, no object, or code for a compiler alone. */
bool elf_symbols_of_object(const void *bytes, size_t length, elf_symbol_visitor *visit, void *data);

/* The symbols of .dynsym of a shared library that have no version or are the default one. */
void elf_symbols_of_library(const void *bytes, size_t length, elf_symbol_visitor *visit, void *data);

/* Whether it holds code for a compiler alone: GCC's with -flto and without -ffat-lto-objects, or LLVM bitcode. */
bool elf_symbols_is_intermediate(const void *bytes, size_t length);

#endif
