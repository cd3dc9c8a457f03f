/*
 * Two tables: lazy symbols by name, since a definition in any library may be what they wait for, and trampolines by the
 * number that the runner tells.
 */
#include "daemon/linker/lazy.h"

#include <stdlib.h>

#include "daemon/linker/link.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/search.h"

/* ---- tables ---- */

static uint32_t hash_number(const struct linker *linker, uint32_t number)
{
    return symbols_hash(linker->symbols, &number, sizeof number);
}

static struct trampoline *find_trampoline(const struct linker *linker, uint64_t number)
{
    struct trampoline *trampoline = hash_table_find(&linker->lazies.by_number, hash_number(linker, (uint32_t)number));

    while (trampoline && trampoline_number(trampoline) != number)
        trampoline = hash_table_next(&trampoline->entry);
    return trampoline;
}

static struct lazy *find_lazy(const struct lazies *lazies, const struct trampoline *trampoline)
{
    struct lazy *lazy = hash_table_find(&lazies->by_name, symbol_name_hash(trampoline->wanted));

    while (lazy && (lazy->wanted != trampoline->wanted || lazy->exact != trampoline->exact))
        lazy = hash_table_next(&lazy->entry);
    return lazy;
}

static struct lazy *lazy_of(struct lazies *lazies, const struct trampoline *trampoline)
{
    struct lazy *lazy = find_lazy(lazies, trampoline);

    if (lazy)
        return lazy;
    lazy = hash_table_reserve(&lazies->by_name, 1) == 0 ? malloc(sizeof *lazy) : NULL;
    if (!lazy)
        return NULL;
    *lazy = (struct lazy){.wanted = trampoline->wanted, .library = trampoline->library, .exact = trampoline->exact};
    hash_table_add(&lazies->by_name, &lazy->entry, symbol_name_hash(lazy->wanted));
    lazy->wanted->lazies++;
    return lazy;
}

static void forget_lazy(struct lazies *lazies, struct lazy *lazy)
{
    hash_table_remove(&lazies->by_name, &lazy->entry);
    lazy->wanted->lazies--;
    free(lazy);
}

/* Called by whoever has let threads go on: nobody may come through it any more, and nobody waits. */
static void forget_idle(struct lazies *lazies, struct lazy *lazy)
{
    if (!lazy->trampolines && !lazy->waiters)
        forget_lazy(lazies, lazy);
}

void lazies_close(struct linker *linker)
{
    struct lazies *lazies = &linker->lazies;

    hash_table_close(&lazies->by_name, free);
    hash_table_close(&lazies->by_number, NULL);
    *lazies = (struct lazies){0};
}

/* ---- leading and waiting ---- */

/* Whether calls of the function come back to what waits for the lazy symbol. */
static bool leads_back(const struct lazy *lazy, const struct symbol *found)
{
    while (found && found->trampoline) {
        if (!found->trampoline->target && found->trampoline->lazy == lazy)
            return true;
        found = trampoline_reached(found->trampoline);
    }
    return false;
}

/* What the search for the symbol comes to, ready or not; NULL: nobody offers it. */
static struct symbol *find_coming(struct linker *linker, const struct lazy *lazy)
{
    const struct search search = {lazy->wanted, lazy->library, lazy->exact, false, false};

    return search_find(linker, &search, NULL);
}

/* Whether it could have been what is waited for. */
static bool may_come_to(const struct linker *linker, const struct lazy *lazy, const struct symbol *symbol)
{
    const struct search search = {lazy->wanted, lazy->library, lazy->exact, false, false};

    return search_passes(linker, &search, symbol);
}

static bool is_ready(const struct symbol *found)
{
    return found->binding == SYMBOL_PROCESS || found->definer->state == UNIT_READY;
}

/* What a call of the symbol reaches now; NULL where nothing is ready, or where the call would never end: it is here
   that circles of lazy functions are kept open. */
static struct symbol *find_ready(struct linker *linker, const struct lazy *lazy)
{
    struct symbol *found = find_coming(linker, lazy);

    return found && is_ready(found) && !leads_back(lazy, found) ? found : NULL;
}

/* Where one is redirected it stays, though what it was redirected to may be going together with it. */
static void lead(struct linker *linker, const struct trampoline *trampoline)
{
    const struct symbol *bound = trampoline->lazy->bound;

    if (!trampoline->target)
        trampoline_lead(linker, trampoline);
    if (trampoline->definition && bound)
        trampoline->definition->bytes = bound->bytes;
}

