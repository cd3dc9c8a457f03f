/*
 * Remove: names go at once, finalisers run in the runner, then the units are forgotten and the controller is told.
 *
 * Finalisers run as they would at exit: what was registered with atexit's kin first, unit by unit, the one that was
 * ready last before the others; then arrays, in the reverse of the order in which they were remembered; then actions
 * are undone in the same order. A life of the runner that has not yet run its initialisers again does so first, those
 * of removed units among them.
 */
#include <stdlib.h>

#include "common/bytes.h"
#include "common/log.h"
#include "daemon/linker/session.h"

#define LOG_TAG "remove"

struct removal {
    struct removal *next;
    uint64_t request; /* 0: nobody waits for an answer */
    struct removal_set set;
    enum runner_queue queue; /* where its finalisers run */
    uint32_t outstanding;    /* tasks that have not been answered */
    struct report report;    /* removal actions that returned other than 0 */
};

static void removal_free(struct removal *removal)
{
    removal_set_free(&removal->set);
    report_fini(&removal->report);
    free(removal);
}

static void finalise_object(struct session *session, struct removal *removal, struct unit *unit)
{
    const struct task task = {.purpose = TASK_REMOVE,
                              .kind = CHANNEL_FINALISE_OBJECT,
                              .unit = unit,
                              .removal = removal,
                              .a = unit_handle(session->arena, unit)};

    removal->outstanding++;
    publish_send_task(session, removal->queue, &task);
}

static void undo(struct session *session, struct removal *removal, const struct task *done)
{
    const struct task task = {.purpose = TASK_REMOVE,
                              .kind = done->kind == CHANNEL_ACTIONS ? CHANNEL_UNDO_ACTIONS : CHANNEL_FINALISE,
                              .unit = done->unit,
                              .removal = removal,
                              .a = done->a,
                              .b = done->b};

    removal->outstanding++;
    publish_send_task(session, removal->queue, &task);
}

static void tell_of(struct session *session, struct unit *unit)
{
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

    for (size_t i = 0; i < removal->set.count; i++) {
        reply.count += !removal->set.units[i]->internal;
        removal_release(&session->linker, removal->set.units[i]);
    }
    removal->set.count = 0;
    unlink_removal(session, removal);
    if (removal->request) {
        event_flush(session);
        pool_reset(&session->encode);
        reply.errors = event_errors(&session->encode, &removal->report, &reply.n_errors);
        reply.errors_omitted = removal->report.omitted;
        session_send(session, MESSAGE_REMOVED, removal->request, &reply.base);
    }
    removal_free(removal);
    remove_reclaim(session);
}

/* Initialisers that run again are told of with their units, which must be there for so long. */
static void finish_if_over(struct session *session, struct removal *removal)
{
    if (removal->outstanding == 0 && session->replaying == 0)
        finish(session, removal);
}

void remove_task_answered(struct session *session, const struct task *task, const struct channel_record *reply)
{
    struct removal *removal = task->removal;
    struct error error;
    int code = task->kind == CHANNEL_UNDO_ACTIONS ? actions_read_reply(task->unit, reply, &error) : 0;

    if (code == ERROR_RUNNER_PROTOCOL) {
        session_end(session, &error);
        return;
    }
    if (code) {
        log_info("%s", error.text);
        report_add(&removal->report, &error);
    }
    removal->outstanding--;
    finish_if_over(session, removal);
}

void remove_replayed(struct session *session)
{
    for (struct removal *removal = session->removals, *next; removal; removal = next) {
        next = removal->next;
        finish_if_over(session, removal);
    }
}

/* The life that the finalisers would have run in is over, and what was in zone Z with it. */
void remove_runner_ended(struct session *session)
{
    while (session->removals)
        finish(session, session->removals);
    remove_reclaim(session);
    arena_renew(session->arena);
}

/* Memory that is set apart waits for what was asked of the runner before; what came to lie beside it meanwhile is set
   apart next. */
void remove_reclaim(struct session *session)
{
    struct linker *linker = &session->linker;

    while (linker->limbo || linker->aged) {
        if (linker->aged && !runner_is_past(session->runner, &session->reclaim_at))
            return;
        removal_reclaim(linker);
        session->reclaim_at = runner_now(session->runner);
        removal_age(linker);
    }
}

/* Those that wait fail: what depends on them is in the set. */
static void fail_waiting(struct session *session, struct removal_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct unit *unit = set->units[i];
        struct error error;

        if (unit->state != UNIT_RESOLVED)
            continue;
        if (unit->internal)
            error_set(&error, ERROR_DEPENDENCY_FAILED, "%s: what it needs was removed", unit->name);
        else
            error_set(&error, ERROR_CANCELLED, "%s: removed before it was ready", unit->name);
        error_set_unit(&error, unit->name);
        link_fail(&session->linker, unit, &error);
    }
}

static int compare_last_first(const void *left, const void *right)
{
    const struct unit *a = *(struct unit *const *)left, *b = *(struct unit *const *)right;

    if (a->ready_number != b->ready_number)
        return a->ready_number > b->ready_number ? -1 : 1;
    return a->id > b->id ? -1 : a->id < b->id;
}

/* Behind initialisers that run again. */
static enum runner_queue choose_queue(const struct session *session)
{
    return session->replaying ? RUNNER_MAIN : publish_queue(session);
}

