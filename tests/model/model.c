#include "tests/model/model.h"

#include <stdlib.h>

void model_refuse(struct answer *answer, int code)
{
    answer->kind = ANSWER_REFUSED;
    answer->codes = 1ull << code;
}

/* ---- what things mean ---- */

static struct target target_of(const struct model_definition *definition, unsigned depth)
{
    struct target target = {.serial = definition->unit->serial, .number = definition->number};

    if (definition->kind == ENTRY_DEFINE || definition->kind == ENTRY_LAZY)
        target.kind = definition->common ? TARGET_COMMON : TARGET_FUNCTION;
    else if (definition->kind == ENTRY_ABSOLUTE)
        target.kind = definition->function ? TARGET_ABSOLUTE_FUNCTION : TARGET_ABSOLUTE;
    else if (definition->alias_of->bound.kind == BOUND_PROCESS)
        target = (struct target){.kind = TARGET_PROCESS, .name = definition->alias_of->name};
    else if (definition->alias_of->bound.kind == BOUND_NOTHING || depth == 0)
        target.kind = TARGET_UNSETTLED;
    else
        target = target_of(definition->alias_of->bound.definition, depth - 1);
    target.aliased = definition->kind == ENTRY_ALIAS;
    return target;
}

struct target model_target(const struct model_use *use)
{
    static const enum target_kind kinds[] = {
        [BOUND_NOTHING] = TARGET_NONE, [BOUND_ZERO] = TARGET_ZERO, [BOUND_PROCESS] = TARGET_PROCESS};
    const struct model_definition *definition = use->bound.definition;
    struct target target = {.name = use->name};

    if (use->bound.kind == BOUND_DEFINITION)
        target = target_of(definition, SERIALS_MOST);
    else if (use->bound.kind == BOUND_LAZY)
        target = (struct target){.kind = TARGET_FUNCTION, .serial = use->serial, .number = use->number};
    else
        target.kind = kinds[use->bound.kind];
    target.known = target.kind != TARGET_NONE && target.kind != TARGET_ZERO;
    target.ready = target.known && (!definition || definition->unit->state == JITD_UNIT_READY);
    return target;
}

const struct model_unit *model_unit(const struct model *model, uint32_t serial)
{
    return serial < SERIALS_MOST && model->units[serial].exists ? &model->units[serial] : NULL;
}

/* ---- one function an operation ---- */

static void apply_library(struct model *model, const struct operation *operation, struct answer *answer)
{
    for (uint32_t i = 0; i < operation->search_count; i++) {
        uint32_t searched = operation->searches[i].library;

        if (searched != operation->library && !model->libraries[searched].exists) {
            model_refuse(answer, JITD_ERROR_NOT_FOUND);
            return;
        }
    }
    model->libraries[operation->library] = (struct model_library){true, *operation};
    model_search_again(model);
    answer->kind = ANSWER_DONE;
}

static void apply_submit(struct model *model, const struct operation *operation, struct answer *answer)
{
    if (operation->unit_count == 0)
        return;
    model_submit(model, operation, 0, operation->unit_count, answer);
    if (answer->kind == ANSWER_DONE)
        model_search_again(model);
}

struct model_use model_look_up(const struct model *model, uint32_t library, uint32_t name)
{
    struct model_use use = {.name = name, .library = library};

    use.bound = model_search(model, &use, NULL);
    return use;
}

