/*
 * Two tables: lazy symbols by name, since a definition in any library may be what they wait for, and trampolines by the
 * number that the runner tells.
 */
#include "daemon/linker/lazy.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/linker/link.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/search.h"

#define FIRST_BUCKETS 64u

/* A place in the table whose trampoline is gone. */
static struct trampoline gone;

/* ---- trampolines by number ---- */

static uint32_t place_of(const struct lazies *lazies, uint32_t number)
{
    return (number * 0x9e3779b1u) & (lazies->place_count - 1);
}

static struct trampoline *find_trampoline(const struct lazies *lazies, uint64_t number)
{
    if (lazies->place_count == 0 || number > UINT32_MAX)
        return NULL;
    for (uint32_t place = place_of(lazies, (uint32_t)number); lazies->places[place];
         place = (place + 1) & (lazies->place_count - 1))
        if (lazies->places[place] != &gone && trampoline_number(lazies->places[place]) == number)
            return lazies->places[place];
    return NULL;
}

static void place(struct lazies *lazies, struct trampoline *trampoline)
{
    uint32_t at = place_of(lazies, trampoline_number(trampoline));

    while (lazies->places[at])
        at = (at + 1) & (lazies->place_count - 1);
    lazies->places[at] = trampoline;
}

/* At most half of the places are taken, those of trampolines that are gone included. */
static int make_places(struct lazies *lazies, uint32_t more)
{
    uint32_t count = lazies->place_count ? lazies->place_count : FIRST_BUCKETS;

    if (lazies->place_count && (lazies->placed + lazies->removed + more) * 2 <= lazies->place_count)
        return 0;
    while ((lazies->placed + more) * 2 > count)
        count *= 2;
    struct lazies wider = {.places = calloc(count, sizeof(struct trampoline *)), .place_count = count};
    if (!wider.places)
        return ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < lazies->place_count; i++)
        if (lazies->places[i] && lazies->places[i] != &gone)
            place(&wider, lazies->places[i]);
    free(lazies->places);
    lazies->places = wider.places;
    lazies->place_count = count;
    lazies->removed = 0;
    return 0;
}

static void displace(struct lazies *lazies, const struct trampoline *trampoline)
{
    uint32_t at = place_of(lazies, trampoline_number(trampoline));

    while (lazies->places[at] != trampoline)
        at = (at + 1) & (lazies->place_count - 1);
    lazies->places[at] = &gone;
    lazies->placed--;
    lazies->removed++;
}

/* ---- lazy symbols by name ---- */

static struct lazy **bucket_of(const struct lazies *lazies, const struct symbol *name)
{
    return &lazies->buckets[symbol_name_hash(name) & (lazies->bucket_count - 1)];
}

static int grow_buckets(struct lazies *lazies)
{
    struct lazies wider = {.bucket_count = lazies->bucket_count ? lazies->bucket_count * 2 : FIRST_BUCKETS};

    wider.buckets = calloc(wider.bucket_count, sizeof(struct lazy *));
    if (!wider.buckets)
        return ERROR_NO_MEMORY;
    for (uint32_t b = 0; b < lazies->bucket_count; b++) {
        for (struct lazy *lazy = lazies->buckets[b], *next; lazy; lazy = next) {
            struct lazy **bucket = bucket_of(&wider, lazy->wanted);

            next = lazy->next;
            lazy->next = *bucket;
            *bucket = lazy;
        }
    }
    free(lazies->buckets);
    lazies->buckets = wider.buckets;
    lazies->bucket_count = wider.bucket_count;
    return 0;
}

static struct lazy *find_lazy(struct lazies *lazies, const struct trampoline *trampoline)
{
    if (lazies->count >= lazies->bucket_count && grow_buckets(lazies) != 0)
        return NULL;
    struct lazy **bucket = bucket_of(lazies, trampoline->wanted), *lazy = *bucket;
    while (lazy && (lazy->wanted != trampoline->wanted || lazy->exact != trampoline->exact))
        lazy = lazy->next;
    if (lazy)
        return lazy;
    lazy = calloc(1, sizeof *lazy);
    if (!lazy)
        return NULL;
    *lazy = (struct lazy){
        .next = *bucket, .wanted = trampoline->wanted, .library = trampoline->library, .exact = trampoline->exact};
    lazy->wanted->lazies++;
    *bucket = lazy;
    lazies->count++;
    return lazy;
}

