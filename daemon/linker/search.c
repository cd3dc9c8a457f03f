/*
 * A use that nobody meets waits at its own library's symbol. When a symbol of that name is bound in another namespace,
 * the use searches again and moves there. With one library and nothing hidden there is one namespace, and none of this
 * is done.
 */
#include "daemon/linker/search.h"

#include <string.h>

#include "daemon/linker/actions.h"
#include "daemon/linker/resolve.h"

struct symbol *search_process(struct linker *linker, const char *name, size_t length)
{
    struct symbol *symbol = symbols_find(linker->provided, SPACE_PROCESS, name, length);
    struct process_symbol found;

    if (symbol)
        return symbol;
    if (!linker->process || !process_symbols_find(linker->process, name, &found))
        return NULL;
    symbol = symbols_intern(linker->provided, SPACE_PROCESS, name, length);
    if (!symbol)
        return NULL;
    symbol->binding = SYMBOL_PROCESS;
    symbol->address = found.address;
    symbol->bytes = found.bytes;
    symbol->function = found.function;
    return symbol;
}

/* What the linker itself defines is there whatever the library takes of the runner's. */
static struct symbol *find_standard(struct linker *linker, const struct symbol *wanted)
{
    struct symbol *symbol = symbols_find(linker->provided, SPACE_PROCESS, wanted->name, wanted->name_length);

    return symbol && symbol->standard ? symbol : NULL;
}

static struct symbol *find_process(struct linker *linker, const struct search *search)
{
    struct symbol *wanted = search->wanted;

    if (wanted->no_process || search->exact)
        return NULL;
    if (search->of_units ||
        !libraries_wants_process_symbol(linker->libraries, search->library, wanted->name, wanted->name_length))
        return search->from_object ? find_standard(linker, wanted) : NULL;
    struct symbol *found = search_process(linker, wanted->name, wanted->name_length);
    wanted->no_process = !found;
    return found && found->standard && !search->from_object ? NULL : found;
}

static bool is_offered(const struct symbol *symbol, const struct batch *batch)
{
    return symbol->binding == SYMBOL_UNIT || (batch && resolve_winner(symbol, batch));
}

struct symbol *search_find(struct linker *linker, const struct search *search, const struct batch *batch)
{
    struct symbol *wanted = search->wanted;
    uint32_t count = 0;

    if (is_offered(wanted, batch) && !linker->many_spaces)
        return wanted;
    const uint32_t *spaces =
        linker->many_spaces ? libraries_spaces(linker->libraries, search->library, search->exact, &count) : NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct symbol *symbol = wanted;

        if (spaces[i] != wanted->space)
            symbol = symbols_find(linker->symbols, spaces[i], wanted->name, wanted->name_length);
        if (symbol && is_offered(symbol, batch))
            return symbol;
    }
    return find_process(linker, search);
}

bool search_passes(const struct linker *linker, const struct search *search, const struct symbol *symbol)
{
    uint32_t count;
    const uint32_t *spaces = libraries_spaces(linker->libraries, search->library, search->exact, &count);

    for (uint32_t i = 0; i < count; i++)
        if (spaces[i] == symbol->space)
            return true;
    return false;
}

struct symbol *search_units(struct linker *linker, uint32_t library, const char *name, size_t length)
{
    uint32_t count;
    const uint32_t *spaces = libraries_spaces(linker->libraries, library, false, &count);

    for (uint32_t i = 0; i < count; i++) {
        struct symbol *symbol = symbols_find(linker->symbols, spaces[i], name, length);

        if (symbol && symbol->binding == SYMBOL_UNIT)
            return symbol;
    }
    return NULL;
}

const struct symbol *search_look_up(struct linker *linker, uint32_t library, const char *name, size_t length,
                                    struct symbol *process)
{
    const struct symbol *defined = search_units(linker, library, name, length);
    struct process_symbol found;

    if (defined)
        return defined;
    if (!libraries_wants_process_symbol(linker->libraries, library, name, length))
        return NULL;
    const struct symbol *known = symbols_find(linker->provided, SPACE_PROCESS, name, length);
    if (known || !linker->process || !process_symbols_find(linker->process, name, &found))
        return known && known->standard ? NULL : known;
    *process = (struct symbol){
        .binding = SYMBOL_PROCESS, .address = found.address, .bytes = found.bytes, .function = found.function};
    return process;
}

static void want(struct symbol *symbol, void *data)
{
    struct linker *linker = data;

    if (symbol->binding == SYMBOL_UNBOUND && symbol->uses && wanted_add(&linker->wanted, symbol) != 0)
        linker->many_spaces = false; /* says: out of memory */
}

int search_open_spaces(struct linker *linker)
{
    if (linker->many_spaces)
        return 0;
    linker->many_spaces = true;
    symbols_visit(linker->symbols, want, linker);
    return linker->many_spaces ? 0 : ERROR_NO_MEMORY;
}

/* What the unit has noted of the symbol that it waited for is noted of the one that was found. */
static void move_use(struct use *use, struct symbol *to)
{
    struct pending *pending = use->unit->pending;
    struct symbol *from = use->symbol;

    symbol_remove_use(use);
    use->symbol = to;
    symbol_add_use(to, use);
    from->users--;
    to->users++;
    unit_needs(use->unit)[use - pending->uses] = to;
    if (use->index)
        pending->globals[use->index - pending->object.first_global] = to;
    for (uint32_t i = 0; !use->index && i < pending->alias_count; i++)
        if (pending->aliases[i].use == use->number)
            pending->aliases[i].target = to;
    if (!use->index)
        actions_move_use(use->unit, use->number, to);
}

/* Where the symbol itself has been bound, by the batch that is being committed, another may come before it. */
static void move_uses(struct symbol *wanted, void *data)
{
    struct linker *linker = data;

    for (struct use *use = wanted->uses, *next; use; use = next) {
        const struct search search = {wanted, use->library, use->exact, use->of_units, false};
        struct symbol *found = search_find(linker, &search, NULL);

        next = use->next;
        if (!found || found == wanted)
            continue;
        move_use(use, found);
        adapters_decide_use(linker, use);
        graph_use_moved(&linker->graph, use->unit, wanted);
    }
}

void search_adopt(struct linker *linker, const struct symbol *symbol)
{
    if (linker->many_spaces)
        wanted_visit(&linker->wanted, symbol, move_uses, linker);
}

void search_again(struct linker *linker)
{
    wanted_visit(&linker->wanted, NULL, move_uses, linker);
}