static void apply_lookup(struct model *model, const struct operation *operation, struct answer *answer)
{
    if (!model->libraries[operation->library].exists) {
        model_refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    answer->kind = ANSWER_TARGETS;
    for (uint32_t i = 0; i < operation->item_count; i++) {
        const struct model_use use = model_look_up(model, operation->library, operation->items[i].value);

        answer->targets[i] = model_target(&use);
    }
}

static void apply_await(struct model *model, const struct operation *operation, struct answer *answer)
{
    struct model_unit *unit = &model->units[SERIAL(operation->number, 0)];

    if (!model->libraries[operation->library].exists) {
        model_refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    *unit = (struct model_unit){.exists = true,
                                .lookup = true,
                                .internal = true,
                                .serial = SERIAL(operation->number, 0),
                                .library = operation->library,
                                .state = JITD_UNIT_RESOLVED};
    for (uint32_t i = 0; i < operation->item_count; i++)
        unit->uses[unit->use_count++] =
            (struct model_use){.name = operation->items[i].value, .library = operation->library};
    model->unit_end = unit->serial + 1;
    model_search_again(model);
    answer->kind = ANSWER_LATER;
}

static void apply_cancel_units(struct model *model, const struct operation *operation, struct answer *answer)
{
    answer->kind = ANSWER_DONE;
    for (uint32_t i = 0; i < operation->item_count; i++) {
        const struct model_unit *unit = model_unit(model, operation->items[i].value);

        if (!unit || unit->internal || unit->state != JITD_UNIT_RESOLVED)
            continue;
        model_fail(model, &model->units[unit->serial], JITD_ERROR_CANCELLED);
        answer->count++;
    }
}

static void apply_cancel_lookup(struct model *model, const struct operation *operation, struct answer *answer)
{
    const struct model_unit *unit =
        operation->item_count ? model_unit(model, SERIAL(operation->items[0].value % (OPERATIONS_MOST + 1), 0)) : NULL;

    if (!unit || !unit->lookup)
        return;
    answer->kind = ANSWER_DONE;
    if (unit->state != JITD_UNIT_RESOLVED)
        return;
    model_fail(model, &model->units[unit->serial], JITD_ERROR_CANCELLED);
    answer->count = 1;
}

static void apply_inspect(struct model *model, const struct operation *operation, struct answer *answer)
{
    (void)model;
    (void)operation;
    answer->kind = ANSWER_INSPECTION;
}

static void apply_crash(struct model *model, const struct operation *operation, struct answer *answer)
{
    model_end_life(model, answer, operation->mode != 0);
}

static void (*const apply[OPERATION_KINDS])(struct model *model, const struct operation *operation,
                                            struct answer *answer) = {
    [OPERATION_LIBRARY] = apply_library,
    [OPERATION_SUBMIT] = apply_submit,
    [OPERATION_LOOKUP] = apply_lookup,
    [OPERATION_AWAIT] = apply_await,
    [OPERATION_CALL] = model_call,
    [OPERATION_PROBE] = model_probe,
    [OPERATION_CANCEL_UNITS] = apply_cancel_units,
    [OPERATION_CANCEL_LOOKUP] = apply_cancel_lookup,
    [OPERATION_INSPECT] = apply_inspect,
    [OPERATION_CRASH] = apply_crash,
    [OPERATION_REMOVE] = model_remove,
    [OPERATION_RUN] = model_run,
    [OPERATION_REDIRECT] = model_redirect,
    [OPERATION_ADAPT] = model_adapt,
};

/* What still waits when all is done that can be done now fails, the first before the others; where the runner has to
   do something before, it is not known what waits. */
static void pass_deadline(struct model *model, const struct operation *operation, struct answer *answer)
{
    bool is_short = operation->deadline == DEADLINE_SHORT && !answer->runs_code;

    if (operation->kind != OPERATION_SUBMIT && operation->kind != OPERATION_AWAIT)
        return;
    answer->deadline_ms = is_short ? DEADLINE_SHORT_MS : DEADLINE_LONG_MS;
    for (uint32_t i = 0; is_short && i < UNITS_MOST; i++) {
        struct model_unit *unit = &model->units[SERIAL(operation->number, i)];

        if (!unit->exists || unit->state != JITD_UNIT_RESOLVED)
            continue;
        model_fail(model, unit, JITD_ERROR_TIMEOUT);
        answer->runs_code = true; /* it takes its time */
    }
}

struct answer model_apply(struct model *model, const struct operation *operation)
{
    struct answer answer = {.kind = ANSWER_NONE};

    if (model->stuck)
        return answer;
    model->operation = operation->number;
    apply[operation->kind](model, operation, &answer);
    answer.runs_code |= model_settle(model);
    if (operation->deadline && (answer.kind == ANSWER_DONE || answer.kind == ANSWER_LATER))
        pass_deadline(model, operation, &answer);
    answer.runs_code |= model_remove_unused(model, true);
    return answer;
}

struct model *model_new(void)
{
    struct model *model = calloc(1, sizeof *model);

    if (!model)
        abort();
    model->libraries[JITD_LIBRARY_MAIN].exists = true;
    return model;
}

void model_free(struct model *model)
{
    free(model);
}
