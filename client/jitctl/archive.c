/*
 * Archives, read with libelf.
 *
 * libelf is lenient: it cuts a last member that is too long, and stops quietly at a header that it cannot read, as at
 * the end of the archive. So the position where it stopped is compared with the archive's length: anything but the end
 * means a broken archive, never one with fewer members.
 */
#include "client/jitctl/archive.h"

#include <ar.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/elf_symbols.h"
#include "common/bytes.h"

static const char archive_thin_magic[] = "!<thin>\n";

static bool archive_begins(const void *bytes, size_t length, const char *magic)
{
    return length >= SARMAG && memcmp(bytes, magic, SARMAG) == 0;
}

bool archive_recognise(const void *bytes, size_t length)
{
    return archive_begins(bytes, length, ARMAG) || archive_begins(bytes, length, archive_thin_magic);
}

/* The index ("/", "/SYM64/") and the table of long names ("//") are no members in the linker's sense. */
static bool archive_is_special(const char *name)
{
    return strcmp(name, "/") == 0 || strcmp(name, "//") == 0 || strcmp(name, "/SYM64/") == 0;
}

/* libelf cuts a size that reaches past the end. It has checked that the header lies within the archive. */
static uint64_t archive_stated_size(const uint8_t *at)
{
    struct ar_hdr header;
    memcpy(&header, at, sizeof header);
    char digits[sizeof header.ar_size + 1] = "";
    memcpy(digits, header.ar_size, sizeof header.ar_size);
    return strtoull(digits, NULL, 10);
}

static int archive_add_member(struct archive *archive, Elf *member, const uint8_t *bytes, size_t length, uint64_t *next,
                              struct error *error)
{
    const Elf_Arhdr *header = elf_getarhdr(member);
    uint64_t position = *next;
    if (!header)
        return error_set(error, ERROR_OBJECT_FORMAT, "bad member header at offset %llu: %s",
                         (unsigned long long)position, elf_errmsg(-1));
    uint64_t start = position + sizeof(struct ar_hdr);
    if (!range_within(start, archive_stated_size(bytes + position), length))
        return error_set(error, ERROR_OBJECT_TRUNCATED, "member %s reaches past the end of the archive",
                         header->ar_name);
    *next = start + align_up((uint64_t)header->ar_size, 2);
    if (archive_is_special(header->ar_name))
        return 0;

    archive->members = allocate_room(archive->members, archive->member_count, sizeof *archive->members);
    archive->members[archive->member_count++] = (struct archive_member){
        .name = allocate_format("%s", header->ar_name),
        .position = position,
        .bytes = bytes + start,
        .length = (size_t)header->ar_size,
    };
    return 0;
}

static int archive_read_members(struct archive *archive, const uint8_t *bytes, size_t length, struct error *error)
{
    uint64_t next = SARMAG;
    /* The mode of elf_memory; with plain ELF_C_READ elf_begin would ask for a descriptor. */
    Elf_Cmd command = ELF_C_READ_MMAP;
    Elf *member;
    int code = 0;
    while (!code && command != ELF_C_NULL && (member = elf_begin(-1, command, archive->elf))) {
        next = (uint64_t)elf_getaroff(member);
        code = archive_add_member(archive, member, bytes, length, &next, error);
        command = elf_next(member);
        elf_end(member);
    }
    if (code)
        return code;
    if (next < length)
        return error_set(error, ERROR_OBJECT_FORMAT, "no member header at offset %llu, where one is due",
                         (unsigned long long)next);
    return 0;
}

static int archive_compare_position(const void *key, const void *element)
{
    uint64_t position = *(const uint64_t *)key;
    const struct archive_member *member = element;
    return position < member->position ? -1 : position > member->position;
}

static void archive_add_symbol(struct archive *archive, const char *name, size_t member)
{
    archive->symbols = allocate_room(archive->symbols, archive->symbol_count, sizeof *archive->symbols);
    archive->symbols[archive->symbol_count++] = (struct archive_symbol){.name = name, .member = member};
}

static int archive_read_index(struct archive *archive, const Elf_Arsym *index, size_t count, struct error *error)
{
    /* The last entry is a terminator without a name. */
    for (size_t i = 0; i < count && index[i].as_name; i++) {
        uint64_t position = index[i].as_off;
        const struct archive_member *member = NULL;
        if (archive->member_count)
            member =
                bsearch(&position, archive->members, archive->member_count, sizeof *member, archive_compare_position);
        if (!member)
            return error_set(error, ERROR_OBJECT_FORMAT,
                             "the index says that %s is in a member at offset %llu, but "
                             "there is none: run ranlib on it",
                             index[i].as_name, (unsigned long long)position);
        archive_add_symbol(archive, index[i].as_name, (size_t)(member - archive->members));
    }
    return 0;
}

struct archive_indexing {
    struct archive *archive;
    size_t member;
};

static void archive_index_symbol(const char *name, enum elf_symbol_kind kind, void *data)
{
    const struct archive_indexing *indexing = data;
    if (kind != ELF_SYMBOL_UNDEFINED && kind != ELF_SYMBOL_UNDEFINED_WEAK)
        archive_add_symbol(indexing->archive, name, indexing->member);
}

static void archive_build_index(struct archive *archive)
{
    archive->index_missing = true;
    for (size_t i = 0; i < archive->member_count; i++) {
        struct archive_indexing indexing = {.archive = archive, .member = i};
        elf_symbols_of_object(archive->members[i].bytes, archive->members[i].length, archive_index_symbol, &indexing);
    }
}

static int archive_read(struct archive *archive, const void *bytes, size_t length, struct error *error)
{
    int code = archive_read_members(archive, bytes, length, error);
    if (code)
        return code;
    size_t count = 0;
    const Elf_Arsym *index = elf_getarsym(archive->elf, &count);
    if (index)
        return archive_read_index(archive, index, count, error);
    archive_build_index(archive);
    return 0;
}

int archive_open(struct archive *archive, const void *bytes, size_t length, struct error *error)
{
    *archive = (struct archive){0};
    if (archive_begins(bytes, length, archive_thin_magic))
        return error_set(error, ERROR_UNSUPPORTED,
                         "thin archives are not supported: make an ordinary one, or name its objects");
    if (!archive_begins(bytes, length, ARMAG))
        return error_set(error, ERROR_OBJECT_FORMAT, "not an archive");
    if (length == SARMAG)
        return 0;

    elf_version(EV_CURRENT);
    /* elf_memory takes a pointer to non-const, but reads only. */
    archive->elf = elf_memory((char *)(uintptr_t)bytes, length);
    if (!archive->elf)
        return error_set(error, ERROR_OBJECT_FORMAT, "not a usable archive: %s", elf_errmsg(-1));
    int code = archive_read(archive, bytes, length, error);
    if (code)
        archive_close(archive);
    return code;
}

void archive_close(struct archive *archive)
{
    for (size_t i = 0; i < archive->member_count; i++)
        free(archive->members[i].name);
    free(archive->members);
    free(archive->symbols);
    elf_end(archive->elf);
    *archive = (struct archive){0};
}
