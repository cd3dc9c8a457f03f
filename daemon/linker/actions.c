#include "daemon/linker/actions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

/* Compilers may put vectors there. */
#define ARGUMENT_ALIGNMENT 16

static struct action_call bind_call(const struct manifest_action_call *call, struct symbol *const *bound)
{
    if (call->use == MANIFEST_NO_USE)
        return (struct action_call){.use = MANIFEST_NO_USE};
    return (struct action_call){.function = bound[call->use], .use = call->use, .bytes = call->bytes};
}

int actions_bind(struct unit *unit, struct symbol *const *bound)
{
    const struct manifest *manifest = unit->pending->manifest;

    if (manifest->action_count == 0)
        return 0;
    unit->actions = calloc(manifest->action_count, sizeof *unit->actions);
    if (!unit->actions)
        return ERROR_NO_MEMORY;
    unit->action_count = manifest->action_count;
    for (uint32_t i = 0; i < unit->action_count; i++)
        unit->actions[i] = (struct action){bind_call(&manifest->actions[i].publish, bound),
                                           bind_call(&manifest->actions[i].remove, bound)};
    return 0;
}

void actions_move_use(struct unit *unit, uint32_t use, struct symbol *to)
{
    for (uint32_t i = 0; i < unit->action_count; i++) {
        struct action *action = &unit->actions[i];

        if (action->publish.use == use)
            action->publish.function = to;
        if (action->remove.use == use)
            action->remove.function = to;
    }
}

/* ---- room in zone R ---- */

static uint64_t append(struct arena_need *need, uint64_t bytes, uint64_t alignment)
{
    uint64_t at = align_up(need->bytes, alignment);

    need->bytes = at + bytes;
    need->alignment = max_u64(need->alignment, alignment);
    return at;
}

static void plan_call(struct action_call *call, struct arena_need *need)
{
    if (call->bytes)
        call->argument = append(need, call->bytes, ARGUMENT_ALIGNMENT);
}

void actions_plan(struct unit *unit, struct arena_need *need)
{
    if (unit->action_count == 0)
        return;
    for (uint32_t i = 0; i < unit->action_count; i++) {
        plan_call(&unit->actions[i].publish, need);
        plan_call(&unit->actions[i].remove, need);
    }
    unit->action_array = (uint32_t)append(need, unit->action_count * sizeof(struct channel_action), sizeof(uint64_t));
}

static void place_call(const struct linker *linker, uint64_t block, const struct manifest_action_call *from,
                       struct action_call *call)
{
    if (call->bytes == 0)
        return;
    memcpy(arena_bytes(linker->arena, ZONE_R, block + call->argument), from->argument, call->bytes);
    call->argument = arena_address(linker->arena, ZONE_R, block + call->argument);
}

void actions_place(struct linker *linker, struct unit *unit)
{
    uint32_t block = unit->block.extent[ZONE_R].offset;

    unit->action_array += block;
    for (uint32_t i = 0; i < unit->action_count; i++) {
        const struct manifest_action *from = &unit->pending->manifest->actions[i];

        place_call(linker, block, &from->publish, &unit->actions[i].publish);
        place_call(linker, block, &from->remove, &unit->actions[i].remove);
    }
}

/* ---- linking ---- */

static int check_function(const struct unit *unit, uint32_t number, const struct symbol *function, struct error *error)
{
    if (!function->function) {
        error_set(error, ERROR_NOT_CALLABLE, "%.100s: '%.200s' of its action %u is not a function", unit->name,
                  function->name, number);
        error_set_symbol(error, function->name);
        return ERROR_NOT_CALLABLE;
    }
    if (function->convention) {
        error_set(
            error, ERROR_CONVENTION,
            "%.100s: '%.200s' of its action %u is called as C functions are (0), but defined with convention %llu",
            unit->name, function->name, number, (unsigned long long)function->convention);
        error_set_symbol(error, function->name);
        return ERROR_CONVENTION;
    }
    return 0;
}

static int write_call(const struct unit *unit, uint32_t number, const struct action_call *call,
                      struct channel_action_call *out, struct error *error)
{
    int code = call->function ? check_function(unit, number, call->function, error) : 0;

    if (!code && call->function)
        *out = (struct channel_action_call){call->function->address, call->argument, call->bytes};
    return code;
}

int actions_link(struct linker *linker, const struct unit *unit, struct error *error)
{
    uint8_t *bytes = arena_bytes(linker->arena, ZONE_R, unit->action_array);
    struct channel_action *array = (struct channel_action *)(void *)bytes;
    int code = 0;

    for (uint32_t i = 0; i < unit->action_count && !code; i++) {
        code = write_call(unit, i + 1, &unit->actions[i].publish, &array[i].publish, error);
        if (!code)
            code = write_call(unit, i + 1, &unit->actions[i].remove, &array[i].remove, error);
    }
    return code;
}

uint64_t actions_address(const struct linker *linker, const struct unit *unit)
{
    return arena_address(linker->arena, ZONE_R, unit->action_array);
}

/* ---- what became of them ---- */

static int describe(const struct unit *unit, const struct channel_record *reply, const struct symbol *function,
                    struct error *error)
{
    bool publishing = reply->kind == CHANNEL_ACTIONS;
    uint64_t others = publishing || reply->c == 0 ? reply->c : reply->c - 1;
    char more[80] = "";

    if (others)
        snprintf(more, sizeof more, "; other than 0 from %llu removal actions %s", (unsigned long long)others,
                 publishing ? "then" : "more");
    error_set(error, ERROR_ACTION_FAILED, "%.100s: %s %llu, '%.200s', returned %d%s", unit->name,
              publishing ? "action" : "removal action", (unsigned long long)reply->a, function->name,
              (int)(uint32_t)reply->b, more);
    error_set_unit(error, unit->name);
    error_set_symbol(error, function->name);
    return ERROR_ACTION_FAILED;
}

int actions_read_reply(const struct unit *unit, const struct channel_record *reply, struct error *error)
{
    const struct action *action = reply->a - 1 < unit->action_count ? &unit->actions[reply->a - 1] : NULL;
    const struct symbol *function = NULL;

    if (reply->status != 0) {
        error_set(error, ERROR_NO_MEMORY, "%s: the runner has no memory for its %s", unit->name,
                  reply->kind == CHANNEL_COPY_DATA || reply->kind == CHANNEL_ZERO
                      ? "data (RLIMIT_DATA, vm.overcommit_memory)"
                      : "actions");
        error_set_unit(error, unit->name);
        return ERROR_NO_MEMORY;
    }
    if (reply->a == 0)
        return 0;
    if (action)
        function = reply->kind == CHANNEL_ACTIONS ? action->publish.function : action->remove.function;
    if (!function)
        return error_set(error, ERROR_RUNNER_PROTOCOL, "the runner says that action %llu of %s failed, of %u",
                         (unsigned long long)reply->a, unit->name, unit->action_count);
    return describe(unit, reply, function, error);
}
