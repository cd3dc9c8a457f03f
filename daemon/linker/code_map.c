#include "daemon/linker/code_map.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/linker/unit.h"

static bool is_code(const struct unit *unit, uint32_t section)
{
    return section < unit->pending->object.section_count && unit->pending->placements[section].zone == ZONE_X;
}

static bool is_code_section(const struct unit *unit, uint32_t section)
{
    return is_code(unit, section) && unit->pending->object.sections[section].bytes > 0;
}

/* As object_symbol_is_function. */
static bool is_function(const struct unit *unit, uint32_t symbol)
{
    const struct object *object = &unit->pending->object;
    const Elf64_Sym *entry = &object->symbols[symbol];
    unsigned type = ELF64_ST_TYPE(entry->st_info);

    if (type != STT_FUNC && type != STT_NOTYPE)
        return false;
    uint32_t section = object_symbol_section(object, symbol);
    return is_code(unit, section) && entry->st_value < object->sections[section].bytes;
}

/* A name that lives as long as the unit's code, or NULL where it has to be copied: a definition of the unit's keeps its
   name, and most sections of code are called .text. */
static const char *lasting_function_name(const struct unit *unit, uint32_t symbol)
{
    const struct pending *pending = unit->pending;
    const struct symbol *global =
        symbol < pending->object.first_global ? NULL : pending->globals[symbol - pending->object.first_global];

    return global && global->definer == unit ? global->name : NULL;
}

static const char *lasting_section_name(const char *name)
{
    return strcmp(name, ".text") == 0 ? ".text" : NULL;
}

static size_t copied_bytes(const char *lasting, const char *name)
{
    return lasting ? 0 : strlen(name) + 1;
}

/* Where the next name is copied to. */
static const char *keep(char **names, const char *lasting, const char *name)
{
    size_t bytes = copied_bytes(lasting, name);

    if (lasting)
        return lasting;
    memcpy(*names, name, bytes);
    *names += bytes;
    return *names - bytes;
}

static void add_range(struct unit *unit, uint64_t offset, uint64_t bytes, const char *name, bool section)
{
    unit->ranges[unit->range_count++] =
        (struct code_range){.offset = (uint32_t)offset, .bytes = bytes & INT32_MAX, .section = section, .name = name};
}

void code_map_make(struct unit *unit)
{
    const struct object *object = &unit->pending->object;
    size_t count = 0, bytes = 0, sections = 0;

    for (uint32_t i = 1; i < object->section_count; i++)
        if (is_code_section(unit, i)) {
            sections++;
            bytes += sizeof(uint32_t) +
                     copied_bytes(lasting_section_name(object->sections[i].name), object->sections[i].name);
        }
    for (uint32_t i = 1; i < object->symbol_count; i++)
        if (is_function(unit, i)) {
            count++;
            bytes += copied_bytes(lasting_function_name(unit, i), object_symbol_name(object, i));
        }
    count += sections;
    free(unit->ranges);
    unit->range_count = unit->code_map_bytes = 0;
    unit->ranges = malloc(count * sizeof *unit->ranges + bytes);
    if (!unit->ranges)
        return;
    uint32_t *indexes = (uint32_t *)(unit->ranges + count);
    char *names = (char *)(indexes + sections);
    for (uint32_t i = 1; i < object->section_count; i++)
        if (is_code_section(unit, i)) {
            *indexes++ = i;
            add_range(unit, (uint64_t)unit->pending->placements[i].offset, object->sections[i].bytes,
                      keep(&names, lasting_section_name(object->sections[i].name), object->sections[i].name), true);
        }
    for (uint32_t i = 1; i < object->symbol_count; i++)
        if (is_function(unit, i))
            add_range(unit,
                      (uint64_t)unit->pending->placements[object_symbol_section(object, i)].offset +
                          object->symbols[i].st_value,
                      object->symbols[i].st_size,
                      keep(&names, lasting_function_name(unit, i), object_symbol_name(object, i)), false);
    unit->code_map_bytes = (uint32_t)(count * sizeof *unit->ranges + bytes);
}

uint32_t code_map_section_index(const struct unit *unit, uint32_t range)
{
    return ((const uint32_t *)(unit->ranges + unit->range_count))[range];
}