static void forget_lazy(struct lazies *lazies, struct lazy *lazy)
{
    struct lazy **link = bucket_of(lazies, lazy->wanted);

    while (*link != lazy)
        link = &(*link)->next;
    *link = lazy->next;
    lazy->wanted->lazies--;
    lazies->count--;
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

    for (uint32_t b = 0; b < lazies->bucket_count; b++) {
        for (struct lazy *lazy = lazies->buckets[b], *next; lazy; lazy = next) {
            next = lazy->next;
            free(lazy);
        }
    }
    free(lazies->buckets);
    free(lazies->places);
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
    const struct search search = {lazy->wanted, lazy->library, lazy->exact};

    return search_find(linker, &search, NULL);
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

static void lead(struct linker *linker, const struct trampoline *trampoline)
{
    const struct symbol *bound = trampoline->lazy->bound;

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

int lazy_link(struct linker *linker, struct unit *unit, struct error *error)
{
    struct lazies *lazies = &linker->lazies;

    if (make_places(lazies, unit->trampoline_count) != 0)
        return error_set(error, ERROR_NO_MEMORY, "%s: no memory for its lazy symbols", unit->name);
    for (uint32_t i = 0; i < unit->trampoline_count; i++) {
        struct trampoline *trampoline = &unit->trampolines[i];

        if (trampoline->kind == TRAMPOLINE_REDIRECTABLE)
            continue;
        struct lazy *lazy = find_lazy(lazies, trampoline);
        if (!lazy)
            return error_set(error, ERROR_NO_MEMORY, "%s: no memory for its lazy symbols", unit->name);
        if (!lazy->trampolines)
            lazy->bound = find_ready(linker, lazy);
        trampoline->lazy = lazy;
        trampoline->next = lazy->trampolines;
        lazy->trampolines = trampoline;
        place(lazies, trampoline);
        lazies->placed++;
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
        struct trampoline **link = &lazy->trampolines;
        while (*link != trampoline)
            link = &(*link)->next;
        *link = trampoline->next;
        trampoline->lazy = NULL;
        for (uint32_t waiter = 0; lazy->waiters && waiter < CHANNEL_WAITERS; waiter++)
            if (linker->lazies.waiters[waiter].trampoline == trampoline)
                linker->lazies.waiters[waiter].trampoline = NULL;
        displace(&linker->lazies, trampoline);
        forget_idle(&linker->lazies, lazy);
    }
}

static bool is_namesake(const struct lazy *lazy, const struct symbol *symbol)
{
    return lazy->wanted->name_length == symbol->name_length &&
           memcmp(lazy->wanted->name, symbol->name, symbol->name_length) == 0;
}

void lazy_offered(struct linker *linker, const struct symbol *symbol)
{
    if (linker->lazies.count == 0)
        return;
    for (struct lazy *lazy = *bucket_of(&linker->lazies, symbol), *next; lazy; lazy = next) {
        next = lazy->next;
        if (!is_namesake(lazy, symbol) || lazy->bound)
            continue;
        struct symbol *ready = find_ready(linker, lazy);
        if (ready)
            bind(linker, lazy, ready);
        forget_idle(&linker->lazies, lazy);
    }
}

void lazy_withdrawn(struct linker *linker, const struct symbol *symbol, const struct error *why)
{
    if (linker->lazies.count == 0)
        return;
    for (struct lazy *lazy = *bucket_of(&linker->lazies, symbol), *next; lazy; lazy = next) {
        next = lazy->next;
        if (!is_namesake(lazy, symbol))
            continue;
        if (lazy->bound == symbol || !lazy->bound)
            bind(linker, lazy, find_ready(linker, lazy));
        if (!lazy->waiters) {
            forget_idle(&linker->lazies, lazy);
            continue;
        }
        if (lazy->bound || find_coming(linker, lazy))
            continue;
        /* Threads wait, and what was to come has failed. */
        if (why)
            lazy_give_up(linker, lazy, why);
        else
            ask(linker, lazy);
    }
}

void lazy_search_again(struct linker *linker)
{
    for (uint32_t b = 0; b < linker->lazies.bucket_count; b++) {
        for (struct lazy *lazy = linker->lazies.buckets[b], *next; lazy; lazy = next) {
            struct symbol *ready = lazy->bound ? NULL : find_ready(linker, lazy);

            next = lazy->next;
            if (!ready)
                continue;
            bind(linker, lazy, ready);
            forget_idle(&linker->lazies, lazy);
        }
    }
}

/* An initialiser has called a function of its own component, whose initialisers run as one: it would wait for itself.
 */
static bool is_own_component(const struct trampoline *trampoline, const struct symbol *symbol)
{
    return symbol->binding == SYMBOL_UNIT && trampoline->unit->state == UNIT_LINKED &&
           symbol->definer->state == UNIT_LINKED && graph_root(trampoline->unit) == graph_root(symbol->definer);
}

/* The thread has been entered as waiting: goes on at once, or waits for what is coming, or it is asked for. */
static void refuse_circle(struct linker *linker, uint32_t waiter, const struct symbol *found)
{
    struct error why;

    error_set(&why, ERROR_INVALID, "'%s' leads back to itself, by way of lazy functions or redirections alone",
              found->name);
    resume(linker, waiter, 0, &why);
}

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
    if (!coming)
        ask(linker, lazy);
    else if (is_ready(coming))
        refuse_circle(linker, waiter, coming);
    else if (is_own_component(trampoline, coming))
        resume_at(linker, waiter, coming);
}

int lazy_called(struct linker *linker, uint32_t waiter, uint64_t number, uint64_t deadline, struct error *error)
{
    struct trampoline *trampoline = find_trampoline(&linker->lazies, number);
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
    const struct trampoline *trampoline = find_trampoline(&linker->lazies, number);

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
