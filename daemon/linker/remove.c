/*
 * Remove: units leave in the reverse of the order in which they came to be ready, their finalisers run in the runner,
 * then they are forgotten and the controller is told.
 */
#include <stdlib.h>

#include "common/bytes.h"
#include "daemon/linker/session.h"

struct removal {
    struct removal *next;
    uint64_t request; /* 0: nobody waits for an answer */
    struct removal_set set;
    uint32_t outstanding; /* finalisers that have not run */
    bool sending;         /* more of them are to come */
};

static void removal_free(struct removal *removal)
{
    removal_set_free(&removal->set);
    free(removal);
}

static void add_task(struct session *session, struct removal *removal, uint32_t kind, uint64_t a, uint64_t b)
{
    const struct task task = {.purpose = TASK_REMOVE, .kind = kind, .removal = removal, .a = a, .b = b};

    removal->outstanding++;
    publish_send_task(session, &task);
}

static uint64_t handle_of(const struct session *session, const struct unit *unit)
{
    return unit->uses_handle ? unit_handle(session->arena, unit) : 0;
}

/* What was registered with atexit's kin goes before arrays, as it does when a library is closed. */
static void finalise_unit(struct session *session, struct removal *removal, const struct unit *unit)
{
    if (handle_of(session, unit))
        add_task(session, removal, CHANNEL_FINALISE_OBJECT, handle_of(session, unit), 0);
    for (uint32_t i = unit->array_count; i-- > 0;)
        if (unit->arrays[i].finalisers)
            add_task(session, removal, CHANNEL_FINALISE, unit->arrays[i].address, unit->arrays[i].count);
}

static void withdraw(struct session *session, struct unit *unit)
{
    removal_withdraw(&session->linker, unit);
    call_forget_unit(session, unit);
    if (!unit->internal)
        event_hooks.unit_changed(session, unit, NULL);
}

static void unlink_removal(struct session *session, const struct removal *removal)
{
    struct removal **link = &session->removals;

    while (*link != removal)
        link = &(*link)->next;
    *link = removal->next;
}

static void finish(struct session *session, struct removal *removal)
{
    Jitd__Proto__Removed reply = JITD__PROTO__REMOVED__INIT;

    for (size_t i = 0; i < removal->set.count; i++)
        removal_release(&session->linker, removal->set.units[i]);
    reply.count = (uint32_t)removal->set.count;
    removal->set.count = 0;
    unlink_removal(session, removal);
    if (removal->request) {
        event_flush(session);
        session_send(session, MESSAGE_REMOVED, removal->request, &reply.base);
    }
    removal_free(removal);
    remove_reclaim(session);
}

void remove_task_answered(struct session *session, struct removal *removal)
{
    if (--removal->outstanding == 0 && !removal->sending)
        finish(session, removal);
}

/* The life that the finalisers would have run in is over. */
void remove_runner_ended(struct session *session)
{
    while (session->removals)
        finish(session, session->removals);
    arena_renew(session->arena);
    remove_reclaim(session);
}

void remove_reclaim(struct session *session)
{
    if (session->linker.limbo && runner_is_quiet(session->runner))
        removal_reclaim(&session->linker);
}

/* Those that wait fail: what depends on them is in the set. */
static void fail_waiting(struct session *session, struct removal_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct unit *unit = set->units[i];
        struct error error;

        if (unit->state != UNIT_RESOLVED)
            continue;
        error_set(&error, ERROR_CANCELLED, "%s: removed before it was ready", unit->name);
        error_set_unit(&error, unit->name);
        link_fail(&session->linker, unit, &error);
    }
}

