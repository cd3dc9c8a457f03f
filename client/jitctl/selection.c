/*
 * The state of every global name seen so far, and the search of archives that it decides.
 */
#include "client/jitctl/selection.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "client/jitctl/allocate.h"
#include "client/jitctl/elf_symbols.h"

/* In rising order of strength: a name never goes back. */
enum selection_state { SELECTION_UNKNOWN, SELECTION_WEAK, SELECTION_UNDEFINED, SELECTION_COMMON, SELECTION_DEFINED };

struct selection_symbol {
    const char *name; /* borrowed, or of `owned` */
    char *owned;      /* NULL where the name lies in a file */
    enum selection_state state;
};

static int selection_compare(const void *a, const void *b)
{
    const struct selection_symbol *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static const struct selection_symbol *selection_find(const struct selection *selection, const char *name)
{
    struct selection_symbol key = {.name = name};
    void *const *node = tfind(&key, &selection->symbols, selection_compare);
    return node ? *node : NULL;
}

/* Takes `owned` over, which is the name or NULL. */
static void selection_enter(struct selection *selection, const char *name, char *owned, enum selection_state state)
{
    struct selection_symbol key = {.name = name, .owned = owned};
    struct selection_symbol **node = tsearch(&key, &selection->symbols, selection_compare);
    if (node && *node == &key) {
        *node = allocate_zeroed(sizeof key);
        **node = key;
        owned = NULL;
    }
    if (node && (*node)->state < state)
        (*node)->state = state;
    free(owned);
}

/* The names that stand for one in an object, where .symver gave it a version (ld's rule): `name@@V` defines `name` and
   `name@V`; all others stand for themselves, but that an undefined one has one '@'. */
struct selection_forms {
    char *base, *versioned; /* owned; NULL: no such form, and where both are, the name itself is the only one */
};

static struct selection_forms selection_split(const char *name, bool defined)
{
    struct selection_forms forms = {0};
    const char *at = strchr(name, '@');
    if (!at || at == name || at[1] != '@')
        return forms;
    forms.versioned = allocate_format("%.*s@%s", (int)(at - name), name, at + strspn(at, "@"));
    if (defined)
        forms.base = allocate_format("%.*s", (int)(at - name), name);
    return forms;
}

static void selection_raise(struct selection *selection, const char *name, enum selection_state state)
{
    struct selection_forms forms = selection_split(name, state >= SELECTION_COMMON);
    if (!forms.versioned)
        selection_enter(selection, name, NULL, state);
    if (forms.versioned)
        selection_enter(selection, forms.versioned, forms.versioned, state);
    if (forms.base)
        selection_enter(selection, forms.base, forms.base, state);
}

void selection_init(struct selection *selection)
{
    *selection = (struct selection){0};
}

static void selection_free_symbol(void *data)
{
    struct selection_symbol *symbol = data;
    free(symbol->owned);
    free(symbol);
}

void selection_free(struct selection *selection)
{
    tdestroy(selection->symbols, selection_free_symbol);
    selection->symbols = NULL;
}

void selection_require(struct selection *selection, const char *name)
{
    selection_raise(selection, name, SELECTION_UNDEFINED);
}

static void selection_visit_object(const char *name, enum elf_symbol_kind kind, void *data)
{
    static const enum selection_state states[] = {
        [ELF_SYMBOL_UNDEFINED] = SELECTION_UNDEFINED, [ELF_SYMBOL_UNDEFINED_WEAK] = SELECTION_WEAK,
        [ELF_SYMBOL_COMMON] = SELECTION_COMMON,       [ELF_SYMBOL_FUNCTION] = SELECTION_DEFINED,
        [ELF_SYMBOL_DATA] = SELECTION_DEFINED,
    };
    selection_raise(data, name, states[kind]);
}

/* What a shared library needs is found among its own libraries: it cannot bind to submitted code. */
static void selection_visit_library(const char *name, enum elf_symbol_kind kind, void *data)
{
    if (kind != ELF_SYMBOL_UNDEFINED && kind != ELF_SYMBOL_UNDEFINED_WEAK)
        selection_raise(data, name, SELECTION_DEFINED);
}

void selection_add_object(struct selection *selection, const void *bytes, size_t length)
{
    elf_symbols_of_object(bytes, length, selection_visit_object, selection);
}

void selection_add_library(struct selection *selection, const void *bytes, size_t length)
{
    elf_symbols_of_library(bytes, length, selection_visit_library, selection);
}

struct selection_data_query {
    const char *name;
    bool found;
};

static void selection_visit_data(const char *name, enum elf_symbol_kind kind, void *data)
{
    struct selection_data_query *query = data;
    query->found |= kind == ELF_SYMBOL_DATA && strcmp(name, query->name) == 0;
}

static bool selection_member_has_data(const struct archive_member *member, const char *name)
{
    struct selection_data_query query = {.name = name};
    elf_symbols_of_object(member->bytes, member->length, selection_visit_data, &query);
    return query.found;
}

/* `name` is looked for, which the member has under the name `symbol`. */
static bool selection_wants_form(const struct selection *selection, const struct archive_member *member,
                                 const char *name, const char *symbol)
{
    const struct selection_symbol *found = selection_find(selection, name);
    if (!found)
        return false;
    if (found->state == SELECTION_COMMON)
        return selection_member_has_data(member, symbol);
    return found->state == SELECTION_UNDEFINED;
}

static bool selection_wants(const struct selection *selection, const struct archive_member *member, const char *name)
{
    struct selection_forms forms = selection_split(name, true);
    bool wanted = forms.base ? selection_wants_form(selection, member, forms.base, name) ||
                                   selection_wants_form(selection, member, forms.versioned, name)
                             : selection_wants_form(selection, member, name, name);
    free(forms.base);
    free(forms.versioned);
    return wanted;
}

static void selection_include_member(struct selection *selection, struct archive_member *member,
                                     selection_include *include, void *data)
{
    member->included = true;
    selection_add_object(selection, member->bytes, member->length);
    include(member, data);
}

static size_t selection_search_once(struct selection *selection, struct archive *archive, selection_include *include,
                                    void *data)
{
    size_t added = 0;
    for (size_t i = 0; i < archive->symbol_count; i++) {
        struct archive_member *member = &archive->members[archive->symbols[i].member];
        if (member->included || !selection_wants(selection, member, archive->symbols[i].name))
            continue;
        selection_include_member(selection, member, include, data);
        added++;
    }
    return added;
}

size_t selection_search_archive(struct selection *selection, struct archive *archive, selection_include *include,
                                void *data)
{
    size_t total = 0, added;
    do {
        added = selection_search_once(selection, archive, include, data);
        total += added;
    } while (added);
    return total;
}

void selection_take_archive(struct selection *selection, struct archive *archive, selection_include *include,
                            void *data)
{
    for (size_t i = 0; i < archive->member_count; i++)
        if (!archive->members[i].included)
            selection_include_member(selection, &archive->members[i], include, data);
}

struct selection_need {
    const struct selection *selection;
    bool found;
};

static void selection_visit_needed(const char *name, enum elf_symbol_kind kind, void *data)
{
    struct selection_need *need = data;
    if (need->found || kind == ELF_SYMBOL_UNDEFINED || kind == ELF_SYMBOL_UNDEFINED_WEAK)
        return;
    const struct selection_symbol *symbol = selection_find(need->selection, name);
    need->found = symbol && symbol->state == SELECTION_UNDEFINED;
}

bool selection_needs_library(const struct selection *selection, const void *bytes, size_t length)
{
    struct selection_need need = {.selection = selection};
    elf_symbols_of_library(bytes, length, selection_visit_needed, &need);
    return need.found;
}

bool selection_defines(const struct selection *selection, const char *name)
{
    const struct selection_symbol *symbol = selection_find(selection, name);
    return symbol && symbol->state >= SELECTION_COMMON;
}
