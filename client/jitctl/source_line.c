/*
 * Line tables and the trees of functions, unit by unit.
 *
 * A unit of debug information is found by looking into its line table, never by .debug_aranges, which LLVM does not
 * write. What is read is hostile: libdw checks bounds, the walk through a tree is bounded here in depth and length, and
 * whoever calls this does so in a process that may crash or be slow (line_reader.h).
 */
#include "client/jitctl/source_line.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/jitctl/debug_object.h"

#define TREE_DEPTH 256

struct source_function {
    uint64_t start, end;
    Dwarf_Die entry;
};

struct source_unit {
    Dwarf_Die lines_entry; /* whose line table counts */
    Dwarf_Die tree;        /* whose functions count; of a .dwo file where debug information is split */
    Dwarf_Lines *lines;    /* sorted by address */
    size_t line_count;
    bool has_tree, has_functions;
    struct source_function *functions; /* owned */
    size_t function_count;
};

struct source_lines {
    struct debug_object object;
    struct source_unit *units; /* owned */
    size_t unit_count;
    char problem[512];
};

/* ---- trees ---- */

enum tree_verdict { TREE_ENTER, TREE_PASS, TREE_STOP, TREE_FAIL };
typedef enum tree_verdict tree_visitor(Dwarf_Die *entry, void *data);

/* The next entry that is not below this one, in the path up to the root. */
static bool tree_leave(Dwarf_Die *path, size_t *depth)
{
    while (dwarf_siblingof(&path[*depth], &path[*depth]) != 0)
        if ((*depth)-- == 0)
            return false;
    return true;
}

/* Visits what is below the root until it is told to stop; how it ended. What lies too deep is passed over. Entries lie
   in this very order, so that a link which leads back (DW_AT_sibling) is damage, and would have no end. */
static enum tree_verdict tree_walk(Dwarf_Die *root, tree_visitor *visit, void *data)
{
    Dwarf_Die path[TREE_DEPTH];
    Dwarf_Off last = dwarf_dieoffset(root);
    size_t depth = 0;
    if (dwarf_child(root, &path[0]) != 0)
        return TREE_PASS;
    for (;;) {
        if (dwarf_dieoffset(&path[depth]) <= last)
            return TREE_FAIL;
        last = dwarf_dieoffset(&path[depth]);
        enum tree_verdict verdict = visit(&path[depth], data);
        if (verdict == TREE_STOP || verdict == TREE_FAIL)
            return verdict;
        if (verdict == TREE_ENTER && depth + 1 < TREE_DEPTH && dwarf_child(&path[depth], &path[depth + 1]) == 0)
            depth++;
        else if (!tree_leave(path, &depth))
            return TREE_PASS;
    }
}

/* ---- units ---- */

static void source_lines_note(struct source_lines *lines, const char *text)
{
    if (!*lines->problem)
        snprintf(lines->problem, sizeof lines->problem, "%s", text);
}

static const char *source_unit_string(Dwarf_Die *entry, unsigned name, unsigned gnu_name)
{
    Dwarf_Attribute attribute;
    const char *text = dwarf_formstring(dwarf_attr(entry, name, &attribute));
    return text || !gnu_name ? text : dwarf_formstring(dwarf_attr(entry, gnu_name, &attribute));
}