static void resume(struct linker *linker, uint32_t waiter, uint64_t address, const struct error *why)
{
    struct lazy *lazy = linker->lazies.waiters[waiter].lazy;

    linker->lazies.waiters[waiter] = (struct lazy_waiter){0};
    lazy->waiters &= ~(1ull << waiter);
    if (!lazy->waiters)
        lazy->ask = 0;
    linker->hooks->lazy_resumed(linker->owner, waiter, address, lazy, why);
}

/* It goes on at the function, if there is a way to that from how the thread calls it. */
static void resume_at(struct linker *linker, uint32_t waiter, struct symbol *target)
{
    const struct lazy_waiter *waiting = &linker->lazies.waiters[waiter];
    struct unit *user = waiting->trampoline ? waiting->trampoline->unit : NULL;
    uint64_t address = 0;
    struct error why;
    int code = adapters_reach(linker, user, target, waiting->convention, &address, &why);

    resume(linker, waiter, address, code ? &why : NULL);
}

/* With its last thread what was asked for may be gone, too: not to be used after this. */
void lazy_give_up(struct linker *linker, struct lazy *lazy, const struct error *why)
{
    for (uint32_t waiter = 0; waiter < CHANNEL_WAITERS; waiter++)
        if (lazy->waiters & 1ull << waiter)
            resume(linker, waiter, 0, why);
    forget_idle(&linker->lazies, lazy);
}

static void bind(struct linker *linker, struct lazy *lazy, struct symbol *target)
{
    lazy->bound = target;
    for (struct trampoline *trampoline = lazy->trampolines; trampoline; trampoline = trampoline->next)
        lead(linker, trampoline);
    for (uint32_t waiter = 0; waiter < CHANNEL_WAITERS && target && lazy->waiters; waiter++)
        if (lazy->waiters & 1ull << waiter)
            resume_at(linker, waiter, target);
}

static void ask(struct linker *linker, struct lazy *lazy)
{
    if (lazy->ask)
        return;
    lazy->ask = ++linker->lazies.asked;
    linker->hooks->lazy_wanted(linker->owner, lazy);
}

static void attach(struct lazy *lazy, struct trampoline *trampoline)
{
    trampoline->lazy = lazy;
    trampoline->next = lazy->trampolines;
    trampoline->link = &lazy->trampolines;
    if (trampoline->next)
        trampoline->next->link = &trampoline->next;
    lazy->trampolines = trampoline;
}

static void detach(struct trampoline *trampoline)
{
    *trampoline->link = trampoline->next;
    if (trampoline->next)
        trampoline->next->link = trampoline->link;
    trampoline->lazy = NULL;
}

int lazy_link(struct linker *linker, struct unit *unit, struct error *error)
{
    struct lazies *lazies = &linker->lazies;

    if (hash_table_reserve(&lazies->by_number, unit->trampoline_count) != 0)
        return error_set(error, ERROR_NO_MEMORY, "%s: no memory for its lazy symbols", unit->name);
    for (uint32_t i = 0; i < unit->trampoline_count; i++) {
        struct trampoline *trampoline = &unit->trampolines[i];

        if (trampoline->kind == TRAMPOLINE_REDIRECTABLE)
            continue;
        struct lazy *lazy = lazy_of(lazies, trampoline);
        if (!lazy)
            return error_set(error, ERROR_NO_MEMORY, "%s: no memory for its lazy symbols", unit->name);
        if (!lazy->trampolines)
            lazy->bound = find_ready(linker, lazy);
        attach(lazy, trampoline);
        hash_table_add(&lazies->by_number, &trampoline->entry, hash_number(linker, trampoline_number(trampoline)));
        lead(linker, trampoline);
    }
    return 0;
}

void lazy_unlink(struct linker *linker, struct unit *unit)
{
    for (uint32_t i = 0; i < unit->trampoline_count; i++) {
        struct trampoline *trampoline = &unit->trampolines[i];
        struct lazy *lazy = trampoline->lazy;

        if (trampoline->wanted)
            trampoline->wanted->lazies--;
        if (!lazy)
            continue;
        detach(trampoline);
        for (uint32_t waiter = 0; lazy->waiters && waiter < CHANNEL_WAITERS; waiter++)
            if (linker->lazies.waiters[waiter].trampoline == trampoline)
                linker->lazies.waiters[waiter].trampoline = NULL;
        hash_table_remove(&linker->lazies.by_number, &trampoline->entry);
        forget_idle(&linker->lazies, lazy);
    }
}

