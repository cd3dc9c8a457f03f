#include "tests/model/operation.h"

#include <stdlib.h>
#include <string.h>

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof *(array))

struct field {
    const char *key;
    size_t offset;
};

#define OF(type, member)                                                                                               \
    {                                                                                                                  \
#member, offsetof(struct type, member)                                                                         \
    }

static const struct field operation_fields[] = {
    OF(operation, number),        OF(operation, settle), OF(operation, library), OF(operation, process),
    OF(operation, process_names), OF(operation, closed), OF(operation, atomic),  OF(operation, mode),
    OF(operation, entry),         OF(operation, limit),  OF(operation, cascade), OF(operation, deadline),
    OF(operation, wanted),        OF(operation, given),
};
static const struct field unit_fields[] = {
    OF(unit_row, library), OF(unit_row, no_object), OF(unit_row, manifest), OF(unit_row, data), OF(unit_row, tag),
};
static const struct field entry_fields[] = {
    OF(entry, number),     OF(entry, name),         OF(entry, target),   OF(entry, weak),   OF(entry, hidden),
    OF(entry, common),     OF(entry, function),     OF(entry, call),     OF(entry, slot),   OF(entry, library),
    OF(entry, convention), OF(entry, renamed),      OF(entry, unlisted), OF(entry, absent), OF(entry, repeated),
    OF(entry, lazy),       OF(entry, redirectable), OF(entry, notes),    OF(entry, half),   OF(entry, adapts),
};
static const struct field search_fields[] = {
    OF(search_row, library),
    OF(search_row, hidden),
    OF(search_row, re_export),
};
static const struct field item_fields[] = {OF(item, value), OF(item, kind), OF(item, target)};

/* In the order of the enumerations. */
static const char *const operation_words[] = {
    "library",       "submit",  "lookup", "await",  "call", "probe",    "cancel_units",
    "cancel_lookup", "inspect", "crash",  "remove", "run",  "redirect", "adapt",
};
static const char *const entry_words[] = {"define", "use", "absolute", "alias", "wait_for", "lazy", "action"};

/* A part of an operation that it has several of. */
struct part {
    const char *word; /* NULL: entry_words by kind */
    const struct field *fields;
    size_t field_count;
    size_t bytes, most;
    size_t array, count; /* offsets in what it is a part of */
};

#define PART(word, fields, owner, array, count)                                                                        \
    {                                                                                                                  \
        word, fields, ARRAY_LENGTH(fields), sizeof(((struct owner *)0)->array[0]),                                     \
            ARRAY_LENGTH(((struct owner *)0)->array), offsetof(struct owner, array), offsetof(struct owner, count)     \
    }

static const struct part part_search = PART("search", search_fields, operation, searches, search_count);
static const struct part part_item = PART("item", item_fields, operation, items, item_count);
static const struct part part_unit = PART("unit", unit_fields, operation, units, unit_count);
static const struct part part_entry = PART(NULL, entry_fields, unit_row, entries, entry_count);

static uint32_t *member(void *object, size_t offset)
{
    return (uint32_t *)(void *)((char *)object + offset);
}

const char *operation_name(uint32_t name)
{
    static const char *const names[NAMES_MOST] = {"n0",  "n1",  "n2",  "n3",  "n4",  "n5",  "n6",  "n7",  "n8",  "n9",
                                                  "n10", "n11", "n12", "n13", "n14", "n15", "n16", "n17", "n18", "n19",
                                                  "n20", "n21", "n22", "n23", "n24", "n25", "n26", "n27", "abs", "ffs"};

    return names[name];
}

const char *operation_kind_name(uint32_t kind)
{
    return operation_words[kind];
}

/* ---- what can be submitted ---- */