/* libdw opens the file that the object names, whatever it is: it must be an ordinary one. */
static bool source_unit_has_split_file(struct source_unit *unit, const char *name)
{
    const char *directory = source_unit_string(&unit->lines_entry, DW_AT_comp_dir, 0);
    char path[4096];
    struct stat status;
    int length = *name == '/' || !directory ? snprintf(path, sizeof path, "%s", name)
                                            : snprintf(path, sizeof path, "%s/%s", directory, name);
    return length > 0 && (size_t)length < sizeof path && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* With -gsplit-dwarf the object has the line table; what was inlined is told in a file beside it. */
static bool source_unit_join_split(struct source_lines *lines, struct source_unit *unit)
{
    char text[512];
    const char *name = source_unit_string(&unit->lines_entry, DW_AT_dwo_name, DW_AT_GNU_dwo_name);
    bool there = name && source_unit_has_split_file(unit, name);
    if (there && dwarf_cu_info(unit->lines_entry.cu, NULL, NULL, NULL, &unit->tree, NULL, NULL, NULL) == 0 &&
        unit->tree.addr)
        return true;
    snprintf(text, sizeof text, "inlined functions are not known: they are described in %.300s, which %s",
             name ? name : "another file", there ? "is not the object's" : "is not there");
    source_lines_note(lines, text);
    return false;
}

static bool source_lines_add_unit(struct source_lines *lines, Dwarf_CU *cu, uint8_t type, const Dwarf_Die *entry)
{
    if (type != DW_UT_compile && type != DW_UT_partial && type != DW_UT_skeleton)
        return true;
    struct source_unit unit = {.lines_entry = *entry, .tree = *entry, .has_tree = true};
    (void)cu;
    if (dwarf_getsrclines(&unit.lines_entry, &unit.lines, &unit.line_count) != 0) {
        if (dwarf_hasattr(&unit.lines_entry, DW_AT_stmt_list))
            source_lines_note(lines, "a line table in it is damaged");
        return true;
    }
    if (type == DW_UT_skeleton)
        unit.has_tree = source_unit_join_split(lines, &unit);
    struct source_unit *units = realloc(lines->units, (lines->unit_count + 1) * sizeof *units);
    if (!units)
        return false;
    lines->units = units;
    units[lines->unit_count++] = unit;
    return true;
}

static void source_lines_read_units(struct source_lines *lines)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Die entry;
    uint8_t type;
    int code;
    while ((code = dwarf_get_units(lines->object.dwarf, cu, &cu, NULL, &type, &entry, NULL)) == 0)
        if (!source_lines_add_unit(lines, cu, type, &entry))
            return;
    if (code < 0)
        source_lines_note(lines, "its debug information is damaged");
}

struct source_lines *source_lines_open(const void *bytes, size_t length)
{
    struct source_lines *lines = calloc(1, sizeof *lines);
    if (!lines)
        return NULL;
    if (debug_object_open(&lines->object, bytes, length))
        source_lines_read_units(lines);
    else if (lines->object.problem)
        source_lines_note(lines, lines->object.problem);
    return lines;
}

void source_lines_close(struct source_lines *lines)
{
    if (!lines)
        return;
    for (size_t i = 0; i < lines->unit_count; i++)
        free(lines->units[i].functions);
    free(lines->units);
    debug_object_close(&lines->object);
    free(lines);
}

const char *source_lines_problem(const struct source_lines *lines)
{
    return lines->problem;
}

/* ---- line tables ---- */

/* The last row that does not lie behind the address, which counts unless it ends a sequence: the row that covers it. */
static Dwarf_Line *source_unit_row(const struct source_unit *unit, uint64_t address)
{
    size_t low = 0, high = unit->line_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        Dwarf_Addr at;
        if (dwarf_lineaddr(dwarf_onesrcline(unit->lines, middle), &at) != 0)
            return NULL;
        if (at <= address)
            low = middle + 1;
        else
            high = middle;
    }
    bool ends = true;
    Dwarf_Line *row = low ? dwarf_onesrcline(unit->lines, low - 1) : NULL;
    return row && dwarf_lineendsequence(row, &ends) == 0 && !ends ? row : NULL;
}

static struct source_unit *source_lines_unit(struct source_lines *lines, uint64_t address, Dwarf_Line **row)
{
    for (size_t i = 0; i < lines->unit_count; i++)
        if ((*row = source_unit_row(&lines->units[i], address)))
            return &lines->units[i];
    return NULL;
}

/* Line 0 marks code that no line of the source stands for. */
static void source_frame_from_row(struct source_frame *frame, Dwarf_Line *row)
{
    if (dwarf_lineno(row, &frame->line) == 0 && frame->line > 0)
        frame->file = dwarf_linesrc(row, NULL, NULL);
}

/* ---- functions ---- */

static enum tree_verdict source_unit_collect(Dwarf_Die *entry, void *data)
{
    struct source_unit *unit = data;
    Dwarf_Addr base, start, end;
    ptrdiff_t at = 0;
    while (dwarf_tag(entry) == DW_TAG_subprogram && (at = dwarf_ranges(entry, at, &base, &start, &end)) > 0) {
        if ((unit->function_count & (unit->function_count - 1)) == 0) {
            size_t capacity = unit->function_count ? unit->function_count * 2 : 1;
            struct source_function *functions = realloc(unit->functions, capacity * sizeof *functions);
            if (!functions)
                return TREE_FAIL;
            unit->functions = functions;
        }
        unit->functions[unit->function_count++] = (struct source_function){start, end, *entry};
    }
    return TREE_ENTER;
}

