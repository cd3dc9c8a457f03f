/*
 * Namespaces to search are listed when they are first asked for after a change: a session with many libraries changes
 * one of them far less often than it searches.
 */
#include "daemon/linker/library.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/linker/symbols.h"
#include "proto/limits.h"

struct space_list {
    uint32_t *spaces; /* owned; room for every namespace that it can hold */
    uint32_t count;
    uint64_t generation; /* of the libraries when it was made; 0: never */
};

struct library {
    char *name;                  /* owned */
    struct search_entry *search; /* owned */
    uint32_t search_count;
    enum process_choice process;
    struct symbols *process_names; /* owned set; NULL unless LISTED */
    struct space_list own, exact;
    uint32_t own_space; /* SPACE_HIDDEN and SPACE_EXPORTED, for want of memory for more */
};

struct libraries {
    struct library **list; /* owned; by number, NULL where there is none */
    uint32_t capacity;
    uint32_t count;
    uint64_t generation;
};

static void library_free(struct library *library)
{
    if (!library)
        return;
    free(library->name);
    free(library->search);
    symbols_free(library->process_names);
    free(library->own.spaces);
    free(library->exact.spaces);
    free(library);
}

void libraries_free(struct libraries *libraries)
{
    if (!libraries)
        return;
    for (uint32_t i = 0; i < libraries->capacity; i++)
        library_free(libraries->list[i]);
    free(libraries->list);
    free(libraries);
}

struct libraries *libraries_new(void)
{
    const struct library_definition main_library = {.library = LIBRARY_MAIN, .name = {"main", 4}};
    struct libraries *libraries = calloc(1, sizeof *libraries);
    struct error error;

    if (libraries && libraries_define(libraries, &main_library, &error) == 0)
        return libraries;
    libraries_free(libraries);
    return NULL;
}

bool libraries_has(const struct libraries *libraries, uint32_t library)
{
    return library < libraries->capacity && libraries->list[library];
}

uint32_t libraries_count(const struct libraries *libraries)
{
    return libraries->count;
}

bool libraries_next(const struct libraries *libraries, uint32_t from, uint32_t *library)
{
    for (; from < libraries->capacity; from++) {
        if (!libraries->list[from])
            continue;
        *library = from;
        return true;
    }
    return false;
}

const char *libraries_name(const struct libraries *libraries, uint32_t library)
{
    return libraries->list[library]->name;
}

const struct search_entry *libraries_search(const struct libraries *libraries, uint32_t library, uint32_t *count)
{
    *count = libraries->list[library]->search_count;
    return libraries->list[library]->search;
}

static int check_definition(const struct libraries *libraries, const struct library_definition *definition,
                            struct error *error)
{
    if (definition->library >= LIMIT_LIBRARY_NUMBERS)
        return error_set(error, ERROR_LIMIT, "library %u: numbers go up to %d", definition->library,
                         LIMIT_LIBRARY_NUMBERS - 1);
    if (definition->search_count > LIMIT_SEARCH_ORDER)
        return error_set(error, ERROR_LIMIT, "library %u: a search order of %u libraries; at most %d are taken",
                         definition->library, definition->search_count, LIMIT_SEARCH_ORDER);
    for (uint32_t i = 0; i < definition->search_count; i++) {
        uint32_t searched = definition->search[i].library;

        if (searched != definition->library && !libraries_has(libraries, searched))
            return error_set(error, ERROR_NOT_FOUND,
                             "library %u: its search order names library %u, which is not there", definition->library,
                             searched);
    }
    return 0;
}

static struct symbols *make_set(const struct library_definition *definition)
{
    struct symbols *set = symbols_new(0);

    for (uint32_t i = 0; set && i < definition->process_name_count; i++) {
        if (symbols_intern(set, 0, definition->process_names[i].bytes, definition->process_names[i].length))
            continue;
        symbols_free(set);
        return NULL;
    }
    return set;
}

static struct library *library_new(const struct library_definition *definition)
{
    struct library *library = calloc(1, sizeof *library);

