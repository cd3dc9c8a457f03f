/*
 * Two layouts, each with words of 4 or 8 bytes.
 *
 * System V: a count, as many positions, as many strings; big-endian.
 * BSD: the bytes of a table, pairs of {offset of the string, position}, the bytes of the strings, the strings;
 * little-endian on every machine that jitd knows.
 */
#include "client/jitctl/archive_index.h"

#include <string.h>

#include "common/bytes.h"

struct archive_index_format {
    const char *name; /* of the member */
    size_t word;      /* bytes */
    bool bsd;
};

static const struct archive_index_format archive_index_formats[] = {
    {"/", 4, false},           {"/SYM64/", 8, false},
    {"__.SYMDEF", 4, true},    {"__.SYMDEF SORTED", 4, true},
    {"__.SYMDEF_64", 8, true}, {"__.SYMDEF_64 SORTED", 8, true},
};

bool archive_index_recognise(const char *name, const uint8_t *bytes, size_t length, struct archive_index *index)
{
    for (size_t i = 0; i < ARRAY_LENGTH(archive_index_formats); i++)
        if (strcmp(name, archive_index_formats[i].name) == 0) {
            *index = (struct archive_index){&archive_index_formats[i], bytes, length};
            return true;
        }
    return false;
}

/* The caller has checked that the word lies in the index. */
static uint64_t archive_index_word(const struct archive_index *index, size_t at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < index->format->word; i++) {
        size_t shift = index->format->bsd ? i : index->format->word - 1 - i;
        value |= (uint64_t)index->bytes[at + i] << (8 * shift);
    }
    return value;
}

static bool archive_index_read_system_v(const struct archive_index *index, archive_index_visitor *visit, void *data)
{
    size_t word = index->format->word;
    if (index->length < word)
        return false;
    uint64_t count = archive_index_word(index, 0);
    if (count > (index->length - word) / word)
        return false;
    const char *name = (const char *)index->bytes + word + count * word;
    const char *end = (const char *)index->bytes + index->length;
    for (uint64_t i = 0; i < count; i++) {
        const char *nul = memchr(name, '\0', (size_t)(end - name));
        if (!nul)
            return false;
        visit(name, archive_index_word(index, word + i * word), data);
        name = nul + 1;
    }
    return true;
}

static bool archive_index_read_bsd(const struct archive_index *index, archive_index_visitor *visit, void *data)
{
    size_t word = index->format->word;
    if (index->length < word)
        return false;
    uint64_t table = archive_index_word(index, 0);
    if (!range_within(word, table, index->length) || index->length - word - table < word)
        return false;
    uint64_t string_bytes = archive_index_word(index, word + table);
    const char *strings = (const char *)index->bytes + word + table + word;
    if (string_bytes > index->length - word - table - word)
        return false;
    for (uint64_t i = 0; i < table / (2 * word); i++) {
        uint64_t at = archive_index_word(index, word + 2 * i * word);
        if (at >= string_bytes || !memchr(strings + at, '\0', string_bytes - at))
            return false;
        visit(strings + at, archive_index_word(index, word + (2 * i + 1) * word), data);
    }
    return true;
}

bool archive_index_read(const struct archive_index *index, archive_index_visitor *visit, void *data)
{
    if (!index->format)
        return true;
    return index->format->bsd ? archive_index_read_bsd(index, visit, data)
                              : archive_index_read_system_v(index, visit, data);
}
