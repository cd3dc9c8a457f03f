/*
 * Calls, and what they wait for.
 *
 * A call may come to a lazy function that leads nowhere yet, and a unit that is to be run may use what is not ready.
 * While that waits the operation's other units are submitted; what waits then is ended.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/model/model.h"

static void end_life(struct model *model, const struct operation *operation, struct answer *answer, uint64_t codes)
{
    struct model_unit *unit = &model->units[SERIAL(operation->number, 0)];

    if (operation->kind == OPERATION_RUN)
        model_remove_run(model, unit, false);
    model_end_life(model, answer, false);
    answer->wait.kind = WAIT_NONE;
    answer->codes = codes;
}

static void return_value(struct model *model, const struct operation *operation, struct answer *answer, uint64_t value)
{
    if (operation->kind == OPERATION_RUN)
        model_remove_run(model, &model->units[SERIAL(operation->number, 0)], true);
    answer->wait.kind = WAIT_NONE;
    answer->kind = ANSWER_VALUE;
    answer->value = value;
}

/* Whoever defines it and is not ready; NULL: it is asked for. */
static const struct model_unit *find_coming(const struct model *model, const struct model_use *use)
{
    struct bound bound = model_search(model, use, NULL);

    return bound.kind == BOUND_DEFINITION ? bound.definition->unit : NULL;
}

static void wait_for_lazy(struct model *model, const struct reach *reach, struct answer *answer)
{
    const struct model_unit *coming = find_coming(model, reach->lazy);
    const struct model_use *lazy = reach->lazy;
    const struct wait before = answer->wait;
    bool is_open = before.kind == WAIT_ASKED && before.name == lazy->name && before.library == lazy->library &&
                   before.exact == lazy->exact;

    answer->wait = (struct wait){.kind = coming ? WAIT_COMING : WAIT_ASKED,
                                 .unit = coming ? coming->serial : 0,
                                 .name = lazy->name,
                                 .library = lazy->library,
                                 .exact = lazy->exact,
                                 .convention = lazy->convention,
                                 .questions = before.questions + (!coming && !is_open)};
    model->start = (struct point){*lazy, reach->passed};
    if (!coming)
        model->certain = model->start;
}

/* Nobody says when a thread has come to what is on its way: it may come only now. */
static bool may_have_gone_otherwise(const struct model *model, const struct answer *answer)
{
    const struct reach waited = model_reach(model, &model->start), come = model_reach(model, &model->certain);

    return answer->wait.kind == WAIT_COMING && (waited.kind != come.kind || waited.value != come.value);
}

/* The call goes on, as far as it comes. */
static void go_on(struct model *model, const struct operation *operation, struct answer *answer)
{
    model->stuck |= may_have_gone_otherwise(model, answer);
    struct reach reach = model_go(model, &model->start);

    answer->passed = reach.passed;
    answer->settles |= reach.changes;
    switch (reach.kind) {
    case REACH_VALUE:
        return_value(model, operation, answer, reach.value);
        break;
    case REACH_LAZY:
        wait_for_lazy(model, &reach, answer);
        break;
    case REACH_CONVENTION:
        end_life(model, operation, answer, 1ull << JITD_ERROR_CONVENTION);
        break;
    case REACH_CRASH:
        end_life(model, operation, answer, 0);
        break;
    case REACH_CIRCLE:
        end_life(model, operation, answer, 1ull << JITD_ERROR_INVALID);
        break;
    case REACH_ADAPTER:
        model->stuck = true;
        break;
    }
}

/* One that would end in a function that adapts is not made. */
static void begin(struct model *model, const struct operation *operation, const struct model_use *start,
                  struct answer *answer)
{
    model->start = model->certain = model_begin(start);
    if (model_reach(model, &model->start).kind != REACH_ADAPTER)
        go_on(model, operation, answer);
}

static bool is_function(const struct target *target)
{
    return target->kind == TARGET_PROCESS || target->kind == TARGET_FUNCTION ||
           target->kind == TARGET_ABSOLUTE_FUNCTION;
}