static void begin(struct session *session, struct removal *removal)
{
    struct removal_set *set = &removal->set;
    bool live = runner_is_live(session->runner), undoable = false;

    removal->next = session->removals;
    session->removals = removal;
    for (size_t i = 0; i < set->count; i++)
        adapters_unregister(&session->linker, set->units[i]);
    fail_waiting(session, set);
    removal->queue = choose_queue(session);
    if (set->count > 1)
        qsort(set->units, set->count, sizeof(struct unit *), compare_last_first);
    for (size_t i = 0; i < set->count; i++) {
        struct unit *unit = set->units[i];

        if (unit->state == UNIT_READY && live && unit->uses_handle)
            finalise_object(session, removal, unit);
        undoable |= unit->array_count > 0 || unit->action_count > 0;
    }
    removal_withdraw(&session->linker, set);
    for (size_t i = 0; i < set->count; i++)
        tell_of(session, set->units[i]);
    if (undoable && live)
        publish_visit_gone(session, removal, undo);
    if (undoable)
        publish_forget_gone(session);
    finish_if_over(session, removal);
}

/* ---- units that others have come to use ---- */

static void stay(struct session *session, const struct unit *unit)
{
    if (session->staying_count == session->staying_capacity) {
        uint32_t capacity = session->staying_capacity ? session->staying_capacity * 2 : 16;
        uint64_t *staying = realloc(session->staying, capacity * sizeof *staying);

        if (!staying)
            return; /* until the session ends */
        session->staying = staying;
        session->staying_capacity = capacity;
    }
    session->staying[session->staying_count++] = unit->id;
}

/* Adds those that only the set, or nobody, uses any more. Forgets those that are gone. */
static int add_unused(struct session *session, struct removal_set *set)
{
    size_t first = set->count;
    uint32_t kept = 0;
    int code = 0;

    for (uint32_t i = 0; i < session->staying_count; i++) {
        struct unit *unit = link_unit(&session->linker, session->staying[i]);

        if (!unit || (unit->state != UNIT_READY && unit->state != UNIT_FAILED))
            continue;
        session->staying[kept++] = unit->id;
        if (!code)
            code = removal_set_add(set, unit);
    }
    session->staying_count = kept;
    if (kept > 0)
        removal_drop_used(set, first);
    return code;
}

static void remove_unused(struct session *session)
{
    struct removal *removal;

    if (session->staying_count == 0 || session->departures == session->linker.departures)
        return;
    session->departures = session->linker.departures;
    removal = calloc(1, sizeof *removal);
    if (!removal)
        return;
    add_unused(session, &removal->set);
    if (removal->set.count > 0)
        begin(session, removal);
    else
        removal_free(removal);
}

/* ---- requests ---- */

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

/* What nobody else uses goes along, and with `cascade` the users do, for whom others may have stayed. */
static int add_along(struct session *session, const Jitd__Proto__Remove *message, struct removal_set *set)
{
    int code = add_unused(session, set);

    if (!code && message->cascade)
        code = removal_add_users(&session->linker, set);
    return code || !message->cascade ? code : add_unused(session, set);
}

static int collect(struct session *session, const Jitd__Proto__Remove *message, struct removal_set *set,
                   struct report *report)
{
    struct error error;

    if (message->n_tags + message->n_libraries > LIMIT_REMOVAL_GROUPS)
        error_set(&error, ERROR_LIMIT, "%zu tags and libraries in one removal; at most %d are taken",
                  message->n_tags + message->n_libraries, LIMIT_REMOVAL_GROUPS);
    else if (add_listed(session, message, set) == 0 && add_meant(session, message, set) == 0 &&
             add_along(session, message, set) == 0)
        return 0;
    else
        error_set(&error, ERROR_NO_MEMORY, "no memory for the list of units to be removed");
    report_add(report, &error);
    return error.code;
}

/* Those that define nothing go first: lookups, which used what the others define until they were answered. */
void remove_later(struct session *session, struct unit *unit)
{
    struct removal *removal = calloc(1, sizeof *removal), **link = &session->leaving;

    if (!removal || removal_set_add(&removal->set, unit) != 0) {
        free(removal); /* then it stays until the session ends */
        return;
    }
    while (unit->definition_count && *link)
        link = &(*link)->next;
    removal->next = *link;
    *link = removal;
}

static void remove_leaving(struct session *session)
{
    while (session->leaving) {
        struct removal *removal = session->leaving;
        struct report report = {0};

        session->leaving = removal->next;
        if (removal_check(&session->linker, &removal->set, &report) == 0)
            begin(session, removal);
        else {
            stay(session, removal->set.units[0]);
            removal_free(removal);
        }
        report_fini(&report);
    }
}

void remove_request(struct session *session, uint64_t request, const Jitd__Proto__Remove *message)
{
    struct removal *removal = calloc(1, sizeof *removal);
    struct report report = {0};
    struct error error;

    remove_leaving(session); /* they use others no more */
    if (!removal) {
        error_set(&error, ERROR_NO_MEMORY, "no memory for a removal");
        session_fail(session, request, &error);
        return;
    }
    removal->request = request;
    if (collect(session, message, &removal->set, &report) == 0 &&
        removal_check(&session->linker, &removal->set, &report) == 0) {
        begin(session, removal);
        return;
    }
    removal_free(removal);
    session_fail_report(session, request, &report);
    report_fini(&report);
}

void remove_turn_ended(struct session *session)
{
    remove_leaving(session);
    remove_unused(session);
    remove_reclaim(session);
}

void remove_close(struct session *session)
{
    free(session->staying);
    struct removal **const lists[] = {&session->removals, &session->leaving};

    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        for (struct removal *removal = *lists[i], *next; removal; removal = next) {
            next = removal->next;
            removal_free(removal);
        }
    }
}
