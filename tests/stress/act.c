/*
 * What the controller does while the program runs.
 */
#include <stdio.h>

#include "tests/stress/random.h"
#include "tests/stress/stress.h"

static void on_refused(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    struct stress *stress = data;

    (void)session;
    if (errors && errors->list[0].code != JITD_ERROR_NOT_FOUND) /* that life is over */
        stress_fail(stress, "a refusal was refused: %s", errors->list[0].text);
}

static void refuse(struct stress *stress, struct function *function)
{
    jitd_refuse(stress->session, function->ask, "refused on purpose", on_refused, stress, NULL);
    function->ask = 0;
}

void act_answer(struct stress *stress, bool at_once)
{
    const uint64_t now = stress_now();

    for (uint32_t i = 0; i < LAZIES; i++) {
        struct function *function = &stress->functions[i];

        if (!function->ask || (!at_once && function->due > now))
            continue;
        if (stress->allowed.refusal && random_once_in(&stress->random, 6))
            refuse(stress, function);
        else if (function->state == FUNCTION_ABSENT)
            supply_function(stress, i);
    }
}

static void on_removed(struct jitd_session *session, size_t count, const struct jitd_errors *errors, void *data)
{
    struct function *function = data;

    (void)session;
    (void)count;
    if (errors && function->state == FUNCTION_LEAVING)
        function->state = FUNCTION_READY;
}

static void remove_unit(struct stress *stress, struct function *function)
{
    function->state = FUNCTION_LEAVING;
    stress->removals++;
    if (jitd_remove(stress->session, &(struct jitd_removal){.units = &function->unit, .unit_count = 1}, on_removed,
                    function, NULL) != 0)
        stress_fail(stress, "a removal cannot be sent");
}

static void on_redirected(struct jitd_session *session, const struct jitd_errors *errors, void *data)
{
    struct stress *stress = data;

    (void)session;
    if (errors)
        stress_fail(stress, "a switch was not redirected: %s", errors->list[0].text);
}

/* To one of the functions, or back. Requests are carried out in their order, so what is known here holds there. */
static void redirect(struct stress *stress, uint32_t which, struct function *target)
{
    char name[16], target_name[8];
    const char *symbol = name, *to = target ? supply_name((uint32_t)(target - stress->functions), target_name) : NULL;

    snprintf(name, sizeof name, "switch_%u", which);
    for (uint32_t i = LAZIES; i < FUNCTIONS; i++)
        stress->functions[i].leading &= ~(1u << which);
    if (target)
        target->leading |= 1u << which;
    stress->redirections++;
    if (jitd_redirect(stress->session, JITD_LIBRARY_MAIN, &symbol, &to, 1, on_redirected, stress, NULL) != 0)
        stress_fail(stress, "a redirection cannot be sent");
}

static void act_on(struct stress *stress, uint32_t index)
{
    struct function *function = &stress->functions[index];
    bool lead = index >= LAZIES && random_once_in(&stress->random, 2);

    if (function->state == FUNCTION_ABSENT && !function->ask)
        supply_function(stress, index);
    else if (function->state == FUNCTION_READY && lead)
        redirect(stress, (uint32_t)random_draw(&stress->random, SWITCHES), function);
    else if (function->state == FUNCTION_READY && !function->leading)
        remove_unit(stress, function);
}

void act(struct stress *stress)
{
    if (random_once_in(&stress->random, 8))
        redirect(stress, (uint32_t)random_draw(&stress->random, SWITCHES), NULL);
    else
        act_on(stress, (uint32_t)random_draw(&stress->random, FUNCTIONS));
}

bool act_clear(struct stress *stress)
{
    bool clear = true;

    for (uint32_t i = 0; i < FUNCTIONS; i++)
        clear &= stress->functions[i].leading == 0;
    for (uint32_t i = 0; i < SWITCHES && !clear; i++)
        redirect(stress, i, NULL);
    clear = true;
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        if (stress->functions[i].state == FUNCTION_READY)
            remove_unit(stress, &stress->functions[i]);
        clear &= stress->functions[i].state == FUNCTION_ABSENT && !stress->functions[i].ask;
    }
    return clear;
}