/* The innermost function: some languages have them inside one another. */
static struct source_function *source_unit_function(struct source_lines *lines, struct source_unit *unit,
                                                    uint64_t address)
{
    struct source_function *found = NULL;
    if (!unit->has_functions && unit->has_tree && tree_walk(&unit->tree, source_unit_collect, unit) == TREE_FAIL)
        source_lines_note(lines, "its debug information is damaged");
    unit->has_functions = true;
    for (size_t i = 0; i < unit->function_count; i++) {
        struct source_function *function = &unit->functions[i];
        if (function->start <= address && address < function->end &&
            (!found || function->end - function->start < found->end - found->start))
            found = function;
    }
    return found;
}

struct source_search {
    uint64_t address;
    Dwarf_Die found;
};

static bool source_is_block(Dwarf_Die *entry)
{
    int tag = dwarf_tag(entry);
    return tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
}

/* A block that says nothing of its addresses may hold something that does. */
static bool source_block_may_cover(Dwarf_Die *entry, uint64_t address)
{
    return dwarf_haspc(entry, address) > 0 ||
           (!dwarf_hasattr(entry, DW_AT_low_pc) && !dwarf_hasattr(entry, DW_AT_ranges));
}

static enum tree_verdict source_search_inlined(Dwarf_Die *entry, void *data)
{
    struct source_search *search = data;
    if (dwarf_tag(entry) == DW_TAG_inlined_subroutine && dwarf_haspc(entry, search->address) > 0) {
        search->found = *entry;
        return TREE_STOP;
    }
    return source_is_block(entry) && source_block_may_cover(entry, search->address) ? TREE_ENTER : TREE_PASS;
}

/* What was inlined at the address, the outermost first. */
static size_t source_unit_inlined(struct source_lines *lines, struct source_unit *unit, uint64_t address,
                                  Dwarf_Die chain[SOURCE_FRAMES - 1])
{
    struct source_function *function = source_unit_function(lines, unit, address);
    struct source_search search = {.address = address};
    size_t count = 0;
    if (!function)
        return 0;
    Dwarf_Die at = function->entry;
    while (count < SOURCE_FRAMES - 1 && tree_walk(&at, source_search_inlined, &search) == TREE_STOP)
        at = chain[count++] = search.found;
    return count;
}

static const char *source_function_name(Dwarf_Die *entry)
{
    static const unsigned names[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        Dwarf_Attribute attribute;
        const char *name = dwarf_formstring(dwarf_attr_integrate(entry, names[i], &attribute));
        if (name)
            return name;
    }
    return "";
}

/* The line that an inlined function was called from. */
static void source_frame_from_call(struct source_frame *frame, struct source_unit *unit, Dwarf_Die *inlined)
{
    Dwarf_Attribute attribute;
    Dwarf_Word file, line;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) != 0 ||
        dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) != 0 || line == 0 ||
        line > INT32_MAX || dwarf_getsrcfiles(&unit->lines_entry, &files, &count) != 0 || file >= count)
        return;
    frame->file = dwarf_filesrc(files, file, NULL, NULL);
    frame->line = (int)line;
}

size_t source_lines_find(struct source_lines *lines, uint32_t section, uint64_t offset,
                         struct source_frame frames[SOURCE_FRAMES])
{
    Dwarf_Die chain[SOURCE_FRAMES - 1];
    Dwarf_Line *row;
    uint64_t address;
    struct source_unit *unit = debug_object_address(&lines->object, section, offset, &address)
                                   ? source_lines_unit(lines, address, &row)
                                   : NULL;
    if (!unit)
        return 0;
    size_t inlined = source_unit_inlined(lines, unit, address, chain);
    memset(frames, 0, (inlined + 1) * sizeof *frames);
    source_frame_from_row(&frames[0], row);
    for (size_t i = 0; i < inlined; i++) {
        Dwarf_Die *entry = &chain[inlined - 1 - i];
        frames[i].function = source_function_name(entry);
        source_frame_from_call(&frames[i + 1], unit, entry);
    }
    frames[inlined].function = "";
    return inlined || frames[0].file ? inlined + 1 : 0;
}