void model_call(struct model *model, const struct operation *operation, struct answer *answer)
{
    if (operation->item_count == 0)
        return;
    if (!model->libraries[operation->library].exists) {
        model_refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    const struct model_use start = model_look_up(model, operation->library, operation->items[0].value);
    struct target target = model_target(&start);
    if (!target.known)
        model_refuse(answer, JITD_ERROR_NOT_FOUND);
    else if (!target.ready || !is_function(&target))
        model_refuse(answer, JITD_ERROR_NOT_CALLABLE);
    else
        begin(model, operation, &start, answer);
}

/* ---- probes ---- */

static const struct model_use *find_use(const struct model_unit *unit, uint32_t number)
{
    for (uint32_t i = 0; i < unit->use_count; i++)
        if (unit->uses[i].number == number && unit->uses[i].referenced)
            return &unit->uses[i];
    return NULL;
}

/* Asks a ready unit what its use is bound to, by calling it where it can be called. */
static void probe_use(struct model *model, const struct operation *operation, const struct model_use *use,
                      struct answer *answer)
{
    answer->targets[0] = model_target(use);
    if (operation->mode == MODE_CALL && is_function(&answer->targets[0])) {
        begin(model, operation, use, answer);
        return;
    }
    answer->targets[0].convention = model_called_by(use);
    answer->targets[0].way = is_function(&answer->targets[0]) && use->bound.kind != BOUND_LAZY &&
                             model_called_by(use) != model_convention_of(&use->bound);
    answer->mode = MODE_ADDRESS;
    answer->kind = ANSWER_TARGET;
}

static bool has_failed(const struct model_unit *unit)
{
    return !unit->exists || unit->removed || unit->state == JITD_UNIT_FAILED;
}

void model_probe(struct model *model, const struct operation *operation, struct answer *answer)
{
    uint32_t serial = operation->item_count ? operation->items[0].value : 0;
    struct model_unit *unit = serial < SERIALS_MOST ? &model->units[serial] : NULL;

    if (!unit || serial < UNITS_MOST || unit->lookup || unit->no_object)
        return;
    answer->mode = operation->mode;
    if (has_failed(unit)) {
        if (model->libraries[unit->library].exists)
            model_refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    if (unit->state != JITD_UNIT_READY) {
        model_refuse(answer, JITD_ERROR_NOT_CALLABLE);
        return;
    }
    const struct model_use *use = operation->mode <= MODE_CALL ? find_use(unit, operation->entry) : NULL;
    if (use) {
        probe_use(model, operation, use, answer);
        return;
    }
    answer->kind = ANSWER_VALUE;
    if (operation->mode == MODE_COUNT && unit->data)
        answer->value = ++unit->counter;
    if (operation->mode == MODE_INITIALISED && unit->data >= DATA_INITIALISER)
        answer->value = 1;
}

/* ---- runs ---- */

/* The first that the unit offers under the name; NULL: none that stands. */
static const struct model_definition *find_definition(const struct model *model, const struct model_unit *unit,
                                                      uint32_t name)
{
    for (uint32_t i = 0; i < unit->definition_count; i++) {
        const struct model_definition *definition = &unit->definitions[i];

        if (definition->name == name &&
            model->table.entries[unit->library][definition->hidden][definition->name] == definition)
            return definition;
    }
    return NULL;
}

static void begin_run(struct model *model, const struct operation *operation, struct model_unit *unit,
                      struct answer *answer)
{
    const struct model_definition *definition = find_definition(model, unit, operation->items[0].value);

    const struct model_use start = {.name = operation->items[0].value, .bound = {BOUND_DEFINITION, definition}};
    struct target target = definition ? model_target(&start) : (struct target){.kind = TARGET_NONE};
    if (is_function(&target)) {
        begin(model, operation, &start, answer);
        model->stuck |= answer->kind == ANSWER_NONE && answer->wait.kind == WAIT_NONE; /* the unit stays as it is */
        return;
    }
    answer->wait.kind = WAIT_NONE;
    model_refuse(answer, JITD_ERROR_NOT_CALLABLE);
    model_remove_run(model, unit, true);
}

/* One that is not ready uses what is not ready. */
static uint32_t find_need(const struct model_unit *unit)
{
    for (uint32_t i = 0; i < unit->use_count; i++) {
        const struct bound *bound = &unit->uses[i].bound;

        if (bound->kind == BOUND_DEFINITION && bound->definition->unit != unit &&
            bound->definition->unit->state == JITD_UNIT_RESOLVED)
            return bound->definition->unit->serial;
    }
    abort(); /* it is a closed batch: what is missing has been refused */
}

static void go_on_run(struct model *model, const struct operation *operation, struct answer *answer)
{
    struct model_unit *unit = &model->units[SERIAL(operation->number, 0)];

    answer->runs_code = true;
    if (unit->state == JITD_UNIT_READY)
        begin_run(model, operation, unit, answer);
    else if (unit->state == JITD_UNIT_RESOLVED)
        answer->wait = (struct wait){.kind = WAIT_FOR_UNIT, .unit = find_need(unit)};
    else {
        answer->wait.kind = WAIT_NONE;
        model_refuse(answer, unit->code);
        answer->codes |= unit->alternative ? 1ull << unit->alternative : 0;
        unit->removed = true;
    }
}

void model_run(struct model *model, const struct operation *operation, struct answer *answer)
{
    if (operation->unit_count == 0 || operation->item_count == 0)
        return;
    struct operation closed = *operation;
    closed.closed = true;
    closed.atomic = false;
    model_submit(model, &closed, 0, 1, answer);
    if (answer->kind != ANSWER_DONE)
        return;
    answer->kind = ANSWER_NONE;
    model->units[SERIAL(operation->number, 0)].internal = true;
    model_search_again(model);
    model_settle(model);
    go_on_run(model, operation, answer);
}

/* ---- what is done while it waits ---- */

static void go_on_any(struct model *model, const struct operation *operation, struct answer *answer)
{
    model_bind_lazies(model);
    if (answer->wait.kind == WAIT_FOR_UNIT)
        go_on_run(model, operation, answer);
    else
        go_on(model, operation, answer);
}

/* Who waits for a unit learns that it has failed, unless another one offers the function. */
static bool has_failed_coming(const struct model *model, const struct model_use *lazy, const struct model_unit *coming)
{
    return coming && coming->state == JITD_UNIT_FAILED && model_search(model, lazy, NULL).kind == BOUND_NOTHING;
}

struct answer model_supply(struct model *model, const struct operation *operation, struct answer *waiting)
{
    uint32_t first = operation->kind == OPERATION_RUN;
    const struct model_use *lazy = NULL;
    const struct model_unit *coming = NULL;
    struct answer answer = {.kind = ANSWER_NONE};

    if (operation->unit_count <= first)
        return answer;
    if (waiting->wait.kind != WAIT_FOR_UNIT)
        lazy = model_reach(model, &model->start).lazy;
    model_submit(model, operation, first, operation->unit_count - first, &answer);
    model_search_again(model);
    if (lazy)
        coming = find_coming(model, lazy);
    answer.runs_code = model_settle(model);
    answer.runs_code |= model_remove_unused(model, true);
    if (lazy && has_failed_coming(model, lazy, coming))
        end_life(model, operation, waiting, ANSWER_ANY_CODE);
    else
        go_on_any(model, operation, waiting);
    return answer;
}

void model_give_up(struct model *model, const struct operation *operation, struct answer *waiting)
{
    const struct wait wait = waiting->wait;

    if (wait.kind == WAIT_ASKED) {
        end_life(model, operation, waiting, 1ull << JITD_ERROR_NOT_FOUND);
        return;
    }
    model_fail(model, &model->units[wait.unit], JITD_ERROR_CANCELLED);
    model_remove_unused(model, true);
    go_on_any(model, operation, waiting);
    /* The thread may have come before or after. */
    if (wait.kind == WAIT_COMING && waiting->wait.kind == WAIT_ASKED)
        end_life(model, operation, waiting, ANSWER_ANY_CODE);
}