static void begin(struct session *session, struct removal *removal)
{
    struct removal_set *set = &removal->set;

    removal->next = session->removals;
    session->removals = removal;
    removal->sending = true;
    fail_waiting(session, set);
    publish_order_for_removal(session, set->units, set->count);
    for (size_t i = 0; i < set->count; i++) {
        bool was_ready = set->units[i]->state == UNIT_READY;

        withdraw(session, set->units[i]);
        if (was_ready && runner_is_live(session->runner))
            finalise_unit(session, removal, set->units[i]);
    }
    publish_forget_removed(session);
    removal->sending = false;
    if (removal->outstanding == 0)
        finish(session, removal);
}

static int add_listed(struct session *session, const Jitd__Proto__Remove *message, struct removal_set *set)
{
    int code = 0;

    for (size_t i = 0; i < message->n_units && !code; i++) {
        struct unit *unit = link_unit(&session->linker, message->units[i]);

        if (unit && !unit->internal)
            code = removal_set_add(set, unit);
    }
    return code;
}

static bool is_meant(const struct unit *unit, const Jitd__Proto__Remove *message)
{
    for (size_t i = 0; i < message->n_tags && unit->tag; i++)
        if (message->tags[i] == unit->tag)
            return true;
    for (size_t i = 0; i < message->n_libraries; i++)
        if (message->libraries[i] == unit->library)
            return true;
    return false;
}

static int add_meant(struct session *session, const Jitd__Proto__Remove *message, struct removal_set *set)
{
    const struct units *units = &session->linker.units;
    int code = 0;

    if (message->n_tags == 0 && message->n_libraries == 0)
        return 0;
    for (struct unit *unit = units_after(units, 0); unit && !code; unit = units_after(units, unit->id))
        if (!unit->internal && unit->state != UNIT_REMOVED && is_meant(unit, message))
            code = removal_set_add(set, unit);
    return code;
}

static int collect(struct session *session, const Jitd__Proto__Remove *message, struct removal_set *set,
                   struct report *report)
{
    struct error error;

    if (message->n_tags + message->n_libraries > LIMIT_REMOVAL_GROUPS)
        error_set(&error, ERROR_LIMIT, "%zu tags and libraries in one removal; at most %d are taken",
                  message->n_tags + message->n_libraries, LIMIT_REMOVAL_GROUPS);
    else if (add_listed(session, message, set) == 0 && add_meant(session, message, set) == 0)
        return 0;
    else
        error_set(&error, ERROR_NO_MEMORY, "no memory for the list of units to be removed");
    report_add(report, &error);
    return error.code;
}

void remove_request(struct session *session, uint64_t request, const Jitd__Proto__Remove *message)
{
    struct removal *removal = calloc(1, sizeof *removal);
    struct report report = {0};
    struct error error;

    if (!removal) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for a removal");
        session_fail(session, request, &error);
        return;
    }
    removal->request = request;
    if (collect(session, message, &removal->set, &report) == 0 &&
        removal_check(&session->linker, &removal->set, message->cascade, &report) == 0) {
        begin(session, removal);
        return;
    }
    removal_free(removal);
    session_fail_report(session, request, &report);
    report_fini(&report);
}

void remove_later(struct session *session, struct unit *unit)
{
    struct removal *removal = calloc(1, sizeof *removal);

    if (!removal || removal_set_add(&removal->set, unit) != 0) {
        free(removal); /* then it stays until the session ends */
        return;
    }
    removal->next = session->leaving;
    session->leaving = removal;
}

/* One that is used by others after all stays. */
static void remove_leaving(struct session *session)
{
    while (session->leaving) {
        struct removal *removal = session->leaving;
        struct report report = {0};

        session->leaving = removal->next;
        if (removal_check(&session->linker, &removal->set, false, &report) == 0)
            begin(session, removal);
        else
            removal_free(removal);
        report_fini(&report);
    }
}

void remove_turn_ended(struct session *session)
{
    remove_leaving(session);
    remove_reclaim(session);
}

void remove_close(struct session *session)
{
    struct removal **const lists[] = {&session->removals, &session->leaving};

    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        for (struct removal *removal = *lists[i], *next; removal; removal = next) {
            next = removal->next;
            removal_free(removal);
        }
    }
}
