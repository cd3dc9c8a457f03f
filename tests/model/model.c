#include "tests/model/model.h"

#include <stdlib.h>
#include <string.h>

#include "tests/model/object.h"

#define PAGE_BYTES 4096

static void refuse(struct answer *answer, int code)
{
    answer->kind = ANSWER_REFUSED;
    answer->codes = 1ull << code;
}

/* ---- what things mean ---- */

static struct target target_of(const struct model_definition *definition, unsigned depth)
{
    struct target target = {.serial = definition->unit->serial, .number = definition->number};

    if (definition->kind == ENTRY_DEFINE)
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
    else
        target.kind = kinds[use->bound.kind];
    target.known = target.kind != TARGET_NONE && target.kind != TARGET_ZERO;
    target.ready = target.known && (!definition || definition->unit->state == JITD_UNIT_READY);
    return target;
}

static bool is_function(const struct target *target)
{
    return target->kind == TARGET_PROCESS || target->kind == TARGET_FUNCTION ||
           target->kind == TARGET_ABSOLUTE_FUNCTION;
}

static uint64_t call_value(const struct target *target)
{
    if (target->kind == TARGET_FUNCTION)
        return DEFINITION_VALUE(target->serial, target->number);
    if (target->kind == TARGET_ABSOLUTE_FUNCTION)
        return PAGE_BYTES;
    return strcmp(operation_name(target->name), "abs") == 0 ? CALL_ARGUMENT : 1;
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
            refuse(answer, JITD_ERROR_NOT_FOUND);
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
    model_submit(model, operation, answer);
    if (answer->kind == ANSWER_DONE)
        model_search_again(model);
}

static struct target look_up(const struct model *model, uint32_t library, uint32_t name)
{
    struct model_use use = {.name = name, .library = library};

    use.bound = model_search(model, &use, NULL);
    return model_target(&use);
}

static void apply_lookup(struct model *model, const struct operation *operation, struct answer *answer)
{
    if (!model->libraries[operation->library].exists) {
        refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    answer->kind = ANSWER_TARGETS;
    for (uint32_t i = 0; i < operation->item_count; i++)
        answer->targets[i] = look_up(model, operation->library, operation->items[i].value);
}

static void apply_await(struct model *model, const struct operation *operation, struct answer *answer)
{
    struct model_unit *unit = &model->units[SERIAL(operation->number, 0)];

    if (!model->libraries[operation->library].exists) {
        refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    *unit = (struct model_unit){.exists = true,
                                .lookup = true,
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

static void apply_call(struct model *model, const struct operation *operation, struct answer *answer)
{
    if (operation->item_count == 0)
        return;
    if (!model->libraries[operation->library].exists) {
        refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    struct target target = look_up(model, operation->library, operation->items[0].value);
    if (!target.known)
        refuse(answer, JITD_ERROR_NOT_FOUND);
    else if (!target.ready || !is_function(&target))
        refuse(answer, JITD_ERROR_NOT_CALLABLE);
    else {
        answer->kind = ANSWER_VALUE;
        answer->value = call_value(&target);
    }
}

static const struct model_use *find_use(const struct model_unit *unit, uint32_t number)
{
    for (uint32_t i = 0; i < unit->use_count; i++)
        if (unit->uses[i].number == number)
            return &unit->uses[i];
    return NULL;
}

/* Asks a ready unit what its use is bound to, by calling it where it can be called. */
static void probe_use(const struct model_use *use, uint32_t mode, struct answer *answer)
{
    answer->targets[0] = model_target(use);
    if (mode == MODE_CALL && is_function(&answer->targets[0])) {
        answer->kind = ANSWER_VALUE;
        answer->value = call_value(&answer->targets[0]);
        return;
    }
    answer->mode = MODE_ADDRESS;
    answer->kind = ANSWER_TARGET;
}

static void apply_probe(struct model *model, const struct operation *operation, struct answer *answer)
{
    uint32_t serial = operation->item_count ? operation->items[0].value : 0;
    struct model_unit *unit = serial < SERIALS_MOST ? &model->units[serial] : NULL;

    if (!unit || serial < UNITS_MOST || unit->lookup || unit->no_object)
        return;
    answer->mode = operation->mode;
    if (!unit->exists || unit->state == JITD_UNIT_FAILED) {
        if (model->libraries[unit->library].exists)
            refuse(answer, JITD_ERROR_NOT_FOUND);
        return;
    }
    if (unit->state != JITD_UNIT_READY) {
        refuse(answer, JITD_ERROR_NOT_CALLABLE);
        return;
    }
    const struct model_use *use = operation->mode <= MODE_CALL ? find_use(unit, operation->entry) : NULL;
    if (use && use->referenced) {
        probe_use(use, operation->mode, answer);
        return;
    }
    answer->kind = ANSWER_VALUE;
    if (operation->mode == MODE_COUNT && unit->data)
        answer->value = ++unit->counter;
    if (operation->mode == MODE_INITIALISED && unit->data == DATA_INITIALISER)
        answer->value = 1;
}

static void apply_cancel_units(struct model *model, const struct operation *operation, struct answer *answer)
{
    answer->kind = ANSWER_DONE;
    for (uint32_t i = 0; i < operation->item_count; i++) {
        const struct model_unit *unit = model_unit(model, operation->items[i].value);

        if (!unit || unit->lookup || unit->state != JITD_UNIT_RESOLVED)
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

/* What was ready stays so; data is as new, and initialisers run again. */
static void apply_crash(struct model *model, const struct operation *operation, struct answer *answer)
{
    (void)operation;
    for (uint32_t i = 0; i < model->unit_end; i++)
        model->units[i].counter = 0;
    answer->kind = ANSWER_END;
    answer->runs_code = true;
}

static void (*const apply[OPERATION_KINDS])(struct model *model, const struct operation *operation,
                                            struct answer *answer) = {
    [OPERATION_LIBRARY] = apply_library,
    [OPERATION_SUBMIT] = apply_submit,
    [OPERATION_LOOKUP] = apply_lookup,
    [OPERATION_AWAIT] = apply_await,
    [OPERATION_CALL] = apply_call,
    [OPERATION_PROBE] = apply_probe,
    [OPERATION_CANCEL_UNITS] = apply_cancel_units,
    [OPERATION_CANCEL_LOOKUP] = apply_cancel_lookup,
    [OPERATION_INSPECT] = apply_inspect,
    [OPERATION_CRASH] = apply_crash,
};

struct answer model_apply(struct model *model, const struct operation *operation)
{
    struct answer answer = {.kind = ANSWER_NONE};

    apply[operation->kind](model, operation, &answer);
    answer.runs_code |= model_settle(model);
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
