/*
 * Archives: where the bytes of each member are, and the symbols of all of them.
 */
#include "client/jitctl/archive.h"

#include <ar.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/archive_entries.h"
#include "client/jitctl/elf_symbols.h"
#include "common/bytes.h"

static const char archive_thin_magic[] = "!<thin>\n";

struct archive_reading {
    struct archive *archive;
    struct archive *root; /* which keeps the nested ones */
    const struct archive_files *files;
    struct archive_entries entries;
    struct error *error;
};

static int archive_read(struct archive *archive, struct archive *root, const struct archive_files *files,
                        struct error *error);

static bool archive_begins(const void *bytes, size_t length, const char *magic)
{
    return length >= SARMAG && memcmp(bytes, magic, SARMAG) == 0;
}

bool archive_recognise(const void *bytes, size_t length)
{
    return archive_begins(bytes, length, ARMAG) || archive_begins(bytes, length, archive_thin_magic);
}

/* A path of a thin archive counts from the directory of the archive. */
static char *archive_resolve(const struct archive *archive, const char *name)
{
    const char *slash = strrchr(archive->path, '/');
    if (*name == '/' || !slash)
        return allocate_format("%s", name);
    return allocate_format("%.*s/%s", (int)(slash - archive->path), archive->path, name);
}

/* ---- members of other archives ---- */

static void archive_open_nested(struct archive *nested, struct archive_reading *reading)
{
    const void *bytes;
    struct error error;
    int code = reading->files->open(reading->files->data, nested->path, &bytes, &nested->length, &error);
    nested->bytes = bytes;
    if (!code && !archive_recognise(nested->bytes, nested->length))
        code = error_set(&error, ERROR_OBJECT_FORMAT, "not an archive");
    if (!code)
        code = archive_read(nested, reading->root, reading->files, &error);
    free(nested->problem);
    nested->problem = code ? allocate_format("%s: %s", nested->path, error.text) : NULL;
}

/* Takes `path` over. While an archive is being read it has a problem, which is told to who comes back to it. */
static struct archive *archive_find_nested(struct archive_reading *reading, char *path)
{
    struct archive *root = reading->root;
    for (size_t i = 0; i < root->nested_count; i++)
        if (strcmp(root->nested[i]->path, path) == 0) {
            free(path);
            return root->nested[i];
        }
    struct archive *nested = allocate_zeroed(sizeof *nested);
    nested->path = path;
    nested->problem = allocate_format("%s: contains itself", path);
    root->nested = allocate_room(root->nested, root->nested_count, sizeof(struct archive *));
    root->nested[root->nested_count++] = nested;
    archive_open_nested(nested, reading);
    return nested;
}

static int archive_compare_position(const void *key, const void *element)
{
    uint64_t position = *(const uint64_t *)key;
    const struct archive_member *member = element;
    return position < member->position ? -1 : position > member->position;
}

static struct archive_member *archive_member_at(const struct archive *archive, uint64_t position)
{
    if (archive->member_count == 0)
        return NULL;
    return bsearch(&position, archive->members, archive->member_count, sizeof *archive->members,
                   archive_compare_position);
}

static void archive_take_nested(struct archive_reading *reading, const struct archive_entry *entry,
                                struct archive_member *member)
{
    const struct archive *nested = archive_find_nested(reading, archive_resolve(reading->archive, entry->name));
    const struct archive_member *inner = nested->problem ? NULL : archive_member_at(nested, entry->nested);
    if (!inner) {
        member->problem = nested->problem ? allocate_format("%s", nested->problem)
                                          : allocate_format("%s: no member at offset %llu", nested->path,
                                                            (unsigned long long)entry->nested);
        return;
    }
    free(member->name);
    member->name = allocate_format("%s", inner->name);
    member->bytes = inner->bytes;
    member->length = inner->length;
    member->problem = inner->problem ? allocate_format("%s", inner->problem) : NULL;
}

static void archive_take_file(struct archive_reading *reading, const struct archive_entry *entry,
                              struct archive_member *member)
{
    char *path = archive_resolve(reading->archive, entry->name);
    struct error error;
    if (reading->files->open(reading->files->data, path, &member->bytes, &member->length, &error)) {
        member->bytes = NULL;
        member->length = 0;
        member->problem = allocate_format("%s: %s", path, error.text);
    }
    free(path);
}

/* ---- all members ---- */

static void archive_add_member(struct archive_reading *reading, const struct archive_entry *entry)
{
    struct archive *archive = reading->archive;
    struct archive_member member = {.name = allocate_format("%s", entry->name), .position = entry->position};
    if (archive->thin && entry->nested)
        archive_take_nested(reading, entry, &member);
    else if (archive->thin)
        archive_take_file(reading, entry, &member);
    else {
        member.bytes = archive->bytes + entry->start;
        member.length = (size_t)entry->length;
    }
    archive->members = allocate_room(archive->members, archive->member_count, sizeof *archive->members);
    archive->members[archive->member_count++] = member;
}

