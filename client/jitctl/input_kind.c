/*
 * Kinds of files. What is read of an ELF file is checked here against its length.
 */
#include "client/jitctl/input_kind.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

#include "client/jitctl/archive.h"
#include "client/jitctl/elf_symbols.h"
#include "client/jitctl/script.h"
#include "common/bytes.h"

#if defined(__x86_64__)
#define INPUT_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define INPUT_MACHINE EM_AARCH64
#endif

static bool input_is_elf(const void *bytes, size_t length)
{
    return length > EI_CLASS && memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

bool input_suits_machine(const void *bytes, size_t length)
{
    Elf64_Ehdr header;
    if (!input_is_elf(bytes, length))
        return true;
    if (((const unsigned char *)bytes)[EI_CLASS] != ELFCLASS64)
        return false;
    if (length < sizeof header)
        return true;
    memcpy(&header, bytes, sizeof header);
    return header.e_machine == INPUT_MACHINE;
}

/* DF_1_PIE: a program without an interpreter, linked statically, says of itself what it is. */
static bool input_is_flagged_program(const char *bytes, size_t length, const Elf64_Phdr *dynamic)
{
    for (uint64_t into = 0; into + sizeof(Elf64_Dyn) <= dynamic->p_filesz; into += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        if (!range_within(dynamic->p_offset, into + sizeof entry, length))
            return false;
        memcpy(&entry, bytes + dynamic->p_offset + into, sizeof entry);
        if (entry.d_tag == DT_NULL)
            return false;
        if (entry.d_tag == DT_FLAGS_1)
            return (entry.d_un.d_val & DF_1_PIE) != 0;
    }
    return false;
}

/* A program has an interpreter; of libraries only libc has, which is resident. */
static bool input_is_program(const char *bytes, size_t length, const Elf64_Ehdr *header)
{
    for (uint64_t i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        if (!range_within(header->e_phoff, (i + 1) * sizeof segment, length))
            return false;
        memcpy(&segment, bytes + header->e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type == PT_INTERP ||
            (segment.p_type == PT_DYNAMIC && input_is_flagged_program(bytes, length, &segment)))
            return true;
    }
    return false;
}

static bool input_is_shared(const void *bytes, size_t length)
{
    Elf64_Ehdr header;
    if (length < sizeof header)
        return false;
    memcpy(&header, bytes, sizeof header);
    return header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_type == ET_DYN &&
           !input_is_program(bytes, length, &header);
}

enum input_kind input_kind(const void *bytes, size_t length)
{
    if (length == 0)
        return INPUT_EMPTY;
    if (archive_recognise(bytes, length))
        return INPUT_ARCHIVE;
    if (input_is_elf(bytes, length))
        return input_is_shared(bytes, length) ? INPUT_SHARED : INPUT_OBJECT;
    bool text = script_recognise(bytes, length) && !elf_symbols_is_intermediate(bytes, length);
    return text ? INPUT_TEXT : INPUT_OBJECT;
}
