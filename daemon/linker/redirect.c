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

static struct symbol *find(struct linker *linker, uint32_t library, const struct manifest_name *name)
{
    uint32_t count;
    const uint32_t *spaces = libraries_spaces(linker->libraries, library, false, &count);

    for (uint32_t i = 0; i < count; i++) {
        struct symbol *symbol = symbols_find(linker->symbols, spaces[i], name->bytes, name->length);

        if (symbol && symbol->binding == SYMBOL_UNIT)
            return symbol;
    }
    return NULL;
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
    *out = (struct redirect_request){.symbol = find(linker, library, name)};
    if (!out->symbol)
        return refuse(ERROR_NOT_FOUND, name, "is not defined", error);
    if (!out->symbol->trampoline || out->symbol->definer->state != UNIT_READY)
        return refuse(ERROR_INVALID, name, "is not redirectable, or not ready", error);
    if (target->length == 0)
        return 0;
    out->target = find(linker, library, target);
    if (!out->target)
        return refuse(ERROR_NOT_FOUND, target, "is not defined", error);
    if (!is_ready_function(out->target))
        return refuse(ERROR_NOT_CALLABLE, target, "is not a function that is ready", error);
    if (out->target->address == out->symbol->address)
        return refuse(ERROR_INVALID, target, "would lead to itself: an empty target gives its own body back", error);
    if (out->target->convention != out->symbol->convention)
        return refuse(ERROR_CONVENTION, target, "has another calling convention", error);
    return 0;
}

/* Where a call of the function goes on; NULL: nowhere, it is what is called. */
static const struct symbol *next_of(const struct symbol *symbol)
{
    const struct trampoline *trampoline = symbol->trampoline;

    if (!trampoline)
        return NULL;
    return !trampoline->target && trampoline->lazy ? trampoline->lazy->bound : trampoline->target;
}

/* Whether following what is in force from the target comes back: then a call would never end. What a lazy function is
   bound to may have closed a circle without us; `behind`, half as fast, is met in one. Addresses are compared, since an
   alias has that of what it stands for. */
static bool would_circle(const struct redirect_request *request)
{
    const struct symbol *at = request->target, *behind = at;

    for (bool odd = false; at && at->address != request->symbol->address; odd = !odd) {
        at = next_of(at);
        if (at == behind)
            return at != NULL;
        if (odd)
            behind = next_of(behind);
    }
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

static void lead(struct linker *linker, const struct trampoline *trampoline)
{
    const struct symbol *target = trampoline->target;
    uint64_t address = trampoline->body;

    if (!target && trampoline->lazy && trampoline->lazy->bound)
        target = trampoline->lazy->bound;
    if (target)
        address = target->address;
    trampoline_lead(linker, trampoline, address);
    if (trampoline->target)
        lazy_redirected(linker, trampoline, address);
}

/* Circles show only when the ones before are in force; so it is done on paper first. */
int redirect_apply(struct linker *linker, struct redirect_request *requests, size_t count, struct error *error)
{
    size_t done = 0;
    int code = 0;

    for (; done < count && !code; done += !code) {
        struct redirect_request *request = &requests[done];

        if (would_circle(request)) {
            code = error_set(error, ERROR_INVALID, "'%s' leads to '%s' already", request->target->name,
                             request->symbol->name);
            error_set_symbol(error, request->symbol->name);
            continue;
        }
        request->before = request->symbol->trampoline->target;
        set_target(request->symbol->trampoline, request->target);
    }
    while (code && done-- > 0)
        set_target(requests[done].symbol->trampoline, requests[done].before);
    for (size_t i = 0; i < count && !code; i++)
        lead(linker, requests[i].symbol->trampoline);
    return code;
}

void redirect_forget(const struct unit *unit)
{
    for (uint32_t i = 0; i < unit->trampoline_count; i++)
        set_target(&unit->trampolines[i], NULL);
}