/* What an entry can say is a matter of its kind, and of whether the manifest lists it. */
static void normalise(struct entry *entry, bool manifest)
{
    bool in_object = entry->kind == ENTRY_DEFINE || entry->kind == ENTRY_USE;
    bool listed = manifest && !(in_object && entry->unlisted);
    bool action = entry->kind == ENTRY_ACTION;
    bool definition = entry->kind != ENTRY_USE && entry->kind != ENTRY_AWAIT && !action;
    bool targeted = entry->kind == ENTRY_ALIAS || entry->kind == ENTRY_LAZY || action;
    struct entry plain = {.kind = entry->kind, .number = entry->number, .name = entry->name};

    if (in_object) {
        plain.weak = entry->weak & WEAK_IN_OBJECT;
        plain.common = entry->kind == ENTRY_DEFINE && entry->common;
        plain.call = entry->kind == ENTRY_USE && entry->call;
        plain.adapts = entry->kind == ENTRY_DEFINE && !entry->common && entry->adapts;
        plain.notes = entry->kind == ENTRY_DEFINE && !entry->common && !plain.adapts && entry->notes;
        plain.unlisted = manifest && !listed;
    }
    if (listed) {
        plain.weak |= plain.common || entry->kind == ENTRY_ALIAS || action ? 0 : entry->weak & WEAK_IN_MANIFEST;
        plain.target = targeted ? entry->target : 0;
        plain.hidden = definition && entry->hidden;
        plain.function = entry->kind == ENTRY_ABSOLUTE && entry->function;
        plain.slot = entry->kind == ENTRY_USE && entry->slot;
        plain.library = entry->kind == ENTRY_DEFINE || entry->kind == ENTRY_ABSOLUTE ? 0 : entry->library;
        plain.convention = entry->kind == ENTRY_ALIAS || action ? 0 : entry->convention % CONVENTIONS;
        plain.half = action ? entry->half % HALVES : 0;
        plain.renamed = in_object && entry->renamed;
        plain.absent = in_object && entry->absent;
        plain.repeated = in_object && entry->repeated;
        plain.lazy = entry->kind == ENTRY_USE && entry->lazy;
        plain.redirectable = entry->kind == ENTRY_DEFINE && entry->redirectable;
    }
    if (plain.common)
        plain.weak = 0;
    *entry = plain;
}

/* Whether an entry of that kind before it has its local name. */
static bool has_local(const struct unit_row *unit, uint32_t kind, const struct entry *wanted)
{
    for (uint32_t i = 0; i < unit->entry_count; i++) {
        const struct entry *entry = &unit->entries[i];

        if (entry->kind == kind && !entry->renamed && !wanted->renamed && entry->name == wanted->name)
            return true;
    }
    return false;
}

const struct entry *operation_own_definition(const struct unit_row *unit, const struct entry *use)
{
    for (uint32_t i = 0; i < unit->entry_count && !use->renamed; i++) {
        const struct entry *entry = &unit->entries[i];

        if (entry->kind == ENTRY_DEFINE && !entry->absent && !entry->renamed && entry->name == use->name)
            return entry;
    }
    return NULL;
}

struct unit_row operation_unit(const struct operation *operation, uint32_t index)
{
    struct unit_row unit = operation->units[index];
    uint32_t count = unit.entry_count;

    unit.manifest = unit.manifest || unit.no_object;
    unit.data = unit.no_object ? DATA_NONE : unit.data;
    unit.entry_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry = unit.entries[i];
        bool in_object = entry.kind == ENTRY_DEFINE || entry.kind == ENTRY_USE;

        if (in_object ? unit.no_object : !unit.manifest)
            continue;
        normalise(&entry, unit.manifest);
        if (!in_object || !has_local(&unit, entry.kind, &entry))
            unit.entries[unit.entry_count++] = entry;
    }
    /* A reference to a symbol that the object defines is just that, and the manifest has no say in it. */
    for (uint32_t i = 0; i < unit.entry_count; i++) {
        struct entry *use = &unit.entries[i];

        if (use->kind == ENTRY_USE && !use->absent && operation_own_definition(&unit, use))
            *use = (struct entry){.kind = ENTRY_USE,
                                  .number = use->number,
                                  .name = use->name,
                                  .call = use->call,
                                  .unlisted = unit.manifest};
    }
    return unit;
}

/* ---- text ---- */

static void write_line(FILE *out, const char *indent, const char *word, const struct field *fields, size_t count,
                       const void *object)
{
    fprintf(out, "%s%s", indent, word);
    for (size_t i = 0; i < count; i++) {
        uint32_t value = *(const uint32_t *)(const void *)((const char *)object + fields[i].offset);

        if (value)
            fprintf(out, " %s=%u", fields[i].key, value);
    }
    fprintf(out, "\n");
}

static void write_parts(FILE *out, const struct part *part, const void *owner)
{
    const char *objects = (const char *)owner + part->array;
    uint32_t count = *(const uint32_t *)(const void *)((const char *)owner + part->count);

    for (uint32_t i = 0; i < count; i++) {
        const void *object = objects + i * part->bytes;
        const char *word = part->word ? part->word : entry_words[((const struct entry *)object)->kind];

        write_line(out, part->word ? "    " : "        ", word, part->fields, part->field_count, object);
        if (part == &part_unit)
            write_parts(out, &part_entry, object);
    }
}