void lazy_offered(struct linker *linker, const struct symbol *symbol)
{
    const struct hash_table *lazies = &linker->lazies.by_name;

    for (struct lazy *lazy = hash_table_find(lazies, symbol_name_hash(symbol)), *next; lazy; lazy = next) {
        next = hash_table_next(&lazy->entry);
        if (!symbol_is_namesake(lazy->wanted, symbol) || lazy->bound)
            continue;
        struct symbol *ready = find_ready(linker, lazy);
        if (ready)
            bind(linker, lazy, ready);
        forget_idle(&linker->lazies, lazy);
    }
}

void lazy_withdrawn(struct linker *linker, const struct symbol *symbol, const struct error *why)
{
    const struct hash_table *lazies = &linker->lazies.by_name;

    for (struct lazy *lazy = hash_table_find(lazies, symbol_name_hash(symbol)), *next; lazy; lazy = next) {
        next = hash_table_next(&lazy->entry);
        if (!symbol_is_namesake(lazy->wanted, symbol))
            continue;
        struct symbol *ready = !lazy->bound || lazy->bound == symbol ? find_ready(linker, lazy) : NULL;
        if (ready || lazy->bound == symbol)
            bind(linker, lazy, ready);
        if (!lazy->waiters) {
            forget_idle(&linker->lazies, lazy);
            continue;
        }
        if (lazy->bound || find_coming(linker, lazy))
            continue;
        /* Threads wait, and what was to come has failed. */
        if (why && may_come_to(linker, lazy, symbol))
            lazy_give_up(linker, lazy, why);
        else
            ask(linker, lazy);
    }
}

void lazy_search_again(struct linker *linker)
{
    const struct hash_table *lazies = &linker->lazies.by_name;

    for (struct lazy *lazy = hash_table_after(lazies, NULL), *next; lazy; lazy = next) {
        struct symbol *ready = lazy->bound ? NULL : find_ready(linker, lazy);

        next = hash_table_after(lazies, &lazy->entry);
        if (!ready)
            continue;
        bind(linker, lazy, ready);
        forget_idle(&linker->lazies, lazy);
    }
}

/* An initialiser has called a function of its own component, whose initialisers run as one: it would wait for itself.
 */
static bool is_own_component(const struct trampoline *trampoline, const struct symbol *symbol)
{
    return symbol->binding == SYMBOL_UNIT && trampoline->unit->state == UNIT_LINKED &&
           symbol->definer->state == UNIT_LINKED && graph_root(trampoline->unit) == graph_root(symbol->definer);
}

/* Where a call of it goes on, ready or not; NULL: nowhere, or nobody offers what it waits for. */
static struct symbol *next_of(struct linker *linker, const struct symbol *symbol)
{
    const struct trampoline *trampoline = symbol ? symbol->trampoline : NULL;
    struct symbol *reached = trampoline ? trampoline_reached(trampoline) : NULL;

    return reached || !trampoline || !trampoline->lazy ? reached : find_coming(linker, trampoline->lazy);
}

/* Of what is not ready nothing is bound that leads_back could follow. */
static bool is_circle(struct linker *linker, const struct symbol *symbol)
{
    const struct symbol *slow = symbol, *fast = symbol;

    do {
        slow = next_of(linker, slow);
        fast = next_of(linker, next_of(linker, fast));
    } while (fast && fast != slow);
    return fast != NULL;
}

static void refuse_circle(struct linker *linker, uint32_t waiter, const struct symbol *found)
{
    struct error why;

    error_set(&why, ERROR_INVALID, "'%s' leads back to itself, by way of lazy functions or redirections alone",
              found->name);
    resume(linker, waiter, 0, &why);
}

