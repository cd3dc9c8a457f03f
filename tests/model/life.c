/*
 * The end of a runner's life, and the beginning of the next.
 */
#include "tests/model/model.h"

static bool is_ready(const struct model_unit *unit)
{
    return unit->exists && !unit->removed && !unit->lookup && unit->state == JITD_UNIT_READY;
}

static void leave(struct model *model)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        if (is_ready(&model->units[i])) {
            model->units[i].finalised += model->units[i].data == DATA_FINALISER;
            model_undo(model, &model->units[i]);
        }
}

/* Its initialisers and actions may have run before the end, or not. */
static void doubt(struct model *model)
{
    for (uint32_t i = 0; i < model->unit_end; i++) {
        struct model_unit *unit = &model->units[i];
        bool just_ready = unit->ready_since == model->operation;

        unit->counter = 0;
        unit->doubtful += just_ready && (unit->initialised || unit->action_count);
        unit->unsure |= unit->state == JITD_UNIT_FAILED && unit->failed_since == model->operation;
    }
}

/* Who fails depends on what actions lead to by now; one whose needs fail goes with those. */
static struct model_unit *begin(struct model *model)
{
    struct model_unit *failing = NULL;

    for (uint32_t i = 0; i < model->unit_end; i++) {
        struct model_unit *unit = &model->units[i];

        if (!is_ready(unit))
            continue;
        unit->initialised += unit->data >= DATA_INITIALISER;
        if (!model_act_again(model, unit) && !failing)
            failing = unit;
    }
    return failing;
}

/* How far it came is not said. */
static void break_off(struct model *model)
{
    for (uint32_t i = 0; i < model->unit_end; i++)
        model->units[i].doubtful += is_ready(&model->units[i]);
}

void model_end_life(struct model *model, struct answer *answer, bool exits)
{
    struct model_unit *failing;

    if (exits)
        leave(model);
    doubt(model);
    answer->kind = ANSWER_END;
    answer->runs_code = true;
    answer->ends = 1;
    while ((failing = begin(model)) != NULL) {
        break_off(model);
        model_fail_late(model, failing, JITD_ERROR_ACTION_FAILED);
        model_remove_unused(model, false);
        answer->ends++;
    }
}