void operation_write(FILE *out, const struct operation *operation)
{
    write_line(out, "", operation_words[operation->kind], operation_fields, ARRAY_LENGTH(operation_fields), operation);
    write_parts(out, &part_search, operation);
    write_parts(out, &part_unit, operation);
    write_parts(out, &part_item, operation);
}

static bool read_fields(char **rest, const struct field *fields, size_t count, void *object)
{
    for (char *token; (token = strtok_r(NULL, " \n", rest)) != NULL;) {
        char *value = strchr(token, '=');
        size_t i = 0;

        if (!value)
            return false;
        *value++ = '\0';
        while (i < count && strcmp(fields[i].key, token) != 0)
            i++;
        if (i == count)
            return false;
        *member(object, fields[i].offset) = (uint32_t)strtoul(value, NULL, 10);
    }
    return true;
}

static int index_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return (int)i;
    return -1;
}

static bool read_part(char **rest, const struct part *part, int kind, void *owner)
{
    uint32_t *count = member(owner, part->count);

    if (*count == part->most)
        return false;
    char *object = (char *)owner + part->array + *count * part->bytes;
    ++*count;
    if (part == &part_entry)
        ((struct entry *)(void *)object)->kind = (uint32_t)kind;
    return read_fields(rest, part->fields, part->field_count, object);
}

/* One line: a part of the operation before, or the next operation, which `*count` then counts. */
static bool read_line(char *line, struct operation *out, size_t most, size_t *count)
{
    static const struct part *const parts[] = {&part_search, &part_item, &part_unit};
    char *rest = NULL, *word = strtok_r(line, " \n", &rest);
    struct operation *last = *count ? &out[*count - 1] : NULL;

    if (!word || word[0] == '#')
        return true;
    int kind = index_of(word, entry_words, ENTRY_KINDS);
    if (kind >= 0)
        return last && last->unit_count && read_part(&rest, &part_entry, kind, &last->units[last->unit_count - 1]);
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        if (strcmp(word, parts[i]->word) == 0)
            return last && read_part(&rest, parts[i], 0, last);
    kind = index_of(word, operation_words, OPERATION_KINDS);
    if (kind < 0 || *count == most)
        return false;
    out[*count] = (struct operation){.kind = (uint32_t)kind};
    return read_fields(&rest, operation_fields, ARRAY_LENGTH(operation_fields), &out[(*count)++]);
}

size_t operation_read_all(FILE *in, struct operation *out, size_t most)
{
    char line[512];
    size_t count = 0, number = 1;

    for (; fgets(line, sizeof line, in); number++) {
        char copy[512];

        memcpy(copy, line, sizeof copy);
        if (read_line(line, out, most, &count))
            continue;
        fprintf(stderr, "line %zu is not understood: %s", number, copy);
        return 0;
    }
    return count;
}

/* ---- simplifying ---- */

static bool clear_field(const struct field *fields, size_t count, void *object, size_t *step)
{
    if (*step < count) {
        bool keep = strcmp(fields[*step].key, "number") == 0;

        *member(object, fields[*step].offset) *= keep;
        return true;
    }
    *step -= count;
    return false;
}

/* Removes one of the parts, or a part of it, or clears a field of it. */
static bool simplify_parts(const struct part *part, void *owner, size_t *step)
{
    uint32_t *count = member(owner, part->count);
    char *objects = (char *)owner + part->array;

    for (uint32_t i = 0; i < *count; i++) {
        char *object = objects + i * part->bytes;

        if ((*step)-- == 0) {
            /* What is behind a unit has its serial number by its place: an empty one is left there. */
            if (part == &part_unit && i + 1 < *count)
                *(struct unit_row *)(void *)object = (struct unit_row){0};
            else
                memmove(object, object + part->bytes, (--*count - i) * part->bytes);
            return true;
        }
        if (clear_field(part->fields, part->field_count, object, step) ||
            (part == &part_unit && simplify_parts(&part_entry, object, step)))
            return true;
    }
    return false;
}

bool operation_simplify(struct operation *operation, size_t step)
{
    return simplify_parts(&part_unit, operation, &step) || simplify_parts(&part_search, operation, &step) ||
           simplify_parts(&part_item, operation, &step) ||
           clear_field(operation_fields, ARRAY_LENGTH(operation_fields), operation, &step);
}
