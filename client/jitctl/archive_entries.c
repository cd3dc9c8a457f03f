/*
 * Headers of 60 bytes, with numbers as decimal digits, and the ways to write a name that is too long for one.
 */
#include "client/jitctl/archive_entries.h"

#include <ar.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "common/bytes.h"

/* Decimal digits, then blanks to the end of the field. */
static bool archive_entries_number(const char *field, size_t length, uint64_t *number)
{
    size_t i = 0;
    *number = 0;
    for (; i < length && field[i] >= '0' && field[i] <= '9'; i++)
        *number = *number * 10 + (uint64_t)(field[i] - '0');
    bool digits = i > 0;
    while (i < length && field[i] == ' ')
        i++;
    return digits && i == length;
}

/* "/N" or, in a thin archive, "/N:position": a name in the table, which ends with "/\n"; some write "\n" or a NUL. */
static bool archive_entries_read_long_name(const struct archive_entries *entries, const char *field, size_t length,
                                           struct archive_entry *entry)
{
    const char *colon = entries->thin ? memchr(field, ':', length) : NULL;
    const char *end = colon ? colon : field + length;
    uint64_t at;
    if (!archive_entries_number(field + 1, (size_t)(end - field) - 1, &at) || at >= entries->names_length)
        return false;
    if (colon && !archive_entries_number(colon + 1, (size_t)(field + length - colon) - 1, &entry->nested))
        return false;
    const char *name = entries->names + at;
    size_t most = entries->names_length - at, used = 0;
    while (used < most && name[used] != '\n' && name[used] != '\0')
        used++;
    if (used && name[used - 1] == '/')
        used--;
    entry->name = allocate_format("%.*s", (int)min_u64(used, 1 << 20), name);
    return used > 0;
}

/* "#1/N" of BSD: the name is the first N of the member's bytes, filled up with NULs. */
static bool archive_entries_read_leading_name(const struct archive_entries *entries, const char *field, size_t length,
                                              struct archive_entry *entry)
{
    uint64_t bytes;
    if (entries->thin || !archive_entries_number(field + 3, length - 3, &bytes) || bytes > entry->length)
        return false;
    entry->name = allocate_format("%.*s", (int)min_u64(bytes, 1 << 20), entries->bytes + entry->start);
    entry->start += bytes;
    entry->length -= bytes;
    return *entry->name != '\0';
}

/* The special members are called "/", "//" and "/SYM64/"; all other names end with a slash, or as BSD has it, with the
   last byte that is not blank. */
static bool archive_entries_read_name(const struct archive_entries *entries, const char *field, size_t length,
                                      struct archive_entry *entry)
{
    if (field[0] == '/' && field[1] >= '0' && field[1] <= '9')
        return archive_entries_read_long_name(entries, field, length, entry);
    if (memcmp(field, "#1/", 3) == 0)
        return archive_entries_read_leading_name(entries, field, length, entry);
    while (length && field[length - 1] == ' ')
        length--;
    if (length > 1 && field[0] != '/' && field[length - 1] == '/')
        length--;
    struct archive_index index;
    entry->name = allocate_format("%.*s", (int)length, field);
    return length > 0 &&
           (field[0] != '/' || strcmp(entry->name, "//") == 0 || archive_index_recognise(entry->name, NULL, 0, &index));
}

/* In a thin archive only what is special has bytes. */
static bool archive_entries_is_elsewhere(const struct archive_entries *entries, const char *field)
{
    return entries->thin && (field[0] != '/' || (field[1] >= '0' && field[1] <= '9')) &&
           strncmp(field, "__.SYMDEF", 9) != 0;
}

/* The table of long names and the index are no members in the linker's sense. */
static bool archive_entries_take_special(struct archive_entries *entries, const struct archive_entry *entry)
{
    const uint8_t *bytes = entries->bytes + entry->start;
    if (entry->elsewhere)
        return false;
    if (strcmp(entry->name, "//") != 0)
        return archive_index_recognise(entry->name, bytes, entry->length, &entries->index);
    entries->names = (const char *)bytes;
    entries->names_length = entry->length;
    return true;
}

/* Reads the header at `next` and moves that on to the following one. */
static int archive_entries_read_entry(struct archive_entries *entries, struct archive_entry *entry, struct error *error)
{
    unsigned long long shown = entries->next;
    *entry = (struct archive_entry){.position = shown, .start = shown + sizeof(struct ar_hdr)};
    struct ar_hdr header;
    bool within = range_within(entry->position, sizeof header, entries->length);
    if (within)
        memcpy(&header, entries->bytes + entry->position, sizeof header);
    if (!within || memcmp(header.ar_fmag, ARFMAG, sizeof header.ar_fmag) != 0 ||
        !archive_entries_number(header.ar_size, sizeof header.ar_size, &entry->length))
        return error_set(error, ERROR_OBJECT_FORMAT, "no member header at offset %llu, where one is due", shown);
    entry->elsewhere = archive_entries_is_elsewhere(entries, header.ar_name);
    if (!entry->elsewhere && !range_within(entry->start, entry->length, entries->length))
        return error_set(error, ERROR_OBJECT_TRUNCATED,
                         "member %.16s at offset %llu reaches past the end of the archive", header.ar_name, shown);
    entries->next = entry->elsewhere ? entry->start : align_up(entry->start + entry->length, 2);
    if (archive_entries_read_name(entries, header.ar_name, sizeof header.ar_name, entry))
        return 0;
    return error_set(error, ERROR_OBJECT_FORMAT, "the member at offset %llu has no usable name", shown);
}

void archive_entries_begin(struct archive_entries *entries, const void *bytes, size_t length, bool thin)
{
    *entries = (struct archive_entries){.bytes = bytes, .length = length, .thin = thin, .next = SARMAG};
}

int archive_entries_next(struct archive_entries *entries, struct archive_entry *entry, struct error *error)
{
    *entry = (struct archive_entry){0};
    while (entries->next < entries->length) {
        int code = archive_entries_read_entry(entries, entry, error);
        if (!code && !archive_entries_take_special(entries, entry))
            return 0;
        free(entry->name);
        entry->name = NULL;
        if (code)
            return code;
    }
    return 0;
}