/* The thread has been entered as waiting: goes on at once, or waits for what is coming, or it is asked for. */
static void serve(struct linker *linker, uint32_t waiter, const struct trampoline *trampoline)
{
    struct lazy *lazy = trampoline->lazy;
    struct symbol *coming;

    if (trampoline->target) {
        resume_at(linker, waiter, trampoline->target);
        return;
    }
    if (!lazy->bound) {
        struct symbol *ready = find_ready(linker, lazy);

        if (ready)
            bind(linker, lazy, ready);
    } else {
        lead(linker, trampoline); /* an adapter may have come since */
        resume_at(linker, waiter, lazy->bound);
    }
    if (!linker->lazies.waiters[waiter].lazy)
        return;
    coming = find_coming(linker, lazy);
    if (!coming) {
        ask(linker, lazy);
        return;
    }
    bool own = is_own_component(trampoline, coming);
    if (is_ready(coming) || (own && is_circle(linker, coming)))
        refuse_circle(linker, waiter, coming);
    else if (own)
        resume_at(linker, waiter, coming);
}

int lazy_called(struct linker *linker, uint32_t waiter, uint64_t number, uint64_t deadline, struct error *error)
{
    struct trampoline *trampoline = find_trampoline(linker, number);
    struct error why;

    if (waiter >= CHANNEL_WAITERS || linker->lazies.waiters[waiter].lazy)
        return error_set(error, ERROR_RUNNER_PROTOCOL, "the runner claims that thread %u waits, which cannot be",
                         waiter);
    if (!trampoline || !trampoline->lazy) {
        error_set(&why, ERROR_NOT_FOUND, "a lazy function was called from a unit that has been removed");
        linker->hooks->lazy_resumed(linker->owner, waiter, 0, NULL, &why);
        return 0;
    }
    linker->lazies.waiters[waiter] =
        (struct lazy_waiter){trampoline->lazy, trampoline, trampoline->convention, deadline};
    trampoline->lazy->waiters |= 1ull << waiter;
    serve(linker, waiter, trampoline);
    return 0;
}

const char *lazy_name(const struct linker *linker, uint64_t number)
{
    const struct trampoline *trampoline = find_trampoline(linker, number);

    return trampoline && trampoline->lazy ? trampoline->lazy->wanted->name : NULL;
}

struct unit *lazy_coming(struct linker *linker, uint32_t waiter)
{
    const struct lazy *lazy = linker->lazies.waiters[waiter].lazy;
    const struct symbol *coming = lazy ? find_coming(linker, lazy) : NULL;

    return coming && coming->binding == SYMBOL_UNIT && coming->definer->pending ? coming->definer : NULL;
}

void lazy_redirected(struct linker *linker, const struct trampoline *trampoline, uint64_t address)
{
    for (uint32_t waiter = 0; trampoline->lazy && waiter < CHANNEL_WAITERS; waiter++)
        if (linker->lazies.waiters[waiter].trampoline == trampoline)
            resume(linker, waiter, address, NULL);
}

void lazy_led_back(struct linker *linker, const struct trampoline *trampoline)
{
    struct lazy *lazy = trampoline->lazy;

    if (lazy && lazy->bound && leads_back(lazy, lazy->bound))
        bind(linker, lazy, NULL);
}

bool lazy_refuse(struct linker *linker, uint64_t number, const struct error *why)
{
    for (uint32_t waiter = 0; waiter < CHANNEL_WAITERS; waiter++) {
        struct lazy *lazy = linker->lazies.waiters[waiter].lazy;

        if (!lazy || lazy->ask != number)
            continue;
        lazy_give_up(linker, lazy, why);
        return true;
    }
    return false;
}

void lazy_runner_ended(struct linker *linker)
{
    for (uint32_t waiter = 0; waiter < CHANNEL_WAITERS; waiter++) {
        struct lazy *lazy = linker->lazies.waiters[waiter].lazy;

        linker->lazies.waiters[waiter] = (struct lazy_waiter){0};
        if (!lazy)
            continue;
        lazy->waiters &= ~(1ull << waiter);
        lazy->ask = 0;
        forget_idle(&linker->lazies, lazy);
    }
}

struct lazy *lazy_soonest(const struct linker *linker, uint64_t *deadline)
{
    struct lazy *soonest = NULL;

    for (uint32_t waiter = 0; waiter < CHANNEL_WAITERS; waiter++) {
        const struct lazy_waiter *waiting = &linker->lazies.waiters[waiter];

        if (!waiting->lazy || (soonest && waiting->deadline >= *deadline))
            continue;
        soonest = waiting->lazy;
        *deadline = waiting->deadline;
    }
    return soonest;
}