static int archive_read_members(struct archive_reading *reading)
{
    const struct archive *archive = reading->archive;
    archive_entries_begin(&reading->entries, archive->bytes, archive->length, archive->thin);
    for (;;) {
        struct archive_entry entry;
        int code = archive_entries_next(&reading->entries, &entry, reading->error);
        if (code || !entry.name)
            return code;
        archive_add_member(reading, &entry);
        free(entry.name);
    }
}

const void *archive_first_member(const void *bytes, size_t length, size_t *member_length)
{
    struct archive_entries entries;
    struct archive_entry entry;
    if (!archive_begins(bytes, length, ARMAG))
        return NULL;
    archive_entries_begin(&entries, bytes, length, false);
    if (archive_entries_next(&entries, &entry, NULL) || !entry.name)
        return NULL;
    free(entry.name);
    *member_length = (size_t)entry.length;
    return entries.bytes + entry.start;
}

/* ---- symbols ---- */

struct archive_indexing {
    struct archive *archive;
    size_t member;
    uint64_t last; /* position in the index */
};

static void archive_add_symbol(struct archive *archive, const char *name, size_t member)
{
    archive->symbols = allocate_room(archive->symbols, archive->symbol_count, sizeof *archive->symbols);
    archive->symbols[archive->symbol_count++] = (struct archive_symbol){.name = name, .member = member};
}

static void archive_visit_member(const char *name, enum elf_symbol_kind kind, void *data)
{
    const struct archive_indexing *indexing = data;
    if (kind != ELF_SYMBOL_UNDEFINED && kind != ELF_SYMBOL_UNDEFINED_WEAK)
        archive_add_symbol(indexing->archive, name, indexing->member);
}

static void archive_visit_index(const char *name, uint64_t position, void *data)
{
    struct archive_indexing *indexing = data;
    const struct archive_member *member = archive_member_at(indexing->archive, position);
    indexing->last = max_u64(indexing->last, position);
    if (member && !member->known)
        archive_add_symbol(indexing->archive, name, (size_t)(member - indexing->archive->members));
}

/* The order within a member decides nothing. */
static int archive_compare_members(const void *a, const void *b)
{
    const struct archive_symbol *left = a, *right = b;
    return left->member < right->member ? -1 : left->member > right->member;
}

static int archive_find_symbols(struct archive_reading *reading)
{
    struct archive *archive = reading->archive;
    struct archive_indexing indexing = {.archive = archive};
    archive->indexed = reading->entries.index.format != NULL;
    for (size_t i = 0; i < archive->member_count; i++) {
        struct archive_member *member = &archive->members[i];
        if (member->problem && !archive->indexed)
            return error_set(reading->error, ERROR_NOT_FOUND, "member %s: %s", member->name, member->problem);
        indexing.member = i;
        member->known = elf_symbols_of_object(member->bytes, member->length, archive_visit_member, &indexing);
    }
    size_t read = archive->symbol_count;
    archive_index_read(&reading->entries.index, archive_visit_index, &indexing);
    if (archive->symbol_count > read)
        qsort(archive->symbols, archive->symbol_count, sizeof *archive->symbols, archive_compare_members);
    if (indexing.last >= archive->length && archive->length)
        return error_set(reading->error, ERROR_OBJECT_TRUNCATED,
                         "the index names a member at offset %llu, past the end: the archive was cut, or run ranlib "
                         "on it",
                         (unsigned long long)indexing.last);
    return 0;
}

static int archive_read(struct archive *archive, struct archive *root, const struct archive_files *files,
                        struct error *error)
{
    archive->thin = archive_begins(archive->bytes, archive->length, archive_thin_magic);
    struct archive_reading reading = {.archive = archive, .root = root, .files = files, .error = error};
    int code = archive_read_members(&reading);
    return code ? code : archive_find_symbols(&reading);
}

int archive_open(struct archive *archive, const char *path, const void *bytes, size_t length,
                 const struct archive_files *files, struct error *error)
{
    *archive = (struct archive){.path = allocate_format("%s", path), .bytes = bytes, .length = length};
    int code = archive_recognise(bytes, length) ? archive_read(archive, archive, files, error)
                                                : error_set(error, ERROR_OBJECT_FORMAT, "not an archive");
    if (code)
        archive_close(archive);
    return code;
}

static void archive_release(struct archive *archive)
{
    for (size_t i = 0; i < archive->member_count; i++) {
        free(archive->members[i].name);
        free(archive->members[i].problem);
    }
    free(archive->members);
    free(archive->symbols);
    free(archive->problem);
    free(archive->path);
}

void archive_close(struct archive *archive)
{
    for (size_t i = 0; i < archive->nested_count; i++) {
        archive_release(archive->nested[i]);
        free(archive->nested[i]);
    }
    free(archive->nested);
    archive_release(archive);
    *archive = (struct archive){0};
}
