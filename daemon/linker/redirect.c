#include "daemon/linker/redirect.h"

#include <string.h>

#include "common/log.h"
#include "daemon/linker/resolve.h"
#include "daemon/linker/search.h"

static int refuse(int code, const struct manifest_name *name, const char *what, struct error *error)
{
    char shown[160];

    log_escape(shown, sizeof shown, name->bytes, name->length);
    error_set(error, code, "'%s' %s", shown, what);
    error_set_symbol(error, shown);
    return code;
}

static bool is_ready_function(const struct symbol *symbol)
{
    return symbol->function && symbol->definer->state == UNIT_READY;
}

int redirect_check(struct linker *linker, uint32_t library, const struct manifest_name *name,
                   const struct manifest_name *target, struct redirect_request *out, struct error *error)
{
    if (!libraries_has(linker->libraries, library))
        return error_set(error, ERROR_NOT_FOUND, "there is no library %u", library);
    *out = (struct redirect_request){.symbol = search_units(linker, library, name->bytes, name->length)};
    if (!out->symbol)
        return refuse(ERROR_NOT_FOUND, name, "is not defined", error);
    if (!out->symbol->trampoline || out->symbol->definer->state != UNIT_READY)
        return refuse(ERROR_INVALID, name, "is not redirectable, or not ready", error);
    if (target->length == 0)
        return 0;
    out->target = search_units(linker, library, target->bytes, target->length);
    if (!out->target)
        return refuse(ERROR_NOT_FOUND, target, "is not defined", error);
    if (!is_ready_function(out->target))
        return refuse(ERROR_NOT_CALLABLE, target, "is not a function that is ready", error);
    if (out->target->address == out->symbol->address)
        return refuse(ERROR_INVALID, target, "would lead to itself: an empty target gives its own body back", error);
    if (out->target->convention != out->symbol->convention &&
        !adapters_find(linker, out->symbol->convention, out->target->convention))
        return refuse(ERROR_CONVENTION, target, "has another calling convention, and there is no adapter for the two",
                      error);
    return 0;
}

/* Where a call of the function goes on; NULL: nowhere, it is what is called. */
static const struct symbol *next_of(const struct symbol *symbol)
{
    return symbol->trampoline ? trampoline_reached(symbol->trampoline) : NULL;
}

/* Where calls would go on with the request in force; of a lazy function that gets its own body back, where it is bound.
 */
static const struct symbol *first_of(const struct redirect_request *request)
{
    const struct lazy *lazy = request->symbol->trampoline->lazy;

    return request->target || !lazy ? request->target : lazy->bound;
}

/* Whether following what is in force from there comes back: then a call would never end. Addresses are compared, since
   an alias has that of what it stands for. */
static bool would_circle(const struct redirect_request *request)
{
    const struct symbol *at = first_of(request);

    while (at && at->address != request->symbol->address)
        at = next_of(at);
    return at != NULL;
}

static void set_target(struct trampoline *trampoline, struct symbol *target)
{
    if (trampoline->target)
        trampoline->target->users--;
    trampoline->target = target;
    if (target)
        target->users++;
}

/* Circles show only when the ones before are in force; so it is done on paper first. */
static int try_all(struct redirect_request *requests, size_t count, size_t *done, struct error *error)
{
    for (; *done < count; ++*done) {
        struct redirect_request *request = &requests[*done];

        if (would_circle(request)) {
            error_set(error, ERROR_INVALID, "'%s' leads to '%s' already", first_of(request)->name,
                      request->symbol->name);
            error_set_symbol(error, request->symbol->name);
            return ERROR_INVALID;
        }
        request->before = request->symbol->trampoline->target;
        set_target(request->symbol->trampoline, request->target);
    }
    return 0;
}

/* Then what could still go wrong: making the way to a target that is called otherwise. */
static int make_ways(struct linker *linker, const struct redirect_request *requests, size_t count, struct error *error)
{
    uint64_t address;
    int code = 0;

    for (size_t i = 0; i < count && !code; i++)
        if (requests[i].target)
            code = adapters_reach(linker, requests[i].symbol->definer, requests[i].target,
                                  requests[i].symbol->convention, &address, error);
    return code;
}

static void lead(struct linker *linker, const struct trampoline *trampoline)
{
    uint64_t address = trampoline_lead(linker, trampoline);

    if (trampoline->target)
        lazy_redirected(linker, trampoline, address);
}

int redirect_apply(struct linker *linker, struct redirect_request *requests, size_t count, struct error *error)
{
    size_t done = 0;
    int code = try_all(requests, count, &done, error);

    if (!code)
        code = make_ways(linker, requests, count, error);
    linker->departures++;
    while (code && done-- > 0)
        set_target(requests[done].symbol->trampoline, requests[done].before);
    for (size_t i = 0; i < count && !code; i++)
        lead(linker, requests[i].symbol->trampoline);
    return code;
}

static void lead_back_of(struct linker *linker, const struct unit *unit)
{
    for (uint32_t i = 0; i < unit->trampoline_count; i++) {
        struct trampoline *trampoline = &unit->trampolines[i];

        if (!trampoline->target || trampoline->target->definer->state != UNIT_FAILED)
            continue;
        set_target(trampoline, NULL);
        lazy_led_back(linker, trampoline);
        trampoline_lead(linker, trampoline);
    }
}

void redirect_lead_back(struct linker *linker)
{
    for (struct unit *unit = units_after(&linker->units, 0); unit; unit = units_after(&linker->units, unit->id))
        if (unit->state != UNIT_FAILED)
            lead_back_of(linker, unit);
}

void redirect_forget(const struct unit *unit)
{
    for (uint32_t i = 0; i < unit->trampoline_count; i++)
        set_target(&unit->trampolines[i], NULL);
}