    if (!library)
        return NULL;
    library->process = definition->process;
    library->name = strndup(definition->name.bytes ? definition->name.bytes : "", definition->name.length);
    library->search_count = definition->search_count;
    library->search = malloc((definition->search_count + 1u) * sizeof *library->search);
    if (definition->process == PROCESS_LISTED)
        library->process_names = make_set(definition);
    if (!library->name || !library->search || (definition->process == PROCESS_LISTED && !library->process_names)) {
        library_free(library);
        return NULL;
    }
    if (definition->search_count)
        memcpy(library->search, definition->search, definition->search_count * sizeof *library->search);
    return library;
}

static int make_room(struct libraries *libraries, uint32_t number)
{
    uint32_t capacity = libraries->capacity ? libraries->capacity : 8;

    while (capacity <= number)
        capacity *= 2;
    if (capacity == libraries->capacity)
        return 0;
    struct library **list = realloc(libraries->list, capacity * sizeof *list);
    if (!list)
        return ERROR_NO_MEMORY;
    memset(list + libraries->capacity, 0, (capacity - libraries->capacity) * sizeof *list);
    libraries->list = list;
    libraries->capacity = capacity;
    return 0;
}

int libraries_define(struct libraries *libraries, const struct library_definition *definition, struct error *error)
{
    int code = check_definition(libraries, definition, error);

    if (code)
        return code;
    struct library *library = library_new(definition);
    if (!library || make_room(libraries, definition->library) != 0) {
        library_free(library);
        return error_set(error, ERROR_NO_MEMORY, "no memory for library %u", definition->library);
    }
    libraries->count += !libraries->list[definition->library];
    library_free(libraries->list[definition->library]);
    libraries->list[definition->library] = library;
    libraries->generation++;
    return 0;
}

bool libraries_wants_process_symbol(const struct libraries *libraries, uint32_t number, const char *name, size_t length)
{
    const struct library *library = libraries->list[number];

    return library->process == PROCESS_ALL ||
           (library->process == PROCESS_LISTED && symbols_find(library->process_names, 0, name, length));
}

/* ---- what to search ---- */

/* A namespace is listed once; lists are short, and what is long about them is searching them, not making them. */
static void list_space(struct space_list *list, uint32_t space)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->spaces[i] == space)
            return;
    list->spaces[list->count++] = space;
}

/* What a library exports and re-exports, breadth first: the list itself is the queue. */
static void list_exports(const struct libraries *libraries, struct space_list *list, uint32_t library)
{
    uint32_t at = list->count;

    list_space(list, SPACE_EXPORTED(library));
    for (; at < list->count; at++) {
        const struct library *from = libraries->list[list->spaces[at] / 2];

        for (uint32_t i = 0; i < from->search_count; i++)
            if (from->search[i].re_export && list->spaces[at] % 2 == 0)
                list_space(list, SPACE_EXPORTED(from->search[i].library));
    }
}

static void list_own(const struct libraries *libraries, struct space_list *list, uint32_t number)
{
    const struct library *library = libraries->list[number];

    list_space(list, SPACE_HIDDEN(number));
    list_space(list, SPACE_EXPORTED(number));
    for (uint32_t i = 0; i < library->search_count; i++) {
        if (library->search[i].hidden)
            list_space(list, SPACE_HIDDEN(library->search[i].library));
        list_exports(libraries, list, library->search[i].library);
    }
}

const uint32_t *libraries_spaces(struct libraries *libraries, uint32_t number, bool exact, uint32_t *count)
{
    struct library *library = libraries->list[number];
    struct space_list *list = exact ? &library->exact : &library->own;

    if (list->generation != libraries->generation) {
        uint32_t *spaces = realloc(list->spaces, libraries->count * 2 * sizeof *spaces);

        if (!spaces) {
            library->own_space = SPACE_EXPORTED(number);
            *count = 1;
            return &library->own_space;
        }
        *list = (struct space_list){.spaces = spaces, .generation = libraries->generation};
        if (exact)
            list_exports(libraries, list, number);
        else
            list_own(libraries, list, number);
    }
    *count = list->count;
    return list->spaces;
}
